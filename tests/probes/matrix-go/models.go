package main

import (
	"context"
	"errors"
	"strings"

	"ringfence"
	"ringfence/model"
	"ringfence/progress"
)

func init() {
	ringfence.Tool("ask", "Asks a model.", ask)
	ringfence.Tool("stream", "Asks a model and shows the answer as it is written.", stream)
	ringfence.Tool("parallel", "Asks a model many things at once.", parallel)
	ringfence.Tool("structured", "Asks a model for a value.", structured)
	ringfence.Tool("tool_loop", "Lets a model call a tool.", toolLoop)
	ringfence.Tool("embed", "Makes vectors of texts.", embed)
	ringfence.Tool("models", "Lists the models.", models)
	ringfence.Tool("refusal", "Says how a model call was refused.", refusal)
}

type Ask struct {
	Prompt string `json:"prompt"`
	Model  string `json:"model,omitempty" default:"default"`
}

type Asked struct {
	Text         string `json:"text"`
	Model        string `json:"model"`
	OutputTokens uint64 `json:"output_tokens"`
}

func ask(ctx *ringfence.Context, in Ask) (Asked, error) {
	answer, err := model.Ask(ctx, in.Prompt, model.Use(in.Model))
	if err != nil {
		return Asked{}, err
	}
	return Asked{answer.Text(), answer.Model, answer.Usage.OutputTokens}, nil
}

type Prompt struct {
	Prompt string `json:"prompt"`
}

type Streamed struct {
	Text   string `json:"text"`
	Pieces int    `json:"pieces"`
}

func stream(ctx *ringfence.Context, in Prompt) (Streamed, error) {
	var text strings.Builder
	pieces := 0
	for piece, err := range model.Stream(ctx, in.Prompt) {
		if err != nil {
			return Streamed{}, err
		}
		progress.Emit(ctx, piece)
		text.WriteString(piece)
		pieces++
	}
	return Streamed{text.String(), pieces}, nil
}

type Prompts struct {
	Prompts []string `json:"prompts"`
}

type Texts struct {
	Texts []string `json:"texts"`
}

func parallel(ctx *ringfence.Context, in Prompts) (Texts, error) {
	var out Texts
	for answer, err := range model.Parallel(ctx, len(in.Prompts), in.Prompts) {
		if err != nil {
			return out, err
		}
		out.Texts = append(out.Texts, answer.Text())
	}
	return out, nil
}

type City struct {
	City       string `json:"city"`
	Population int64  `json:"population"`
}

func structured(ctx *ringfence.Context, in Prompt) (City, error) {
	return model.JSON[City](ctx, in.Prompt)
}

type Pair struct {
	A int64 `json:"a"`
	B int64 `json:"b"`
}

type Looped struct {
	Text  string `json:"text"`
	Calls int    `json:"calls"`
}

func toolLoop(ctx *ringfence.Context, in Prompt) (Looped, error) {
	calls := 0
	add := model.NewTool("add", "Adds two numbers.", func(_ context.Context, in Pair) (int64, error) {
		calls++
		return in.A + in.B, nil
	})
	answer, err := model.Run(ctx, in.Prompt, model.Tools(add))
	if err != nil {
		return Looped{}, err
	}
	return Looped{answer.Text(), calls}, nil
}

type Dimensions struct {
	Dimensions []int `json:"dimensions"`
}

func embed(ctx *ringfence.Context, in Texts) (Dimensions, error) {
	made, err := model.Embed(ctx, "embed", in.Texts)
	if err != nil {
		return Dimensions{}, err
	}
	var out Dimensions
	for _, vector := range made.Vectors {
		out.Dimensions = append(out.Dimensions, len(vector))
	}
	return out, nil
}

type Names struct {
	Names []string `json:"names"`
}

func models(ctx *ringfence.Context, _ ringfence.None) (Names, error) {
	var out Names
	for _, info := range model.Models(ctx) {
		out.Names = append(out.Names, info.Name)
	}
	return out, nil
}

type Refuse struct {
	Prompt string `json:"prompt"`
	Model  string `json:"model"`
}

type Refused struct {
	Kind    string  `json:"kind"`
	Message string  `json:"message"`
	Hint    *string `json:"hint"`
}

func refusal(ctx *ringfence.Context, in Refuse) (Refused, error) {
	_, err := model.Ask(ctx, in.Prompt, model.Use(in.Model))
	var refusal *ringfence.Refusal
	if !errors.As(err, &refusal) {
		return Refused{}, ringfence.Failed("the call was not refused")
	}
	out := Refused{Kind: string(refusal.Kind), Message: refusal.Message}
	if refusal.Hint != "" {
		out.Hint = &refusal.Hint
	}
	return out, nil
}
