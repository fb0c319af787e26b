package wire

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"ringfence"
	wit "ringfence/internal/bindings/imports/ringfence_skill_types"
)

// Refusal lifts a refusal.
func Refusal(refusal wit.Refusal) *ringfence.Refusal {
	switch refusal.Tag() {
	case wit.Refusal_Denied:
		return ringfence.RefuseDenied(ringfence.Denial(refusal.Denied()))
	case wit.Refusal_OverBudget:
		return ringfence.RefuseOverBudget(ringfence.Overrun(refusal.OverBudget()))
	case wit.Refusal_Unavailable:
		return ringfence.Refuse(ringfence.Unavailable, refusal.Unavailable())
	case wit.Refusal_Invalid:
		return ringfence.Refuse(ringfence.Invalid, refusal.Invalid())
	case wit.Refusal_TooLarge:
		excess := refusal.TooLarge()
		return ringfence.RefuseTooLarge(ringfence.Excess{What: excess.What, Limit: excess.Limit, Actual: excess.Actual.SomeOr(0)})
	case wit.Refusal_TimedOut:
		return ringfence.Refuse(ringfence.TimedOut, refusal.TimedOut())
	}
	return ringfence.Refuse(ringfence.Cancelled, "")
}

// Result lifts a result into what Go functions return.
func Result[T any](result witTypes.Result[T, wit.Refusal]) (T, error) {
	if result.IsErr() {
		var none T
		return none, Refusal(result.Err())
	}
	return result.Ok(), nil
}

// Some is an option of what a pointer points to.
func Some[T any](value *T) witTypes.Option[T] {
	if value == nil {
		return witTypes.None[T]()
	}
	return witTypes.Some(*value)
}

// SomeText is none where the text is empty.
func SomeText(text string) witTypes.Option[string] {
	if text == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(text)
}

// Pointer is nil for none.
func Pointer[T any](option witTypes.Option[T]) *T {
	if option.IsNone() {
		return nil
	}
	value := option.Some()
	return &value
}
