package main

import (
	"path"
	"regexp"
	"strings"
)

// language is what the skill knows of a programming language: enough to find declarations and tests, not to parse it.
type language struct {
	name       string
	extensions []string
	// isTest says whether a file holds tests, by its path.
	isTest *regexp.Regexp
	// declares finds declarations that a test can reach; the last group is the name.
	declares *regexp.Regexp
	// hasTests finds a test in a text.
	hasTests *regexp.Regexp
	// styles are the ways to write tests, the more particular first; the last one holds where none is found.
	styles []style
	// testPath says where the tests of a file are put where the project does not show it.
	testPath func(file string) string
}

type style struct {
	name  string
	marks *regexp.Regexp
}

func marked(name, marks string) style { return style{name, regexp.MustCompile(marks)} }

func beside(before, after string) func(string) string {
	return func(file string) string {
		extension := path.Ext(file)
		stem := strings.TrimSuffix(path.Base(file), extension)
		return path.Join(path.Dir(file), before+stem+after+extension)
	}
}

var languages = []language{
	{
		name: "Go", extensions: []string{".go"},
		isTest:   regexp.MustCompile(`_test\.go$`),
		declares: regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type )([A-Za-z_]\w*)`),
		hasTests: regexp.MustCompile(`(?m)^func (?:Test|Fuzz|Example)\w*\(`),
		styles:   []style{marked("testing with testify", `stretchr/testify`), marked("testing", `"testing"`)},
		testPath: beside("", "_test"),
	},
	{
		name: "Python", extensions: []string{".py"},
		isTest:   regexp.MustCompile(`(^|/)(test_[^/]*|[^/]*_test)\.py$`),
		declares: regexp.MustCompile(`(?m)^\s*(?:async )?(?:def|class) ([A-Za-z]\w*)`),
		hasTests: regexp.MustCompile(`(?m)^\s*(?:async )?def test_?\w*\(`),
		styles:   []style{marked("unittest", `(?m)^(?:import unittest|from unittest)|unittest\.TestCase`), marked("pytest", `pytest`)},
		testPath: beside("test_", ""),
	},
	{
		name: "TypeScript", extensions: []string{".ts", ".tsx", ".mts"},
		isTest:   scriptTest,
		declares: scriptDeclares,
		hasTests: scriptHasTests,
		styles:   scriptStyles,
		testPath: beside("", ".test"),
	},
	{
		name: "JavaScript", extensions: []string{".js", ".jsx", ".mjs", ".cjs"},
		isTest:   scriptTest,
		declares: scriptDeclares,
		hasTests: scriptHasTests,
		styles:   scriptStyles,
		testPath: beside("", ".test"),
	},
	{
		name: "Rust", extensions: []string{".rs"},
		isTest:   regexp.MustCompile(`(^|/)tests?(/[^/]+)*\.rs$|(^|/)tests/`),
		declares: regexp.MustCompile(`(?m)^\s*(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*(?:fn|struct|enum|trait) ([A-Za-z_]\w*)`),
		hasTests: regexp.MustCompile(`#\[(?:\w+::)?test\b`),
		styles:   []style{marked("#[test] with tokio", `tokio::test`), marked("#[test]", `#\[test\]`)},
		testPath: func(file string) string {
			root, _, found := strings.Cut(file, "src/")
			if !found {
				root = ""
			}
			return path.Join(root, "tests", strings.TrimSuffix(path.Base(file), ".rs")+".rs")
		},
	},
	{
		name: "Java", extensions: []string{".java"},
		isTest:   regexp.MustCompile(`(^|/)src/test/|Tests?\.java$`),
		declares: regexp.MustCompile(`(?m)^\s*(?:public |protected |static |final |abstract )+(?:class |interface |enum |record |[\w<>\[\], ?]+ )(\w+)\s*[({<]`),
		hasTests: regexp.MustCompile(`@Test\b`),
		styles:   []style{marked("JUnit 5", `org\.junit\.jupiter`), marked("JUnit 4", `org\.junit\.Test`), marked("JUnit", `@Test`)},
		testPath: func(file string) string {
			return beside("", "Test")(strings.Replace(file, "src/main/", "src/test/", 1))
		},
	},
}

var (
	scriptTest     = regexp.MustCompile(`\.(?:test|spec)\.\w+$|(^|/)__tests__/`)
	scriptDeclares = regexp.MustCompile(`(?m)^\s*(?:export )?(?:default )?(?:async )?(?:function\*?|class|const|interface) ([A-Za-z_$][\w$]*)`)
	scriptHasTests = regexp.MustCompile(`(?m)\b(?:it|test)(?:\.\w+)*\(`)
	scriptStyles   = []style{
		marked("vitest", `['"]vitest['"]`), marked("node:test", `['"]node:test['"]`), marked("mocha", `['"](?:mocha|chai)['"]`),
		marked("jest", `\bjest\.|@jest/|\b(?:it|test)\(`),
	}
)

// languageOf finds a file's language by its name.
func languageOf(file string) *language {
	extension := path.Ext(file)
	for at := range languages {
		for _, one := range languages[at].extensions {
			if one == extension {
				return &languages[at]
			}
		}
	}
	return nil
}

// styleOf finds the style in which tests are written; none where it is not one of those that are known.
func (l *language) styleOf(text string) string {
	for _, style := range l.styles {
		if style.marks.MatchString(text) {
			return style.name
		}
	}
	return ""
}

// names gives what a text declares, in its order.
func (l *language) names(text string) []string {
	names, seen := []string{}, map[string]bool{}
	for _, match := range l.declares.FindAllStringSubmatch(text, -1) {
		name := match[len(match)-1]
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}
