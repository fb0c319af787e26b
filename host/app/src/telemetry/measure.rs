//! Metrics, counted from the spans of runs: what was called, how long it took, what it used, what was refused.
//!
//! Names, units and buckets are those of OpenTelemetry's semantic conventions (GenAI and HTTP clients) where they have some, and begin
//! with `ringfence.` elsewhere. Attributes are those of the spans: names of tools, models and servers, and kinds.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Seconds, for requests to models (semantic conventions, `gen_ai.client.operation.duration`).
const OF_MODELS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Tokens (semantic conventions, `gen_ai.client.token.usage`).
const OF_TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds, for HTTP (semantic conventions, `http.client.request.duration`), and for invocations, which may be as short.
const OF_REQUESTS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bytes of memory.
const OF_MEMORY: [f64; 8] =
    [1_048_576.0, 4_194_304.0, 16_777_216.0, 33_554_432.0, 67_108_864.0, 134_217_728.0, 268_435_456.0, 1_073_741_824.0];

/// Counts what the spans of runs say.
pub(super) struct Measure {
    invocations: Histogram<f64>,
    active: UpDownCounter<i64>,
    cpu: Counter<f64>,
    memory: Histogram<u64>,
    requests_to_models: Histogram<f64>,
    tokens: Histogram<u64>,
    money: Counter<u64>,
    http: Histogram<f64>,
    refusals: Counter<u64>,
}

impl Measure {
    pub(super) fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("ringfence");
        let seconds = |meter: &Meter, name: &'static str, buckets: [f64; 14]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(buckets.to_vec()).build()
        };
        Self {
            invocations: seconds(&meter, "ringfence.invocation.duration", OF_REQUESTS),
            active: meter.i64_up_down_counter("ringfence.invocation.active").with_unit("{invocation}").build(),
            cpu: meter.f64_counter("ringfence.invocation.cpu.time").with_unit("s").build(),
            memory: meter
                .u64_histogram("ringfence.invocation.memory.peak")
                .with_unit("By")
                .with_boundaries(OF_MEMORY.to_vec())
                .build(),
            requests_to_models: seconds(&meter, "gen_ai.client.operation.duration", OF_MODELS),
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_boundaries(OF_TOKENS.to_vec())
                .build(),
            money: meter.u64_counter("ringfence.usage.micro_dollars").with_unit("{micro_dollar}").build(),
            http: seconds(&meter, "http.client.request.duration", OF_REQUESTS),
            refusals: meter.u64_counter("ringfence.refusals").with_unit("{refusal}").build(),
        }
    }

    fn ended(&self, what: What, seen: &Seen) {
        let seconds = seen.begun.elapsed().as_secs_f64();
        let mut named = seen.texts.clone();
        match what {
            What::Invocation => {
                self.active.add(-1, &[]);
                // By all that it called as well, which has its own.
                self.cpu.add(seen.number("ringfence.cpu_us") as f64 / 1e6, &seen.of(&["gen_ai.tool.name"]));
                self.memory.record(seen.number("ringfence.memory_peak_bytes"), &seen.of(&["gen_ai.tool.name"]));
                self.invocations.record(seconds, &named);
            }
            What::Model => {
                self.money.add(seen.number("ringfence.usage.micro_dollars"), &seen.texts);
                self.requests_to_models.record(seconds, &named);
                for (kind, field) in [("input", "gen_ai.usage.input_tokens"), ("output", "gen_ai.usage.output_tokens")]
                {
                    let tokens = seen.number(field);
                    if tokens > 0 {
                        named.push(KeyValue::new("gen_ai.token.type", kind));
                        self.tokens.record(tokens, &named);
                        named.pop();
                    }
                }
            }
            What::Http => {
                for field in ["http.response.status_code", "server.port"] {
                    let number = seen.number(field);
                    if number > 0 {
                        named.push(KeyValue::new(field, i64::try_from(number).unwrap_or(i64::MAX)));
                    }
                }
                self.http.record(seconds, &named);
            }
        }
    }
}

/// The spans that are counted.
#[derive(Clone, Copy)]
enum What {
    Invocation,
    Model,
    Http,
}

impl What {
    fn of(name: &str) -> Option<Self> {
        match name {
            "invocation" => Some(Self::Invocation),
            "model" => Some(Self::Model),
            "http" => Some(Self::Http),
            _ => None,
        }
    }
}

/// What a span has said so far.
struct Seen {
    begun: Instant,
    texts: Vec<KeyValue>,
    numbers: Vec<(&'static str, u64)>,
}

impl Seen {
    fn number(&self, field: &str) -> u64 {
        self.numbers.iter().rev().find(|(name, _)| *name == field).map_or(0, |(_, number)| *number)
    }

    fn of(&self, fields: &[&str]) -> Vec<KeyValue> {
        self.texts.iter().filter(|one| fields.contains(&one.key.as_str())).cloned().collect()
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Not those that differ from one call to the next.
        if matches!(
            field.name(),
            "gen_ai.tool.name"
                | "gen_ai.operation.name"
                | "gen_ai.provider.name"
                | "gen_ai.request.model"
                | "gen_ai.response.model"
                | "ringfence.caller"
                | "error.type"
                | "http.request.method"
                | "server.address"
                | "ringfence.capability"
                | "ringfence.refusal"
        ) {
            self.texts.push(KeyValue::new(field.name(), value.to_owned()));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.push((field.name(), value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.numbers.push((field.name(), value.try_into().unwrap_or(0)));
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Measure {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some(what), Some(span)) = (What::of(attributes.metadata().name()), context.span(id)) else { return };
        if matches!(what, What::Invocation) {
            self.active.add(1, &[]);
        }
        let mut seen = Seen { begun: Instant::now(), texts: Vec::new(), numbers: Vec::new() };
        attributes.record(&mut seen);
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(seen) = span.extensions_mut().get_mut::<Seen>()
        {
            values.record(seen);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen { begun: Instant::now(), texts: Vec::new(), numbers: Vec::new() };
        event.record(&mut seen);
        let refused = seen.of(&["ringfence.capability", "ringfence.refusal"]);
        if refused.len() == 2 {
            self.refusals.add(1, &refused);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(what) = What::of(span.name())
            && let Some(seen) = span.extensions_mut().remove::<Seen>()
        {
            self.ended(what, &seen);
        }
    }
}
