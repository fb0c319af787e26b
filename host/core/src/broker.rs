//! The only road from a guest to the world.
//!
//! A capability turns what the guest wants into an **ask**. `Session::permit` asks policy, reserves the budget and mints a
//! [`Permit`]; backends take the permit, and nothing outside of this file can make one. So nothing acts without having been
//! allowed and paid for, and there is one place where that is decided.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Amount, Ledger, Reservation};
use crate::error::{Denial, Refusal};
use crate::policy::Grants;

/// One concrete act that a guest wants. The only policy code of its capability: pure, and tested as a table.
pub trait Ask: Send + Sync + 'static {
    /// The capability's name in WIT, configuration and messages.
    const CAPABILITY: &'static str;

    /// What the operator writes to allow it.
    type Grant;

    /// Picks the capability's grant out of all grants of the invocation.
    fn grant(grants: &Grants) -> &Self::Grant;

    /// What it is about, in a few words, for refusals and the journal: `model smart`. Holds no secret and no content.
    fn subject(&self) -> String;

    /// Whether `grant` allows it.
    fn allowed(&self, grant: &Self::Grant) -> Verdict;

    /// The most it can cost. What is really used is settled afterwards.
    fn estimate(&self) -> Amount;
}

/// Policy's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    /// Why not, and what the operator can do to allow it.
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

    /// Charges `used` instead of the reservation. `used` may be more than was reserved: the provider has served it.
    pub fn settle(self, used: Amount) {
        self.reservation.settle(used);
    }

    /// A permit out of nothing, for tests of backends.
    #[cfg(test)]
    pub(crate) fn unchecked(ask: A) -> Self {
        Self {
            ask,
            reservation: Reservation::unchecked(),
            deadline: Instant::now() + std::time::Duration::from_secs(60),
        }
    }
}

/// One invocation as its capabilities see it. Cheap to clone.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    skill: String,
    invocation: String,
    grants: Grants,
    ledger: Ledger,
    deadline: Instant,
    cancel: CancellationToken,
    io: tokio::runtime::Handle,
    /// Whether the guest was entered through one of its exports.
    begun: AtomicBool,
    /// The model that answered last.
    answered_by: Mutex<Option<String>>,
}

impl Session {
    /// Nothing is permitted before [`begin`](Self::begin).
    pub(crate) fn new(
        skill: String,
        invocation: String,
        grants: Grants,
        ledger: Ledger,
        deadline: Instant,
        cancel: CancellationToken,
        io: tokio::runtime::Handle,
    ) -> Self {
        let (begun, answered_by) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { skill, invocation, grants, ledger, deadline, cancel, io, begun, answered_by }))
    }

    /// The instance is made, and an export of it is called now: what it asks for from here on belongs to that call.
    pub(crate) fn begin(&self) {
        self.0.begun.store(true, Ordering::Relaxed);
    }

    /// Refuses what a component asks for while its instance is being made (a start function): it acts for no call then, and an
    /// instance must be the same whoever is going to call it.
    pub(crate) fn check_begun(
        &self,
        capability: &'static str,
        subject: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if self.0.begun.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Refusal::Denied(Denial {
            capability,
            subject: subject(),
            reason: "no call has begun: the component asked while it was being started".into(),
            hint: "no grant allows it; the skill's author can ask inside of a tool instead".into(),
        }))
    }

    /// The identity that grants, budgets and state belong to.
    pub fn skill(&self) -> &str {
        &self.0.skill
    }

    pub fn invocation(&self) -> &str {
        &self.0.invocation
    }

    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Remembers which model answered, for the caller's record.
    pub fn note_answer(&self, model: &str) {
        *self.0.answered_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.to_owned());
    }

    pub fn answered_by(&self) -> Option<String> {
        self.0.answered_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks policy, reserves the budget, and gives the right to act. Every refusal of a capability comes from here.
    pub async fn permit<A: Ask>(&self, ask: A) -> Result<Permit<A>, Refusal> {
        self.check_begun(A::CAPABILITY, || ask.subject())?;
        self.0.ledger.count_host_call()?;
        if self.0.cancel.is_cancelled() {
            return Err(Refusal::Cancelled);
        }
        if Instant::now() >= self.0.deadline {
            return Err(Refusal::TimedOut("the invocation's deadline has come".into()));
        }
        if let Verdict::No { reason, hint } = ask.allowed(A::grant(&self.0.grants)) {
            tracing::info!(skill = %self.0.skill, subject = %ask.subject(), %reason, "denied");
            return Err(Refusal::Denied(Denial {
                capability: A::CAPABILITY,
                subject: ask.subject(),
                reason,
                hint: hint.replace("{skill}", &self.0.skill),
            }));
        }
        let reservation = self.0.ledger.reserve(ask.estimate()).await?;
        Ok(Permit { ask, reservation, deadline: self.0.deadline })
    }

    /// Runs an act on the workers that do input and output, never on those that run guests: a spinning guest must not
    /// starve a socket. Dropping the returned future aborts the act; a panic inside of it becomes a refusal.
    pub fn perform<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Refusal>> + Send + 'static {
        let task = AbortOnDrop(self.0.io.spawn(act));
        let cancel = self.0.cancel.clone();
        let deadline = self.0.deadline;
        async move {
            let mut task = task;
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Refusal::Cancelled),
                done = &mut task.0 => match done {
                    Ok(result) => result,
                    Err(error) => {
                        tracing::error!(%error, "a host function failed");
                        Err(Refusal::Unavailable("the host failed inside of this call; its log says more".into()))
                    }
                },
                () = tokio::time::sleep_until(deadline) => {
                    Err(Refusal::TimedOut("the invocation's deadline has come".into()))
                }
            }
        }
    }

    /// As [`perform`](Self::perform), for an act that the guest waits for and that does nothing before it is polled.
    ///
    /// A light guest is polled by the workers that do input and output anyway. Then the act is polled with it, since handing
    /// it to another worker costs more than most acts. Sockets, timers and tasks of the act still belong to those workers,
    /// wherever the guest goes meanwhile. A panic ends the invocation.
    pub async fn perform_in_place<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let io = &self.0.io;
        if !tokio::runtime::Handle::try_current().is_ok_and(|here| here.id() == io.id()) {
            return self.perform(act).await;
        }
        let mut act = std::pin::pin!(act);
        let act = std::future::poll_fn(|cx| {
            let _here = io.enter();
            act.as_mut().poll(cx)
        });
        tokio::select! {
            biased;
            () = self.0.cancel.cancelled() => Err(Refusal::Cancelled),
            done = act => done,
            () = tokio::time::sleep_until(self.0.deadline) => {
                Err(Refusal::TimedOut("the invocation's deadline has come".into()))
            }
        }
    }
}

/// A task that ends when nobody waits for it any more.
pub struct AbortOnDrop<T>(pub tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
