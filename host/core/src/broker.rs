//! The only road from a guest to the world.
//!
//! A capability turns what the guest wants into an **ask**. `Session::permit` asks policy, the rules for whoever called and,
//! where it must, a person; it reserves the budget, writes down what is about to happen and mints a [`Permit`]. Backends take
//! the permit, and nothing outside of this file can make one. So nothing acts without having been allowed, paid for and
//! recorded, and there is one place where that is decided.

mod approval;
mod crowd;
mod receipt;
mod session;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use tokio::time::Instant;
use tracing::Span;

use crate::budget::{Amount, Reservation};
use crate::policy::Grants;
use crate::policy::taint::Touch;
use crate::trace;

pub use receipt::Receipt;
pub use session::{AbortOnDrop, Session};
pub(crate) use session::{Above, Setup, Shared};

/// One concrete act that a guest wants. The only policy code of its capability: pure, and tested as a table.
pub trait Ask: Send + Sync + 'static {
    /// The capability's name in WIT, configuration and messages.
    const CAPABILITY: &'static str;

    /// What the operator writes to allow it.
    type Grant;

    /// Picks the capability's grant out of all grants of the invocation.
    fn grant(grants: &Grants) -> &Self::Grant;

    /// What it is about, in a few words, for refusals and the audit: `model smart`. Holds no secret and no content.
    fn subject(&self) -> String;

    /// Whether `grant` allows it.
    fn allowed(&self, grant: &Self::Grant) -> Verdict;

    /// The most it can cost. What is really used is settled afterwards.
    fn estimate(&self) -> Amount;

    /// Whether others can notice it: it leaves this process, or changes what is not the skill's own. Then its record is on
    /// disk before it begins, and it is refused where that cannot be.
    fn leaves(&self) -> bool;

    /// What it reads and whether it sends.
    fn touches(&self) -> Touch;

    /// Whether the operator's grant names where it goes, and not only a pattern that covers it. Asked where it sends.
    fn named(&self, _grant: &Self::Grant) -> bool {
        true
    }

    /// The span of the act, below that of its invocation. Of everything it may name what the subject names, without paths.
    fn span(&self, invocation: &Span) -> Span {
        trace::act(invocation, Self::CAPABILITY)
    }

    /// Everything that would be sent, whole, for a person who is asked about it.
    fn arguments(&self) -> String {
        self.subject()
    }
}

/// Policy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    /// Why not, and what the operator can do to allow it. `{skill}` in the hint becomes the skill's identity.
    No {
        reason: String,
        hint: String,
    },
}

/// An act that policy allowed and the budget reserved. Settle it with what was really used; a permit that is dropped
/// unsettled (a cancelled call, a panic) charges its whole reservation.
#[derive(Debug)]
pub struct Permit<A> {
    ask: A,
    reservation: Reservation,
    deadline: Instant,
    receipt: Receipt,
}

impl<A> Permit<A> {
    pub fn ask(&self) -> &A {
        &self.ask
    }

    /// When the invocation ends, whatever it waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What was set aside for it.
    pub fn reserved(&self) -> Amount {
        self.reservation.amount()
    }

    /// Where what became of the act is told. Take it before the permit goes to the backend.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        self.receipt.clone()
    }

    /// Charges `used` instead of the reservation. `used` may be more than was reserved: the provider has served it.
    pub fn settle(self, used: Amount) {
        self.receipt.used(used);
        self.reservation.settle(used);
    }

    /// A permit out of nothing, for tests of backends.
    #[cfg(test)]
    pub(crate) fn unchecked(ask: A) -> Self {
        Self {
            ask,
            reservation: Reservation::nothing(),
            deadline: Instant::now() + std::time::Duration::from_secs(60),
            receipt: Receipt::nowhere(),
        }
    }
}
