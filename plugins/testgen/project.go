package main

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"ringfence"
)

// Bounds on what one call reads, so that a large project ends in words and not at a limit of the host.
const (
	mostFiles   = 2000
	largestFile = 512 << 10
)

// skipped are folders that hold what others wrote, or what was made.
var skipped = map[string]bool{
	"node_modules": true, "vendor": true, "target": true, "dist": true, "build": true, "venv": true, "__pycache__": true, "testdata": true,
}

// source is one file of the project.
type source struct {
	path     string
	language *language
	text     string
	isTest   bool
}

// project is what was read: sources and tests, in the order of their paths.
type project struct {
	files []source
	// passedOver says why files were not read.
	passedOver []string
	cut        bool
}

// within makes a path of the caller's one below the granted folder.
func within(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(name), "\\", "/"), "/code/"))
	if clean == "/code" || clean == "/" {
		clean = "."
	}
	if !fs.ValidPath(clean) {
		return "", ringfence.InvalidInput("`%s` leads out of the folder of the code", name).WithHint("name a path below that folder, for example `src/prices.py`")
	}
	return clean, nil
}

// readProject reads every source file below a folder.
func readProject(folder string) (*project, error) {
	made := &project{}
	err := fs.WalkDir(code, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if name == folder {
				return missing(name, err)
			}
			made.passedOver = append(made.passedOver, name+": "+reason(err))
			return nil
		}
		if entry.IsDir() {
			if name != folder && (skipped[entry.Name()] || strings.HasPrefix(entry.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if languageOf(name) == nil || !entry.Type().IsRegular() {
			return nil
		}
		if len(made.files) >= mostFiles {
			made.cut = true
			return fs.SkipAll
		}
		file, err := readSource(name)
		if err != nil {
			made.passedOver = append(made.passedOver, err.Error())
			return nil
		}
		made.files = append(made.files, *file)
		return nil
	})
	return made, err
}

// readSource reads one source file.
func readSource(name string) (*source, error) {
	if languageOf(name) == nil {
		return nil, unknownLanguage(name)
	}
	about, err := fs.Stat(code, name)
	if err != nil {
		return nil, missing(name, err)
	}
	if about.IsDir() {
		return nil, ringfence.InvalidInput("`%s` is a folder", name).WithHint("name one file; `survey` lists them")
	}
	if about.Size() > largestFile {
		return nil, ringfence.InvalidInput("`%s` has %d bytes: at most %d are read", name, about.Size(), largestFile)
	}
	text, err := fs.ReadFile(code, name)
	if err != nil {
		return nil, missing(name, err)
	}
	if !utf8.Valid(text) {
		return nil, ringfence.InvalidInput("`%s` is no UTF-8 text", name)
	}
	return sourceOf(name, string(text))
}

// sourceOf is a source file whose text is known.
func sourceOf(name, text string) (*source, error) {
	language := languageOf(name)
	if language == nil {
		return nil, unknownLanguage(name)
	}
	return &source{path: name, language: language, text: text, isTest: language.isTest.MatchString(name)}, nil
}

func unknownLanguage(name string) error {
	return ringfence.InvalidInput("`%s` is in none of the languages that this skill knows", name).
		WithHint("name a file of Go, Python, TypeScript, JavaScript, Rust or Java")
}

func missing(name string, err error) error {
	if _, none := fs.Stat(code, "."); none != nil {
		return ringfence.InvalidInput("`%s` cannot be read: no folder of code was granted", name).
			WithHint("grant one with `ringfence grant testgen files=code:FOLDER`, or give one file's code as `text`")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ringfence.InvalidInput("there is no `%s` in the folder of the code", name).WithHint("`survey` lists the files that there are")
	}
	return ringfence.Failed("`%s` cannot be read: %s", name, reason(err))
}

// reason is the words of an error without the path, which stands before them already.
func reason(err error) string {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}

// testsOf gives the tests of a file: those named after it, and those that speak of what it declares.
func (p *project) testsOf(file *source) []source {
	var tests []source
	stem := plainStem(file.path)
	for _, test := range p.files {
		if test.isTest && test.language.name == file.language.name && plainStem(test.path) == stem {
			tests = append(tests, test)
		}
	}
	if file.language.name == "Rust" && file.language.hasTests.MatchString(file.text) {
		tests = append(tests, *file) // a module of tests in the file itself
	}
	return tests
}

// example gives the test file from which the project's style is learnt: the file's own, otherwise the nearest one.
func (p *project) example(file *source) *source {
	if own := p.testsOf(file); len(own) > 0 {
		return &own[0]
	}
	var best *source
	most := -1
	for at, test := range p.files {
		if !test.isTest || test.language.name != file.language.name || !test.language.hasTests.MatchString(test.text) {
			continue
		}
		if shared := sharedFolders(test.path, file.path); shared > most {
			best, most = &p.files[at], shared
		}
	}
	return best
}

func sharedFolders(one, other string) int {
	left, right := strings.Split(path.Dir(one), "/"), strings.Split(path.Dir(other), "/")
	shared := 0
	for shared < len(left) && shared < len(right) && left[shared] == right[shared] {
		shared++
	}
	return shared
}

var testWords = regexp.MustCompile(`^test_|_test$|\.test$|\.spec$|Tests?$`)

// plainStem is a file's name without its extension and without what makes it a test: `prices` of `tests/test_prices.py`.
func plainStem(name string) string {
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	return testWords.ReplaceAllString(stem, "")
}

// testPath says where tests of a file belong: where the project's other tests lie, relative to what they test.
func (p *project) testPath(file, example *source) string {
	if own := p.testsOf(file); len(own) > 0 {
		return own[0].path
	}
	fallback := file.language.testPath(file.path)
	if example == nil {
		return fallback
	}
	// Tests that lie in a folder of their own: the next ones belong there too.
	for _, tested := range p.files {
		if !tested.isTest && plainStem(tested.path) == plainStem(example.path) {
			if path.Dir(tested.path) == path.Dir(example.path) {
				return fallback
			}
			break
		}
	}
	if path.Dir(example.path) == path.Dir(file.path) {
		return fallback
	}
	return path.Join(path.Dir(example.path), path.Base(fallback))
}
