package tools

import (
	"context"

	"ringfence"
	wit "ringfence/internal/bindings/imports/ringfence_skill_tools"
	"ringfence/internal/wire"
)

func list(context.Context) []Listed {
	var tools []Listed
	for _, listed := range wit.List() {
		tools = append(tools, Listed{Name: listed.Name, Tool: wire.Tool(listed.Tool)})
	}
	return tools
}

func call(_ context.Context, name, input string) (*ringfence.Outcome, error) {
	answer, err := wire.Result(wit.Call(name, input))
	return lift(name, answer, err)
}

type pending struct {
	name  string
	inner *wit.Pending
}

func (p pending) Wait() (*ringfence.Outcome, error) {
	answer, err := wire.Result(p.inner.Wait())
	return lift(p.name, answer, err)
}

func (p pending) Drop() { p.inner.Drop() }

func start(_ context.Context, name, input string) (source, error) {
	inner, err := wire.Result(wit.Start(name, input))
	if err != nil {
		return nil, err
	}
	return pending{name, inner}, nil
}

func lift(name string, answer wit.Answer, err error) (*ringfence.Outcome, error) {
	if err != nil {
		return nil, err
	}
	if answer.Tag() == wit.Answer_Failure {
		return nil, wire.Failure(answer.Failure(), name)
	}
	return wire.Outcome(answer.Outcome()), nil
}
