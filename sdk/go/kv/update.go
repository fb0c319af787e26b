package kv

import (
	"context"
	"fmt"

	"ringfence"
)

// attempts is how often Update tries when others write the same key.
const attempts = 32

// Update changes a value so that no other invocation's change is lost, and gives the new value.
//
// change is given the value that is there, or the zero value. It is called again where another invocation wrote in between, so that it
// should do nothing but compute. After 32 attempts the refusal is Unavailable.
func Update[T any](ctx context.Context, key string, change func(old T) T) (T, error) {
	var none T
	for range attempts {
		entry, err := Read(ctx, key)
		if err != nil {
			return none, err
		}
		var old T
		condition := Absent
		if entry != nil {
			if err := decode(key, entry.Value, &old); err != nil {
				return none, err
			}
			condition = IfVersion(entry.Version)
		}
		changed := change(old)
		bytes, err := encode(key, changed)
		if err != nil {
			return none, err
		}
		written, err := SetIf(ctx, key, bytes, condition)
		if err != nil {
			return none, err
		}
		if written.Done {
			return changed, nil
		}
	}
	return none, ringfence.Refuse(ringfence.Unavailable, fmt.Sprintf("`%s` was changed by others %d times in a row", key, attempts))
}
