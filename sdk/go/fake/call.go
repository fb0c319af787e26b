package fake

import (
	"ringfence"
	"ringfence/internal/schema"
)

// Call calls a tool of the skill as the host does: with JSON that was checked against the tool's schema. The input is anything whose JSON
// is an object.
func (h *Host) Call(tool string, input any) (*ringfence.Outcome, *ringfence.Failure) {
	h.t.Helper()
	return h.CallIn(h.Context(), tool, input)
}

// CallIn is Call with a context of the test's own.
func (h *Host) CallIn(ctx *ringfence.Context, tool string, input any) (*ringfence.Outcome, *ringfence.Failure) {
	h.t.Helper()
	text := []byte(h.json(input))
	about, ok := h.describe(tool)
	if ok {
		made, err := schema.Parse(about.InputSchema)
		if err == nil {
			err = schema.CheckText(made, text)
		}
		if err != nil {
			return nil, ringfence.InvalidInput("the input does not fit the schema: %s", err)
		}
	}
	outcome, failure := ringfence.Call(ctx, tool, text)
	if failure == nil && about.OutputSchema != "" && outcome.Structured != nil {
		made, err := schema.Parse(about.OutputSchema)
		if err == nil {
			err = schema.CheckText(made, outcome.Structured)
		}
		if err != nil {
			return nil, ringfence.Failed("the outcome does not fit the tool's schema: %s", err)
		}
	}
	return outcome, failure
}

// Describe says what a tool says of itself, and fails the test where there is none of that name.
func (h *Host) Describe(tool string) ringfence.Description {
	h.t.Helper()
	about, ok := h.describe(tool)
	if !ok {
		h.t.Fatalf("the skill has no tool `%s`", tool)
	}
	return about
}

func (h *Host) describe(name string) (ringfence.Description, bool) {
	h.t.Helper()
	list, err := ringfence.Tools()
	if err != nil {
		h.t.Fatalf("the tools cannot be listed: %s", err)
	}
	for _, tool := range list {
		if tool.Name == name {
			return tool, true
		}
	}
	return ringfence.Description{}, false
}
