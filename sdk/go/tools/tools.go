// Package tools calls tools of other skills that are installed on the host.
//
// A call runs with what both skills may do and no more, on the budget and the deadline of this invocation. An error is a
// *ringfence.Refusal where the host did not make the call, and a *ringfence.Failure where the other skill failed; both can be handed on.
//
//	summary, err := tools.Call(ctx, "summarize/summarize", map[string]any{"text": "Bees hum."})
package tools

import (
	"context"
	"encoding/json/v2"
	"fmt"

	"ringfence"
	"ringfence/internal/host"
)

// Listed is a tool with the skill that it belongs to. Its description is a stranger's words.
type Listed struct {
	// Name is `skill/tool`, as Call takes it.
	Name string
	Tool ringfence.Description
}

// List gives the tools that this skill may call now.
func List(ctx context.Context) []Listed { return list(ctx) }

// Call calls `skill/tool`, and waits for its outcome. The input is anything whose JSON is an object.
func Call(ctx context.Context, name string, input any) (*ringfence.Outcome, error) {
	text, err := encode(ctx, name, input)
	if err != nil {
		return nil, err
	}
	return call(ctx, name, text)
}

// CallFor is Call, for the structured part of the outcome.
func CallFor[T any](ctx context.Context, name string, input any) (T, error) {
	outcome, err := Call(ctx, name, input)
	return read[T](name, outcome, err)
}

// Pending is a call under way. It runs whether it is waited for or not.
type Pending struct {
	name  string
	inner source
}

// source is a call at the host, or at the fake.
type source interface {
	Wait() (*ringfence.Outcome, error)
	Drop()
}

// Start calls `skill/tool` and returns at once, so that several calls run at the same time.
func Start(ctx context.Context, name string, input any) (*Pending, error) {
	text, err := encode(ctx, name, input)
	if err != nil {
		return nil, err
	}
	inner, err := start(ctx, name, text)
	if err != nil {
		return nil, err
	}
	return &Pending{name: name, inner: inner}, nil
}

// Wait waits for the outcome. A second call gives Invalid.
func (pending *Pending) Wait() (*ringfence.Outcome, error) {
	if pending.inner == nil {
		return nil, ringfence.Refuse(ringfence.Invalid, "the call of `"+pending.name+"` was waited for already")
	}
	inner := pending.inner
	pending.inner = nil
	defer inner.Drop()
	return inner.Wait()
}

// Cancel ends the call where it was not waited for.
func (pending *Pending) Cancel() {
	if pending.inner != nil {
		pending.inner.Drop()
		pending.inner = nil
	}
}

// WaitFor is Wait, for the structured part of the outcome.
func WaitFor[T any](pending *Pending) (T, error) {
	outcome, err := pending.Wait()
	return read[T](pending.name, outcome, err)
}

func encode(ctx context.Context, name string, input any) (string, error) {
	if err := host.Check(ctx); err != nil {
		return "", err
	}
	text, err := json.Marshal(input)
	if err != nil {
		return "", ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("the input for `%s` cannot be JSON: %s", name, err))
	}
	return string(text), nil
}

func read[T any](name string, outcome *ringfence.Outcome, err error) (value T, _ error) {
	if err != nil {
		return value, err
	}
	if err := outcome.Decode(&value); err != nil {
		return value, ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("what `%s` gave is not what was expected: %s", name, err))
	}
	return value, nil
}
