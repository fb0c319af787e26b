//! How much of the processor the calls of one tool have used lately.
//!
//! Nothing tells a call that will spin from one that will answer at once, and by the time the first tick has told them apart the
//! spinner has held a worker for up to 10 ms. What the tool did before mostly tells: a tool that is heavy by habit begins where
//! heavy guests run, and never stands before others in line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::shares::nanos;

/// A mean over the last few calls, in nanoseconds. Lost updates do no harm.
#[derive(Debug, Default)]
pub(crate) struct Habit(AtomicU64);

impl Habit {
    /// What a call of this tool is likely to use.
    pub(crate) fn usual(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Learns from a call that came to its own end.
    pub(crate) fn ended(&self, used: Duration) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before - before / 4 + nanos(used) / 4, Ordering::Relaxed);
    }

    /// Learns from a call that was cut off: it would have used at least this much.
    pub(crate) fn cut_off(&self, used: Duration) {
        if used > self.usual() {
            self.ended(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: Duration = Duration::from_millis(100);

    #[test]
    fn a_heavy_tool_is_known_at_once_and_forgiven_after_some_light_calls() {
        let habit = Habit::default();
        habit.ended(HEAVY);
        assert!(habit.usual() >= HEAVY / 5, "{:?}", habit.usual());
        for _ in 0..20 {
            habit.ended(Duration::from_micros(50));
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
        habit.ended(Duration::from_nanos(u64::MAX));
        habit.ended(Duration::MAX);
    }
}
