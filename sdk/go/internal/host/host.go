// Package host is the door to the imports: the host's in a component, the fake's everywhere else.
//
// Each public package has its own half of the door, so that a component imports only the interfaces of the packages it uses.
package host

import "context"

// Field is one field of a log line.
type Field struct{ Key, Value string }

// Levels of log lines, numbered as in the contract.
const (
	Trace uint8 = iota
	Debug
	Info
	Warn
	Error
)

// Check says whether the context is over already, so that nothing is asked for in vain.
func Check(ctx context.Context) error {
	if ctx == nil {
		panic("the context is nil: hand on the one that the tool was given")
	}
	return ctx.Err()
}
