package kv

import (
	"context"

	wit "ringfence/internal/bindings/imports/ringfence_skill_kv"
	"ringfence/internal/wire"
)

func get(_ context.Context, key string) (*Entry, error) {
	found, err := wire.Result(wit.Get(key))
	if err != nil || found.IsNone() {
		return nil, err
	}
	entry := Entry(found.Some())
	return &entry, nil
}

func set(_ context.Context, key string, value []byte, condition Condition) (Written, error) {
	written, err := wire.Result(wit.Set(key, value, lower(condition)))
	return lift(written, err)
}

func remove(_ context.Context, key string, condition Condition) (Written, error) {
	written, err := wire.Result(wit.Delete(key, lower(condition)))
	return lift(written, err)
}

func list(_ context.Context, prefix, cursor string, limit uint32) ([]string, string, error) {
	page, err := wire.Result(wit.List(prefix, wire.SomeText(cursor), limit))
	if err != nil {
		return nil, "", err
	}
	return page.Keys, page.Cursor.SomeOr(""), nil
}

func lower(condition Condition) wit.Condition {
	switch condition.kind {
	case 1:
		return wit.MakeConditionAbsent()
	case 2:
		return wit.MakeConditionVersion(condition.version)
	}
	return wit.MakeConditionAlways()
}

func lift(written wit.Written, err error) (Written, error) {
	if err != nil {
		return Written{}, err
	}
	if written.Tag() == wit.Written_Done {
		return Written{Done: true, Version: written.Done()}, nil
	}
	return Written{Version: written.Conflict().SomeOr(0)}, nil
}
