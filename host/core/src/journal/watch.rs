//! What runs now, on all hosts of a state, looked at again and again.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;

use super::audit::spent_since;
use super::{Journal, rfc3339, store};
use crate::budget::Amount;
use crate::state::{State, StateError};

/// How much later than its act a record may be on disk, in microseconds: the first look goes back no further than so long before the
/// oldest run that still runs. Only while the disk is full it takes longer.
const LATE_US: i64 = 60_000_000;
/// How deep runs nest at most, with room: a journal of another version is no reason to go on for ever.
const DEEPEST: usize = 16;

/// A run that has begun and not ended, of a host that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Running {
    pub invocation: String,
    pub skill: String,
    pub tool: String,
    /// `user`, `client`, `model` or `skill`.
    pub caller: String,
    /// The invocation that called this one. What this one uses is in that one's numbers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The process of its host, where that could write it down.
    pub process: Option<u32>,
    #[serde(serialize_with = "rfc3339")]
    pub started: Timestamp,
    /// Since then.
    pub wall_ms: u64,
    /// Of the requests to models that are over, its own and those of the runs that it called.
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub micro_dollars: u64,
}

/// A run as the journal has it.
pub(super) struct Begun {
    pub(super) session: String,
    pub(super) running: Running,
}

/// Looks at what runs. Remembers what it has read of the audit, so that each look after the first one reads only what is new.
#[derive(Debug)]
pub struct Watch {
    state: State,
    seen: Seen,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// The newest record of the audit that was read.
    until: Option<u64>,
    /// What runs that still run have used in acts of their own.
    used: HashMap<String, Amount>,
}

impl Watch {
    /// Watches the state that a journal is kept in.
    #[must_use]
    pub fn new(journal: &Journal) -> Self {
        Self { state: journal.0.state.clone(), seen: Seen::default() }
    }

    /// What runs now, the oldest first.
    pub async fn look(&mut self) -> Result<Vec<Running>, StateError> {
        let (state, seen) = (self.state.clone(), self.seen.clone());
        let (running, seen) = self.state.read(move |db| read(db, &state, seen)).await?;
        self.seen = seen;
        Ok(running)
    }
}

fn read(db: &Connection, state: &State, mut seen: Seen) -> rusqlite::Result<(Vec<Running>, Seen)> {
    // One view of both tables: a run that ends in between would be counted twice, or not at all.
    let view = db.unchecked_transaction()?;
    let begun = store::unfinished(&view)?;
    let oldest = begun.iter().map(|begun| begun.running.started.as_microsecond()).min();
    let since = oldest.unwrap_or(i64::MAX).saturating_sub(LATE_US);
    let newest = spent_since(&view, seen.until, since, |invocation, used| {
        let sum = seen.used.entry(invocation).or_default();
        *sum = sum.saturating_add(used);
    })?;
    seen.until = newest.or(seen.until);
    let called = store::ended_below(&view)?;
    drop(view);

    let mut processes = HashMap::new();
    let mut running: Vec<Running> = Vec::with_capacity(begun.len());
    for Begun { session, running: mut run } in begun {
        let process = processes.entry(session).or_insert_with_key(|session: &String| {
            let host = session.parse().ok().filter(|host| state.lives(*host))?;
            Some(state.process(host))
        });
        if let Some(process) = process {
            run.process = *process;
            running.push(run);
        }
    }
    seen.used.retain(|invocation, _| running.iter().any(|run| run.invocation == *invocation));
    add(&mut running, &seen.used, &called);
    Ok((running, seen))
}

/// Gives each run what it used itself, what the ended runs used that it called, and the same of those that it called and still run.
fn add(running: &mut [Running], own: &HashMap<String, Amount>, called: &HashMap<String, Amount>) {
    let places: HashMap<String, usize> =
        running.iter().enumerate().map(|(place, run)| (run.invocation.clone(), place)).collect();
    for place in 0..running.len() {
        let of = |sums: &HashMap<String, Amount>| sums.get(&running[place].invocation).copied().unwrap_or_default();
        let used = of(own).saturating_add(of(called));
        let mut above = Some(place);
        for _ in 0..DEEPEST {
            let Some(run) = above.and_then(|place| running.get_mut(place)) else { break };
            run.input_tokens = run.input_tokens.saturating_add(used.input_tokens);
            run.output_tokens = run.output_tokens.saturating_add(used.output_tokens);
            run.micro_dollars = run.micro_dollars.saturating_add(used.micro_dollars);
            above = run.parent.as_ref().and_then(|parent| places.get(parent)).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{Entry, Event, append};
    use super::super::{Ending, Open, Run};
    use super::*;
    use crate::state::testing::{killed, open, temporary};

    fn begin(journal: &Journal, invocation: &str, parent: Option<&str>) -> Open {
        journal.started(Run {
            invocation: invocation.into(),
            skill: "notes".into(),
            tool: "add".into(),
            digest: "sha256:00".into(),
            caller: "user",
            parent: parent.map(Into::into),
            at: Timestamp::now(),
        })
    }

    fn end(open: &Open, output_tokens: u64) {
        let usage = Amount { output_tokens, ..Amount::default() };
        let at = Timestamp::now();
        open.finished(Ending { kind: "ok", message: String::new(), usage, log_dropped: 0, at });
    }

    async fn asked(state: &State, invocation: &str, capability: &'static str, detail: &str) {
        let entry = Entry {
            event: Event::Outcome,
            invocation: invocation.into(),
            act: 1,
            skill: "notes".into(),
            caller: "user".into(),
            capability,
            subject: "model default".into(),
            kind: "ok",
            detail: detail.into(),
        };
        state.write(move |tx| append(tx, Timestamp::now(), &entry)).await.unwrap();
    }

    async fn told(watch: &mut Watch) -> Vec<(String, u64, u64)> {
        let running = watch.look().await.unwrap();
        running.into_iter().map(|run| (run.invocation, run.input_tokens, run.output_tokens)).collect()
    }

    fn row(invocation: &str, input: u64, output: u64) -> (String, u64, u64) {
        (invocation.to_owned(), input, output)
    }

    #[tokio::test]
    async fn what_runs_is_told_with_what_it_and_those_below_it_used_so_far() {
        let (_dir, state) = temporary();
        let journal = Journal::new(state.clone());
        let mut watch = Watch::new(&journal);
        assert!(watch.look().await.unwrap().is_empty());
        let (a, b, c) = (begin(&journal, "a", None), begin(&journal, "b", Some("a")), begin(&journal, "c", Some("b")));
        let other = begin(&journal, "other", None);
        asked(&state, "a", "model", "input-tokens=5 output-tokens=1").await;
        asked(&state, "c", "model", "a word=2 output-tokens=10 micro-dollars=7").await;
        asked(&state, "c", "http", "output-tokens=1000").await;
        let now = [row("a", 5, 11), row("b", 0, 10), row("c", 0, 10), row("other", 0, 0)];
        assert_eq!(told(&mut watch).await, now);
        assert_eq!(told(&mut watch).await, now, "nothing is counted twice");
        assert_eq!(told(&mut Watch::new(&journal)).await, now, "what looks for the first time sees what was before");
        let money: Vec<_> = watch.look().await.unwrap().iter().map(|run| run.micro_dollars).collect();
        assert_eq!(money, [7, 7, 7, 0]);

        end(&c, 10);
        end(&other, 0);
        state.flush().await.unwrap();
        assert_eq!(told(&mut watch).await, [row("a", 5, 11), row("b", 0, 10)], "what has ended counts above it");
        end(&b, 10);
        asked(&state, "a", "model", "input-tokens=1").await;
        assert_eq!(told(&mut watch).await, [row("a", 6, 11)]);
        end(&a, 11);
        state.flush().await.unwrap();
        assert!(watch.look().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_run_of_a_host_that_was_killed_is_not_running_and_a_living_hosts_process_is_told() {
        let (_dir, state) = temporary();
        let journal = Journal::new(state.clone());
        let _open = begin(&journal, "a", None);
        state.flush().await.unwrap();
        let dir = state.path().parent().unwrap().to_owned();
        for journal in [journal.clone(), Journal::new(State::open_to_read(&dir).unwrap().unwrap())] {
            let running = Watch::new(&journal).look().await.unwrap();
            assert_eq!(running.iter().map(|run| run.process).collect::<Vec<_>>(), [Some(std::process::id())]);
        }
        let copy = killed(&state);
        let after = Journal::new(open(copy.path()));
        assert!(Watch::new(&after).look().await.unwrap().is_empty());
    }
}
