//! Traces, metrics and logs for the operator's own collector, by OpenTelemetry's standard variables (`OTEL_*`). Where none of them names
//! an endpoint nothing is made, and nothing is sent.
//!
//! The core makes the spans (`ringfence_core::trace`); what it leaves out of them, no setting brings back. Metrics are counted from the
//! same spans, and logs are the lines of the log on stderr.

mod context;
mod lines;
mod measure;
mod otlp;
mod outbox;
mod plan;
mod spans;
mod wire;

use std::fmt::Display;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanExporter as _};
use ringfence_core::trace::TARGET;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Environment;
pub(crate) use context::{RequestSpan, from_headers, from_meta};
use measure::Measure;
use outbox::{Carrier, Outbox, Schedule};
use plan::{Plan, Signal};
use spans::Spans;

/// How long the end of the process may wait for what is still to be sent.
const LAST: Duration = Duration::from_millis(900);

/// What the spans are called that are all ours.
const SCOPE: &str = "ringfence";

/// What sends traces, metrics and logs. None of it where nothing is to be sent.
#[derive(Default)]
pub(crate) struct Telemetry {
    traces: Option<Traces>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

/// What becomes of spans.
struct Traces {
    tracer: SdkTracer,
    outbox: Outbox,
    carrier: Carrier,
}

impl Telemetry {
    /// Reads the variables. A setting that cannot be used is told, and is no reason not to do what the user asked for.
    pub(crate) fn of(env: &Environment) -> Self {
        let mut telemetry = Self::default();
        let mut unusable: Vec<(String, Vec<&str>)> = Vec::new();
        for signal in Signal::ALL {
            let Some(plan) = Plan::of(env, signal) else { continue };
            let Err(why) = plan.and_then(|plan| telemetry.begin(&plan, env)) else { continue };
            match unusable.iter_mut().find(|(other, _)| *other == why) {
                Some((_, signals)) => signals.push(signal.word()),
                None => unusable.push((why, vec![signal.word()])),
            }
        }
        for (why, signals) in unusable {
            // Before there is a log: this is what begins it.
            crate::ui::note(&format!("no {} are sent: {why}", signals.join(", no ")));
        }
        if telemetry.traces.is_some() && plan::carries(env) {
            context::begin();
        }
        telemetry
    }

    fn begin(&mut self, plan: &Plan, env: &Environment) -> Result<(), String> {
        let wire = wire::Wire::new(plan.signal, plan.timeout)?;
        let failed = |error: opentelemetry_otlp::ExporterBuildError| error.to_string();
        let resource = resource(plan);
        match plan.signal {
            Signal::Traces => {
                let filled = wire::Filled::new(wire);
                let body = filled.body();
                let exporter = SpanExporter::builder()
                    .with_http()
                    .with_protocol(plan.protocol)
                    .with_http_client(filled)
                    .build()
                    .map_err(failed)?;
                let (head, protocol) = (otlp::Head::new(&resource, SCOPE), plan.protocol);
                // The exporter knows where to, with which headers and how often again, and what the answer means. What it would make of
                // spans has been made already.
                let send = move |spans: &[u8]| {
                    let request = head.request(spans);
                    let request = if protocol == Protocol::HttpJson { otlp::json(&request) } else { Ok(request) };
                    let sent = request.and_then(|request| {
                        body.set(request);
                        futures_executor::block_on(exporter.export(Vec::new())).map_err(|error| error.to_string())
                    });
                    if let Err(error) = sent {
                        tracing::debug!(error, "spans did not arrive");
                    }
                };
                let begun = Outbox::begin(Schedule::of(env), send);
                let (outbox, carrier) = begun.map_err(|error| format!("no thread can be made for them: {error}"))?;
                let provider = SdkTracerProvider::builder().with_resource(resource).build();
                self.traces = Some(Traces { tracer: provider.tracer(SCOPE), outbox, carrier });
            }
            Signal::Metrics => {
                let exporter = MetricExporter::builder()
                    .with_http()
                    .with_protocol(plan.protocol)
                    .with_http_client(wire)
                    .build()
                    .map_err(failed)?;
                let reader = PeriodicReader::builder(exporter).build();
                self.metrics = Some(SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build());
            }
            Signal::Logs => {
                let exporter = LogExporter::builder()
                    .with_http()
                    .with_protocol(plan.protocol)
                    .with_http_client(wire)
                    .build()
                    .map_err(failed)?;
                let provider = SdkLoggerProvider::builder().with_log_processor(lines::InTrace);
                self.logs = Some(provider.with_batch_exporter(exporter).with_resource(resource).build());
            }
        }
        Ok(())
    }

    /// What listens to the spans of runs, and to nothing else, and sends them.
    pub(crate) fn traces<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let Traces { tracer, outbox, .. } = self.traces.as_ref()?;
        Some(Spans::new(tracer.clone(), outbox.clone()).with_filter(ours()))
    }

    /// What listens to the same spans and counts them.
    pub(crate) fn metrics<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let provider = self.metrics.as_ref()?;
        Some(Measure::new(provider).with_filter(ours()))
    }

    /// What sends the lines of the log that `chosen` lets through.
    pub(crate) fn logs<S>(&self, chosen: impl Filter<S> + Send + Sync + 'static) -> Option<impl Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        Some(lines::layer(self.logs.as_ref()?).with_filter(chosen))
    }

    /// Sends what is left, for a second at most. A collector that hangs must not keep the process.
    pub(crate) fn end(self) {
        let Self { traces, metrics, logs } = self;
        // Side by side: each may take all of that second.
        std::thread::scope(|scope| {
            let ends: [Box<dyn FnOnce() + Send>; 3] = [
                Box::new(|| told(Signal::Traces, traces.map(|traces| traces.carrier.end(LAST)))),
                Box::new(|| told(Signal::Metrics, metrics.map(|provider| provider.shutdown_with_timeout(LAST)))),
                Box::new(|| told(Signal::Logs, logs.map(|provider| provider.shutdown_with_timeout(LAST)))),
            ];
            for end in ends {
                scope.spawn(end);
            }
        });
    }
}

fn told<E: Display>(signal: Signal, ended: Option<Result<(), E>>) {
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "the last {} may not have arrived", signal.word());
    }
}

/// The spans of runs, and nothing else.
fn ours<S>() -> impl Filter<S> + Send + Sync + use<S> {
    filter_fn(|metadata| metadata.target() == TARGET).with_max_level_hint(LevelFilter::INFO)
}

fn resource(plan: &Plan) -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if plan.is_named { resource.build() } else { resource.with_service_name("ringfence").build() }
}
