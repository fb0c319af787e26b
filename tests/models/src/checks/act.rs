//! Work that somebody watches now and then, here or from another runtime, or that is given up; while things happen to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use shuttle::sync::Mutex;
use tokio::clock::Clock;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Check, join};
use crate::act::Act;
use crate::ground::{one_of, turn};

pub(super) const CHECK: Check = Check {
    name: "act",
    holds: "work is polled by one at a time and never after it was dropped; nothing that wakes it is lost; its end is told once",
    body,
};

const THINGS: u32 = 3;

/// What happens to the work.
#[derive(Default)]
struct World {
    inbox: Mutex<Inbox>,
    seen: AtomicU32,
    is_polled: AtomicBool,
    /// Its owner has let go of it.
    is_dropped: AtomicBool,
    /// How often it went.
    gone: AtomicU32,
}

#[derive(Default)]
struct Inbox {
    things: u32,
    waker: Option<Waker>,
}

impl World {
    fn happen(&self) {
        let mut inbox = self.inbox.lock().unwrap();
        inbox.things += 1;
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Sees each thing that happens, and ends with the last one.
struct Work {
    world: Arc<World>,
    home: Handle,
    /// Told at its end.
    _ended: oneshot::Sender<()>,
}

impl Future for Work {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let world = &self.world;
        assert!(!world.is_polled.swap(true, Ordering::SeqCst), "two poll it");
        assert!(!world.is_dropped.load(Ordering::SeqCst), "it is polled after it was dropped");
        let here = Handle::try_current().map(|here| here.id());
        assert!(here.is_ok_and(|here| here == self.home.id()), "it is polled on another runtime");
        turn();
        let mut inbox = world.inbox.lock().unwrap();
        world.seen.fetch_add(std::mem::take(&mut inbox.things), Ordering::SeqCst);
        let done = world.seen.load(Ordering::SeqCst) == THINGS;
        if !done {
            inbox.waker = Some(cx.waker().clone());
        }
        drop(inbox);
        assert!(world.is_polled.swap(false, Ordering::SeqCst));
        if done { Poll::Ready(THINGS) } else { Poll::Pending }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        assert!(!self.world.is_polled.load(Ordering::SeqCst), "it goes while it is polled");
        self.world.gone.fetch_add(1, Ordering::SeqCst);
    }
}

fn body() {
    let clock = Clock::start();
    let (home, elsewhere) = (Handle::of(1), Handle::of(2));
    let world = Arc::new(World::default());
    let (ended, has_ended) = oneshot::channel();
    let work = Work { world: Arc::clone(&world), home: home.clone(), _ended: ended };

    let ways = one_of(&[0, 1, 2, 3]);
    // To what nobody watches not everything need happen.
    let things = if ways == 3 { THINGS - 1 } else { THINGS };
    let theirs = Arc::clone(&world);
    let happens = shuttle::thread::spawn(move || {
        for _ in 0..things {
            theirs.happen();
        }
    });
    let theirs = Arc::clone(&world);
    let begins = one_of(&[1, 2]);
    let reads = one_of(&[1, 2]);
    let runtime = move |number| if number == 1 { home.clone() } else { elsewhere.clone() };
    let reader = shuttle::thread::spawn(move || {
        let act = {
            let _here = runtime(begins).enter();
            Act::begin(runtime(1), work)
        };
        let next = |act: &Act<u32>, from: u32| {
            let mut told = None;
            runtime(reads).block_on(act.watch(|done| {
                told = done;
                if told.is_some() || theirs.seen.load(Ordering::SeqCst) > from {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            told
        };
        if ways == 0 {
            // Somebody who waits for each thing.
            let mut told = None;
            for from in 0..THINGS {
                told = told.or_else(|| next(&act, from));
            }
            let told = told.or_else(|| next(&act, THINGS));
            assert_eq!(told, Some(Ok(THINGS)));
        } else if ways == 1 {
            // Somebody who looks once, and then waits for what the work does without ever looking at it.
            if next(&act, 0).is_none() {
                assert!(shuttle::future::block_on(has_ended).is_err(), "it said nothing else");
                assert_eq!(next(&act, THINGS), Some(Ok(THINGS)), "its end is told to whoever comes late");
            }
        } else if ways == 2 {
            // Somebody who gives up after a look, and takes another one.
            let first = next(&act, 0);
            let told = first.or_else(|| next(&act, THINGS));
            assert_eq!(told, Some(Ok(THINGS)));
        }
        drop(act);
        theirs.is_dropped.store(true, Ordering::SeqCst);
    });
    join([happens, reader]);
    clock.stop();
    // Drivers that are on their way end by themselves, and with them the last of it.
    for _ in 0..100 {
        if world.gone.load(Ordering::SeqCst) == 1 && Arc::strong_count(&world) == 1 {
            break;
        }
        shuttle::thread::yield_now();
    }
    assert_eq!(world.gone.load(Ordering::SeqCst), 1, "how often the work went");
    let seen = world.seen.load(Ordering::SeqCst);
    assert!(seen <= THINGS);
}
