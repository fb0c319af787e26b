//! Traces, metrics and logs for the operator's own collector, by OpenTelemetry's standard variables (`OTEL_*`). Where none of them names
//! an endpoint nothing is made, and nothing is sent.
//!
//! The core makes the spans (`ringfence_core::trace`); what it leaves out of them, no setting brings back. Metrics are counted from the
//! same spans, and logs are the lines of the log on stderr.

mod context;
mod lines;
mod measure;
mod plan;
mod wire;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use ringfence_core::trace::TARGET;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Environment;
pub(crate) use context::{RequestSpan, from_headers, from_meta};
use measure::Measure;
use plan::{Plan, Signal};

/// How long the end of the process may wait for what is still to be sent.
const LAST: Duration = Duration::from_millis(900);

/// What sends traces, metrics and logs. None of it where nothing is to be sent.
#[derive(Default)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Reads the variables. A setting that cannot be used is told, and is no reason not to do what the user asked for.
    pub(crate) fn of(env: &Environment) -> Self {
        let mut telemetry = Self::default();
        let mut unusable: Vec<(String, Vec<&str>)> = Vec::new();
        for signal in Signal::ALL {
            let Some(plan) = Plan::of(env, signal) else { continue };
            let Err(why) = plan.and_then(|plan| telemetry.begin(&plan)) else { continue };
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

    fn begin(&mut self, plan: &Plan) -> Result<(), String> {
        let wire = wire::Wire::new(plan.signal, plan.timeout)?;
        let failed = |error: opentelemetry_otlp::ExporterBuildError| error.to_string();
        let resource = resource(plan);
        match plan.signal {
            Signal::Traces => {
                let exporter = SpanExporter::builder()
                    .with_http()
                    .with_protocol(plan.protocol)
                    .with_http_client(wire)
                    .build()
                    .map_err(failed)?;
                let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
                self.traces = Some(provider.build());
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
        let tracer = self.traces.as_ref()?.tracer("ringfence");
        // No thread, no line of the source and no busy time: they are of no use to an operator, and cost at each poll.
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        Some(layer.with_filter(ours()))
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
                Box::new(|| told(Signal::Traces, traces.map(|provider| provider.shutdown_with_timeout(LAST)))),
                Box::new(|| told(Signal::Metrics, metrics.map(|provider| provider.shutdown_with_timeout(LAST)))),
                Box::new(|| told(Signal::Logs, logs.map(|provider| provider.shutdown_with_timeout(LAST)))),
            ];
            for end in ends {
                scope.spawn(end);
            }
        });
    }
}

fn told(signal: Signal, ended: Option<OTelSdkResult>) {
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
