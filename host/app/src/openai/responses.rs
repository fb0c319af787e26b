//! `POST /v1/responses`, as Open Responses has it: <https://www.openresponses.org/specification>.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use ringfence_core::budget::Amount;
use ringfence_core::capability::model::types::{Message, Role, StopReason};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::Wrong;
use super::job::{Done, Job};
use super::parse::{self, Asked, Said};
use super::sse::{self, Frames};
use super::target::Target;
use super::{App, fresh, now};

/// What of a request is looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ResponseRequest)]
pub(super) struct Request {
    /// `skill:NAME`, `skill:NAME/TOOL` or `agent:NAME`.
    model: String,
    /// A text, or messages of which the last one is what is asked.
    input: Input,
    #[serde(default)]
    instructions: Option<String>,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    #[schema(ignore)]
    tools: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    previous_response_id: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    conversation: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    background: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    tool_choice: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    prompt: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    text: Option<Text>,
    #[serde(default)]
    #[schema(ignore)]
    store: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    max_tool_calls: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    top_logprobs: Option<Value>,
    /// Most tokens of answers of models.
    #[serde(default)]
    max_output_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(default)]
    format: Option<Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ResponseInput)]
enum Input {
    Text(String),
    Items(Vec<Said>),
}

/// Ask a skill or an agent, as OpenAI's responses are asked
///
/// Nothing is kept between two requests, and tools of the client's own are refused. What is refused is refused by name.
#[utoipa::path(post, path = "/v1/responses", tag = "openai", operation_id = "openai_response",
    request_body = Request,
    responses((status = 200, description = "a `response`, or its events where `stream` is true",
        content((Object = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = super::error::Written)))]
pub(super) async fn respond(State(app): State<App>, bytes: Bytes) -> Result<Response, Wrong> {
    let request: Request = parse::body(&bytes)?;
    parse::only("tools", request.tools.as_ref(), parse::is_empty)?;
    parse::only("previous_response_id", request.previous_response_id.as_ref(), |_| false)?;
    parse::only("conversation", request.conversation.as_ref(), |_| false)?;
    parse::only("background", request.background.as_ref(), |value| *value == false)?;
    parse::only("tool_choice", request.tool_choice.as_ref(), |value| *value == "auto" || *value == "none")?;
    parse::only("prompt", request.prompt.as_ref(), |_| false)?;
    let format = request.text.as_ref().and_then(|text| text.format.as_ref());
    parse::only("text.format", format, |value| value["type"] == "text")?;
    parse::only("store", request.store.as_ref(), |value| *value == false)?;
    parse::only("max_tool_calls", request.max_tool_calls.as_ref(), |_| false)?;
    parse::only("top_logprobs", request.top_logprobs.as_ref(), |value| *value == 0)?;
    let at_most = parse::at_most(&[("max_output_tokens", request.max_output_tokens)])?;
    let mut asked = match request.input {
        Input::Text(text) => Asked { before: Vec::new(), last: Message::text(Role::User, text), param: "input" },
        Input::Items(items) => parse::conversation("input", items)?,
    };
    if let Some(instructions) = &request.instructions {
        asked.before.insert(0, Message::text(Role::System, instructions.clone()));
    }
    let target = Target::find(&app.host, &request.model).await?;
    let job = Job::start(&app, target, asked, at_most)?;
    let mut head = Head {
        id: fresh("resp_"),
        item: fresh("msg_"),
        created: now(),
        model: request.model,
        instructions: request.instructions,
        number: 0,
        text: String::new(),
    };
    if request.stream == Some(true) {
        return Ok(sse::stream(&app, job, head).await);
    }
    let done = job.done().await?;
    head.text.clone_from(&done.text);
    Ok(Json(head.ended(&done)).into_response())
}

/// One response, and what its stream has told so far.
struct Head {
    id: String,
    item: String,
    created: i64,
    model: String,
    instructions: Option<String>,
    number: u64,
    text: String,
}

impl Head {
    fn response(&self, status: &str, output: Value) -> Value {
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.model,
            "instructions": self.instructions,
            "output": output,
            "error": null,
            "incomplete_details": null,
            "metadata": {},
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "store": false,
            "temperature": null,
            "tool_choice": "auto",
            "tools": [],
            "top_p": null,
            "usage": null,
        })
    }

    fn message(&self, status: &str, content: Value) -> Value {
        json!({ "id": self.item, "type": "message", "status": status, "role": "assistant", "content": content })
    }

    fn part(&self) -> Value {
        json!({ "type": "output_text", "text": self.text, "annotations": [], "logprobs": [] })
    }

    fn ended(&self, done: &Done) -> Value {
        let status = status(done.stop_reason);
        let mut response = self.response(status, json!([self.message(status, json!([self.part()]))]));
        if status == "incomplete" {
            let reason = if done.stop_reason == StopReason::Refused { "content_filter" } else { "max_output_tokens" };
            response["incomplete_details"] = json!({ "reason": reason });
        }
        response["usage"] = usage(&done.usage);
        response
    }

    /// An event, with its number.
    fn event(&mut self, kind: &str, mut value: Value) -> Event {
        value["type"] = kind.into();
        value["sequence_number"] = self.number.into();
        self.number += 1;
        Event::default().event(kind).data(value.to_string())
    }

    /// An event about the one part of the one item.
    fn of_part(&mut self, kind: &str, mut value: Value) -> Event {
        value["item_id"] = self.item.clone().into();
        value["output_index"] = 0.into();
        value["content_index"] = 0.into();
        self.event(kind, value)
    }
}

fn status(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens | StopReason::Refused => "incomplete",
        StopReason::End | StopReason::ToolCall | StopReason::StopSequence => "completed",
    }
}

fn usage(used: &Amount) -> Value {
    json!({
        "input_tokens": used.input_tokens,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": used.output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": used.input_tokens.saturating_add(used.output_tokens),
    })
}

impl Frames for Head {
    fn begin(&mut self) -> Vec<Event> {
        let (response, item) = (self.response("in_progress", json!([])), self.message("in_progress", json!([])));
        let part = self.part();
        vec![
            self.event("response.created", json!({ "response": response })),
            self.event("response.in_progress", json!({ "response": response })),
            self.event("response.output_item.added", json!({ "output_index": 0, "item": item })),
            self.of_part("response.content_part.added", json!({ "part": part })),
        ]
    }

    fn piece(&mut self, text: &str) -> Vec<Event> {
        self.text.push_str(text);
        vec![self.of_part("response.output_text.delta", json!({ "delta": text, "logprobs": [] }))]
    }

    fn end(&mut self, done: &Done) -> Vec<Event> {
        let (text, part, response) = (self.text.clone(), self.part(), self.ended(done));
        let item = response["output"][0].clone();
        let kind = if status(done.stop_reason) == "completed" { "response.completed" } else { "response.incomplete" };
        vec![
            self.of_part("response.output_text.done", json!({ "text": text, "logprobs": [] })),
            self.of_part("response.content_part.done", json!({ "part": part })),
            self.event("response.output_item.done", json!({ "output_index": 0, "item": item })),
            self.event(kind, json!({ "response": response })),
        ]
    }

    fn failed(&mut self, wrong: &Wrong) -> Vec<Event> {
        let error = &wrong.body()["error"];
        let mut response = self.response("failed", json!([]));
        response["error"] = json!({ "code": "server_error", "message": error["message"] });
        vec![self.event("response.failed", json!({ "response": response }))]
    }
}
