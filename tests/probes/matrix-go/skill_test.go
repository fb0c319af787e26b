package main

import (
	"strings"
	"testing"

	"ringfence/fake"
)

func TestTheToolsAreListed(t *testing.T) {
	about := fake.New(t).Describe("shapes")
	for _, want := range []string{
		`"count":{"description":"How many.","type":"integer"}`,
		`"mode":{"type":"string","enum":["fast","slow"]}`,
		`"required":["count","ratio","flag","words","mode","point"]`,
	} {
		if !strings.Contains(about.InputSchema, want) {
			t.Errorf("%s is missing in %s", want, about.InputSchema)
		}
	}
}

func TestAPanicNamesItsPlace(t *testing.T) {
	host := fake.New(t)
	_, failure := host.Call("crash", map[string]any{"message": "on purpose"})
	if failure == nil || !strings.Contains(failure.Message, "on purpose") || !strings.Contains(failure.Message, "skill.go:") ||
		!strings.Contains(failure.Message, "in deep") {
		t.Errorf("the failure is %+v", failure)
	}
	if logged := host.Logs(); len(logged) != 1 || !strings.Contains(logged[0].Message, ".crash") {
		t.Errorf("logged %+v", logged)
	}
}
