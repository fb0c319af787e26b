//! The imports behind one door: the host's in a component, the fake's everywhere else.

use crate::Refusal;
use crate::bindings::ringfence::skill::{http, kv, model, tools, user};
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
const _: fn(&http::Request) -> Result<HttpResponse, Refusal> = http_send;
const _: fn(&http::Request) -> Result<HttpPending, Refusal> = http_start;
const _: fn(&http::Request) -> Result<HttpUpload, Refusal> = http_begin;
const _: fn(&HttpPending) -> Result<HttpResponse, Refusal> = http_wait;
const _: fn(&HttpResponse) -> http::Head = http_head;
const _: fn(&HttpResponse, u32) -> Result<Vec<u8>, Refusal> = http_read;
const _: fn(&HttpUpload, &[u8]) -> Result<(), Refusal> = http_write;
const _: fn(&HttpUpload) -> Result<HttpResponse, Refusal> = http_finish;
const _: fn(&str) -> Result<Option<kv::Entry>, Refusal> = kv_get;
const _: fn(&str, &[u8], kv::Condition) -> Result<kv::Written, Refusal> = kv_set;
const _: fn(&str, kv::Condition) -> Result<kv::Written, Refusal> = kv_delete;
const _: fn(&str, Option<&str>, u32) -> Result<kv::Page, Refusal> = kv_list;
const _: fn(&model::Request) -> Result<model::Response, Refusal> = generate;
const _: fn(&model::Request) -> Result<Generation, Refusal> = open;
const _: fn(&Generation) -> Result<Vec<model::Event>, Refusal> = next;
const _: fn(&str, &[String]) -> Result<model::Embeddings, Refusal> = embed;
const _: fn() -> Vec<model::ModelInfo> = models;
const _: fn(&str) -> bool = secrets_exists;
const _: fn() -> Vec<tools::Listed> = tools_list;
const _: fn(&str, &str) -> Result<tools::Answer, Refusal> = tools_call;
const _: fn(&str, &str) -> Result<PendingCall, Refusal> = tools_start;
const _: fn(&PendingCall) -> Result<tools::Answer, Refusal> = tools_wait;
const _: fn(&user::Question) -> Result<String, Refusal> = user_ask;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::bindings::ringfence::skill as wit;

    use super::{Level, Refusal, http, kv, model, tools, user};

    pub(crate) use http::{Pending as HttpPending, Response as HttpResponse, Upload as HttpUpload};
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

    pub(crate) fn http_send(request: &http::Request) -> Result<HttpResponse, Refusal> {
        Ok(http::send(request)?)
    }

    pub(crate) fn http_start(request: &http::Request) -> Result<HttpPending, Refusal> {
        Ok(http::start(request)?)
    }

    pub(crate) fn http_begin(request: &http::Request) -> Result<HttpUpload, Refusal> {
        Ok(http::begin(request)?)
    }

    pub(crate) fn http_wait(pending: &HttpPending) -> Result<HttpResponse, Refusal> {
        Ok(pending.wait()?)
    }

    pub(crate) fn http_head(response: &HttpResponse) -> http::Head {
        response.head()
    }

    pub(crate) fn http_read(response: &HttpResponse, max: u32) -> Result<Vec<u8>, Refusal> {
        Ok(response.read(max)?)
    }

    pub(crate) fn http_write(upload: &HttpUpload, chunk: &[u8]) -> Result<(), Refusal> {
        Ok(upload.write(chunk)?)
    }

    pub(crate) fn http_finish(upload: &HttpUpload) -> Result<HttpResponse, Refusal> {
        Ok(upload.finish()?)
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

    pub(crate) fn secrets_exists(name: &str) -> bool {
        wit::secrets::exists(name)
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
