//! What is written down of an invocation: that it began, how it ended, and what it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::family::Family;
use super::{InvokeError, Outer};
use crate::broker::Session;
use crate::budget::Amount;
use crate::error::Error;
use crate::host::Shared;
use crate::journal::audit::{self, Entry};
use crate::journal::{self, Ending};
use crate::trace::{self, Took};

/// An invocation that is on record. Whatever becomes of it is recorded once: a caller that drops it before its end has
/// cancelled it.
pub(super) struct Begun<'a> {
    host: &'a Shared,
    here: Arc<Outer>,
    tool: &'a Arc<str>,
    open: journal::Open,
    started: Instant,
    is_told: bool,
}

impl<'a> Begun<'a> {
    pub(super) fn new(
        host: &'a Shared,
        here: &Arc<Outer>,
        tool: &'a Arc<str>,
        open: journal::Open,
        started: Instant,
    ) -> Self {
        Self { host, here: Arc::clone(here), tool, open, started, is_told: false }
    }

    /// Records how it ended, and gives what it used.
    pub(super) fn ended<T>(mut self, result: &Result<T, Error>, took: &Took) -> Amount {
        self.tell(result, Some(took))
    }

    fn tell<T>(&mut self, result: &Result<T, Error>, took: Option<&Took>) -> Amount {
        self.is_told = true;
        let Outer { session, sink, family, .. } = &*self.here;
        let ledger = session.ledger();
        ledger.close(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let usage = ledger.spent();
        let kind = result.as_ref().map_or_else(Error::kind, |_| "ok");
        match took {
            Some(took) => trace::finished(session.span(), &usage, took),
            None => trace::spent(session.span(), &usage),
        }
        trace::ended(session.span(), kind);
        let ending = ending(result, usage, sink.dropped().lines);
        self.host.sessions.audit.note_at(ending.at, ran(session, self.tool, family, result));
        self.open.finished(ending);
        self.host.tell_ended(|| RunEnded {
            skill: session.skill().to_owned(),
            tool: self.tool.as_ref().to_owned(),
            caller: session.chain().last().copied().unwrap_or_default(),
            kind,
            usage,
            took: self.started.elapsed(),
        });
        usage
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell::<()>(&Err(InvokeError::Cancelled.into()), None);
        }
    }
}

/// A run that has ended, for whoever watches a host at work.
#[derive(Clone, Debug)]
pub struct RunEnded {
    /// What the skill is known by: its name where it is installed, or else its path.
    pub skill: String,
    /// The tool, as the skill calls it.
    pub tool: String,
    /// Who called it: `user`, `client`, `model` or `skill`.
    pub caller: &'static str,
    /// `ok`, or the kind of its error.
    pub kind: &'static str,
    /// What it and all that it called have used.
    pub usage: Amount,
    /// From the call until now, with the time in line.
    pub took: Duration,
}

/// What the journal is told of an end.
pub(crate) fn ending<T>(result: &Result<T, Error>, usage: Amount, log_dropped: u64) -> Ending {
    let kind = result.as_ref().map_or_else(Error::kind, |_| "ok");
    let message = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Ending { kind, message, usage, log_dropped, at: jiff::Timestamp::now() }
}

/// The record of an invocation that has ended.
fn ran<T>(session: &Session, tool: &Arc<str>, family: &Family, result: &Result<T, Error>) -> Entry {
    let mut detail = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    if let Some(parent) = session.upwards().nth(1) {
        detail = format!("parent={} root={} {detail}", parent.invocation(), family.root).trim_end().to_owned();
    }
    if session.unrecorded() > 0 {
        detail = format!("{detail} acts that are not on record: {}", session.unrecorded()).trim_start().to_owned();
    }
    let kind = result.as_ref().map_or_else(Error::kind, |_| "ok");
    Entry { kind, detail, ..session.entry(audit::Event::Run, 0, "", Arc::clone(tool)) }
}
