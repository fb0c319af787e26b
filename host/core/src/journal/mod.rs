//! What happened: one record per invocation, written when it starts and again when it ends; and the audit of every act.
//!
//! Nobody waits for the journal: records are posted, in order, and are on disk about 20 ms later. It calls nobody.

pub mod audit;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::Serialize;

use crate::budget::Amount;
use crate::state::{State, StateError};

/// Runs that are kept. The oldest go first.
pub const KEPT_RUNS: u64 = 10_000;
/// Old runs are removed once in so many, so that the price is shared.
const PRUNE_EVERY: u64 = 256;
/// Most bytes of a message that are kept.
const MAX_MESSAGE: usize = 4096;
/// Most bytes of any name that is kept.
const MAX_NAME: usize = 256;

/// An invocation that begins.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its identifier, unique for ever.
    pub invocation: String,
    pub skill: String,
    pub tool: String,
    /// Of the component that runs.
    pub digest: String,
    /// `user`, `client`, `model` or `skill`.
    pub caller: String,
    /// The invocation that called this one, where a skill did.
    pub parent: Option<String>,
    pub at: Timestamp,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// `ok`, or the kind of the error.
    pub kind: String,
    /// The error's sentence; empty where there was none. May hold anything a skill says: whoever shows it escapes it.
    pub message: String,
    pub usage: Amount,
    /// Log lines that were over the caps.
    pub log_dropped: u64,
    pub at: Timestamp,
}

/// A run as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    pub invocation: String,
    pub skill: String,
    pub tool: String,
    pub digest: String,
    pub caller: String,
    /// The invocation that called this one. What this one used is in that one's usage too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    pub started: Timestamp,
    #[serde(serialize_with = "rfc3339_or_null")]
    pub ended: Option<Timestamp>,
    /// `running`, `interrupted` where the host was killed during it, `ok`, or the kind of the error.
    pub kind: String,
    pub message: String,
    pub usage: Amount,
    pub log_dropped: u64,
}

/// The host's journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    /// This process. A run of another session that has not ended never will.
    session: Arc<str>,
    started: AtomicU64,
}

impl Journal {
    pub fn new(state: State) -> Self {
        let session = uuid::Uuid::now_v7().to_string().into();
        Self(Arc::new(Inner { state, session, started: AtomicU64::new(0) }))
    }

    /// Records that a run begins. To be called before its guest runs.
    pub fn started(&self, mut run: Run) {
        for name in [&mut run.invocation, &mut run.skill, &mut run.tool, &mut run.digest, &mut run.caller] {
            cut(name, MAX_NAME);
        }
        if let Some(parent) = &mut run.parent {
            cut(parent, MAX_NAME);
        }
        let session = Arc::clone(&self.0.session);
        let prune = self.0.started.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY);
        self.0.state.post(move |tx| {
            store::start(tx, &session, &run)?;
            if prune { store::prune(tx, KEPT_RUNS) } else { Ok(()) }
        });
    }

    /// Records how it ended. Only the first ending counts.
    pub fn finished(&self, invocation: &str, mut ending: Ending) {
        let mut invocation = invocation.to_owned();
        cut(&mut invocation, MAX_NAME);
        cut(&mut ending.kind, MAX_NAME);
        cut(&mut ending.message, MAX_MESSAGE);
        self.0.state.post(move |tx| store::finish(tx, &invocation, &ending));
    }

    /// The newest runs, newest first.
    pub async fn recent(&self, limit: u32) -> Result<Vec<Record>, StateError> {
        let session = Arc::clone(&self.0.session);
        self.0.state.read(move |db| store::recent(db, &session, limit)).await
    }

    /// One run.
    pub async fn run(&self, invocation: &str) -> Result<Option<Record>, StateError> {
        let (session, invocation) = (Arc::clone(&self.0.session), invocation.to_owned());
        self.0.state.read(move |db| store::one(db, &session, &invocation)).await
    }
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

fn rfc3339_or_null<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

/// Shortens to at most `max` bytes, between characters.
fn cut(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}
