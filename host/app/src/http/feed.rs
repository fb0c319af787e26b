//! What one invocation tells while it works, kept for whoever reads it later: the newest of it, numbered.
//!
//! Telling waits for nobody. Whoever reads more slowly than an invocation tells misses what is no longer kept, and is told so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use ringfence_core::Event;
use serde_json::json;
use tokio::sync::watch;

/// Most events that are kept of one invocation.
const EVENTS: usize = 16_384;
/// Most bytes that are kept of one invocation: all text that there can be, and something beside it.
const BYTES: usize = 5 << 20;
/// The same while all invocations together hold more than [`MANY`].
const FEW_BYTES: usize = 64 << 10;
const MANY: usize = 64 << 20;
/// What an event costs beside its text.
const OVERHEAD: usize = 64;

/// One event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) name: &'static str,
    /// JSON, in one line. All who read it hold the same bytes.
    pub(super) data: Bytes,
}

/// What there is behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Line(Line),
    /// Everything up to this number is no longer kept.
    Lost(u64),
    /// Nothing yet.
    Nothing,
    /// Nothing, for ever.
    End,
}

#[derive(Debug)]
pub(super) struct Feed {
    told: Mutex<Told>,
    news: watch::Sender<()>,
    /// Bytes that all feeds hold.
    all: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Told {
    lines: VecDeque<Line>,
    last: u64,
    bytes: usize,
    is_over: bool,
}

impl Feed {
    pub(super) fn new(all: &Arc<AtomicUsize>) -> Self {
        Self { told: Mutex::default(), news: watch::Sender::new(()), all: Arc::clone(all) }
    }

    pub(super) fn tell(&self, event: &Event) {
        match event {
            Event::Progress { done, total, message } => {
                self.add("progress", json!({ "done": done, "total": total, "message": message }).to_string(), false);
            }
            Event::Text(text) => self.add("text", json!({ "text": text }).to_string(), false),
            Event::Log(line) => {
                let fields: serde_json::Map<_, _> =
                    line.fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
                let data = json!({ "level": line.level, "message": line.message, "fields": fields });
                self.add("log", data.to_string(), false);
            }
        }
    }

    /// The last event.
    pub(super) fn end(&self, name: &'static str, data: String) {
        self.add(name, data, true);
    }

    fn add(&self, name: &'static str, data: String, is_over: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_over {
            return;
        }
        told.last += 1;
        told.is_over = is_over;
        let line = Line { number: told.last, name, data: data.into() };
        let size = line.data.len() + OVERHEAD;
        told.bytes += size;
        let all = self.all.fetch_add(size, Ordering::Relaxed) + size;
        told.lines.push_back(line);
        let most = if all > MANY { FEW_BYTES } else { BYTES };
        // The newest stays, however long it is.
        while told.lines.len() > 1 && (told.lines.len() > EVENTS || told.bytes > most) {
            let Some(gone) = told.lines.pop_front() else { break };
            let size = gone.data.len() + OVERHEAD;
            told.bytes -= size;
            self.all.fetch_sub(size, Ordering::Relaxed);
        }
        drop(told);
        self.news.send_replace(());
    }

    /// What follows the event with this number.
    pub(super) fn after(&self, seen: u64) -> Next {
        // A client's number, and so any.
        let next = seen.saturating_add(1);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.lines.front() {
            Some(first) if next < first.number => Next::Lost(first.number - 1),
            Some(first) => {
                let at = usize::try_from(next - first.number).unwrap_or(usize::MAX);
                match told.lines.get(at) {
                    Some(line) => Next::Line(line.clone()),
                    None if told.is_over => Next::End,
                    None => Next::Nothing,
                }
            }
            None if told.is_over => Next::End,
            None => Next::Nothing,
        }
    }

    /// To be told that there may be something new. To be asked for before a look.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(super) fn bytes(&self) -> usize {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: usize) -> Event {
        Event::Text("x".repeat(n))
    }

    fn number(next: &Next) -> Option<u64> {
        match next {
            Next::Line(line) => Some(line.number),
            _ => None,
        }
    }

    #[test]
    fn events_are_numbered_and_can_be_read_from_anywhere() {
        let feed = Feed::new(&Arc::default());
        assert_eq!(feed.after(0), Next::Nothing);
        feed.tell(&text(1));
        feed.tell(&Event::Progress { done: 1, total: None, message: None });
        assert_eq!((number(&feed.after(0)), number(&feed.after(1)), feed.after(2)), (Some(1), Some(2), Next::Nothing));
        for tomorrow in [3, u64::MAX - 1, u64::MAX] {
            assert_eq!(feed.after(tomorrow), Next::Nothing, "a number of tomorrow");
        }
        feed.end("finished", "{}".into());
        feed.tell(&text(1));
        assert_eq!((number(&feed.after(2)), feed.after(3)), (Some(3), Next::End), "nothing comes after the end");
    }

    #[test]
    fn t114_what_is_kept_has_a_bound_and_what_is_lost_is_told() {
        let all = Arc::new(AtomicUsize::new(0));
        let feed = Feed::new(&all);
        for _ in 0..EVENTS + 10 {
            feed.tell(&text(1));
        }
        assert_eq!((feed.after(0), number(&feed.after(10))), (Next::Lost(10), Some(11)));
        for _ in 0..10 {
            feed.tell(&text(1 << 20));
        }
        assert!(feed.bytes() <= BYTES && all.load(Ordering::Relaxed) == feed.bytes());
        feed.tell(&text(BYTES * 2));
        assert!(number(&feed.after(EVENTS as u64 + 20)).is_some(), "the newest is kept");
        drop(feed);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn while_all_hold_much_each_holds_little() {
        let all = Arc::new(AtomicUsize::new(MANY));
        let feed = Feed::new(&all);
        (0..100).for_each(|_| feed.tell(&text(10 << 10)));
        assert!(feed.bytes() <= FEW_BYTES);
    }
}
