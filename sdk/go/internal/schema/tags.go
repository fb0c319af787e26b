package schema

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// A tag `jsonschema:"description=..."` is the language of another library, whose options would be taken for a description.
var foreign = regexp.MustCompile(`^[a-zA-Z_]+=`)

// tagged adds what the tags of a field say.
func tagged(made *Object, field reflect.StructField) (*Object, error) {
	out := &Object{}
	description, has := field.Tag.Lookup("desc")
	if other, ok := field.Tag.Lookup("jsonschema"); ok {
		if foreign.MatchString(other) {
			return nil, fmt.Errorf("the tag `jsonschema:%q` is not understood: write `desc:\"...\"`, `enum:\"a,b\"`, `default:\"...\"`, `min`, `max`, `pattern` or `format`", other)
		}
		if has {
			return nil, fmt.Errorf("it has both `desc` and `jsonschema`, which mean the same: keep one")
		}
		description, has = other, true
	}
	if has && description != "" {
		out.Set("description", description)
	}
	for _, member := range made.members {
		out.Set(member.name, member.value)
	}
	kind := indirect(field.Type)
	if text, ok := field.Tag.Lookup("enum"); ok {
		// Of a list, the tag says what its items may be.
		target, values := out, kind
		if items, ok := out.Get("items").(*Object); ok {
			target, values = items, indirect(kind.Elem())
		}
		var list []any
		for word := range strings.SplitSeq(text, ",") {
			value, err := literal(strings.TrimSpace(word), values)
			if err != nil {
				return nil, fmt.Errorf("the tag `enum:%q`: %w", text, err)
			}
			list = append(list, value)
		}
		if field.Type.Kind() == reflect.Pointer && target == out {
			list = append(list, nil)
		}
		target.Set("enum", list)
	}
	for _, bound := range []struct{ tag, number, length, items string }{
		{"min", "minimum", "minLength", "minItems"},
		{"max", "maximum", "maxLength", "maxItems"},
	} {
		text, ok := field.Tag.Lookup(bound.tag)
		if !ok {
			continue
		}
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("the tag `%s:%q` is no number", bound.tag, text)
		}
		switch kind.Kind() {
		case reflect.String:
			out.Set(bound.length, number)
		case reflect.Slice:
			out.Set(bound.items, number)
		default:
			out.Set(bound.number, number)
		}
	}
	for _, word := range []string{"pattern", "format"} {
		if text, ok := field.Tag.Lookup(word); ok {
			out.Set(word, text)
		}
	}
	if text, ok := field.Tag.Lookup("default"); ok {
		value, err := literal(text, kind)
		if err != nil {
			return nil, fmt.Errorf("the tag `default:%q`: %w", text, err)
		}
		out.Set("default", value)
	}
	return out, nil
}

// literal reads a value of a tag as the field's type has it.
func literal(text string, t reflect.Type) (any, error) {
	switch t.Kind() {
	case reflect.String:
		return text, nil
	case reflect.Bool:
		value, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return value, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no whole number", text)
		}
		return value, nil
	case reflect.Float32, reflect.Float64:
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return value, nil
	}
	return nil, fmt.Errorf("a field of type `%s` cannot have one: only texts, numbers and booleans can", t)
}
