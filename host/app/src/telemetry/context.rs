//! Trace context (W3C) of others: taken from those who call, told to providers of models.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::HeaderMap;
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;

use super::spans;

/// Whether any of it is done. One for the process, like the listener.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The span of a request, for those who work on it in tasks of their own.
#[derive(Clone)]
pub(crate) struct RequestSpan(pub(crate) Span);

pub(super) fn begin() {
    BEGUN.store(true, Ordering::Relaxed);
    ringfence_core::trace::carry_with(carried);
}

/// Puts a span below what the headers of a request name. To be called before anything else is done with the span.
pub(crate) fn from_headers(span: &Span, headers: &HeaderMap) {
    // Most have none, and to look for one costs as much as a span does.
    if headers.contains_key("traceparent") {
        below(span, &HeaderExtractor(headers));
    }
}

/// As [`from_headers`], for the fields of a message.
pub(crate) fn from_meta(span: &Span, fields: &serde_json::Map<String, serde_json::Value>) {
    let text = |name: &str| Some((name.to_owned(), fields.get(name)?.as_str()?.to_owned()));
    let fields: HashMap<String, String> = ["traceparent", "tracestate"].into_iter().filter_map(text).collect();
    if !fields.is_empty() {
        below(span, &fields);
    }
}

fn below(span: &Span, fields: &dyn opentelemetry::propagation::Extractor) {
    if BEGUN.load(Ordering::Relaxed) && !span.is_disabled() {
        let context = TraceContextPropagator::new().extract(fields);
        let parent = context.span().span_context().clone();
        // What is none begins a trace of its own.
        if parent.is_valid() {
            spans::set_parent(span, &parent);
        }
    }
}

struct Fields(Vec<(&'static str, String)>);

impl Injector for Fields {
    fn set(&mut self, key: &str, value: String) {
        let known = ["traceparent", "tracestate"].into_iter().find(|known| *known == key);
        // A `tracestate` is mostly empty, and then it is nothing to send.
        if let Some(name) = known.filter(|_| !value.is_empty()) {
            self.0.push((name, value));
        }
    }
}

fn carried(span: &Span) -> Vec<(&'static str, String)> {
    let mut fields = Fields(Vec::new());
    if let Some(context) = spans::context(span) {
        let context = opentelemetry::Context::new().with_remote_span_context(context);
        TraceContextPropagator::new().inject_context(&context, &mut fields);
    }
    fields.0
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use ringfence_core::trace::TARGET;
    use serde_json::json;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::outbox::{Outbox, Schedule};
    use super::super::spans::Spans;
    use super::*;
    use crate::config::Environment;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_trace_goes_on_from_who_calls_to_whom_is_called() {
        BEGUN.store(true, Ordering::Relaxed);
        let provider = SdkTracerProvider::builder().build();
        let (outbox, carrier) = Outbox::begin(Schedule::of(&Environment::default()), |_| {}).unwrap();
        let layer = Spans::new(provider.tracer("test"), outbox);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let told = |take: &dyn Fn(&Span)| {
                let span = tracing::info_span!(target: TARGET, "face");
                take(&span);
                let inner = tracing::info_span!(target: TARGET, parent: &span, "act");
                let fields = carried(&inner);
                fields.iter().find(|(name, _)| *name == "traceparent").map(|(_, value)| value.clone()).unwrap()
            };
            let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
            let meta = json!({ "traceparent": parent, "tracestate": "a=b", "progressToken": 1 });
            let meta = meta.as_object().unwrap();
            let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), parent.parse().unwrap())]);
            for traceparent in [told(&|span| from_meta(span, meta)), told(&|span| from_headers(span, &headers))] {
                assert!(traceparent.contains(TRACE) && !traceparent.contains("b7ad6b7169203331"), "{traceparent}");
            }
            let wrong = json!({ "traceparent": "00-x-y-01" });
            let alone = told(&|span| from_meta(span, wrong.as_object().unwrap()));
            assert!(!alone.contains(TRACE), "what is none begins a trace of its own: {alone}");
        });
        carrier.end(std::time::Duration::from_secs(60)).unwrap();
    }
}
