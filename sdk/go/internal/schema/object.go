// Package schema makes JSON Schemas (draft 2020-12) of Go types, in the form that models and command lines read best, and
// checks values against them.
package schema

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
)

// Object is a JSON object that keeps the order of its members: people and models read properties in the author's order.
type Object struct{ members []member }

type member struct {
	name  string
	value any
}

// Get gives the value of a member, or nil.
func (o *Object) Get(name string) any {
	for _, member := range o.members {
		if member.name == name {
			return member.value
		}
	}
	return nil
}

// Set adds a member or replaces its value.
func (o *Object) Set(name string, value any) {
	for at := range o.members {
		if o.members[at].name == name {
			o.members[at].value = value
			return
		}
	}
	o.members = append(o.members, member{name, value})
}

// MarshalJSON writes the members in their order.
func (o *Object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for at, member := range o.members {
		if at > 0 {
			out.WriteByte(',')
		}
		name, err := jsontext.AppendQuote(nil, member.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(member.value, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// String gives the schema as JSON text.
func (o *Object) String() string {
	text, err := o.MarshalJSON()
	if err != nil {
		// Members are made here, of texts, numbers and lists.
		panic("a schema cannot be JSON: " + err.Error())
	}
	return string(text)
}

func object(pairs ...any) *Object {
	made := &Object{}
	for at := 0; at+1 < len(pairs); at += 2 {
		made.Set(pairs[at].(string), pairs[at+1])
	}
	return made
}
