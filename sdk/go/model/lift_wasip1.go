package model

import (
	wit "ringfence/internal/bindings/imports/ringfence_skill_model"
	"ringfence/internal/wire"
)

func lift(response wit.Response) *Response {
	roles := [...]Role{RoleSystem, RoleUser, RoleAssistant, RoleTool}
	reasons := [...]StopReason{StopEnd, StopMaxTokens, StopToolCall, StopRefused, StopSequence}
	lifted := &Response{
		Message:    Message{Role: roles[response.Message.Role]},
		StopReason: reasons[response.StopReason],
		Model:      response.Model,
		Usage:      liftUsage(response.Usage),
	}
	for _, part := range response.Message.Parts {
		lifted.Message.Parts = append(lifted.Message.Parts, liftPart(part))
	}
	return lifted
}

func liftPart(part wit.Part) Part {
	switch part.Tag() {
	case wit.Part_Image:
		return Image(part.Image())
	case wit.Part_Thinking:
		thinking := part.Thinking()
		return Thinking{Text: thinking.Text, Signature: wire.Pointer(thinking.Signature)}
	case wit.Part_ToolCall:
		return liftCall(part.ToolCall())
	case wit.Part_ToolResult:
		result := part.ToolResult()
		return ToolResult{ID: result.Id, Content: result.Content, IsError: result.IsError}
	}
	return Text(part.Text())
}

func liftCall(call wit.ToolCall) ToolCall {
	return ToolCall{ID: call.Id, Name: call.Name, Input: call.Input, Signature: wire.Pointer(call.Signature)}
}

func liftEvent(event wit.Event) Event {
	switch event.Tag() {
	case wit.Event_Thinking:
		return ThinkingEvent(event.Thinking())
	case wit.Event_ToolCallStart:
		pair := event.ToolCallStart()
		return ToolCallStart{ID: pair.F0, Name: pair.F1}
	case wit.Event_ToolCallDelta:
		pair := event.ToolCallDelta()
		return ToolCallDelta{ID: pair.F0, Delta: pair.F1}
	case wit.Event_ToolCall:
		return liftCall(event.ToolCall())
	case wit.Event_Done:
		return lift(event.Done())
	}
	return TextEvent(event.Text())
}

func liftUsage(usage wit.Usage) Usage {
	return Usage{
		InputTokens:       usage.InputTokens,
		CachedInputTokens: usage.CachedInputTokens,
		CacheWriteTokens:  usage.CacheWriteTokens,
		OutputTokens:      usage.OutputTokens,
		ReasoningTokens:   usage.ReasoningTokens,
		MicroDollars:      wire.Pointer(usage.MicroDollars),
	}
}
