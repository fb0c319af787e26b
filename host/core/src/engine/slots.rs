//! How many invocations hold an instance at once, so that they cannot wait for one another for ever.
//!
//! An invocation that waits for one that it called keeps its slot meanwhile. If the called ones waited for the same slots,
//! a few callers could hold them all and wait for each other's. So one slot is kept back for each depth of nesting: a call
//! waits for a slot that only deeper calls can hold up, and the deepest ones call nobody.
//!
//! Those that wait stand in a line of bounded length. Where it is full a call is refused at once, before anything is done for
//! it: work that would come too late holds memory and time of what comes in time. A nested call is never refused: it belongs to
//! a call that was let in, and how many of them there are is bounded by those that run.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use crate::capability::tools::DEEPEST;

/// Slots that are kept back for nested calls, beside those of `engine.concurrent`.
pub(crate) const KEPT_BACK: u32 = DEEPEST as u32;

pub(crate) struct Slots {
    concurrent: usize,
    all: Semaphore,
    /// One for each depth, from the first on.
    kept: [Semaphore; DEEPEST],
    /// Most that stand in line, nested ones left out.
    queue: usize,
    /// Places in the line that are free.
    line: Semaphore,
}

/// All slots are taken, and the line is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded {
    pub(crate) concurrent: usize,
    pub(crate) queue: usize,
}

/// What a call has that was let in.
pub(crate) enum Place<'a> {
    Slot(SemaphorePermit<'a>),
    /// A place in the line, where one is needed, which is given back with the wait.
    Line {
        slots: &'a Slots,
        depth: usize,
        place: Option<SemaphorePermit<'a>>,
    },
}

impl<'a> Place<'a> {
    /// The slot: the one that it has, or the next that comes free.
    pub(crate) async fn slot(self) -> Result<SemaphorePermit<'a>, AcquireError> {
        match self {
            Self::Slot(slot) => Ok(slot),
            Self::Line { slots, depth, place } => {
                let slot = slots.take(depth).await;
                drop(place);
                slot
            }
        }
    }
}

impl Slots {
    pub(crate) fn new(concurrent: u32, queue: u32) -> Self {
        let (concurrent, queue) = (concurrent as usize, queue as usize);
        Self {
            concurrent,
            all: Semaphore::new(concurrent),
            kept: std::array::from_fn(|_| Semaphore::new(1)),
            queue,
            line: Semaphore::new(queue),
        }
    }

    /// Slots that are taken now.
    pub(crate) fn taken(&self) -> usize {
        let free = self.all.available_permits() + self.kept.iter().map(Semaphore::available_permits).sum::<usize>();
        (self.concurrent + DEEPEST).saturating_sub(free)
    }

    /// Calls that stand in line, nested ones left out.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.saturating_sub(self.line.available_permits())
    }

    /// Lets a call in, or refuses it. Waits for nothing. `depth` is 0 for an invocation that no skill called.
    pub(crate) fn enter(&self, depth: usize) -> Result<Place<'_>, Crowded> {
        if let Some(slot) = self.try_take(depth) {
            return Ok(Place::Slot(slot));
        }
        let place = match depth {
            0 => {
                let crowded = Crowded { concurrent: self.concurrent, queue: self.queue };
                Some(self.line.try_acquire().map_err(|_| crowded)?)
            }
            _ => None,
        };
        Ok(Place::Line { slots: self, depth, place })
    }

    /// A slot that is free now.
    fn try_take(&self, depth: usize) -> Option<SemaphorePermit<'_>> {
        self.all.try_acquire().ok().or_else(|| self.kept_for(depth)?.try_acquire().ok())
    }

    /// The next slot that comes free.
    async fn take(&self, depth: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.kept_for(depth) {
            Some(kept) => tokio::select! {
                slot = self.all.acquire() => slot,
                slot = kept.acquire() => slot,
            },
            None => self.all.acquire().await,
        }
    }

    fn kept_for(&self, depth: usize) -> Option<&Semaphore> {
        self.kept.get(depth.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_depth_has_a_slot_that_no_other_takes() {
        let slots = Slots::new(1, 0);
        let outer = slots.try_take(0).unwrap();
        assert!(slots.try_take(0).is_none(), "one is all there is");
        let inner: Vec<_> = (1..=DEEPEST).map(|depth| slots.try_take(depth).unwrap()).collect();
        assert!((0..=DEEPEST + 1).all(|depth| slots.try_take(depth).is_none()));
        assert_eq!(slots.taken(), DEEPEST + 1);
        drop(outer);
        let taken = slots.take(3).await.unwrap();
        drop(inner);
        assert!(slots.try_take(0).is_none(), "what is kept back is for nested calls alone");
        assert!(slots.try_take(3).is_some());
        drop(taken);
    }

    #[tokio::test]
    async fn a_full_line_refuses_at_once_and_nested_calls_never() {
        let slots = Slots::new(1, 2);
        let held = slots.enter(0).unwrap();
        let (one, two) = (slots.enter(0).unwrap(), slots.enter(0).unwrap());
        assert_eq!(slots.waiting(), 2);
        assert_eq!(slots.enter(0).err(), Some(Crowded { concurrent: 1, queue: 2 }));
        let nested: Vec<_> = (0..10).map(|_| slots.enter(1).unwrap()).collect();
        assert_eq!(slots.waiting(), 2, "they have no place in the line");
        drop((nested, two));
        let two = slots.enter(0).unwrap();
        assert!(slots.enter(0).is_err(), "who left has made room for one");
        drop(held);
        let slot = one.slot().await.unwrap();
        assert_eq!(slots.waiting(), 1, "who has a slot stands in line no more");
        drop((slot, two));
        assert_eq!((slots.waiting(), slots.taken()), (0, 0));
        let none = Slots::new(1, 0);
        let only = none.enter(0).unwrap();
        assert!(none.enter(0).is_err());
        drop(only);
        assert!(none.enter(0).is_ok());
    }
}
