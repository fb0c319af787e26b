//! One invocation as its capabilities see it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::approval::{self, Refused};
use super::crowd::Crowd;
use super::{Ask, Permit, Receipt, Verdict};
use crate::act::{Act, Panicked};
use crate::budget::{Amount, Ledger, Reservation, Reserved};
use crate::error::{Denial, Explain as _, Refusal};
use crate::journal::audit::{self, Audit, Entry, Event};
use crate::person::Person;
use crate::plain;
use crate::policy::Grants;
use crate::policy::rules::{Rule, Rules};
use crate::policy::taint::{Taint, Touch};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, PoisonError};
use crate::trace;
use crate::unless::unless;

/// Records of acts that nobody else notices, and of refusals, of one invocation. A skill must not push the rest of the audit
/// out by asking for nothing a million times; what is above is counted.
const RECORDS: u64 = 1_000;

/// What an invocation is made with.
pub(crate) struct Setup {
    /// The identity that grants, budgets and state belong to.
    pub(crate) skill: Arc<str>,
    pub(crate) invocation: Arc<str>,
    /// The chain of callers, the outermost first, as in `Caller::as_str`.
    pub(crate) callers: Vec<&'static str>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) ledger: Ledger,
    pub(crate) deadline: Instant,
    pub(crate) cancel: CancellationToken,
    /// Shared with the invocations that this one calls.
    pub(crate) taint: Arc<Taint>,
    pub(crate) person: Option<Arc<dyn Person>>,
    /// Where another invocation called this one.
    pub(crate) above: Option<Above>,
    /// Whether an export of the guest was entered already. While its instance is made it acts for no call.
    pub(crate) entered: bool,
    /// What those who trace it see it by.
    pub(crate) span: tracing::Span,
    pub(crate) shared: Arc<Shared>,
}

/// The invocation that called this one.
pub(crate) struct Above {
    pub(crate) session: Session,
    /// What the skill that was called might do by itself: to say who lacks what.
    pub(crate) own: Arc<Grants>,
}

/// What all sessions of a host have in common.
pub(crate) struct Shared {
    pub(crate) audit: Audit,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) io: tokio::runtime::Handle,
    pub(super) crowd: Crowd,
}

impl Shared {
    /// `io` are the workers that do input and output.
    pub(crate) fn new(audit: Audit, rules: Rules, io: tokio::runtime::Handle) -> Self {
        Self { audit, rules: ArcSwap::from_pointee(rules), io, crowd: Crowd::default() }
    }
}

/// One invocation as its capabilities see it. Cheap to clone.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    skill: Arc<str>,
    invocation: Arc<str>,
    /// `model>skill`.
    chain: Arc<str>,
    callers: Vec<&'static str>,
    grants: Arc<Grants>,
    ledger: Ledger,
    deadline: Instant,
    cancel: CancellationToken,
    taint: Arc<Taint>,
    person: Option<Arc<dyn Person>>,
    above: Option<Above>,
    shared: Arc<Shared>,
    /// Whether the guest was entered through one of its exports.
    entered: AtomicBool,
    span: tracing::Span,
    count: Arc<Count>,
    /// The model that answered last.
    answered_by: Mutex<Option<String>>,
}

/// Of one invocation, whoever decides in it.
struct Count {
    /// Acts so far.
    acts: AtomicU64,
    /// Records of those that count against `RECORDS`.
    records: AtomicU64,
}

impl Session {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup {
            skill,
            invocation,
            callers,
            grants,
            ledger,
            deadline,
            cancel,
            taint,
            person,
            above,
            shared,
            entered,
            span,
        } = setup;
        Self(Arc::new(Inner {
            skill,
            invocation,
            chain: match callers[..] {
                [one] => one.into(),
                _ => callers.join(">").into(),
            },
            callers,
            grants,
            ledger,
            deadline,
            cancel,
            taint,
            person,
            above,
            shared,
            entered: AtomicBool::new(entered),
            span,
            count: Arc::new(Count { acts: AtomicU64::new(0), records: AtomicU64::new(0) }),
            answered_by: Mutex::default(),
        }))
    }

    /// The same invocation while somebody else decides in it: what is asked for from there is asked by all that began it and by `caller`.
    /// For one that no other one called.
    pub(crate) fn by(&self, caller: &'static str) -> Self {
        let own = &self.0;
        let callers: Vec<_> = own.callers.iter().copied().chain([caller]).collect();
        Self(Arc::new(Inner {
            skill: Arc::clone(&own.skill),
            invocation: Arc::clone(&own.invocation),
            chain: callers.join(">").into(),
            callers,
            grants: Arc::clone(&own.grants),
            ledger: own.ledger.clone(),
            deadline: own.deadline,
            cancel: own.cancel.clone(),
            taint: Arc::clone(&own.taint),
            person: own.person.clone(),
            above: None,
            shared: Arc::clone(&own.shared),
            entered: AtomicBool::new(true),
            span: own.span.clone(),
            count: Arc::clone(&own.count),
            answered_by: Mutex::default(),
        }))
    }

    /// The instance is made, and an export of it is called now: what it asks for from here on belongs to that call.
    pub(crate) fn enter(&self) {
        self.0.entered.store(true, Ordering::Relaxed);
    }

    /// Refuses what a component asks for while its instance is being made (a start function): it acts for no call then, and an
    /// instance must be the same whoever is going to call it.
    pub(crate) fn check_entered(
        &self,
        capability: &'static str,
        subject: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if self.0.entered.load(Ordering::Relaxed) {
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

    /// The same, for whoever keeps it.
    pub(crate) fn shared_invocation(&self) -> Arc<str> {
        Arc::clone(&self.0.invocation)
    }

    /// The chain of callers, the outermost first: `user`, `model>skill`.
    pub fn callers(&self) -> &str {
        &self.0.chain
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

    /// Who can be asked, where somebody is there.
    pub fn person(&self) -> Option<&Arc<dyn Person>> {
        self.0.person.as_ref()
    }

    /// Ends when the caller cancels the invocation.
    pub fn cancelled(&self) -> impl Future<Output = ()> + '_ {
        self.0.cancel.cancelled()
    }

    pub(crate) fn cancel_token(&self) -> &CancellationToken {
        &self.0.cancel
    }

    pub(crate) fn taint(&self) -> &Arc<Taint> {
        &self.0.taint
    }

    /// What those who trace this invocation see it by.
    pub(crate) fn span(&self) -> &tracing::Span {
        &self.0.span
    }

    /// The callers as a list.
    pub(crate) fn chain(&self) -> &[&'static str] {
        &self.0.callers
    }

    /// This invocation and those above it, from the inside out.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |session| session.0.above.as_ref().map(|above| &above.session))
    }

    /// The identities of the skills that are being called: the outermost first, this one last.
    pub(crate) fn lineage(&self) -> Vec<&str> {
        let mut skills: Vec<&str> = self.upwards().map(Session::skill).collect();
        skills.reverse();
        skills
    }

    /// The skill that no other one called: what it causes counts for it, whoever does it.
    pub(crate) fn began(&self) -> &str {
        self.upwards().last().unwrap_or(self).skill()
    }

    /// Who has not been granted what the ask needs: the skill itself, or one that called it.
    fn lacking<A: Ask>(&self, ask: &A) -> &str {
        let lacks = |session: &&Self| {
            let own = session.0.above.as_ref().map_or(&*session.0.grants, |above| &*above.own);
            ask.allowed(A::grant(own)) != Verdict::Yes
        };
        self.upwards().find(lacks).unwrap_or(self).skill()
    }

    /// Remembers which model answered, for the caller's record.
    pub fn note_answer(&self, model: &str) {
        *self.0.answered_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.to_owned());
    }

    pub fn answered_by(&self) -> Option<String> {
        self.0.answered_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records of acts and refusals that were above the cap, and are only counted.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.0.count.records.load(Ordering::Relaxed).saturating_sub(RECORDS)
    }

    /// Asks policy, reserves the budget, writes the intent down, and gives the right to act. Every refusal of a capability
    /// comes from here.
    pub async fn permit<A: Ask>(&self, ask: A) -> Result<Permit<A>, Refusal> {
        self.permit_made(async move { Ok(ask) }).await.map(|permit| *permit)
    }

    /// As [`permit`](Self::permit), for an ask that takes some making. In a crowd (`crowd.rs`) that too is done by others, and
    /// nothing large comes over the guest's stack.
    pub(crate) async fn permit_made<A: Ask>(
        &self,
        ask: impl Future<Output = Result<A, Refusal>> + Send + 'static,
    ) -> Result<Box<Permit<A>>, Refusal> {
        if self.0.shared.crowd.is_there() {
            let mut task = self.permit_aside(ask);
            return task.joined().await;
        }
        self.permit_boxed(ask).await
    }

    // Each of these two in a function of its own: what it takes to begin one must not make the other's stack deeper.

    #[inline(never)]
    fn permit_boxed<'a, A: Ask>(
        &'a self,
        ask: impl Future<Output = Result<A, Refusal>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Box<Permit<A>>, Refusal>> {
        // Boxed: what the guest waits for next would lie behind it on the guest's stack.
        Box::pin(async move { self.permit_here(ask.await?).await.map(Box::new) })
    }

    #[inline(never)]
    fn permit_aside<A: Ask>(
        &self,
        ask: impl Future<Output = Result<A, Refusal>> + Send + 'static,
    ) -> AbortOnDrop<Result<Box<Permit<A>>, Refusal>> {
        let session = self.clone();
        // Boxed by the task: what is handed to it goes over this stack.
        let asking = async move { Box::pin(async move { session.permit_here(ask.await?).await.map(Box::new) }).await };
        AbortOnDrop(self.0.shared.io.spawn(asking))
    }

    async fn permit_here<A: Ask>(&self, ask: A) -> Result<Permit<A>, Refusal> {
        self.check_entered(A::CAPABILITY, || ask.subject())?;
        self.0.ledger.count_host_call()?;
        if self.0.cancel.is_cancelled() {
            return Err(Refusal::Cancelled);
        }
        if Instant::now() >= self.0.deadline {
            return Err(Refusal::TimedOut("the invocation's deadline has come".into()));
        }
        let allowed = self.check(&ask).await?;
        self.0.taint.touch(ask.touches());
        let amount = ask.estimate();
        let leaves = ask.leaves();
        if !leaves && !self.may_record() {
            let reservation = self.0.ledger.reserve(amount).await?;
            return Ok(Permit { ask, reservation, deadline: self.0.deadline, receipt: Receipt::nowhere() });
        }
        let mut intent = self.next_entry(Event::Intent, A::CAPABILITY, ask.subject());
        if let Allowed::ByPerson(person) = allowed {
            intent.detail = format!("asked: {person} allowed it");
        }
        let audit = &self.0.shared.audit;
        // Made before anything is written: a caller that goes away meanwhile leaves an intent, which needs its outcome.
        let receipt = Receipt::new(audit.clone(), intent.clone());
        match self.write_down(amount, leaves, intent).await {
            Ok(reservation) => {
                receipt.begun(ask.span(&self.0.span));
                Ok(Permit { ask, reservation, deadline: self.0.deadline, receipt })
            }
            Err(refusal) => {
                receipt.discard();
                trace::refused(&self.0.span, A::CAPABILITY, refusal.kind());
                Err(refusal)
            }
        }
    }

    /// Reserves the budget and puts the intent on record, both or neither.
    async fn write_down(&self, amount: Amount, leaves: bool, intent: Entry) -> Result<Reservation, Refusal> {
        let (audit, ledger) = (&self.0.shared.audit, &self.0.ledger);
        if amount.spendable().is_zero() {
            if leaves {
                self.write_intent(&intent, None).await?;
            } else {
                audit.note(intent);
            }
            return Ok(Reservation::nothing());
        }
        if ledger.concerns_this_host_alone() {
            let set_aside = ledger.set_aside(amount).await?;
            self.write_intent(&intent, Some(set_aside.reserved())).await?;
            return Ok(set_aside.recorded());
        }
        let at = jiff::Timestamp::now();
        let reservation = ledger.reserve_with(amount, move |tx| audit::append(tx, at, &intent)).await?;
        audit.counted();
        Ok(reservation)
    }

    /// Nothing may leave or be spent that is not on record. Promise 6 of SECURITY.md.
    async fn write_intent(&self, intent: &Entry, reserved: Option<Reserved>) -> Result<(), Refusal> {
        let spends = reserved.is_some();
        self.0.shared.audit.intend(intent, reserved).await.map_err(|error| {
            tracing::error!(%error, "the audit could not be written");
            let kind = error.kind();
            Refusal::Unavailable(match spends {
                true => format!(
                    "neither the budget nor the audit can be written ({kind}), so nothing may be spent; see the host's log"
                ),
                false => format!(
                    "the audit cannot be written ({kind}), so nothing may leave this machine; see the host's log"
                ),
            })
        })
    }

    /// Asks policy, for a permit or once more about an act under way: one that sends in pieces was permitted before the
    /// invocation had touched what it has by now. Without it a guest would open the way out first, and read what it carries
    /// away afterwards.
    ///
    /// A refusal is put on record.
    pub(crate) async fn check<A: Ask>(&self, ask: &A) -> Result<Allowed, Refusal> {
        match self.decide(ask).await {
            Ok(allowed) => Ok(allowed),
            Err(denial) => {
                self.note_refused(A::CAPABILITY, denial.subject.clone(), "denied", denial.reason.clone());
                Err(Refusal::Denied(denial))
            }
        }
    }

    /// Puts on record that an act was refused; also what cannot be asked for at all: a skill that tries is told apart from one that
    /// does not.
    pub(crate) fn note_refused(&self, capability: &'static str, subject: String, kind: &'static str, reason: String) {
        tracing::info!(skill = %self.0.skill, %subject, %reason, "denied");
        if self.may_record() {
            let entry = self.next_entry(Event::Denied, capability, subject);
            self.0.shared.audit.note(Entry { kind, detail: reason, ..entry });
            trace::refused(&self.0.span, capability, kind);
        }
    }

    /// What grant, rules, taint and perhaps a person say.
    async fn decide<A: Ask>(&self, ask: &A) -> Result<Allowed, Denial> {
        let grant = A::grant(&self.0.grants);
        let denial =
            |reason: String, hint: String| Denial { capability: A::CAPABILITY, subject: ask.subject(), reason, hint };
        if let Verdict::No { reason, hint } = ask.allowed(grant) {
            let lacking = self.lacking(ask);
            let reason = match lacking == &*self.0.skill {
                true => reason,
                false => {
                    format!("{reason}, or not one that called it: a skill that is called may do only what both may")
                }
            };
            return Err(denial(reason, hint.replace("{skill}", &plain::word(lacking))));
        }
        let (rules, callers) = (self.0.shared.rules.load(), self.0.callers.iter().copied());
        let of_caller = rules.of(callers.clone(), A::CAPABILITY);
        let touch = ask.touches();
        let tainted = touch.has(Touch::OUT) && self.0.taint.completed_by(touch) && !ask.named(grant);
        let of_taint = if tainted { rules.tainted(callers) } else { Rule::Allow };
        let (rule, reason, setting) = if of_taint > of_caller {
            let reason = "this invocation has read private data and content from strangers, and would now send \
                          something to a destination that is granted only by a pattern";
            (of_taint, reason.to_owned(), "rules.taint".to_owned())
        } else {
            let last = self.0.callers.last().copied().unwrap_or("user");
            let reason = format!("the rules for calls by `{}` say so", self.0.chain);
            (of_caller, reason, format!("rules.{last}.{}", A::CAPABILITY))
        };
        let hint = || match tainted && rule == of_taint {
            true => format!("grant the destination itself and not a pattern, or set `{setting}` in the configuration"),
            false => format!("set `{setting}` in the configuration"),
        };
        match rule {
            Rule::Allow => Ok(Allowed::ByRule),
            Rule::Deny => Err(denial(reason, hint())),
            Rule::Ask => match approval::ask(self, ask, &reason).await {
                Ok(person) => Ok(Allowed::ByPerson(person)),
                Err(Refused::No) => {
                    Err(denial(format!("{reason}, and the person who was asked did not allow it"), hint()))
                }
                Err(Refused::Nobody) => {
                    Err(denial(format!("{reason}: a person must allow it, and nobody is there"), hint()))
                }
            },
        }
    }

    /// A record of the next act.
    fn next_entry(&self, event: Event, capability: &'static str, subject: String) -> Entry {
        self.entry(event, self.0.count.acts.fetch_add(1, Ordering::Relaxed) + 1, capability, subject.into())
    }

    /// A record of this invocation: of the act of this number, or of all of it, which is 0.
    pub(crate) fn entry(&self, event: Event, act: u64, capability: &'static str, subject: Arc<str>) -> Entry {
        Entry {
            event,
            invocation: Arc::clone(&self.0.invocation),
            act,
            skill: Arc::clone(&self.0.skill),
            caller: Arc::clone(&self.0.chain),
            capability,
            subject,
            kind: "",
            detail: String::new(),
        }
    }

    fn may_record(&self) -> bool {
        self.0.count.records.fetch_add(1, Ordering::Relaxed) < RECORDS
    }

    /// Runs an act on the workers that do input and output, never on those that run guests: a spinning guest must not
    /// starve a socket. Dropping the returned future aborts the act; a panic inside of it becomes a refusal.
    pub fn perform<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Refusal>> + Send + 'static {
        let task = AbortOnDrop(self.0.shared.io.spawn(act));
        let (cancel, deadline) = (self.0.cancel.clone(), self.0.deadline);
        async move {
            let mut task = task;
            until(&cancel, deadline, pin!(task.joined())).await
        }
    }

    /// Begins an act that goes on whether the guest waits for it or not. Its end is the invocation's at the latest. Where a
    /// light guest waits for it, it is polled with the guest (see [`perform_in_place`](Self::perform_in_place)), and else by
    /// the workers that do input and output.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Act<Result<T, Refusal>> {
        let (cancel, deadline) = (self.0.cancel.clone(), self.0.deadline);
        Act::begin(self.0.shared.io.clone(), async move { until(&cancel, deadline, pin!(act)).await })
    }

    /// As [`perform`](Self::perform), for an act that the guest waits for and that does nothing before it is polled.
    ///
    /// A light guest is polled by the workers that do input and output anyway. Then the act is polled with it, since handing
    /// it to another worker costs more than most acts, as long as few guests wait (`crowd.rs`). Sockets, timers and tasks of the
    /// act still belong to those workers, wherever the guest goes meanwhile. A panic ends the invocation.
    pub async fn perform_in_place<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let io = &self.0.shared.io;
        let crowd = &self.0.shared.crowd;
        let is_here = !crowd.is_there() && tokio::runtime::Handle::try_current().is_ok_and(|here| here.id() == io.id());
        let _one = crowd.one();
        if !is_here {
            return self.perform(act).await;
        }
        let mut act = pin!(act);
        let act = std::future::poll_fn(|cx| {
            let _here = io.enter();
            act.as_mut().poll(cx)
        });
        until(&self.0.cancel, self.0.deadline, pin!(act)).await
    }
}

/// An act until its invocation ends: one that was called off does not begin, and what is there at the deadline is there.
async fn until<T>(
    cancel: &CancellationToken,
    deadline: Instant,
    mut act: Pin<&mut (impl Future<Output = Result<T, Refusal>> + ?Sized)>,
) -> Result<T, Refusal> {
    if cancel.is_cancelled() {
        return Err(Refusal::Cancelled);
    }
    let ends = async {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Refusal::Cancelled,
            () = tokio::time::sleep_until(deadline) => Refusal::TimedOut("the invocation's deadline has come".into()),
        }
    };
    match unless(act.as_mut(), pin!(ends)).await {
        Ok(done) => done,
        Err(Refusal::Cancelled) => Err(Refusal::Cancelled),
        Err(late) => act.now_or_never().unwrap_or(Err(late)),
    }
}

/// What is set aside for an act stands beside its intent.
impl audit::Beside for Reserved {
    fn put(&self, tx: &rusqlite::Transaction<'_>) -> rusqlite::Result<()> {
        self.insert(tx)
    }
}

impl From<Panicked> for Refusal {
    fn from(_: Panicked) -> Self {
        Self::Unavailable("the host failed inside of this call; its log says more".into())
    }
}

/// Who said that an act may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Grants and rules.
    ByRule,
    /// Somebody who was asked, in the face's word for them.
    ByPerson(&'static str),
}

/// A task that ends when nobody waits for it any more.
pub struct AbortOnDrop<T>(pub tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<Result<T, Refusal>> {
    /// Its end. A panic inside of it is a refusal.
    async fn joined(&mut self) -> Result<T, Refusal> {
        (&mut self.0).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a host function failed");
            Err(Panicked.into())
        })
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_called_off_does_not_begin_and_what_is_there_at_the_deadline_counts() {
        let cancel = CancellationToken::new();
        let deadline = Instant::now() + Duration::from_secs(1);
        let polls = Cell::new(0);
        // Ready with the deadline, which wakes it as well.
        let at_last = async {
            tokio::time::sleep_until(deadline).await;
            Ok(1)
        };
        assert_eq!(until(&cancel, deadline, pin!(at_last)).await, Ok(1));
        let never = std::future::pending::<Result<(), Refusal>>();
        assert!(matches!(until(&cancel, deadline, pin!(never)).await, Err(Refusal::TimedOut(_))));
        cancel.cancel();
        let act = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::Ready(Ok(()))
        });
        assert_eq!(until(&cancel, deadline, pin!(act)).await, Err(Refusal::Cancelled));
        assert_eq!(polls.get(), 0);
    }
}
