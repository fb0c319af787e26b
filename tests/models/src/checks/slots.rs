//! Invocations that hold slots, call others below them, stand in line, are refused where it is full, and are given up while they
//! wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::clock::Clock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Check, beside, join};
use crate::capability::tools::DEEPEST;
use crate::engine::slots::{Crowded, Place, Slots};
use crate::ground::{turn, unless};

pub(super) const CHECK: Check = Check {
    name: "slots",
    holds: "no slot is given twice or lost, nor a place in line; invocations that hold slots never wait for each other for ever",
    body,
};

const CONCURRENT: usize = 2;
const QUEUE: usize = 1;

/// How many hold one, by depth.
#[derive(Default)]
struct Held([AtomicUsize; DEEPEST + 1]);

struct Holds<'a>(&'a AtomicUsize);

impl Held {
    /// To be called while a slot is held, and dropped before it.
    fn enter(&self, depth: usize) -> Holds<'_> {
        self.0[depth].fetch_add(1, Ordering::SeqCst);
        let all = self.0.iter().map(|held| held.load(Ordering::SeqCst));
        assert!(all.sum::<usize>() <= CONCURRENT + DEEPEST, "more hold a slot than there are");
        let outermost = self.0[0].load(Ordering::SeqCst);
        assert!(outermost <= CONCURRENT, "{outermost} of {CONCURRENT} slots are held by whom no skill called");
        Holds(&self.0[depth])
    }
}

impl Drop for Holds<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An invocation, and those below it. Only the outermost one may be refused.
async fn invoke(slots: &Slots, held: &Held, depth: usize, deepest: usize) -> Result<(), Crowded> {
    let place = slots.enter(depth)?;
    assert!(slots.waiting() <= QUEUE, "the line is longer than it may be");
    let slot = place.slot().await.expect("slots are never closed");
    let here = held.enter(depth);
    turn();
    if depth < deepest {
        Box::pin(invoke(slots, held, depth + 1, deepest)).await.expect("a nested call is never refused");
    }
    drop(here);
    drop(slot);
    Ok(())
}

fn body() {
    let clock = Clock::start();
    let io = Handle::of(1);
    let (slots, held) = (Arc::new(Slots::new(CONCURRENT as u32, QUEUE as u32)), Arc::new(Held::default()));
    let gives_up = CancellationToken::new();
    let mut threads = Vec::new();
    for (n, deepest) in [(0, 2), (1, 2), (2, 2), (3, 0)] {
        let (slots, held, token) = (Arc::clone(&slots), Arc::clone(&held), gives_up.clone());
        threads.push(beside(&io, async move {
            let all = invoke(&slots, &held, 0, deepest);
            if n == 0 {
                unless(&token, all).await;
            } else {
                // Refused or through.
                let _ = all.await;
            }
        }));
    }
    threads.push(beside(&io, async move {
        turn();
        gives_up.cancel();
    }));
    join(threads);
    assert_eq!((slots.taken(), slots.waiting()), (0, 0), "slots or places are lost");
    let all: Vec<_> = (0..CONCURRENT).map(|_| slots.enter(0)).collect();
    assert!(all.iter().all(|place| matches!(place, Ok(Place::Slot(_)))));
    let line: Vec<_> = (0..QUEUE).map(|_| slots.enter(0)).collect();
    assert!(line.iter().all(|place| matches!(place, Ok(Place::Line { .. }))) && slots.enter(0).is_err());
    clock.stop();
}
