//! Asking the person behind a call whether something may happen, once.

use std::time::Duration;

use super::Ask;
use super::session::Session;
use crate::person::{Approval, Question};

/// How long a question about one act stands.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why an act that was asked about does not happen.
pub(super) enum Refused {
    /// Nobody is there who could be asked.
    Nobody,
    /// The person said no, or nothing.
    No,
}

/// Asks, for this act alone. Gives the word for who allowed it.
pub(super) async fn ask<A: Ask>(session: &Session, ask: &A, reason: &str) -> Result<&'static str, Refused> {
    let person = session.person().ok_or(Refused::Nobody)?;
    let question = Question::Approve(Approval {
        skill: session.skill().to_owned(),
        caller: session.callers().to_owned(),
        capability: A::CAPABILITY,
        subject: ask.subject(),
        arguments: ask.arguments(),
        reason: reason.to_owned(),
    });
    let until = session.deadline().min(tokio::time::Instant::now() + PATIENCE);
    let answer = tokio::select! {
        () = session.cancelled() => None,
        answer = tokio::time::timeout_at(until, person.ask(question)) => answer.ok().flatten(),
    };
    if answer == Some(serde_json::Value::Bool(true)) { Ok(person.word()) } else { Err(Refused::No) }
}
