package model

import "strings"

// Role says who speaks in a message.
type Role string

const (
	// RoleSystem has instructions that stand above the conversation.
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	// RoleTool has results of tool calls.
	RoleTool Role = "tool"
)

// Message is one turn of a conversation.
type Message struct {
	Role  Role
	Parts []Part
}

// Part is one piece of a message: Text, Image, Thinking, ToolCall or ToolResult.
type Part interface{ part() }

// Text is text.
type Text string

// Image is an image for the model to see: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
type Image struct {
	MediaType string
	Data      []byte
}

// Thinking is what the model thought. It is given back unchanged where a tool loop goes on: some providers insist.
type Thinking struct {
	Text string
	// Signature is the provider's opaque proof of it; nil where there is none.
	Signature *string
}

// ToolCall says that the model wants a tool called.
type ToolCall struct {
	ID   string
	Name string
	// Input is the arguments as JSON, not checked against the tool's schema.
	Input string
	// Signature is the provider's opaque proof of it, to be given back unchanged; nil where there is none.
	Signature *string
}

// ToolResult is what a tool gave.
type ToolResult struct {
	// ID is the ToolCall's.
	ID      string
	Content string
	IsError bool
}

func (Text) part()       {}
func (Image) part()      {}
func (Thinking) part()   {}
func (ToolCall) part()   {}
func (ToolResult) part() {}

// User is what the user says.
func User(text string) Message { return Message{RoleUser, []Part{Text(text)}} }

// Assistant is what the model said before.
func Assistant(text string) Message { return Message{RoleAssistant, []Part{Text(text)}} }

// Text gives all text parts, joined.
func (message Message) Text() string {
	var all strings.Builder
	for _, part := range message.Parts {
		if text, ok := part.(Text); ok {
			all.WriteString(string(text))
		}
	}
	return all.String()
}

// ToolCalls gives the tool calls that the message asks for.
func (message Message) ToolCalls() []ToolCall {
	var calls []ToolCall
	for _, part := range message.Parts {
		if call, ok := part.(ToolCall); ok {
			calls = append(calls, call)
		}
	}
	return calls
}
