package ringfence

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// FailureKind says what kind of failure it is, for programs, in the words of the contract.
type FailureKind string

const (
	// KindInvalidInput: the input passes the schema and is wrong all the same.
	KindInvalidInput FailureKind = "invalid-input"
	// KindUnknownTool: there is no tool of that name.
	KindUnknownTool FailureKind = "unknown-tool"
	// KindRefused: the host refused something that the tool cannot do without.
	KindRefused FailureKind = "refused"
	// KindUnavailable: something that the tool depends on does not work now.
	KindUnavailable FailureKind = "unavailable"
	// KindFailed: anything else.
	KindFailed FailureKind = "failed"
)

// Failure is why a call gave no outcome. Every error that a tool returns becomes one; return a Failure yourself to choose its
// kind or to give a hint.
type Failure struct {
	Kind FailureKind
	// Message is one sentence saying what happened, with the offending value.
	Message string
	// Hint is one sentence saying what to do about it, or empty.
	Hint string
	// Tool is the other skill's tool that failed, as tools.Call gives it; empty otherwise.
	Tool string
}

func (failure *Failure) Error() string { return failure.Message }

// WithHint says in one sentence what to do about it.
func (failure *Failure) WithHint(format string, args ...any) *Failure {
	failure.Hint = fmt.Sprintf(format, args...)
	return failure
}

// InvalidInput is a failure for input that passes the schema and is wrong all the same.
func InvalidInput(format string, args ...any) *Failure {
	return &Failure{Kind: KindInvalidInput, Message: fmt.Sprintf(format, args...)}
}

// NotAvailable is a failure for something that the tool depends on and that does not work now.
func NotAvailable(format string, args ...any) *Failure {
	return &Failure{Kind: KindUnavailable, Message: fmt.Sprintf(format, args...)}
}

// Failed is a failure of no particular kind. fmt.Errorf does the same, without a hint.
func Failed(format string, args ...any) *Failure {
	return &Failure{Kind: KindFailed, Message: fmt.Sprintf(format, args...)}
}

// failureOf makes a failure of every error. A refusal keeps its kind and its hint, and so does the failure of another skill's
// tool; words that were put around them stay.
func failureOf(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		made := *failure
		made.Message = err.Error()
		if made.Tool != "" && (made.Kind == KindInvalidInput || made.Kind == KindUnknownTool) {
			// That its input was wrong is no mistake of whoever called this skill.
			made.Kind = KindFailed
		}
		return &made
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		kind := KindRefused
		switch refusal.Kind {
		case Unavailable, TimedOut:
			kind = KindUnavailable
		case Invalid:
			kind = KindFailed
		}
		message := err.Error()
		if refusal.Hint != "" {
			// What to do is said once, in the hint.
			message = strings.TrimSuffix(message, "; "+refusal.Hint)
		}
		return &Failure{Kind: kind, Message: message, Hint: refusal.Hint}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Failure{Kind: KindUnavailable, Message: err.Error()}
	}
	return &Failure{Kind: KindFailed, Message: err.Error()}
}
