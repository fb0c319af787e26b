//! Streams of answers: server-sent events and lines of JSON, cut out of a body as it comes.
//!
//! Nothing looks at the same bytes twice, a line that never ends is refused while it grows, and a character that was split
//! between two chunks is whole again. The reading of server-sent events is our own because a token passes through it: the
//! library for it (`eventsource-stream`) copies each one five times, and is what the tests compare with.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt};
use memchr::memchr2;
use serde_json::Value;
use tokio::time::Instant;

use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::Event;
use crate::schema::Weight;
use crate::unless::unless;

/// Longest line of a stream, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// Longest data of one event, in bytes: lines without end are as much as a line without end.
const MAX_EVENT: usize = MAX_LINE;

/// Most memory of a tree that is made of what a provider sent. Vectors of 256 texts with 3,072 dimensions are 60 MiB.
pub const MAX_TREE: usize = 128 << 20;

/// Largest stream, in bytes.
pub const MAX_STREAM: usize = 64 << 20;

/// Most bytes between two lines that say something: comments and empty lines keep a connection open, but not for ever.
const MAX_CHATTER: usize = 1 << 20;

/// A byte order mark, which is allowed in front.
const MARK: char = '\u{feff}';

/// One thing that a stream says: a server-sent event, or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `message` where the stream names none.
    pub event: &'a str,
    pub data: &'a str,
}

impl Frame<'_> {
    /// Whether it only says that the server is still there.
    pub fn is_ping(&self) -> bool {
        matches!(self.event, "ping" | "keepalive")
    }
}

/// A body that is read frame by frame.
pub struct Frames<S> {
    body: S,
    cutter: Cutter,
    /// How long it may say nothing though its bytes keep coming. None is for ever.
    patience: Option<Duration>,
    /// Whether what came last said something.
    said: bool,
    /// Since when bytes have come that say nothing.
    chatters_since: Option<Instant>,
}

/// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). They end where the bytes end:
/// whether that was the answer's end is the wire's to say. The last one may lack its empty line: some servers close right
/// after `[DONE]`.
pub fn sse<S>(body: S) -> Frames<S> {
    Frames::new(body, Kind::Events)
}

/// Lines that are not blank.
pub fn ndjson<S>(body: S) -> Frames<S> {
    Frames::new(body, Kind::Lines)
}

impl<S> Frames<S> {
    fn new(body: S, kind: Kind) -> Self {
        Self { body, cutter: Cutter::new(kind), patience: None, said: true, chatters_since: None }
    }

    /// Ends it where it has only kept the connection open for so long: comments, empty lines and pings are no answer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Looked at where bytes have come, so that no clock is needed where each piece says something.
    fn chatters_too_long(&mut self) -> Result<(), ProviderError> {
        if std::mem::take(&mut self.said) {
            self.chatters_since = None;
            return Ok(());
        }
        let since = *self.chatters_since.get_or_insert_with(Instant::now);
        match self.patience {
            Some(after) if since.elapsed() >= after => Err(ProviderError::TimedOut { phase: "idle", after }),
            _ => Ok(()),
        }
    }
}

impl<S> Frames<S>
where
    S: Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin,
{
    /// The next frame of what is here.
    pub fn here(&mut self) -> Result<Option<Frame<'_>>, ProviderError> {
        let frame = self.cutter.frame()?;
        self.said |= frame.is_some_and(|frame| !frame.is_ping());
        Ok(frame)
    }

    /// Waits for more. False at the end, when nothing is left of what was here.
    pub async fn more(&mut self) -> Result<bool, ProviderError> {
        if self.cutter.ended {
            return Ok(false);
        }
        self.chatters_too_long()?;
        match self.body.next().await {
            Some(chunk) => self.cutter.take(&chunk?)?,
            None => self.cutter.ended = true,
        }
        Ok(true)
    }
}

/// JSON as real servers write it: control characters inside of strings and broken UTF-8 are replaced where the text cannot be
/// read otherwise. At most 128 levels, and [`MAX_TREE`] of memory.
pub fn lenient_json(bytes: &[u8]) -> Result<Value, ProviderError> {
    if Weight::of(bytes) > MAX_TREE {
        return Err(too_heavy());
    }
    let strict = serde_json::from_slice(bytes);
    strict.or_else(|error| {
        let calm: String =
            String::from_utf8_lossy(bytes).chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
        serde_json::from_str(&calm).map_err(|_| {
            ProviderError::Garbled(format!("it is not JSON (line {}, column {})", error.line(), error.column()))
        })
    })
}

/// Sends events to whoever reads the answer, waiting where the reader is slow. Leaves none.
pub async fn emit(events: Option<&Events>, batch: &mut Vec<Event>) -> Result<(), ProviderError> {
    let Some(events) = events else {
        batch.clear();
        return Ok(());
    };
    for event in batch.drain(..) {
        events.send(event).await?;
    }
    Ok(())
}

/// Does `work` as long as somebody reads its events: a provider that is silent must not outlive its reader.
pub async fn while_heard<T>(
    events: Option<&Events>,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let Some(events) = events else { return work.await };
    let mut work = pin!(work);
    match unless(work.as_mut(), pin!(events.closed())).await {
        Ok(done) => done,
        // An answer that has come is one, whoever reads it.
        Err(()) => work.now_or_never().unwrap_or(Err(ProviderError::Abandoned)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events,
    Lines,
}

/// Cuts bytes into lines (that end with LF, CR LF or CR), and makes frames of them. The last line may lack its end.
struct Cutter {
    kind: Kind,
    buffer: Vec<u8>,
    /// Where in `buffer` the first line begins that has not been read.
    at: usize,
    /// Bytes behind `at` that hold no line end.
    seen: usize,
    /// Whether the line before ended with a CR, of which an LF is a part.
    after_cr: bool,
    total: usize,
    chatter: usize,
    ended: bool,
    event: String,
    data: String,
    /// Whether `event` and `data` were a frame, and the next one begins.
    given: bool,
}

impl Cutter {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            buffer: Vec::new(),
            at: 0,
            seen: 0,
            after_cr: false,
            total: 0,
            chatter: 0,
            ended: false,
            event: String::new(),
            data: String::new(),
            given: false,
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ProviderError> {
        self.total += chunk.len();
        if self.total > MAX_STREAM {
            return Err(ProviderError::Garbled(format!("the stream is larger than {} MiB", MAX_STREAM >> 20)));
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    fn frame(&mut self) -> Result<Option<Frame<'_>>, ProviderError> {
        if std::mem::take(&mut self.given) {
            self.event.clear();
            self.data.clear();
        }
        while let Some(line) = self.line()? {
            let line = &self.buffer[line];
            let whole = match self.kind {
                Kind::Events => event_line(line, &mut self.event, &mut self.data)?,
                Kind::Lines => text_line(line, &mut self.data),
            };
            if whole {
                return Ok(Some(self.give()));
            }
        }
        let last = self.ended && dispatch(&mut self.event, &mut self.data);
        Ok(last.then(|| self.give()))
    }

    fn give(&mut self) -> Frame<'_> {
        self.given = true;
        let event = if self.event.is_empty() { "message" } else { &self.event };
        Frame { event, data: &self.data }
    }

    /// Where in `buffer` the next whole line is, without its end.
    fn line(&mut self) -> Result<Option<Range<usize>>, ProviderError> {
        if self.after_cr
            && let Some(next) = self.buffer.get(self.at)
        {
            self.at += usize::from(*next == b'\n');
            self.after_cr = false;
        }
        let here = self.buffer.len() - self.at;
        let end = memchr2(b'\n', b'\r', &self.buffer[self.at + self.seen..]).map(|offset| self.seen + offset);
        let (length, with_end) = match end {
            Some(length) => (length, length + 1),
            None if self.ended && here > 0 => (here, here),
            None => {
                self.seen = here;
                return if here > MAX_LINE { Err(too_long()) } else { Ok(None) };
            }
        };
        if with_end > MAX_LINE {
            return Err(too_long());
        }
        let line = self.at..self.at + length;
        self.after_cr = end.is_some() && self.buffer[line.end] == b'\r';
        self.at += with_end;
        self.seen = 0;
        let says_something = match self.kind {
            Kind::Events => self.buffer[line.clone()].starts_with(b"data"),
            Kind::Lines => !self.buffer[line.clone()].trim_ascii().is_empty(),
        };
        self.chatter = if says_something { 0 } else { self.chatter + with_end };
        if self.chatter > MAX_CHATTER {
            return Err(ProviderError::Garbled("the stream keeps the connection open and says nothing".into()));
        }
        Ok(Some(line))
    }
}

/// A line of text is a frame where it is not blank.
fn text_line(line: &[u8], data: &mut String) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_start_matches(MARK);
    let whole = !line.trim().is_empty();
    if whole {
        data.push_str(line);
    }
    whole
}

/// A line of an event: whether the event is whole and says something. Fields that are about reconnecting say nothing here.
fn event_line(line: &[u8], event: &mut String, data: &mut String) -> Result<bool, ProviderError> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_start_matches(MARK);
    if line.is_empty() {
        return Ok(dispatch(event, data));
    }
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match name {
        "data" if data.len() + value.len() >= MAX_EVENT => {
            let most = MAX_EVENT >> 20;
            return Err(ProviderError::Garbled(format!("an event of the stream is longer than {most} MiB")));
        }
        "data" => {
            data.push_str(value);
            data.push('\n');
        }
        "event" => {
            event.clear();
            event.push_str(value);
        }
        _ => {}
    }
    Ok(false)
}

/// At the end of an event. One without data is none.
fn dispatch(event: &mut String, data: &mut String) -> bool {
    // Each line of data has put an end behind it.
    let says_something = data.pop().is_some();
    if !says_something {
        event.clear();
    }
    says_something
}

pub(super) fn too_heavy() -> ProviderError {
    ProviderError::Garbled(format!("it has so many small parts that reading it takes more than {} MiB", MAX_TREE >> 20))
}

fn too_long() -> ProviderError {
    ProviderError::Garbled(format!("a line of the stream is longer than {} MiB", MAX_LINE >> 20))
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
