package schema

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"strings"
)

// Parse reads a schema that is written as JSON.
func Parse(text string) (*Object, error) {
	decoder := jsontext.NewDecoder(strings.NewReader(text))
	value, err := read(decoder)
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	made, ok := value.(*Object)
	if !ok {
		return nil, fmt.Errorf("the schema is no JSON object")
	}
	return made, nil
}

func read(decoder *jsontext.Decoder) (any, error) {
	switch decoder.PeekKind() {
	case '{':
		if _, err := decoder.ReadToken(); err != nil {
			return nil, err
		}
		made := &Object{}
		for decoder.PeekKind() != '}' {
			name, err := decoder.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			value, err := read(decoder)
			if err != nil {
				return nil, err
			}
			made.Set(key, value)
		}
		_, err := decoder.ReadToken()
		return made, err
	case '[':
		if _, err := decoder.ReadToken(); err != nil {
			return nil, err
		}
		items := []any{}
		for decoder.PeekKind() != ']' {
			item, err := read(decoder)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		_, err := decoder.ReadToken()
		return items, err
	}
	text, err := decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	var value any
	err = json.Unmarshal(text, &value)
	return value, err
}
