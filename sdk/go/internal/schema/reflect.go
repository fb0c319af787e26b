package schema

import (
	"encoding"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Direction says who writes the values. A pointer may be left out by whoever writes an input; Go itself always writes it.
type Direction int

const (
	// In is for what others write: inputs of tools, answers of models.
	In Direction = iota
	// Out is for what this program writes.
	Out
)

// Schemer is a type that says itself what its JSON looks like.
type Schemer interface{ JSONSchema() string }

var (
	schemer     = reflect.TypeFor[Schemer]()
	marshaler   = reflect.TypeFor[json.Marshaler]()
	marshalerTo = reflect.TypeFor[json.MarshalerTo]()
	textual     = reflect.TypeFor[encoding.TextMarshaler]()
	instant     = reflect.TypeFor[time.Time]()
	raw         = reflect.TypeFor[jsontext.Value]()
)

// Of makes the schema of a type. Subschemas stand where they are used, because models and forms follow `$ref` badly; only types
// that contain themselves are referred to.
func Of(t reflect.Type, direction Direction) (*Object, error) {
	maker := maker{direction: direction, open: map[reflect.Type]bool{}, defs: &Object{}, recursive: map[reflect.Type]bool{}}
	made, err := maker.of(t)
	if err != nil {
		return nil, err
	}
	if maker.recursive[indirect(t)] {
		made = object("$ref", "#/$defs/"+indirect(t).Name())
	}
	if len(maker.defs.members) > 0 {
		made.Set("$defs", maker.defs)
	}
	return made, nil
}

type maker struct {
	direction Direction
	open      map[reflect.Type]bool
	recursive map[reflect.Type]bool
	defs      *Object
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func (m *maker) of(t reflect.Type) (*Object, error) {
	if t == nil {
		return nil, fmt.Errorf("it has no type")
	}
	if own := selfMade(t); own != nil {
		return own()
	}
	switch {
	case t == instant:
		return object("type", "string", "format", "date-time"), nil
	case t == raw:
		return object(), nil
	case t.Kind() != reflect.Pointer && implements(t, textual):
		return object("type", "string"), nil
	case t.Kind() != reflect.Pointer && (implements(t, marshaler) || implements(t, marshalerTo)):
		return object(), nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return object("type", "boolean"), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object("type", "integer"), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object("type", "integer", "minimum", 0), nil
	case reflect.Float32, reflect.Float64:
		return object("type", "number"), nil
	case reflect.String:
		return object("type", "string"), nil
	case reflect.Interface:
		return object(), nil
	case reflect.Pointer:
		inner, err := m.of(t.Elem())
		if err != nil {
			return nil, err
		}
		return nullable(inner), nil
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object("type", "string", "contentEncoding", "base64"), nil
		}
		items, err := m.of(t.Elem())
		if err != nil {
			return nil, err
		}
		made := object("type", "array", "items", items)
		if t.Kind() == reflect.Array {
			made.Set("minItems", t.Len())
			made.Set("maxItems", t.Len())
		}
		return made, nil
	case reflect.Map:
		values, err := m.of(t.Elem())
		if err != nil {
			return nil, err
		}
		return object("type", "object", "additionalProperties", values), nil
	case reflect.Struct:
		return m.structure(t)
	}
	return nil, fmt.Errorf("`%s` cannot be JSON: use numbers, strings, booleans, slices, maps and structs of these", t)
}

// structure guards against types that contain themselves.
func (m *maker) structure(t reflect.Type) (*Object, error) {
	if m.open[t] {
		m.recursive[t] = true
		return object("$ref", "#/$defs/"+t.Name()), nil
	}
	m.open[t] = true
	defer delete(m.open, t)
	made := object("type", "object")
	properties, required := &Object{}, []string{}
	if err := m.fields(t, properties, &required); err != nil {
		return nil, err
	}
	made.Set("properties", properties)
	if len(required) > 0 {
		made.Set("required", required)
	}
	if m.direction == In {
		made.Set("additionalProperties", false)
	}
	if m.recursive[t] {
		m.defs.Set(t.Name(), made)
		return object("$ref", "#/$defs/"+t.Name()), nil
	}
	return made, nil
}

func (m *maker) fields(t reflect.Type, properties *Object, required *[]string) error {
	for at := range t.NumField() {
		field := t.Field(at)
		name, options, skip := Name(field)
		if skip {
			continue
		}
		if name == "" { // embedded
			if err := m.fields(indirect(field.Type), properties, required); err != nil {
				return err
			}
			continue
		}
		if properties.Get(name) != nil {
			return fmt.Errorf("two fields of `%s` have the name `%s`: give one another by a tag `json:\"...\"`", t, name)
		}
		made, err := m.of(field.Type)
		if err == nil {
			made, err = tagged(made, field)
		}
		if err != nil {
			return fmt.Errorf("field `%s` of `%s`: %w", field.Name, t, err)
		}
		properties.Set(name, made)
		if !optional(field, options, m.direction) {
			*required = append(*required, name)
		}
	}
	return nil
}

// Name gives a field's name in JSON, empty for an embedded struct whose fields stand beside the others.
func Name(field reflect.StructField) (name, options string, skip bool) {
	tag := field.Tag.Get("json")
	name, options, _ = strings.Cut(tag, ",")
	if tag == "-" {
		return "", "", true
	}
	if field.Anonymous && name == "" && indirect(field.Type).Kind() == reflect.Struct {
		return "", options, false
	}
	if !field.IsExported() {
		return "", "", true
	}
	name = strings.Trim(name, "'")
	if name == "" {
		name = field.Name
	}
	return name, options, false
}

func optional(field reflect.StructField, options string, direction Direction) bool {
	if strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") {
		return true
	}
	_, hasDefault := field.Tag.Lookup("default")
	return direction == In && (field.Type.Kind() == reflect.Pointer || hasDefault)
}

// nullable lets null stand for what is not there.
func nullable(inner *Object) *Object {
	if kind, ok := inner.Get("type").(string); ok && kind != "object" && kind != "array" {
		inner.Set("type", []string{kind, "null"})
		return inner
	}
	if len(inner.members) == 0 {
		return inner
	}
	return object("anyOf", []any{inner, object("type", "null")})
}

func implements(t, what reflect.Type) bool {
	return t.Implements(what) || reflect.PointerTo(t).Implements(what)
}

func selfMade(t reflect.Type) func() (*Object, error) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || !implements(t, schemer) {
		return nil
	}
	return func() (*Object, error) {
		return Parse(reflect.New(t).Interface().(Schemer).JSONSchema())
	}
}
