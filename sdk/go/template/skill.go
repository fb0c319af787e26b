// {{description}}
package main

import (
	"strings"

	"ringfence"
	"ringfence/log"
	"ringfence/model"
	"ringfence/text"
)

func init() {
	ringfence.Tool("action_items", "Finds what has to be done in notes, mails or minutes.", actionItems, ringfence.ReadOnly)
	ringfence.Tool("count", "Counts the words and lines of a text, and says how long it takes to read. Needs no model.", count,
		ringfence.ReadOnly, ringfence.Idempotent)
}

// A skill is called by its host: main stays empty.
func main() {}

type ActionItemsInput struct {
	Text  string `json:"text" desc:"The text to read."`
	Owner string `json:"owner,omitempty" desc:"Only what this person has to do."`
}

// ActionItem is something that someone has to do.
type ActionItem struct {
	Task  string  `json:"task" desc:"What is to be done."`
	Owner *string `json:"owner" desc:"Who does it, where the text says so."`
	Due   *string `json:"due" desc:"Until when, as the text says it."`
}

type ActionItems struct {
	Items []ActionItem `json:"items"`
}

func actionItems(ctx *ringfence.Context, in ActionItemsInput) (ActionItems, error) {
	if strings.TrimSpace(in.Text) == "" {
		return ActionItems{}, ringfence.InvalidInput("`text` is empty").WithHint("give the text to read")
	}
	whose := ""
	if in.Owner != "" {
		whose = " of " + in.Owner
	}
	prompt := "List the action items" + whose + " in this document.\n\n" + text.Document(in.Text)
	found, err := model.JSON[ActionItems](ctx, prompt, model.System(text.DocumentIsData))
	if err != nil {
		return ActionItems{}, err
	}
	log.Info(ctx, "found action items", "count", len(found.Items))
	return found, nil
}

type CountInput struct {
	Text string `json:"text" desc:"The text to count."`
}

// Counts says how long a text is.
type Counts struct {
	Words   int `json:"words"`
	Lines   int `json:"lines"`
	Minutes int `json:"minutes" desc:"Minutes that a person needs to read it, at 230 words a minute."`
}

func count(ctx *ringfence.Context, in CountInput) (Counts, error) {
	words := len(strings.Fields(in.Text))
	lines := strings.Count(strings.TrimSuffix(in.Text, "\n"), "\n") + 1
	if in.Text == "" {
		lines = 0
	}
	return Counts{Words: words, Lines: lines, Minutes: (words + 229) / 230}, nil
}
