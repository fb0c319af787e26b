package model

import (
	"context"

	wit "ringfence/internal/bindings/imports/ringfence_skill_model"
	"ringfence/internal/wire"
)

func generate(_ context.Context, request *Request) (*Response, error) {
	response, err := wire.Result(wit.Generate(lower(request)))
	if err != nil {
		return nil, err
	}
	return lift(response), nil
}

type generation struct{ inner *wit.Generation }

func (g generation) Next() ([]Event, error) {
	given, err := wire.Result(g.inner.Next())
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(given))
	for at, event := range given {
		events[at] = liftEvent(event)
	}
	return events, nil
}

func (g generation) Drop() { g.inner.Drop() }

func open(_ context.Context, request *Request) (source, error) {
	inner, err := wire.Result(wit.Open(lower(request)))
	if err != nil {
		return nil, err
	}
	return generation{inner}, nil
}

func embed(_ context.Context, model string, inputs []string) (*Embeddings, error) {
	made, err := wire.Result(wit.Embed(model, inputs))
	if err != nil {
		return nil, err
	}
	return &Embeddings{Vectors: made.Vectors, Model: made.Model, Usage: liftUsage(made.Usage)}, nil
}

func models(context.Context) []Info {
	var infos []Info
	for _, info := range wit.Models() {
		infos = append(infos, Info{
			Name:          info.Name,
			MaxTokens:     info.MaxTokens,
			ContextWindow: info.ContextWindow.SomeOr(0),
			Local:         info.Local,
		})
	}
	return infos
}
