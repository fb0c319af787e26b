//! `POST /v1/chat/completions`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use ringfence_core::budget::Amount;
use ringfence_core::capability::model::types::StopReason;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::Wrong;
use super::job::{Done, Job};
use super::parse::{self, Said};
use super::sse::{self, Frames, data};
use super::target::Target;
use super::{App, fresh, now};

/// What of a request is looked at. Wishes about sampling are the agent's configuration's to answer, and are left alone.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequest)]
pub(super) struct Request {
    /// `skill:NAME`, `skill:NAME/TOOL` or `agent:NAME`.
    model: String,
    /// The last one is what is asked.
    messages: Vec<Said>,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    #[schema(ignore)]
    n: Option<u32>,
    #[serde(default)]
    #[schema(ignore)]
    tools: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    functions: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    response_format: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    tool_choice: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    stop: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    logprobs: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    top_logprobs: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    modalities: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    audio: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    logit_bias: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    store: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    function_call: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    web_search_options: Option<Value>,
    /// Most tokens of answers of models.
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    /// The older name of it.
    #[serde(default)]
    max_tokens: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatCompletionStreamOptions)]
struct StreamOptions {
    /// Whether a last event tells what was used.
    #[serde(default)]
    include_usage: bool,
}

/// Ask a skill or an agent, as OpenAI's chat completions are asked
///
/// Tools of the client's own are refused: the host calls those of skills. What is refused is refused by name.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", operation_id = "openai_chat_completion",
    request_body = Request,
    responses((status = 200, description = "a `chat.completion`, or its chunks where `stream` is true",
        content((Object = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = super::error::Written)))]
pub(super) async fn complete(State(app): State<App>, bytes: Bytes) -> Result<Response, Wrong> {
    let request: Request = parse::body(&bytes)?;
    if request.n.is_some_and(|n| n != 1) {
        return Err(Wrong::request("n", "one answer is made for a request", "leave `n` out, or ask again"));
    }
    let is_choice: fn(&Value) -> bool = |value| *value == "auto" || *value == "none";
    parse::only("tools", request.tools.as_ref(), parse::is_empty)?;
    parse::only("functions", request.functions.as_ref(), parse::is_empty)?;
    parse::only("response_format", request.response_format.as_ref(), |value| value["type"] == "text")?;
    parse::only("tool_choice", request.tool_choice.as_ref(), is_choice)?;
    parse::only("function_call", request.function_call.as_ref(), is_choice)?;
    parse::only("stop", request.stop.as_ref(), parse::is_empty)?;
    parse::only("logprobs", request.logprobs.as_ref(), |value| *value == false)?;
    parse::only("top_logprobs", request.top_logprobs.as_ref(), |value| *value == 0)?;
    parse::only("modalities", request.modalities.as_ref(), |value| {
        parse::is_empty(value) || *value == json!(["text"])
    })?;
    parse::only("audio", request.audio.as_ref(), |_| false)?;
    parse::only("logit_bias", request.logit_bias.as_ref(), parse::is_empty)?;
    parse::only("store", request.store.as_ref(), |value| *value == false)?;
    parse::only("web_search_options", request.web_search_options.as_ref(), |_| false)?;
    let fields = [("max_completion_tokens", request.max_completion_tokens), ("max_tokens", request.max_tokens)];
    let at_most = parse::at_most(&fields)?;
    let asked = parse::conversation("messages", request.messages)?;
    let target = Target::find(&app.host, &request.model).await?;
    let job = Job::start(&app, target, asked, at_most)?;
    let head = Head { id: fresh("chatcmpl-"), created: now(), model: request.model };
    if request.stream == Some(true) {
        let usage = request.stream_options.is_some_and(|options| options.include_usage);
        return Ok(sse::stream(&app, job, Chunks { head, usage }).await);
    }
    let done = job.done().await?;
    Ok(Json(json!({
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": done.text, "refusal": null },
            "logprobs": null,
            "finish_reason": finish(done.stop_reason),
        }],
        "usage": usage(&done.usage),
    }))
    .into_response())
}

struct Head {
    id: String,
    created: i64,
    model: String,
}

fn finish(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens => "length",
        StopReason::Refused => "content_filter",
        StopReason::End | StopReason::ToolCall | StopReason::StopSequence => "stop",
    }
}

fn usage(used: &Amount) -> Value {
    json!({
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens.saturating_add(used.output_tokens),
    })
}

struct Chunks {
    head: Head,
    /// Whether a last chunk tells what was used.
    usage: bool,
}

impl Chunks {
    fn chunk(&self, choices: Value) -> Value {
        let Head { id, created, model } = &self.head;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices,
        });
        if self.usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn delta(&self, delta: Value, finish: Option<&str>) -> Event {
        data(&self.chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }])))
    }
}

impl Frames for Chunks {
    fn begin(&mut self) -> Vec<Event> {
        vec![self.delta(json!({ "role": "assistant", "content": "" }), None)]
    }

    fn piece(&mut self, text: &str) -> Vec<Event> {
        vec![self.delta(json!({ "content": text }), None)]
    }

    fn end(&mut self, done: &Done) -> Vec<Event> {
        let mut events = vec![self.delta(json!({}), Some(finish(done.stop_reason)))];
        if self.usage {
            let mut last = self.chunk(json!([]));
            last["usage"] = usage(&done.usage);
            events.push(data(&last));
        }
        events.push(Event::default().data("[DONE]"));
        events
    }

    fn failed(&mut self, wrong: &Wrong) -> Vec<Event> {
        vec![data(&wrong.body())]
    }
}
