//! The imports, answered by the fake of the thread.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::host::{Line, Report, State, try_with, with};
pub(crate) use super::web::{
    HttpPending, HttpResponse, HttpUpload, http_begin, http_finish, http_head, http_read, http_send, http_start,
    http_wait, http_write,
};
use crate::bindings::ringfence::skill::kv::{Condition, Entry, Page, Written};
use crate::bindings::ringfence::skill::model::{Embeddings, Event, ModelInfo, Request, Response, Usage};
use crate::bindings::ringfence::skill::tools::{Answer, Listed};
use crate::bindings::ringfence::skill::user::Question;
use crate::log::Level;
use crate::{Excess, Refusal};

const LARGEST_VALUE: usize = 1024 * 1024;

// `log` and `progress` never fail, also not in a test that has no host because it needs none.
pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    try_with(|state| state.logs.push(Line { level, message: message.to_owned(), fields: fields.to_vec() }));
}

pub(crate) fn report(done: u64, total: Option<u64>, message: Option<&str>) {
    try_with(|state| state.reports.push(Report { done, total, message: message.map(str::to_owned) }));
}

pub(crate) fn emit(text: &str) {
    try_with(|state| state.emitted.push_str(text));
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    with("config::get", |state| state.config.get(key).cloned())
}

pub(crate) fn secrets_exists(name: &str) -> bool {
    with("secrets::exists", |state| state.secrets.contains(name))
}

pub(crate) fn kv_get(key: &str) -> Result<Option<Entry>, Refusal> {
    with_kv("kv::get", key, |state| Ok(state.kv.get(key).cloned()))
}

pub(crate) fn kv_set(key: &str, value: &[u8], condition: Condition) -> Result<Written, Refusal> {
    if value.len() > LARGEST_VALUE {
        let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let excess = Excess { what: "kv value".into(), limit: size(LARGEST_VALUE), actual: Some(size(value.len())) };
        return Err(Refusal::TooLarge(excess));
    }
    with_kv("kv::set", key, |state| {
        if !matches!(condition, Condition::Always)
            && let Some(at) = state.races.iter().position(|(raced, _)| raced == key)
        {
            let (_, theirs) = state.races.remove(at);
            state.write(key, theirs);
        }
        match holds(state, key, condition) {
            Ok(()) => Ok(Written::Done(state.write(key, value.to_vec()))),
            Err(version) => Ok(Written::Conflict(version)),
        }
    })
}

pub(crate) fn kv_delete(key: &str, condition: Condition) -> Result<Written, Refusal> {
    with_kv("kv::delete", key, |state| match holds(state, key, condition) {
        Ok(()) => {
            state.kv.remove(key);
            state.last_version += 1;
            Ok(Written::Done(state.last_version))
        }
        Err(version) => Ok(Written::Conflict(version)),
    })
}

pub(crate) fn kv_list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Refusal> {
    with("kv::keys", |state| {
        if let Some(refusal) = state.kv_refusals.pop_front() {
            return Err(refusal);
        }
        let limit = if limit == 0 { 100 } else { usize::try_from(limit.min(1000)).unwrap_or(1000) };
        let matching = state.kv.keys().filter(|key| key.starts_with(prefix));
        let after = matching.filter(|key| cursor.is_none_or(|cursor| key.as_str() > cursor));
        let mut keys: Vec<String> = after.take(limit + 1).cloned().collect();
        let more = keys.len() > limit;
        keys.truncate(limit);
        let cursor = keys.last().filter(|_| more).cloned();
        Ok(Page { keys, cursor })
    })
}

fn with_kv<R>(import: &str, key: &str, act: impl FnOnce(&mut State) -> Result<R, Refusal>) -> Result<R, Refusal> {
    with(import, |state| {
        if let Some(refusal) = state.kv_refusals.pop_front() {
            return Err(refusal);
        }
        if key.is_empty() || key.len() > 256 || key.chars().any(char::is_control) {
            return Err(Refusal::Invalid(format!(
                "{key:?} cannot be a key: 1 to 256 bytes without control characters"
            )));
        }
        act(state)
    })
}

/// Whether the condition holds; the version that is there where it does not.
fn holds(state: &State, key: &str, condition: Condition) -> Result<(), Option<u64>> {
    let version = state.kv.get(key).map(|entry| entry.version);
    let holds = match condition {
        Condition::Always => true,
        Condition::Absent => version.is_none(),
        Condition::Version(wanted) => version == Some(wanted),
    };
    if holds { Ok(()) } else { Err(version) }
}

pub(crate) fn generate(request: &Request) -> Result<Response, Refusal> {
    with("model::ask", |state| state.reply(request)).response(request)
}

/// An answer being made by the fake.
pub(crate) struct Generation(RefCell<VecDeque<Result<Event, Refusal>>>);

pub(crate) fn open(request: &Request) -> Result<Generation, Refusal> {
    let reply = with("model::ask", |state| {
        let reply = state.reply(request);
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        reply
    });
    Ok(Generation(RefCell::new(reply.events(request).into())))
}

pub(crate) fn next(generation: &Generation) -> Result<Vec<Event>, Refusal> {
    // One event at a time, so that a test sees every place where a reader can stop.
    match generation.0.borrow_mut().pop_front() {
        Some(event) => event.map(|event| vec![event]),
        None => Ok(Vec::new()),
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        try_with(|state| state.in_flight = state.in_flight.saturating_sub(1));
    }
}

pub(crate) fn embed(model: &str, inputs: &[String]) -> Result<Embeddings, Refusal> {
    with("model::embed", |state| {
        assert!(
            state.vectors.len() >= inputs.len(),
            "the skill embedded {} texts and the fake has {} vectors left: give it more with `.vectors(...)`",
            inputs.len(),
            state.vectors.len()
        );
        let vectors = state.vectors.drain(..inputs.len()).collect();
        let input_tokens = inputs.iter().map(|input| input.len().div_ceil(4)).sum::<usize>();
        let usage = Usage {
            input_tokens: u64::try_from(input_tokens).unwrap_or(u64::MAX),
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: 0,
            reasoning_tokens: 0,
            micro_dollars: None,
        };
        Ok(Embeddings { vectors, model: format!("fake/{model}"), usage })
    })
}

pub(crate) fn models() -> Vec<ModelInfo> {
    with("model::models", |state| state.models.clone())
}

pub(crate) fn tools_list() -> Vec<Listed> {
    with("tools::list", |state| state.tools.clone())
}

pub(crate) fn tools_call(name: &str, input: &str) -> Result<Answer, Refusal> {
    with("tools::call", |state| state.call(name, input))
}

/// A call under way: the fake has its answer already.
pub(crate) struct PendingCall(RefCell<Option<Result<Answer, Refusal>>>);

pub(crate) fn tools_start(name: &str, input: &str) -> Result<PendingCall, Refusal> {
    with("tools::start", |state| {
        let answer = state.call(name, input);
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        Ok(PendingCall(RefCell::new(Some(answer))))
    })
}

pub(crate) fn tools_wait(pending: &PendingCall) -> Result<Answer, Refusal> {
    let again = || Err(Refusal::Invalid("this call was waited for already".into()));
    pending.0.borrow_mut().take().unwrap_or_else(again)
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        try_with(|state| state.in_flight = state.in_flight.saturating_sub(1));
    }
}

pub(crate) fn user_ask(question: &Question) -> Result<String, Refusal> {
    with("user::ask", |state| {
        state.questions.push(question.clone());
        match state.person.pop_front() {
            Some(answer) => answer,
            None => Err(Refusal::Unavailable("nobody is there who could answer a question".into())),
        }
    })
}
