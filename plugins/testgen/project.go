package main

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strconv"
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
	// alone is one file whose text was given: nothing is known of the folder around it.
	alone bool
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
	for _, test := range p.files {
		if test.isTest && test.language.name == file.language.name && test.isOf(file) {
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

// isOf says whether a file is named after another: `prices_test.go` or `prices_more_test.go` after `prices.go`.
func (s *source) isOf(file *source) bool {
	stem, own := plainStem(file.path), plainStem(s.path)
	return own == stem || moreWords.ReplaceAllString(own, "") == stem
}

// moreWords are what a name gets whose place is taken.
var moreWords = regexp.MustCompile(`(?:[_.]m|M)ore\d*$`)

// isProgram says whether other crates reach nothing of a Rust file.
func (s *source) isProgram() bool {
	return s.language.name == "Rust" && (path.Base(s.path) == "main.rs" || strings.HasPrefix(s.path, "src/bin/") || strings.Contains(s.path, "/src/bin/"))
}

var crateName = regexp.MustCompile(`(?m)^name\s*=\s*"([\w-]+)"`)

// crate is the name under which tests reach a Rust file's crate; empty where it is not known.
func (p *project) crate(file *source) string {
	root, _, found := strings.Cut(file.path, "src/")
	if p.alone || !found {
		return ""
	}
	manifest, err := fs.ReadFile(code, path.Join(root, "Cargo.toml"))
	if err != nil {
		return ""
	}
	if name := crateName.FindSubmatch(manifest); name != nil {
		return strings.ReplaceAll(string(name[1]), "-", "_")
	}
	return ""
}

// testPath says where new tests of a file belong: a path that no file has, so that nothing is lost where they are written to it.
func (p *project) testPath(file, example *source) string {
	wanted := p.usualPath(file, example)
	for more := 1; p.taken(wanted) && more < 1000; more++ {
		wanted = numbered(p.usualPath(file, example), more)
	}
	return wanted
}

// taken says whether there may be a file. What cannot be looked at is taken.
func (p *project) taken(name string) bool {
	for _, one := range p.files {
		if one.path == name {
			return true
		}
	}
	if p.alone {
		return false
	}
	_, err := fs.Stat(code, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// usualPath says where tests of a file belong: where the project's other tests lie, relative to what they test.
func (p *project) usualPath(file, example *source) string {
	for _, own := range p.testsOf(file) {
		if own.isTest && plainStem(own.path) == plainStem(file.path) {
			return own.path
		}
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
	// Cargo finds tests below `tests`; what lies elsewhere is a part of the source.
	if file.language.name == "Rust" && path.Base(path.Dir(example.path)) != "tests" {
		return fallback
	}
	return path.Join(path.Dir(example.path), path.Base(fallback))
}

// numbered is another name in the place of one that is taken: `shop_more_test.go`, `test_shop_more2.py`, `shop.more.test.ts`, `ShopMoreTest.java`.
func numbered(name string, more int) string {
	extension := path.Ext(name)
	stem := strings.TrimSuffix(path.Base(name), extension)
	plain := testWords.ReplaceAllString(stem, "")
	before, after, _ := strings.Cut(stem, plain)
	word := "_more"
	switch {
	case extension == ".java":
		word = "More"
	case strings.HasPrefix(after, "."):
		word = ".more"
	}
	if more > 1 {
		word += strconv.Itoa(more)
	}
	return path.Join(path.Dir(name), before+plain+word+after+extension)
}
