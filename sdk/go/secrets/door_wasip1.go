package secrets

import (
	"context"

	wit "ringfence/internal/bindings/imports/ringfence_skill_secrets"
)

func exists(_ context.Context, name string) bool { return wit.Exists(name) }
