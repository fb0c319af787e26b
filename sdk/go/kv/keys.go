package kv

import (
	"context"
	"iter"

	"ringfence/internal/host"
)

// Keys gives the keys that begin with a prefix, in byte order, asked for page by page. An error is the last thing that comes.
//
//	for key, err := range kv.Keys(ctx, "notes/") { ... }
func Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		cursor := ""
		for {
			err := host.Check(ctx)
			var keys []string
			if err == nil {
				keys, cursor, err = list(ctx, prefix, cursor, 0)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range keys {
				if !yield(key, nil) {
					return
				}
			}
			if cursor == "" {
				return
			}
		}
	}
}
