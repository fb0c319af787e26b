//! The lines of the log, for the collector.

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::Span;

use super::spans;

pub(super) fn layer(provider: &SdkLoggerProvider) -> OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger> {
    OpenTelemetryTracingBridge::new(provider)
}

/// Says of a line in which trace it was written. The SDK would ask its own context, which nothing here enters: a span is entered at
/// each poll, and lines are rare.
#[derive(Debug)]
pub(super) struct InTrace;

impl LogProcessor for InTrace {
    fn emit(&self, line: &mut SdkLogRecord, _: &InstrumentationScope) {
        if let Some(span) = spans::context(&Span::current()) {
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use ringfence_core::events::{Level, LogLine};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_a_skill_says_whose_it_is_and_keeps_its_level() {
        let written = Written::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || to.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let fields = vec![("a".to_owned(), "1".to_owned()), ("b".into(), "2".into())];
            LogLine { level: Level::Error, message: "gone".into(), fields }.write("probe");
            LogLine { level: Level::Info, message: "bees".into(), fields: Vec::new() }.write("probe");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [error, info] = lines.as_slice() else { panic!("{text}") };
        assert_eq!(
            (&error["level"], &error["skill"], &error["message"]),
            (&"ERROR".into(), &"probe".into(), &"gone".into())
        );
        assert_eq!((&error["fields"], &error["target"]), (&"a=1 b=2".into(), &"ringfence::skill".into()));
        assert_eq!((&info["level"], info.get("fields")), (&"INFO".into(), None), "{info}");
    }
}
