//! Who writes: the thread, or whoever comes by while it has nothing to do.
//!
//! A write that needs no sync costs less than waking another thread and being woken by it. So where the desk is free and little
//! is queued, a write is committed on its caller's thread, behind what was queued before it. All else is the thread's: gathered
//! posts, what fails, what has to wait for another program or for room on the disk, and the syncs of the log.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use super::ahead::Ahead;
use super::desk::Desk;
use super::job::{Job, Jobs, Noted, Post, Write};
use super::{Durability, StateError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Builder, JoinHandle};
use crate::sync::{Condvar, Instant, Mutex, MutexGuard, PoisonError, TryLockError};

/// How long posts are gathered.
const GATHER: Duration = Duration::from_millis(20);
/// How long the writer keeps waking by itself after the last piece of work. While it does, a post makes no system call.
const DOZE: Duration = Duration::from_secs(1);
/// How soon posts that did not fit on the disk are tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Most queued jobs that somebody else than the thread commits with his own: some hundred microseconds.
const FEW: usize = 32;

thread_local! {
    /// Whether this thread commits nothing itself.
    static HANDS_OVER: Cell<bool> = const { Cell::new(false) };
}

/// From here on this thread leaves its writes to the thread that writes. For one that gives way to others, and may not be run for
/// long: stopped in the middle of a commit it would hold up everybody's.
pub(crate) fn hand_over() {
    HANDS_OVER.set(true);
}

#[derive(Default)]
struct Queue {
    jobs: Jobs,
    /// How many of the jobs are no posts.
    writes: usize,
    flushes: Vec<oneshot::Sender<Result<(), StateError>>>,
    /// Somebody waits for what is queued.
    urgent: bool,
    /// The writer will not wake by itself.
    asleep: bool,
    closed: bool,
}

impl Queue {
    fn take(&mut self) -> Jobs {
        self.writes = 0;
        std::mem::take(&mut self.jobs)
    }

    fn give_back(&mut self, mut jobs: Jobs) {
        self.writes += jobs.iter().filter(|job| !job.is_post()).count();
        jobs.append(&mut self.jobs);
        self.jobs = jobs;
    }
}

/// The order of locking is desk, log of what is ahead, queue. Only who holds the desk takes jobs from the queue, so they are committed in their order.
struct Shared {
    queue: Mutex<Queue>,
    bell: Condvar,
    desk: Mutex<Desk>,
    /// Whether a commit syncs nothing, so that anybody may make it.
    light: bool,
    ahead: Arc<Ahead>,
    /// Posts wait for room on the disk.
    stuck: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Box<dyn Job>) {
        let urgent = !job.is_post();
        let mut queue = self.lock();
        queue.writes += usize::from(urgent);
        queue.jobs.push(job);
        self.ring(queue, urgent);
    }

    fn ring(&self, mut queue: MutexGuard<'_, Queue>, urgent: bool) {
        let wake = queue.asleep || (urgent && !queue.urgent);
        queue.urgent |= urgent;
        queue.asleep = false;
        drop(queue);
        if wake {
            self.bell.notify_one();
        }
    }

    /// Commits `job` here and now, or gives it back.
    fn commit_here(&self, job: Box<dyn Job>, posts: Posts) -> Result<(), Box<dyn Job>> {
        if !self.light || HANDS_OVER.get() {
            return Err(job);
        }
        let mut desk = match self.desk.try_lock() {
            Ok(desk) => desk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(job),
        };
        if !desk.is_clear() {
            return Err(job);
        }
        let mut queue = self.lock();
        let mut jobs = match posts {
            Posts::Before if queue.jobs.len() <= FEW => queue.take(),
            Posts::Whenever if queue.writes == 0 => Jobs::new(),
            _ => return Err(job),
        };
        drop(queue);
        jobs.push(job);
        if desk.try_commit(&mut jobs) {
            drop(desk);
            jobs.into_iter().for_each(|job| job.done(Ok(())));
        } else {
            // Back in front of what has come meanwhile: nobody else has taken anything.
            let mut queue = self.lock();
            queue.give_back(jobs);
            self.ring(queue, true);
        }
        Ok(())
    }
}

/// What a write does with the posts that were queued before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posts {
    /// It is committed with them.
    Before,
    /// It may be committed before them.
    Whenever,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    pub(super) fn start(
        db: Connection,
        durability: Durability,
        path: PathBuf,
        ahead: Ahead,
    ) -> Result<Self, StateError> {
        let desk = Desk::new(db, path.clone())?;
        let light = durability == Durability::Normal;
        let (queue, bell) = (Mutex::default(), Condvar::new());
        let (ahead, stuck) = (Arc::new(ahead), AtomicBool::new(false));
        let shared = Arc::new(Shared { queue, bell, desk: Mutex::new(desk), light, ahead, stuck });
        let theirs = Arc::clone(&shared);
        let thread = Builder::new()
            .name("state-writer".into())
            .spawn(move || serve(&theirs))
            .map_err(|error| StateError::io(&path, &error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn write<T, F>(&self, act: F, posts: Posts) -> oneshot::Receiver<Result<T, StateError>>
    where
        T: Send + 'static,
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        if let Err(job) = self.shared.commit_here(Box::new(Write::new(act, reply)), posts) {
            self.shared.push(job);
        }
        result
    }

    pub(super) fn write_large<T, F>(&self, act: F) -> oneshot::Receiver<Result<T, StateError>>
    where
        T: Send + 'static,
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        self.shared.push(Box::new(Write::new(act, reply)));
        result
    }

    pub(super) fn post<F>(&self, act: F)
    where
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        self.shared.push(Box::new(Post(act)));
    }

    /// Queues `act` behind a line that stands for it. Gives it back where that is no way to have it on record: a power cut must not take
    /// it, posts do not get through, or the line cannot be written.
    pub(super) fn post_ahead<F>(&self, line: &[u8], act: F) -> Result<(), F>
    where
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        let shared = &self.shared;
        if !shared.light || HANDS_OVER.get() || shared.stuck.load(Ordering::Relaxed) {
            return Err(act);
        }
        let mut act = Some(act);
        // Queued before anybody else can write a line: they are committed in the order of their numbers.
        shared.ahead.write(line, |number| {
            if let Some(act) = act.take() {
                shared.push(Box::new(Noted { act, ahead: Arc::clone(&shared.ahead), number }));
            }
        });
        act.map_or(Ok(()), Err)
    }

    /// Whether something is on record only by its line.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.ahead.is_behind()
    }

    pub(super) fn flush(&self) -> oneshot::Receiver<Result<(), StateError>> {
        let (reply, result) = oneshot::channel();
        let mut queue = self.shared.lock();
        queue.flushes.push(reply);
        self.shared.ring(queue, true);
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        self.shared.ring(queue, true);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// The thread's life.
fn serve(shared: &Shared) {
    let mut stuck = false;
    loop {
        wait(shared, stuck);
        let mut desk = shared.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue = shared.lock();
        queue.urgent = false;
        let jobs = queue.take();
        let flushes = std::mem::take(&mut queue.flushes);
        let closed = queue.closed;
        drop(queue);
        let error = desk.commit(jobs);
        stuck = desk.is_stuck();
        shared.stuck.store(stuck, Ordering::Relaxed);
        for flush in flushes {
            let _ = flush.send(error.clone().map_or(Ok(()), Err));
        }
        if closed {
            return desk.close(&shared.ahead);
        }
        desk.shorten_log();
    }
}

/// Sleeps until there is something to commit. `stuck` says that posts wait for room on the disk.
fn wait(shared: &Shared, stuck: bool) {
    let began = Instant::now();
    let mut queue = shared.lock();
    while !queue.urgent {
        if queue.jobs.is_empty() && !stuck && began.elapsed() >= DOZE {
            queue.asleep = true;
            queue = shared.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.asleep = false;
            continue;
        }
        let nap = if stuck { RETRY.saturating_sub(began.elapsed()) } else { GATHER };
        queue = shared.bell.wait_timeout(queue, nap).unwrap_or_else(PoisonError::into_inner).0;
        let due = if stuck { began.elapsed() >= RETRY } else { !queue.jobs.is_empty() };
        if due {
            break;
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
