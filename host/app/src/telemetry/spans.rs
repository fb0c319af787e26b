//! The spans of runs, for the collector: what `tracing` tells of them, written down as it comes.
//!
//! Which trace the first span here is of and whether it is sampled is the SDK's to say, by a span of its own that holds nothing else. What a span of
//! ours says goes straight into the bytes that are sent (`otlp.rs`).

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanContext, TraceContextExt as _, Tracer as _};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SdkTracer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::otlp::{self, Value};
use super::outbox::Outbox;

/// Listens to spans, and puts each that has ended and is sampled into the outbox.
pub(super) struct Spans {
    tracer: SdkTracer,
    outbox: Outbox,
}

/// A span that has not ended.
struct Open {
    context: SpanContext,
    parent: SpanContext,
    written: otlp::Span,
    is_named: bool,
    has_failed: bool,
}

impl Spans {
    pub(super) fn new(tracer: SdkTracer, outbox: Outbox) -> Self {
        Self { tracer, outbox }
    }
}

/// The place of a new span below another one. Of what is below one of ours every sampler thinks what it thought of that one: by its trace
/// or by its parent.
fn below(tracer: &SdkTracer, parent: &SpanContext) -> SpanContext {
    if parent.is_valid() && !parent.is_remote() {
        let (trace, span) = (parent.trace_id(), RandomIdGenerator::default().new_span_id());
        return SpanContext::new(trace, span, parent.trace_flags(), false, parent.trace_state().clone());
    }
    let mut above = opentelemetry::Context::new();
    if parent.is_valid() {
        above = above.with_remote_span_context(parent.clone());
    }
    tracer.span_builder("").start_with_context(tracer, &above).span_context().clone()
}

/// The place of a span that is listened to.
pub(super) fn context(span: &tracing::Span) -> Option<SpanContext> {
    with(span, |_, open| open.context.clone())
}

/// Puts a span below one of another program. What is below the span already stays where it is.
pub(super) fn set_parent(span: &tracing::Span, parent: &SpanContext) {
    with(span, |spans, open| {
        open.context = below(&spans.tracer, parent);
        open.parent = parent.clone();
    });
}

fn with<T>(span: &tracing::Span, work: impl FnOnce(&Spans, &mut Open) -> T) -> Option<T> {
    span.with_subscriber(|(id, subscriber)| {
        let spans = subscriber.downcast_ref::<Spans>()?;
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        let mut extensions = span.extensions_mut();
        extensions.get_mut::<Open>().map(|open| work(spans, open))
    })?
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = match attributes.parent() {
            Some(parent) => context.span(parent),
            None if attributes.is_contextual() => context.lookup_current(),
            None => None,
        };
        let parent = above.and_then(|above| above.extensions().get::<Open>().map(|open| open.context.clone()));
        let parent = parent.unwrap_or(SpanContext::NONE);
        let mut open = Open {
            context: below(&self.tracer, &parent),
            parent,
            written: otlp::Span::begin(SystemTime::now()),
            is_named: false,
            has_failed: false,
        };
        attributes.record(&mut Told::new(|name, value| open.said(name, value)));
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut Told::new(|name, value| open.said(name, value)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(span) = context.event_span(event)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            let mut happened = otlp::Event::new(SystemTime::now());
            event.record(&mut Told::new(|name, value| match (name, value) {
                ("message", Value::Text(name)) => happened.name(name),
                (name, value) => happened.attribute(name, value),
            }));
            open.written.event(&happened);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(mut open) = span.extensions_mut().remove::<Open>() else { return };
        if !open.context.is_sampled() {
            return;
        }
        if !open.is_named {
            open.written.name(span.name());
        }
        if open.has_failed {
            open.written.failed();
        }
        let now = SystemTime::now();
        self.outbox.put(|bytes| open.written.end(now, &open.context, &open.parent, bytes));
    }
}

impl Open {
    fn said(&mut self, name: &str, value: Value<'_>) {
        match (name, value) {
            ("otel.name", Value::Text(name)) => {
                self.written.name(name);
                self.is_named = true;
            }
            ("otel.kind", Value::Text(kind)) => self.written.kind(kind),
            ("otel.status_code", Value::Text(code)) => self.has_failed |= code == "ERROR",
            (name, value) => self.written.attribute(name, value),
        }
    }
}

/// Values as `tracing` tells them. Numbers without a sign become such with one, which are all that OpenTelemetry has.
struct Told<F>(F);

impl<F: FnMut(&'static str, Value<'_>)> Told<F> {
    fn new(told: F) -> Self {
        Self(told)
    }
}

impl<F: FnMut(&'static str, Value<'_>)> Visit for Told<F> {
    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(field.name(), Value::Text(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(field.name(), Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(field.name(), Value::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.0)(field.name(), Value::Double(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        (self.0)(field.name(), Value::Text(&format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState, TracerProvider as _};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span as Wire;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use prost::Message as _;
    use tracing::field::Empty;
    use tracing::{Level, info_span};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::ours;
    use super::super::outbox::Schedule;
    use super::*;
    use crate::config::Environment;
    use ringfence_core::trace::TARGET;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// The spans that a collector is sent, in the order in which they ended.
    fn sent(sampler: Sampler, work: impl FnOnce()) -> Vec<Wire> {
        let (sends, batches) = channel();
        let head = otlp::Head::new(&Resource::builder_empty().build(), "test");
        let send = move |spans: &[u8]| sends.send(head.request(spans)).unwrap();
        let (outbox, carrier) = Outbox::begin(Schedule::of(&Environment::default()), send).unwrap();
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = Spans::new(provider.tracer("test"), outbox).with_filter(ours());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        carrier.end(PATIENCE).unwrap();
        let batches = batches.iter().map(|batch| ExportTraceServiceRequest::decode(&*batch).unwrap());
        let scopes = batches.flat_map(|batch| batch.resource_spans).flat_map(|spans| spans.scope_spans);
        scopes.flat_map(|spans| spans.spans).collect()
    }

    fn remote(flags: TraceFlags) -> SpanContext {
        SpanContext::new(TraceId::from(5), SpanId::from(6), flags, true, TraceState::default())
    }

    #[test]
    fn spans_are_one_trace_below_each_other_however_they_were_told() {
        let all = sent(Sampler::AlwaysOn, || {
            let outer = info_span!(target: TARGET, "outer", otel.name = "POST /x", otel.kind = "server", late = Empty);
            outer.in_scope(|| {
                let other = info_span!(target: "other", "not ours");
                other.in_scope(|| drop(info_span!(target: TARGET, "by what is current", n = 1_u64)));
            });
            drop(info_span!(target: TARGET, parent: &outer, "by name"));
            tracing::event!(target: TARGET, parent: &outer, Level::INFO, { message = "refused", why = "denied" });
            outer.record("late", -7_i64);
            outer.record("otel.status_code", "ERROR");
            drop(info_span!(target: TARGET, parent: None, "alone"));
        });
        let names: Vec<_> = all.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["by what is current", "by name", "alone", "POST /x"]);
        let (children, outer) = (&all[..2], &all[3]);
        for child in children {
            assert_eq!((&child.trace_id, &child.parent_span_id), (&outer.trace_id, &outer.span_id));
        }
        assert_ne!(all[2].trace_id, outer.trace_id);
        assert!(outer.parent_span_id.is_empty() && outer.end_time_unix_nano >= outer.start_time_unix_nano);
        // No field was declared for the status: what is not declared is not recorded.
        assert_eq!(outer.status, None);
        let attributes: Vec<_> = outer.attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(attributes, ["late"]);
        assert_eq!((outer.events.len(), outer.events[0].name.as_str()), (1, "refused"));
        assert_eq!(outer.events[0].attributes[0].key, "why");
    }

    #[test]
    fn what_fails_says_so() {
        let all = sent(Sampler::AlwaysOn, || {
            let span = info_span!(target: TARGET, "fails", otel.status_code = Empty);
            span.record("otel.status_code", "ERROR");
        });
        assert_eq!(all[0].status.as_ref().map(|status| status.code), Some(2));
        assert!(all[0].attributes.is_empty());
    }

    #[test]
    fn a_trace_of_another_program_goes_on_and_is_sampled_as_that_one_says() {
        let sampler = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let work = |flags: TraceFlags| {
            sent(sampler(), || {
                let span = info_span!(target: TARGET, "request");
                set_parent(&span, &remote(flags));
                assert_eq!(context(&span).unwrap().trace_id(), TraceId::from(5));
                drop(info_span!(target: TARGET, parent: &span, "inner"));
            })
        };
        let all = work(TraceFlags::SAMPLED);
        let [inner, request] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((&inner.parent_span_id, &inner.trace_id), (&request.span_id, &request.trace_id));
        assert_eq!(request.parent_span_id, 6_u64.to_be_bytes());
        assert_eq!((request.flags & 0x200, inner.flags & 0x200), (0x200, 0), "whose parent is elsewhere");
        assert_eq!(work(TraceFlags::default()), []);
        assert_eq!(sent(sampler(), || drop(info_span!(target: TARGET, "of nobody"))), []);
    }

    #[test]
    fn where_nobody_listens_no_span_has_a_place() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = info_span!(target: TARGET, "unheard");
            set_parent(&span, &remote(TraceFlags::SAMPLED));
            assert!(context(&span).is_none() && context(&tracing::Span::none()).is_none());
        });
    }
}
