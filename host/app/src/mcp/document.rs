//! What `/mcp` is, for the document of all routes. What is said there is the protocol's own, and described there.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(send, hear, end))]
struct Document;

pub(crate) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// A message of the Model Context Protocol
///
/// Streamable HTTP, up to 2025-11-25 with sessions and from 2026-07-28 without: <https://modelcontextprotocol.io/specification/2026-07-28>.
#[utoipa::path(post, path = "/mcp", tag = "mcp", operation_id = "mcp_send",
    params(("Accept" = String, Header, description = "`application/json, text/event-stream`"),
        ("MCP-Protocol-Version" = Option<String>, Header), ("Mcp-Session-Id" = Option<String>, Header)),
    request_body = Object,
    responses((status = 200, description = "what answers it", content((Object = "application/json"), (String = "text/event-stream"))),
        (status = 202, description = "it wanted no answer"),
        (status = "default", description = "an error of JSON-RPC", body = Object)))]
#[allow(dead_code, reason = "the library serves it")]
fn send() {}

/// What the server tells by itself in a session
#[utoipa::path(get, path = "/mcp", tag = "mcp", operation_id = "mcp_hear",
    params(("Mcp-Session-Id" = String, Header), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 404, description = "there is no such session", body = Object),
        (status = "default", description = "an error of JSON-RPC", body = Object)))]
#[allow(dead_code, reason = "the library serves it")]
fn hear() {}

/// End a session
#[utoipa::path(delete, path = "/mcp", tag = "mcp", operation_id = "mcp_end",
    params(("Mcp-Session-Id" = String, Header)),
    responses((status = 202, description = "it is ended"), (status = 404, description = "there is no such session", body = Object),
        (status = "default", description = "an error of JSON-RPC", body = Object)))]
#[allow(dead_code, reason = "the library serves it")]
fn end() {}
