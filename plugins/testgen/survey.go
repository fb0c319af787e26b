package main

import (
	"strings"

	"ringfence"
)

type SurveyInput struct {
	Path string `json:"path" desc:"A folder or file below the granted folder." default:"."`
}

// Survey is what a project is made of.
type Survey struct {
	Files []Surveyed `json:"files" desc:"Source files, those without tests first."`
	Tests int        `json:"tests" desc:"How many test files there are."`
	// Styles are named after the library or the attribute.
	Styles     []string `json:"styles" desc:"In which styles tests are written."`
	PassedOver []string `json:"passed_over" desc:"Files that were not read, and why."`
}

// Surveyed is one source file.
type Surveyed struct {
	Path     string   `json:"path"`
	Language string   `json:"language"`
	Lines    int      `json:"lines"`
	Declares []string `json:"declares" desc:"What it declares, in its order."`
	Tests    []string `json:"tests" desc:"Its test files."`
	Untested []string `json:"untested" desc:"What it declares and no test names."`
}

func survey(_ *ringfence.Context, in SurveyInput) (Survey, error) {
	name, err := within(in.Path)
	if err != nil {
		return Survey{}, err
	}
	project, err := readProject(name)
	if err != nil {
		return Survey{}, err
	}
	out := Survey{PassedOver: project.passedOver}
	if project.cut {
		out.PassedOver = append(out.PassedOver, "the project has more source files than are read at once: survey its folders one by one")
	}
	var tested []Surveyed
	seen := map[string]bool{}
	all := project.testTexts()
	for at := range project.files {
		file := &project.files[at]
		if file.isTest {
			out.Tests++
			if style := file.language.styleOf(file.text); style != "" && !seen[style] {
				seen[style] = true
				out.Styles = append(out.Styles, style)
			}
			continue
		}
		one := Surveyed{
			Path: file.path, Language: file.language.name, Lines: strings.Count(file.text, "\n"), Declares: file.language.names(file.text),
		}
		for _, test := range project.testsOf(file) {
			one.Tests = append(one.Tests, test.path)
		}
		for _, name := range one.Declares {
			if !all[file.language.name][name] {
				one.Untested = append(one.Untested, name)
			}
		}
		if len(one.Tests) > 0 {
			tested = append(tested, one)
			continue
		}
		out.Files = append(out.Files, one)
	}
	out.Files = append(out.Files, tested...)
	return out, nil
}

// testTexts gives the words of all tests, by language.
func (p *project) testTexts() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, file := range p.files {
		if !file.isTest {
			continue
		}
		if all[file.language.name] == nil {
			all[file.language.name] = map[string]bool{}
		}
		for _, word := range words(file.text) {
			all[file.language.name][word] = true
		}
	}
	return all
}

// words gives the identifiers of a text.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool {
		return c != '_' && c != '$' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c < 0x80
	})
}
