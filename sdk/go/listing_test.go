package ringfence

import (
	"strings"
	"testing"
)

// listed gives what is said when only the tools that register makes are listed.
func listed(register func()) string {
	before := registered
	registered = nil
	defer func() { registered = before }()
	register()
	if _, err := Tools(); err != nil {
		return err.Error()
	}
	return ""
}

type tagged struct {
	Count int `json:"count" default:"many"`
}

type foreign struct {
	Name string `json:"name" jsonschema:"description=A name,minLength=1"`
}

func TestWhatIsWrongWithAToolIsSaidWhenToolsAreListed(t *testing.T) {
	text := func(*Context, None) (string, error) { return "", nil }
	for want, register := range map[string]func(){
		"call ringfence.Tool":                     func() {},
		"two tools have the name `a`":             func() { Tool("a", "A.", text); Tool("a", "B.", text) },
		"tool `a`: it has no description":         func() { Tool("a", " ", text) },
		"tool `A b`: its name cannot be one":      func() { Tool("A b", "A.", text) },
		"its input is `map[string]interface {}`":  func() { Tool("a", "A.", func(*Context, map[string]any) (string, error) { return "", nil }) },
		"its input is `string`":                   func() { Tool("a", "A.", func(*Context, string) (string, error) { return "", nil }) },
		"it returns `interface {}`":               func() { Tool("a", "A.", func(*Context, None) (any, error) { return "", nil }) },
		"what it returns: `chan int` cannot be":   func() { Tool("a", "A.", func(*Context, None) (chan int, error) { return nil, nil }) },
		"the tag `default:\"many\"`: \"many\" is": func() { Tool("a", "A.", func(*Context, tagged) (string, error) { return "", nil }) },
		"write `desc:\"...\"`":                    func() { Tool("a", "A.", func(*Context, foreign) (string, error) { return "", nil }) },
	} {
		if got := listed(register); !strings.Contains(got, want) {
			t.Errorf("said %q, which does not have %q", got, want)
		}
	}
}
