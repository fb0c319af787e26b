package model

import (
	"context"
	"iter"

	"ringfence"
	"ringfence/internal/host"
	"ringfence/progress"
)

// Event is what happens while an answer is made: TextEvent, ThinkingEvent, ToolCallStart, ToolCallDelta, ToolCall or *Response, which
// is the last one of an answer that worked.
type Event interface{ event() }

// TextEvent is more of the text.
type TextEvent string

// ThinkingEvent is more of what the model thinks.
type ThinkingEvent string

// ToolCallStart begins a tool call.
type ToolCallStart struct{ ID, Name string }

// ToolCallDelta is more of the arguments of a tool call.
type ToolCallDelta struct{ ID, Delta string }

func (TextEvent) event()     {}
func (ThinkingEvent) event() {}
func (ToolCallStart) event() {}
func (ToolCallDelta) event() {}
func (ToolCall) event()      {}
func (*Response) event()     {}

// source is an answer being made by the host, or by the fake.
type source interface {
	Next() ([]Event, error)
	Drop()
}

// Generation is an answer being made. It is made whether it is read or not; Cancel ends it.
type Generation struct {
	ctx   context.Context
	inner source
	ready []Event
}

// Open asks, and returns at once, so that several answers are made at the same time.
func Open(ctx context.Context, prompt string, options ...Option) (*Generation, error) {
	return OpenRequest(ctx, NewRequest(prompt, options...))
}

// OpenRequest is Open for a request.
func OpenRequest(ctx context.Context, request *Request) (*Generation, error) {
	if err := request.check(ctx); err != nil {
		return nil, err
	}
	inner, err := open(ctx, request)
	if err != nil {
		return nil, err
	}
	return &Generation{ctx: ctx, inner: inner}, nil
}

// Next gives the next event, and nil when the generation is over. After an error it is over: what was given before stays valid, but
// is incomplete.
func (generation *Generation) Next() (Event, error) {
	if len(generation.ready) == 0 {
		if generation.inner == nil {
			return nil, nil
		}
		events, err := generation.inner.Next()
		if err == nil && len(events) > 0 {
			err = host.Check(generation.ctx)
		}
		if err != nil || len(events) == 0 {
			generation.Cancel()
			return nil, err
		}
		generation.ready = events
	}
	event := generation.ready[0]
	generation.ready = generation.ready[1:]
	return event, nil
}

// Cancel ends the generation where it is not over.
func (generation *Generation) Cancel() {
	generation.ready = nil
	if generation.inner != nil {
		generation.inner.Drop()
		generation.inner = nil
	}
}

// Events gives all events. Leaving the loop cancels the generation.
func (generation *Generation) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer generation.Cancel()
		for {
			event, err := generation.Next()
			if err != nil {
				yield(nil, err)
				return
			}
			if event == nil || !yield(event, nil) {
				return
			}
		}
	}
}

// Text gives the text piece by piece. Leaving the loop cancels the generation.
func (generation *Generation) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for event, err := range generation.Events() {
			text, isText := event.(TextEvent)
			if (isText || err != nil) && !yield(string(text), err) {
				return
			}
		}
	}
}

// Finish waits for the whole answer.
func (generation *Generation) Finish() (*Response, error) { return generation.finish(func(string) {}) }

// Emit shows the text to the caller as it is written, and gives the whole answer.
func (generation *Generation) Emit() (*Response, error) {
	return generation.finish(func(text string) { progress.Emit(generation.ctx, text) })
}

func (generation *Generation) finish(show func(string)) (*Response, error) {
	for event, err := range generation.Events() {
		if err != nil {
			return nil, err
		}
		switch event := event.(type) {
		case TextEvent:
			show(string(event))
		case *Response:
			return event, nil
		}
	}
	return nil, ringfence.Refuse(ringfence.Unavailable, "the answer ended before it was complete")
}

// Stream asks, and gives the text piece by piece. Leaving the loop cancels the generation.
func Stream(ctx context.Context, prompt string, options ...Option) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		generation, err := Open(ctx, prompt, options...)
		if err != nil {
			yield("", err)
			return
		}
		generation.Text()(yield)
	}
}
