package config

import (
	"context"

	wit "ringfence/internal/bindings/imports/ringfence_skill_config"
)

func get(_ context.Context, key string) (string, bool) {
	value := wit.Get(key)
	return value.SomeOr(""), value.IsSome()
}
