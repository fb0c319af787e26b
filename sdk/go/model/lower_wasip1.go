package model

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	wit "ringfence/internal/bindings/imports/ringfence_skill_model"
	"ringfence/internal/wire"
)

func lower(request *Request) wit.Request {
	lowered := wit.Request{
		Model:           request.Model,
		ToolChoice:      lowerChoice(request.ToolChoice),
		OutputSchema:    wire.SomeText(request.OutputSchema),
		MaxTokens:       witTypes.None[uint32](),
		Temperature:     wire.Some(request.Temperature),
		TopP:            wire.Some(request.TopP),
		Stop:            request.Stop,
		Effort:          lowerEffort(request.Effort),
		CacheUntil:      wire.Some(request.CacheUntil),
		ProviderOptions: wire.SomeText(request.ProviderOptions),
	}
	if request.MaxTokens > 0 {
		lowered.MaxTokens = witTypes.Some(request.MaxTokens)
	}
	for _, message := range request.Messages {
		lowered.Messages = append(lowered.Messages, lowerMessage(message))
	}
	for _, tool := range request.Tools {
		lowered.Tools = append(lowered.Tools, wit.Tool(tool))
	}
	return lowered
}

func lowerMessage(message Message) wit.Message {
	roles := map[Role]uint8{
		RoleSystem: wit.Role_System, RoleUser: wit.Role_User, RoleAssistant: wit.Role_Assistant, RoleTool: wit.Role_Tool,
	}
	lowered := wit.Message{Role: roles[message.Role]}
	for _, part := range message.Parts {
		switch part := part.(type) {
		case Text:
			lowered.Parts = append(lowered.Parts, wit.MakePartText(string(part)))
		case Image:
			lowered.Parts = append(lowered.Parts, wit.MakePartImage(wit.Image(part)))
		case Thinking:
			thinking := wit.Thinking{Text: part.Text, Signature: wire.Some(part.Signature)}
			lowered.Parts = append(lowered.Parts, wit.MakePartThinking(thinking))
		case ToolCall:
			call := wit.ToolCall{Id: part.ID, Name: part.Name, Input: part.Input, Signature: wire.Some(part.Signature)}
			lowered.Parts = append(lowered.Parts, wit.MakePartToolCall(call))
		case ToolResult:
			result := wit.ToolResult{Id: part.ID, Content: part.Content, IsError: part.IsError}
			lowered.Parts = append(lowered.Parts, wit.MakePartToolResult(result))
		}
	}
	return lowered
}

func lowerChoice(choice ToolChoice) wit.ToolChoice {
	switch choice {
	case ToolAuto:
		return wit.MakeToolChoiceAuto()
	case ToolNone:
		return wit.MakeToolChoiceNone()
	case ToolRequired:
		return wit.MakeToolChoiceRequired()
	}
	return wit.MakeToolChoiceNamed(string(choice))
}

func lowerEffort(effort Effort) witTypes.Option[wit.Effort] {
	switch effort {
	case EffortNone:
		return witTypes.Some(wit.Effort_None)
	case EffortLow:
		return witTypes.Some(wit.Effort_Low)
	case EffortMedium:
		return witTypes.Some(wit.Effort_Medium)
	case EffortHigh:
		return witTypes.Some(wit.Effort_High)
	}
	return witTypes.None[wit.Effort]()
}
