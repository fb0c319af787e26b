//! What skills asked for, what became of it, and what the operator changed: a chain of records that shows when one was
//! edited, removed or put in another order.
//!
//! Each record carries the SHA-256 of the one before it and of itself. The newest one is signed from time to time (Ed25519,
//! RFC 8032) by a key in the state directory, and the signed head is kept in the state and in a file beside it: a chain that
//! does not reach its head was cut, and a state that is older than the file was put back. Against somebody who can read the
//! key nothing here helps; keep an export elsewhere.

mod chain;
mod export;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod repair;
mod store;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Transaction;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub(crate) use chain::append;
use chain::{Key, Mark};
pub use export::{Closing, Opening, Place};
pub(crate) use repair::Resumed;
pub(super) use store::spent_since;
pub use verify::{Fault, Verified};

use crate::state::{LeftBehind, State, StateError};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Records that are kept. Older ones go, and a signed mark says up to where.
pub const KEPT_RECORDS: u64 = 1_000_000;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// An act was allowed and is about to begin.
    Intent,
    /// It ended.
    Outcome,
    /// An act was refused.
    Denied,
    /// An invocation ended.
    Run,
    /// The operator changed what may be done: a grant, a secret, an installed skill.
    Admin,
}

impl Event {
    pub const ALL: [Self; 5] = [Self::Intent, Self::Outcome, Self::Denied, Self::Run, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Denied => "denied",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
}

/// What is recorded. Texts may come from a skill: they are made printable and cut, with the digest of the whole behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    /// Empty for what the operator did.
    pub invocation: Arc<str>,
    /// Counts the acts of one invocation; intent and outcome have the same number.
    pub act: u64,
    pub skill: Arc<str>,
    /// The chain of callers, the outermost first: `user`, `model>skill`.
    pub caller: Arc<str>,
    pub capability: &'static str,
    pub subject: Arc<str>,
    /// For an outcome or a run `ok`, the kind of the error, or `unknown` where the host did not learn what came of it.
    pub kind: &'static str,
    /// A few words more: a reason, usage. Never content.
    pub detail: String,
}

impl Entry {
    /// What the operator did, to which skill or secret.
    pub fn admin(kind: &'static str, subject: impl Into<Arc<str>>, detail: impl Into<String>) -> Self {
        Self {
            event: Event::Admin,
            invocation: "".into(),
            act: 0,
            skill: "".into(),
            caller: "user".into(),
            capability: "",
            subject: subject.into(),
            kind,
            detail: detail.into(),
        }
    }
}

/// A record as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    pub seq: u64,
    /// Microseconds since 1970-01-01 UTC, as they are hashed.
    pub at_us: i64,
    pub event: Event,
    pub invocation: String,
    pub act: u64,
    pub skill: String,
    pub caller: String,
    pub capability: String,
    pub subject: String,
    pub kind: String,
    pub detail: String,
    /// SHA-256 in hexadecimal digits.
    pub hash: String,
}

impl Record {
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.at_us).unwrap_or_default()
    }
}

/// Which records to show. None and empty mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub invocation: Option<String>,
    pub skill: Option<String>,
    pub capability: Option<String>,
    pub event: Option<Event>,
    /// Only records with a greater number.
    pub after: Option<u64>,
    /// Only records since this time.
    pub since: Option<Timestamp>,
}

/// How often a skill used one thing, and when last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    pub capability: String,
    pub subject: String,
    pub times: u64,
    pub refused: u64,
    pub last_us: i64,
}

/// What is written down with an intent, both or neither. Whose it is knows what it means.
pub(crate) trait Beside: Serialize + DeserializeOwned + Send + 'static {
    fn put(&self, tx: &Transaction<'_>) -> rusqlite::Result<()>;
}

/// Nothing.
impl Beside for () {
    fn put(&self, _: &Transaction<'_>) -> rusqlite::Result<()> {
        Ok(())
    }
}

/// What is on record before an act begins: a line, until it is in the chain.
#[derive(Serialize, Deserialize)]
struct Intent<B> {
    #[serde(flatten)]
    record: Record,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    beside: Option<B>,
}

impl<B: Beside> Intent<B> {
    fn put(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        chain::add(tx, &mut self.record)?;
        self.beside.as_ref().map_or(Ok(()), |beside| beside.put(tx))
    }
}

/// The audit of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    key: Key,
    /// The head beside the state.
    file: PathBuf,
    /// Records that were queued or appended since the head was signed. At least: some of them may be under it.
    unsealed: AtomicU64,
    /// The turn of whoever signs.
    sealing: Semaphore,
    /// Whether the log was told that the head beside the state is not of this chain.
    warned: AtomicBool,
}

impl Audit {
    /// The audit in `state`, with its key and its head's file in `dir`. Blocks: it reads files.
    pub fn open(state: State, dir: &Path) -> Result<Self, StateError> {
        let key = Key::open(&dir.join("audit.key"))?;
        let file = dir.join("audit.head");
        let (unsealed, sealing, warned) = (AtomicU64::new(0), Semaphore::new(1), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { state, key, file, unsealed, sealing, warned })))
    }

    /// As [`open`](Self::open), as a host does that starts: what hosts that were killed had on record and not yet in the chain is put there,
    /// and what stands beside it where it belongs.
    pub(crate) async fn resume<B: Beside>(state: State, dir: PathBuf) -> Result<Self, StateError> {
        let path = state.path().to_path_buf();
        let opened = tokio::task::spawn_blocking(move || {
            let left = state.left_behind()?;
            Self::open(state, &dir).map(|audit| (audit, left))
        });
        let (audit, left) = opened.await.map_err(|_| StateError::Closed { path })??;
        audit.take_up::<B>(left).await?;
        Ok(audit)
    }

    /// Records without waiting. It is on disk with the next [`State::write`], or about 20 ms later; what [`record`](Self::record)
    /// is given meanwhile may come before it in the chain, and its time says so.
    pub fn note(&self, entry: Entry) {
        self.note_at(Timestamp::now(), entry);
    }

    /// As [`note`](Self::note), of what happened at a time that is known.
    pub(crate) fn note_at(&self, at: Timestamp, entry: Entry) {
        self.0.state.post(move |tx| append(tx, at, &entry));
        self.counted();
    }

    /// Records and returns when that is on disk, before what was only noted and is still on its way: somebody waits for it.
    pub async fn record(&self, entry: Entry) -> Result<(), StateError> {
        let at = Timestamp::now();
        let written = self.0.state.write_first(move |tx| append(tx, at, &entry));
        self.counted();
        written.await
    }

    /// As [`record`](Self::record), for an act that is about to begin: a killed process does not lose it, nor what stands beside it, and no more is
    /// waited for than that. It is in the chain with the next [`State::write`], or about 20 ms later, or when the next host starts.
    pub(crate) async fn intend<B: Beside>(&self, entry: &Entry, beside: Option<B>) -> Result<(), StateError> {
        let mut intent = Intent { record: chain::record(Timestamp::now(), entry), beside };
        // Writing numbers and texts to memory cannot fail, and JSON has no line breaks of its own.
        let mut line = Vec::with_capacity(1_024);
        let _ = serde_json::to_writer(&mut line, &intent);
        let written = match self.0.state.post_ahead(&line, move |tx| intent.put(tx)) {
            Ok(()) => None,
            Err(put) => Some(self.0.state.write_first(put)),
        };
        self.counted();
        match written {
            None => Ok(()),
            Some(written) => written.await,
        }
    }

    /// Puts into the chain what hosts that were killed had no time for.
    async fn take_up<B: Beside>(&self, left: Option<LeftBehind>) -> Result<(), StateError> {
        let Some(left) = left.map(Arc::new) else { return Ok(()) };
        let lines = Arc::clone(&left);
        let taken = self.0.state.write_large(move |tx| {
            let mut taken = 0_u64;
            for line in lines.take(tx)? {
                match serde_json::from_slice::<Intent<B>>(line) {
                    Ok(mut intent) => intent.put(tx)?,
                    Err(error) => {
                        tracing::warn!(%error, "a line that a killed host left is no record");
                        continue;
                    }
                }
                taken += 1;
            }
            Ok(taken)
        });
        let taken = taken.await?;
        // What is known from a line alone may have survived a power cut. It must not be lost by the next one, for having been taken up.
        self.0.state.sync().await?;
        left.remove();
        if taken > 0 {
            self.counted();
            tracing::warn!(records = taken, "a host was killed before they were in the audit's chain: they are now");
        }
        Ok(())
    }

    /// Tells that a record was queued, or appended by [`append`] in a transaction of somebody else's. Not before: a seal in
    /// between would count it as signed, and leave it unsigned until another one comes.
    pub(crate) fn counted(&self) {
        self.0.unsealed.fetch_add(1, Ordering::Relaxed);
    }

    /// Signs the newest record where there is one that is not signed, and removes what is too old.
    ///
    /// A head beside the state that this chain does not lead up to is evidence, and stays as it is until the operator removes
    /// it: otherwise a cut or an older state would show only until the next signature.
    pub async fn seal(&self) -> Result<(), StateError> {
        // One after the other: an older head must not be written over a newer one.
        let _turn = self.0.sealing.acquire().await;
        let unsealed = self.0.unsealed.load(Ordering::Relaxed);
        if unsealed == 0 {
            return Ok(());
        }
        self.seal_now().await?;
        // Only now: what could not be signed is signed the next time, whether or not anything new comes.
        self.0.unsealed.fetch_sub(unsealed, Ordering::Relaxed);
        Ok(())
    }

    async fn seal_now(&self) -> Result<(), StateError> {
        let inner = Arc::clone(&self.0);
        let sealed = self
            .0
            .state
            .write(move |tx| {
                store::prune(tx, &inner.key, KEPT_RECORDS)?;
                let Some((seq, hash)) = store::last(tx)? else { return Ok(None) };
                let mark = Mark::sign(&inner.key, "head", seq, hash);
                store::put_mark(tx, "head", &mark)?;
                let known = Mark::load(&inner.file).map_or(Ok(true), |beside| {
                    Ok::<_, rusqlite::Error>(beside.verifies(&inner.key, "head") && store::has(tx, &beside)?)
                })?;
                Ok(Some((mark, known)))
            })
            .await?;
        let Some((mark, known)) = sealed else { return Ok(()) };
        if !known {
            if !self.0.warned.swap(true, Ordering::Relaxed) {
                let file = self.0.file.display();
                tracing::error!(%file, "the audit does not lead up to its signed head: see `ringfence audit verify`");
            }
            return Ok(());
        }
        // First the records: a head that survives a power cut which they do not would look like an older state.
        self.0.state.sync().await?;
        mark.save(&self.0.file)
    }

    /// The newest records that fit, oldest first.
    pub async fn list(&self, filter: Filter, limit: u32) -> Result<Vec<Record>, StateError> {
        self.caught_up().await;
        self.0.state.read(move |db| store::newest(db, &filter, limit)).await
    }

    /// Records that fit from the oldest on, at most `limit`: for exports, page by page with `filter.after`.
    pub async fn page(&self, filter: Filter, limit: u32) -> Result<Vec<Record>, StateError> {
        self.caught_up().await;
        self.0.state.read(move |db| store::oldest(db, &filter, limit)).await
    }

    /// What a skill has used and what it was refused.
    pub async fn used(&self, skill: &str) -> Result<Vec<Used>, StateError> {
        let skill = skill.to_owned();
        self.caught_up().await;
        self.0.state.read(move |db| store::used(db, &skill)).await
    }

    /// What is on record is in the chain then, if it can be written at all.
    async fn caught_up(&self) {
        if let Err(error) = self.0.state.flush().await {
            tracing::debug!(%error, "the audit is shown as far as it is written");
        }
    }

    /// Reads the whole chain and says whether it holds.
    pub async fn verify(&self) -> Result<Verified, StateError> {
        self.0.state.flush().await?;
        let inner = Arc::clone(&self.0);
        self.0.state.read(move |db| verify::verify(db, &inner.key, &inner.file)).await
    }

    /// The public key of the signatures, in hexadecimal digits.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.0.key.public_hex()
    }
}
