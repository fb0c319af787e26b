//! WASI 0.2 with nothing in it: what language runtimes need in order to start, and no way out.
//!
//! No environment, no arguments, no network, and files only as a capability (`capability/files/`); standard output and error become log lines. Time and randomness
//! come from [`Sources`] only, so that a run can be recorded and replayed exactly.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::events::{Level, Sink};

/// Most random bytes that a guest gets in one call.
const RANDOM_BYTES: u64 = 64 << 10;

/// Where time and randomness come from: the only ones that a guest has.
pub(crate) trait Sources: Send + Sync {
    /// Since the Unix epoch.
    fn wall(&self) -> Duration;
    /// Since a moment of the source's choice. Never falls.
    fn monotonic(&self) -> Duration;
    /// Fills with bytes that nobody can foresee.
    fn random(&self, bytes: &mut [u8]);
}

/// The machine's own clock, rounded down to a millisecond, which makes timing attacks harder; and its random numbers.
#[derive(Debug)]
pub(crate) struct Machine {
    started: Instant,
}

impl Default for Machine {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Sources for Machine {
    fn wall(&self) -> Duration {
        coarse(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    fn monotonic(&self) -> Duration {
        coarse(self.started.elapsed())
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}

/// The resolution that guests see.
const RESOLUTION: Duration = Duration::from_millis(1);

fn coarse(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The context of one invocation.
pub(crate) fn context(sources: &Arc<dyn Sources>, sink: &Arc<Sink>) -> WasiCtx {
    let seed = {
        let mut bytes = [0; 16];
        sources.random(&mut bytes);
        u128::from_le_bytes(bytes)
    };
    WasiCtxBuilder::new()
        .stdout(Lines { sink: Arc::clone(sink), level: Level::Info })
        .stderr(Lines { sink: Arc::clone(sink), level: Level::Warn })
        .wall_clock(Clock(Arc::clone(sources)))
        .monotonic_clock(Clock(Arc::clone(sources)))
        .secure_random(Random(Arc::clone(sources)))
        .insecure_random(Random(Arc::clone(sources)))
        .insecure_random_seed(seed)
        .max_random_size(RANDOM_BYTES)
        // What is off here is refused before a socket is made or a name looked up.
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

struct Clock(Arc<dyn Sources>);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        nanos(RESOLUTION)
    }

    fn now(&self) -> u64 {
        nanos(self.0.monotonic())
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Random(Arc<dyn Sources>);

impl rand::TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.random(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(bytes);
        Ok(())
    }
}

/// Standard output or error: each line is a line of the log, under the log's caps. Never an `AsyncWriteStream`, whose empty
/// writes grow the host's memory in this wasmtime (GHSA-5m8g-xhq4-4h93).
#[derive(Clone)]
struct Lines {
    sink: Arc<Sink>,
    level: Level,
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this, and it is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LineStream { lines: self.clone(), pending: Vec::new() })
    }
}

/// Bytes of an unfinished line that are kept; then it counts as a line.
const LINE_BYTES: usize = 4096;

struct LineStream {
    lines: Lines,
    pending: Vec<u8>,
}

impl LineStream {
    fn emit(&mut self) {
        if !self.pending.is_empty() {
            let line = String::from_utf8_lossy(&self.pending).into_owned();
            self.lines.sink.log(self.lines.level, &line, &[]);
            self.pending.clear();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LineStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LineStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for &byte in &bytes {
            if byte == b'\n' || self.pending.len() >= LINE_BYTES {
                self.emit();
            }
            if byte != b'\n' {
                self.pending.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(64 << 10)
    }
}

impl Drop for LineStream {
    fn drop(&mut self) {
        self.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_empty_writes_to_standard_output_are_nothing() {
        let (send, mut events) = tokio::sync::mpsc::channel(8);
        let sink = Arc::new(Sink::new(Some(send), "", tokio::time::Instant::now()));
        let mut stream = LineStream { lines: Lines { sink, level: Level::Info }, pending: Vec::new() };
        for _ in 0..1_000_000 {
            stream.write(Bytes::new()).unwrap();
        }
        assert_eq!(stream.pending.capacity(), 0);
        assert!(events.try_recv().is_err(), "no line was written");
        stream.write(Bytes::from_static(b"one\ntwo")).unwrap();
        drop(stream);
        for text in ["one", "two"] {
            let Ok(crate::events::Event::Log(line)) = events.try_recv() else { panic!("no line") };
            assert_eq!(line.message, text);
        }
    }
}
