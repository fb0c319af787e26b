//! The lines of the log, for the collector.

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(super) fn layer(provider: &SdkLoggerProvider) -> OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger> {
    OpenTelemetryTracingBridge::new(provider)
}

/// Says of a line in which trace it was written. The SDK would ask its own context, which nothing here enters: a span is entered at
/// each poll, and lines are rare.
#[derive(Debug)]
pub(super) struct InTrace;

impl LogProcessor for InTrace {
    fn emit(&self, line: &mut SdkLogRecord, _: &InstrumentationScope) {
        let span = Span::current();
        if span.is_disabled() {
            return;
        }
        let context = span.context();
        let span = context.span().span_context().clone();
        if span.is_valid() {
            line.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}
