package ringfence

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"ringfence/internal/schema"
)

// Description is what a caller is told about a tool.
type Description struct {
	Name string
	// Title is a short title for people; it may be empty.
	Title       string
	Description string
	// InputSchema is a JSON Schema of an object.
	InputSchema string
	// OutputSchema is the JSON Schema of Outcome.Structured; empty where the tool gives none.
	OutputSchema string
	ReadOnly     bool
	Destructive  bool
	Idempotent   bool
	OpenWorld    bool
}

// Option says more about a tool.
type Option func(*tool)

// ReadOnly hints that the tool changes nothing.
func ReadOnly(t *tool) { t.about.ReadOnly = true }

// Destructive hints that the tool may delete or overwrite.
func Destructive(t *tool) { t.about.Destructive = true }

// Idempotent hints that calling again with the same input changes nothing more.
func Idempotent(t *tool) { t.about.Idempotent = true }

// OpenWorld hints that the tool reaches things outside of the host: the web, other people.
func OpenWorld(t *tool) { t.about.OpenWorld = true }

// Title gives the tool a short title for people.
func Title(title string) Option { return func(t *tool) { t.about.Title = title } }

// Output says that the structured part of the Outcome which the tool returns is a T.
func Output[T any]() Option { return func(t *tool) { t.output = reflect.TypeFor[T]() } }

// tool is one registered tool.
type tool struct {
	about    Description
	input    reflect.Type
	output   reflect.Type
	returned reflect.Type
	run      func(ctx *Context, input []byte) (any, error)
}

// registered holds the tools of this program in their order. They are registered while packages are initialised, one after the
// other, and only read afterwards.
var registered []*tool

// Tool makes a tool of a function. Call it in `func init()`: a component has no main function that would run.
//
// The name has 1 to 64 characters of a-z 0-9 _ -. By the description a model chooses the tool. The fields of In are the properties
// of its input, described by tags:
//
//	type Input struct {
//		Name  string  `json:"name" desc:"Whom to greet."`
//		Tone  string  `json:"tone" desc:"How." enum:"kind,brief" default:"kind"`
//		Times int     `json:"times,omitempty" min:"1" max:"3"`
//		Note  *string `json:"note"` // a pointer may be left out
//	}
//
// What is returned becomes the outcome: a string is text, an *Outcome is itself, None is nothing, and everything else is a value with
// a schema, and its JSON as text. Every error becomes a failure; a *Failure chooses its kind and hint.
//
// What is wrong with a tool (no description, a name that is taken, a field that cannot be JSON) is said when the tools are listed:
// fake.New does that in tests, and the host when it packages the skill.
func Tool[In, Out any](name, description string, run func(ctx *Context, in In) (Out, error), options ...Option) {
	made := &tool{
		about:    Description{Name: name, Description: strings.TrimSpace(description)},
		input:    reflect.TypeFor[In](),
		returned: reflect.TypeFor[Out](),
		run: func(ctx *Context, input []byte) (any, error) {
			var in In
			if err := schema.Decode(input, &in); err != nil {
				return nil, InvalidInput("the input cannot be read: %s", plain(err))
			}
			return run(ctx, in)
		},
	}
	for _, option := range options {
		option(made)
	}
	registered = append(registered, made)
}

var goodName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// ErrNoTools says that no tool was registered.
var ErrNoTools = errors.New("the skill has no tools: call ringfence.Tool(...) in `func init()`")

// Tools lists the tools of this program, or says what is wrong with them and what to do about it.
func Tools() ([]Description, error) {
	if len(registered) == 0 {
		return nil, ErrNoTools
	}
	seen := map[string]bool{}
	list := make([]Description, 0, len(registered))
	for _, tool := range registered {
		name := tool.about.Name
		if seen[name] {
			return nil, fmt.Errorf("two tools have the name `%s`: give one of them another", name)
		}
		seen[name] = true
		about, err := tool.describe()
		if err != nil {
			return nil, fmt.Errorf("tool `%s`: %w", name, err)
		}
		list = append(list, about)
	}
	return list, nil
}

func (t *tool) describe() (Description, error) {
	about := t.about
	if !goodName.MatchString(about.Name) {
		return about, fmt.Errorf("its name cannot be one: give it 1 to 64 characters of a-z 0-9 _ -")
	}
	if about.Description == "" {
		return about, fmt.Errorf("it has no description: say in one sentence what it does, for a model reads that to choose it")
	}
	if len(about.Description) > 4096 {
		return about, fmt.Errorf("its description has %d bytes: at most 4096 can be had", len(about.Description))
	}
	input, err := t.inputSchema()
	if err != nil {
		return about, err
	}
	about.InputSchema = input.String()
	output, err := t.outputSchema()
	if err != nil {
		return about, err
	}
	if output != nil {
		about.OutputSchema = output.String()
	}
	return about, nil
}

func (t *tool) inputSchema() (*schema.Object, error) {
	kind := t.input
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	made, err := schema.Of(kind, schema.In)
	if err != nil {
		return nil, fmt.Errorf("its input: %w", err)
	}
	if made.Get("type") != "object" && made.Get("$ref") == nil || kind.Kind() == reflect.Map {
		return nil, fmt.Errorf("its input is `%s`, which says nothing about the input: make it a struct with a field for each argument, or ringfence.None", t.input)
	}
	return made, nil
}

func (t *tool) outputSchema() (*schema.Object, error) {
	kind := t.output
	if kind == nil {
		switch {
		case t.returned == reflect.TypeFor[*Outcome](), t.returned == reflect.TypeFor[Outcome](),
			t.returned == reflect.TypeFor[None](), t.returned.Kind() == reflect.String:
			return nil, nil
		case t.returned.Kind() == reflect.Interface:
			return nil, fmt.Errorf("it returns `%s`, which says nothing about what comes: return a struct, a string or a *ringfence.Outcome", t.returned)
		}
		kind = t.returned
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	made, err := schema.Of(kind, schema.Out)
	if err != nil {
		return nil, fmt.Errorf("what it returns: %w", err)
	}
	return made, nil
}

// outcome makes an outcome of what the function returned.
func (t *tool) outcome(value any) (*Outcome, error) {
	switch value := value.(type) {
	case *Outcome:
		if value == nil {
			return &Outcome{}, nil
		}
		return value, nil
	case Outcome:
		return &value, nil
	case None:
		return &Outcome{}, nil
	case string:
		return Give(Text(value)), nil
	}
	reflected := reflect.ValueOf(value)
	if reflected.Kind() == reflect.String {
		return Give(Text(reflected.String())), nil
	}
	if reflected.Kind() == reflect.Pointer && reflected.IsNil() {
		return nil, Failed("the tool `%s` returned neither a value nor an error", t.about.Name)
	}
	return structured(value)
}

// plain takes the Go package's name out of an error of its, which says nothing to a caller.
func plain(err error) string {
	if semantic, ok := err.(*json.SemanticError); ok && semantic.Err != nil && semantic.JSONPointer != "" {
		return strings.TrimPrefix(semantic.Error(), "json: ")
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
