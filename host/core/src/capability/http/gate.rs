//! How many requests there may be: of one invocation, at once, and of one skill in a minute.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::settings::HttpSettings;
use crate::error::{Excess, Refusal};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Instant, Mutex, OnceLock, PoisonError};

/// Skills whose rates are remembered. Above it those that have rested for a while are forgotten.
const REMEMBERED: usize = 4_096;

/// The rates of all skills of a host: a bucket each, which holds a minute's requests and fills again evenly.
pub(super) struct Rates {
    per_minute: f64,
    buckets: Mutex<HashMap<Box<str>, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, per_minute: f64, now: Instant) {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * per_minute / 60.0;
        self.left = (self.left + more).min(per_minute);
        self.at = now;
    }
}

impl Rates {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1).into(), buckets: Mutex::default() }
    }

    fn take(&self, skill: &str, now: Instant) -> Result<(), Refusal> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > REMEMBERED {
            buckets.retain(|_, bucket| {
                bucket.fill(self.per_minute, now);
                bucket.left < self.per_minute
            });
        }
        if !buckets.contains_key(skill) {
            buckets.insert(skill.into(), Bucket { left: self.per_minute, at: now });
        }
        let Some(bucket) = buckets.get_mut(skill) else { return Ok(()) };
        bucket.fill(self.per_minute, now);
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.left) * 60_000.0 / self.per_minute;
        Err(Refusal::Unavailable(format!(
            "the skill that began this has made too many requests in the last minute, with those of skills that it called; \
             try again in {} ms, or raise `http.per-minute`",
            wait.ceil()
        )))
    }
}

/// What one invocation may still do. Refused requests count: looking for a gap costs as much as using one.
pub struct Gate {
    made: AtomicU32,
    /// Made for the first request: most invocations make none.
    slots: OnceLock<Arc<Semaphore>>,
    limits: (u32, u32),
}

/// A request under way. Held until its response's body is read or dropped.
#[derive(Debug)]
pub(super) struct Slot(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit);

impl Gate {
    #[must_use]
    pub fn new(settings: &HttpSettings) -> Self {
        let limits = (settings.requests, settings.concurrent);
        Self { made: AtomicU32::new(0), slots: OnceLock::new(), limits }
    }

    /// Counts one more request, or one more hop of a request.
    pub(super) fn count(&self, rates: &Rates, skill: &str) -> Result<(), Refusal> {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        if made >= self.limits.0 {
            self.made.store(self.limits.0, Ordering::Relaxed);
            let (limit, actual) = (self.limits.0.into(), Some(u64::from(self.limits.0) + 1));
            return Err(Refusal::TooLarge(Excess { what: "number of http requests of an invocation", limit, actual }));
        }
        rates.take(skill, Instant::now())
    }

    /// A place for one more request at the same time.
    pub(super) fn slot(&self) -> Result<Slot, Refusal> {
        let slots = self.slots.get_or_init(|| Arc::new(Semaphore::new(self.limits.1 as usize)));
        Arc::clone(slots).try_acquire_owned().map(Slot).map_err(|_| {
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

    #[test]
    fn t67_a_bucket_fills_again_evenly_and_never_above_a_minute() {
        let (rates, begun) = (Rates::new(60), Instant::now());
        let after = |ms: u64| begun + std::time::Duration::from_millis(ms);
        for _ in 0..60 {
            rates.take("a", begun).unwrap();
        }
        assert!(rates.take("a", after(900)).is_err());
        rates.take("a", after(1_000)).unwrap();
        assert!(rates.take("a", after(1_900)).is_err());
        for _ in 0..60 {
            rates.take("a", after(1_000_000)).unwrap();
        }
        assert!(rates.take("a", after(1_000_000)).is_err());
        // A flood of names is forgotten once they have rested.
        for n in 0..2 * REMEMBERED {
            rates.take(&n.to_string(), after(2_000_000 + n as u64 * 1_000)).unwrap();
        }
        assert!(rates.buckets.lock().unwrap().len() <= REMEMBERED + 1);
    }
}
