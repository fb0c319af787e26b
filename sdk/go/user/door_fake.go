//go:build !wasip1

package user

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	UserAsk(question Question) (string, error)
}

func ask(ctx context.Context, question Question) (string, error) {
	return host.Imports[imports](ctx, "user.Ask").UserAsk(question)
}
