package main

import (
	"fmt"
	"strings"

	"ringfence"
	"ringfence/config"
	"ringfence/log"
	"ringfence/model"
	"ringfence/progress"
	"ringfence/text"
)

type BehavioursInput struct {
	File  string `json:"file" desc:"A source file below the granted folder."`
	Text  string `json:"text,omitempty" desc:"What stands in that file. With it no folder is read: the file is all that is known of the project."`
	Focus string `json:"focus,omitempty" desc:"What to pay attention to: a function, or a kind of mistake."`
	Count int    `json:"count" desc:"At most how many." default:"8" min:"1" max:"30"`
}

// Behaviours are what is worth a test.
type Behaviours struct {
	File       string      `json:"file"`
	Language   string      `json:"language"`
	Behaviours []Behaviour `json:"behaviours" desc:"The riskiest first."`
	Tests      []string    `json:"tests" desc:"Test files that the file has already."`
}

// Behaviour is one thing that the code does, or should do.
type Behaviour struct {
	Subject  string `json:"subject" desc:"The function, method or type that is tested, as the code names it."`
	Given    string `json:"given" desc:"The situation and the input, concretely."`
	Expected string `json:"expected" desc:"What must come out, concretely."`
	Catches  string `json:"catches" desc:"The mistake in the code that a test of this would catch, in one sentence."`
	Risk     string `json:"risk" desc:"How bad and how likely that mistake is." enum:"high,medium,low"`
}

// proposed is what the model is asked for.
type proposed struct {
	Behaviours []Behaviour `json:"behaviours"`
}

const role = "You are a careful engineer who decides what to test. Keep to what the code does: invent no function and no behaviour. " +
	"Prefer edges, errors and rules of the domain to what cannot fail."

func behaviours(ctx *ringfence.Context, in BehavioursInput) (Behaviours, error) {
	file, project, err := open(in.File, in.Text)
	if err != nil {
		return Behaviours{}, err
	}
	found, err := propose(ctx, file, project.example(file), in.Focus, in.Count)
	if err != nil {
		return Behaviours{}, err
	}
	out := Behaviours{File: file.path, Language: file.language.name, Behaviours: found}
	for _, test := range project.testsOf(file) {
		out.Tests = append(out.Tests, test.path)
	}
	return out, nil
}

// open reads the file that is meant, and the project around it. A file whose text was given is a project of its own.
func open(name, given string) (*source, *project, error) {
	clean, err := within(name)
	if err != nil {
		return nil, nil, err
	}
	alone := strings.TrimSpace(given) != ""
	var file *source
	if alone {
		file, err = sourceOf(clean, given)
	} else {
		file, err = readSource(clean)
	}
	if err != nil {
		return nil, nil, err
	}
	if strings.TrimSpace(file.text) == "" {
		return nil, nil, ringfence.InvalidInput("`%s` is empty", clean)
	}
	if file.isTest {
		return nil, nil, ringfence.InvalidInput("`%s` holds tests itself", clean).WithHint("name the file that they test")
	}
	if alone {
		return file, &project{files: []source{*file}, alone: true}, nil
	}
	project, err := readProject(".")
	return file, project, err
}

// propose asks a model for behaviours: of the whole file, or of its parts at the same time where it is long.
func propose(ctx *ringfence.Context, file, example *source, focus string, count int) ([]Behaviour, error) {
	limit, err := partTokens(ctx)
	if err != nil {
		return nil, err
	}
	parts := text.Split(file.text, limit)
	// What the tests cover already is said only where it fits.
	known := ""
	if example != nil && example.isOf(file) && text.EstimateTokens(example.text) <= limit/2 {
		known = "\n\nThese tests exist already; propose nothing that they cover:\n\n" + text.Document(example.text)
	}
	steps := progress.Begin(ctx, len(parts), "reading "+file.path)
	var requests []*model.Request
	for at, part := range parts {
		requests = append(requests, model.NewRequest(question(file, part.Text, known, focus, count, at+1, len(parts)),
			model.System(role+" "+text.DocumentIsData), model.As[proposed]()))
	}
	var lists [][]Behaviour
	for answer, err := range model.ParallelRequests(ctx, 4, requests) {
		if err != nil {
			return nil, fmt.Errorf("%s could not be read by the model: %w", file.path, err)
		}
		var given proposed
		if err := answer.Decode(&given); err != nil {
			return nil, err
		}
		lists = append(lists, given.Behaviours)
		steps.Done(ctx, "")
	}
	found, dropped := sorted(lists, file, count)
	if len(found) == 0 && dropped > 0 {
		return nil, ringfence.Failed("the model's %d proposals for `%s` name nothing that is in the file, or say nothing", dropped, file.path).
			WithHint("use a model that reads code, for example by `--model default=PROVIDER/MODEL`")
	}
	log.Info(ctx, "proposed behaviours", "file", file.path, "parts", len(parts), "behaviours", len(found))
	return found, nil
}

func question(file *source, part, known, focus string, count, number, of int) string {
	task := fmt.Sprintf("Propose at most %d behaviours of this %s code that are worth a test, the riskiest first.", count, file.language.name)
	if of > 1 {
		task += fmt.Sprintf(" This is part %d of %d of `%s`.", number, of, file.path)
	}
	if focus != "" {
		task += " Pay attention to: " + focus + "."
	}
	// The task stands behind the code too: models forget what stood before a long text.
	return task + known + "\n\nThe code of `" + file.path + "`:\n\n" + text.Document(part) + "\n\n" + task
}

// sorted keeps what names something that the file has and says what is expected, without what is said twice, the riskiest first. It counts
// what it dropped.
func sorted(lists [][]Behaviour, file *source, count int) (found []Behaviour, dropped int) {
	has := map[string]bool{}
	for _, word := range words(file.text) {
		has[word] = true
	}
	seen := map[string]bool{}
	byRisk := map[string][]Behaviour{}
	for _, list := range lists {
		for _, one := range list {
			key := strings.ToLower(one.Subject + "\x00" + one.Given)
			if seen[key] || !names(has, one.Subject) || strings.TrimSpace(one.Expected) == "" {
				dropped++
				continue
			}
			seen[key] = true
			byRisk[one.Risk] = append(byRisk[one.Risk], one)
		}
	}
	found = append(append(byRisk["high"], byRisk["medium"]...), byRisk["low"]...)
	return found[:min(len(found), count)], dropped
}

// names says whether a subject is of the file: models invent functions.
func names(has map[string]bool, subject string) bool {
	for _, word := range words(subject) {
		if has[word] {
			return true
		}
	}
	return false
}

// partTokens is how much code a model is given at once.
func partTokens(ctx *ringfence.Context) (int, error) {
	set, ok, err := config.Get[int](ctx, "file_tokens")
	if err != nil || ok {
		return set, err
	}
	for _, info := range model.Models(ctx) {
		if info.Name == "default" && info.ContextWindow > 0 {
			return max(min(int(info.ContextWindow)/3, 12000), 500), nil
		}
	}
	return 4000, nil
}
