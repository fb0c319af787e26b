//! The interface of OpenAI, over skills and agents: what speaks to a model can speak to them.
//!
//! `skill:NAME` is a tool of a skill, which is called with the last message; `agent:NAME` is an agent, whose tools the host calls. Access
//! is checked by whoever mounts these routes. A client that goes away cancels what it asked for.
//!
//! Deliberately absent: tools of the client's own, and what would have to be kept between two requests.

mod chat;
mod error;
mod job;
mod models;
mod parse;
mod responses;
mod sse;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use error::{no_route, of_problem};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use ringfence_core::Host;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;

use crate::http::Counts;

/// Most bytes of a request.
const BODY_BYTES: usize = 16 << 20;

/// What the routes share.
#[derive(Clone)]
struct App {
    host: Host,
    /// Paths that no answer names.
    hidden: Arc<[String]>,
    counts: Arc<Counts>,
    /// Cancelled when the server ends: what is under way settles then.
    ending: CancellationToken,
}

/// `/v1/models`, `/v1/chat/completions` and `/v1/responses`. No answer names a path below one of `hidden`. What is under way
/// when `ending` is cancelled is cancelled too.
pub(crate) fn router(host: Host, hidden: Vec<String>, counts: Arc<Counts>, ending: CancellationToken) -> Router {
    let app = App { host, hidden: hidden.into(), counts, ending };
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/responses", post(responses::respond))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), error::tell))
        .with_state(app)
}

/// What these routes are, for the document of all routes.
#[derive(OpenApi)]
#[openapi(paths(models::list, models::one, chat::complete, responses::respond))]
struct Document;

pub(crate) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Seconds since 1970, as this interface tells times.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A name for what is made here: `chatcmpl-...`.
fn fresh(kind: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let time = jiff::Timestamp::now().as_nanosecond();
    format!("{kind}{time:x}{:04x}", NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff)
}
