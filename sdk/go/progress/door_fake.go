//go:build !wasip1

package progress

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	Report(done, total uint64, message string)
	Emit(text string)
}

func report(ctx context.Context, done, total uint64, message string) {
	if fake, ok := host.Find[imports](ctx); ok {
		fake.Report(done, total, message)
	}
}

func emit(ctx context.Context, text string) {
	if fake, ok := host.Find[imports](ctx); ok {
		fake.Emit(text)
	}
}
