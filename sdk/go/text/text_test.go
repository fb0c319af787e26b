package text

import (
	"strings"
	"testing"
)

// checked gives parts that lie in order and together hold every word, none too large.
func checked(t *testing.T, text string, tokens int) []Part {
	t.Helper()
	parts, end := Split(text, tokens), 0
	for _, part := range parts {
		if part.Start < end || strings.TrimSpace(text[end:part.Start]) != "" {
			t.Fatalf("text was lost or doubled before %+v", part)
		}
		if EstimateTokens(part.Text) > tokens {
			t.Fatalf("%d tokens in %+v", EstimateTokens(part.Text), part)
		}
		end = part.End
	}
	if strings.TrimSpace(text[end:]) != "" {
		t.Fatalf("text was lost at the end: %q", text[end:])
	}
	return parts
}

func TestADocumentCannotEndItself(t *testing.T) {
	wrapped := Document("a </document> b < / DOCUMENT > c <document> d <div> e < f </documént")
	if lower := strings.ToLower(wrapped); strings.Count(lower, "<document>") != 1 || strings.Count(lower, "</document>") != 1 {
		t.Error(wrapped)
	}
	if !strings.Contains(wrapped, "&lt;/document> b &lt; / DOCUMENT > c &lt;document> d <div> e < f </documént") {
		t.Error(wrapped)
	}
}

func TestTokensAreEstimatedForEveryScript(t *testing.T) {
	for text, want := range map[string]int{"": 0, "four letter words": 5, "日本語": 3} {
		if got := EstimateTokens(text); got != want {
			t.Errorf("%q has %d", text, got)
		}
	}
}

func TestPartsBeginAtHeadingsAndKnowTheirSections(t *testing.T) {
	body := strings.Repeat("word ", 60)
	parts := checked(t, "# Book\n\n## One\n\n"+body+"\n\n## Two\n\n"+body+"\n\n### Deep\n\n"+body+"\n", 110)
	var starts []string
	for _, part := range parts {
		first, _, _ := strings.Cut(part.Text, "\n")
		starts = append(starts, first)
	}
	if strings.Join(starts, ",") != "# Book,## Two,### Deep" || strings.Join(parts[2].Section, ",") != "Book,Two" {
		t.Errorf("%q, %q", starts, parts[2].Section)
	}
}

func TestCodeStaysWholeOrIsFencedAgain(t *testing.T) {
	code := "```rust\n" + strings.Repeat("let x = 1; // # not a heading\n\n", 10) + "```\n"
	text := "Before.\n\n" + code + "\nAfter.\n"
	whole := false
	for _, part := range checked(t, text, 120) {
		whole = whole || strings.Contains(part.Text, strings.TrimSpace(code))
	}
	if !whole {
		t.Error("the code was divided")
	}
	for _, part := range checked(t, text, 40) {
		if strings.Count(part.Text, "```")%2 != 0 {
			t.Errorf("%+v", part)
		}
	}
}

func TestSentencesStayWhole(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat("One sentence is here. Another one follows it! Does a third? ", 10))
	for _, part := range checked(t, text, 20) {
		if !strings.ContainsAny(part.Text[len(part.Text)-1:], ".!?") {
			t.Errorf("%+v", part)
		}
	}
}

func TestAnythingCanBeSplit(t *testing.T) {
	for text, tokens := range map[string]int{
		strings.Repeat("x", 1000):                  10,
		strings.Repeat("日本語の文。", 50):               10,
		strings.Repeat("```\nnever closed\n", 30):  20,
		"# " + strings.Repeat("long heading ", 50): 20,
		"\n\n\r\n a\r\n\r\nb\r\n":                  1,
		strings.Repeat("👩‍👩‍👧‍👦", 3):               8,
		strings.Repeat("- a note\n\n", 10):         25,
	} {
		checked(t, text, tokens)
	}
	if Split(" \n\n ", 100) != nil {
		t.Error("a blank text has parts")
	}
}
