// Package config gives the operator's settings for this skill, as its manifest's `[config]` describes them.
package config

import (
	"context"
	"encoding/json/v2"

	"ringfence"
)

// Get gives the value of a top-level key; ok is false where neither the operator nor the manifest's defaults set it. An error means that
// the value is not a T: then the manifest's schema says something else than the code.
func Get[T any](ctx context.Context, key string) (value T, ok bool, err error) {
	text, ok := get(ctx, key)
	if !ok {
		return value, false, nil
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return value, true, ringfence.Refuse(ringfence.Invalid, "the setting `"+key+"` is not what the skill expects: "+err.Error())
	}
	return value, true, nil
}

// Or gives the value of a top-level key, or the fallback where it is not set.
func Or[T any](ctx context.Context, key string, fallback T) (T, error) {
	value, ok, err := Get[T](ctx, key)
	if err != nil || ok {
		return value, err
	}
	return fallback, nil
}
