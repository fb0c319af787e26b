//! How many guests wait for an act, since that decides on whose stack what they ask for begins.
//!
//! Where there are many, they wait for something slow, and for as long as a guest waits it keeps the pages of its stack that were needed to
//! begin: 10 KiB for the transaction of a permit, and as much for a request over HTTP. So in a crowd both are begun by the workers that do
//! input and output, on their own stacks, at the price of a hop.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Guests that wait, from which on they are a crowd. A hop is little beside what so many wait for.
const MANY: usize = 64;

/// The guests of a host that wait.
#[derive(Default)]
pub(super) struct Crowd(AtomicUsize);

impl Crowd {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MANY
    }

    /// One more, until the answer is dropped.
    pub(super) fn one(&self) -> One<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self)
    }

    #[cfg(test)]
    pub(super) fn gathered(&self) -> Vec<One<'_>> {
        (0..MANY).map(|_| self.one()).collect()
    }
}

pub(super) struct One<'a>(&'a Crowd);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
