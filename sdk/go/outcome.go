package ringfence

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"strings"
)

// None is the input of a tool that takes none, or the output of one that has nothing to say.
type None = struct{}

// Content is one piece of an outcome: Text, Image, Audio or Link.
type Content interface{ content() }

// Text is text for people and models.
type Text string

// Image is an image with its media type, for example `image/png`.
type Image struct {
	MediaType string
	Data      []byte
}

// Audio is sound with its media type, for example `audio/wav`.
type Audio struct {
	MediaType string
	Data      []byte
}

// Link points to something elsewhere. The host never fetches it by itself.
type Link struct {
	URI string
	// Title and MediaType may be empty.
	Title     string
	MediaType string
}

func (Text) content()  {}
func (Image) content() {}
func (Audio) content() {}
func (Link) content()  {}

// Outcome is what a call gives. A tool returns one where text or a value alone does not do:
//
//	return ringfence.Give(ringfence.Text("here"), ringfence.Image{MediaType: "image/png", Data: png}), nil
type Outcome struct {
	// Content is for people and models, in order.
	Content []Content
	// Structured is a value for programs, as JSON; nil for none. It matches the tool's output schema where it has one.
	Structured jsontext.Value
}

// Give makes an outcome of pieces.
func Give(content ...Content) *Outcome { return &Outcome{Content: content} }

// With adds a value for programs and leaves the content as it is. The tool says by the option Output what the value looks like.
// It panics where the value cannot be JSON.
func (outcome *Outcome) With(value any) *Outcome {
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		panic("the structured value cannot be JSON: " + err.Error())
	}
	outcome.Structured = text
	return outcome
}

// Text gives all text content, a line break between pieces.
func (outcome *Outcome) Text() string {
	var texts []string
	for _, content := range outcome.Content {
		if text, ok := content.(Text); ok {
			texts = append(texts, string(text))
		}
	}
	return strings.Join(texts, "\n")
}

// Decode reads the structured value.
func (outcome *Outcome) Decode(value any) error {
	if outcome.Structured == nil {
		return Refuse(Invalid, "the outcome has no structured value")
	}
	return json.Unmarshal(outcome.Structured, value)
}

// structured is a value for programs, with its JSON as the text for people.
func structured(value any) (*Outcome, error) {
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return nil, Failed("what the tool returned cannot be JSON: %s", err)
	}
	readable := jsontext.Value(text).Clone()
	if err := readable.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, err
	}
	return &Outcome{Content: []Content{Text(readable)}, Structured: text}, nil
}
