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
    let kinds = app.counts.errors().into_iter().map(|(kind, n)| (format!("{{kind=\"{kind}\"}}"), n));
    let errors: Vec<_> = kinds.collect();
    figure("errors_total", "counter", "Errors that clients were told of, also of calls that never began.", &errors);
    let runs = app.counts.runs();
    let calls = runs.calls.iter().map(|(kind, n)| (format!("{{result=\"{kind}\"}}"), *n));
    let calls: Vec<_> = calls.collect();
    figure("calls_total", "counter", "Calls of tools and of agents by clients, by how they ended.", &calls);
    let inner = runs.inner.iter().map(|((by, kind), n)| (format!("{{caller=\"{by}\",result=\"{kind}\"}}"), *n));
    let inner: Vec<_> = inner.collect();
    figure("inner_calls_total", "counter", "Calls of tools by models of agents and by skills.", &inner);
    let of_models = |way: &str, n: u64| (format!("{{direction=\"{way}\"}}"), n);
    let tokens = [of_models("input", runs.used.input_tokens), of_models("output", runs.used.output_tokens)];
    figure("tokens_total", "counter", "Tokens of models that calls by clients have used.", &tokens);
    let money = [(String::new(), runs.used.micro_dollars)];
    figure("micro_dollars_total", "counter", "Millionths of a dollar that calls by clients have cost.", &money);
    let missed = [(String::new(), runs.missed)];
    figure("calls_missed_total", "counter", "Calls that ended faster than they could be counted.", &missed);
    let up_to = runs.took.up_to().map(|(most, n)| (format!("_bucket{{le=\"{most}\"}}"), n));
    let ends = [("_bucket{le=\"+Inf\"}".to_owned(), runs.took.count), ("_count".to_owned(), runs.took.count)];
    let took: Vec<_> = up_to.chain(ends).collect();
    figure("call_duration_seconds", "histogram", "How long calls by clients took, with the time in line.", &took);
    let _ = writeln!(text, "ringfence_call_duration_seconds_sum {}", runs.took.sum.as_secs_f64());
    text
}
