// Package wire lifts what the host gives into the SDK's types. Outside of a component it is empty.
package wire
