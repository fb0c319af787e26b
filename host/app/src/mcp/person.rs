//! The person behind a client, asked by elicitation: <https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation>.
//!
//! The client is somebody else's program. What it answers is checked like any answer; it can let one act happen that a rule has
//! approved each time, and it can neither grant anything nor have an answer kept for later calls.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ringfence_core::{Approval, Person, Question, plain};
use rmcp::Peer;
use rmcp::model::{
    ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RoleServer};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// The field of the answer, where the question is about one thing.
const ANSWER: &str = "answer";
/// What a question is called whose answer has no name.
const UNNAMED: &str = "question";
/// Most bytes of a message. What cannot be shown whole is not asked.
const MESSAGE: usize = 16 << 10;

/// Hands questions to whoever follows the call.
#[derive(Debug)]
pub(super) struct Client(mpsc::Sender<Asked>);

impl Client {
    pub(super) fn new(questions: mpsc::Sender<Asked>) -> Arc<Self> {
        Arc::new(Self(questions))
    }
}

impl Person for Client {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.0.send(Asked { question, reply }).await.ok()?;
            answer.await.ok().flatten()
        })
    }

    /// Whether it asked anybody, nobody here can know.
    fn word(&self) -> &'static str {
        "the client that called"
    }
}

/// A question that waits for its answer. Dropped, nobody answers it.
#[derive(Debug)]
pub(super) struct Asked {
    question: Question,
    reply: oneshot::Sender<Option<Value>>,
}

impl Asked {
    /// Whether a client can be asked this at all.
    pub(super) fn is_form(&self) -> bool {
        self.form().is_some()
    }

    /// What the question is called: as the skill calls the answer, or else one name for all.
    pub(super) fn name(&self) -> &str {
        match &self.question {
            Question::Skill { remember: Some(name), .. } => name,
            Question::Skill { .. } | Question::Approve(_) | Question::Keep { .. } => UNNAMED,
        }
    }

    /// The question as a client shows it.
    pub(super) fn form(&self) -> Option<ElicitRequest> {
        let (message, schema) = match &self.question {
            Question::Skill { skill, text, schema, .. } => {
                (format!("The skill `{}` asks (these are its words):{}", line(skill), quoted(text)), schema.clone())
            }
            Question::Approve(approval) => {
                (about(approval), json!({ "type": "boolean", "title": "Allow it, this once" }))
            }
            // What is kept answers later calls of others, too.
            Question::Keep { .. } => return None,
        };
        let schema = match is_object(&schema) {
            true => schema,
            false => json!({ "type": "object", "properties": { ANSWER: schema }, "required": [ANSWER] }),
        };
        let requested_schema: ElicitationSchema = serde_json::from_value(schema).ok()?;
        let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
        let fits =
            matches!(&params, ElicitRequestParams::FormElicitationParams { message, .. } if message.len() <= MESSAGE);
        fits.then(|| ElicitRequest::new(params))
    }

    /// Asks by a request of ours, and withdraws it when nobody waits for the answer any more.
    pub(super) async fn ask(mut self, peer: Peer<RoleServer>) {
        let Some(form) = self.form() else { return };
        let request = ServerRequest::ElicitRequest(form);
        let Ok(mut sent) = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await else {
            return;
        };
        tokio::select! {
            answer = &mut sent.rx => {
                if let Ok(Ok(ClientResult::ElicitResult(answer))) = answer {
                    self.given(answer);
                }
            }
            () = self.reply.closed() => drop(sent.cancel(Some("nobody waits for the answer any more".to_owned())).await),
        }
    }

    /// Takes an answer as it came. One that cannot be read is none.
    pub(super) fn answered(self, answer: &Value) {
        if let Ok(answer) = serde_json::from_value(answer.clone()) {
            self.given(answer);
        }
    }

    fn given(self, answer: ElicitResult) {
        let answer = match (answer.action, answer.content, &self.question) {
            (ElicitationAction::Accept, Some(mut content), question) => match question {
                Question::Skill { schema, .. } if is_object(schema) => Some(content),
                _ => content.get_mut(ANSWER).map(Value::take),
            },
            (ElicitationAction::Decline, _, Question::Approve(_)) => Some(Value::Bool(false)),
            _ => None,
        };
        // It may have been withdrawn meanwhile.
        drop(self.reply.send(answer));
    }
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

fn about(approval: &Approval) -> String {
    let Approval { skill, capability, subject, arguments, reason, .. } = approval;
    format!(
        "The skill `{}` wants to use `{}`:{}\nYou are asked because {}. This is exactly what it would do:{}",
        line(skill),
        line(capability),
        quoted(subject),
        line(reason),
        quoted(arguments)
    )
}

fn line(text: &str) -> String {
    plain::line(text, usize::MAX).0
}

/// A stranger's words, behind a bar at the start of each line, so that none of them can pass for ours.
fn quoted(text: &str) -> String {
    plain::block(text).lines().map(|line| format!("\n| {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: Question) -> (Asked, oneshot::Receiver<Option<Value>>) {
        let (reply, answer) = oneshot::channel();
        (Asked { question, reply }, answer)
    }

    fn skill(schema: Value) -> Question {
        Question::Skill { skill: "a".into(), text: "How\nmany?\u{1b}[1m".into(), schema, remember: None }
    }

    fn approve(arguments: &str) -> Question {
        Question::Approve(Approval {
            skill: "a".into(),
            caller: "client".into(),
            capability: "http",
            subject: "http POST https://a.example/".into(),
            arguments: arguments.into(),
            reason: "a rule says so".into(),
        })
    }

    fn keep() -> Question {
        Question::Keep { skill: "a".into(), name: "n".into(), answer: json!(1) }
    }

    #[test]
    fn one_field_is_asked_in_a_form_and_taken_out_of_it() {
        let (asked, mut answer) = asked(skill(json!({ "type": "integer", "minimum": 1 })));
        let form = serde_json::to_value(asked.form().unwrap()).unwrap();
        assert_eq!(form["method"], "elicitation/create");
        assert_eq!(form["params"]["requestedSchema"]["properties"]["answer"]["type"], "integer");
        let words = form["params"]["message"].as_str().unwrap();
        assert_eq!(words, "The skill `a` asks (these are its words):\n| How\n| many?\\u{1b}[1m");
        asked.answered(&json!({ "action": "accept", "content": { "answer": 3 } }));
        assert_eq!(answer.try_recv(), Ok(Some(json!(3))));
    }

    #[test]
    fn a_question_is_called_what_its_answer_is() {
        let named = Question::Skill {
            skill: "a".into(),
            text: "Who?".into(),
            schema: json!({ "type": "string" }),
            remember: Some("user_name".into()),
        };
        assert_eq!(asked(named).0.name(), "user_name");
        assert_eq!(asked(skill(json!({ "type": "string" }))).0.name(), "question");
        assert_eq!(asked(approve("x")).0.name(), "question");
    }

    #[test]
    fn a_form_is_asked_as_it_is() {
        let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
        let (asked, mut answer) = asked(skill(schema));
        let form = serde_json::to_value(asked.form().unwrap()).unwrap();
        assert_eq!(form["params"]["requestedSchema"]["required"], json!(["name"]));
        asked.answered(&json!({ "action": "accept", "content": { "name": "x" } }));
        assert_eq!(answer.try_recv(), Ok(Some(json!({ "name": "x" }))));
    }

    #[test]
    fn nothing_but_an_accepted_answer_is_one() {
        let of = |question: Question, answer: Value| {
            let (asked, mut given) = asked(question);
            asked.answered(&answer);
            given.try_recv().ok().flatten()
        };
        let yes = json!({ "action": "accept", "content": { "answer": true } });
        assert_eq!(of(approve("x"), yes.clone()), Some(json!(true)));
        assert_eq!(of(approve("x"), json!({ "action": "decline" })), Some(json!(false)));
        for none in [json!({ "action": "cancel" }), json!({ "action": "accept" }), json!("accept"), json!({})] {
            assert_eq!(of(approve("x"), none.clone()), None, "{none}");
            assert_eq!(of(skill(json!({ "type": "boolean" })), none.clone()), None, "{none}");
        }
    }

    #[test]
    fn what_cannot_be_shown_whole_and_what_would_last_is_not_asked() {
        assert!(asked(approve("x")).0.is_form());
        assert!(!asked(approve(&"x".repeat(MESSAGE))).0.is_form());
        assert!(!asked(keep()).0.is_form());
    }
}
