//! The connection that writes, and how a group of jobs becomes a transaction.
//!
//! Nearly always everything in a group works, so a group is first run as it stands. Where anything fails, what it did is
//! undone and the group is run again with a savepoint for each job, so that each fails alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StateError;
use super::ahead::Ahead;
use super::job::{Job, Jobs};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Most posts that wait while the disk is full. The oldest go first; each that goes is counted in the log.
const MAX_WAITING: usize = 100_000;
/// Pages of the write-ahead log above which it is carried over into the file: 4 MiB.
const LONG_LOG: usize = 1_000;
/// How long the thread that writes waits for another program that holds the file. Others do not wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who holds it may write.
pub(super) struct Desk {
    db: Connection,
    path: PathBuf,
    /// Posts that did not fit on the disk, in order.
    waiting: Jobs,
    /// Pages in the write-ahead log.
    log: Arc<AtomicUsize>,
    /// Pages that could not be carried over the last time, since somebody read them.
    kept: usize,
}

impl Desk {
    pub(super) fn new(mut db: Connection, path: PathBuf) -> Result<Self, StateError> {
        let log = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&log);
        // In the place of SQLite's own hook, which would sync the disk in the middle of whatever write comes along.
        db.wal_hook(Some(move |_: &mut _, pages| {
            told.store(usize::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
        .and_then(|()| db.busy_timeout(Duration::ZERO))
        .map_err(|error| StateError::sqlite(&path, &error))?;
        Ok(Self { db, path, waiting: Vec::new(), log, kept: 0 })
    }

    /// Whether there is nothing here that only the thread that writes may do.
    pub(super) fn is_clear(&self) -> bool {
        self.waiting.is_empty() && !self.log_is_long()
    }

    /// Whether posts wait for room on the disk.
    pub(super) fn is_stuck(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Commits all of `jobs`, or does nothing. Waits for nobody, and syncs nothing unless durability asks for it.
    pub(super) fn try_commit(&mut self, jobs: &mut [Box<dyn Job>]) -> bool {
        let Ok(tx) = self.db.transaction_with_behavior(TransactionBehavior::Immediate) else { return false };
        // A transaction that is not committed is rolled back where it is dropped. SQLite may have done so itself, and a job
        // after that would not be in any.
        let fine = |job: &mut Box<dyn Job>| {
            matches!(catch_unwind(AssertUnwindSafe(|| job.run(&tx))), Ok(Ok(()))) && !tx.is_autocommit()
        };
        jobs.iter_mut().all(fine) && tx.commit().is_ok()
    }

    /// Commits all of `jobs`, after what waits since the disk was full, and tells each how it went. Gives what keeps posts
    /// from being written, if anything does. May take seconds.
    pub(super) fn commit(&mut self, mut jobs: Jobs) -> Option<StateError> {
        if jobs.is_empty() && self.waiting.is_empty() {
            return None;
        }
        // Where this fails the first transaction says so.
        let _ = self.db.busy_timeout(PATIENCE);
        let trouble = if self.waiting.is_empty() && self.try_commit(&mut jobs) {
            jobs.into_iter().for_each(|job| job.done(Ok(())));
            None
        } else {
            self.commit_each(jobs)
        };
        let _ = self.db.busy_timeout(Duration::ZERO);
        trouble
    }

    fn commit_each(&mut self, jobs: Jobs) -> Option<StateError> {
        let mut left: VecDeque<_> = std::mem::take(&mut self.waiting).into();
        left.extend(jobs);
        let mut trouble = None;
        while !left.is_empty() {
            let (ran, outcome) = transact(&mut self.db, &self.path, &mut left, trouble.is_some());
            for (job, result) in ran {
                let result = result.and_then(|()| outcome.clone());
                match result {
                    Err(error) if error.passes() && job.is_post() => {
                        self.waiting.push(job);
                        trouble = Some(error);
                    }
                    result => job.done(result),
                }
            }
        }
        if let Some(error) = &trouble {
            let lost = self.waiting.len().saturating_sub(MAX_WAITING);
            tracing::warn!(%error, waiting = self.waiting.len(), lost, "records wait to be written");
            self.waiting.drain(..lost);
        }
        trouble
    }

    fn log_is_long(&self) -> bool {
        let log = self.log.load(Ordering::Relaxed);
        log >= LONG_LOG && !(self.kept..self.kept + LONG_LOG).contains(&log)
    }

    /// Carries a long log over into the file and begins it anew. Syncs the disk, several times. A log that a reader still
    /// reads stays as it is, and is looked at again when it has grown as much once more.
    pub(super) fn shorten_log(&mut self) {
        if !self.log_is_long() {
            return;
        }
        let begun =
            self.db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, bool>(0)).and_then(|held| {
                if held {
                    return Ok(false);
                }
                // The first write of a log syncs its head. It is made here, so that nobody else has to.
                let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0))?;
                self.db.pragma_update(None, "user_version", version).map(|()| true)
            });
        if let Err(error) = &begun {
            tracing::warn!(%error, "the state's log could not be carried over");
        }
        self.kept = if matches!(begun, Ok(true)) { 0 } else { self.log.load(Ordering::Relaxed) };
    }

    /// The last thing before the file is closed.
    pub(super) fn close(&mut self, ahead: &Ahead) {
        for job in self.waiting.drain(..) {
            job.done(Err(StateError::Closed { path: self.path.clone() }));
        }
        ahead.close(&self.db);
        if let Err(error) = self.db.execute_batch("PRAGMA optimize") {
            tracing::debug!(%error, "the state could not be optimised");
        }
    }
}

type Ran = Vec<(Box<dyn Job>, Result<(), StateError>)>;

/// One transaction over as many of `left` as it survives. A full disk can end a transaction in its middle: then what ran in
/// it has failed, and the rest is left for another.
fn transact(
    db: &mut Connection,
    path: &Path,
    left: &mut VecDeque<Box<dyn Job>>,
    mut blocked: bool,
) -> (Ran, Result<(), StateError>) {
    let mut ran = Ran::new();
    let tx = match db.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        Err(error) => {
            let error = StateError::sqlite(path, &error);
            ran.extend(left.drain(..).map(|job| (job, Ok(()))));
            return (ran, Err(error));
        }
    };
    while let Some(mut job) = left.pop_front() {
        // Posts keep their order: when one has to wait, so do those behind it. Writes do not wait for them.
        let result = if blocked && job.is_post() {
            Err(StateError::Full { path: path.to_owned() })
        } else {
            run(&tx, path, job.as_mut())
        };
        blocked |= job.is_post() && result.as_ref().is_err_and(StateError::passes);
        let dead = tx.is_autocommit();
        let fatal = result.clone().err();
        ran.push((job, result));
        if dead {
            let reason = fatal.unwrap_or(StateError::Failed {
                path: path.to_owned(),
                reason: "the transaction ended in its middle".into(),
            });
            return (ran, Err(reason));
        }
    }
    let outcome = tx.commit().map_err(|error| StateError::sqlite(path, &error));
    (ran, outcome)
}

/// One job in its own savepoint.
fn run(tx: &Transaction<'_>, path: &Path, job: &mut dyn Job) -> Result<(), StateError> {
    let sql = |text: &str| tx.prepare_cached(text).and_then(|mut statement| statement.execute([]));
    let sqlite = |error: rusqlite::Error| StateError::sqlite(path, &error);
    sql("SAVEPOINT job").map_err(sqlite)?;
    let result = match catch_unwind(AssertUnwindSafe(|| job.run(tx))) {
        Ok(result) => result.map_err(sqlite),
        Err(_) => Err(StateError::Failed { path: path.to_owned(), reason: "a write panicked".into() }),
    };
    if tx.is_autocommit() {
        // SQLite has rolled everything back already.
        return result.and(Err(StateError::Full { path: path.to_owned() }));
    }
    if result.is_err() {
        sql("ROLLBACK TO job").map_err(sqlite)?;
    }
    sql("RELEASE job").map_err(sqlite)?;
    result
}
