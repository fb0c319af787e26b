//! How many invocations hold an instance at once, so that they cannot wait for one another for ever.
//!
//! An invocation that waits for one that it called keeps its slot meanwhile. If the called ones waited for the same slots,
//! a few callers could hold them all and wait for each other's. So one slot is kept back for each depth of nesting: a call
//! waits for a slot that only deeper calls can hold up, and the deepest ones call nobody.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use crate::capability::tools::DEEPEST;

/// Slots that are kept back for nested calls, beside those of `engine.concurrent`.
pub(crate) const KEPT_BACK: u32 = DEEPEST as u32;

pub(crate) struct Slots {
    concurrent: usize,
    all: Semaphore,
    /// One for each depth, from the first on.
    kept: [Semaphore; DEEPEST],
}

impl Slots {
    pub(crate) fn new(concurrent: u32) -> Self {
        let concurrent = concurrent as usize;
        Self { concurrent, all: Semaphore::new(concurrent), kept: std::array::from_fn(|_| Semaphore::new(1)) }
    }

    /// Slots that are taken now.
    pub(crate) fn taken(&self) -> usize {
        let free = self.all.available_permits() + self.kept.iter().map(Semaphore::available_permits).sum::<usize>();
        (self.concurrent + DEEPEST).saturating_sub(free)
    }

    /// A slot that is free now. `depth` is 0 for an invocation that no skill called.
    pub(crate) fn try_take(&self, depth: usize) -> Option<SemaphorePermit<'_>> {
        self.all.try_acquire().ok().or_else(|| self.kept_for(depth)?.try_acquire().ok())
    }

    /// The next slot that comes free.
    pub(crate) async fn take(&self, depth: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
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
        let slots = Slots::new(1);
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
}
