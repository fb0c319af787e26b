//! What `host/core/src/sync.rs` has for the program, over the checker's scheduler: each operation is a point at which any other
//! task may run. All atomics are as strong as `SeqCst` here: what a weaker order would allow is not explored.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use shuttle::sync::LockResult;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError, RwLock, TryLockError, atomic, mpsc};
pub(crate) use shuttle::thread;
use tokio::clock;
pub(crate) use tokio::time::Instant;

/// A condition variable whose waits end in time, on the made-up clock. The checker's own never do.
#[derive(Default)]
pub(crate) struct Condvar(Arc<Bell>);

#[derive(Default)]
struct Bell(shuttle::sync::Condvar);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_all();
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.0.notify_one();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.0.wait(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        let set = clock::set(clock::now() + time, Waker::from(Arc::clone(&self.0)), true);
        let guard = self.0.0.wait(guard);
        clock::clear(set);
        guard.map(|guard| (guard, ())).map_err(|poisoned| PoisonError::new((poisoned.into_inner(), ())))
    }
}

/// A value that is set once.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// What makes looking and setting points for the scheduler.
    turn: atomic::AtomicBool,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), turn: atomic::AtomicBool::new(false) }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.turn.swap(true, atomic::Ordering::SeqCst);
        self.value.set(value)
    }

    /// `value` must be no point for the scheduler: who comes meanwhile waits outside of it.
    pub(crate) fn get_or_init(&self, value: impl FnOnce() -> T) -> &T {
        self.turn.swap(true, atomic::Ordering::SeqCst);
        self.value.get_or_init(value)
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.turn.load(atomic::Ordering::SeqCst);
        self.value.get()
    }
}
