//! Pieces of work for the connection that writes.

use std::sync::Arc;

use rusqlite::Transaction;
use tokio::sync::oneshot;

use super::StateError;
use super::ahead::Ahead;

/// One piece of work. What an earlier run of it did has been undone when it runs again.
pub(super) trait Job: Send {
    fn run(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()>;
    /// Told once, when the transaction is committed or will never be.
    fn done(self: Box<Self>, outcome: Result<(), StateError>);
    /// Nobody waits for a post, and it may wait for room on the disk.
    fn is_post(&self) -> bool;
}

/// Jobs in the order in which they were given.
pub(super) type Jobs = Vec<Box<dyn Job>>;

/// What gives a value to somebody who waits for it.
pub(super) struct Write<F, T> {
    act: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StateError>>,
}

impl<F, T> Write<F, T> {
    pub(super) fn new(act: F, reply: oneshot::Sender<Result<T, StateError>>) -> Self {
        Self { act, value: None, reply }
    }
}

impl<T: Send, F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send> Job for Write<F, T> {
    fn run(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        self.value = None;
        self.value = Some((self.act)(tx)?);
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<(), StateError>) {
        let result = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), _) => Err(error),
            // The reply is dropped: the caller learns that the state is closed.
            (Ok(()), None) => return,
        };
        let _ = self.reply.send(result);
    }

    fn is_post(&self) -> bool {
        false
    }
}

pub(super) struct Post<F>(pub(super) F);

impl<F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send> Job for Post<F> {
    fn run(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        (self.0)(tx)
    }

    fn done(self: Box<Self>, outcome: Result<(), StateError>) {
        if let Err(error) = outcome {
            tracing::error!(%error, "a record was lost");
        }
    }

    fn is_post(&self) -> bool {
        true
    }
}

/// A post that is on record already, as the line of this number.
pub(super) struct Noted<F> {
    pub(super) act: F,
    pub(super) ahead: Arc<Ahead>,
    pub(super) number: u64,
}

impl<F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send> Job for Noted<F> {
    fn run(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        (self.act)(tx)?;
        self.ahead.mark(tx, self.number)
    }

    fn done(self: Box<Self>, outcome: Result<(), StateError>) {
        self.ahead.done(self.number, outcome.is_ok());
        if let Err(error) = outcome {
            tracing::error!(%error, "a record was lost");
        }
    }

    fn is_post(&self) -> bool {
        true
    }
}
