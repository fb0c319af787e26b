//! What a caller sees while a tool works: progress, partial output, log lines.
//!
//! A caller that reads slowly must not hold up the tool for ever. Progress and log lines are dropped when the channel is full;
//! text waits, because it belongs to the answer, until the invocation's deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout_at};

use crate::plain;

/// Where lines of skills that no face shows stand in the host's own log.
const SKILL_TARGET: &str = "ringfence::skill";

/// Most log lines of one invocation.
const MAX_LINES: u64 = 1_000;
/// Most bytes of a log line with its fields.
const MAX_LINE: usize = 4 << 10;
/// Most reports of progress of one invocation.
const MAX_REPORTS: u64 = 10_000;
/// Most bytes of the message of a report.
const MAX_REPORT: usize = 1 << 10;
/// Most bytes of partial output of one invocation.
const MAX_TEXT: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Progress {
        done: u64,
        total: Option<u64>,
        message: Option<String>,
    },
    /// Partial output. Control characters other than line feeds and tabs have been escaped.
    Text(String),
    Log(LogLine),
}

/// A line for the operator's log. Control characters have been escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
    pub fields: Vec<(String, String)>,
}

impl LogLine {
    /// Writes it to the host's own log, at the level that the skill gave it. To be called in the span of the call, whose trace it is told
    /// with.
    pub fn write(&self, skill: &str) {
        let fields = (!self.fields.is_empty()).then(|| tracing::field::display(Fields(&self.fields)));
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(target: SKILL_TARGET, skill = %skill, fields, "{}", self.message)
            };
        }
        match self.level {
            Level::Trace => log!(trace),
            Level::Debug => log!(debug),
            Level::Info => log!(info),
            Level::Warn => log!(warn),
            Level::Error => log!(error),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// `name=value` of each, as a line of the log has them.
struct Fields<'a>(&'a [(String, String)]);

impl std::fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// What was left out, to be written into the run record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Log lines over the cap, or that nobody read in time.
    pub lines: u64,
    /// Log lines that were cut.
    pub cut: u64,
    pub reports: u64,
    /// Bytes of partial output.
    pub text: u64,
}

/// Where the events of one invocation go. Shared by its capabilities; counts what does not get through.
#[derive(Debug)]
pub struct Sink {
    events: Option<Sender<Event>>,
    /// The skill, in lines that go to the host's own log.
    skill: String,
    /// Where the lines of a nested invocation go, and whose they are.
    above: Option<(Arc<Sink>, String)>,
    deadline: Instant,
    lines: AtomicU64,
    reports: AtomicU64,
    text: AtomicU64,
    dropped_lines: AtomicU64,
    cut_lines: AtomicU64,
    dropped_reports: AtomicU64,
    dropped_text: AtomicU64,
}

impl Sink {
    /// `events` is None where nobody listens: then log lines of `skill` go to the host's own log, nothing else is kept, and only what
    /// is over the caps counts as dropped.
    pub fn new(events: Option<Sender<Event>>, skill: &str, deadline: Instant) -> Self {
        Self {
            events,
            skill: skill.to_owned(),
            above: None,
            deadline,
            lines: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            text: AtomicU64::new(0),
            dropped_lines: AtomicU64::new(0),
            cut_lines: AtomicU64::new(0),
            dropped_reports: AtomicU64::new(0),
            dropped_text: AtomicU64::new(0),
        }
    }

    /// For an invocation that another one called: its log lines go to that one's caller, with the name of the skill, and
    /// count there too. What it shows of its work and its answer is for the skill that called it, and goes no further.
    pub fn nested(above: Arc<Self>, skill: &str, deadline: Instant) -> Self {
        Self { above: Some((above, skill.to_owned())), ..Self::new(None, skill, deadline) }
    }

    /// Sends a log line. Never waits.
    pub fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        if self.lines.fetch_add(1, Ordering::Relaxed) >= MAX_LINES {
            self.dropped_lines.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some((above, skill)) = &self.above {
            above.log(level, &format!("{skill}: {message}"), fields);
            return;
        }
        let mut room = MAX_LINE;
        let mut cut = false;
        let mut take = |text: &str| {
            let (text, whole) = plain::line(text, room);
            // What follows a cut is left out, even where it would fit: a line does not have holes.
            room = if whole { room - text.len() } else { 0 };
            cut |= !whole;
            text
        };
        let message = take(message);
        let mut kept = Vec::new();
        for (name, value) in fields {
            let (name, value) = (take(name), take(value));
            if name.is_empty() && value.is_empty() {
                // Either there is no room or there was nothing to keep.
                continue;
            }
            kept.push((name, value));
        }
        if cut {
            self.cut_lines.fetch_add(1, Ordering::Relaxed);
        }
        let line = LogLine { level, message, fields: kept };
        match self.events {
            Some(_) => self.offer(Event::Log(line), &self.dropped_lines),
            // No face shows it: it is for whoever looks after the host.
            None => line.write(&self.skill),
        }
    }

    /// Sends a report of progress. Never waits.
    pub fn report(&self, done: u64, total: Option<u64>, message: Option<&str>) {
        if self.reports.fetch_add(1, Ordering::Relaxed) >= MAX_REPORTS {
            self.dropped_reports.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let message = message.map(|message| plain::line(message, MAX_REPORT).0);
        self.offer(Event::Progress { done, total, message }, &self.dropped_reports);
    }

    /// Sends partial output. Waits for a reader that is slow, but not beyond the deadline.
    pub async fn text(&self, text: &str) {
        let size = text.len() as u64;
        let before = self.text.fetch_add(size, Ordering::Relaxed);
        let room = usize::try_from(MAX_TEXT.saturating_sub(before)).unwrap_or(usize::MAX);
        let kept = &text[..text.floor_char_boundary(room)];
        let mut lost = size - kept.len() as u64;
        if let Some(events) = &self.events
            && !kept.is_empty()
        {
            let event = Event::Text(plain::block(kept));
            if !matches!(timeout_at(self.deadline, events.send(event)).await, Ok(Ok(()))) {
                lost = size;
            }
        }
        self.dropped_text.fetch_add(lost, Ordering::Relaxed);
    }

    /// Whether partial output was sent to somebody.
    pub fn has_streamed(&self) -> bool {
        self.events.is_some() && self.text.load(Ordering::Relaxed) > 0
    }

    pub fn dropped(&self) -> Dropped {
        Dropped {
            lines: self.dropped_lines.load(Ordering::Relaxed),
            cut: self.cut_lines.load(Ordering::Relaxed),
            reports: self.dropped_reports.load(Ordering::Relaxed),
            text: self.dropped_text.load(Ordering::Relaxed),
        }
    }

    fn offer(&self, event: Event, dropped: &AtomicU64) {
        if let Some(events) = &self.events
            && events.try_send(event).is_err()
        {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;

    fn sink(room: usize) -> (Sink, Receiver<Event>) {
        let (send, receive) = channel(room);
        (Sink::new(Some(send), "a", Instant::now() + Duration::from_secs(60)), receive)
    }

    #[tokio::test]
    async fn log_lines_are_escaped_cut_and_counted() {
        let (sink, mut events) = sink(2_000);
        sink.log(Level::Warn, "a\nb\u{1b}[31m\u{202e}", &[("k\t".into(), "v".into())]);
        let Some(Event::Log(line)) = events.recv().await else { panic!("no line") };
        assert_eq!(line.message, "a\\nb\\u{1b}[31m\\u{202e}");
        assert_eq!(line.fields, [("k\\t".to_owned(), "v".to_owned())]);

        sink.log(Level::Info, &"\u{1b}".repeat(5_000), &[("gone".into(), "gone".into())]);
        let Some(Event::Log(line)) = events.recv().await else { panic!("no line") };
        assert!(line.message.len() <= MAX_LINE && line.fields.is_empty());
        assert_eq!(sink.dropped(), Dropped { cut: 1, ..Dropped::default() });

        for _ in 0..1_000 {
            sink.log(Level::Info, "x", &[]);
        }
        assert_eq!(sink.dropped().lines, 2);
        assert_eq!(events.len(), 998);
    }

    #[tokio::test]
    async fn lines_of_a_nested_invocation_carry_its_skill_and_nothing_else_goes_on() {
        let (outer, mut events) = sink(2_000);
        let outer = Arc::new(outer);
        let inner = Sink::nested(Arc::clone(&outer), "b", Instant::now() + Duration::from_secs(60));
        inner.log(Level::Info, "x", &[("k".into(), "v".into())]);
        inner.report(1, None, None);
        inner.text("text").await;
        let Some(Event::Log(line)) = events.recv().await else { panic!("no line") };
        assert_eq!((line.message.as_str(), line.fields), ("b: x", vec![("k".to_owned(), "v".to_owned())]));
        assert_eq!(events.len(), 0);
        assert!(!inner.has_streamed());
        for _ in 0..1_500 {
            inner.log(Level::Info, "x", &[]);
        }
        assert_eq!((inner.dropped().lines, events.len()), (501, 999), "both have a cap");
        outer.log(Level::Info, "x", &[]);
        assert_eq!(outer.dropped().lines, 1, "what others wrote counts");
    }

    #[tokio::test]
    async fn a_full_channel_drops_reports_and_lines() {
        let (sink, _events) = sink(1);
        sink.report(1, None, None);
        sink.report(2, None, Some("two"));
        sink.log(Level::Info, "x", &[]);
        assert_eq!(sink.dropped(), Dropped { lines: 1, reports: 1, ..Dropped::default() });
    }

    #[tokio::test(start_paused = true)]
    async fn text_waits_for_a_slow_reader_until_the_deadline() {
        let (sink, mut events) = sink(1);
        let began = Instant::now();
        sink.text("first").await;
        sink.text("second").await;
        assert_eq!(began.elapsed().as_secs(), 60);
        assert_eq!(sink.dropped().text, 6);
        assert_eq!(events.recv().await, Some(Event::Text("first".into())));
    }

    #[tokio::test]
    async fn text_is_capped_between_characters_and_keeps_its_lines() {
        let (sink, mut events) = sink(8);
        sink.text("a\n\tb\u{1b}c").await;
        assert_eq!(events.recv().await, Some(Event::Text("a\n\tb\\u{1b}c".into())));
        sink.text(&"é".repeat(3 << 20)).await;
        let Some(Event::Text(text)) = events.recv().await else { panic!("no text") };
        assert!(text.len() as u64 <= MAX_TEXT && text.ends_with('é'));
        sink.text("more").await;
        assert_eq!(sink.dropped().text, (6 << 20) - text.len() as u64 + 4);
        assert_eq!(events.len(), 0);
    }
}
