//! What one call of a skill really cost, over all of its attempts.
//!
//! The rule: an attempt that the provider may have billed is charged, and where nobody knows how much, with the most that
//! it can have been. The meter holds the permit and settles it when it is dropped, so that no way out of a call (an answer,
//! a failure, a cancelled task, a panic) loses a charge:
//!
//! - usage that the provider reported is charged as reported; an output count that the answer's own length proves wrong is
//!   raised (a token has at most 16 bytes on average);
//! - no usage (a stream that broke, a provider that tells none, a time-out, a call that is cancelled under way): the
//!   prompt's estimate and `max-tokens`, or what was counted where that is more;
//! - an attempt that never reached the provider, or that it refused, costs nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limits::text_tokens;
use super::prices::Price;
use super::provider::{ProviderError, Streamed};
use super::types::Usage;
use crate::broker::Permit;
use crate::budget::Amount;

/// Counts above this are absurd and are cut: sums of them must not overflow a ledger.
const ABSURD: u64 = 1 << 40;
/// No text has longer tokens on average: a report of fewer is wrong.
const LONGEST_TOKEN: u64 = 16;

/// Where tests see what was settled.
#[cfg(test)]
pub(super) type Log = std::sync::Arc<Mutex<Vec<Amount>>>;

pub(super) struct Meter<A> {
    permit: Option<Permit<A>>,
    total: Mutex<Total>,
    /// What the attempt under way has streamed.
    streamed: Streamed,
    #[cfg(test)]
    pub(super) log: Log,
}

#[derive(Default)]
struct Total {
    usage: Usage,
    /// Micro-dollars of priced attempts.
    cost: u64,
    /// Whether some charged attempt had no price.
    unpriced: bool,
    /// The attempt under way.
    flight: Option<Flight>,
    /// Attempts that failed and may have been billed all the same.
    lost: u32,
}

/// One attempt: the most that it can use, and its price.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) price: Option<Price>,
    /// Our own machine's counts are believed.
    pub(super) local: bool,
}

impl<A> Meter<A> {
    pub(super) fn new(permit: Permit<A>) -> Self {
        Self {
            permit: Some(permit),
            total: Mutex::default(),
            streamed: Streamed::default(),
            #[cfg(test)]
            log: Log::default(),
        }
    }

    /// Writes what it settles to `log`, for tests.
    #[cfg(test)]
    pub(super) fn logging(mut self, log: &Log) -> Self {
        self.log = Log::clone(log);
        self
    }

    /// The permit, until the meter is dropped.
    pub(super) fn permit(&self) -> Option<&Permit<A>> {
        self.permit.as_ref()
    }

    /// An attempt begins: from here on it may be billed.
    pub(super) fn begin(&self, flight: Flight) {
        self.streamed.begin_anew();
        self.total().flight = Some(flight);
    }

    /// Bytes that the attempt under way, or the last one, has streamed.
    pub(super) fn streamed(&self) -> u64 {
        self.streamed.bytes()
    }

    /// Where an attempt's events are counted.
    pub(super) fn counter(&self) -> &Streamed {
        &self.streamed
    }

    /// Failed attempts that may have been billed.
    pub(super) fn lost(&self) -> u32 {
        self.total().lost
    }

    /// The attempt gave an answer of so many bytes. Says what the whole call has used by now.
    pub(super) fn answered(&self, reported: Option<Usage>, bytes: u64) -> Usage {
        let mut total = self.total();
        if let Some(flight) = total.flight.take() {
            let usage = reported.map_or_else(|| worst(&flight, bytes), |usage| plausible(usage, &flight, bytes));
            total.charge(&flight, usage);
        }
        total.used()
    }

    /// The attempt failed.
    pub(super) fn failed(&self, error: &ProviderError) {
        let streamed = self.streamed();
        let mut total = self.total();
        let Some(flight) = total.flight.take() else { return };
        if streamed > 0 || may_be_billed(error) {
            total.lost += 1;
            total.charge(&flight, worst(&flight, streamed));
        }
    }

    /// The invocation ended under way: nobody knows what the provider went on to do.
    pub(super) fn expired(&self) {
        let streamed = self.streamed();
        let mut total = self.total();
        if let Some(flight) = total.flight.take() {
            total.lost += 1;
            total.charge(&flight, worst(&flight, streamed));
        }
    }

    fn total(&self) -> MutexGuard<'_, Total> {
        // A panic elsewhere must not lose the charge.
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> Drop for Meter<A> {
    fn drop(&mut self) {
        // An attempt still under way has been cancelled.
        self.expired();
        let amount = self.total().amount();
        if let Some(permit) = self.permit.take() {
            #[cfg(test)]
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(amount);
            permit.settle(amount);
        }
    }
}

impl Total {
    fn charge(&mut self, flight: &Flight, usage: Usage) {
        match flight.price {
            Some(price) => self.cost = self.cost.saturating_add(price.cost(&usage)),
            None => self.unpriced = true,
        }
        let sum = &mut self.usage;
        sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
        sum.cached_input_tokens = sum.cached_input_tokens.saturating_add(usage.cached_input_tokens);
        sum.cache_write_tokens = sum.cache_write_tokens.saturating_add(usage.cache_write_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
        sum.reasoning_tokens = sum.reasoning_tokens.saturating_add(usage.reasoning_tokens);
    }

    fn used(&self) -> Usage {
        Usage { micro_dollars: (!self.unpriced).then_some(self.cost), ..self.usage }
    }

    fn amount(&self) -> Amount {
        Amount {
            input_tokens: self.usage.input_tokens,
            output_tokens: self.usage.output_tokens,
            micro_dollars: self.cost,
            ..Amount::default()
        }
    }
}

/// Whether a provider that fails like this may send a bill. Errors before the model began are free everywhere; a gateway
/// that gave up waiting, an answer that broke and our own time-outs say nothing of what the model did.
fn may_be_billed(error: &ProviderError) -> bool {
    match error {
        ProviderError::TimedOut { phase, .. } => *phase != "connect",
        ProviderError::Server { status, .. } => matches!(status, 200..300 | 502 | 504 | 524),
        ProviderError::Failed { billed, .. } => *billed,
        // A page that says all is well may stand in front of a model that has worked.
        ProviderError::Foreign { status, .. } => matches!(status, 200..300),
        ProviderError::Garbled(_) | ProviderError::Abandoned => true,
        ProviderError::Connect(_)
        | ProviderError::Key { .. }
        | ProviderError::Unsendable(_)
        | ProviderError::UnknownModel(_)
        | ProviderError::RateLimited { .. }
        | ProviderError::Quota(_)
        | ProviderError::Invalid(_)
        | ProviderError::TooLong(_) => false,
    }
}

fn worst(flight: &Flight, bytes: u64) -> Usage {
    let counted = text_tokens(usize::try_from(bytes).unwrap_or(usize::MAX));
    Usage { input_tokens: flight.input_tokens, output_tokens: flight.output_tokens.max(counted), ..Usage::default() }
}

/// What the provider reported, made possible: parts are no larger than their whole, nothing is absurd, and an answer has
/// at least the tokens that its length proves.
fn plausible(usage: Usage, flight: &Flight, bytes: u64) -> Usage {
    let proven = if flight.local { 0 } else { bytes / LONGEST_TOKEN };
    let input = usage.input_tokens.min(ABSURD);
    let output = usage.output_tokens.max(proven).min(ABSURD);
    let cached = usage.cached_input_tokens.min(input);
    Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        cache_write_tokens: usage.cache_write_tokens.min(input - cached),
        output_tokens: output,
        reasoning_tokens: usage.reasoning_tokens.min(output),
        micro_dollars: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::provider::SHARE;
    use super::super::types::Event;
    use super::*;

    fn flight(local: bool) -> Flight {
        let price = Price { input: 1_000_000, output: 2_000_000, ..Price::FREE };
        Flight { input_tokens: 100, output_tokens: 50, price: Some(price), local }
    }

    fn settled(act: impl FnOnce(&Meter<()>)) -> Amount {
        let meter = Meter::new(Permit::unchecked(()));
        let log = meter.log.clone();
        act(&meter);
        drop(meter);
        let settled = log.lock().unwrap();
        assert_eq!(settled.len(), 1, "settled exactly once");
        settled[0]
    }

    fn tokens(input: u64, output: u64) -> Amount {
        Amount { input_tokens: input, output_tokens: output, micro_dollars: input + 2 * output, ..Amount::default() }
    }

    #[test]
    fn nothing_begun_costs_nothing() {
        assert_eq!(settled(|_| {}), Amount::default());
    }

    #[test]
    fn dropped_under_way_costs_the_most() {
        assert_eq!(settled(|meter| meter.begin(flight(false))), tokens(100, 50));
        let long = settled(|meter| {
            meter.begin(flight(false));
            meter.counter().count(&Event::Text("x".repeat(300)));
        });
        assert_eq!(long, tokens(100, 100), "counted, where that is more");
    }

    #[test]
    fn reports_are_taken_but_not_blindly() {
        let report = |usage: Usage, bytes: u64, local: bool| {
            settled(|meter| {
                meter.begin(flight(local));
                meter.answered(Some(usage), bytes);
            })
        };
        let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
        assert_eq!(report(usage, 20, false), tokens(10, 5));
        assert_eq!(report(usage, 16_000, false), tokens(10, 1_000), "16,000 bytes are no five tokens");
        assert_eq!(report(usage, 16_000, true), tokens(10, 5));
        let absurd = Usage { input_tokens: u64::MAX, cached_input_tokens: u64::MAX, output_tokens: u64::MAX, ..usage };
        assert_eq!(report(absurd, 0, false).input_tokens, ABSURD);
        let none = settled(|meter| {
            meter.begin(flight(false));
            meter.answered(None, 3);
        });
        assert_eq!(none, tokens(100, 50), "no report: the most");
    }

    #[test]
    fn failures_cost_what_they_may_be_billed() {
        let failed = |error: ProviderError| {
            settled(|meter| {
                meter.begin(flight(false));
                meter.failed(&error);
            })
        };
        let server = |status| ProviderError::Server { status, message: String::new(), retry_after: None };
        let late = |phase| ProviderError::TimedOut { phase, after: Duration::ZERO };
        let foreign = |status| ProviderError::Foreign { status, text: String::new() };
        let inside = |billed| ProviderError::Failed { message: String::new(), billed };
        for free in [server(500), server(503), server(529), late("connect"), foreign(404), foreign(302), inside(false)]
        {
            assert_eq!(failed(free), Amount::default());
        }
        for free in [ProviderError::Connect(String::new()), ProviderError::Unsendable(String::new())] {
            assert_eq!(failed(free), Amount::default());
        }
        for billed in [server(200), server(502), server(504), late("idle"), late(SHARE), foreign(200), inside(true)] {
            assert_eq!(failed(billed), tokens(100, 50));
        }
        assert_eq!(failed(ProviderError::Garbled(String::new())), tokens(100, 50));
        let streamed = settled(|meter| {
            meter.begin(flight(false));
            meter.counter().count(&Event::Text("x".into()));
            meter.failed(&server(500));
        });
        assert_eq!(streamed, tokens(100, 50), "something was streamed, so it was made");
    }

    /// What may happen to an attempt.
    #[derive(Clone, Debug)]
    enum Fate {
        Answered(u64, u64),
        Silent,
        Free,
        Billed,
        Streamed(u16),
        Expired,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            (0..1_000u64, 0..1_000u64).prop_map(|(input, output)| Fate::Answered(input, output)),
            Just(Fate::Silent),
            Just(Fate::Free),
            Just(Fate::Billed),
            any::<u16>().prop_map(Fate::Streamed),
            Just(Fate::Expired),
        ]
    }

    proptest! {
        #[test]
        fn no_charge_is_lost_or_invented(fates in proptest::collection::vec(fate(), 0..8), cancelled in any::<bool>()) {
            let mut expected = (0u64, 0u64);
            let amount = settled(|meter| {
                for fate in &fates {
                    meter.begin(flight(true));
                    let (input, output) = match fate {
                        Fate::Answered(input, output) => {
                            let usage = Usage { input_tokens: *input, output_tokens: *output, ..Usage::default() };
                            meter.answered(Some(usage), 7);
                            (*input, *output)
                        }
                        Fate::Silent => {
                            meter.answered(None, 0);
                            (100, 50)
                        }
                        Fate::Free => {
                            meter.failed(&ProviderError::Connect(String::new()));
                            (0, 0)
                        }
                        Fate::Billed => {
                            meter.failed(&ProviderError::Garbled(String::new()));
                            (100, 50)
                        }
                        Fate::Streamed(bytes) => {
                            meter.counter().count(&Event::Text("x".repeat(usize::from(*bytes))));
                            meter.failed(&ProviderError::Connect(String::new()));
                            (100, 50.max(u64::from(*bytes).max(1).div_ceil(3)))
                        }
                        Fate::Expired => {
                            meter.expired();
                            (100, 50)
                        }
                    };
                    expected.0 += input;
                    expected.1 += output;
                }
                if cancelled {
                    meter.begin(flight(true));
                    expected.0 += 100;
                    expected.1 += 50;
                }
            });
            prop_assert_eq!(amount, tokens(expected.0, expected.1));
        }
    }
}
