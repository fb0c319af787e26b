// Every function of the interface, one tool for each. One suite runs the same rows in all languages.
package main

import (
	"fmt"
	"strings"

	"ringfence"
	"ringfence/config"
	"ringfence/kv"
	"ringfence/log"
	"ringfence/progress"
	"ringfence/secrets"
	"ringfence/user"
)

func main() {}

func init() {
	ringfence.Tool("echo", "Gives the text back.", echo, ringfence.ReadOnly)
	ringfence.Tool("shapes", "Gives values of every shape back.", shapes, ringfence.ReadOnly)
	ringfence.Tool("logs", "Writes a line of each level.", logs)
	ringfence.Tool("progress", "Reports progress and emits text.", progresses)
	ringfence.Tool("setting", "Reads a setting.", setting)
	ringfence.Tool("state", "Uses every function of the state.", state)
	ringfence.Tool("secret", "Says whether there is a secret.", secret)
	ringfence.Tool("ask_person", "Asks the person.", askPerson)
	ringfence.Tool("confirm_person", "Asks the person for a yes or a no.", confirmPerson)
	ringfence.Tool("give_up", "Fails.", giveUp)
	ringfence.Tool("crash", "Panics.", crash)
	ringfence.Tool("who", "Says who calls.", who)
	ringfence.Tool("media", "Gives text, an image and a link.", media)
	ringfence.Tool("spin", "Computes for ever.", spin)
	ringfence.Tool("big", "Gives a long text.", big)
	ringfence.Tool("unicode", "Gives text of many scripts.", unicode)
}

type Text struct {
	Text string `json:"text" desc:"A text."`
}

func echo(_ *ringfence.Context, in Text) (string, error) { return in.Text, nil }

type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

type Shapes struct {
	Count int      `json:"count" desc:"How many."`
	Ratio float64  `json:"ratio"`
	Flag  bool     `json:"flag"`
	Words []string `json:"words"`
	Note  *string  `json:"note"`
	Mode  string   `json:"mode" enum:"fast,slow"`
	Point Point    `json:"point"`
}

func shapes(_ *ringfence.Context, in Shapes) (Shapes, error) { return in, nil }

func logs(ctx *ringfence.Context, _ ringfence.None) (string, error) {
	for at, write := range []func(level string, n int){
		func(level string, n int) { log.Trace(ctx, "line at "+level, "n", n) },
		func(level string, n int) { log.Debug(ctx, "line at "+level, "n", n) },
		func(level string, n int) { log.Info(ctx, "line at "+level, "n", n) },
		func(level string, n int) { log.Warn(ctx, "line at "+level, "n", n) },
		func(level string, n int) { log.Error(ctx, "line at "+level, "n", n) },
	} {
		write(log.Level(at).String(), at)
	}
	return "ok", nil
}

func progresses(ctx *ringfence.Context, _ ringfence.None) (string, error) {
	progress.Report(ctx, 1, 3, "one")
	progress.Emit(ctx, "a")
	progress.Report(ctx, 2, 3, "")
	progress.Emit(ctx, "b")
	progress.Report(ctx, 3, 3, "")
	progress.Emit(ctx, "c")
	return "abc", nil
}

type Key struct {
	Key string `json:"key"`
}

type Setting struct {
	Value any `json:"value"`
}

func setting(ctx *ringfence.Context, in Key) (Setting, error) {
	value, _, err := config.Get[any](ctx, in.Key)
	return Setting{value}, err
}

type State struct {
	Missing  bool     `json:"missing"`
	First    uint64   `json:"first"`
	Conflict *uint64  `json:"conflict"`
	Second   uint64   `json:"second"`
	Value    string   `json:"value"`
	Keys     []string `json:"keys"`
	Deleted  bool     `json:"deleted"`
}

func state(ctx *ringfence.Context, in Key) (State, error) {
	var out State
	entry, err := kv.Read(ctx, in.Key)
	if err != nil {
		return out, err
	}
	out.Missing = entry == nil
	written, err := kv.SetIf(ctx, in.Key, []byte("one"), kv.Absent)
	if err != nil {
		return out, err
	}
	out.First = written.Version
	if written, err = kv.SetIf(ctx, in.Key, []byte("x"), kv.Absent); err != nil {
		return out, err
	}
	if !written.Done && written.Version != 0 {
		out.Conflict = &written.Version
	}
	second, err := kv.SetIf(ctx, in.Key, []byte("two"), kv.IfVersion(out.First))
	if err != nil {
		return out, err
	}
	out.Second = second.Version
	if entry, err = kv.Read(ctx, in.Key); err != nil {
		return out, err
	}
	out.Value = string(entry.Value)
	for key, err := range kv.Keys(ctx, in.Key) {
		if err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, key)
	}
	if err := kv.Delete(ctx, in.Key); err != nil {
		return out, err
	}
	entry, err = kv.Read(ctx, in.Key)
	out.Deleted = entry == nil
	return out, err
}

type Name struct {
	Name string `json:"name"`
}

type Exists struct {
	Exists bool `json:"exists"`
}

func secret(ctx *ringfence.Context, in Name) (Exists, error) {
	return Exists{secrets.Exists(ctx, in.Name)}, nil
}

type Question struct {
	Question string `json:"question"`
}

type Answer struct {
	Answer string `json:"answer"`
}

func askPerson(ctx *ringfence.Context, in Question) (Answer, error) {
	answer, err := user.Ask(ctx, in.Question)
	return Answer{answer}, err
}

type Decision struct {
	Answer bool `json:"answer"`
}

func confirmPerson(ctx *ringfence.Context, in Question) (Decision, error) {
	answer, err := user.Confirm(ctx, in.Question)
	return Decision{answer}, err
}

type GiveUp struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func giveUp(_ *ringfence.Context, in GiveUp) (ringfence.None, error) {
	return ringfence.None{}, &ringfence.Failure{Kind: ringfence.KindInvalidInput, Message: in.Message, Hint: in.Hint}
}

type Message struct {
	Message string `json:"message"`
}

func crash(_ *ringfence.Context, in Message) (ringfence.None, error) {
	deep(in.Message)
	return ringfence.None{}, nil
}

func deep(message string) {
	panic(message)
}

type Who struct {
	Invocation string  `json:"invocation"`
	Caller     string  `json:"caller"`
	DeadlineMs int64   `json:"deadline_ms"`
	Locale     *string `json:"locale"`
}

func who(ctx *ringfence.Context, _ ringfence.None) (Who, error) {
	out := Who{Invocation: ctx.Invocation, Caller: string(ctx.Caller), DeadlineMs: ctx.TimeLimit.Milliseconds()}
	if ctx.Locale != "" {
		out.Locale = &ctx.Locale
	}
	return out, nil
}

func media(_ *ringfence.Context, _ ringfence.None) (*ringfence.Outcome, error) {
	return ringfence.Give(
		ringfence.Text("here"),
		ringfence.Image{MediaType: "image/png", Data: []byte{1, 2, 3}},
		ringfence.Link{URI: "https://example.com/", Title: "Example"},
	), nil
}

func spin(_ *ringfence.Context, _ ringfence.None) (string, error) {
	sum := 1
	for sum != 0 {
		sum = sum*31 + 7 | 1
	}
	return fmt.Sprint(sum), nil
}

type Big struct {
	Bytes int `json:"bytes"`
}

func big(_ *ringfence.Context, in Big) (string, error) {
	if in.Bytes < 0 {
		return "", ringfence.InvalidInput("%d bytes cannot be given", in.Bytes)
	}
	return strings.Repeat("x", in.Bytes), nil
}

func unicode(_ *ringfence.Context, _ ringfence.None) (string, error) {
	return "Grüße, 世界 👋🏽 e\u0301", nil
}
