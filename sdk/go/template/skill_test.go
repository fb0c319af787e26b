package main

import (
	"strings"
	"testing"

	"ringfence"
	"ringfence/fake"
)

func TestActionItemsAreReadByTheModel(t *testing.T) {
	host := fake.New(t).Answer(`{"items":[{"task":"Book a room","owner":"Ada","due":null}]}`)
	found, err := actionItems(host.Context(), ActionItemsInput{Text: "Ada will book a room.", Owner: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Items) != 1 || found.Items[0].Task != "Book a room" || *found.Items[0].Owner != "Ada" {
		t.Errorf("found %+v", found)
	}
	prompt := host.Prompts()[0]
	if !strings.Contains(prompt, "action items of Ada") || !strings.Contains(prompt, "Ada will book a room.") {
		t.Errorf("the model was asked:\n%s", prompt)
	}
}

func TestAnEmptyTextIsRefusedBeforeAModelIsAsked(t *testing.T) {
	host := fake.New(t)
	_, failure := host.Call("action_items", map[string]any{"text": " "})
	if failure == nil || failure.Kind != ringfence.KindInvalidInput {
		t.Errorf("the failure is %+v", failure)
	}
	if len(host.Requests()) != 0 {
		t.Error("a model was asked")
	}
}

func TestWordsAndLinesAreCounted(t *testing.T) {
	outcome, failure := fake.New(t).Call("count", map[string]any{"text": "one two\nthree"})
	if failure != nil {
		t.Fatal(failure)
	}
	var counts Counts
	if err := outcome.Decode(&counts); err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Words: 3, Lines: 2, Minutes: 1}); counts != want {
		t.Errorf("counted %+v, not %+v", counts, want)
	}
}
