//! What a client over HTTP is told of a request that comes to nothing before a server of ours sees it: an error of JSON-RPC, as over a
//! stream of lines.
//!
//! The library answers with a status and a line of text, and calls what is no message the wrong kind of body.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server>

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rmcp::model::{ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::SessionManager as _;

use serde_json::{Value, json};

use super::lines::{Read, understood, written};
use super::sessions::Sessions;
use super::{BUSY, MESSAGE_BYTES};
use crate::http::Written;

/// Most bytes of what the library says of a request.
const WORDS: usize = 4 << 10;
/// The header that names a session.
const SESSION: &str = "mcp-session-id";

/// Gives the answer to a request, and in place of a line of text an error that a client can read.
pub(super) async fn told(State(sessions): State<Arc<Sessions>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    // It has been read, and has a cap of its own.
    let Ok(bytes) = to_bytes(body, MESSAGE_BYTES).await else {
        let words = format!("a message has at most {MESSAGE_BYTES} bytes");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, ErrorData::invalid_request(words, None), None);
    };
    let sent = head.method == Method::POST;
    // The library says of any session that it is ended now.
    let ends_nothing = head.method == Method::DELETE && !is_there(&sessions, &head.headers).await;
    let answer = next.run(Request::from_parts(head, Body::from(bytes.clone()))).await;
    let status = answer.status();
    if ends_nothing && status.is_success() {
        let words = "Not Found: Session not found";
        return refusal(StatusCode::NOT_FOUND, ErrorData::new(ErrorCode(-32000), words, None), None);
    }
    if !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    if is_json(answer.headers()) {
        return with_id(answer).await;
    }
    if sent && status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        match understood(bytes.trim_ascii()) {
            Read::Refused(error, id) => return refusal(StatusCode::BAD_REQUEST, error, id),
            Read::Nothing if !bytes.is_empty() => return StatusCode::ACCEPTED.into_response(),
            _ => return refusal(StatusCode::BAD_REQUEST, ErrorData::parse_error("there is no message", None), None),
        }
    }
    let allow = answer.headers().get(header::ALLOW).cloned();
    let said = to_bytes(answer.into_body(), WORDS).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    if said.ends_with(BUSY) {
        let error = ErrorData::new(ErrorCode(-32000), format!("busy: {BUSY}; try again in a moment"), None);
        let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, error, None);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return answer;
    }
    let mut answer = if status.is_server_error() {
        tracing::warn!(%status, "a request for MCP came to nothing: {said}");
        refusal(status, ErrorData::internal_error("the host could not do it", None), None)
    } else {
        refusal(status, ErrorData::new(ErrorCode(-32000), crate::ui::printable(&said), None), None)
    };
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

/// A problem that a request met before it came here, such as a body that is too large, as an error of JSON-RPC with all that is told of it.
/// None where the path is of another interface.
pub(crate) fn of_problem(path: &str, problem: &Written) -> Option<Value> {
    let code = match problem.kind() {
        "too-large" | "unsupported-media-type" | "invalid" => ErrorCode::INVALID_REQUEST,
        _ => ErrorCode(-32000),
    };
    let error = || json!({ "code": code.0, "message": problem.sentence(), "data": problem });
    (path == super::PATH).then(|| json!({ "jsonrpc": "2.0", "id": null, "error": error() }))
}

/// Whether there is the session that a request names.
async fn is_there(sessions: &Sessions, headers: &HeaderMap) -> bool {
    match headers.get(SESSION).and_then(|id| id.to_str().ok()) {
        Some(id) => sessions.has_session(&id.into()).await.unwrap_or(false),
        None => false,
    }
}

/// The library's own error, with a null where it gives no id.
async fn with_id(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let bytes = to_bytes(body, MESSAGE_BYTES).await.unwrap_or_default();
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(mut error)) if error.contains_key("error") && !error.contains_key("id") => {
            error.insert("id".to_owned(), Value::Null);
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Value::Object(error).to_string().into())
        }
        _ => Response::from_parts(head, bytes.into()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

fn refusal(status: StatusCode, error: ErrorData, id: Option<RequestId>) -> Response {
    // Serialising our own plain structure cannot fail.
    let text = written(&ServerJsonRpcMessage::error(error, id)).unwrap_or_default();
    let mut answer = (status, text).into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
