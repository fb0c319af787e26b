//! Spans in the form that collectors take: the protobuf of OTLP, written as things become known.
//!
//! Numbers of fields are those of `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto` (OTLP 1.x). The library's own
//! types need an allocation for each name and each value, most of them made by the thread of the call and freed by the one that sends;
//! with them two spans of a call over HTTP took 8 of its 46 us, most of it in the allocator. Fields of a message may come in any order, so
//! each is written once, where it becomes known, into bytes that are sent as they are. The tests read them with the library's types.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, SpanFlags};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// `Span.trace_id` and so on.
mod span {
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const DROPPED_ATTRIBUTES: u32 = 10;
    pub(super) const EVENTS: u32 = 11;
    pub(super) const DROPPED_EVENTS: u32 = 12;
    pub(super) const STATUS: u32 = 15;
    pub(super) const FLAGS: u32 = 16;
}

/// `Span.Event.time_unix_nano` and so on.
mod event {
    pub(super) const TIME: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const ATTRIBUTES: u32 = 3;
}

/// `KeyValue.key`, `KeyValue.value`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
/// `Status.code`.
const CODE: u32 = 3;
/// `ExportTraceServiceRequest.resource_spans`, `ResourceSpans.scope_spans`, `ScopeSpans.spans`.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SPANS: u32 = 2;

/// What an attribute is.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
}

impl Value<'_> {
    /// The field of `AnyValue`, and what goes into it as a length or a number.
    fn len(self) -> usize {
        key_len(1)
            + match self {
                Self::Text(text) => encoded_len_varint(text.len() as u64) + text.len(),
                Self::Bool(_) => 1,
                Self::Int(number) => encoded_len_varint(number.cast_unsigned()),
                Self::Double(_) => 8,
            }
    }

    fn write(self, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_bytes(1, text.as_bytes(), to),
            Self::Bool(is) => write_number(2, is.into(), to),
            Self::Int(number) => write_number(3, number.cast_unsigned(), to),
            Self::Double(number) => write_fixed64(4, number.to_bits(), to),
        }
    }
}

fn write_bytes(field: u32, bytes: &[u8], to: &mut Vec<u8>) {
    write_len(field, bytes.len(), to);
    to.extend_from_slice(bytes);
}

/// The head of something of this length.
fn write_len(field: u32, len: usize, to: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, to);
    encode_varint(len as u64, to);
}

fn len_of(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

fn write_number(field: u32, number: u64, to: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, to);
    encode_varint(number, to);
}

fn write_fixed64(field: u32, number: u64, to: &mut Vec<u8>) {
    encode_key(field, WireType::SixtyFourBit, to);
    to.extend_from_slice(&number.to_le_bytes());
}

fn write_pair(field: u32, name: &str, value: Value<'_>, to: &mut Vec<u8>) {
    let value_len = value.len();
    write_len(field, len_of(KEY, name.len()) + len_of(VALUE, value_len), to);
    write_bytes(KEY, name.as_bytes(), to);
    write_len(VALUE, value_len, to);
    value.write(to);
}

fn nanos(time: SystemTime) -> u64 {
    // A clock before 1970 is none.
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A span that is being written.
pub(super) struct Span {
    bytes: Vec<u8>,
    has_kind: bool,
    attributes: u64,
    events: u64,
}

/// Attributes of a span, and events, that are sent; what is beyond is only counted (the SDK's usual limits). Who makes events is a skill
/// that is refused things.
const MOST: u64 = 128;

/// What a span of ours takes without growing: one of an invocation has 400 to 450 bytes.
const USUAL: usize = 512;

impl Span {
    pub(super) fn begin(now: SystemTime) -> Self {
        let mut bytes = Vec::with_capacity(USUAL);
        write_fixed64(span::START, nanos(now), &mut bytes);
        Self { bytes, has_kind: false, attributes: 0, events: 0 }
    }

    pub(super) fn name(&mut self, name: &str) {
        write_bytes(span::NAME, name.as_bytes(), &mut self.bytes);
    }

    /// As `otel.kind` says it. A kind that is unknown is none.
    pub(super) fn kind(&mut self, kind: &str) {
        let kind = match kind {
            "server" => SpanKind::Server,
            "client" => SpanKind::Client,
            "producer" => SpanKind::Producer,
            "consumer" => SpanKind::Consumer,
            _ => SpanKind::Internal,
        };
        self.has_kind = true;
        write_number(span::KIND, (kind as i32).unsigned_abs().into(), &mut self.bytes);
    }

    pub(super) fn attribute(&mut self, name: &str, value: Value<'_>) {
        self.attributes += 1;
        if self.attributes <= MOST {
            write_pair(span::ATTRIBUTES, name, value, &mut self.bytes);
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.events += 1;
        if self.events <= MOST {
            write_bytes(span::EVENTS, &event.0, &mut self.bytes);
        }
    }

    pub(super) fn failed(&mut self) {
        let code = u64::from((StatusCode::Error as i32).unsigned_abs());
        write_len(span::STATUS, key_len(CODE) + encoded_len_varint(code), &mut self.bytes);
        write_number(CODE, code, &mut self.bytes);
    }

    /// The whole of it, as one of `ScopeSpans.spans`.
    pub(super) fn end(mut self, now: SystemTime, context: &SpanContext, parent: &SpanContext, to: &mut Vec<u8>) {
        if !self.has_kind {
            self.kind("internal");
        }
        let bytes = &mut self.bytes;
        for (field, all) in [(span::DROPPED_ATTRIBUTES, self.attributes), (span::DROPPED_EVENTS, self.events)] {
            if all > MOST {
                write_number(field, (all - MOST).min(u32::MAX.into()), bytes);
            }
        }
        write_fixed64(span::END, nanos(now), bytes);
        write_bytes(span::TRACE_ID, &context.trace_id().to_bytes(), bytes);
        write_bytes(span::SPAN_ID, &context.span_id().to_bytes(), bytes);
        if *context.trace_state() != TraceState::NONE {
            write_bytes(span::TRACE_STATE, context.trace_state().header().as_bytes(), bytes);
        }
        let mut flags = u32::from(context.trace_flags().to_u8()) | SpanFlags::ContextHasIsRemoteMask as u32;
        if parent.is_valid() {
            write_bytes(span::PARENT_SPAN_ID, &parent.span_id().to_bytes(), bytes);
            if parent.is_remote() {
                flags |= SpanFlags::ContextIsRemoteMask as u32;
            }
        }
        encode_key(span::FLAGS, WireType::ThirtyTwoBit, bytes);
        bytes.extend_from_slice(&flags.to_le_bytes());
        write_bytes(SPANS, bytes, to);
    }
}

/// Something that happened within a span.
pub(super) struct Event(Vec<u8>);

impl Event {
    pub(super) fn new(now: SystemTime) -> Self {
        let mut bytes = Vec::new();
        write_fixed64(event::TIME, nanos(now), &mut bytes);
        Self(bytes)
    }

    pub(super) fn name(&mut self, name: &str) {
        write_bytes(event::NAME, name.as_bytes(), &mut self.0);
    }

    pub(super) fn attribute(&mut self, name: &str, value: Value<'_>) {
        write_pair(event::ATTRIBUTES, name, value, &mut self.0);
    }
}

/// What stands before the spans of each delivery: whose they are.
pub(super) struct Head {
    /// `ResourceSpans` without its spans.
    resource: Vec<u8>,
    /// `ScopeSpans` without its spans.
    scope: Vec<u8>,
}

impl Head {
    pub(super) fn new(resource: &Resource, scope: &str) -> Self {
        let ResourceAttributesWithSchema { attributes, schema_url } = resource.into();
        let resource = v1::Resource { attributes: attributes.0, ..Default::default() };
        let resource = ResourceSpans {
            resource: Some(resource),
            schema_url: schema_url.unwrap_or_default(),
            ..ResourceSpans::default()
        };
        let scope = InstrumentationScope { name: scope.to_owned(), ..InstrumentationScope::default() };
        let scope = ScopeSpans { scope: Some(scope), ..ScopeSpans::default() };
        Self { resource: resource.encode_to_vec(), scope: scope.encode_to_vec() }
    }

    /// A whole `ExportTraceServiceRequest`, of spans as [`Span::end`] wrote them one behind the other.
    pub(super) fn request(&self, spans: &[u8]) -> Vec<u8> {
        let of_scope = self.scope.len() + spans.len();
        let of_resource = self.resource.len() + len_of(SCOPE_SPANS, of_scope);
        let mut request = Vec::with_capacity(len_of(RESOURCE_SPANS, of_resource));
        write_len(RESOURCE_SPANS, of_resource, &mut request);
        request.extend_from_slice(&self.resource);
        write_len(SCOPE_SPANS, of_scope, &mut request);
        request.extend_from_slice(&self.scope);
        request.extend_from_slice(spans);
        request
    }
}

/// The same request as JSON (OTLP/JSON), for collectors that take no protobuf.
pub(super) fn json(request: &[u8]) -> Result<Vec<u8>, String> {
    let request = ExportTraceServiceRequest::decode(request).map_err(|error| error.to_string())?;
    serde_json::to_vec(&request).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::KeyValue;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as Pair};
    use opentelemetry_proto::tonic::trace::v1::{self as wire, Status};
    use proptest::prelude::*;

    use super::*;

    fn pair(name: &str, value: Any) -> Pair {
        Pair { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Pair::default() }
    }

    fn decode(request: &[u8]) -> ResourceSpans {
        let mut request = ExportTraceServiceRequest::decode(request).unwrap();
        assert_eq!(request.resource_spans.len(), 1);
        request.resource_spans.remove(0)
    }

    fn context(trace: u128, span: u64, is_remote: bool, state: &[(&str, &str)]) -> SpanContext {
        let state = TraceState::from_key_value(state.iter().copied()).unwrap();
        SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::SAMPLED, is_remote, state)
    }

    #[test]
    fn a_span_is_read_as_it_was_written() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let mut span = Span::begin(at(10));
        span.name("chat default");
        span.kind("client");
        span.attribute("a", Value::Text("first"));
        span.attribute("b", Value::Int(-3));
        span.attribute("c", Value::Bool(true));
        span.attribute("d", Value::Double(0.5));
        let mut event = Event::new(at(11));
        event.name("refused");
        event.attribute("kind", Value::Text("denied"));
        span.event(&event);
        span.failed();
        let mut spans = Vec::new();
        span.end(at(12), &context(7, 8, false, &[("x", "y")]), &context(7, 9, true, &[]), &mut spans);
        let other = Span::begin(at(1));
        other.end(at(2), &context(1, 2, false, &[]), &SpanContext::NONE, &mut spans);

        let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "ringfence")).build();
        let request = Head::new(&resource, "ours").request(&spans);
        let read = decode(&request);
        let text = |text: &str| Any::StringValue(text.to_owned());
        assert_eq!(read.resource.unwrap().attributes, [pair("service.name", text("ringfence"))]);
        assert_eq!(read.scope_spans.len(), 1);
        assert_eq!(read.scope_spans[0].scope.as_ref().unwrap().name, "ours");
        let whole = wire::Span {
            trace_id: 7_u128.to_be_bytes().to_vec(),
            span_id: 8_u64.to_be_bytes().to_vec(),
            parent_span_id: 9_u64.to_be_bytes().to_vec(),
            trace_state: "x=y".to_owned(),
            flags: 0x301,
            name: "chat default".to_owned(),
            kind: SpanKind::Client as i32,
            start_time_unix_nano: 10_000_000_000,
            end_time_unix_nano: 12_000_000_000,
            attributes: vec![
                pair("a", text("first")),
                pair("b", Any::IntValue(-3)),
                pair("c", Any::BoolValue(true)),
                pair("d", Any::DoubleValue(0.5)),
            ],
            events: vec![wire::span::Event {
                time_unix_nano: 11_000_000_000,
                name: "refused".to_owned(),
                attributes: vec![pair("kind", text("denied"))],
                dropped_attributes_count: 0,
            }],
            status: Some(Status { code: StatusCode::Error as i32, message: String::new() }),
            ..wire::Span::default()
        };
        let bare = wire::Span {
            trace_id: 1_u128.to_be_bytes().to_vec(),
            span_id: 2_u64.to_be_bytes().to_vec(),
            flags: 0x101,
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 2_000_000_000,
            ..wire::Span::default()
        };
        assert_eq!(read.scope_spans[0].spans, [whole, bare]);

        let json: serde_json::Value = serde_json::from_slice(&json(&request).unwrap()).unwrap();
        let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&span["name"], &span["spanId"]), (&"chat default".into(), &"0000000000000008".into()));
    }

    #[test]
    fn what_a_skill_makes_many_of_is_counted_and_not_kept() {
        let mut span = Span::begin(UNIX_EPOCH);
        for number in 0..100_000 {
            span.event(&Event::new(UNIX_EPOCH));
            span.attribute("n", Value::Int(number));
        }
        assert!(span.bytes.len() < 10_000, "{}", span.bytes.len());
        let mut spans = Vec::new();
        span.end(UNIX_EPOCH, &context(1, 2, false, &[]), &SpanContext::NONE, &mut spans);
        let read = decode(&Head::new(&Resource::builder_empty().build(), "").request(&spans));
        let span = &read.scope_spans[0].spans[0];
        assert_eq!((span.events.len(), span.attributes.len()), (128, 128));
        assert_eq!((span.dropped_events_count, span.dropped_attributes_count), (100_000 - 128, 100_000 - 128));
    }

    proptest! {
        #[test]
        fn whatever_attributes_are_called_and_hold_they_are_read_the_same(
            all in proptest::collection::vec((".{0,200}", ".{0,20000}", any::<i64>()), 0..8)
        ) {
            let mut span = Span::begin(UNIX_EPOCH);
            let mut event = Event::new(UNIX_EPOCH);
            for (name, text, number) in &all {
                span.attribute(name, Value::Text(text));
                event.attribute(name, Value::Int(*number));
            }
            span.event(&event);
            let mut spans = Vec::new();
            span.end(UNIX_EPOCH, &context(1, 2, false, &[]), &SpanContext::NONE, &mut spans);
            let read = decode(&Head::new(&Resource::builder_empty().build(), "").request(&spans));
            let span = &read.scope_spans[0].spans[0];
            let texts: Vec<_> = all.iter().map(|(name, text, _)| pair(name, Any::StringValue(text.clone()))).collect();
            let numbers: Vec<_> = all.iter().map(|(name, _, number)| pair(name, Any::IntValue(*number))).collect();
            prop_assert_eq!(&span.attributes, &texts);
            prop_assert_eq!(&span.events[0].attributes, &numbers);
        }
    }
}
