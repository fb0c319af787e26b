//! Spans on their way: kept until a batch is full or old enough, and then sent by a thread that nothing else waits for.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Environment;

/// When spans are sent, by OpenTelemetry's variables of the batch span processor. Four times as many are kept, and go in one delivery, as
/// there where nothing is set (2,048 and 512): a host makes some ten thousand of them in a second, and each delivery interrupts calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Spans that are kept at most, those that are being sent left out. More are lost: a collector that lags holds up nobody.
    most: usize,
    /// Spans of one delivery.
    batch: usize,
    /// How long a span waits for others.
    delay: Duration,
}

impl Schedule {
    /// What is no number counts as not set, as in the SDK.
    pub(super) fn of(env: &Environment) -> Self {
        let number = |name: &str, usual: usize| {
            env.get(name)
                .and_then(|text| text.trim().parse::<usize>().ok())
                .filter(|number| *number > 0)
                .unwrap_or(usual)
        };
        let most = number("OTEL_BSP_MAX_QUEUE_SIZE", 8_192);
        let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 2_048).min(most);
        let delay = number("OTEL_BSP_SCHEDULE_DELAY", 5_000);
        Self { most, batch, delay: Duration::from_millis(delay as u64) }
    }
}

/// Bytes after which a batch is full, however few spans it has: collectors take some 20 MiB at most.
const BATCH: usize = 4 << 20;
/// Bytes of all spans that are kept.
const ROOM: usize = 32 << 20;

/// How long nothing is said of spans that are lost after something was.
const SILENT: Duration = Duration::from_secs(60);

/// Where spans are put. Its clones are one.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Shared>);

struct Shared {
    schedule: Schedule,
    held: Mutex<Held>,
    /// A batch is full, or it is all over.
    wakes: Condvar,
}

#[derive(Default)]
struct Held {
    full: VecDeque<(Vec<u8>, usize)>,
    /// The next batch, and how many spans are in it.
    bytes: Vec<u8>,
    spans: usize,
    /// Spans, and bytes, of those that are full.
    waiting: usize,
    waiting_bytes: usize,
    /// One that has been sent, to be filled again.
    spare: Vec<u8>,
    lost: u64,
    is_over: bool,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that sends. Ends with [`end`](Self::end).
pub(super) struct Carrier {
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

impl Outbox {
    /// `send` delivers one batch, and is called by one thread alone.
    pub(super) fn begin(
        schedule: Schedule,
        send: impl FnMut(&[u8]) + Send + 'static,
    ) -> std::io::Result<(Self, Carrier)> {
        let shared = Arc::new(Shared { schedule, held: Mutex::default(), wakes: Condvar::new() });
        let (tells, ended) = channel();
        let carries = Arc::clone(&shared);
        thread::Builder::new().name("ringfence-traces".into()).spawn(move || carry(&carries, send, tells))?;
        Ok((Self(Arc::clone(&shared)), Carrier { shared, ended }))
    }

    /// Puts in one span, which `write` appends.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let schedule = &self.0.schedule;
        let mut held = self.0.held();
        if held.is_over {
            return;
        }
        if held.waiting + held.spans >= schedule.most || held.waiting_bytes + held.bytes.len() >= ROOM {
            held.lost += 1;
            return;
        }
        write(&mut held.bytes);
        held.spans += 1;
        if held.spans >= schedule.batch || held.bytes.len() >= BATCH {
            let empty = take(&mut held.spare);
            let full = std::mem::replace(&mut held.bytes, empty);
            let spans = take(&mut held.spans);
            held.waiting += spans;
            held.waiting_bytes += full.len();
            held.full.push_back((full, spans));
            drop(held);
            self.0.wakes.notify_one();
        }
    }
}

impl Carrier {
    /// Has what is left sent, and waits for that no longer than this. What is put in later is lost.
    pub(super) fn end(self, patience: Duration) -> Result<(), RecvTimeoutError> {
        self.shared.held().is_over = true;
        self.shared.wakes.notify_one();
        match self.ended.recv_timeout(patience) {
            // It says nothing where it is gone already.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The thread's whole life.
fn carry(shared: &Shared, mut send: impl FnMut(&[u8]), ended: Sender<()>) {
    let mut since = Instant::now();
    let (mut lost, mut told) = (0, None::<Instant>);
    loop {
        let mut held = shared.held();
        while held.full.is_empty() && !held.is_over {
            let left = shared.schedule.delay.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            held = shared.wakes.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_over = held.is_over;
        lost += take(&mut held.lost);
        let mut batch = match held.full.pop_front() {
            Some((full, spans)) => {
                held.waiting -= spans;
                held.waiting_bytes -= full.len();
                full
            }
            None => {
                held.spans = 0;
                take(&mut held.bytes)
            }
        };
        let is_last = is_over && held.full.is_empty() && held.spans == 0;
        drop(held);
        if lost > 0 && (is_last || told.is_none_or(|told| told.elapsed() >= SILENT)) {
            tracing::warn!("{lost} spans are lost: the collector takes fewer than there are");
            (lost, told) = (0, Some(Instant::now()));
        }
        since = Instant::now();
        if !batch.is_empty() {
            send(&batch);
            batch.clear();
            shared.held().spare = batch;
        }
        if is_last {
            // Nobody may wait any more.
            let _ = ended.send(());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// What is sent, as it comes.
    fn begin(most: usize, batch: usize, delay: Duration) -> (Outbox, Carrier, Receiver<Vec<u8>>) {
        let (sends, sent) = channel();
        let send = move |batch: &[u8]| sends.send(batch.to_vec()).unwrap();
        let (outbox, carrier) = Outbox::begin(Schedule { most, batch, delay }, send).unwrap();
        (outbox, carrier, sent)
    }

    fn put(outbox: &Outbox, spans: impl IntoIterator<Item = u8>) {
        for span in spans {
            outbox.put(|bytes| bytes.push(span));
        }
    }

    #[test]
    fn a_full_batch_goes_at_once_an_old_one_in_time_and_what_is_left_at_the_end() {
        let (outbox, carrier, sent) = begin(100, 3, LONG);
        put(&outbox, 0..7);
        assert_eq!(sent.recv_timeout(LONG), Ok(vec![0, 1, 2]));
        assert_eq!(sent.recv_timeout(LONG), Ok(vec![3, 4, 5]));
        carrier.end(LONG).unwrap();
        assert_eq!(sent.try_recv(), Ok(vec![6]));
        put(&outbox, [9]);
        assert!(sent.recv().is_err(), "nothing comes after the end");

        let (outbox, carrier, sent) = begin(100, 3, Duration::from_millis(1));
        put(&outbox, [1]);
        assert_eq!(sent.recv_timeout(LONG), Ok(vec![1]));
        carrier.end(LONG).unwrap();
        assert!(sent.recv().is_err(), "an empty batch is none");
    }

    #[test]
    fn who_lags_gets_no_more_than_is_kept_and_holds_up_nobody() {
        let (goes, held_up) = channel::<()>();
        let (sends, sent) = channel();
        let send = move |batch: &[u8]| {
            held_up.recv().ok();
            sends.send(batch.len()).unwrap();
        };
        let (outbox, carrier) = Outbox::begin(Schedule { most: 10, batch: 4, delay: LONG }, send).unwrap();
        put(&outbox, 0..100);
        let missing = carrier.end(Duration::from_millis(1));
        assert_eq!(missing, Err(RecvTimeoutError::Timeout), "who waits for the end waits as long as it said");
        drop(goes);
        let sent: usize = sent.iter().sum();
        // One batch may have been under way when the others came.
        assert!((10..=14).contains(&sent), "{sent}");
    }

    #[test]
    fn what_is_large_goes_in_smaller_batches_and_is_kept_within_its_room() {
        let (outbox, carrier, sent) = begin(usize::MAX, usize::MAX, LONG);
        for _ in 0..5 {
            outbox.put(|bytes| bytes.resize(bytes.len() + BATCH / 2, 1));
        }
        assert_eq!([sent.recv_timeout(LONG).unwrap().len(), sent.recv_timeout(LONG).unwrap().len()], [BATCH, BATCH]);
        carrier.end(LONG).unwrap();
        assert_eq!(sent.recv_timeout(LONG).unwrap().len(), BATCH / 2);

        let (goes, held_up) = channel::<()>();
        let (sends, sent) = channel();
        let send = move |batch: &[u8]| {
            held_up.recv().ok();
            sends.send(batch.len()).unwrap();
        };
        let schedule = Schedule { most: usize::MAX, batch: usize::MAX, delay: LONG };
        let (outbox, carrier) = Outbox::begin(schedule, send).unwrap();
        for _ in 0..40 {
            outbox.put(|bytes| bytes.resize(bytes.len() + BATCH, 1));
        }
        drop(goes);
        carrier.end(LONG).unwrap();
        let sent: usize = sent.iter().sum();
        assert!((ROOM..=ROOM + BATCH).contains(&sent), "{sent}");
    }

    #[test]
    fn the_schedule_is_that_of_the_variables() {
        let of = |pairs: &[(&str, &str)]| Schedule::of(&Environment::from(pairs));
        let usual = Schedule { most: 8_192, batch: 2_048, delay: Duration::from_secs(5) };
        assert_eq!(of(&[]), usual);
        assert_eq!(of(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_BSP_SCHEDULE_DELAY", "soon")]), usual);
        let set = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ];
        assert_eq!(of(&set), Schedule { most: 20, batch: 20, delay: Duration::from_millis(7) });
    }
}
