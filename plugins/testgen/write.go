package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"

	"ringfence"
	"ringfence/log"
	"ringfence/model"
	"ringfence/progress"
	"ringfence/text"
)

type WriteTestsInput struct {
	File       string   `json:"file" desc:"A source file below the granted folder."`
	Text       string   `json:"text,omitempty" desc:"What stands in that file. With it no folder is read: the file is all that is known of the project."`
	Behaviours []string `json:"behaviours,omitempty" desc:"What to test, one sentence each. Without it the skill proposes behaviours itself."`
	Focus      string   `json:"focus,omitempty" desc:"What to pay attention to: a function, or a kind of mistake."`
	Count      int      `json:"count" desc:"At most how many tests." default:"6" min:"1" max:"20"`
}

// Written is a test file that was written.
type Written struct {
	File     string   `json:"file" desc:"What it tests."`
	TestPath string   `json:"test_path" desc:"Where it belongs, as the project's other tests lie: a new file, which takes the place of none."`
	Beside   []string `json:"beside" desc:"Test files that the source has already. They stay as they are."`
	Style    string   `json:"style" desc:"The style that was followed."`
	Code     string   `json:"code" desc:"All that is to stand in the new file."`
	Catches  []Catch  `json:"catches" desc:"What the tests would catch."`
	Warnings []string `json:"warnings" desc:"What a person should look at before it is used."`
}

// Catch is what a test is for.
type Catch struct {
	Behaviour string `json:"behaviour"`
	Catches   string `json:"catches" desc:"The mistake that it would catch; empty where the caller named the behaviour."`
}

func writeTests(ctx *ringfence.Context, in WriteTestsInput) (*ringfence.Outcome, error) {
	file, project, err := open(in.File, in.Text)
	if err != nil {
		return nil, err
	}
	example := project.example(file)
	var catches []Catch
	for _, wish := range in.Behaviours {
		if wish = strings.TrimSpace(wish); wish != "" {
			catches = append(catches, Catch{Behaviour: wish})
		}
	}
	if len(catches) == 0 {
		found, err := propose(ctx, file, example, in.Focus, in.Count)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			catches = append(catches, Catch{one.Subject + ": given " + one.Given + ", expect " + one.Expected, one.Catches})
		}
	}
	if len(catches) == 0 {
		return nil, ringfence.Failed("the model proposed no behaviour of `%s` that could be tested", file.path).
			WithHint("name some by `behaviours`, or use a model that reads code")
	}
	catches = catches[:min(len(catches), in.Count)]
	written := Written{File: file.path, TestPath: project.testPath(file, example), Catches: catches, Style: file.style(example)}
	for _, own := range project.testsOf(file) {
		written.Beside = append(written.Beside, own.path)
	}
	if project.alone {
		written.Warnings = append(written.Warnings, "no folder was read: look whether there is a `"+written.TestPath+"` already")
	}
	if file.isProgram() {
		written.Warnings = append(written.Warnings, "tests in a folder of their own reach nothing of a program: move what they test into a library")
	}
	limit, err := partTokens(ctx)
	if err != nil {
		return nil, err
	}
	source, seenAll := file.excerpt(catches, limit)
	if !seenAll {
		written.Warnings = append(written.Warnings, "the file is long: the model saw the parts that the behaviours name, not all of it")
	}
	progress.Say(ctx, "writing tests")
	prompt := assignment(file, source, example, &written, project.circumstances(file, &written), limit)
	answer, err := model.Ask(ctx, prompt, model.System(writer+" "+text.DocumentIsData))
	if err != nil {
		return nil, fmt.Errorf("no tests were written: %w", err)
	}
	code, wrong := project.judge(file, answer)
	if wrong != "" {
		log.Warn(ctx, "the answer is no test file: asking once more", "why", wrong)
		messages := []model.Message{model.User(prompt), answer.Message, model.User("That cannot be used: " + wrong + ". Give the whole test file again, in one code block.")}
		if answer, err = model.Chat(ctx, messages, model.System(writer+" "+text.DocumentIsData)); err != nil {
			return nil, fmt.Errorf("no tests were written: %w", err)
		}
		if code, wrong = project.judge(file, answer); wrong != "" {
			return nil, ringfence.Failed("%s wrote no tests for `%s` that can be used: %s", answer.Model, file.path, wrong).
				WithHint("use a model that writes code, for example by `--model default=PROVIDER/MODEL`")
		}
	}
	written.Code = code
	written.Warnings = append(written.Warnings, file.doubts(code)...)
	return ringfence.Give(ringfence.Text(report(&written, file.language))).With(written), nil
}

const writer = "You write tests that other engineers read. Follow the style of the project's own tests: the same library, names, helpers and " +
	"layout. One test for each behaviour. Test the code as it is meant to work; where it seems wrong let the test fail and say so in a comment. " +
	"Answer with one code block that holds the whole test file, and nothing else."

// style is that of the example, or what the language's people use.
func (s *source) style(example *source) string {
	if example != nil {
		if style := s.language.styleOf(example.text); style != "" {
			return style
		}
	}
	return s.language.styles[len(s.language.styles)-1].name
}

// circumstances are what the model has to know of the place where the new file will lie.
func (p *project) circumstances(file *source, written *Written) string {
	said := ""
	if len(written.Beside) > 0 {
		said = " It is a new file: the tests in `" + strings.Join(written.Beside, "`, `") + "` stay as they are. Repeat none of them."
	}
	switch file.language.name {
	case "Go":
		var taken []string
		for _, one := range p.files {
			if one.isTest && one.language.name == "Go" && path.Dir(one.path) == path.Dir(file.path) {
				taken = append(taken, one.language.names(one.text)...)
			}
		}
		if len(taken) > 0 {
			said += " These names are taken by the other tests of the package: " + strings.Join(taken[:min(len(taken), 100)], ", ") + "."
		}
	case "Rust":
		said += " It is an integration test: it reaches what is `pub` and nothing else"
		if crate := p.crate(file); crate != "" {
			said += ", by the crate's name `" + crate + "`"
		}
		said += "."
	case "Java":
		said += " Its class has the file's name."
	}
	return said
}

func assignment(file *source, source string, example *source, written *Written, circumstances string, limit int) string {
	var list strings.Builder
	for at, catch := range written.Catches {
		fmt.Fprintf(&list, "%d. %s\n", at+1, catch.Behaviour)
		if catch.Catches != "" {
			fmt.Fprintf(&list, "   It catches: %s\n", catch.Catches)
		}
	}
	task := fmt.Sprintf("Write `%s`, %s tests in the style of %s for `%s`.", written.TestPath, file.language.name, written.Style, file.path) + circumstances
	shown := ""
	if example != nil {
		// The beginning of a test file shows its imports and its style.
		if parts := text.Split(example.text, max(limit/2, 300)); len(parts) > 0 {
			shown = fmt.Sprintf("\n\nThe project's own tests look like this (`%s`):\n\n%s", example.path, text.Document(parts[0].Text))
		}
	}
	// What the model proposed came from the code, and so is no more trusted than the code.
	return task + shown + "\n\nThe code of `" + file.path + "`:\n\n" + text.Document(source) +
		"\n\nThe behaviours to test:\n\n" + text.Document(list.String()) + "\n\n" + task
}

// excerpt gives the parts of the file that the behaviours name, where it is too long for all of it.
func (s *source) excerpt(catches []Catch, limit int) (excerpt string, all bool) {
	parts := text.Split(s.text, limit)
	if len(parts) <= 1 {
		return s.text, true
	}
	parts = text.Split(s.text, max(limit/8, 100))
	wanted := map[string]bool{}
	for _, catch := range catches {
		for _, word := range words(catch.Behaviour) {
			wanted[word] = true
		}
	}
	var kept []string
	used := 0
	for at, part := range parts {
		named := at == 0 // the beginning has the imports
		for _, name := range s.language.names(part.Text) {
			named = named || wanted[name]
		}
		if size := text.EstimateTokens(part.Text); named && used+size <= limit {
			kept = append(kept, part.Text)
			used += size
		}
	}
	return strings.Join(kept, "\n\n[...]\n\n"), false
}

var fenced = regexp.MustCompile("(?s)```[^\\n]*\\n(.*?)\\n?```")

// judge takes the test file out of an answer, or says what is wrong with it.
func (p *project) judge(file *source, answer *model.Response) (code, wrong string) {
	if answer.Cut() {
		return "", "it was cut at its largest length"
	}
	code = strings.TrimSpace(answer.Text())
	for _, match := range fenced.FindAllStringSubmatch(answer.Text(), -1) {
		code = strings.Trim(match[1], "\n")
		if file.language.hasTests.MatchString(code) {
			break
		}
	}
	if !file.language.hasTests.MatchString(code) {
		return "", "there is no test of " + file.language.name + " in it"
	}
	if file.language.name == "Go" {
		parsed, err := parser.ParseFile(token.NewFileSet(), "the test", code, parser.SkipObjectResolution)
		if err != nil {
			return "", "it does not parse: " + err.Error()
		}
		if twice := p.declaredTwice(path.Dir(file.path), parsed); twice != "" {
			return "", twice
		}
	}
	return code + "\n", ""
}

// declaredTwice says which name of a new Go file another file of its package has already: then nothing of the package would compile.
func (p *project) declaredTwice(folder string, parsed *ast.File) string {
	given := topNames(parsed)
	for _, one := range p.files {
		if one.language.name != "Go" || path.Dir(one.path) != folder {
			continue
		}
		there, err := parser.ParseFile(token.NewFileSet(), one.path, one.text, parser.SkipObjectResolution)
		if err != nil || there.Name.Name != parsed.Name.Name {
			continue
		}
		for _, name := range topNames(there) {
			if slices.Contains(given, name) {
				return "it declares `" + name + "`, which `" + one.path + "` has already"
			}
		}
	}
	return ""
}

// topNames gives the names that a Go file adds to its package.
func topNames(file *ast.File) []string {
	var names []string
	add := func(ident *ast.Ident) {
		if ident.Name != "_" && ident.Name != "init" {
			names = append(names, ident.Name)
		}
	}
	for _, declared := range file.Decls {
		switch one := declared.(type) {
		case *ast.FuncDecl:
			if one.Recv == nil {
				add(one.Name)
			}
		case *ast.GenDecl:
			for _, spec := range one.Specs {
				switch one := spec.(type) {
				case *ast.TypeSpec:
					add(one.Name)
				case *ast.ValueSpec:
					for _, ident := range one.Names {
						add(ident)
					}
				}
			}
		}
	}
	return names
}

// doubts says what a person should look at.
func (s *source) doubts(code string) []string {
	has := map[string]bool{}
	for _, word := range words(code) {
		has[word] = true
	}
	for _, name := range s.language.names(s.text) {
		if has[name] {
			return nil
		}
	}
	return []string{"the tests name nothing that `" + s.path + "` declares"}
}

// report is what a person reads.
func report(written *Written, language *language) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Write to the new file `%s` (%s):\n\n```%s\n%s```\n\nWhat the tests would catch:\n\n", written.TestPath, written.Style, strings.ToLower(language.name), written.Code)
	for _, catch := range written.Catches {
		out.WriteString("- " + catch.Behaviour)
		if catch.Catches != "" {
			out.WriteString(". Catches: " + catch.Catches)
		}
		out.WriteString("\n")
	}
	for _, warning := range written.Warnings {
		out.WriteString("\nLook at this: " + warning + "\n")
	}
	return out.String()
}
