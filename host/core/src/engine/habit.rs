//! How much of the processor the calls of one tool have used lately.
//!
//! Nothing tells a call that will spin from one that will answer at once, and by the time the first tick has told them apart the
//! spinner has held a worker for up to 10 ms. What the tool did before mostly tells: a tool that is heavy by habit begins where
//! heavy guests run, and never stands before others in line. One whose calls have all used next to nothing is let in where others
//! would have to wait for a place, until one of them uses more.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::shares::nanos;

/// What a call uses at most that is one of little.
pub(super) const LITTLE: Duration = Duration::from_micros(250);
/// Calls of little in a row after which the next is expected to be one as well.
const SURE: u64 = 16;
/// How many times more of them it takes after each call that was none, as a power of two: whoever disappoints on purpose has to be of use
/// for ever longer before.
const DOUBT: u32 = 4;

/// What the last few calls used. Lost updates do no harm.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    /// A mean of what they used at a stretch, in nanoseconds.
    mean: AtomicU64,
    /// Calls in a row that used little.
    little: AtomicU64,
    /// How often one that was expected to use little used much more.
    disappointments: AtomicU32,
}

impl Habit {
    /// What a call of this tool is likely to use at a stretch.
    pub(crate) fn usual(&self) -> Duration {
        Duration::from_nanos(self.mean.load(Ordering::Relaxed))
    }

    /// Whether the next call is all but certain to use little.
    pub(crate) fn is_light(&self) -> bool {
        let doubt = DOUBT * self.disappointments.load(Ordering::Relaxed).min(12);
        self.little.load(Ordering::Relaxed) >= SURE << doubt
    }

    /// Learns from a call that came to its own end, what it used at a stretch and in all. What it seems to have used by the clock on
    /// the wall is too much where it was held up.
    pub(crate) fn ended(&self, longest: Duration, used: Duration) {
        self.learn(longest);
        if used <= LITTLE {
            self.little.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Learns from a call that was cut off: it would have used at least this much at a stretch.
    pub(crate) fn cut_off(&self, longest: Duration) {
        if longest > self.usual() {
            self.learn(longest);
        }
    }

    fn learn(&self, longest: Duration) {
        let before = self.mean.load(Ordering::Relaxed);
        self.mean.store(before - before / 4 + nanos(longest) / 4, Ordering::Relaxed);
    }

    /// Learns from a call that has used more than little, for sure. Only where that is more by far somebody was held up by it: page
    /// faults, or what the system does meanwhile for others, make one in some thousands more than little.
    pub(crate) fn uses_more(&self, by_far: bool) {
        if by_far && self.is_light() {
            self.disappointments.fetch_add(1, Ordering::Relaxed);
        }
        self.little.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: Duration = Duration::from_millis(100);

    #[test]
    fn a_heavy_tool_is_known_at_once_and_forgiven_after_some_light_calls() {
        let habit = Habit::default();
        habit.ended(HEAVY, HEAVY);
        assert!(habit.usual() >= HEAVY / 5, "{:?}", habit.usual());
        for _ in 0..20 {
            habit.ended(Duration::from_micros(50), Duration::from_micros(50));
        }
        assert!(habit.usual() < Duration::from_millis(1), "{:?}", habit.usual());
    }

    #[test]
    fn what_is_cut_off_early_is_not_light() {
        let habit = Habit::default();
        for _ in 0..10 {
            habit.cut_off(HEAVY);
        }
        let usual = habit.usual();
        habit.cut_off(Duration::ZERO);
        assert_eq!(habit.usual(), usual);
        habit.ended(Duration::from_nanos(u64::MAX), Duration::MAX);
        habit.ended(Duration::MAX, Duration::MAX);
    }

    #[test]
    fn a_tool_is_light_after_many_calls_of_little_and_after_each_disappointment_after_many_more() {
        let habit = Habit::default();
        let mut needed = SURE;
        for _ in 0..4 {
            for _ in 0..needed {
                assert!(!habit.is_light());
                habit.ended(LITTLE, LITTLE);
            }
            assert!(habit.is_light());
            // One that was held up is no disappointment.
            habit.ended(HEAVY, HEAVY);
            assert!(habit.is_light());
            habit.uses_more(true);
            // One is enough, and more of the same call is no other.
            habit.uses_more(true);
            assert!(!habit.is_light());
            needed <<= DOUBT;
        }
        // One that was never trusted disappoints nobody.
        let new = Habit::default();
        for _ in 0..100 {
            new.uses_more(true);
        }
        for _ in 0..SURE {
            new.ended(LITTLE, LITTLE);
        }
        assert!(new.is_light());
        // A little more ends it until it has proved itself again, and is no disappointment.
        for _ in 0..4 {
            new.uses_more(false);
            assert!(!new.is_light());
            for _ in 0..SURE {
                new.ended(LITTLE, LITTLE);
            }
            assert!(new.is_light());
        }
    }
}
