package host

import (
	"context"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	wit "ringfence/internal/bindings/imports/ringfence_skill_log"
)

// Log writes one line into the operator's log.
func Log(_ context.Context, level uint8, message string, fields []Field) {
	lowered := make([]witTypes.Tuple2[string, string], len(fields))
	for at, field := range fields {
		lowered[at] = witTypes.Tuple2[string, string]{F0: field.Key, F1: field.Value}
	}
	wit.Log(level, message, lowered)
}
