//! Invocations that were started and are asked about later: those that run, and for a while those that have ended.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_core::{InvocationId, Offer};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::{Problem, Rights};

/// Most that have ended and are kept, for how long, and how many bytes of them.
const ENDED: usize = 1_000;
const KEPT: Duration = Duration::from_secs(15 * 60);
const BYTES: usize = 64 << 20;

/// What came of an invocation.
#[derive(Debug)]
pub(super) struct End {
    pub(super) at: Timestamp,
    /// The outcome as JSON.
    pub(super) result: Result<Box<RawValue>, Problem>,
}

/// One invocation that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) id: InvocationId,
    /// The tool's flat name.
    pub(super) tool: String,
    pub(super) skill: String,
    /// Whose it is: others do not learn that it exists.
    pub(super) owner: Rights,
    pub(super) at: Timestamp,
    pub(super) cancel: CancellationToken,
    pub(super) feed: Feed,
    pub(super) end: OnceLock<End>,
    key: Option<Key>,
}

/// A key by which a request can be repeated (draft-ietf-httpapi-idempotency-key-header), and the digest of what it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) key: String,
    pub(super) request: [u8; 32],
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Most that run or wait at once.
    most: usize,
    inner: Mutex<Inner>,
    bytes: Arc<AtomicUsize>,
    /// Told whenever one has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    all: HashMap<String, Arc<Started>>,
    keys: HashMap<(Rights, String), Arc<Started>>,
    /// In the order in which they ended, with the bytes of each.
    ended: VecDeque<(Instant, usize, Arc<Started>)>,
    ended_bytes: usize,
}

/// Whether an invocation is to be begun.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is new: whoever gets this runs it.
    New(Arc<Started>),
    /// The same was asked before.
    Before(Arc<Started>),
}

impl Shelf {
    /// With room for so many that run: as many as the host runs at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, inner: Mutex::default(), bytes: Arc::default(), ended: Notify::new() }
    }

    /// Puts an invocation on the shelf, unless the same request did so before.
    pub(super) fn begin(
        &self,
        offer: &Offer,
        owner: Rights,
        key: Option<Key>,
        cancel: CancellationToken,
    ) -> Result<Begun, Problem> {
        self.put(&offer.name, &offer.skill, owner, key, cancel)
    }

    fn put(
        &self,
        tool: &str,
        skill: &str,
        owner: Rights,
        key: Option<Key>,
        cancel: CancellationToken,
    ) -> Result<Begun, Problem> {
        let mut inner = self.lock();
        inner.tidy();
        if let Some(wanted) = &key
            && let Some(before) = inner.keys.get(&(owner, wanted.key.clone()))
        {
            return match before.key.as_ref() == Some(wanted) {
                true => Ok(Begun::Before(Arc::clone(before))),
                false => Err(Problem::new(
                    "conflict",
                    "this `Idempotency-Key` came with another request before",
                    "take a new key for a new request",
                )),
            };
        }
        if inner.all.len() - inner.ended.len() >= self.most {
            let detail = format!("{} invocations that were started run or wait, which is the most", self.most);
            return Err(Problem::new("busy", detail, "try again in a moment"));
        }
        let started = Arc::new(Started {
            id: InvocationId::random(),
            tool: tool.to_owned(),
            skill: skill.to_owned(),
            owner,
            at: Timestamp::now(),
            cancel,
            feed: Feed::new(&self.bytes),
            end: OnceLock::new(),
            key,
        });
        if let Some(key) = &started.key {
            inner.keys.insert((owner, key.key.clone()), Arc::clone(&started));
        }
        inner.all.insert(started.id.to_string(), Arc::clone(&started));
        Ok(Begun::New(started))
    }

    /// Says what came of an invocation. Only the first time counts.
    pub(super) fn end(&self, started: &Arc<Started>, result: Result<Box<RawValue>, Problem>) {
        let size = result.as_ref().map_or(0, |outcome| outcome.get().len());
        if started.end.set(End { at: Timestamp::now(), result }).is_err() {
            return;
        }
        let mut inner = self.lock();
        let size = size + started.feed.bytes();
        inner.ended_bytes += size;
        inner.ended.push_back((Instant::now(), size, Arc::clone(started)));
        inner.tidy();
        drop(inner);
        self.ended.notify_waiters();
    }

    /// What came of an invocation, once it has ended.
    pub(super) async fn end_of<'a>(&self, started: &'a Started) -> &'a End {
        loop {
            let mut ended = pin!(self.ended.notified());
            // Before the look: an end after it is told.
            ended.as_mut().enable();
            if let Some(end) = started.end.get() {
                return end;
            }
            ended.await;
        }
    }

    /// Returns when none runs.
    pub(super) async fn none(&self) {
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// An invocation that `rights` may know of.
    pub(super) fn get(&self, id: &str, rights: Rights) -> Option<Arc<Started>> {
        let mut inner = self.lock();
        inner.tidy();
        inner.all.get(id).filter(|started| started.owner <= rights).cloned()
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        let inner = self.lock();
        inner.all.len() - inner.ended.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Removes what ended long ago, or is too much, the oldest first.
    fn tidy(&mut self) {
        while let Some((when, _, _)) = self.ended.front() {
            let is_much = self.ended.len() > ENDED || (self.ended_bytes > BYTES && self.ended.len() > 1);
            if !is_much && when.elapsed() < KEPT {
                break;
            }
            let Some((_, size, gone)) = self.ended.pop_front() else { break };
            self.ended_bytes -= size;
            self.all.remove(gone.id.as_str());
            if let Some(key) = &gone.key {
                self.keys.remove(&(gone.owner, key.key.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: usize = 1_024;

    fn raw(n: usize) -> Result<Box<RawValue>, Problem> {
        Ok(RawValue::from_string(format!("\"{}\"", "x".repeat(n))).unwrap())
    }

    fn key(key: &str, request: u8) -> Option<Key> {
        Some(Key { key: key.into(), request: [request; 32] })
    }

    fn begin(shelf: &Shelf, owner: Rights, key: Option<Key>) -> Result<Begun, Problem> {
        shelf.put("t", "s", owner, key, CancellationToken::new())
    }

    fn new(shelf: &Shelf, owner: Rights) -> Arc<Started> {
        match begin(shelf, owner, None).unwrap() {
            Begun::New(started) => started,
            Begun::Before(_) => panic!("it is new"),
        }
    }

    #[tokio::test]
    async fn t115_a_key_gives_the_same_invocation_for_the_same_request_and_a_conflict_for_another() {
        let shelf = Shelf::new(SOME);
        let Begun::New(first) = begin(&shelf, Rights::Client, key("k", 1)).unwrap() else { panic!("new") };
        let Begun::Before(again) = begin(&shelf, Rights::Client, key("k", 1)).unwrap() else { panic!("known") };
        assert_eq!(first.id, again.id);
        assert_eq!(begin(&shelf, Rights::Client, key("k", 2)).unwrap_err().kind(), "conflict");
        assert!(matches!(begin(&shelf, Rights::Admin, key("k", 2)), Ok(Begun::New(_))), "another's keys are another's");
        assert!(matches!(begin(&shelf, Rights::Client, key("l", 1)), Ok(Begun::New(_))));
    }

    #[tokio::test]
    async fn t115_nobody_learns_of_an_invocation_of_somebody_with_more_rights() {
        let shelf = Shelf::new(SOME);
        let (admins, clients) = (new(&shelf, Rights::Admin), new(&shelf, Rights::Client));
        assert!(shelf.get(admins.id.as_str(), Rights::Client).is_none());
        for (started, rights) in [(&admins, Rights::Admin), (&clients, Rights::Admin), (&clients, Rights::Client)] {
            assert!(shelf.get(started.id.as_str(), rights).is_some());
        }
        assert!(shelf.get("", Rights::Admin).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_kept_with_a_bound_in_number_bytes_and_time() {
        let shelf = Shelf::new(SOME);
        let is_kept = |started: &Started| shelf.get(started.id.as_str(), Rights::Admin).is_some();
        let first = new(&shelf, Rights::Client);
        shelf.end(&first, raw(10));
        shelf.end(&first, Err(Problem::new("failed", "", "")));
        assert!(first.end.get().unwrap().result.is_ok(), "only the first end counts");
        for _ in 0..ENDED - 1 {
            shelf.end(&new(&shelf, Rights::Client), raw(10));
        }
        assert!(is_kept(&first));
        let last = new(&shelf, Rights::Client);
        shelf.end(&last, raw(10));
        assert!(!is_kept(&first) && is_kept(&last));
        let large = new(&shelf, Rights::Client);
        shelf.end(&large, raw(BYTES));
        assert!(!is_kept(&last) && is_kept(&large), "the newest is kept, however large");
        let runs = new(&shelf, Rights::Client);
        tokio::time::advance(KEPT).await;
        assert!(!is_kept(&large) && is_kept(&runs), "what runs is kept");
        assert_eq!(shelf.running(), 1);
    }

    #[tokio::test]
    async fn what_runs_has_a_bound() {
        let shelf = Shelf::new(SOME);
        let all: Vec<_> = (0..SOME).map(|_| new(&shelf, Rights::Client)).collect();
        assert_eq!(begin(&shelf, Rights::Client, None).unwrap_err().kind(), "busy");
        shelf.end(&all[0], raw(1));
        assert!(begin(&shelf, Rights::Client, None).is_ok());
    }
}
