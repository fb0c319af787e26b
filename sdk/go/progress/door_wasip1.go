package progress

import (
	"context"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	wit "ringfence/internal/bindings/imports/ringfence_skill_progress"
	"ringfence/internal/wire"
)

func report(_ context.Context, done, total uint64, message string) {
	known := witTypes.None[uint64]()
	if total > 0 {
		known = witTypes.Some(total)
	}
	wit.Report(done, known, wire.SomeText(message))
}

func emit(_ context.Context, text string) { wit.Emit(text) }
