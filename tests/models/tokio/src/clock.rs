//! Time that passes when the scheduler says so.
//!
//! Nobody waits for a real clock, so each moment at which a timer might go off is a choice like any other, and a run can be
//! repeated. A task of the check's own moves the time on to the next timer whenever it is given a turn.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};
use shuttle::thread;

/// How late the time may be moved on, now and then: a machine that was busy.
const LATE: Duration = Duration::from_secs(2);

// All tasks of a run share one thread of the system, and runs beside each other have one each.
std::thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
}

struct State {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Timer>,
    last: u64,
    mover: Option<thread::Thread>,
    stopped: bool,
}

struct Timer {
    waker: Waker,
    /// Rung until it is taken off, since whoever waits may not be waiting yet.
    rings_on: bool,
}

impl State {
    const fn new() -> Self {
        Self { now: Duration::from_secs(1_000), timers: BTreeMap::new(), last: 0, mover: None, stopped: false }
    }
}

fn state<R>(act: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(act)
}

/// The time now, since some moment before the run.
pub fn now() -> Duration {
    state(|state| state.now)
}

/// A timer that was set.
#[derive(Clone, Copy, Debug)]
pub struct Set((Duration, u64));

/// Has `waker` woken when `deadline` has come; again and again where it `rings_on`.
pub fn set(deadline: Duration, waker: Waker, rings_on: bool) -> Set {
    let (key, mover) = state(|state| {
        state.last += 1;
        let key = (deadline, state.last);
        state.timers.insert(key, Timer { waker, rings_on });
        (key, state.mover.clone())
    });
    if let Some(mover) = mover {
        mover.unpark();
    }
    Set(key)
}

/// Takes a timer off. One that has gone off is off already.
pub fn clear(set: Set) {
    // A waker may be the last owner of something that sets or clears timers when it goes.
    let timer = state(|state| state.timers.remove(&set.0));
    drop(timer);
}

/// The task that moves the time on, from the beginning of a run to its end.
#[derive(Debug)]
pub struct Clock(Option<thread::JoinHandle<()>>);

impl Clock {
    /// Begins a run's time anew.
    pub fn start() -> Self {
        let before = state(|state| std::mem::replace(state, State::new()));
        drop(before);
        Self(Some(thread::spawn(run)))
    }

    /// Ends it. Nobody may wait for a timer any more.
    pub fn stop(mut self) {
        let mover = state(|state| {
            state.stopped = true;
            state.mover.clone()
        });
        if let Some(mover) = mover {
            mover.unpark();
        }
        if let Some(task) = self.0.take() {
            task.join().expect("the clock does not fail");
        }
    }
}

fn run() {
    state(|state| state.mover = Some(thread::current()));
    loop {
        // None: nothing to do yet. The time moves on before anybody is told.
        let next = state(|state| {
            if state.stopped {
                return Err(());
            }
            let Some((&key, timer)) = state.timers.iter().next() else { return Ok(None) };
            let waker = timer.waker.clone();
            let gone = if timer.rings_on { None } else { state.timers.remove(&key) };
            Ok(Some((key.0, waker, gone)))
        });
        match next {
            Err(()) => return,
            Ok(None) => thread::park(),
            Ok(Some((deadline, waker, gone))) => {
                let late = if thread_rng().gen_range(0..4) == 0 { LATE } else { Duration::ZERO };
                state(|state| state.now = state.now.max(deadline) + late);
                waker.wake();
                drop(gone);
                thread::yield_now();
            }
        }
    }
}
