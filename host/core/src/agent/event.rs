//! What a face sees while an agent works.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::person::{Person, Question};

/// One thing that happened. Texts are a model's or a skill's words: whoever shows them to a terminal makes them safe.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
#[non_exhaustive]
pub enum AgentEvent {
    /// More of what the model says.
    Text { text: String },
    /// More of what the model thinks.
    Thinking { text: String },
    /// The model calls a tool. `input` is JSON text, as the model wrote it.
    ToolStarted { id: String, name: String, input: String },
    /// The call has ended: `ok`, or the kind of the error. `text` is what the tool returned or why not, cut as the model sees it.
    ToolFinished { id: String, name: String, kind: String, text: String, ms: u64 },
    /// A person is asked whether something may happen.
    ApprovalAsked { skill: String, capability: &'static str, subject: String },
    /// What the person said.
    ApprovalAnswered { skill: String, capability: &'static str, allowed: bool },
}

/// Where events go. Nobody may listen.
#[derive(Clone, Debug)]
pub(super) struct Told {
    events: Option<mpsc::Sender<AgentEvent>>,
    cancel: CancellationToken,
}

impl Told {
    pub(super) fn new(events: Option<mpsc::Sender<AgentEvent>>, cancel: CancellationToken) -> Self {
        Self { events, cancel }
    }

    /// Waits for a reader that is slow, and for none that has gone.
    pub(super) async fn tell(&self, event: AgentEvent) {
        let Some(events) = &self.events else { return };
        tokio::select! {
            biased;
            sent = events.send(event) => drop(sent),
            () = self.cancel.cancelled() => {}
        }
    }

    /// The same person, whose approvals are told.
    pub(super) fn watch(&self, person: Arc<dyn Person>) -> Arc<dyn Person> {
        Arc::new(Watched { person, told: self.clone() })
    }
}

#[derive(Debug)]
struct Watched {
    person: Arc<dyn Person>,
    told: Told,
}

impl Person for Watched {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        let Question::Approve(approval) = &question else { return self.person.ask(question) };
        let (skill, capability, subject) = (approval.skill.clone(), approval.capability, approval.subject.clone());
        Box::pin(async move {
            self.told.tell(AgentEvent::ApprovalAsked { skill: skill.clone(), capability, subject }).await;
            let answer = self.person.ask(question).await;
            let allowed = answer == Some(Value::Bool(true));
            self.told.tell(AgentEvent::ApprovalAnswered { skill, capability, allowed }).await;
            answer
        })
    }

    fn word(&self) -> &'static str {
        self.person.word()
    }
}
