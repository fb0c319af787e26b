//! `/v1/tools`: what can be called, and calling it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringfence_core::{Call, Caller, Error, InvocationId, Offer};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{Access, App, Held, Problem, Segment, invocations};

/// One tool that can be called.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Tool)]
pub(crate) struct ToolView {
    /// By which it is called.
    name: String,
    skill: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    /// JSON Schema 2020-12.
    #[schema(value_type = Object)]
    input_schema: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Value>,
    hints: HintsView,
}

/// What the author says of a tool. Nothing is decided by it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Hints)]
pub(crate) struct HintsView {
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
}

impl ToolView {
    pub(super) fn new(offer: &Offer) -> Self {
        let tool = &offer.tool;
        Self {
            name: offer.name.clone(),
            skill: offer.skill.clone(),
            version: offer.version.to_string(),
            title: tool.title.clone(),
            description: tool.description.clone(),
            input_schema: tool.input_schema.clone(),
            output_schema: tool.output_schema.clone(),
            hints: HintsView {
                read_only: tool.hints.read_only,
                destructive: tool.hints.destructive,
                idempotent: tool.hints.idempotent,
                open_world: tool.hints.open_world,
            },
        }
    }
}

/// A call that gave an outcome, and what it took.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the core's own structure is what is written; this is its schema")]
#[schema(as = Finished, rename_all = "kebab-case")]
pub(crate) struct FinishedView {
    /// Its identifier, for `/v1/runs`.
    invocation: String,
    /// Of the file that answered.
    digest: String,
    outcome: OutcomeView,
    /// What was used: `input-tokens`, `output-tokens`, `micro-dollars`, `host-calls`, `wall-ms`.
    usage: std::collections::BTreeMap<String, u64>,
    /// `queued-us`, `instantiate-us`, `run-us`.
    timings: std::collections::BTreeMap<String, u64>,
    /// The model that answered last, as `provider/model`.
    model: Option<String>,
    /// Most bytes of memory that it had at once.
    memory_peak: u64,
    dropped_log_lines: u64,
    streamed: bool,
}

/// What a tool gave.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the core's own structure is what is written; this is its schema")]
#[schema(as = Outcome)]
pub(crate) struct OutcomeView {
    /// Each with a `type`: `text`, `image`, `audio` or `link`; bytes are base64.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    /// By the tool's output schema, where it has one.
    structured: Option<Value>,
}

/// All tools that can be called, by name
#[utoipa::path(get, path = "/v1/tools", tag = "tools", operation_id = "tool_list",
    responses((status = 200, body = Vec<ToolView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<ToolView>>, Problem> {
    let toolbox = app.host.toolbox().await?;
    Ok(Json(toolbox.iter().map(|offer| ToolView::new(offer)).collect()))
}

/// Call a tool and wait for its outcome
///
/// The body is the tool's input. A client that goes away cancels the call, unless it sent an `Idempotency-Key`: then the call goes on, and the
/// same request gets what came of it, for a quarter of an hour after its end.
#[utoipa::path(post, path = "/v1/tools/{name}", tag = "tools", operation_id = "tool_call",
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Object,
    responses((status = 200, body = FinishedView), (status = 409, body = super::problem::Written),
        (status = "default", body = super::problem::Written)))]
pub(super) async fn call(
    State(app): State<Arc<App>>,
    access: Access,
    held: Option<Extension<Held>>,
    Segment(name): Segment,
    headers: HeaderMap,
    input: Bytes,
) -> Result<Response, Problem> {
    let key = invocations::key(&headers, &[name.as_bytes(), &input])?;
    let offer = find(&app, &name).await?;
    let input = match input.is_empty() {
        true => "{}".to_owned(),
        false => String::from_utf8(input.into())
            .map_err(|_| Problem::new("invalid-input", "the body is not UTF-8", "send a JSON object"))?,
    };
    if key.is_none() {
        let finished = invoke(&app, &offer, InvocationId::random(), input, None, app.ending.child_token()).await?;
        return Ok(Json(finished).into_response());
    }
    let started = invocations::begin(&app, &offer, access, key, input, held)?;
    let outcome = app.invocations.end_of(&started).await.result.clone()?;
    Ok(Json(outcome).into_response())
}

/// The tool of this name.
pub(super) async fn find(app: &App, name: &str) -> Result<Arc<Offer>, Problem> {
    let toolbox = app.host.toolbox().await?;
    toolbox.get(name).cloned().ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        Problem::new("unknown-tool", format!("no tool is named `{name}`"), "`GET /v1/tools` lists those that there are")
    })
}

/// Calls a tool for a client.
pub(super) async fn invoke(
    app: &App,
    offer: &Offer,
    id: InvocationId,
    input: String,
    events: Option<Sender<ringfence_core::Event>>,
    cancel: CancellationToken,
) -> Result<ringfence_core::Finished, Error> {
    let skill = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled()),
        skill = app.host.skill_of(offer) => skill,
    }?;
    let call =
        Call { tool: Some(offer.tool.name.clone()), caller: Caller::Client, events, cancel, ..Call::new(skill, input) };
    app.host.invoke_as(id, call).await
}

fn cancelled() -> Error {
    crate::trouble::Trouble::new("cancelled", "the call was cancelled", "call it again when you like")
}
