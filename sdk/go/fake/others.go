package fake

import (
	"strings"

	"ringfence"
	"ringfence/tools"
	"ringfence/user"
)

// Tool has a tool of another skill, `skill/tool`, that gives this text.
func (h *Host) Tool(name, text string) *Host {
	return h.ToolWith(name, func([]byte) (*ringfence.Outcome, error) {
		return ringfence.Give(ringfence.Text(text)), nil
	})
}

// ToolWith has a tool of another skill, answered by a function that is given the input as JSON. Its error is what the skill gets: a
// *ringfence.Failure of the tool, or a *ringfence.Refusal of the host.
func (h *Host) ToolWith(name string, rule func(input []byte) (*ringfence.Outcome, error)) *Host {
	short := name[strings.LastIndex(name, "/")+1:]
	about := ringfence.Description{Name: short, Description: "A tool of the test.", InputSchema: `{"type":"object"}`}
	h.listed = append(h.listed, tools.Listed{Name: name, Tool: about})
	h.toolRules[name] = rule
	return h
}

// Calls gives the calls of other skills' tools.
func (h *Host) Calls() []Call { return h.calls }

// Person answers the next question with this value. Where no answer is left, nobody is there.
func (h *Host) Person(answer any) *Host {
	h.t.Helper()
	h.person = append(h.person, reply{json: h.json(answer)})
	return h
}

// RefuseQuestion refuses the next question, for example because the person declines.
func (h *Host) RefuseQuestion(err error) *Host {
	h.person = append(h.person, reply{err: err})
	return h
}

// Questions gives the questions that the person was asked.
func (h *Host) Questions() []user.Question { return h.asked }

func (i *imports) ToolsList() []tools.Listed { return i.listed }

func (i *imports) ToolsCall(name, input string) (*ringfence.Outcome, error) {
	i.t.Helper()
	i.calls = append(i.calls, Call{name, input})
	rule, ok := i.toolRules[name]
	if !ok {
		i.fail("the skill called `%s` and the fake has no such tool: give it one with `.Tool(%q, \"...\")`", name, name)
	}
	outcome, err := rule([]byte(input))
	if failure, ok := err.(*ringfence.Failure); ok {
		named := *failure
		named.Tool = name
		return nil, &named
	}
	return outcome, err
}

func (i *imports) ToolsStart(name, input string) (func() (*ringfence.Outcome, error), func(), error) {
	outcome, err := i.ToolsCall(name, input)
	return func() (*ringfence.Outcome, error) { return outcome, err }, i.opened(), nil
}

func (i *imports) UserAsk(question user.Question) (string, error) {
	i.asked = append(i.asked, question)
	if len(i.person) == 0 {
		return "", ringfence.Refuse(ringfence.Unavailable, "nobody is there who could answer a question")
	}
	answer := i.person[0]
	i.person = i.person[1:]
	return answer.json, answer.err
}
