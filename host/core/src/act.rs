//! Work that goes on whether anybody waits for it, and that is done where somebody waits.
//!
//! A task of its own for such work costs its reader a hop to another thread for each thing that happens. So the work lies in
//! a place that two may poll. A **reader** that waits, and that runs on the work's own runtime anyway, polls it itself: what
//! wakes the work wakes the reader. Whatever happens while no such reader waits is left to a **driver**, a task on the work's
//! runtime that is made when it is first needed. A reader that has just gone is mostly back within microseconds, and wants to
//! find things as they are: the driver begins only after a lease.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// How long the work waits for a reader that polled it and went away, before it goes on without one.
const LEASE: Duration = Duration::from_millis(5);

/// Work under way. Dropping it drops the work at once, or as soon as the poll that it is in has returned.
pub(crate) struct Act<T: Send + 'static>(Arc<Shared<T>>);

/// The work panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

struct Shared<T> {
    /// Where the work belongs: its sockets, its timers and its driver.
    home: Handle,
    /// A mutex that blocks: held for a few instructions, never while the work is polled.
    state: Mutex<State<T>>,
}

struct State<T> {
    /// None while it is being polled, and after its end.
    work: Option<BoxFuture<'static, T>>,
    /// What it gave, until the reader takes it.
    done: Option<Result<T, Panicked>>,
    /// Whether something has happened that the work has not seen.
    woken: bool,
    reader: Reader,
    driver: Driver,
    /// Nobody wants it any more.
    dropped: bool,
}

enum Reader {
    /// Does other things. The time is its last poll of the work, if it ever made one.
    Away(Option<Instant>),
    /// Waits on the work's runtime. It has been woken where there is no waker.
    Here(Option<Waker>),
    /// Waits on another runtime, which the work must not hold up and must not wait for.
    Elsewhere(Option<Waker>),
}

enum Driver {
    None,
    /// On its way: it will look.
    Called,
    /// Waits for a lease to end.
    Waits(Waker),
    /// Has nothing to do.
    Idle(Waker),
}

impl<T: Send + 'static> Act<T> {
    /// Begins `work`, which belongs to the runtime `home`. Polled here for the first time where this is that runtime.
    pub(crate) fn begin(home: Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        let here = is_here(&home);
        let state = State {
            work: Some(Box::pin(work)),
            done: None,
            woken: true,
            reader: Reader::Away(here.then(Instant::now)),
            driver: Driver::None,
            dropped: false,
        };
        let shared = Arc::new(Shared { home, state: Mutex::new(state) });
        if here {
            drop(shared.turn(shared.state()));
        }
        shared.call_driver(shared.state());
        Self(shared)
    }

    /// Waits until `look` finds something in what the work does. It is asked after each poll, with the work's end where that
    /// has come. The end is told once.
    pub(crate) async fn watch<R>(&self, mut look: impl FnMut(Option<Result<T, Panicked>>) -> Poll<R>) -> R {
        let _leaves = Leaves(self);
        std::future::poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(done) => look(Some(done)),
            Poll::Pending => look(None),
        })
        .await
    }

    /// The reader's poll. The waker is woken after the next thing that happens, be it only something on the work's way.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, Panicked>> {
        let shared = &self.0;
        let mut state = shared.state();
        if !is_here(&shared.home) {
            if let Some(done) = state.done.take() {
                return Poll::Ready(done);
            }
            state.reader = Reader::Elsewhere(Some(cx.waker().clone()));
            shared.call_driver(state);
            return Poll::Pending;
        }
        if state.woken && state.work.is_some() {
            state.reader = Reader::Here(None);
            state = shared.turn(state);
        }
        if let Some(done) = state.done.take() {
            return Poll::Ready(done);
        }
        state.reader = Reader::Here(Some(cx.waker().clone()));
        let again = state.woken && state.work.is_some();
        drop(state);
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The reader goes to do something else, and does not wait any more.
    fn leave(&self) {
        let mut state = self.0.state();
        if !matches!(state.reader, Reader::Away(_)) {
            let here = matches!(state.reader, Reader::Here(_));
            state.reader = Reader::Away(here.then(Instant::now));
            self.0.call_driver(state);
        }
    }
}

/// A reader that waits. It leaves whether it found something or was dropped.
struct Leaves<'a, T: Send + 'static>(&'a Act<T>);

impl<T: Send + 'static> Drop for Leaves<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T: Send + 'static> Drop for Act<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.dropped = true;
        let work = state.work.take();
        let driver = std::mem::replace(&mut state.driver, Driver::None);
        drop(state);
        // Its end may be anything: with no lock held, and on the runtime that it belongs to.
        let home = self.0.home.enter();
        discard(work);
        drop(home);
        if let Driver::Waits(driver) | Driver::Idle(driver) = driver {
            driver.wake();
        }
    }
}

impl<T: Send + 'static> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the work once, without the lock, and gives the lock back. On the work's runtime only.
    fn turn<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let Some(mut work) = state.work.take() else { return state };
        state.woken = false;
        drop(state);
        let waker = Waker::from(Arc::clone(self));
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
        let mut state = self.state();
        let done = match polled {
            Ok(Poll::Pending) if !state.dropped => {
                state.work = Some(work);
                return state;
            }
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(output)) => Some(Ok(output)),
            Err(_) => {
                tracing::error!("a host function failed");
                Some(Err(Panicked))
            }
        };
        drop(state);
        discard(Some(work));
        let mut state = self.state();
        state.done = done;
        state
    }

    /// Sees to it that a driver looks, where there is something to do and no reader here who does it.
    fn call_driver(self: &Arc<Self>, mut state: MutexGuard<'_, State<T>>) {
        if !state.woken || state.work.is_none() {
            return;
        }
        match (&state.reader, &state.driver) {
            (Reader::Here(_), _) | (_, Driver::Called) | (Reader::Away(_), Driver::Waits(_)) => {}
            (_, Driver::None) => {
                state.driver = Driver::Called;
                drop(state);
                self.home.spawn(drive(Arc::clone(self)));
            }
            (_, Driver::Waits(_) | Driver::Idle(_)) => {
                let driver = std::mem::replace(&mut state.driver, Driver::Called);
                drop(state);
                if let Driver::Waits(driver) | Driver::Idle(driver) = driver {
                    driver.wake();
                }
            }
        }
    }

    /// The driver's whole life. Ready when it is not needed.
    fn drive(self: &Arc<Self>, cx: &mut Context<'_>, mut lease: Pin<&mut Sleep>) -> Poll<()> {
        loop {
            let mut state = self.state();
            if state.dropped || state.done.is_some() || matches!(state.reader, Reader::Here(_)) {
                state.driver = Driver::None;
                return Poll::Ready(());
            }
            if let Reader::Away(Some(since)) = state.reader
                && since + LEASE > Instant::now()
            {
                state.driver = Driver::Waits(cx.waker().clone());
                drop(state);
                lease.as_mut().reset(since + LEASE);
                if lease.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            if !state.woken || state.work.is_none() {
                // The reader is polling it where there is no work.
                state.driver = Driver::Idle(cx.waker().clone());
                return Poll::Pending;
            }
            state.driver = Driver::Called;
            let mut state = self.turn(state);
            let again = state.woken;
            let reader = match &mut state.reader {
                Reader::Here(reader) | Reader::Elsewhere(reader) => reader.take(),
                Reader::Away(_) => None,
            };
            drop(state);
            if let Some(reader) = reader {
                reader.wake();
            }
            if again {
                // It wants to be polled again, which is others' turn first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

/// What wakes the work wakes whoever is to poll it.
impl<T: Send + 'static> Wake for Shared<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        state.woken = true;
        if state.work.is_none() {
            // Who polls it now looks again.
            return;
        }
        match &mut state.reader {
            Reader::Here(reader) => {
                let reader = reader.take();
                drop(state);
                if let Some(reader) = reader {
                    reader.wake();
                }
            }
            Reader::Away(_) | Reader::Elsewhere(_) => self.call_driver(state),
        }
    }
}

async fn drive<T: Send + 'static>(shared: Arc<Shared<T>>) {
    let mut lease = pin!(sleep_until(Instant::now()));
    std::future::poll_fn(|cx| shared.drive(cx, lease.as_mut())).await;
}

fn is_here(home: &Handle) -> bool {
    Handle::try_current().is_ok_and(|here| here.id() == home.id())
}

/// Drops what is left of the work. A panic in that is the work's own, and must not reach who let go of it.
fn discard<T>(work: Option<BoxFuture<'static, T>>) {
    if catch_unwind(AssertUnwindSafe(|| drop(work))).is_err() {
        tracing::error!("work that was given up panicked");
    }
}
