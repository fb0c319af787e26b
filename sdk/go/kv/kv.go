// Package kv keeps state between invocations. Each skill has its own.
//
// Keys are 1 to 256 bytes of UTF-8 without control characters; values are at most 1 MiB. Values are JSON unless the function's name
// says bytes.
package kv

import (
	"context"
	"encoding/json/v2"
	"fmt"

	"ringfence"
	"ringfence/internal/host"
)

// Entry is a value with its version. Versions start at 1, rise with every change of the key and are never used again.
type Entry struct {
	Value   []byte
	Version uint64
}

// Condition says when to write: Always, Absent, or IfVersion(n).
type Condition struct {
	kind    uint8
	version uint64
}

var (
	// Always writes whatever is there.
	Always = Condition{}
	// Absent writes only where the key does not exist.
	Absent = Condition{kind: 1}
)

// IfVersion writes only where the key has this version (compare-and-set).
func IfVersion(version uint64) Condition { return Condition{kind: 2, version: version} }

// Holds says whether the condition lets a write pass; the version of a key that does not exist is 0.
func (condition Condition) Holds(version uint64) bool {
	switch condition.kind {
	case 1:
		return version == 0
	case 2:
		return version == condition.version
	}
	return true
}

// Written is what a conditional write did.
type Written struct {
	// Done is false where the condition did not hold and nothing was changed.
	Done bool
	// Version is the version that is there now; 0 where the key does not exist.
	Version uint64
}

// Get gives the value of a key; ok is false where there is none.
func Get[T any](ctx context.Context, key string) (value T, ok bool, err error) {
	entry, err := Read(ctx, key)
	if err != nil || entry == nil {
		return value, false, err
	}
	err = decode(key, entry.Value, &value)
	return value, err == nil, err
}

// Read gives the bytes of a key with their version, for a conditional write; nil where there are none.
func Read(ctx context.Context, key string) (*Entry, error) {
	if err := host.Check(ctx); err != nil {
		return nil, err
	}
	return get(ctx, key)
}

// Set writes whatever is there, and gives the new version.
func Set(ctx context.Context, key string, value any) (version uint64, err error) {
	bytes, err := encode(key, value)
	if err != nil {
		return 0, err
	}
	return SetBytes(ctx, key, bytes)
}

// SetBytes writes bytes whatever is there, and gives the new version.
func SetBytes(ctx context.Context, key string, value []byte) (version uint64, err error) {
	written, err := SetIf(ctx, key, value, Always)
	if err == nil && !written.Done {
		err = ringfence.Refuse(ringfence.Unavailable, "the host did not write `"+key+"`, though nothing was in the way")
	}
	return written.Version, err
}

// SetIf writes bytes where the condition holds. That it does not hold is no error: see Written.
func SetIf(ctx context.Context, key string, value []byte, condition Condition) (Written, error) {
	if err := host.Check(ctx); err != nil {
		return Written{}, err
	}
	return set(ctx, key, value, condition)
}

// Delete deletes a key; one that is not there counts as deleted.
func Delete(ctx context.Context, key string) error {
	_, err := DeleteIf(ctx, key, Always)
	return err
}

// DeleteIf deletes a key where the condition holds.
func DeleteIf(ctx context.Context, key string, condition Condition) (Written, error) {
	if err := host.Check(ctx); err != nil {
		return Written{}, err
	}
	return remove(ctx, key, condition)
}

func encode(key string, value any) ([]byte, error) {
	bytes, err := json.Marshal(value)
	if err != nil {
		return nil, ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("the value for `%s` cannot be JSON: %s", key, err))
	}
	return bytes, nil
}

func decode(key string, bytes []byte, value any) error {
	if err := json.Unmarshal(bytes, value); err != nil {
		return ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("what is stored under `%s` is not what the skill expects: %s", key, err))
	}
	return nil
}
