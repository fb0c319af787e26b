//! What became of an act, for the audit.

use std::sync::Arc;

use tracing::Span;

use crate::budget::Amount;
use crate::error::{Explain as _, Refusal};
use crate::journal::audit::{Audit, Entry, Event};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::trace;

/// Where the outcome of one act is told. Cheap to clone; when the last clone goes untold, the outcome is `unknown`: the act may
/// have happened.
#[derive(Clone, Debug)]
pub struct Receipt(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    audit: Audit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The record as it was for the intent. None once the outcome is told.
    entry: Option<Entry>,
    used: Amount,
    /// Whether the act may have happened.
    begun: bool,
    /// What those who trace it see it by, until its outcome is told.
    span: Span,
}

impl Receipt {
    /// A receipt for an act whose intent is about to be written.
    pub(super) fn new(audit: Audit, intent: Entry) -> Self {
        let state =
            Mutex::new(State { entry: Some(intent), used: Amount::default(), begun: false, span: Span::none() });
        Self(Some(Arc::new(Open { audit, state })))
    }

    /// A receipt for an act of which nothing is recorded: there were too many in its invocation.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// The intent is written, and the act may begin.
    pub(super) fn begun(&self, span: Span) {
        if let Some(open) = &self.0 {
            let mut state = open.state();
            (state.begun, state.span) = (true, span);
        }
    }

    /// What those who trace the act see it by. None where nobody listens, and after its end.
    pub(crate) fn span(&self) -> Span {
        self.0.as_ref().map_or_else(Span::none, |open| open.state().span.clone())
    }

    /// The intent could not be written, so there is nothing to tell.
    pub(super) fn discard(&self) {
        if let Some(open) = &self.0 {
            open.state().entry = None;
        }
    }

    /// Notes what was used.
    pub(super) fn used(&self, used: Amount) {
        if let Some(open) = &self.0 {
            open.state().used = used;
        }
    }

    /// Tells how the act ended. Only the first word counts.
    pub fn ended<T>(&self, result: &Result<T, Refusal>) {
        match result {
            Ok(_) => self.close("ok", String::new()),
            Err(refusal) => self.close(refusal.kind(), refusal.to_string()),
        }
    }

    /// Tells how the act ended in words of the capability's own: `ok` or the kind of an error, and a few words more. Never
    /// content, never a secret.
    pub fn close(&self, kind: &'static str, detail: String) {
        if let Some(open) = &self.0 {
            open.close(kind, detail);
        }
    }
}

impl Open {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, kind: &'static str, mut detail: String) {
        let mut state = self.state();
        let (Some(entry), used) = (state.entry.take(), state.used) else { return };
        let span = std::mem::replace(&mut state.span, Span::none());
        drop(state);
        trace::used(&span, &used);
        trace::ended(&span, kind);
        drop(span);
        let spent = [
            (used.input_tokens, "input-tokens"),
            (used.output_tokens, "output-tokens"),
            (used.micro_dollars, "micro-dollars"),
        ];
        for (amount, unit) in spent.into_iter().filter(|(amount, _)| *amount > 0) {
            use std::fmt::Write as _;
            let gap = if detail.is_empty() { "" } else { " " };
            let _ = write!(detail, "{gap}{unit}={amount}");
        }
        self.audit.note(Entry { event: Event::Outcome, kind, detail, ..entry });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.state().begun {
            self.close("unknown", "the host did not learn what came of it; it may have happened".into());
        } else {
            self.close("cancelled", "it was given up before it began".into());
        }
    }
}
