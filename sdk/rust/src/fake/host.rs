//! The fake itself: what it was told, and what it saw.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Reply;
use crate::bindings::ringfence::skill::tools::{Answer, Listed};
use crate::bindings::ringfence::skill::types::Failure as WitFailure;
use crate::bindings::ringfence::skill::user::Question;
use crate::log::Level;
use crate::model::{Message, ModelInfo, Request};
use crate::{Failure, Outcome, Refusal, ToolDescription, ToolHints, kv};

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

type Rule = Box<dyn FnMut(&Request) -> Option<Reply>>;
type ToolRule = Box<dyn FnMut(&str) -> Result<Answer, Refusal>>;

#[derive(Default)]
pub(super) struct State {
    pub(super) answers: VecDeque<Reply>,
    pub(super) rules: Vec<Rule>,
    pub(super) vectors: VecDeque<Vec<f32>>,
    pub(super) models: Vec<ModelInfo>,
    pub(super) config: BTreeMap<String, String>,
    pub(super) kv: BTreeMap<String, kv::Entry>,
    /// Versions are never used again, also not after a delete.
    pub(super) last_version: u64,
    pub(super) kv_refusals: VecDeque<Refusal>,
    /// Writes of another invocation, each done just before a conditional write of its key.
    pub(super) races: Vec<(String, Vec<u8>)>,
    pub(super) secrets: std::collections::BTreeSet<String>,
    pub(super) requests: Vec<Request>,
    pub(super) servers: Vec<super::web::Server>,
    pub(super) sent: Vec<crate::bindings::ringfence::skill::http::Request>,
    pub(super) in_flight: usize,
    pub(super) most_in_flight: usize,
    pub(super) logs: Vec<Line>,
    pub(super) reports: Vec<Report>,
    pub(super) emitted: String,
    pub(super) tools: Vec<Listed>,
    tool_rules: BTreeMap<String, ToolRule>,
    pub(super) calls: Vec<(String, String)>,
    pub(super) person: VecDeque<Result<String, Refusal>>,
    pub(super) questions: Vec<Question>,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

/// One report of progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How much is done.
    pub done: u64,
    /// Of how much.
    pub total: Option<u64>,
    /// What is going on.
    pub message: Option<String>,
}

/// A host for the test's thread. See the module.
///
/// Answers for model calls are found in this order: the first rule that has one ([`answer_when`](Self::answer_when),
/// [`answer_with`](Self::answer_with)), then the next scripted one ([`answer`](Self::answer)). Where there is none the test fails.
#[must_use = "the imports work as long as the fake lives: bind it with `let host = ...`"]
pub struct Host {
    state: Rc<RefCell<State>>,
    previous: Option<Rc<RefCell<State>>>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host that grants everything, knows no answers, and has no settings and no stored keys.
    pub fn new() -> Self {
        let state = Rc::new(RefCell::new(State::default()));
        let previous = CURRENT.with(|current| current.replace(Some(Rc::clone(&state))));
        Self { state, previous }
    }

    pub(super) fn state(&self) -> &RefCell<State> {
        &self.state
    }

    /// The next answer to a model call: a text or a [`Reply`].
    pub fn answer(self, reply: impl Into<Reply>) -> Self {
        self.state.borrow_mut().answers.push_back(reply.into());
        self
    }

    /// The answer to every model call whose messages contain `words`.
    pub fn answer_when(self, words: &str, reply: impl Into<Reply>) -> Self {
        let (words, reply) = (words.to_owned(), reply.into());
        self.answer_with(move |request| prompt(request).contains(&words).then(|| reply.clone()))
    }

    /// Answers model calls by a function; `None` leaves the call to the next rule.
    pub fn answer_with(self, rule: impl FnMut(&Request) -> Option<Reply> + 'static) -> Self {
        self.state.borrow_mut().rules.push(Box::new(rule));
        self
    }

    /// The next model call is refused.
    pub fn refuse(self, refusal: Refusal) -> Self {
        self.answer(Reply::refuse(refusal))
    }

    /// Vectors for the next embeddings, one per input.
    pub fn vectors(self, vectors: impl IntoIterator<Item = Vec<f32>>) -> Self {
        self.state.borrow_mut().vectors.extend(vectors);
        self
    }

    /// A secret that the skill may use.
    pub fn secret(self, name: &str) -> Self {
        self.state.borrow_mut().secrets.insert(name.to_owned());
        self
    }

    /// A model that the skill may use.
    pub fn model(self, name: &str, max_tokens: u32, context_window: Option<u32>) -> Self {
        let info = ModelInfo { name: name.to_owned(), max_tokens, context_window, local: true };
        self.state.borrow_mut().models.push(info);
        self
    }

    /// A setting of the operator.
    pub fn config(self, key: &str, value: impl Serialize) -> Self {
        self.state.borrow_mut().config.insert(key.to_owned(), json(value));
        self
    }

    /// A stored value, as JSON.
    pub fn kv(self, key: &str, value: impl Serialize) -> Self {
        self.state.borrow_mut().write(key, json(value).into_bytes());
        self
    }

    /// The next call of `kv` is refused.
    pub fn refuse_kv(self, refusal: Refusal) -> Self {
        self.state.borrow_mut().kv_refusals.push_back(refusal);
        self
    }

    /// Another invocation writes this just before the skill's next conditional write of the key.
    pub fn race(self, key: &str, value: impl Serialize) -> Self {
        self.state.borrow_mut().races.push((key.to_owned(), json(value).into_bytes()));
        self
    }

    /// A tool of another skill, `skill/tool`, that gives this text.
    pub fn tool(self, name: &str, text: &str) -> Self {
        let text = text.to_owned();
        self.tool_with(name, move |_| Ok(Outcome::text(text.clone())))
    }

    /// A tool of another skill, `skill/tool`, answered by a function that is given the input.
    pub fn tool_with(
        self,
        name: &str,
        mut rule: impl FnMut(serde_json::Value) -> Result<Outcome, Failure> + 'static,
    ) -> Self {
        let answer = move |input: &str| {
            let input = serde_json::from_str(input).map_err(|error| Refusal::Invalid(error.to_string()))?;
            Ok(match rule(input) {
                Ok(outcome) => Answer::Outcome(outcome),
                Err(Failure { kind, message, hint }) => Answer::Failure(WitFailure { kind, message, hint }),
            })
        };
        self.with_tool(name, Box::new(answer))
    }

    /// A tool of another skill, `skill/tool`, that the host does not call.
    pub fn refuse_tool(self, name: &str, refusal: Refusal) -> Self {
        self.with_tool(name, Box::new(move |_| Err(refusal.clone())))
    }

    fn with_tool(self, name: &str, rule: ToolRule) -> Self {
        let tool = ToolDescription {
            name: name.rsplit('/').next().unwrap_or_default().to_owned(),
            title: None,
            description: "A tool of the test.".to_owned(),
            input_schema: r#"{"type":"object"}"#.to_owned(),
            output_schema: None,
            hints: ToolHints::empty(),
        };
        let mut state = self.state.borrow_mut();
        state.tools.push(Listed { name: name.to_owned(), tool });
        state.tool_rules.insert(name.to_owned(), rule);
        drop(state);
        self
    }

    /// What the person answers next, as JSON. Where no answer is left, nobody is there.
    pub fn person(self, answer: impl Serialize) -> Self {
        self.state.borrow_mut().person.push_back(Ok(json(answer)));
        self
    }

    /// The next question is refused, for example because the person declines.
    pub fn refuse_question(self, refusal: Refusal) -> Self {
        self.state.borrow_mut().person.push_back(Err(refusal));
        self
    }

    /// The calls of other skills' tools, as names and inputs.
    pub fn calls(&self) -> Vec<(String, String)> {
        self.state.borrow().calls.clone()
    }

    /// The questions that the person was asked.
    pub fn questions(&self) -> Vec<Question> {
        self.state.borrow().questions.clone()
    }

    /// All requests to models, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.borrow().requests.clone()
    }

    /// The text of each request, its messages joined by blank lines.
    pub fn prompts(&self) -> Vec<String> {
        self.state.borrow().requests.iter().map(prompt).collect()
    }

    /// The largest number of generations, or calls of tools, that were open at once.
    pub fn most_in_flight(&self) -> usize {
        self.state.borrow().most_in_flight
    }

    /// What was emitted, joined.
    pub fn emitted(&self) -> String {
        self.state.borrow().emitted.clone()
    }

    /// The reports of progress.
    pub fn reports(&self) -> Vec<Report> {
        self.state.borrow().reports.clone()
    }

    /// The lines of the log.
    pub fn logs(&self) -> Vec<Line> {
        self.state.borrow().logs.clone()
    }

    /// A stored value. Panics where it is not JSON of this type.
    pub fn stored<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.state.borrow().kv.get(key).map(|entry| match serde_json::from_slice(&entry.value) {
            Ok(value) => value,
            Err(error) => panic!("what is stored under `{key}` is something else: {error}"),
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let previous = self.previous.take();
        // Not `with`: at the end of a thread the place may be gone already.
        let _ = CURRENT.try_with(|current| current.replace(previous));
    }
}

impl State {
    /// The answer to a request, by rule or by script.
    pub(super) fn reply(&mut self, request: &Request) -> Reply {
        self.requests.push(request.clone());
        if let Some(reply) = self.rules.iter_mut().find_map(|rule| rule(request)) {
            return reply;
        }
        match self.answers.pop_front() {
            Some(reply) => reply,
            None => panic!(
                "the skill asked a model and the fake has no answer for it: script one with `.answer(\"...\")`. It asked:\n{}",
                prompt(request)
            ),
        }
    }

    /// The answer of another skill's tool.
    pub(super) fn call(&mut self, name: &str, input: &str) -> Result<Answer, Refusal> {
        self.calls.push((name.to_owned(), input.to_owned()));
        match self.tool_rules.get_mut(name) {
            Some(rule) => rule(input),
            None => panic!(
                "the skill called `{name}` and the fake has no such tool: give it one with `.tool(\"{name}\", \"...\")`"
            ),
        }
    }

    /// Writes a key and gives its version.
    pub(super) fn write(&mut self, key: &str, value: Vec<u8>) -> u64 {
        self.last_version += 1;
        self.kv.insert(key.to_owned(), kv::Entry { value, version: self.last_version });
        self.last_version
    }
}

/// Runs `act` on the fake of this thread.
pub(super) fn with<R>(import: &str, act: impl FnOnce(&mut State) -> R) -> R {
    let current = CURRENT.with(|current| current.borrow().clone());
    match current {
        Some(state) => act(&mut state.borrow_mut()),
        None => panic!(
            "`{import}` was called outside of a host: begin the test with `let host = ringfence_skill::fake::Host::new();`"
        ),
    }
}

/// The same where a missing fake does not matter.
pub(super) fn try_with(act: impl FnOnce(&mut State)) {
    let current = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
    if let Some(state) = current
        && let Ok(mut state) = state.try_borrow_mut()
    {
        act(&mut state);
    }
}

fn prompt(request: &Request) -> String {
    request.messages.iter().map(Message::text).collect::<Vec<_>>().join("\n\n")
}

fn json(value: impl Serialize) -> String {
    match serde_json::to_string(&value) {
        Ok(json) => json,
        Err(error) => panic!("the test's value cannot be JSON: {error}"),
    }
}
