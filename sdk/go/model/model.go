// Package model asks models. The host chooses the provider, holds the keys, counts tokens and money, and refuses when a budget is used up.
//
//	// One answer.
//	answer, err := model.Ask(ctx, "Why is the sky blue?", model.System("Answer in one sentence."), model.MaxTokens(80))
//
//	// A value of a type: its schema goes to the model, and the host validates the answer.
//	verdict, err := model.JSON[Verdict](ctx, "Is this friendly? Hello!", model.Use("fast"))
//
//	// As it is written.
//	for piece, err := range model.Stream(ctx, "Tell a story.") { ... }
//
//	// Many at once, at most 8 in flight, answers in order.
//	for answer, err := range model.Parallel(ctx, 8, prompts) { ... }
//
// Calls to the host stop the whole instance, so that goroutines make nothing faster: Open and Parallel do.
package model

import (
	"context"
	"fmt"
	"reflect"

	"ringfence/internal/host"
	"ringfence/internal/schema"
)

// Ask asks the model `default`, or the one that Use names, and waits for the whole answer.
func Ask(ctx context.Context, prompt string, options ...Option) (*Response, error) {
	return Generate(ctx, NewRequest(prompt, options...))
}

// Chat lets the model go on with a conversation.
func Chat(ctx context.Context, messages []Message, options ...Option) (*Response, error) {
	return Generate(ctx, NewChat(messages, options...))
}

// Generate asks, and waits for the whole answer.
func Generate(ctx context.Context, request *Request) (*Response, error) {
	if err := request.check(ctx); err != nil {
		return nil, err
	}
	return generate(ctx, request)
}

// JSON asks for a value of a type. Its schema is made as that of a tool's input, with the same tags.
func JSON[T any](ctx context.Context, prompt string, options ...Option) (T, error) {
	var value T
	option, err := schemaOf[T]()
	if err != nil {
		return value, err
	}
	response, err := Ask(ctx, prompt, append(options[:len(options):len(options)], option)...)
	if err != nil {
		return value, err
	}
	err = response.Decode(&value)
	return value, err
}

// As asks for JSON of a type; the answer's Decode reads it. JSON does both.
func As[T any]() Option {
	option, err := schemaOf[T]()
	if err != nil {
		return func(r *Request) { r.wrong = err }
	}
	return option
}

func schemaOf[T any]() (Option, error) {
	made, err := schema.Of(reflect.TypeFor[T](), schema.In)
	if err != nil {
		return nil, fmt.Errorf("a model cannot be asked for a `%s`: %w", reflect.TypeFor[T](), err)
	}
	return Schema(made.String()), nil
}

func (request *Request) check(ctx context.Context) error {
	if request.wrong != nil {
		return request.wrong
	}
	return host.Check(ctx)
}

// Embeddings are vectors, one per input and in order.
type Embeddings struct {
	Vectors [][]float32
	Model   string
	Usage   Usage
}

// Embed gives vectors for texts, at most 256. The model is an alias such as `embed`.
func Embed(ctx context.Context, model string, inputs []string) (*Embeddings, error) {
	if err := host.Check(ctx); err != nil {
		return nil, err
	}
	return embed(ctx, model, inputs)
}

// Info is a model that this skill may use.
type Info struct {
	// Name is what Use takes.
	Name string
	// MaxTokens is the largest answer that this skill may ask for.
	MaxTokens uint32
	// ContextWindow is how many tokens input and output may have together; 0 where that is not known.
	ContextWindow uint32
	// Local says whether it answers without leaving this machine.
	Local bool
}

// Models gives the models that this skill may use now; none where it has been granted none.
func Models(ctx context.Context) []Info { return models(ctx) }
