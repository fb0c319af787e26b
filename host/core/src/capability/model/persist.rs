//! One candidate, up to three attempts.
//!
//! Repeated is what a repetition can cure, and only while nothing has been streamed: a guest that has seen half of an
//! answer must not see another one begin. Waits grow exponentially with full jitter, honour Retry-After, and never reach past
//! the deadline; where a provider asks for a longer wait than that, it is not asked again. An attempt that may have been billed
//! without giving anything is repeated once at most in a call, whatever its kind: so a call costs at most one attempt more than
//! was reserved for it. Where another candidate is left, the repetition is that one's: what was lost at the first is likely to
//! be lost there again.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};

use super::meter::{Flight, Meter};
use super::prices::Price;
use super::provider::{ProviderError, SHARE};
use super::route::Candidate;
use crate::broker::Permit;
use crate::unless::unless;

/// Attempts that may have been billed in vain before a call gives up.
pub(super) const LOST: u32 = 2;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// For longer than this nobody waits because a provider's Retry-After says so.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Longer than this nobody waits while another candidate is ready.
const IMPATIENT: Duration = Duration::from_secs(2);

/// What is attempted: a generation or an embedding.
pub(super) trait Work: Sync {
    type Ask: Send + Sync;
    type Output: Send;

    /// The most input and output tokens of one attempt.
    fn most(&self) -> (u64, u64);

    fn attempt<'a>(
        &'a self,
        meter: &'a Meter<Self::Ask>,
        permit: &'a Permit<Self::Ask>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Self::Output, ProviderError>>;
}

/// Why a candidate gave no answer.
#[derive(Debug)]
pub(super) enum Stop {
    Provider(ProviderError),
    /// Its breaker is open for so long.
    Open(Duration),
    NoKey,
    /// The invocation's deadline has come, or would come while waiting.
    Deadline,
}

/// The meter knows of the answer's attempt as begun; the caller tells it what came.
pub(super) async fn persist<W: Work>(
    meter: &Meter<W::Ask>,
    permit: &Permit<W::Ask>,
    candidate: &Candidate,
    work: &W,
    attempts: u32,
    alternative: bool,
) -> Result<W::Output, Stop> {
    if candidate.slot.lacks_key {
        return Err(Stop::NoKey);
    }
    let most_lost = if alternative { meter.lost() + 1 } else { LOST };
    let mut attempt = 1;
    loop {
        let error = match once(meter, permit, candidate, work, alternative).await {
            Err(Stop::Provider(error)) => error,
            other => return other,
        };
        let lost = meter.lost() >= most_lost.min(LOST);
        if attempt >= attempts || !error.is_transient() || meter.streamed() > 0 || lost {
            return Err(Stop::Provider(error));
        }
        let Some(wait) = wait_before(attempt, error.retry_after()) else { return Err(Stop::Provider(error)) };
        if Instant::now() + wait >= permit.deadline() || (alternative && wait > IMPATIENT) {
            return Err(Stop::Provider(error));
        }
        tracing::debug!(model = %candidate.name(), %error, ?wait, "retrying a model call");
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

async fn once<W: Work>(
    meter: &Meter<W::Ask>,
    permit: &Permit<W::Ask>,
    candidate: &Candidate,
    work: &W,
    alternative: bool,
) -> Result<W::Output, Stop> {
    let slot = &candidate.slot;
    let Ok(Ok(_place)) = timeout_at(permit.deadline(), slot.gate.acquire()).await else {
        return Err(Stop::Deadline);
    };
    let pass = slot.breaker.pass().map_err(Stop::Open)?;
    let (input_tokens, output_tokens) = work.most();
    // What is on this machine and costs money is a gateway, whose counts are as foreign as those behind it.
    let local = slot.local && candidate.price == Some(Price::FREE);
    meter.begin(Flight { input_tokens, output_tokens, price: candidate.price, local });
    let share = share(permit.deadline().saturating_duration_since(Instant::now()), alternative);
    let mut attempt = work.attempt(meter, permit, candidate);
    let done = match unless(attempt.as_mut(), pin!(sleep(share))).await {
        Ok(done) => Some(done),
        // What has come at the last moment has come.
        Err(()) => (&mut attempt).now_or_never(),
    };
    let done = match done {
        Some(done) => Ok(done),
        // An answer that has begun in time has the rest of it as well. One that is not streamed begins with its end.
        None if meter.counter().has_begun() => timeout_at(permit.deadline(), attempt).await,
        None => Ok(Err(too_late(share))),
    };
    match done {
        Ok(Ok(output)) => {
            pass.worked();
            Ok(output)
        }
        Ok(Err(error)) => {
            meter.failed(&error);
            match &error {
                // It is up and says so: Retry-After governs it, not the breaker.
                ProviderError::RateLimited { .. } => pass.worked(),
                error if error.is_transient() => pass.failed(),
                // Nothing was sent, or nobody waited long enough to know.
                ProviderError::Unsendable(_) | ProviderError::TimedOut { .. } | ProviderError::Abandoned => drop(pass),
                _ => pass.worked(),
            }
            Err(Stop::Provider(error))
        }
        Err(_) => {
            meter.expired();
            Err(Stop::Deadline)
        }
    }
}

/// How much of what is left of an invocation's time an answer may let wait for it: another candidate needs time too, and a skill must
/// live to hear the refusal.
fn share(left: Duration, alternative: bool) -> Duration {
    if alternative { left / 2 } else { left - left / 10 }
}

/// No answer has begun in its share of the time.
fn too_late(share: Duration) -> ProviderError {
    let whole = Duration::from_secs(share.as_secs());
    let after = if whole.is_zero() { Duration::from_millis(share.subsec_millis().into()) } else { whole };
    ProviderError::TimedOut { phase: SHARE, after }
}

/// None where the provider asks for more than anybody waits.
fn wait_before(attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let top = FIRST_WAIT.saturating_mul(1 << attempt.min(16)).min(LONGEST_WAIT);
    let jitter = top.mul_f64(rand::random::<f64>());
    match retry_after {
        None => Some(jitter),
        Some(after) if after > LONGEST_RETRY_AFTER => None,
        // Never before the provider allows it, and not all at the same moment after.
        Some(after) => Some(after + jitter.min(FIRST_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        for attempt in 1..40 {
            let wait = wait_before(attempt, None).unwrap();
            assert!(wait <= LONGEST_WAIT && wait <= FIRST_WAIT * 2u32.saturating_pow(attempt.min(16)));
            for asked in [Duration::from_secs(3), LONGEST_RETRY_AFTER] {
                let wait = wait_before(attempt, Some(asked)).unwrap();
                assert!(wait >= asked && wait <= asked + FIRST_WAIT, "never before it is allowed");
            }
            for asked in [31, 40, 99_999_999] {
                assert_eq!(wait_before(attempt, Some(Duration::from_secs(asked))), None);
            }
        }
    }

    #[test]
    fn what_follows_an_attempt_has_time_too() {
        let minute = Duration::from_secs(60);
        assert_eq!(share(minute, true), minute / 2);
        assert_eq!(share(minute, false), minute * 9 / 10);
        assert_eq!(share(Duration::ZERO, false), Duration::ZERO);
    }
}
