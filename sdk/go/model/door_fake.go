//go:build !wasip1

package model

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	ModelGenerate(request *Request) (*Response, error)
	ModelOpen(request *Request) (next func() ([]Event, error), drop func(), err error)
	ModelEmbed(model string, inputs []string) (*Embeddings, error)
	Models() []Info
}

func generate(ctx context.Context, request *Request) (*Response, error) {
	return host.Imports[imports](ctx, "model.Ask").ModelGenerate(request)
}

type generation struct {
	next func() ([]Event, error)
	drop func()
}

func (g generation) Next() ([]Event, error) { return g.next() }
func (g generation) Drop()                  { g.drop() }

func open(ctx context.Context, request *Request) (source, error) {
	next, drop, err := host.Imports[imports](ctx, "model.Open").ModelOpen(request)
	if err != nil {
		return nil, err
	}
	return generation{next, drop}, nil
}

func embed(ctx context.Context, model string, inputs []string) (*Embeddings, error) {
	return host.Imports[imports](ctx, "model.Embed").ModelEmbed(model, inputs)
}

func models(ctx context.Context) []Info { return host.Imports[imports](ctx, "model.Models").Models() }
