package schema

import (
	"encoding/json/v2"
	"reflect"
)

// Decode reads JSON that others wrote into a value: fields that are left out have the values of their tags `default`, and a
// member that the type does not have is an error.
func Decode(text []byte, into any) error {
	fill(reflect.ValueOf(into).Elem())
	return json.Unmarshal(text, into, json.RejectUnknownMembers(true))
}

func fill(value reflect.Value) {
	if value.Kind() != reflect.Struct {
		return
	}
	t := value.Type()
	for at := range t.NumField() {
		field, slot := t.Field(at), value.Field(at)
		text, ok := field.Tag.Lookup("default")
		if !ok {
			// Structs within lists and maps are made while JSON is read: only those that are there already are filled.
			fill(slot)
			continue
		}
		made, err := literal(text, indirect(field.Type))
		if err != nil || !slot.CanSet() {
			continue // listed as an error of the tool
		}
		if slot.Kind() == reflect.Pointer {
			slot.Set(reflect.New(field.Type.Elem()))
			slot = slot.Elem()
		}
		slot.Set(reflect.ValueOf(made).Convert(slot.Type()))
	}
}
