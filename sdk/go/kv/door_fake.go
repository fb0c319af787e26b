//go:build !wasip1

package kv

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	KvGet(key string) (*Entry, error)
	KvSet(key string, value []byte, condition Condition) (Written, error)
	KvDelete(key string, condition Condition) (Written, error)
	KvList(prefix, cursor string, limit uint32) ([]string, string, error)
}

func get(ctx context.Context, key string) (*Entry, error) {
	return host.Imports[imports](ctx, "kv.Get").KvGet(key)
}

func set(ctx context.Context, key string, value []byte, condition Condition) (Written, error) {
	return host.Imports[imports](ctx, "kv.Set").KvSet(key, value, condition)
}

func remove(ctx context.Context, key string, condition Condition) (Written, error) {
	return host.Imports[imports](ctx, "kv.Delete").KvDelete(key, condition)
}

func list(ctx context.Context, prefix, cursor string, limit uint32) ([]string, string, error) {
	return host.Imports[imports](ctx, "kv.Keys").KvList(prefix, cursor, limit)
}
