//! The loop: the model is asked, the tools that it calls are called, and so on until it answers.
//!
//! The transcript grows by whole steps: what a model said, and the results of all that it called. So it can be resumed wherever a run
//! ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tracing::Instrument as _;

use super::envelope::{RESULT_BYTES, RULE, RULE_OF_SERVERS, readable, wrap};
use super::event::{AgentEvent, Told};
use super::record::Run;
use super::tools::{Desk, Ended, Tools};
use super::transcript::Transcript;
use super::{Agent, AgentError, Answer, Turn};
use crate::capability::model::limits::PROMPT_BYTES;
use crate::capability::model::provider::Events;
use crate::capability::model::types::{
    Event, Message, Part, Request, Response, Role, StopReason, ToolCall, ToolResult,
};
use crate::error::{Error, Refusal};
use crate::person::Person;
use crate::policy::taint::Touch;
use crate::trace;

/// Events of a model that wait for the face.
const UNREAD: usize = 64;
/// Calls of one answer that are made. What is above is refused.
const CALLS: usize = 32;
/// Bytes of one message of a person: half of what fits into a prompt.
const MESSAGE_BYTES: usize = PROMPT_BYTES / 2;

pub(super) async fn run(
    agent: &Agent,
    transcript: &mut Transcript,
    message: Message,
    turn: Turn,
) -> Result<Answer, Error> {
    let parts = message.parts.into_iter().filter(|part| match part {
        Part::Text(text) => !text.trim().is_empty(),
        Part::Image(_) => true,
        // What a model says, or is told by tools.
        Part::Thinking(_) | Part::ToolCall(_) | Part::ToolResult(_) => false,
    });
    let message = Message { role: Role::User, parts: parts.collect() };
    if message.parts.is_empty() {
        return Err(AgentError::Empty.into());
    }
    let length = message.joined_text().len();
    if length > MESSAGE_BYTES {
        return Err(AgentError::TooLarge { actual: length, most: MESSAGE_BYTES }.into());
    }
    let tools = Tools::of(agent).await?;
    let told = Told::new(turn.events.clone(), turn.cancel.clone());
    let person = turn.person.clone().map(|person| told.watch(person));
    let run = Run::begin(agent, &tools, transcript, &turn, person.clone());
    let work = Work { agent, tools: &tools, run: &run, told, person, turn: &turn };
    transcript.say(message);
    let result = work.steps(transcript).await;
    drop(work);
    transcript.spent(run.ended(&result));
    let saved = work_is_saved(agent, transcript).await;
    let answer = result?;
    saved?;
    Ok(answer)
}

async fn work_is_saved(agent: &Agent, transcript: &mut Transcript) -> Result<(), Error> {
    agent.host.0.transcripts.save(transcript).await.map_err(Error::from)
}

/// One run under way.
struct Work<'a> {
    agent: &'a Agent,
    tools: &'a Tools,
    run: &'a Run,
    told: Told,
    person: Option<Arc<dyn Person>>,
    turn: &'a Turn,
}

impl Work<'_> {
    async fn steps(&self, transcript: &mut Transcript) -> Result<Answer, Error> {
        work_is_saved(self.agent, transcript).await?;
        let most = self.agent.settings.max_steps();
        let mut last = String::new();
        for step in 1..=most {
            let response = match self.ask_model(transcript).await {
                // As long as was asked for, as a model's own answer would be.
                Err(error) if self.is_cut(&error) => {
                    return Ok(self.answer(std::mem::take(&mut last), StopReason::MaxTokens, step - 1));
                }
                response => response?,
            };
            let calls: Vec<ToolCall> = response.message.parts.iter().filter_map(called).cloned().collect();
            let text = response.message.joined_text();
            let said = self.as_kept(response.message);
            if calls.is_empty() {
                // Providers take no message back in which nothing stands.
                if !said.parts.is_empty() {
                    transcript.say(said);
                }
                return Ok(self.answer(text, response.stop_reason, step));
            }
            last = text;
            let results = self.call_all(&calls).await;
            transcript.say(said);
            transcript.say(Message { role: Role::Tool, parts: results });
            // What was returned is in the conversation from here on, and may be anybody's words.
            self.run.session.taint().touch(Touch::UNTRUSTED);
            if self.turn.cancel.is_cancelled() {
                return Err(Refusal::Cancelled.into());
            }
            work_is_saved(self.agent, transcript).await?;
        }
        let (agent, spent) = (self.agent.name.clone(), self.run.session.ledger().spent());
        let is_kept = transcript.is_kept();
        Err(AgentError::TooManySteps { agent, steps: most, spent, is_kept }.into())
    }

    fn answer(&self, text: String, stop_reason: StopReason, steps: u32) -> Answer {
        let session = &self.run.session;
        Answer {
            run: session.invocation().to_owned(),
            text,
            stop_reason,
            model: session.answered_by(),
            steps,
            usage: session.ledger().spent(),
        }
    }

    /// Whether no more tokens are left of those that whoever asks allows.
    fn is_cut(&self, error: &Error) -> bool {
        let over = match error.of::<AgentError>() {
            Some(AgentError::BudgetExhausted { over, .. }) => over,
            _ => return false,
        };
        self.run.is_cut_by_caller && over.unit == "output-tokens"
    }

    /// One model call. What was said of an answer that broke stays in the transcript.
    async fn ask_model(&self, transcript: &mut Transcript) -> Result<Response, Error> {
        let session = &self.run.session;
        let router = self.agent.host.0.models.load_full();
        let request = self.request(transcript);
        tokio::select! {
            biased;
            () = session.cancelled() => return Err(Refusal::Cancelled.into()),
            () = router.ready(&request.model) => {}
        }
        let mut ask = router.generate_ask(request, session.grants().model.as_ref(), self.run.money_limited)?;
        // As for tokens: the last step is as long as what is left.
        if let Some(most) = self.run.limits.micro_dollars {
            router.shorten(&mut ask, most.saturating_sub(session.ledger().spent().micro_dollars));
        }
        let permit = session.permit(ask).await.map_err(|refusal| self.explain(refusal))?;
        let receipt = permit.receipt();
        let (sender, mut events) = Events::new(UNREAD);
        let mut answer = pin!(session.perform(async move {
            let span = receipt.span();
            let answer = router.generate(permit, Some(sender)).instrument(span.clone()).await;
            if let Ok(response) = &answer {
                trace::answered(&span, &response.model);
            }
            receipt.ended(&answer);
            answer
        }));
        let mut said = String::new();
        let answer = loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => self.hear(event, &mut said).await,
                answer = &mut answer => break answer,
            }
        };
        while let Ok(event) = events.try_recv() {
            self.hear(event, &mut said).await;
        }
        match answer {
            Ok(response) => {
                session.note_answer(&response.model);
                Ok(response)
            }
            Err(refusal) => {
                if !said.is_empty() {
                    transcript.say(Message::text(Role::Assistant, said));
                }
                Err(self.explain(refusal))
            }
        }
    }

    fn request(&self, transcript: &Transcript) -> Request {
        let mut messages = Vec::with_capacity(transcript.messages().len() + 1);
        let rule = (!self.tools.listed().is_empty()).then_some(RULE);
        let instructions = Some(self.agent.settings.instructions.trim()).filter(|text| !text.is_empty());
        let of_servers = self.tools.has_a_servers().then_some(RULE_OF_SERVERS);
        let system: Vec<&str> = instructions.into_iter().chain(rule).chain(of_servers).collect();
        if !system.is_empty() {
            messages.push(Message::text(Role::System, system.join("\n\n")));
        }
        messages.extend_from_slice(transcript.messages());
        // The last step of a budget is as long as what is left, so that it is used up and not refused.
        let spent = self.run.session.ledger().spent().output_tokens;
        let left = self.run.limits.output_tokens.map(|most| most.saturating_sub(spent).max(1));
        Request {
            model: self.agent.settings.model().to_owned(),
            cache_until: messages.len().checked_sub(1).and_then(|last| u32::try_from(last).ok()),
            messages,
            tools: self.tools.listed().to_vec(),
            max_tokens: left.map(|left| u32::try_from(left).unwrap_or(u32::MAX)),
            ..Request::default()
        }
    }

    async fn hear(&self, event: Event, said: &mut String) {
        match event {
            Event::Text(text) => {
                said.push_str(&text);
                self.told.tell(AgentEvent::Text { text }).await;
            }
            Event::Thinking(text) => self.told.tell(AgentEvent::Thinking { text }).await,
            // A call is told when it begins, with its whole input.
            Event::ToolCallStart { .. } | Event::ToolCallDelta { .. } | Event::ToolCall(_) => {}
        }
    }

    /// Makes all calls of one answer, some at the same time. A result for each, in their order.
    async fn call_all(&self, calls: &[ToolCall]) -> Vec<Part> {
        let each: Vec<BoxFuture<'_, Part>> =
            calls.iter().enumerate().map(|(at, call)| self.call(at, call).boxed()).collect();
        stream::iter(each).buffered(self.agent.settings.parallel()).collect().await
    }

    async fn call(&self, at: usize, call: &ToolCall) -> Part {
        let ToolCall { id, name, input, .. } = call.clone();
        self.told.tell(AgentEvent::ToolStarted { id: id.clone(), name: name.clone(), input }).await;
        let begun = Instant::now();
        let desk = Desk {
            host: &self.agent.host,
            tools: self.tools,
            session: &self.run.session,
            by_model: &self.run.by_model,
            cancel: &self.turn.cancel,
            locale: self.turn.locale.as_deref(),
        };
        let Ended { kind, text } = match at < CALLS {
            true => desk.call(call, self.person.clone()).await,
            false => Ended { kind: "denied", text: format!("at most {CALLS} tools are called at once: call it again") },
        };
        let content = wrap(self.tools.known_name(&name), &text);
        let shown = readable(&text);
        let text = shown[..shown.floor_char_boundary(RESULT_BYTES)].to_owned();
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.told.tell(AgentEvent::ToolFinished { id: id.clone(), name, kind: kind.to_owned(), text, ms }).await;
        Part::ToolResult(ToolResult { id, content, is_error: kind != "ok" })
    }

    /// What the model said, in a form that every provider takes back: with names and arguments that could be a call's.
    fn as_kept(&self, mut message: Message) -> Message {
        message.role = Role::Assistant;
        for part in &mut message.parts {
            if let Part::ToolCall(call) = part {
                call.name = self.tools.known_name(&call.name).to_owned();
                let is_object = call.input.len() <= RESULT_BYTES
                    && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&call.input).is_ok();
                if !is_object {
                    call.input = "{}".into();
                }
            }
        }
        message
    }

    /// A budget of one run is the agent's to raise, and so is its time.
    fn explain(&self, refusal: Refusal) -> Error {
        let is_late = || tokio::time::Instant::now() >= self.run.session.deadline();
        match refusal {
            // A model's router gives up before, where it would have to wait for longer than that.
            Refusal::TimedOut(why) if why.contains("the invocation's deadline") || is_late() => {
                let seconds = self.agent.settings.time().as_secs();
                AgentError::TimedOut { agent: self.agent.name.clone(), seconds }.into()
            }
            Refusal::OverBudget(over) if over.scope == "invocation" => {
                AgentError::BudgetExhausted { agent: self.agent.name.clone(), over }.into()
            }
            other => other.into(),
        }
    }
}

fn called(part: &Part) -> Option<&ToolCall> {
    match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// Whether an answer is not whole, in a word for people.
impl Answer {
    /// Why the answer is not what the model would have said, where it is not.
    #[must_use]
    pub fn shortfall(&self) -> Option<&'static str> {
        match self.stop_reason {
            StopReason::MaxTokens => Some("the answer was cut: it used all the tokens that it may have"),
            StopReason::Refused => Some("the model declined to answer"),
            _ => None,
        }
    }
}
