// Package progress gives what the caller may be shown while the tool works. It never fails; faces that cannot show it drop it.
package progress

import "context"

// Report says how much is done, out of total, in a unit of the tool's choice. A total of 0 is not known; the message may be empty.
// The host takes at most 10,000 reports per invocation.
func Report(ctx context.Context, done, total int, message string) {
	report(ctx, uint64(max(done, 0)), uint64(max(total, 0)), message)
}

// Say says what is going on where no amount is known.
func Say(ctx context.Context, message string) { Report(ctx, 0, 0, message) }

// Emit gives a part of the answer that is ready now. The outcome must hold the whole text again. At most 4 MiB per invocation.
func Emit(ctx context.Context, text string) {
	if text != "" {
		emit(ctx, text)
	}
}

// Steps counts steps of a known number and reports each.
type Steps struct{ done, total int }

// Begin starts at nothing done of total steps, and reports it.
func Begin(ctx context.Context, total int, message string) *Steps {
	Report(ctx, 0, total, message)
	return &Steps{total: total}
}

// Done says that one step more is done.
func (steps *Steps) Done(ctx context.Context, message string) {
	steps.done = min(steps.done+1, steps.total)
	Report(ctx, steps.done, steps.total, message)
}
