package model

import (
	"encoding/json/v2"

	"ringfence"
)

// Request is everything that a model can be asked. Functions of this package make one of a prompt and options.
type Request struct {
	// Model is an alias (`default`, `fast`, `smart`, or one of the operator's), or a `provider/model` name that the grant lists.
	Model    string
	Messages []Message
	Tools    []ToolSpec
	// ToolChoice is Auto unless it is set.
	ToolChoice ToolChoice
	// OutputSchema is the JSON Schema that the answer's text must match; empty for none.
	OutputSchema string
	// MaxTokens is the most tokens of answer; 0 for the operator's default.
	MaxTokens uint32
	// Temperature and TopP are wishes; nil where there is none.
	Temperature *float32
	TopP        *float32
	Stop        []string
	// Effort is how hard to think; empty for the model's own way.
	Effort Effort
	// CacheUntil is the index of the last message that is the same in many calls and worth caching; nil for none.
	CacheUntil *uint32
	// ProviderOptions is a JSON object merged into the provider's request; empty for none.
	ProviderOptions string

	runnable []Tool
	rounds   int
	wrong    error
}

// ToolSpec is what the model is told about a tool.
type ToolSpec struct {
	Name        string
	Description string
	InputSchema string
}

// ToolChoice says whether and which tool the model calls: ToolAuto, ToolNone, ToolRequired, or the name of one.
type ToolChoice string

const (
	// ToolAuto lets the model decide.
	ToolAuto ToolChoice = ""
	// ToolNone calls no tool. Tools' names cannot begin with a star.
	ToolNone ToolChoice = "*none"
	// ToolRequired calls some tool.
	ToolRequired ToolChoice = "*required"
)

// Effort says how hard to think. Providers without such a setting ignore it.
type Effort string

const (
	EffortNone   Effort = "none"
	EffortLow    Effort = "low"
	EffortMedium Effort = "medium"
	EffortHigh   Effort = "high"
)

// Option says more about a request. Options are taken in their order.
type Option func(*Request)

// NewRequest makes a request to the model `default` of one prompt.
func NewRequest(prompt string, options ...Option) *Request {
	return NewChat([]Message{User(prompt)}, options...)
}

// NewChat makes a request to the model `default` of a conversation.
func NewChat(messages []Message, options ...Option) *Request {
	request := &Request{Model: "default", Messages: append([]Message(nil), messages...), rounds: 8}
	for _, option := range options {
		option(request)
	}
	return request
}

// Use names the model.
func Use(model string) Option { return func(r *Request) { r.Model = model } }

// System has instructions that stand above the conversation: put before everything else, after earlier instructions.
func System(instructions string) Option {
	return func(r *Request) {
		at := 0
		for at < len(r.Messages) && r.Messages[at].Role == RoleSystem {
			at++
		}
		made := append([]Message(nil), r.Messages[:at]...)
		made = append(made, Message{RoleSystem, []Part{Text(instructions)}})
		r.Messages = append(made, r.Messages[at:]...)
	}
}

// Attach adds an image to the last turn.
func Attach(mediaType string, data []byte) Option {
	return func(r *Request) {
		if len(r.Messages) == 0 {
			r.Messages = []Message{{Role: RoleUser}}
		}
		last := &r.Messages[len(r.Messages)-1]
		last.Parts = append(last.Parts, Image{mediaType, data})
	}
}

// MaxTokens is the most tokens of answer.
func MaxTokens(tokens int) Option { return func(r *Request) { r.MaxTokens = uint32(max(tokens, 1)) } }

// Temperature is how random the answer is; 0 is least.
func Temperature(temperature float32) Option {
	return func(r *Request) { r.Temperature = &temperature }
}

// TopP is nucleus sampling: only the likeliest tokens whose shares add up to this.
func TopP(share float32) Option { return func(r *Request) { r.TopP = &share } }

// Stop ends the answer where the model writes one of these.
func Stop(sequences ...string) Option {
	return func(r *Request) { r.Stop = append(r.Stop, sequences...) }
}

// Think is how hard to think.
func Think(effort Effort) Option { return func(r *Request) { r.Effort = effort } }

// CacheSoFar says that everything up to the last message is the same in many calls and worth caching.
func CacheSoFar(r *Request) {
	if len(r.Messages) > 0 {
		last := uint32(len(r.Messages) - 1)
		r.CacheUntil = &last
	}
}

// ProviderOptions is merged into the provider's request, for what has no common name. The operator's grant must allow it.
func ProviderOptions(options map[string]any) Option {
	return func(r *Request) {
		text, err := json.Marshal(options, json.Deterministic(true))
		if err != nil {
			r.wrong = ringfence.Refuse(ringfence.Invalid, "the provider's options cannot be JSON: "+err.Error())
		}
		r.ProviderOptions = string(text)
	}
}

// Schema asks for JSON that matches this JSON Schema. JSON does that with a Go type.
func Schema(schema string) Option { return func(r *Request) { r.OutputSchema = schema } }

// Choose says whether and which tool the model calls.
func Choose(choice ToolChoice) Option { return func(r *Request) { r.ToolChoice = choice } }

// Offer tells the model of tools that Run does not run: the answer's ToolCalls ask for them.
func Offer(tools ...ToolSpec) Option {
	return func(r *Request) { r.Tools = append(r.Tools, tools...) }
}

// Prompt gives the text of all messages, a blank line between them.
func (request *Request) Prompt() string {
	text := ""
	for at, message := range request.Messages {
		if at > 0 {
			text += "\n\n"
		}
		text += message.Text()
	}
	return text
}
