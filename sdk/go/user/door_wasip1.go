package user

import (
	"context"
	"math"

	wit "ringfence/internal/bindings/imports/ringfence_skill_user"
	"ringfence/internal/wire"
)

func ask(_ context.Context, question Question) (string, error) {
	var timeout *uint32
	if question.Timeout > 0 {
		limit := uint32(min(question.Timeout.Milliseconds(), math.MaxUint32))
		timeout = &limit
	}
	return wire.Result(wit.Ask(wit.Question{
		Text:      question.Text,
		Schema:    wire.SomeText(question.Schema),
		TimeoutMs: wire.Some(timeout),
		Remember:  wire.SomeText(question.Remember),
	}))
}
