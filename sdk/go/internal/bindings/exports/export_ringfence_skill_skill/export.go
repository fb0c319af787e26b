// Package export_ringfence_skill_skill is what the generated exports call; the name is theirs. It is written by hand and
// leads on to functions that the root package sets, because the root package imports the exports and cannot be imported here.
package export_ringfence_skill_skill

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"ringfence/internal/bindings/imports/ringfence_skill_skill"
)

// OnTools and OnCall are set before the component is entered, when packages are initialised.
var (
	OnTools func() []ringfence_skill_skill.Tool
	OnCall  func(name, input string, context ringfence_skill_skill.Context) witTypes.Result[ringfence_skill_skill.Outcome, ringfence_skill_skill.Failure]
)

// Tools lists the tools.
func Tools() []ringfence_skill_skill.Tool { return OnTools() }

// Call runs one tool.
func Call(name, input string, context ringfence_skill_skill.Context) witTypes.Result[ringfence_skill_skill.Outcome, ringfence_skill_skill.Failure] {
	return OnCall(name, input, context)
}
