//! What happened: one record per invocation, told when it starts and when it ends; and the audit of every act.
//!
//! Nobody waits for the journal: records are posted, in order, and are on disk about 20 ms later. It calls nobody.

pub mod audit;
mod store;
mod story;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

pub use story::{Act, Story, story};
pub use watch::{Running, Watch};

use crate::budget::Amount;
use crate::state::{State, StateError};
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Runs that are kept. The oldest go first.
pub const KEPT_RUNS: u64 = 10_000;
/// Old runs are removed once in so many, so that the price is shared.
const PRUNE_EVERY: u64 = 256;
/// Most bytes of a message that are kept. It is cut between characters, as names are.
const MAX_MESSAGE: usize = 4096;
/// Most bytes of any name that is kept.
const MAX_NAME: usize = 256;

/// An invocation that begins.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its identifier, unique for ever.
    pub invocation: Arc<str>,
    pub skill: Arc<str>,
    pub tool: Arc<str>,
    /// Of the component that runs.
    pub digest: Arc<str>,
    /// `user`, `client`, `model` or `skill`.
    pub caller: &'static str,
    /// The invocation that called this one, where a skill did.
    pub parent: Option<Arc<str>>,
    pub at: Timestamp,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// `ok`, or the kind of the error.
    pub kind: &'static str,
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

/// Which runs to show. None means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub skill: Option<String>,
    /// As [`Record::kind`] has it.
    pub kind: Option<String>,
    /// The run that called them.
    pub parent: Option<String>,
}

/// The host's journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    /// This host's number on the state. A run of a host that does not live and that has not ended never will.
    session: Arc<str>,
    started: AtomicU64,
    /// Runs that have begun here and not ended.
    open: Arc<AtomicUsize>,
}

impl Journal {
    pub fn new(state: State) -> Self {
        let session = state.host().to_string().into();
        Self(Arc::new(Inner { state, session, started: AtomicU64::new(0), open: Arc::default() }))
    }

    /// Records that a run begins. To be called before its guest runs.
    pub fn started(&self, mut run: Run) -> Open {
        let names = [&mut run.invocation, &mut run.skill, &mut run.tool, &mut run.digest];
        for name in names.into_iter().chain(&mut run.parent) {
            if name.len() > MAX_NAME {
                *name = name[..name.floor_char_boundary(MAX_NAME)].into();
            }
        }
        let line = Arc::new(Line { run, ending: OnceLock::new(), is_written: AtomicBool::new(false) });
        let (session, theirs) = (Arc::clone(&self.0.session), Arc::clone(&line));
        let prune = self.0.started.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY);
        self.0.state.post(move |tx| {
            // In this order: an ending that comes now is seen here, or sees that it has to be written by itself.
            theirs.is_written.store(true, Ordering::SeqCst);
            store::start(tx, &session, &theirs.run, theirs.ending.get())?;
            if prune { store::prune(tx, KEPT_RUNS) } else { Ok(()) }
        });
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Open { state: self.0.state.clone(), line, count: Arc::clone(&self.0.open) }
    }

    /// How many runs have begun here and are not yet recorded as ended.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// The newest runs, newest first.
    pub async fn recent(&self, limit: u32) -> Result<Vec<Record>, StateError> {
        self.select(Wanted::default(), limit).await
    }

    /// The newest runs that fit, newest first.
    pub async fn select(&self, wanted: Wanted, limit: u32) -> Result<Vec<Record>, StateError> {
        let lives = self.lives().await;
        self.0.state.read(move |db| store::select(db, &lives, &wanted, limit)).await
    }

    /// One run.
    pub async fn run(&self, invocation: &str) -> Result<Option<Record>, StateError> {
        let (lives, invocation) = (self.lives().await, invocation.to_owned());
        self.0.state.read(move |db| store::one(db, &lives, &invocation)).await
    }

    /// Tells whether a host lives. What was recorded until now is there to be read, if it can be written at all.
    async fn lives(&self) -> impl Fn(&str) -> bool + Send + use<> {
        if let Err(error) = self.0.state.flush().await {
            tracing::debug!(%error, "runs are shown as far as they are written");
        }
        let state = self.0.state.clone();
        move |session: &str| session.parse().is_ok_and(|host| state.lives(host))
    }
}

/// A run whose beginning is recorded.
///
/// Most runs end before their beginning is on disk, and are then written once and whole.
#[derive(Debug)]
pub struct Open {
    state: State,
    line: Arc<Line>,
    count: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Line {
    run: Run,
    ending: OnceLock<Ending>,
    /// Whether the beginning was written, perhaps without the ending.
    is_written: AtomicBool,
}

impl Open {
    /// Records how it ended. Only the first ending counts.
    pub fn finished(&self, mut ending: Ending) {
        ending.message.truncate(ending.message.floor_char_boundary(MAX_MESSAGE));
        if self.line.ending.set(ending).is_ok() && self.line.is_written.load(Ordering::SeqCst) {
            let line = Arc::clone(&self.line);
            self.state.post(move |tx| match line.ending.get() {
                Some(ending) => store::finish(tx, &line.run.invocation, ending),
                None => Ok(()),
            });
        }
    }
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

fn rfc3339_or_null<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}
