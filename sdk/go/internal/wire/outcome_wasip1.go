package wire

import (
	"ringfence"
	wit "ringfence/internal/bindings/imports/ringfence_skill_types"
)

// Outcome lifts the outcome of another skill's tool.
func Outcome(outcome wit.Outcome) *ringfence.Outcome {
	made := &ringfence.Outcome{}
	for _, content := range outcome.Content {
		made.Content = append(made.Content, lift(content))
	}
	if outcome.Structured.IsSome() {
		made.Structured = []byte(outcome.Structured.Some())
	}
	return made
}

func lift(content wit.Content) ringfence.Content {
	switch content.Tag() {
	case wit.Content_Image:
		return ringfence.Image(content.Image())
	case wit.Content_Audio:
		return ringfence.Audio(content.Audio())
	case wit.Content_Link:
		link := content.Link()
		return ringfence.Link{URI: link.Uri, Title: link.Title.SomeOr(""), MediaType: link.MediaType.SomeOr("")}
	}
	return ringfence.Text(content.Text())
}

// Failure lifts the failure of another skill's tool.
func Failure(failure wit.Failure, tool string) *ringfence.Failure {
	kinds := [...]ringfence.FailureKind{ringfence.KindInvalidInput, ringfence.KindUnknownTool, ringfence.KindRefused,
		ringfence.KindUnavailable, ringfence.KindFailed}
	return &ringfence.Failure{Kind: kinds[failure.Kind], Message: failure.Message, Hint: failure.Hint.SomeOr(""), Tool: tool}
}

// Tool lifts the description of another skill's tool.
func Tool(tool wit.Tool) ringfence.Description {
	return ringfence.Description{
		Name:         tool.Name,
		Title:        tool.Title.SomeOr(""),
		Description:  tool.Description,
		InputSchema:  tool.InputSchema,
		OutputSchema: tool.OutputSchema.SomeOr(""),
		ReadOnly:     tool.Hints&wit.ToolHints_ReadOnly != 0,
		Destructive:  tool.Hints&wit.ToolHints_Destructive != 0,
		Idempotent:   tool.Hints&wit.ToolHints_Idempotent != 0,
		OpenWorld:    tool.Hints&wit.ToolHints_OpenWorld != 0,
	}
}
