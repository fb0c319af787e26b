//! The imports behind one door: the host's in a component, the fake's everywhere else.

use crate::Refusal;
use crate::bindings::ringfence::skill::{kv, model, tools, user};
use crate::log::Level;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::fake::imports::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use component::*;

// Both doors have the same shape, which the compiler checks here.
const _: fn(Level, &str, &[(String, String)]) = log;
const _: fn(u64, Option<u64>, Option<&str>) = report;
const _: fn(&str) = emit;
const _: fn(&str) -> Option<String> = config_get;
const _: fn(&str) -> Result<Option<kv::Entry>, Refusal> = kv_get;
const _: fn(&str, &[u8], kv::Condition) -> Result<kv::Written, Refusal> = kv_set;
const _: fn(&str, kv::Condition) -> Result<kv::Written, Refusal> = kv_delete;
const _: fn(&str, Option<&str>, u32) -> Result<kv::Page, Refusal> = kv_list;
const _: fn(&model::Request) -> Result<model::Response, Refusal> = generate;
const _: fn(&model::Request) -> Result<Generation, Refusal> = open;
const _: fn(&Generation) -> Result<Vec<model::Event>, Refusal> = next;
const _: fn(&str, &[String]) -> Result<model::Embeddings, Refusal> = embed;
const _: fn() -> Vec<model::ModelInfo> = models;
const _: fn() -> Vec<tools::Listed> = tools_list;
const _: fn(&str, &str) -> Result<tools::Answer, Refusal> = tools_call;
const _: fn(&str, &str) -> Result<PendingCall, Refusal> = tools_start;
const _: fn(&PendingCall) -> Result<tools::Answer, Refusal> = tools_wait;
const _: fn(&user::Question) -> Result<String, Refusal> = user_ask;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::bindings::ringfence::skill as wit;

    use super::{Level, Refusal, kv, model, tools, user};

    pub(crate) use model::Generation;
    pub(crate) use tools::Pending as PendingCall;

    pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
        wit::log::log(level, message, fields);
    }

    pub(crate) fn report(done: u64, total: Option<u64>, message: Option<&str>) {
        wit::progress::report(done, total, message);
    }

    pub(crate) fn emit(text: &str) {
        wit::progress::emit(text);
    }

    pub(crate) fn config_get(key: &str) -> Option<String> {
        wit::config::get(key)
    }

    pub(crate) fn kv_get(key: &str) -> Result<Option<kv::Entry>, Refusal> {
        Ok(kv::get(key)?)
    }

    pub(crate) fn kv_set(key: &str, value: &[u8], condition: kv::Condition) -> Result<kv::Written, Refusal> {
        Ok(kv::set(key, value, condition)?)
    }

    pub(crate) fn kv_delete(key: &str, condition: kv::Condition) -> Result<kv::Written, Refusal> {
        Ok(kv::delete(key, condition)?)
    }

    pub(crate) fn kv_list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<kv::Page, Refusal> {
        Ok(kv::list(prefix, cursor, limit)?)
    }

    pub(crate) fn generate(request: &model::Request) -> Result<model::Response, Refusal> {
        Ok(model::generate(request)?)
    }

    pub(crate) fn open(request: &model::Request) -> Result<Generation, Refusal> {
        Ok(model::open(request)?)
    }

    pub(crate) fn next(generation: &Generation) -> Result<Vec<model::Event>, Refusal> {
        Ok(generation.next()?)
    }

    pub(crate) fn embed(model: &str, inputs: &[String]) -> Result<model::Embeddings, Refusal> {
        Ok(model::embed(model, inputs)?)
    }

    pub(crate) fn models() -> Vec<model::ModelInfo> {
        model::models()
    }
    pub(crate) fn tools_list() -> Vec<tools::Listed> {
        tools::list()
    }

    pub(crate) fn tools_call(name: &str, input: &str) -> Result<tools::Answer, Refusal> {
        Ok(tools::call(name, input)?)
    }

    pub(crate) fn tools_start(name: &str, input: &str) -> Result<PendingCall, Refusal> {
        Ok(tools::start(name, input)?)
    }

    pub(crate) fn tools_wait(pending: &PendingCall) -> Result<tools::Answer, Refusal> {
        Ok(pending.wait()?)
    }

    pub(crate) fn user_ask(question: &user::Question) -> Result<String, Refusal> {
        Ok(user::ask(question)?)
    }
}
