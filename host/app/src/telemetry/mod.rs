//! Traces for the operator's own collector, by OpenTelemetry's standard variables (`OTEL_*`). Where none of them names an endpoint
//! nothing is made, and nothing is sent.
//!
//! The core makes the spans (`ringfence_core::trace`); what it leaves out of them, no setting brings back.

mod context;
mod wire;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use ringfence_core::trace::TARGET;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::Registry;

use crate::config::Environment;
pub(crate) use context::{from_headers, from_meta};

/// How long the end of the process may wait for what is still to be sent.
const LAST: Duration = Duration::from_millis(900);
/// How long one delivery may take where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing, as the specification has it.
const USUAL: Duration = Duration::from_secs(10);

/// What sends traces. None of it where nothing is to be sent.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Reads the variables. A setting that cannot be used is told, and is no reason not to do what the user asked for.
    pub(crate) fn of(env: &Environment) -> Self {
        let Some(plan) = Plan::of(env) else { return Self(None) };
        match plan.and_then(|plan| plan.provider()) {
            Ok(provider) => {
                if carries(env) {
                    context::begin();
                }
                Self(Some(provider))
            }
            Err(why) => {
                // Before there is a log: this is what begins it.
                crate::ui::note(&format!("no traces are sent: {why}"));
                Self(None)
            }
        }
    }

    /// What listens to the spans of runs, and to nothing else.
    pub(crate) fn layer(&self) -> Option<impl Layer<Registry> + Send + Sync + use<>> {
        let ours = filter_fn(|metadata| metadata.target() == TARGET).with_max_level_hint(LevelFilter::INFO);
        let tracer = self.0.as_ref()?.tracer("ringfence");
        // No thread, no line of the source and no busy time: they are of no use to an operator, and cost at each poll.
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        Some(layer.with_filter(ours))
    }

    /// Sends what is left, for a second at most. A collector that hangs must not keep the process.
    pub(crate) fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(LAST)
        {
            tracing::debug!(%error, "the last traces may not have arrived");
        }
    }
}

/// Whether the trace context of others is taken and told: `OTEL_PROPAGATORS`.
fn carries(env: &Environment) -> bool {
    let named = env.get("OTEL_PROPAGATORS");
    named.is_none_or(|names| names.split(',').any(|name| name.trim().eq_ignore_ascii_case("tracecontext")))
}

/// What the variables say beside those that the SDK reads itself: sampler, limits, queue, headers and attributes.
#[derive(Debug, PartialEq)]
struct Plan {
    timeout: Duration,
    is_named: bool,
}

impl Plan {
    /// None where nothing is to be sent.
    fn of(env: &Environment) -> Option<Result<Self, String>> {
        let of = |name: &str| {
            env.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| env.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is_off = env.get("OTEL_SDK_DISABLED").is_some_and(|word| word.trim().eq_ignore_ascii_case("true"));
        let exporter = env.get("OTEL_TRACES_EXPORTER").unwrap_or("otlp").trim();
        of("ENDPOINT")?;
        if is_off || exporter == "none" {
            return None;
        }
        Some(Self::read(env, exporter, of("PROTOCOL"), of("TIMEOUT")))
    }

    fn read(env: &Environment, exporter: &str, protocol: Option<&str>, timeout: Option<&str>) -> Result<Self, String> {
        if exporter != "otlp" {
            let exporter = crate::ui::printable(exporter);
            return Err(format!("OTEL_TRACES_EXPORTER is `{exporter}`; there are `otlp` and `none`"));
        }
        if let Some(other) = protocol.filter(|name| !matches!(name.trim(), "http/protobuf" | "http/json")) {
            let other = crate::ui::printable(other);
            return Err(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL is `{other}`; set `http/protobuf` and a port that takes it, usually 4318"
            ));
        }
        let millis = timeout.map(str::parse::<u64>).transpose();
        let millis = millis.map_err(|_| "OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds".to_owned())?;
        let attributes = env.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let names_service = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| name.trim() == "service.name");
        let is_named = env.get("OTEL_SERVICE_NAME").is_some() || attributes.split(',').any(names_service);
        Ok(Self { timeout: millis.map_or(USUAL, Duration::from_millis), is_named })
    }

    fn provider(self) -> Result<SdkTracerProvider, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(wire::Wire::new(self.timeout)?)
            .build()
            .map_err(|error| error.to_string())?;
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut resource = Resource::builder().with_attribute(version);
        if !self.is_named {
            resource = resource.with_service_name("ringfence");
        }
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pairs: &[(&str, &str)]) -> Option<Result<Plan, String>> {
        Plan::of(&Environment::from(pairs))
    }

    const THERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_sent_where_nothing_names_an_endpoint_or_something_turns_it_off() {
        assert_eq!(plan(&[]), None);
        assert_eq!(plan(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_EXPORTER", "otlp")]), None);
        assert_eq!(plan(&[THERE, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(plan(&[THERE, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(plan(&[THERE]), Some(Ok(Plan { timeout: USUAL, is_named: false })));
        assert!(plan(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1/x")]).is_some());
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (name, value, word) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp` and `none`"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "milliseconds"),
        ] {
            let said = plan(&[THERE, (name, value)]).unwrap().unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_service_that_is_named_keeps_its_name() {
        let is_named = |pairs: &[(&str, &str)]| plan(&[&[THERE], pairs].concat()).unwrap().unwrap().is_named;
        assert!(is_named(&[("OTEL_SERVICE_NAME", "mine")]));
        assert!(is_named(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=mine")]));
        assert!(!is_named(&[("OTEL_RESOURCE_ATTRIBUTES", "a=service.name")]));
    }

    #[test]
    fn the_context_is_carried_unless_other_ways_are_named() {
        let of = |value: &str| carries(&Environment::from(&[("OTEL_PROPAGATORS", value)][..]));
        assert!(carries(&Environment::default()) && of("baggage, tracecontext"));
        assert!(!of("none") && !of("b3"));
    }
}
