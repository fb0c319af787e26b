//! A run of an agent as policy, budgets and records know it.

use std::sync::Arc;
use std::time::Instant;

use super::tools::Tools;
use super::{Agent, Transcript, Turn};
use crate::broker::{Session, Setup};
use crate::budget::{Amount, Budgets, Limits};
use crate::capability::model::Grant;
use crate::error::Error;
use crate::host::Shared;
use crate::invocation::{Caller, InvocationId, RunEnded, ending};
use crate::journal;
use crate::journal::audit::{Entry, Event};
use crate::person::Person;
use crate::policy::Grants;
use crate::trace;

/// What a run is in the journal.
const WORK: &str = "run";

/// A run that is on record. Whatever becomes of it is recorded once: one that is dropped before its end was cancelled.
pub(super) struct Run {
    host: Arc<Shared>,
    /// What the agent itself asks for: model calls.
    pub(super) session: Session,
    /// What its model asks for: tools.
    pub(super) by_model: Session,
    pub(super) limits: Limits,
    /// Whether a budget of money holds.
    pub(super) money_limited: bool,
    /// Whether the tokens of answers are limited by whoever asks, below what is configured.
    pub(super) is_cut_by_caller: bool,
    open: journal::Open,
    started: Instant,
    is_told: bool,
}

impl Run {
    pub(super) fn begin(
        agent: &Agent,
        tools: &Tools,
        transcript: &Transcript,
        turn: &Turn,
        person: Option<Arc<dyn Person>>,
    ) -> Self {
        let host = Arc::clone(&agent.host.0);
        let (id, identity) = (InvocationId::timed().shared(), Arc::<str>::from(agent.identity()));
        let of_all = host.settings.load().budget;
        let configured = agent.settings.limits().over(of_all.invocation);
        let invocation = configured.within(turn.at_most);
        let is_cut_by_caller = invocation.output_tokens != configured.output_tokens;
        let budgets = Budgets { invocation, ..of_all };
        let started = Instant::now();
        let open = host.journal.started(journal::Run {
            invocation: id.clone(),
            skill: identity.clone(),
            tool: WORK.into(),
            // What ran is configuration, which has none.
            digest: "".into(),
            caller: turn.caller.as_str(),
            parent: None,
            at: jiff::Timestamp::now(),
        });
        // Whoever configured the agent has given it the model and the tools.
        let grants = Grants {
            model: Some(Grant { models: vec![agent.settings.model().to_owned()], ..Grant::default() }),
            tools: Some(tools.grant.clone()),
            ..Grants::default()
        };
        let session = Session::new(Setup {
            skill: identity.clone(),
            invocation: id.clone(),
            callers: vec![turn.caller.as_str()],
            grants: grants.into(),
            ledger: host.treasury.ledger(Arc::clone(&identity), Arc::clone(&id), &budgets),
            deadline: tokio::time::Instant::from_std(started) + agent.settings.time(),
            cancel: turn.cancel.clone(),
            taint: Arc::clone(transcript.taint()),
            person,
            above: None,
            entered: true,
            span: trace::agent(&identity, &id, turn.caller.as_str()),
            shared: Arc::clone(&host.sessions),
        });
        let by_model = session.by(Caller::Model.as_str());
        let (limits, money_limited) = (budgets.invocation, budgets.limits_money());
        Self { host, session, by_model, limits, money_limited, is_cut_by_caller, open, started, is_told: false }
    }

    /// Records how it ended, and gives what it took.
    pub(super) fn ended<T>(mut self, result: &Result<T, Error>) -> Amount {
        self.tell(result)
    }

    fn tell<T>(&mut self, result: &Result<T, Error>) -> Amount {
        self.is_told = true;
        let ledger = self.session.ledger();
        ledger.close(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let (usage, kind) = (ledger.spent(), result.as_ref().map_or_else(Error::kind, |_| "ok"));
        trace::spent(self.session.span(), &usage);
        trace::ended(self.session.span(), kind);
        self.host.sessions.audit.note(Entry {
            kind,
            detail: format!("tainted={}", self.session.taint().so_far().words()),
            ..self.session.entry(Event::Run, 0, "", WORK.into())
        });
        self.open.finished(ending(result, usage, 0));
        self.host.tell_ended(|| RunEnded {
            skill: self.session.skill().to_owned(),
            tool: WORK.to_owned(),
            caller: self.session.chain().last().copied().unwrap_or_default(),
            kind,
            usage,
            took: self.started.elapsed(),
        });
        usage
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell::<()>(&Err(crate::error::Refusal::Cancelled.into()));
        }
    }
}
