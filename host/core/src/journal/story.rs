//! One run as it went: what it did and called, when, and what came of each. Made of the journal and the audit, for people who ask
//! where the time and the money went.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;

use super::audit::{self, Audit, Event, Filter};
use super::{Journal, Record, Wanted};
use crate::state::StateError;

/// Acts of one run that are told. Skills cannot cause more records than a thousand at will, but for what others can notice.
const MOST_ACTS: u32 = 10_000;
/// Runs below one that are told.
const MOST_CALLS: u32 = 256;
/// How deep runs nest at most, with room: an audit of another version is no reason to go on for ever.
const DEEPEST: usize = 16;

/// A run with its acts, in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Story {
    pub run: Record,
    pub acts: Vec<Act>,
    /// Runs that it called, and of which no act of its own is on record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Story>,
}

/// Something that a skill did, or was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Act {
    pub capability: String,
    /// May hold what a skill says: whoever shows it escapes it.
    pub subject: String,
    /// Microseconds since 1970-01-01 UTC.
    pub started_us: i64,
    /// None where no end is on record.
    pub ended_us: Option<i64>,
    /// `ok`, the kind of an error, or `unfinished`.
    pub kind: String,
    /// What was used, or why it failed.
    pub detail: String,
    /// The run that it was, where another skill was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<Story>>,
}

/// Tells a run and those that it called. None where there is none of this identifier.
pub async fn story(journal: &Journal, audit: &Audit, invocation: &str) -> Result<Option<Story>, StateError> {
    match journal.run(invocation).await? {
        Some(run) => Ok(Some(told(journal, audit, run, 0).await?)),
        None => Ok(None),
    }
}

fn told<'a>(
    journal: &'a Journal,
    audit: &'a Audit,
    run: Record,
    depth: usize,
) -> BoxFuture<'a, Result<Story, StateError>> {
    async move {
        let filter = Filter { invocation: Some(run.invocation.clone()), ..Filter::default() };
        let mut acts = acts(audit.page(filter, MOST_ACTS).await?);
        let mut calls = Vec::new();
        if depth < DEEPEST {
            let below = Wanted { parent: Some(run.invocation.clone()), ..Wanted::default() };
            let mut runs = journal.select(below, MOST_CALLS).await?;
            runs.sort_by_key(|run| run.started);
            for run in runs {
                let call = told(journal, audit, run, depth + 1).await?;
                if let Some(call) = place(&mut acts, call) {
                    calls.push(call);
                }
            }
        }
        Ok(Story { run, acts, calls })
    }
    .boxed()
}

/// Puts a run into the act by which it was called, and gives it back where there is none.
fn place(acts: &mut [Act], call: Story) -> Option<Story> {
    let subject = format!("tools {}/{}", call.run.skill, call.run.tool);
    let started = call.run.started.as_microsecond();
    let is_its = |act: &&mut Act| act.call.is_none() && act.subject == subject && act.started_us <= started;
    match acts.iter_mut().find(is_its) {
        Some(act) => act.call = Some(Box::new(call)),
        None => return Some(call),
    }
    None
}

/// Intents with their outcomes, and refusals.
fn acts(records: Vec<audit::Record>) -> Vec<Act> {
    let mut outcomes: HashMap<u64, audit::Record> = HashMap::new();
    let mut begun = Vec::new();
    for record in records {
        match record.event {
            Event::Outcome => drop(outcomes.insert(record.act, record)),
            Event::Intent | Event::Denied => begun.push(record),
            Event::Run | Event::Admin => {}
        }
    }
    let mut acts: Vec<(u64, Act)> = begun
        .into_iter()
        .map(|record| {
            let outcome = if record.event == Event::Intent { outcomes.remove(&record.act) } else { None };
            let (ended_us, kind, detail) = match (record.event, outcome) {
                (_, Some(outcome)) => (Some(outcome.at_us), outcome.kind, outcome.detail),
                (Event::Denied, None) => (Some(record.at_us), record.kind, record.detail),
                (_, None) => (None, "unfinished".to_owned(), String::new()),
            };
            let (capability, subject, started_us) = (record.capability, record.subject, record.at_us);
            (record.act, Act { capability, subject, started_us, ended_us, kind, detail, call: None })
        })
        .collect();
    acts.sort_by_key(|(number, act)| (act.started_us, *number));
    acts.into_iter().map(|(_, act)| act).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(event: Event, act: u64, at_us: i64, subject: &str, kind: &str) -> audit::Record {
        audit::Record {
            seq: act,
            at_us,
            event,
            invocation: "1".into(),
            act,
            skill: "a".into(),
            caller: "user".into(),
            capability: "model".into(),
            subject: subject.into(),
            kind: kind.into(),
            detail: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn intents_find_their_outcomes_and_refusals_stand_alone() {
        let told = acts(vec![
            record(Event::Intent, 2, 20, "model b", ""),
            record(Event::Intent, 1, 10, "model a", ""),
            record(Event::Outcome, 1, 50, "model a", "timed-out"),
            record(Event::Denied, 3, 30, "model c", "denied"),
            record(Event::Run, 0, 60, "x", "ok"),
        ]);
        let said: Vec<_> = told.iter().map(|act| (act.subject.as_str(), act.ended_us, act.kind.as_str())).collect();
        let wanted =
            [("model a", Some(50), "timed-out"), ("model b", None, "unfinished"), ("model c", Some(30), "denied")];
        assert_eq!(said, wanted);
    }
}
