//go:build !wasip1

package host

import (
	"context"
	"fmt"
)

type key struct{}

// With puts the imports of a fake into a context.
func With(ctx context.Context, imports any) context.Context {
	return context.WithValue(ctx, key{}, imports)
}

// Find gives the fake's half of an interface, if there is a fake.
func Find[T any](ctx context.Context) (T, bool) {
	imports, ok := ctx.Value(key{}).(T)
	return imports, ok
}

// Imports gives the fake's half of an interface. A test that has no fake is told so.
func Imports[T any](ctx context.Context, what string) T {
	imports, ok := Find[T](ctx)
	if !ok {
		panic(fmt.Sprintf("`%s` was called outside of a host: begin the test with `host := fake.New(t)`, and hand on `host.Context()`", what))
	}
	return imports
}

// Log gives a line to the fake. It never fails, also not in a test that has no fake because it needs none.
func Log(ctx context.Context, level uint8, message string, fields []Field) {
	type lines interface {
		Log(level uint8, message string, fields []Field)
	}
	if fake, ok := Find[lines](ctx); ok {
		fake.Log(level, message, fields)
	}
}
