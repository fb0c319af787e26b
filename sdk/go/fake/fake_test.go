package fake_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"ringfence"
	"ringfence/config"
	"ringfence/fake"
	"ringfence/http"
	"ringfence/kv"
	"ringfence/log"
	"ringfence/model"
	"ringfence/progress"
	"ringfence/secrets"
	"ringfence/tools"
	"ringfence/user"
)

type city struct {
	Name string `json:"name" desc:"Its name."`
}

type pair struct {
	A int `json:"a"`
	B int `json:"b"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestModels(t *testing.T) {
	host := fake.New(t).Answer("They hum.").AnswerWhen("city", city{"Paris"})
	ctx := host.Context()
	answer := must(model.Ask(ctx, "What do bees do?", model.System("Be brief."), model.Use("fast"), model.MaxTokens(9), model.CacheSoFar))
	if answer.Text() != "They hum." || answer.Model != "fake/fast" || host.Prompts()[0] != "Be brief.\n\nWhat do bees do?" || *host.Requests()[0].CacheUntil != 1 {
		t.Errorf("answered %+v to %q", answer, host.Prompts())
	}
	if found := must(model.JSON[city](ctx, "Name a city.")); found.Name != "Paris" {
		t.Errorf("found %+v", found)
	}
	if schema := host.Requests()[1].OutputSchema; !strings.Contains(schema, `"description":"Its name."`) {
		t.Errorf("asked for %s", schema)
	}
	host.Answer("no JSON")
	if _, err := model.JSON[pair](ctx, "x"); !errors.Is(err, ringfence.Invalid) {
		t.Errorf("gave %v", err)
	}
}

func TestStreams(t *testing.T) {
	host := fake.New(t).Answer("one two three").Answer(fake.Say("a b").ThenBreaks(ringfence.Refuse(ringfence.Unavailable, "down"))).Answer("x y")
	var pieces []string
	for piece, err := range model.Stream(host.Context(), "count") {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, piece)
	}
	if !slices.Equal(pieces, []string{"one ", "two ", "three"}) {
		t.Errorf("came %q", pieces)
	}
	generation := must(model.Open(host.Context(), "breaks"))
	if _, err := generation.Emit(); !errors.Is(err, ringfence.Unavailable) || host.Emitted() != "a b" {
		t.Errorf("gave %v after %q", err, host.Emitted())
	}
	for range model.Stream(host.Context(), "left early") {
		break
	}
	generation = must(model.Open(host.Answer("z").Context(), "count"))
	if host.MostInFlight() != 1 {
		t.Error("a generation that was left is not cancelled")
	}
	generation.Cancel()
}

func TestParallel(t *testing.T) {
	host := fake.New(t).Answer("1").Refuse(ringfence.Refuse(ringfence.TimedOut, "late")).Answer("3")
	var got []string
	for answer, err := range model.Parallel(host.Context(), 2, []string{"a", "b", "c"}) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, answer.Text())
	}
	if !slices.Equal(got, []string{"1", "late", "3"}) || host.MostInFlight() != 2 {
		t.Errorf("got %q with %d at once", got, host.MostInFlight())
	}
}

func TestToolLoop(t *testing.T) {
	host := fake.New(t).
		Answer(fake.CallTool("add", pair{2, 3}).AndCallTool("add", map[string]any{"a": 1})).
		Answer(fake.CallTool("gone", pair{})).
		Answer("5")
	add := model.NewTool("add", "Adds.", func(_ context.Context, in pair) (int, error) { return in.A + in.B, nil })
	answer := must(model.Run(host.Context(), "2 + 3?", model.Tools(add), model.Choose(model.ToolRequired)))
	results := host.Requests()[1].Messages[2].Parts
	if answer.Text() != "5" || results[0] != (model.ToolResult{ID: "call-1", Content: "5"}) || !results[1].(model.ToolResult).IsError {
		t.Errorf("answered %q after %+v", answer.Text(), results)
	}
	if host.Requests()[1].ToolChoice != model.ToolAuto {
		t.Error("the model must still call a tool")
	}
	host.Answer(fake.CallTool("add", pair{})).Answer("out of rounds")
	if must(model.Run(host.Context(), "x", model.Tools(add), model.Rounds(1))).Text() != "out of rounds" || host.Requests()[4].ToolChoice != model.ToolNone {
		t.Error("rounds do not end")
	}
}

func TestKv(t *testing.T) {
	host := fake.New(t).Store("runs", 1).Race("runs", 5)
	ctx := host.Context()
	if runs := must(kv.Update(ctx, "runs", func(old int) int { return old + 1 })); runs != 6 {
		t.Errorf("a race was lost: %d", runs)
	}
	if _, ok, err := kv.Get[int](ctx, "none"); ok || err != nil {
		t.Error("something is there")
	}
	must(kv.SetBytes(ctx, "run", []byte("x")))
	if written := must(kv.SetIf(ctx, "run", nil, kv.Absent)); written.Done || written.Version == 0 {
		t.Errorf("wrote %+v", written)
	}
	var keys []string
	for key, err := range kv.Keys(ctx, "run") {
		keys = append(keys, must(key, err))
	}
	if !slices.Equal(keys, []string{"run", "runs"}) {
		t.Errorf("keys %q", keys)
	}
	if _, _, err := kv.Get[int](ctx, "run"); !errors.Is(err, ringfence.Invalid) {
		t.Errorf("read something else: %v", err)
	}
	var stored int
	if !host.Stored("runs", &stored) || stored != 6 || kv.Delete(ctx, "runs") != nil || host.Stored("runs", &stored) {
		t.Error("not stored, or not deleted")
	}
	if _, err := kv.Set(ctx, "bad\n", 1); !errors.Is(err, ringfence.Invalid) {
		t.Errorf("a bad key: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	host := fake.New(t).Serve("https://a.test/", "hello").
		ServePage("https://a.test/json", fake.JSONPage(city{"Rome"})).
		ServePage("https://a.test/busy", &fake.Page{Status: 503})
	ctx := host.Context()
	page := must(http.Get(ctx, "https://a.test/?q=1", http.Header("authorization", secrets.Bearer("T"))))
	if text := string(must(io.ReadAll(page))); text != "hello" || host.Sent()[0].Headers[0].Value != "Bearer {{secret:T}}" {
		t.Errorf("got %q by %+v", text, host.Sent())
	}
	var found city
	if err := must(http.Get(ctx, "https://a.test/json")).JSON(&found); err != nil || found.Name != "Rome" {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := must(http.Get(ctx, "https://a.test/busy")).ErrorForStatus(); !errors.Is(err, ringfence.Unavailable) {
		t.Errorf("busy gave %v", err)
	}
	if _, err := http.Post(ctx, "https://b.test/", http.JSON(1)); !errors.Is(err, ringfence.Denied) {
		t.Errorf("what is not served gave %v", err)
	}
	upload := must(http.Begin(ctx, "POST", "https://a.test/"))
	must(io.WriteString(upload, "ab"))
	must(io.WriteString(upload, "c"))
	must(upload.Finish())
	if sent := host.Sent(); string(sent[len(sent)-1].Body) != "abc" {
		t.Errorf("sent %q", sent[len(sent)-1].Body)
	}
	if _, err := upload.Write([]byte("d")); err == nil {
		t.Error("wrote after the end")
	}
}

func TestToolsPersonAndTheRest(t *testing.T) {
	wrong := &ringfence.Failure{Kind: ringfence.KindInvalidInput, Message: "wrong"}
	host := fake.New(t).Tool("a/b", "text").
		ToolWith("a/c", func([]byte) (*ringfence.Outcome, error) { return nil, wrong }).
		Person("Ada").Person(true).RefuseQuestion(ringfence.Refuse(ringfence.Cancelled, "")).
		Config("tone", "plain").Secret("T").Vectors([]float32{1})
	ctx := host.Context()
	if must(tools.Call(ctx, "a/b", city{"x"})).Text() != "text" || host.Calls()[0].Input != `{"name":"x"}` {
		t.Errorf("called %+v", host.Calls())
	}
	pending := must(tools.Start(ctx, "a/c", city{}))
	_, err := pending.Wait()
	var failure *ringfence.Failure
	if !errors.As(err, &failure) || failure.Tool != "a/c" {
		t.Errorf("gave %v", err)
	}
	if _, err := pending.Wait(); !errors.Is(err, ringfence.Invalid) {
		t.Errorf("waited twice: %v", err)
	}
	if must(user.Ask(ctx, "Name?")) != "Ada" || !must(user.Confirm(ctx, "Sure?", user.Remember("sure"))) {
		t.Error("the person was not heard")
	}
	if _, err := user.Choose(ctx, "Which?", []string{"a"}); !errors.Is(err, ringfence.Cancelled) || !strings.Contains(host.Questions()[2].Schema, `["a"]`) {
		t.Errorf("declined: %v", err)
	}
	if _, err := user.Number(ctx, "How many?"); !errors.Is(err, ringfence.Unavailable) {
		t.Errorf("nobody is there: %v", err)
	}
	if must(config.Or(ctx, "tone", "x")) != "plain" || must(config.Or(ctx, "other", 3)) != 3 || !secrets.Exists(ctx, "T") {
		t.Error("settings or secrets are lost")
	}
	if _, _, err := config.Get[int](ctx, "tone"); !errors.Is(err, ringfence.Invalid) {
		t.Errorf("a text is no number: %v", err)
	}
	if len(must(model.Embed(ctx, "embed", []string{"a"})).Vectors) != 1 {
		t.Error("no vectors")
	}
	log.Warn(ctx, "careful", "n", 3, "who", "Ada")
	steps := progress.Begin(ctx, 2, "begin")
	steps.Done(ctx, "half")
	if line := host.Logs()[0]; line.Level != log.LevelWarn || line.Fields["n"] != "3" || host.Reports()[1] != (fake.Report{Done: 1, Total: 2, Message: "half"}) {
		t.Errorf("logged %+v, reported %+v", line, host.Reports())
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := model.Ask(over, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("asked though it is over: %v", err)
	}
}
