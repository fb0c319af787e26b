//! The program's own log: stderr, and quiet unless asked.

use std::sync::atomic::{AtomicBool, Ordering};

use ringfence_core::trace::TARGET;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Flags;
use crate::config::Environment;
use crate::telemetry::Telemetry;
use crate::ui::Format;

/// Whether lines are written as JSON. One for the process, like the log.
static IN_JSON: AtomicBool = AtomicBool::new(false);

/// Whether whoever reads stderr expects an object on each line.
pub(crate) fn is_json() -> bool {
    IN_JSON.load(Ordering::Relaxed)
}

/// Starts logging. RUST_LOG decides; without it warnings are shown, `-v` shows what the host does, `-vv` everything of ours.
/// What is traced goes to `telemetry` and not into the log: the audit says it all. `telemetry` gets the log's lines as well.
pub(super) fn start(flags: &Flags, env: &Environment, telemetry: &Telemetry) {
    let level = match flags.verbose {
        // The library of MCP tells of others' mistakes, with pieces of what they sent. What of it matters is in errors of ours.
        0 => "warn,rmcp=off",
        1 => "warn,rmcp=off,ringfence=info,ringfence_core=info",
        2 => "info,ringfence=debug,ringfence_core=debug",
        _ => "debug,ringfence=trace,ringfence_core=trace",
    };
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    IN_JSON.store(flags.log_format == Some(Format::Json), Ordering::Relaxed);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match flags.log_format.unwrap_or_default() {
        Format::Text => lines.with_ansi(colour).with_target(flags.verbose > 1).with_filter(chosen(env, level)).boxed(),
        Format::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_filter(chosen(env, level)).boxed()
        }
    };
    let started = tracing_subscriber::registry()
        .with(telemetry.traces())
        .with(telemetry.metrics())
        .with(telemetry.logs(chosen(env, level)))
        .with(lines)
        .try_init();
    // Only a second start can fail, and the first one's log serves.
    drop(started);
}

/// What of our log is wanted. Of the spans that are traced nothing is.
fn chosen<S>(env: &Environment, level: &str) -> impl Filter<S> + Send + Sync + use<S> {
    let chosen = env.get("RUST_LOG").and_then(|text| EnvFilter::try_new(text).ok());
    let untraced = filter_fn(|metadata| metadata.target() != TARGET).with_max_level_hint(LevelFilter::TRACE);
    silent(chosen.unwrap_or_else(|| EnvFilter::new(level))).and(untraced)
}

/// Whatever was chosen: where the library of MCP signs in it tells codes, which are as good as a key for a moment.
fn silent(filter: EnvFilter) -> EnvFilter {
    match "rmcp::transport::auth=warn".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => EnvFilter::new("error"),
    }
}
