package main

import (
	"encoding/json/jsontext"

	"ringfence"
	"ringfence/tools"
)

func init() {
	ringfence.Tool("list_tools", "Lists the tools of other skills.", listTools)
	ringfence.Tool("call_tool", "Calls a tool of another skill.", callTool)
	ringfence.Tool("call_many", "Calls a tool of another skill many times at once.", callMany)
}

func listTools(ctx *ringfence.Context, _ ringfence.None) (Names, error) {
	var out Names
	for _, listed := range tools.List(ctx) {
		out.Names = append(out.Names, listed.Name)
	}
	return out, nil
}

type CallTool struct {
	Name  string         `json:"name"`
	Input map[string]any `json:"input"`
}

type Called struct {
	Text       string         `json:"text"`
	Structured jsontext.Value `json:"structured"`
}

func callTool(ctx *ringfence.Context, in CallTool) (Called, error) {
	outcome, err := tools.Call(ctx, in.Name, in.Input)
	if err != nil {
		return Called{}, err
	}
	return Called{outcome.Text(), outcome.Structured}, nil
}

type CallMany struct {
	Name   string           `json:"name"`
	Inputs []map[string]any `json:"inputs"`
}

func callMany(ctx *ringfence.Context, in CallMany) (Texts, error) {
	var started []*tools.Pending
	defer func() {
		for _, pending := range started {
			pending.Cancel()
		}
	}()
	for _, input := range in.Inputs {
		pending, err := tools.Start(ctx, in.Name, input)
		if err != nil {
			return Texts{}, err
		}
		started = append(started, pending)
	}
	var out Texts
	for _, pending := range started {
		outcome, err := pending.Wait()
		if err != nil {
			return out, err
		}
		out.Texts = append(out.Texts, outcome.Text())
	}
	return out, nil
}
