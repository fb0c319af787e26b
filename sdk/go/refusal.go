package ringfence

import (
	"fmt"
	"strings"
)

// RefusalKind says why the host refused, in the words of the contract. It is an error too, so that
// errors.Is(err, ringfence.Denied) works.
type RefusalKind string

const (
	// Denied: policy does not allow it.
	Denied RefusalKind = "denied"
	// OverBudget: a budget (tokens, money, host calls, bytes) would be exceeded.
	OverBudget RefusalKind = "over-budget"
	// Unavailable: what is behind the capability does not work now; later it may.
	Unavailable RefusalKind = "unavailable"
	// Invalid: the request is wrong and would be wrong again, or the answer does not have the form that was asked for.
	Invalid RefusalKind = "invalid"
	// TooLarge: a value is larger than its limit.
	TooLarge RefusalKind = "too-large"
	// TimedOut: it took longer than it may, or the invocation's deadline has come.
	TimedOut RefusalKind = "timed-out"
	// Cancelled: the person or program behind the call has cancelled it.
	Cancelled RefusalKind = "cancelled"
)

// Error makes a kind a target of errors.Is.
func (kind RefusalKind) Error() string { return string(kind) }

// Refusal is why the host did not do what it was asked. One type for every capability: most skills hand it on by
// `return err`, and its kind and hint reach the caller, also from inside of fmt.Errorf("...: %w", err).
//
//	var refusal *ringfence.Refusal
//	if errors.As(err, &refusal) { ... refusal.Kind ... }
//	if errors.Is(err, ringfence.OverBudget) { ... }
type Refusal struct {
	Kind RefusalKind
	// Message is one sentence saying what happened.
	Message string
	// Hint is one sentence saying what to do about it, or empty where there is nothing to do.
	Hint string
	// Denial has the particulars of Denied, and is nil otherwise.
	Denial *Denial
	// Overrun has the particulars of OverBudget, and is nil otherwise.
	Overrun *Overrun
	// Excess has the particulars of TooLarge, and is nil otherwise.
	Excess *Excess
}

// Denial is an act that policy refused.
type Denial struct {
	// Capability is for example `model`.
	Capability string
	// Subject is what was asked for, for example `model smart`.
	Subject string
	Reason  string
	// Hint says what the operator can do to allow it.
	Hint string
}

// Overrun is a budget that is used up.
type Overrun struct {
	// Scope is whose budget: `invocation`, `skill-day` or `host-day`.
	Scope string
	// Unit is of what: `input-tokens`, `micro-dollars`, ...
	Unit  string
	Limit uint64
	// Used is what was used and reserved already.
	Used uint64
	// Needed is what this act needed.
	Needed uint64
}

// Excess is a value above its limit.
type Excess struct {
	// What is which value: `kv value`, `prompt`, ...
	What  string
	Limit uint64
	// Actual is the size it had; 0 where that is not known.
	Actual uint64
}

func (refusal *Refusal) Error() string { return refusal.Message }

// Is makes errors.Is(err, ringfence.Denied) work.
func (refusal *Refusal) Is(target error) bool {
	kind, ok := target.(RefusalKind)
	return ok && kind == refusal.Kind
}

// Temporary says whether waiting may help.
func (refusal *Refusal) Temporary() bool {
	return refusal.Kind == Unavailable || refusal.Kind == TimedOut
}

// RefuseDenied makes a refusal, for tests.
func RefuseDenied(denial Denial) *Refusal {
	message := fmt.Sprintf("the host refused `%s`: %s", denial.Subject, denial.Reason)
	return &Refusal{Kind: Denied, Message: message, Hint: denial.Hint, Denial: &denial}
}

// RefuseOverBudget makes a refusal, for tests.
func RefuseOverBudget(over Overrun) *Refusal {
	message := fmt.Sprintf("the %s budget of %d %s is used up: %d used or reserved, %d needed",
		over.Scope, over.Limit, over.Unit, over.Used, over.Needed)
	hint := fmt.Sprintf("raise `budget.%s.%s` of the host, or give the tool less to do", over.Scope, over.Unit)
	return &Refusal{Kind: OverBudget, Message: message, Hint: hint, Overrun: &over}
}

// RefuseTooLarge makes a refusal, for tests.
func RefuseTooLarge(excess Excess) *Refusal {
	message := fmt.Sprintf("the %s is too large: at most %d", excess.What, excess.Limit)
	if excess.Actual > 0 {
		message += fmt.Sprintf(", this has %d", excess.Actual)
	}
	hint := fmt.Sprintf("give at most %d of %s", excess.Limit, excess.What)
	return &Refusal{Kind: TooLarge, Message: message, Hint: hint, Excess: &excess}
}

// Refuse makes a refusal of a kind that has no particulars: Unavailable, Invalid, TimedOut, Cancelled.
func Refuse(kind RefusalKind, message string) *Refusal {
	refusal := &Refusal{Kind: kind, Message: message}
	if kind == Cancelled && message == "" {
		refusal.Message = "the call was cancelled"
	}
	if refusal.Temporary() {
		// The host says what happened and, behind the last semicolon, what to do.
		if at := strings.LastIndex(message, "; "); at >= 0 {
			refusal.Hint = message[at+2:]
		}
	}
	return refusal
}
