package ringfence

import (
	"strings"
)

// Call runs a tool of this program as the host does. Tests use the Call of the fake, which also checks the input.
func Call(ctx *Context, name string, input []byte) (outcome *Outcome, failure *Failure) {
	tool := find(name)
	if tool == nil {
		names := make([]string, len(registered))
		for at, tool := range registered {
			names[at] = tool.about.Name
		}
		return nil, &Failure{
			Kind:    KindUnknownTool,
			Message: "this skill has no tool `" + name + "`",
			Hint:    "name one of: " + strings.Join(names, ", "),
		}
	}
	defer func() {
		if thrown := recover(); thrown != nil {
			outcome, failure = nil, panicked(ctx, thrown)
		}
	}()
	value, err := tool.run(ctx, input)
	if err == nil {
		outcome, err = tool.outcome(value)
	}
	if err != nil {
		return nil, failureOf(err)
	}
	return outcome, nil
}

func find(name string) *tool {
	for _, tool := range registered {
		if tool.about.Name == name {
			return tool
		}
	}
	return nil
}
