//! Errors in the form that clients of this interface read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ringfence_core::Error;
use serde_json::{Value, json};

use super::App;
use crate::http::Problem;
use crate::render;
use crate::trouble::Trouble;

/// One error, and the field of the request that it is about.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) error: Error,
    param: Option<&'static str>,
}

impl Wrong {
    /// The request is not one that is answered here.
    pub(super) fn request(param: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: Trouble::new("invalid", message, hint), param: Some(param) }
    }

    /// There is nothing of that name.
    pub(super) fn no_model(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: Trouble::new("not-found", message, hint), param: Some("model") }
    }

    /// As it may leave this machine.
    fn outside(&self, hidden: &[String]) -> Self {
        let problem = Problem::new(self.error.kind(), self.error.to_string(), self.error.hint()).outside(hidden);
        Self { error: Trouble::new(self.error.kind(), problem.detail(), problem.hint()), param: self.param }
    }

    /// `{"error": {...}}`.
    pub(super) fn body(&self) -> Value {
        let kind = self.error.kind();
        let code = if self.param == Some("model") && kind == "not-found" { "model_not_found" } else { kind };
        written(self.status(), code, &self.error.to_string(), &self.error.hint(), self.param)
    }

    fn status(&self) -> StatusCode {
        // A wrong field is a bad request to these clients.
        let status = if self.error.kind() == "invalid" { 400 } else { render::class(self.error.kind()).status };
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// As it is written.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the schema of what `written` makes")]
#[schema(as = OpenAiError)]
pub(super) struct Written {
    error: Told,
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the schema of what `written` makes")]
#[schema(as = OpenAiErrorDetail)]
struct Told {
    /// What happened, and what to do about it.
    message: String,
    /// The group that clients tell apart, such as `invalid_request_error`.
    #[schema(rename = "type")]
    kind: String,
    /// The field of the request that it is about.
    param: Option<String>,
    /// The stable kind of the error, or `model_not_found`.
    code: String,
}

fn written(status: StatusCode, code: &str, message: &str, hint: &str, param: Option<&str>) -> Value {
    let message = if hint.is_empty() { message.to_owned() } else { format!("{message}; {hint}") };
    let group = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "insufficient_quota",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": { "message": message, "type": group, "param": param, "code": code } })
}

/// What there is of this interface.
const SERVED: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/models"];
/// What its clients also ask for, and there is not.
const UNSERVED: [&str; 20] = [
    "/v1/assistants",
    "/v1/audio",
    "/v1/batches",
    "/v1/completions",
    "/v1/containers",
    "/v1/conversations",
    "/v1/edits",
    "/v1/embeddings",
    "/v1/engines",
    "/v1/evals",
    "/v1/files",
    "/v1/fine_tuning",
    "/v1/images",
    "/v1/moderations",
    "/v1/organization",
    "/v1/realtime",
    "/v1/threads",
    "/v1/uploads",
    "/v1/vector_stores",
    "/v1/videos",
];

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn unserved(path: &str) -> Option<&'static str> {
    UNSERVED.into_iter().find(|known| is_below(path, known))
}

/// What whoever asks for a path of this interface is told that is not served. None where it is of another one.
pub(crate) fn no_route(path: &str) -> Option<Problem> {
    let what = unserved(path).or_else(|| SERVED.into_iter().find(|served| is_below(path, served)))?;
    let told =
        if path == what { format!("`{what}` is not served here") } else { format!("nothing is served below `{what}`") };
    Some(Problem::new("not-found", told, format!("of OpenAI's interface there are {}", SERVED.join(", "))))
}

/// A problem that a request met before it came here, such as a token that is missing, as clients of this interface read it. None where
/// the path is of another interface.
pub(crate) fn of_problem(path: &str, status: StatusCode, problem: &Problem) -> Option<Value> {
    let is_ours = SERVED.iter().any(|served| is_below(path, served)) || unserved(path).is_some();
    is_ours.then(|| written(status, problem.kind(), problem.detail(), problem.hint(), None))
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self { error, param: None }
    }
}

impl IntoResponse for Wrong {
    /// Without a body: `tell` knows what may stand in it.
    fn into_response(self) -> Response {
        // The official clients repeat what failed with 429 or 5xx, which would spend once more: only what may pass by itself is repeated.
        let again = matches!(self.error.kind(), "busy" | "unavailable" | "withdrawn");
        let mut response = self.status().into_response();
        response.headers_mut().insert("x-should-retry", HeaderValue::from_static(if again { "true" } else { "false" }));
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl App {
    /// What a client is told of an error. The rest of it is in the log.
    pub(super) fn told(&self, wrong: &Wrong) -> Wrong {
        self.counts.failed(wrong.error.kind());
        tracing::info!(kind = wrong.error.kind(), error = %wrong.error, "a request failed");
        wrong.outside(&self.hidden)
    }
}

/// Writes the error of an answer that has one.
pub(super) async fn tell(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(wrong) = response.extensions_mut().remove::<Arc<Wrong>>() else { return response };
    let (head, _) = response.into_parts();
    let mut told = Json(app.told(&wrong).body()).into_response();
    *told.status_mut() = head.status;
    told.headers_mut().extend(head.headers);
    told
}
