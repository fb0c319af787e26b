package model

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"reflect"

	"ringfence"
	"ringfence/internal/schema"
)

// Tool is a tool that the model calls and Run runs.
type Tool struct {
	Spec ToolSpec
	// Run gives the text for the model.
	Run func(ctx context.Context, input []byte) (string, error)

	wrong error
}

// NewTool makes a tool of a function. The input's schema is made as that of a skill's tool, with the same tags. What the function returns
// goes to the model: a string as it is, everything else as JSON. So does an error, and the model often corrects itself.
func NewTool[In, Out any](name, description string, run func(ctx context.Context, in In) (Out, error)) Tool {
	made, err := schema.Of(reflect.TypeFor[In](), schema.In)
	if err != nil {
		return Tool{Spec: ToolSpec{Name: name}, wrong: fmt.Errorf("the input of the model's tool `%s`: %w", name, err)}
	}
	return Tool{
		Spec: ToolSpec{Name: name, Description: description, InputSchema: made.String()},
		Run: func(ctx context.Context, input []byte) (string, error) {
			var in In
			err := schema.CheckText(made, input)
			if err == nil {
				err = schema.Decode(input, &in)
			}
			if err != nil {
				return "", ringfence.InvalidInput("the arguments of `%s` are wrong: %s", name, err)
			}
			out, err := run(ctx, in)
			if err != nil {
				return "", err
			}
			if text, ok := any(out).(string); ok {
				return text, nil
			}
			text, err := json.Marshal(out, json.Deterministic(true))
			return string(text), err
		},
	}
}

// Tools lets Run run these when the model calls them.
func Tools(tools ...Tool) Option {
	return func(r *Request) {
		for _, tool := range tools {
			if tool.wrong != nil {
				r.wrong = tool.wrong
			}
			r.runnable = append(r.runnable, tool)
			r.Tools = append(r.Tools, tool.Spec)
		}
	}
}

// Rounds is in how many turns the model may call tools; 8 unless it is set. After them it must answer without.
func Rounds(rounds int) Option { return func(r *Request) { r.rounds = max(rounds, 0) } }

// Run asks, and runs the tools that the model calls until it answers without calling one.
//
//	add := model.NewTool("add", "Adds two numbers.", func(ctx context.Context, in Pair) (int, error) { return in.A + in.B, nil })
//	answer, err := model.Run(ctx, "What is 2 + 3?", model.Tools(add))
func Run(ctx context.Context, prompt string, options ...Option) (*Response, error) {
	return RunRequest(ctx, NewRequest(prompt, options...))
}

// RunRequest is Run for a request, which afterwards holds the whole conversation but the last answer.
func RunRequest(ctx context.Context, request *Request) (*Response, error) {
	for range request.rounds {
		response, err := Generate(ctx, request)
		if err != nil || response.StopReason != StopToolCall {
			return response, err
		}
		results := Message{Role: RoleTool}
		for _, call := range response.Message.ToolCalls() {
			result, err := request.result(ctx, call)
			if err != nil {
				return nil, err
			}
			results.Parts = append(results.Parts, result)
		}
		// Given back unchanged: some providers insist on their thinking and signatures.
		request.Messages = append(request.Messages, response.Message, results)
		if request.ToolChoice != ToolNone {
			// Otherwise a model that must call a tool could never answer.
			request.ToolChoice = ToolAuto
		}
	}
	request.ToolChoice = ToolNone
	return Generate(ctx, request)
}

func (request *Request) result(ctx context.Context, call ToolCall) (ToolResult, error) {
	for _, tool := range request.runnable {
		if tool.Spec.Name != call.Name {
			continue
		}
		text, err := tool.Run(ctx, []byte(call.Input))
		if err == nil {
			return ToolResult{ID: call.ID, Content: text}, nil
		}
		if errors.Is(err, ringfence.Cancelled) || ctx.Err() != nil {
			// Nobody waits for the answer any more.
			return ToolResult{}, err
		}
		content := err.Error()
		var failure *ringfence.Failure
		if errors.As(err, &failure) && failure.Hint != "" {
			content += "\n" + failure.Hint
		}
		return ToolResult{ID: call.ID, Content: content, IsError: true}, nil
	}
	return ToolResult{ID: call.ID, Content: "there is no tool `" + call.Name + "`", IsError: true}, nil
}
