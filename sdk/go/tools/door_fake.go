//go:build !wasip1

package tools

import (
	"context"

	"ringfence"
	"ringfence/internal/host"
)

type imports interface {
	ToolsList() []Listed
	ToolsCall(name, input string) (*ringfence.Outcome, error)
	ToolsStart(name, input string) (wait func() (*ringfence.Outcome, error), drop func(), err error)
}

func list(ctx context.Context) []Listed {
	return host.Imports[imports](ctx, "tools.List").ToolsList()
}

func call(ctx context.Context, name, input string) (*ringfence.Outcome, error) {
	return host.Imports[imports](ctx, "tools.Call").ToolsCall(name, input)
}

type pending struct {
	wait func() (*ringfence.Outcome, error)
	drop func()
}

func (p pending) Wait() (*ringfence.Outcome, error) { return p.wait() }
func (p pending) Drop()                             { p.drop() }

func start(ctx context.Context, name, input string) (source, error) {
	wait, drop, err := host.Imports[imports](ctx, "tools.Start").ToolsStart(name, input)
	if err != nil {
		return nil, err
	}
	return pending{wait, drop}, nil
}
