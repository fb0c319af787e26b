//! What an invocation shares with those that it calls: memory and processor time.
//!
//! A skill that calls others must not get more of the machine than one that does not. So each of these has a limit of its own
//! and takes from all that stand above it as well: what is called gets at most what is left.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::atomic::{AtomicU64, Ordering};

/// A limited amount. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
    above: Option<Share>,
}

impl Share {
    pub(crate) fn new(limit: u64) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicU64::new(0), above: None }))
    }

    /// A share below this one.
    #[must_use]
    pub(crate) fn inner(&self, limit: u64) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicU64::new(0), above: Some(self.clone()) }))
    }

    fn up(&self) -> impl Iterator<Item = &Inner> {
        std::iter::successors(Some(&*self.0), |inner| inner.above.as_ref().map(|above| &*above.0))
    }

    /// Takes from all or from none, and says whose limit was in the way.
    pub(crate) fn take(&self, amount: u64) -> Result<(), u64> {
        for (depth, inner) in self.up().enumerate() {
            let taken = inner.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(amount).filter(|sum| *sum <= inner.limit)
            });
            if taken.is_err() {
                for below in self.up().take(depth) {
                    below.used.fetch_sub(amount, Ordering::Relaxed);
                }
                return Err(inner.limit);
            }
        }
        Ok(())
    }

    /// What it and those below it have used.
    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, amount: u64) {
        for inner in self.up() {
            inner.used.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    /// Counts what has been used already, and says whose limit is passed by it, if any is.
    pub(crate) fn count(&self, amount: u64) -> Option<u64> {
        let mut passed = None;
        for inner in self.up() {
            let sum = inner.used.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
            if sum > inner.limit {
                passed = passed.or(Some(inner.limit));
            }
        }
        passed
    }
}

/// Processor time is counted in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_gets_what_is_left() {
        let outer = Share::new(100);
        outer.take(60).unwrap();
        let (one, two) = (outer.inner(30), outer.inner(1_000));
        assert_eq!(one.take(31), Err(30), "its own limit");
        one.take(30).unwrap();
        assert_eq!(two.take(11), Err(100), "the caller's and its other calls' are gone");
        two.take(10).unwrap();
        assert_eq!(outer.take(1), Err(100));
        one.give(30);
        outer.take(30).unwrap();
        assert_eq!(two.take(u64::MAX), Err(1_000), "nothing overflows");
    }

    #[test]
    fn time_is_counted_everywhere() {
        let outer = Share::new(100);
        let inner = outer.inner(50);
        assert_eq!(inner.count(50), None);
        assert_eq!(inner.count(1), Some(50));
        assert_eq!(outer.count(49), None);
        assert_eq!(outer.inner(50).count(1), Some(100));
    }
}
