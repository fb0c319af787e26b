package ringfence

import (
	"context"
	"log/slog"
	"time"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"ringfence/internal/bindings/exports/export_ringfence_skill_skill"
	_ "ringfence/internal/bindings/exports/wit_exports"
	wit "ringfence/internal/bindings/imports/ringfence_skill_skill"
	"ringfence/internal/bindings/imports/ringfence_skill_types"
	"ringfence/internal/host"
)

func init() {
	export_ringfence_skill_skill.OnTools = exportTools
	export_ringfence_skill_skill.OnCall = exportCall
	// Code that logs by Go's own packages, the author's or a library's, reaches the operator's log too.
	slog.SetDefault(slog.New(host.Handler{}))
}

func exportTools() []wit.Tool {
	list, err := Tools()
	if err != nil {
		host.Log(context.Background(), host.Error, err.Error(), nil)
		// Listing cannot fail in the contract. The text goes to standard error as well, which the host shows.
		panic(err.Error())
	}
	lowered := make([]wit.Tool, len(list))
	for at, tool := range list {
		var hints uint8
		for flag, set := range map[uint8]bool{
			ringfence_skill_types.ToolHints_ReadOnly:    tool.ReadOnly,
			ringfence_skill_types.ToolHints_Destructive: tool.Destructive,
			ringfence_skill_types.ToolHints_Idempotent:  tool.Idempotent,
			ringfence_skill_types.ToolHints_OpenWorld:   tool.OpenWorld,
		} {
			if set {
				hints |= flag
			}
		}
		lowered[at] = wit.Tool{
			Name:         tool.Name,
			Title:        text(tool.Title),
			Description:  tool.Description,
			InputSchema:  tool.InputSchema,
			OutputSchema: text(tool.OutputSchema),
			Hints:        hints,
		}
	}
	return lowered
}

func exportCall(name, input string, about wit.Context) witTypes.Result[wit.Outcome, wit.Failure] {
	callers := [...]Caller{CallerUser, CallerClient, CallerModel, CallerSkill}
	limit := time.Duration(min(about.DeadlineMs, 1<<40)) * time.Millisecond
	ctx := NewContext(context.Background(), about.Invocation, callers[about.Caller], limit, about.Locale.SomeOr(""))
	outcome, failure := Call(ctx, name, []byte(input))
	if failure != nil {
		return witTypes.Err[wit.Outcome](wit.Failure{
			Kind:    lowerKind(failure.Kind),
			Message: failure.Message,
			Hint:    text(failure.Hint),
		})
	}
	lowered := wit.Outcome{Structured: witTypes.None[string]()}
	if outcome.Structured != nil {
		lowered.Structured = witTypes.Some(string(outcome.Structured))
	}
	for _, content := range outcome.Content {
		lowered.Content = append(lowered.Content, lowerContent(content))
	}
	return witTypes.Ok[wit.Outcome, wit.Failure](lowered)
}

func lowerContent(content Content) ringfence_skill_types.Content {
	switch content := content.(type) {
	case Image:
		return ringfence_skill_types.MakeContentImage(ringfence_skill_types.Media{MediaType: content.MediaType, Data: content.Data})
	case Audio:
		return ringfence_skill_types.MakeContentAudio(ringfence_skill_types.Media{MediaType: content.MediaType, Data: content.Data})
	case Link:
		link := ringfence_skill_types.Link{Uri: content.URI, Title: text(content.Title), MediaType: text(content.MediaType)}
		return ringfence_skill_types.MakeContentLink(link)
	case Text:
		return ringfence_skill_types.MakeContentText(string(content))
	}
	// The interface is closed: only nil comes here.
	return ringfence_skill_types.MakeContentText("")
}

func lowerKind(kind FailureKind) uint8 {
	switch kind {
	case KindInvalidInput:
		return ringfence_skill_types.FailureKind_InvalidInput
	case KindUnknownTool:
		return ringfence_skill_types.FailureKind_UnknownTool
	case KindRefused:
		return ringfence_skill_types.FailureKind_Refused
	case KindUnavailable:
		return ringfence_skill_types.FailureKind_Unavailable
	}
	return ringfence_skill_types.FailureKind_Failed
}

// text is none where it is empty.
func text(value string) witTypes.Option[string] {
	if value == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(value)
}
