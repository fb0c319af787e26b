package schema

import (
	"reflect"
	"testing"
	"time"
)

type base struct {
	ID int64 `json:"id"`
}

type tree struct {
	Name     string `json:"name"`
	Children []tree `json:"children"`
}

type wide struct {
	base
	When    time.Time          `json:"when"`
	Bytes   []byte             `json:"bytes"`
	Numbers map[string]float64 `json:"numbers"`
	Any     any                `json:"any"`
	Inner   *base              `json:"inner"`
	Modes   []string           `json:"modes" enum:"a,b"`
	Skipped string             `json:"-"`
	Plain   bool
	hidden  int
}

func TestTypesHaveSchemas(t *testing.T) {
	for _, test := range []struct {
		value     any
		direction Direction
		want      string
	}{
		{wide{}, Out, `{"type":"object","properties":{"id":{"type":"integer"},"when":{"type":"string","format":"date-time"},` +
			`"bytes":{"type":"string","contentEncoding":"base64"},"numbers":{"type":"object","additionalProperties":{"type":"number"}},"any":{},` +
			`"inner":{"anyOf":[{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]},{"type":"null"}]},` +
			`"modes":{"type":"array","items":{"type":"string","enum":["a","b"]}},"Plain":{"type":"boolean"}},` +
			`"required":["id","when","bytes","numbers","any","inner","modes","Plain"]}`},
		{tree{}, In, `{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"name":{"type":"string"},` +
			`"children":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["name","children"],"additionalProperties":false}}}`},
		{[2]uint8{}, In, `{"type":"string","contentEncoding":"base64"}`},
		{[]uint{}, In, `{"type":"array","items":{"type":"integer","minimum":0}}`},
	} {
		made, err := Of(reflect.TypeOf(test.value), test.direction)
		if err != nil || made.String() != test.want {
			t.Errorf("%T: %v\n%s, not\n%s", test.value, err, made, test.want)
		}
	}
}

func TestValuesAreChecked(t *testing.T) {
	made, err := Of(reflect.TypeFor[tree](), In)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(made.String())
	if err != nil || parsed.String() != made.String() {
		t.Fatalf("read back as %s, %v", parsed, err)
	}
	for text, fits := range map[string]bool{
		`{"name":"a","children":[]}`:                           true,
		`{"name":"a","children":[{"name":"b","children":[]}]}`: true,
		`{"name":"a","children":[{"name":3,"children":[]}]}`:   false,
		`{"name":"a"}`: false,
		`{"name":"a","children":[],"other":true}`: false,
		`[]`: false,
	} {
		for _, schema := range []*Object{made, parsed} {
			if err := CheckText(schema, []byte(text)); (err == nil) != fits {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}
