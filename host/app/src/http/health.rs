//! Whether the server lives, whether it takes work, and its figures.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{App, Problem};

/// Whether the server lives
#[utoipa::path(get, path = "/healthz", tag = "server", operation_id = "health", security(()),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn lives() -> &'static str {
    "ok\n"
}

/// Whether the server takes work
#[utoipa::path(get, path = "/readyz", tag = "server", operation_id = "ready", security(()),
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, body = super::problem::Written)))]
pub(super) async fn is_ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.closing.is_cancelled() {
        return Err(Problem::new("unavailable", "the server is about to end", "ask another one"));
    }
    app.host.toolbox().await?;
    Ok("ok\n")
}

/// Figures in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "server", operation_id = "metrics",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    // https://prometheus.io/docs/instrumenting/exposition_formats/
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&app)).into_response()
}

fn text(app: &App) -> String {
    let mut text = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP ringfence_{name} {help}\n# TYPE ringfence_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "ringfence_{name}{labels} {value}");
        }
    };
    let plain = |value: usize| [(String::new(), value as u64)];
    figure("info", "gauge", "Always 1.", &[(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1)]);
    figure("connections", "gauge", "Connections that are open.", &plain(app.connections.len()));
    figure("invocations_running", "gauge", "Invocations that hold a slot.", &plain(app.host.running()));
    figure("invocations_waiting", "gauge", "Invocations that wait for a slot.", &plain(app.host.waiting()));
    figure(
        "invocations_started",
        "gauge",
        "Started by /v1/invocations and not ended.",
        &plain(app.invocations.running()),
    );
    let classes: Vec<_> = app.counts.by_class().map(|(class, n)| (format!("{{status=\"{class}\"}}"), n)).collect();
    figure("http_requests_total", "counter", "Requests that were answered, by class of status.", &classes);
    let kinds = app.counts.by_kind().into_iter().map(|(kind, n)| (format!("{{result=\"{kind}\"}}"), n));
    figure("calls_total", "counter", "Calls of tools, by how they ended.", &kinds.collect::<Vec<_>>());
    text
}
