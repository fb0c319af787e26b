package schema

import (
	"encoding/json/v2"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Check says what is wrong with a value that was read from JSON, or nil. It knows the words that Of writes and lets everything
// else pass: the host checks in full.
func Check(schema *Object, value any) error {
	return check(schema, schema, value, "")
}

// CheckText reads JSON and checks it.
func CheckText(schema *Object, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	return Check(schema, value)
}

func check(root, schema *Object, value any, at string) error {
	if ref, ok := schema.Get("$ref").(string); ok {
		defs, _ := root.Get("$defs").(*Object)
		if defs == nil {
			return nil
		}
		target, ok := defs.Get(strings.TrimPrefix(ref, "#/$defs/")).(*Object)
		if !ok {
			return nil
		}
		return check(root, target, value, at)
	}
	if choices, ok := schema.Get("anyOf").([]any); ok {
		var first error
		for _, choice := range choices {
			choice, ok := choice.(*Object)
			if !ok {
				return nil
			}
			err := check(root, choice, value, at)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
	if err := checkType(schema.Get("type"), value, at); err != nil {
		return err
	}
	if list, ok := schema.Get("enum").([]any); ok && !slices.ContainsFunc(list, func(one any) bool { return same(one, value) }) {
		return fmt.Errorf("%s: %v is none of %v", place(at), value, list)
	}
	switch value := value.(type) {
	case map[string]any:
		return checkObject(root, schema, value, at)
	case []any:
		return checkList(root, schema, value, at)
	case string:
		if low, ok := number(schema.Get("minLength")); ok && float64(utf8.RuneCountInString(value)) < low {
			return fmt.Errorf("%s: has fewer than %v characters", place(at), low)
		}
		if high, ok := number(schema.Get("maxLength")); ok && float64(utf8.RuneCountInString(value)) > high {
			return fmt.Errorf("%s: has more than %v characters", place(at), high)
		}
		if pattern, ok := schema.Get("pattern").(string); ok {
			if matcher, err := regexp.Compile(pattern); err == nil && !matcher.MatchString(value) {
				return fmt.Errorf("%s: %q does not match %s", place(at), value, pattern)
			}
		}
	case float64:
		if low, ok := number(schema.Get("minimum")); ok && value < low {
			return fmt.Errorf("%s: %v is less than %v", place(at), value, low)
		}
		if high, ok := number(schema.Get("maximum")); ok && value > high {
			return fmt.Errorf("%s: %v is more than %v", place(at), value, high)
		}
	}
	return nil
}

func checkObject(root, schema *Object, value map[string]any, at string) error {
	for _, name := range words(schema.Get("required")) {
		if _, ok := value[name]; !ok {
			return fmt.Errorf("%s: `%s` is missing", place(at), name)
		}
	}
	properties, _ := schema.Get("properties").(*Object)
	for name, one := range value {
		var inner *Object
		if properties != nil {
			inner, _ = properties.Get(name).(*Object)
		}
		if inner == nil {
			switch rest := schema.Get("additionalProperties").(type) {
			case bool:
				if !rest {
					return fmt.Errorf("%s: there is no `%s`", place(at), name)
				}
			case *Object:
				inner = rest
			}
		}
		if inner != nil {
			if err := check(root, inner, one, at+"/"+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkList(root, schema *Object, value []any, at string) error {
	if low, ok := number(schema.Get("minItems")); ok && float64(len(value)) < low {
		return fmt.Errorf("%s: has fewer than %v items", place(at), low)
	}
	if high, ok := number(schema.Get("maxItems")); ok && float64(len(value)) > high {
		return fmt.Errorf("%s: has more than %v items", place(at), high)
	}
	if items, ok := schema.Get("items").(*Object); ok {
		for index, one := range value {
			if err := check(root, items, one, fmt.Sprintf("%s/%d", at, index)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkType(allowed, value any, at string) error {
	kinds := words(allowed)
	if len(kinds) == 0 {
		return nil
	}
	kind := "null"
	switch value := value.(type) {
	case bool:
		kind = "boolean"
	case string:
		kind = "string"
	case float64:
		kind = "number"
		if value == math.Trunc(value) && slices.Contains(kinds, "integer") {
			kind = "integer"
		}
	case []any:
		kind = "array"
	case map[string]any:
		kind = "object"
	}
	if !slices.Contains(kinds, kind) {
		return fmt.Errorf("%s: is of type %s, not %s", place(at), kind, strings.Join(kinds, " or "))
	}
	return nil
}

// words reads a word or a list of words, as they are made here or read from JSON.
func words(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []string:
		return value
	case []any:
		var list []string
		for _, one := range value {
			if word, ok := one.(string); ok {
				list = append(list, word)
			}
		}
		return list
	}
	return nil
}

func same(one, other any) bool {
	left, isNumber := number(one)
	if right, ok := number(other); ok && isNumber {
		return left == right
	}
	return reflect.DeepEqual(one, other)
}

func number(value any) (float64, bool) {
	switch value := value.(type) {
	case int:
		return float64(value), true
	case int64:
		return float64(value), true
	case float64:
		return value, true
	}
	return 0, false
}

func place(at string) string {
	if at == "" {
		return "the value"
	}
	return "`" + strings.ReplaceAll(at[1:], "/", ".") + "`"
}
