//! Requests in a trace: below what the client names, one that was let in.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use ringfence_core::trace::TARGET;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::{mcp, telemetry};

/// Follows what works. Looks at how things stand are none of it.
pub(super) async fn traced(mut request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    // The path as it is served: what stands in its place may be anything.
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = format!("POST {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = "POST",
        http.route = route,
        http.response.status_code = Empty,
    );
    telemetry::from_headers(&span, request.headers());
    // Each copy of a span is a look-up for whoever listens, so that nobody else is given one.
    if route == mcp::PATH {
        request.extensions_mut().insert(telemetry::RequestSpan(span.clone()));
    }
    let mut work = std::pin::pin!(next.run(request).instrument(span));
    let response = work.as_mut().await;
    let (span, status) = (work.span(), response.status());
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}
