//! The program's own log: stderr, and quiet unless asked.

use tracing_subscriber::EnvFilter;

use crate::config::Environment;

/// Starts logging. RUST_LOG decides; without it warnings are shown, `-v` shows what the host does, `-vv` everything of ours.
pub(super) fn start(verbose: u8, env: &Environment) {
    let level = match verbose {
        // The library of MCP warns of every request that is answered with an error.
        0 => "warn,rmcp=error",
        1 => "warn,rmcp=error,ringfence=info,ringfence_core=info",
        2 => "info,ringfence=debug,ringfence_core=debug",
        _ => "debug,ringfence=trace,ringfence_core=trace",
    };
    let chosen = env.get("RUST_LOG").and_then(|text| EnvFilter::try_new(text).ok());
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let started = tracing_subscriber::fmt()
        .with_env_filter(chosen.unwrap_or_else(|| EnvFilter::new(level)))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(verbose > 1)
        .try_init();
    // Only a second start can fail, and the first one's log serves.
    drop(started);
}
