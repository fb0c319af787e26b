//! `ringfence:skill/user`: decode, ask, encode.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::time::Instant;
use wasmtime::component::{HasData, Linker};

use super::{Answers, Ask, MOST_QUESTIONS};
use crate::broker::Session;
use crate::capability::words;
use crate::error::{Excess, Explain as _, Refusal};
use crate::person::{Person, Question};
use crate::schema::{self, Validator};
use bindings::ringfence::skill::user as wit;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:user-words;
            world words { import ringfence:skill/user@0.1.0; }
        ",
        imports: { default: async | trappable },
        with: { "ringfence:skill/types@0.1.0": crate::capability::words::types },
    });
}

/// How often a face may give an answer that does not fit.
const ATTEMPTS: u32 = 3;
/// Most bytes of an answer, as compact JSON.
const MAX_ANSWER: usize = 64 << 10;

/// Questions so far, of an invocation and all that it calls. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Asked(Arc<AtomicU32>);

/// What `user` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub answers: &'a Answers,
    pub asked: &'a Asked,
}

struct User;

impl HasData for User {
    type Data<'a> = View<'a>;
}

/// Offers `user` to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, User>(linker, get)
}

impl View<'_> {
    pub(super) async fn ask(&self, question: wit::Question) -> Result<String, Refusal> {
        let wit::Question { text, schema, timeout_ms, remember } = question;
        let ask = Ask::new(text, schema.as_deref(), timeout_ms, remember)?;
        let permit = self.session.permit(ask.clone()).await?;
        let receipt = permit.receipt();
        let answered = self.answer(&ask).await;
        receipt.ended(&answered);
        answered.map(|answer| answer.to_string())
    }

    async fn answer(&self, ask: &Ask) -> Result<Value, Refusal> {
        let validator = schema::compile(&ask.schema).map_err(|error| Refusal::Invalid(error.to_string()))?;
        if let Some(kept) = self.kept(ask, &validator).await? {
            return Ok(kept);
        }
        let person = self.session.person().ok_or_else(|| {
            Refusal::Unavailable("nobody is there who could answer a question; run it at a terminal".into())
        })?;
        if self.asked.0.fetch_add(1, Ordering::Relaxed) >= MOST_QUESTIONS {
            let limit = MOST_QUESTIONS.into();
            return Err(Refusal::TooLarge(Excess { what: "number of questions of one call", limit, actual: None }));
        }
        let answer = self.of_person(person, ask, &validator).await?;
        if let Some(name) = &ask.remember {
            self.keep(person, name, ask, &answer).await?;
        }
        Ok(answer)
    }

    /// What the person let the host keep, where it still fits.
    async fn kept(&self, ask: &Ask, validator: &Validator) -> Result<Option<Value>, Refusal> {
        let Some(name) = ask.remember.clone() else { return Ok(None) };
        let (answers, skill, schema) = (self.answers.clone(), self.session.skill().to_owned(), ask.schema.clone());
        let look = async move { answers.get(&skill, &name, &schema).await.map_err(|error| unreadable("read", &error)) };
        let kept = self.session.perform(look).await?;
        Ok(kept.filter(|answer| schema::check(validator, answer).is_ok()))
    }

    async fn of_person(&self, person: &Arc<dyn Person>, ask: &Ask, validator: &Validator) -> Result<Value, Refusal> {
        let question = Question::Skill {
            skill: self.session.skill().to_owned(),
            text: ask.text.clone(),
            schema: ask.schema.clone(),
            remember: ask.remember.clone(),
        };
        let own = ask.timeout.and_then(|time| Instant::now().checked_add(time));
        let until = own.map_or(self.session.deadline(), |own| own.min(self.session.deadline()));
        let mut wrong = String::new();
        for _ in 0..ATTEMPTS {
            let Some(answer) = self.wait(person, question.clone(), until).await? else {
                return Err(Refusal::Cancelled);
            };
            let size = answer.to_string().len();
            if size > MAX_ANSWER {
                let (limit, actual) = (MAX_ANSWER as u64, Some(size as u64));
                return Err(Refusal::TooLarge(Excess { what: "answer", limit, actual }));
            }
            match schema::check(validator, &answer) {
                Ok(()) => return Ok(answer),
                Err(violations) => wrong = schema::render(&violations),
            }
        }
        Err(Refusal::Unavailable(format!("the answer does not fit the question, {ATTEMPTS} times in a row: {wrong}")))
    }

    /// Asks the person whether the answer may be kept. No answer to that is no.
    async fn keep(&self, person: &Arc<dyn Person>, name: &str, ask: &Ask, answer: &Value) -> Result<(), Refusal> {
        let skill = self.session.skill().to_owned();
        let question = Question::Keep { skill: skill.clone(), name: name.to_owned(), answer: answer.clone() };
        let agreed = self.wait(person, question, self.session.deadline()).await?;
        if agreed != Some(Value::Bool(true)) {
            return Ok(());
        }
        let (answers, name, schema, answer) =
            (self.answers.clone(), name.to_owned(), ask.schema.clone(), answer.clone());
        let write = async move {
            answers.put(&skill, &name, &schema, &answer).await.map_err(|error| unreadable("written", &error))
        };
        self.session.perform(write).await
    }

    async fn wait(
        &self,
        person: &Arc<dyn Person>,
        question: Question,
        until: Instant,
    ) -> Result<Option<Value>, Refusal> {
        let person = Arc::clone(person);
        let asking = async move {
            match tokio::time::timeout_at(until, person.ask(question)).await {
                Ok(answer) => Ok(answer),
                Err(_) => Err(Refusal::TimedOut("nobody answered the question in time".into())),
            }
        };
        self.session.perform(asking).await
    }
}

fn unreadable(what: &str, error: &crate::state::StateError) -> Refusal {
    tracing::error!(%error, "answers that are kept could not be {what}");
    Refusal::Unavailable(format!("answers that are kept cannot be {what} ({}); see the host's log", error.kind()))
}

impl wit::Host for View<'_> {
    async fn ask(&mut self, question: wit::Question) -> wasmtime::Result<Result<String, words::types::Refusal>> {
        Ok(View::ask(self, question).await.map_err(Into::into))
    }
}

/// Speaks to a view as a guest does.
#[cfg(test)]
pub(super) async fn ask(
    view: &View<'_>,
    text: &str,
    schema: Option<&str>,
    timeout_ms: Option<u32>,
    remember: Option<&str>,
) -> Result<String, Refusal> {
    let (schema, remember) = (schema.map(str::to_owned), remember.map(str::to_owned));
    View::ask(view, wit::Question { text: text.into(), schema, timeout_ms, remember }).await
}
