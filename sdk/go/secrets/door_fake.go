//go:build !wasip1

package secrets

import (
	"context"

	"ringfence/internal/host"
)

type imports interface{ SecretExists(name string) bool }

func exists(ctx context.Context, name string) bool {
	return host.Imports[imports](ctx, "secrets.Exists").SecretExists(name)
}
