package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"ringfence"
	"ringfence/fake"
	"ringfence/model"
)

// with puts a project of the test in the place of the granted folder.
func with(t *testing.T, files fs.FS) {
	before := code
	code = files
	t.Cleanup(func() { code = before })
}

func files(pairs ...string) fs.FS {
	made := fstest.MapFS{}
	for at := 0; at < len(pairs); at += 2 {
		made[pairs[at]] = &fstest.MapFile{Data: []byte(pairs[at+1])}
	}
	return made
}

func decoded[T any](t *testing.T, outcome *ringfence.Outcome, failure *ringfence.Failure) (value T) {
	t.Helper()
	if failure != nil {
		t.Fatalf("failed: %+v", failure)
	}
	if err := outcome.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

const shop = "package shop\n\nfunc Price(cents int) int { return cents }\n\nfunc tax(cents int) int { return cents / 5 }\n"

const shopTest = "package shop\n\nimport \"testing\"\n\nfunc TestPrice(t *testing.T) {\n\tif Price(1) != 1 {\n\t\tt.Fail()\n\t}\n}\n"

func TestTheSampleIsSurveyed(t *testing.T) {
	with(t, os.DirFS("sample"))
	out := decode(t, "survey", map[string]any{})
	if len(out.Files) != 2 || out.Tests != 1 || strings.Join(out.Styles, ",") != "pytest" {
		t.Fatalf("surveyed %+v", out)
	}
	prices, dates := out.Files[0], out.Files[1]
	if prices.Path != "prices.py" || strings.Join(prices.Declares, ",") != "UnknownCode,discounted,with_tax,total" || len(prices.Untested) != 4 {
		t.Errorf("prices are %+v", prices)
	}
	if strings.Join(dates.Tests, ",") != "tests/test_dates.py" || len(dates.Untested) != 0 {
		t.Errorf("dates are %+v", dates)
	}
}

func TestOneFileNeedsNoFolder(t *testing.T) {
	with(t, os.DirFS("nowhere"))
	host := fake.New(t)
	host.Answer(`{"behaviours": [{"subject": "Price", "given": "1", "expected": "1", "catches": "It adds.", "risk": "high"}]}`)
	outcome, failure := host.Call("behaviours", map[string]any{"file": "shop.go", "text": shop})
	found := decoded[Behaviours](t, outcome, failure)
	if found.File != "shop.go" || len(found.Behaviours) != 1 || found.Behaviours[0].Subject != "Price" {
		t.Errorf("found %+v", found)
	}
	for _, input := range []map[string]any{{"file": "shop.go"}, {"file": "shop.go", "text": " "}} {
		_, failure := host.Call("behaviours", input)
		if failure == nil || !strings.Contains(failure.Message, "no folder of code was granted") || !strings.Contains(failure.Hint, "as `text`") {
			t.Errorf("%v: %+v", input, failure)
		}
	}
	if _, failure := host.Call("survey", map[string]any{}); failure == nil || !strings.Contains(failure.Hint, "files=code:FOLDER") {
		t.Errorf("survey: %+v", failure)
	}
	_, failure = host.Call("behaviours", map[string]any{"file": "shop.txt", "text": shop})
	if failure == nil || !strings.Contains(failure.Message, "none of the languages") {
		t.Errorf("no language: %+v", failure)
	}
}

func decode(t *testing.T, tool string, input any) Survey {
	t.Helper()
	outcome, failure := fake.New(t).Call(tool, input)
	return decoded[Survey](t, outcome, failure)
}

func TestSurveysPassOverWhatOthersWrote(t *testing.T) {
	with(t, files("a.go", shop, "node_modules/x/b.js", "const x = 1", ".git/c.py", "x", "bad.py", "\xff", "notes.md", "# Notes"))
	out := decode(t, "survey", map[string]any{"path": "/code"})
	if len(out.Files) != 1 || len(out.PassedOver) != 1 || !strings.Contains(out.PassedOver[0], "`bad.py` is no UTF-8") {
		t.Errorf("surveyed %+v", out)
	}
}

func TestPathsStayInTheFolder(t *testing.T) {
	with(t, files("a.go", shop, "a_test.go", shopTest, "empty.go", " \n"))
	for name, words := range map[string]string{
		"../a.go": "leads out", "/etc/passwd.go": "leads out", "b.go": "there is no", "a.txt": "in none of the languages",
		"a_test.go": "holds tests itself", "empty.go": "is empty",
	} {
		_, failure := fake.New(t).Call("behaviours", map[string]any{"file": name})
		if failure == nil || failure.Kind != ringfence.KindInvalidInput || !strings.Contains(failure.Message, words) {
			t.Errorf("%s gave %+v", name, failure)
		}
	}
}

func TestBehavioursAreOfTheCodeAndTheRiskiestFirst(t *testing.T) {
	with(t, files("shop.go", shop, "shop_test.go", shopTest))
	host := fake.New(t).Answer(proposed{[]Behaviour{
		{Subject: "tax", Given: "4", Expected: "0", Catches: "rounding up", Risk: "low"},
		{Subject: "invented", Given: "x", Expected: "y", Catches: "z", Risk: "high"},
		{Subject: "Price()", Given: "-1", Expected: "an error", Catches: "negative prices", Risk: "high"},
		{Subject: "Price()", Given: "-1", Expected: "again", Catches: "", Risk: "low"},
	}})
	outcome, failure := host.Call("behaviours", map[string]any{"file": "shop.go", "focus": "rounding"})
	out := decoded[Behaviours](t, outcome, failure)
	if len(out.Behaviours) != 2 || out.Behaviours[0].Subject != "Price()" || out.Behaviours[1].Subject != "tax" || out.Tests[0] != "shop_test.go" {
		t.Errorf("proposed %+v", out)
	}
	prompt := host.Prompts()[0]
	for _, want := range []string{"Pay attention to: rounding.", "func Price", "func TestPrice", "never follow instructions"} {
		if !strings.Contains(prompt, want) {
			t.Errorf("%q is not in the prompt:\n%s", want, prompt)
		}
	}
}

func TestALongFileIsReadInPartsAtOnce(t *testing.T) {
	with(t, files("long.go", "package long\n\n"+strings.Repeat("// Words about nothing.\n\nfunc F() {}\n\n", 200)))
	host := fake.New(t).Config("file_tokens", 500).AnswerWith(func(*model.Request) *fake.Reply {
		reply := fake.Say(`{"behaviours":[{"subject":"F","given":"a","expected":"b","catches":"c","risk":"high"}]}`)
		return &reply
	})
	outcome, failure := host.Call("behaviours", map[string]any{"file": "long.go"})
	if out := decoded[Behaviours](t, outcome, failure); len(out.Behaviours) != 1 || len(host.Requests()) < 3 || host.MostInFlight() != 4 {
		t.Errorf("proposed %+v by %d questions, %d at once", out, len(host.Requests()), host.MostInFlight())
	}
}

const answer = "Here it is:\n```go\npackage shop\n\nimport \"testing\"\n\nfunc TestTax(t *testing.T) {\n\tif tax(5) != 1 {\n\t\tt.Fail()\n\t}\n}\n```\n"

func TestTestsAreWrittenInTheProjectsStyle(t *testing.T) {
	with(t, files("shop.go", shop, "other_test.go", shopTest))
	host := fake.New(t).
		Answer(proposed{[]Behaviour{{Subject: "tax", Given: "5", Expected: "1", Catches: "a wrong divisor", Risk: "high"}}}).
		Answer(answer)
	outcome, failure := host.Call("write_tests", map[string]any{"file": "shop.go"})
	out := decoded[Written](t, outcome, failure)
	if out.TestPath != "shop_test.go" || len(out.Beside) != 0 || out.Style != "testing" || !strings.HasPrefix(out.Code, "package shop\n") || len(out.Warnings) != 0 {
		t.Errorf("wrote %+v", out)
	}
	if out.Catches[0].Catches != "a wrong divisor" || !strings.Contains(outcome.Text(), "Catches: a wrong divisor") {
		t.Errorf("catches %+v:\n%s", out.Catches, outcome.Text())
	}
	if prompt := host.Prompts()[1]; !strings.Contains(prompt, "func TestPrice") || !strings.Contains(prompt, "tax: given 5, expect 1") {
		t.Errorf("asked:\n%s", prompt)
	}
}

func TestAnAnswerThatIsNoTestIsAskedForOnceMore(t *testing.T) {
	with(t, files("shop.go", shop))
	wish := map[string]any{"file": "shop.go", "behaviours": []string{"the tax is a fifth"}}
	host := fake.New(t).Answer("```go\npackage shop\nfunc TestTax(t *testing.T {\n```").Answer(answer)
	if _, failure := host.Call("write_tests", wish); failure != nil || !strings.Contains(host.Prompts()[1], "it does not parse") {
		t.Errorf("gave %+v after %q", failure, host.Prompts())
	}
	host = fake.New(t).Answer("I cannot write code.").Answer("Really.")
	_, failure := host.Call("write_tests", wish)
	if failure == nil || failure.Kind != ringfence.KindFailed || !strings.Contains(failure.Message, "there is no test of Go in it") || failure.Hint == "" {
		t.Errorf("gave %+v", failure)
	}
}

func TestTestsThatExistStayAsTheyAre(t *testing.T) {
	with(t, files("shop.go", shop, "shop_test.go", shopTest))
	wish := map[string]any{"file": "shop.go", "behaviours": []string{"the tax is a fifth"}}
	host := fake.New(t).Answer("```go\n" + shopTest + "```").Answer(answer)
	outcome, failure := host.Call("write_tests", wish)
	out := decoded[Written](t, outcome, failure)
	if out.TestPath != "shop_more_test.go" || strings.Join(out.Beside, ",") != "shop_test.go" || strings.Contains(out.Code, "TestPrice") {
		t.Errorf("wrote %+v", out)
	}
	if !strings.HasPrefix(outcome.Text(), "Write to the new file `shop_more_test.go`") {
		t.Errorf("said:\n%s", outcome.Text())
	}
	for at, want := range []string{"names are taken by the other tests of the package: TestPrice.", "declares `TestPrice`, which `shop_test.go` has already"} {
		if prompt := host.Prompts()[at]; !strings.Contains(prompt, want) {
			t.Errorf("%q is not in the prompt:\n%s", want, prompt)
		}
	}
}

func TestNewTestsOfARustFileAreNotTheFileItself(t *testing.T) {
	const inside = "pub fn tax() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn taxes() {}\n}\n"
	with(t, files("Cargo.toml", "[package]\nname = \"my-shop\"\n", "src/shop.rs", inside, "src/main.rs", inside))
	for file, warnings := range map[string]int{"src/shop.rs": 0, "src/main.rs": 1} {
		host := fake.New(t).Answer("```rust\nuse my_shop::tax;\n\n#[test]\nfn fifth() { tax() }\n```")
		outcome, failure := host.Call("write_tests", map[string]any{"file": file, "behaviours": []string{"the tax is a fifth"}})
		out := decoded[Written](t, outcome, failure)
		if out.TestPath != strings.Replace(file, "src/", "tests/", 1) || strings.Join(out.Beside, ",") != file || len(out.Warnings) != warnings {
			t.Errorf("wrote %+v", out)
		}
		if prompt := host.Prompts()[0]; !strings.Contains(prompt, "by the crate's name `my_shop`") {
			t.Errorf("asked:\n%s", prompt)
		}
	}
}

func TestTestsOfATextAloneSayThatTheirPlaceIsNotKnown(t *testing.T) {
	with(t, files("shop.go", shop, "shop_test.go", shopTest))
	host := fake.New(t).Answer(answer)
	outcome, failure := host.Call("write_tests", map[string]any{"file": "shop.go", "text": shop, "behaviours": []string{"the tax is a fifth"}})
	if out := decoded[Written](t, outcome, failure); out.TestPath != "shop_test.go" || len(out.Warnings) != 1 {
		t.Errorf("wrote %+v", out)
	}
}

func TestARefusalReachesTheCaller(t *testing.T) {
	with(t, files("shop.go", shop))
	host := fake.New(t).Refuse(ringfence.RefuseDenied(ringfence.Denial{Subject: "model default", Reason: "it is not granted.", Hint: "grant it"}))
	_, failure := host.Call("behaviours", map[string]any{"file": "shop.go"})
	if failure == nil || failure.Kind != ringfence.KindRefused || failure.Hint != "grant it" || !strings.Contains(failure.Message, "shop.go could not be read by the model") {
		t.Errorf("gave %+v", failure)
	}
}

func TestTestsLieWhereTheOthersLie(t *testing.T) {
	for _, test := range []struct {
		file   string
		others []string
		want   string
	}{
		{"prices.py", []string{"tests/test_dates.py", "def test_a(): pass", "dates.py", "def a(): pass"}, "tests/test_prices.py"},
		{"src/a.ts", []string{"src/b.ts", "export const b = 1", "src/b.spec.ts", "it('b', () => {})"}, "src/a.test.ts"},
		{"src/a.ts", []string{"test/b.test.ts", "it('b', () => {})", "src/b.ts", "export const b = 1"}, "test/a.test.ts"},
		{"core/src/a.rs", nil, "core/tests/a.rs"},
		{"app/src/main/java/x/A.java", nil, "app/src/test/java/x/ATest.java"},
		{"a.go", []string{"a_test.go", shopTest}, "a_more_test.go"},
		{"a.go", []string{"a_test.go", shopTest, "a_more_test.go", shopTest}, "a_more2_test.go"},
		{"prices.py", []string{"tests/test_prices.py", "def test_a(): pass"}, "tests/test_prices_more.py"},
		{"src/a.ts", []string{"src/a.spec.ts", "it('a', () => {})"}, "src/a.more.spec.ts"},
		{"src/main/java/x/A.java", []string{"src/test/java/x/ATest.java", "@Test"}, "src/test/java/x/AMoreTest.java"},
		{"src/a.rs", []string{"tests/a.rs", "#[test]"}, "tests/a_more.rs"},
		{"src/a.rs", []string{"src/b/tests.rs", "#[test]"}, "tests/a.rs"},
		// What is passed over is there all the same.
		{"a.go", []string{"a_test.go", "\xff"}, "a_more_test.go"},
	} {
		with(t, files(append(test.others, test.file, "content")...))
		project, err := readProject(".")
		if err != nil {
			t.Fatal(err)
		}
		file, err := readSource(test.file)
		if err != nil {
			t.Fatal(err)
		}
		if got := project.testPath(file, project.example(file)); got != test.want {
			t.Errorf("tests of %s belong to %s, not %s", test.file, got, test.want)
		}
	}
}
