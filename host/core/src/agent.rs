//! Agents: a model that works with tools of skills, in a loop that the host runs.
//!
//! An agent is a few lines of configuration. Its model calls go through the same router, permits, budget and audit as a skill's, and
//! each tool that its model calls is an invocation like any other: by the caller `model`, with the rights of the skill and no others,
//! inside of the one budget of the run. What a tool returns stays data.
//!
//! Deliberately absent: grants (what a model asks for can allow nothing), a screen, a conversation that only this process knows.

mod ask;
mod envelope;
mod error;
mod event;
mod record;
mod settings;
mod steps;
mod tools;
mod transcript;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::budget::{Amount, Limits};
use crate::capability::model::types::{Message, Role, StopReason};
use crate::error::Error;
use crate::host::Host;
use crate::invocation::Caller;
use crate::person::Person;

pub use error::AgentError;
pub use event::AgentEvent;
pub(crate) use settings::check;
pub use settings::{AgentSettings, DEFAULT_AGENT};
pub(crate) use transcript::Shelf;
pub use transcript::{Summary, Transcript};

/// One agent, as it is configured now.
#[derive(Clone)]
pub struct Agent {
    host: Host,
    name: String,
    settings: AgentSettings,
}

/// What a run of an agent has around it.
#[derive(Debug, Default)]
pub struct Turn {
    /// Who began it: a person or a program. The rules for that caller hold for all that the model does.
    pub caller: Caller,
    /// Where what happens is told. A reader that has gone is no error.
    pub events: Option<mpsc::Sender<AgentEvent>>,
    /// Ends the run: what is under way settles, and the transcript stays one that can be resumed.
    pub cancel: CancellationToken,
    /// Who can be asked where a rule says so. None where nobody is there.
    pub person: Option<Arc<dyn Person>>,
    /// BCP 47.
    pub locale: Option<String>,
    /// Lowers the agent's own limits for this run. It raises none.
    pub at_most: Limits,
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// The run's name in the journal and in the audit.
    pub run: String,
    /// What the model said at last. A model's words: whoever shows them to a terminal makes them safe.
    pub text: String,
    /// `end`, or why the answer is not whole: `max-tokens`, `refused`.
    pub stop_reason: StopReason,
    /// The model that answered last, as `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model calls of the agent itself.
    pub steps: u32,
    /// Of the agent and of all tools that it called.
    pub usage: Amount,
}

impl Agent {
    pub(crate) fn new(host: Host, name: String, settings: AgentSettings) -> Self {
        Self { host, name, settings }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn settings(&self) -> &AgentSettings {
        &self.settings
    }

    /// What grants, budgets, records and the day's account are kept under.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("agent:{}", self.name)
    }

    /// The tools that its model can call now, by their flat names; and the skills that are left out because what they need was not
    /// granted, where the agent takes all skills.
    pub async fn tools(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        let tools = tools::Tools::of(self).await?;
        Ok((tools.names().map(str::to_owned).collect(), tools.left_out))
    }

    /// Answers `message`, with as many model calls and tools as it takes and its limits allow.
    ///
    /// The transcript grows by what was said and done, and is saved after each step, unless it is a passing one. It can be resumed
    /// however this ends, also where it ends with an error: `too-many-steps`, `budget-exhausted`, `timeout`, `cancelled`, or what the
    /// model's provider failed with.
    pub async fn run(&self, transcript: &mut Transcript, message: &str, turn: Turn) -> Result<Answer, Error> {
        self.answer(transcript, Message::text(Role::User, message), turn).await
    }

    /// As [`run`](Self::run), for a message that may have pictures. Whatever its role is, it is the person's.
    pub async fn answer(&self, transcript: &mut Transcript, message: Message, turn: Turn) -> Result<Answer, Error> {
        // Boxed: the walk of a call is a large future, and there may be several in it.
        Box::pin(steps::run(self, transcript, message, turn)).await
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("name", &self.name).field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
