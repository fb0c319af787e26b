package fake

import (
	"encoding/json/v2"
	"fmt"
	"strings"

	"ringfence/model"
)

// Reply is a scripted answer: Say, CallTool, Refusal.
type Reply struct {
	parts  []model.Part
	reason model.StopReason
	err    error
}

// Say answers with a text.
func Say(text string) Reply {
	return Reply{parts: []model.Part{model.Text(text)}, reason: model.StopEnd}
}

// CallTool answers with a call of a tool. More calls are added by AndCallTool.
func CallTool(name string, input any) Reply { return Reply{}.AndCallTool(name, input) }

// Refusal gives no answer. A generation that was opened gives this when it is read.
func Refusal(err error) Reply { return Reply{err: err} }

// AndCallTool calls one more tool. Calls have the ids `call-1`, `call-2`, and so on.
func (reply Reply) AndCallTool(name string, input any) Reply {
	text, err := json.Marshal(input, json.Deterministic(true))
	if err != nil {
		panic("the test's value cannot be JSON: " + err.Error())
	}
	count := 1
	for _, part := range reply.parts {
		if _, ok := part.(model.ToolCall); ok {
			count++
		}
	}
	call := model.ToolCall{ID: fmt.Sprintf("call-%d", count), Name: name, Input: string(text)}
	reply.parts = append(reply.parts[:len(reply.parts):len(reply.parts)], call)
	reply.reason = model.StopToolCall
	return reply
}

// Thinking thinks before it answers.
func (reply Reply) Thinking(text string) Reply {
	reply.parts = append([]model.Part{model.Thinking{Text: text}}, reply.parts...)
	return reply
}

// ThenBreaks gives the text, and then the generation breaks.
func (reply Reply) ThenBreaks(err error) Reply {
	reply.err = err
	return reply
}

// Stopped stops for this reason, for example because the answer is cut.
func (reply Reply) Stopped(reason model.StopReason) Reply {
	reply.reason = reason
	return reply
}

func (reply Reply) response(request *model.Request) (*model.Response, error) {
	if reply.err != nil {
		return nil, reply.err
	}
	message := model.Message{Role: model.RoleAssistant, Parts: reply.parts}
	return &model.Response{
		Message:    message,
		StopReason: reply.reason,
		Model:      "fake/" + request.Model,
		Usage:      model.Usage{InputTokens: tokens(request.Prompt()), OutputTokens: tokens(message.Text())},
	}, nil
}

type happening struct {
	event model.Event
	err   error
}

// events is what happens while the answer is made: text comes word by word.
func (reply Reply) events(request *model.Request) []happening {
	var events []happening
	for _, part := range reply.parts {
		switch part := part.(type) {
		case model.Text:
			for word := range strings.SplitAfterSeq(string(part), " ") {
				events = append(events, happening{event: model.TextEvent(word)})
			}
		case model.Thinking:
			events = append(events, happening{event: model.ThinkingEvent(part.Text)})
		case model.ToolCall:
			events = append(events,
				happening{event: model.ToolCallStart{ID: part.ID, Name: part.Name}},
				happening{event: model.ToolCallDelta{ID: part.ID, Delta: part.Input}},
				happening{event: part})
		}
	}
	response, err := reply.response(request)
	if err != nil {
		return append(events, happening{err: err})
	}
	return append(events, happening{event: response})
}

// tokens is a rough count, as tests need no better one: four bytes to a token.
func tokens(text string) uint64 { return uint64(len(text)+3) / 4 }
