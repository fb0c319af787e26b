//! How many requests there may be: of one invocation, at once, and of one skill in a minute.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::settings::HttpSettings;
use crate::error::{Excess, Refusal};

/// Skills whose rates are remembered. Above it those that have not asked for a while are forgotten.
const REMEMBERED: usize = 4_096;

/// The rates of all skills of a host.
pub(super) struct Rates(RateLimiter<Arc<str>, HashMapStateStore<Arc<str>>, DefaultClock>);

impl Rates {
    pub(super) fn new(per_minute: u32) -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN))))
    }

    fn take(&self, skill: &str) -> Result<(), Refusal> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&Arc::from(skill)).map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            Refusal::Unavailable(format!(
                "this skill has made too many requests in the last minute; try again in {} ms, or raise `http.per-minute`",
                wait.as_millis().max(1)
            ))
        })
    }
}

/// What one invocation may still do. Refused requests count: looking for a gap costs as much as using one.
pub struct Gate {
    made: AtomicU32,
    slots: Arc<Semaphore>,
    limits: (u32, u32),
}

/// A request under way. Held until its response's body is read or dropped.
#[derive(Debug)]
pub(super) struct Slot(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit);

impl Gate {
    #[must_use]
    pub fn new(settings: &HttpSettings) -> Self {
        let limits = (settings.requests, settings.concurrent);
        Self { made: AtomicU32::new(0), slots: Arc::new(Semaphore::new(limits.1 as usize)), limits }
    }

    /// Counts one more request, or one more hop of a request.
    pub(super) fn count(&self, rates: &Rates, skill: &str) -> Result<(), Refusal> {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        if made >= self.limits.0 {
            self.made.store(self.limits.0, Ordering::Relaxed);
            let (limit, actual) = (self.limits.0.into(), Some(u64::from(self.limits.0) + 1));
            return Err(Refusal::TooLarge(Excess {
                what: "the number of http requests of an invocation",
                limit,
                actual,
            }));
        }
        rates.take(skill)
    }

    /// A place for one more request at the same time.
    pub(super) fn slot(&self) -> Result<Slot, Refusal> {
        Arc::clone(&self.slots).try_acquire_owned().map(Slot).map_err(|_| {
            Refusal::Unavailable(format!(
                "{} requests of this invocation are under way, which is the most; read or drop one of their bodies first",
                self.limits.1
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t67_requests_are_counted_and_come_in_at_a_rate() {
        let settings = HttpSettings { requests: 3, concurrent: 2, per_minute: 4, ..HttpSettings::default() };
        let (rates, gate) = (Rates::new(settings.per_minute), Gate::new(&settings));
        let held = [gate.slot().unwrap(), gate.slot().unwrap()];
        assert!(matches!(gate.slot(), Err(Refusal::Unavailable(text)) if text.contains("under way")));
        drop(held);
        assert!(gate.slot().is_ok());
        for _ in 0..3 {
            gate.count(&rates, "a").unwrap();
        }
        for _ in 0..10_000 {
            assert!(matches!(gate.count(&rates, "a"), Err(Refusal::TooLarge(excess)) if excess.limit == 3));
        }
        let next = Gate::new(&settings);
        next.count(&rates, "a").unwrap();
        assert!(matches!(next.count(&rates, "a"), Err(Refusal::Unavailable(text)) if text.contains("per-minute")));
        next.count(&rates, "b").unwrap();
    }
}
