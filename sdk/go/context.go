package ringfence

import (
	"context"
	"time"
)

// Caller says who asked for this invocation.
type Caller string

const (
	// CallerUser is a person at the command line.
	CallerUser Caller = "user"
	// CallerClient is a program, through HTTP or MCP.
	CallerClient Caller = "client"
	// CallerModel is a model, in a tool loop.
	CallerModel Caller = "model"
	// CallerSkill is another skill.
	CallerSkill Caller = "skill"
)

// Context is about this invocation. It is a context.Context: hand it on to everything that asks the host for something.
type Context struct {
	context.Context
	// Invocation is its identifier, as in the journal.
	Invocation string
	Caller     Caller
	// TimeLimit is how long the call may take, from its beginning. When that is over the instance is discarded, wherever it is.
	// Deadline says when.
	TimeLimit time.Duration
	// Locale is the caller's language as a BCP 47 tag; empty where it is not known.
	Locale string
}

// NewContext makes the context of an invocation that begins now. Skills are given theirs; tests take that of the fake.
func NewContext(parent context.Context, invocation string, caller Caller, limit time.Duration, locale string) *Context {
	ends := deadline{Context: parent, at: time.Now().Add(limit)}
	return &Context{Context: ends, Invocation: invocation, Caller: caller, TimeLimit: limit, Locale: locale}
}

// deadline has the time of the end without a timer: the host ends the instance, a timer in it would come too late.
type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) {
	if parent, ok := d.Context.Deadline(); ok && parent.Before(d.at) {
		return parent, true
	}
	return d.at, true
}
