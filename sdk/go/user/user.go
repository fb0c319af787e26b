// Package user asks the person behind the call. Questions are refused as Unavailable where nobody is there, and as Cancelled where the
// person declines to answer.
package user

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"time"

	"ringfence"
	"ringfence/internal/host"
	"ringfence/internal/schema"
)

// Question is what the person is asked.
type Question struct {
	// Text is at most 2,000 bytes.
	Text string
	// Schema is the JSON Schema of the answer; empty for a text.
	Schema string
	// Timeout is how long to wait; 0 for as long as the invocation lasts.
	Timeout time.Duration
	// Remember is a name under which the person may let the host keep the answer; empty for none.
	Remember string
}

// Option says more about a question.
type Option func(*Question)

// Timeout waits at most this long.
func Timeout(time time.Duration) Option { return func(q *Question) { q.Timeout = time } }

// Remember lets the person have the answer kept under this name: the same question is then answered without asking the next time.
// 1 to 64 characters of a-z 0-9 _ -.
func Remember(name string) Option { return func(q *Question) { q.Remember = name } }

// Ask asks for a text.
func Ask(ctx context.Context, text string, options ...Option) (string, error) {
	return answer[string](ctx, text, "", options)
}

// Confirm asks for a yes or a no.
func Confirm(ctx context.Context, text string, options ...Option) (bool, error) {
	return answer[bool](ctx, text, `{"type":"boolean"}`, options)
}

// Choose asks for one of these texts.
func Choose(ctx context.Context, text string, choices []string, options ...Option) (string, error) {
	list, err := json.Marshal(choices)
	if err != nil {
		return "", err
	}
	return answer[string](ctx, text, `{"type":"string","enum":`+string(list)+`}`, options)
}

// Number asks for a number.
func Number(ctx context.Context, text string, options ...Option) (float64, error) {
	return answer[float64](ctx, text, `{"type":"number"}`, options)
}

// Form asks for the fields of a flat struct.
func Form[T any](ctx context.Context, text string, options ...Option) (T, error) {
	made, err := schema.Of(reflect.TypeFor[T](), schema.In)
	if err != nil {
		var none T
		return none, fmt.Errorf("a form cannot be made: %w", err)
	}
	return answer[T](ctx, text, made.String(), options)
}

func answer[T any](ctx context.Context, text, schema string, options []Option) (value T, err error) {
	if err := host.Check(ctx); err != nil {
		return value, err
	}
	question := Question{Text: text, Schema: schema}
	for _, option := range options {
		option(&question)
	}
	given, err := ask(ctx, question)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal([]byte(given), &value); err != nil {
		return value, ringfence.Refuse(ringfence.Invalid, "the answer is not what the skill expects: "+err.Error())
	}
	return value, nil
}
