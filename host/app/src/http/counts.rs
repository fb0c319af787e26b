//! What is counted, for `/metrics`: requests as they are answered, and runs as the host tells their ends, whichever face they came by.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfence_core::budget::Amount;
use ringfence_core::{Host, RunEnded};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Upper bounds of the buckets of durations, in milliseconds: from what never leaves this machine to what a model thinks about for long.
const BUCKETS: [u64; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 120_000];

/// Counted since the start.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests by the first digit of their status.
    answered: [AtomicU64; 6],
    /// Errors that were told, by kind. The kinds are those of the table of errors, so there is an end to them.
    errors: Mutex<BTreeMap<String, u64>>,
    /// Runs that have ended and are not counted yet.
    ended: Mutex<Receiver<RunEnded>>,
    runs: Mutex<Runs>,
}

/// What came of runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// Calls that clients made, of tools and of agents, by how they ended: `ok`, or the kind of the error.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// Calls that models of agents and skills made, by who called and how they ended.
    pub(crate) inner: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) took: Durations,
    /// Of calls by clients, with all that they called.
    pub(crate) used: Amount,
    /// Runs of which only is known that there were so many.
    pub(crate) missed: u64,
}

/// How long calls by clients took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    /// By the first bucket that each fits into.
    buckets: [u64; BUCKETS.len()],
    pub(crate) count: u64,
    pub(crate) sum: Duration,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.sum += took;
        let fits = BUCKETS.iter().position(|most| took <= Duration::from_millis(*most));
        if let Some(bucket) = fits.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
    }

    /// Upper bounds in seconds, each with how many took no longer.
    pub(crate) fn up_to(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        BUCKETS.iter().zip(self.buckets).map(move |(most, count)| {
            so_far += count;
            (Duration::from_millis(*most).as_secs_f64(), so_far)
        })
    }
}

impl Runs {
    fn add(&mut self, run: &RunEnded) {
        if matches!(run.caller, "model" | "skill") {
            // What it used is part of what the run used that called it.
            *self.inner.entry((run.caller, run.kind)).or_default() += 1;
            return;
        }
        *self.calls.entry(run.kind).or_default() += 1;
        self.took.add(run.took);
        let (used, more) = (&mut self.used, &run.usage);
        used.input_tokens = used.input_tokens.saturating_add(more.input_tokens);
        used.output_tokens = used.output_tokens.saturating_add(more.output_tokens);
        used.micro_dollars = used.micro_dollars.saturating_add(more.micro_dollars);
    }
}

impl Counts {
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            answered: Default::default(),
            errors: Mutex::default(),
            ended: Mutex::new(host.runs_ended()),
            runs: Mutex::default(),
        }
    }

    pub(super) fn answered(&self, status: axum::http::StatusCode) {
        if let Some(count) = self.answered.get(usize::from(status.as_u16() / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client was told of an error.
    pub(crate) fn failed(&self, kind: &str) {
        let mut errors = lock(&self.errors);
        match errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(errors.insert(kind.to_owned(), 1)),
        }
    }

    /// Requests by class of status, such as `2xx`.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = (String, u64)> {
        self.answered
            .iter()
            .enumerate()
            .skip(1)
            .map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }

    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        lock(&self.errors).clone()
    }

    /// With all runs that have ended until now.
    pub(crate) fn runs(&self) -> Runs {
        self.count();
        lock(&self.runs).clone()
    }

    fn count(&self) {
        let (mut ended, mut runs) = (lock(&self.ended), lock(&self.runs));
        loop {
            match ended.try_recv() {
                Ok(run) => runs.add(&run),
                Err(TryRecvError::Lagged(missed)) => runs.missed += missed,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Counts as runs end: what nobody looks at has no room for many. Until the host ends.
    pub(super) async fn keep_up(&self, host: &Host) {
        let mut ended = host.runs_ended();
        // What it is told here only wakes it: each run is counted once, by whoever comes first.
        while !matches!(ended.recv().await, Err(RecvError::Closed)) {
            self.count();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(caller: &'static str, kind: &'static str, ms: u64, tokens: u64) -> RunEnded {
        let usage =
            Amount { input_tokens: 2 * tokens, output_tokens: tokens, micro_dollars: 3 * tokens, ..Amount::default() };
        RunEnded { skill: "a".into(), tool: "b".into(), caller, kind, usage, took: Duration::from_millis(ms) }
    }

    #[test]
    fn what_a_call_used_is_counted_once_however_many_it_called() {
        let mut runs = Runs::default();
        for one in [
            run("skill", "ok", 7, 5),
            run("model", "denied", 7, 5),
            run("client", "ok", 10, 5),
            run("client", "timeout", 300_000, 1),
        ] {
            runs.add(&one);
        }
        assert_eq!(runs.calls, BTreeMap::from([("ok", 1), ("timeout", 1)]));
        assert_eq!(runs.inner, BTreeMap::from([(("model", "denied"), 1), (("skill", "ok"), 1)]));
        assert_eq!((runs.used.input_tokens, runs.used.output_tokens, runs.used.micro_dollars), (12, 6, 18));
        let up_to: Vec<_> = runs.took.up_to().collect();
        assert_eq!(up_to[..3], [(0.005, 0), (0.01, 1), (0.025, 1)]);
        assert_eq!((up_to.last(), runs.took.count), (Some(&(120.0, 1)), 2), "what took longer is in the count alone");
    }
}
