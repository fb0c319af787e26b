//go:build !wasip1

package config

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	ConfigGet(key string) (string, bool)
}

func get(ctx context.Context, key string) (string, bool) {
	return host.Imports[imports](ctx, "config.Get").ConfigGet(key)
}
