package ringfence_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence"
	"ringfence/fake"
)

type greeting struct {
	Name   string  `json:"name" desc:"Whom to greet."`
	Tone   string  `json:"tone" jsonschema:"How kind to be." enum:"kind,very-kind" default:"kind"`
	Suffix *string `json:"suffix" desc:"Said after the greeting."`
	Times  int     `json:"times,omitempty" min:"1" max:"3"`
}

type counted struct {
	Words int      `json:"words" desc:"How many words there are."`
	Lines []string `json:"lines"`
}

type how struct {
	How string `json:"how"`
}

func init() {
	ringfence.Tool("greet", " Greets someone. ", func(ctx *ringfence.Context, in greeting) (string, error) {
		suffix := ""
		if in.Suffix != nil {
			suffix = *in.Suffix
		}
		return in.Tone + " " + in.Name + suffix + " " + ctx.Invocation, nil
	}, ringfence.ReadOnly, ringfence.Idempotent, ringfence.Title("Greet"))
	ringfence.Tool("count", "Counts words.", func(_ *ringfence.Context, in struct {
		Text string `json:"text"`
	}) (counted, error) {
		return counted{Words: len(strings.Fields(in.Text))}, nil
	})
	ringfence.Tool("nothing", "Does nothing.", func(*ringfence.Context, ringfence.None) (ringfence.None, error) {
		return ringfence.None{}, nil
	}, ringfence.Destructive, ringfence.OpenWorld)
	ringfence.Tool("odd", "Gives pieces and a value.", func(*ringfence.Context, ringfence.None) (*ringfence.Outcome, error) {
		return ringfence.Give(ringfence.Text("seen"), ringfence.Image{MediaType: "image/png"}).With(counted{Words: 3}), nil
	}, ringfence.Output[counted]())
	ringfence.Tool("fail", "Fails.", func(_ *ringfence.Context, in how) (ringfence.None, error) {
		return ringfence.None{}, fails(in.How)
	})
}

func fails(how string) error {
	switch how {
	case "input":
		return ringfence.InvalidInput("no such way: %s", how).WithHint("name another")
	case "plain":
		return errors.New("plain")
	case "refusal":
		return fmt.Errorf("reading: %w", ringfence.Refuse(ringfence.Unavailable, "the provider is down; wait"))
	case "denied":
		return ringfence.RefuseDenied(ringfence.Denial{Capability: "model", Subject: "model smart", Reason: "it is not granted.", Hint: "grant it"})
	case "other":
		return &ringfence.Failure{Kind: ringfence.KindInvalidInput, Message: "wrong", Tool: "a/b"}
	case "panic":
		panic(fmt.Sprintf("thrown %d", 1))
	case "index":
		return []error{}[len(how)]
	case "thrown refusal":
		panic(ringfence.Refuse(ringfence.Cancelled, ""))
	}
	return nil
}

func TestAFunctionDescribesItself(t *testing.T) {
	about := fake.New(t).Describe("greet")
	if about.Title != "Greet" || about.Description != "Greets someone." || !about.ReadOnly || !about.Idempotent || about.OpenWorld {
		t.Errorf("described as %+v", about)
	}
	want := `{"type":"object","properties":{"name":{"description":"Whom to greet.","type":"string"},` +
		`"tone":{"description":"How kind to be.","type":"string","enum":["kind","very-kind"],"default":"kind"},` +
		`"suffix":{"description":"Said after the greeting.","type":["string","null"]},` +
		`"times":{"type":"integer","minimum":1,"maximum":3}},"required":["name"],"additionalProperties":false}`
	if about.InputSchema != want {
		t.Errorf("the schema is\n%s, not\n%s", about.InputSchema, want)
	}
	if about.OutputSchema != "" {
		t.Errorf("text has the schema %s", about.OutputSchema)
	}
	if got := fake.New(t).Describe("nothing").InputSchema; got != `{"type":"object","properties":{},"additionalProperties":false}` {
		t.Errorf("no input has the schema %s", got)
	}
}

func TestDefaultsFillInAndInputIsChecked(t *testing.T) {
	host := fake.New(t)
	outcome, failure := host.Call("greet", map[string]any{"name": "Ada", "suffix": "!"})
	if failure != nil || outcome.Text() != "kind Ada! test" {
		t.Errorf("gave %+v, %v", outcome, failure)
	}
	for _, input := range []map[string]any{{}, {"name": 3}, {"name": "Ada", "nam": "Eve"}, {"name": "A", "tone": "x"}, {"name": "A", "times": 4}} {
		if _, failure := host.Call("greet", input); failure == nil || failure.Kind != ringfence.KindInvalidInput {
			t.Errorf("%v gave %+v", input, failure)
		}
	}
}

func TestAValueIsStructuredOutput(t *testing.T) {
	host := fake.New(t)
	want := `{"type":"object","properties":{"words":{"description":"How many words there are.","type":"integer"},` +
		`"lines":{"type":"array","items":{"type":"string"}}},"required":["words","lines"]}`
	for _, tool := range []string{"count", "odd"} {
		if got := host.Describe(tool).OutputSchema; got != want {
			t.Errorf("the schema of %s is %s", tool, got)
		}
	}
	outcome, failure := host.Call("count", map[string]any{"text": "a b"})
	if failure != nil || string(outcome.Structured) != `{"words":2,"lines":[]}` || !strings.Contains(outcome.Text(), `"words": 2`) {
		t.Errorf("gave %+v, %v: a slice that is nil must be an empty list", outcome, failure)
	}
	outcome, _ = host.Call("odd", nothing)
	if len(outcome.Content) != 2 || !strings.HasPrefix(string(outcome.Structured), `{"words":3`) {
		t.Errorf("gave %+v", outcome)
	}
	if outcome, failure = host.Call("nothing", nothing); failure != nil || len(outcome.Content) != 0 {
		t.Errorf("nothing gave %+v, %v", outcome, failure)
	}
}

var nothing = map[string]any{}

func TestErrorsBecomeFailures(t *testing.T) {
	for how, want := range map[string]ringfence.Failure{
		"input":          {Kind: ringfence.KindInvalidInput, Message: "no such way: input", Hint: "name another"},
		"plain":          {Kind: ringfence.KindFailed, Message: "plain"},
		"refusal":        {Kind: ringfence.KindUnavailable, Message: "reading: the provider is down", Hint: "wait"},
		"denied":         {Kind: ringfence.KindRefused, Message: "the host refused `model smart`: it is not granted.", Hint: "grant it"},
		"other":          {Kind: ringfence.KindFailed, Message: "wrong", Tool: "a/b"},
		"thrown refusal": {Kind: ringfence.KindRefused, Message: "the call was cancelled"},
	} {
		_, failure := fake.New(t).Call("fail", map[string]any{"how": how})
		if failure == nil || *failure != want {
			t.Errorf("%s gave %+v, not %+v", how, failure, want)
		}
	}
	_, failure := fake.New(t).Call("nobody", nothing)
	if failure.Kind != ringfence.KindUnknownTool || !strings.Contains(failure.Hint, "greet, count") {
		t.Errorf("an unknown tool gave %+v", failure)
	}
}

func TestAPanicNamesTheAuthorsLine(t *testing.T) {
	for how, words := range map[string]string{"panic": "thrown 1", "index": "index out of range"} {
		host := fake.New(t)
		_, failure := host.Call("fail", map[string]any{"how": how})
		if failure == nil || failure.Kind != ringfence.KindFailed || !strings.Contains(failure.Message, words) ||
			!strings.Contains(failure.Message, "(skill_test.go:") || !strings.Contains(failure.Message, "in fails)") {
			t.Errorf("%s gave %+v", how, failure)
		}
		if lines := host.Logs(); len(lines) != 1 || !strings.HasPrefix(lines[0].Fields["at"], "skill_test.go:") {
			t.Errorf("%s logged %+v", how, lines)
		}
	}
}

func TestRefusalsAreErrorsOfOneFamily(t *testing.T) {
	err := fmt.Errorf("around: %w", ringfence.RefuseOverBudget(ringfence.Overrun{Scope: "skill-day", Unit: "output-tokens", Limit: 5}))
	var refusal *ringfence.Refusal
	if !errors.As(err, &refusal) || refusal.Overrun.Limit != 5 || !strings.Contains(refusal.Hint, "`budget.skill-day.output-tokens`") {
		t.Errorf("is %+v", refusal)
	}
	if !errors.Is(err, ringfence.OverBudget) || errors.Is(err, ringfence.Denied) {
		t.Error("the kind is not found")
	}
}

func TestTheContextKnowsItsEnd(t *testing.T) {
	ctx := fake.New(t).ContextOf(ringfence.CallerModel, time.Minute, "de")
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute || ctx.Err() != nil || ctx.Locale != "de" {
		t.Errorf("is %+v", ctx)
	}
}
