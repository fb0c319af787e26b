// Package fake is a host for unit tests: `go test` runs a skill's code natively, and this stands in for the imports.
//
//	func TestTitle(t *testing.T) {
//		host := fake.New(t).Answer("On Bees")
//		title, err := makeTitle(host.Context(), Input{Text: "Bees hum."})
//		...
//		if !strings.Contains(host.Prompts()[0], "Bees hum.") { ... }
//	}
//
// A fake is found through the context that it gives, so that tests run in parallel. What it is not told to do, it refuses, or fails the
// test with words that say what to tell it.
package fake

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ringfence"
	"ringfence/internal/host"
	"ringfence/kv"
	"ringfence/log"
	"ringfence/model"
	"ringfence/tools"
	"ringfence/user"
)

// Host grants everything, knows no answers, and has no settings and no stored keys. Methods that tell it something return it, so that
// they can be chained.
type Host struct {
	t testing.TB

	answers   []Reply
	rules     []func(*model.Request) *Reply
	vectors   [][]float32
	models    []model.Info
	settings  map[string]string
	secrets   map[string]bool
	stored    map[string]kv.Entry
	last      uint64 // versions are never used again, also not after a delete
	refusals  []error
	races     map[string][]byte
	servers   []func(Request) *Page
	listed    []tools.Listed
	toolRules map[string]func(input []byte) (*ringfence.Outcome, error)
	person    []reply

	requests []*model.Request
	sent     []Request
	calls    []Call
	asked    []user.Question
	lines    []Line
	reports  []Report
	emitted  string
	inFlight int
	most     int
}

type reply struct {
	json string
	err  error
}

// Line is one line of the log.
type Line struct {
	Level   log.Level
	Message string
	Fields  map[string]string
}

// Report is one report of progress.
type Report struct {
	Done, Total int
	Message     string
}

// Call is a call of another skill's tool.
type Call struct{ Name, Input string }

// New makes a fake for a test. It fails the test where the skill's tools cannot be listed, as packaging would.
func New(t testing.TB) *Host {
	t.Helper()
	if _, err := ringfence.Tools(); err != nil && !errors.Is(err, ringfence.ErrNoTools) {
		t.Fatalf("the tools cannot be listed: %s", err)
	}
	return &Host{
		t:         t,
		settings:  map[string]string{},
		secrets:   map[string]bool{},
		stored:    map[string]kv.Entry{},
		races:     map[string][]byte{},
		toolRules: map[string]func([]byte) (*ringfence.Outcome, error){},
	}
}

// Context is the context of an invocation at this host: by a person at the command line, with a minute to wait.
func (h *Host) Context() *ringfence.Context {
	return h.ContextOf(ringfence.CallerUser, time.Minute, "")
}

// ContextOf is a context with particulars of the test's own.
func (h *Host) ContextOf(caller ringfence.Caller, limit time.Duration, locale string) *ringfence.Context {
	return ringfence.NewContext(host.With(context.Background(), &imports{h}), "test", caller, limit, locale)
}

// Config has a setting of the operator.
func (h *Host) Config(key string, value any) *Host {
	h.settings[key] = h.json(value)
	return h
}

// Secret has a secret that the skill may use.
func (h *Host) Secret(name string) *Host {
	h.secrets[name] = true
	return h
}

// Logs gives the lines of the log.
func (h *Host) Logs() []Line { return h.lines }

// Reports gives the reports of progress.
func (h *Host) Reports() []Report { return h.reports }

// Emitted gives what was emitted, joined.
func (h *Host) Emitted() string { return h.emitted }

// MostInFlight gives the largest number of generations, or calls of tools, that were open at once.
func (h *Host) MostInFlight() int { return h.most }

func (h *Host) opened() (drop func()) {
	h.inFlight++
	h.most = max(h.most, h.inFlight)
	return sync.OnceFunc(func() { h.inFlight-- })
}

func (h *Host) json(value any) string {
	h.t.Helper()
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		h.t.Fatalf("the test's value cannot be JSON: %s", err)
	}
	return string(text)
}

// imports is what the SDK's packages ask: it keeps their functions out of Host.
type imports struct{ *Host }

func (i *imports) Log(level uint8, message string, fields []host.Field) {
	line := Line{Level: log.Level(level), Message: message, Fields: map[string]string{}}
	for _, field := range fields {
		line.Fields[field.Key] = field.Value
	}
	i.lines = append(i.lines, line)
}

func (i *imports) Report(done, total uint64, message string) {
	i.reports = append(i.reports, Report{int(done), int(total), message})
}

func (i *imports) Emit(text string) { i.emitted += text }

func (i *imports) ConfigGet(key string) (string, bool) {
	value, ok := i.settings[key]
	return value, ok
}

func (i *imports) SecretExists(name string) bool { return i.secrets[name] }

func (i *imports) fail(format string, args ...any) {
	i.t.Helper()
	i.t.Fatal(fmt.Sprintf(format, args...))
}
