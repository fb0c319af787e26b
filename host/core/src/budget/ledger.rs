//! One invocation's ledger, and what it sets aside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::{Account, Limited, take_all};
use super::store::{self, Reserved};
use super::treasury::Day;
use super::{Amount, Budgets, Limits, Treasury};
use crate::error::{Explain as _, Overrun, Refusal};
use crate::sync::atomic::{AtomicBool, Ordering};

/// The accounts that stand above one invocation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    treasury: Treasury,
    skill: Arc<str>,
    invocation: Arc<str>,
    budgets: Budgets,
    account: Account,
    /// The ledger of the invocation that called this one. What is spent here is spent there too.
    caller: Option<Ledger>,
    /// The day on which the invocation began: its calls and its time are that day's.
    day: Day,
    began: Instant,
    closed: AtomicBool,
}

impl Ledger {
    pub(super) fn open(treasury: Treasury, skill: Arc<str>, invocation: Arc<str>, budgets: Budgets) -> Self {
        let day = treasury.day(&skill);
        Self(Arc::new(Inner {
            treasury,
            skill,
            invocation,
            budgets,
            account: Account::default(),
            caller: None,
            day,
            began: Instant::now(),
            closed: AtomicBool::new(false),
        }))
    }

    /// The ledger of an invocation that this one calls: with limits of its own, below everything that stands above this one.
    ///
    /// The days that it counts for are those of the skill that began, and of the host; not the day of the skill that is
    /// called. Who causes the spending pays: otherwise a skill could use up the day of another one, and could spend past its
    /// own day by having others spend.
    #[must_use]
    pub fn inner(&self, invocation: impl Into<Arc<str>>, limits: Limits) -> Self {
        let Inner { treasury, skill, budgets, day, .. } = &*self.0;
        Self(Arc::new(Inner {
            treasury: treasury.clone(),
            skill: Arc::clone(skill),
            invocation: invocation.into(),
            budgets: Budgets { invocation: limits, ..*budgets },
            account: Account::default(),
            caller: Some(self.clone()),
            day: day.clone(),
            began: Instant::now(),
            closed: AtomicBool::new(false),
        }))
    }

    /// The accounts of this invocation and of those that called it, from the inside out.
    fn invocations(&self) -> impl Iterator<Item = Limited<'_>> {
        std::iter::successors(Some(self), |ledger| ledger.0.caller.as_ref()).map(|ledger| Limited {
            scope: "invocation",
            account: &ledger.0.account,
            limits: &ledger.0.budgets.invocation,
        })
    }

    /// All accounts that stand above an act on `day`, in the order in which they are locked.
    fn accounts<'a>(&'a self, day: &'a Day) -> impl Iterator<Item = Limited<'a>> {
        self.invocations().chain(days(&self.0.budgets, day))
    }

    /// Whether any budget of money stands above an act.
    pub(crate) fn limits_money(&self) -> bool {
        let above = std::iter::successors(Some(self), |ledger| ledger.0.caller.as_ref());
        { above }.any(|ledger| ledger.0.budgets.limits_money())
    }

    /// Counts a call from the guest. An atomic addition and a comparison for each account.
    pub fn count_host_call(&self) -> Result<(), Refusal> {
        for Limited { scope, account, limits } in self.accounts(&self.0.day) {
            if let Err(used) = account.call(limits.host_calls) {
                let limit = limits.host_calls.unwrap_or(u64::MAX);
                return Err(Refusal::OverBudget(Overrun { scope, unit: "host-calls", limit, used, needed: 1 }));
            }
        }
        Ok(())
    }

    /// How much longer the budgets of wall time let the invocation run; None is without limit. A refusal where a day's time
    /// is used up. To be asked once, before the guest starts: invocations that run at the same moment do not see each other.
    pub fn time_left(&self) -> Result<Option<Duration>, Refusal> {
        let Inner { budgets, day, .. } = &*self.0;
        let mut left = budgets.invocation.wall_ms;
        for (scope, account, limit) in
            [("skill-day", &day.skill, budgets.skill_day.wall_ms), ("host-day", &day.host, budgets.host_day.wall_ms)]
        {
            let Some(limit) = limit else { continue };
            let used = account.used().wall_ms;
            if used >= limit {
                return Err(Refusal::OverBudget(Overrun { scope, unit: "wall-ms", limit, used, needed: 1 }));
            }
            left = Some(left.unwrap_or(u64::MAX).min(limit - used));
        }
        Ok(left.map(Duration::from_millis))
    }

    /// Sets tokens and money of `amount` aside in all accounts or in none, and returns when that is on disk. Calls and time
    /// in `amount` are not looked at. What cannot be written is refused: money is never spent unseen.
    pub async fn reserve(&self, amount: Amount) -> Result<Reservation, Refusal> {
        self.reserve_with(amount, |_| Ok(())).await
    }

    /// As [`reserve`](Self::reserve), and `also` is written in the same transaction. Neither is where nothing is to be set aside.
    pub async fn reserve_with<F>(&self, amount: Amount, mut also: F) -> Result<Reservation, Refusal>
    where
        F: FnMut(&rusqlite::Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        if amount.spendable().is_zero() {
            return Ok(Reservation::nothing());
        }
        let set_aside = self.set_aside(amount).await?;
        let (reserved, day) = (set_aside.reserved(), set_aside.0.day.clone());
        let (books, budgets) = (self.0.treasury.books(), self.0.budgets);
        let write = self.0.treasury.state().write_first(move |tx| {
            // What another host has set aside since: the file says so, and who writes it is alone.
            books.look(tx)?;
            if let Some(overrun) = days(&budgets, &day).into_iter().find_map(|each| each.overrun(reserved.amount)) {
                return Ok(Err(overrun));
            }
            reserved.insert(tx)?;
            also(tx).map(Ok)
        });
        let written = write.await.map_err(|error| {
            tracing::error!(%error, "a reservation could not be written");
            Refusal::Unavailable(format!(
                "neither the budget nor the audit can be written ({}), so nothing may be spent",
                error.kind()
            ))
        })?;
        written.map_err(Refusal::OverBudget)?;
        Ok(set_aside.recorded())
    }

    /// Whether a reservation concerns this host alone: no day has a limit, which would be the same for all hosts on the state, so that
    /// none of them would have to be asked. Then it need not be a row to be durable.
    pub(crate) fn concerns_this_host_alone(&self) -> bool {
        !self.0.budgets.limits_days()
    }

    /// Takes tokens and money of `amount` from all accounts or from none, in memory only: not yet to be spent.
    pub(crate) async fn set_aside(&self, amount: Amount) -> Result<SetAside, Refusal> {
        let amount = amount.spendable();
        let Inner { treasury, skill, day, .. } = &*self.0;
        let day = if treasury.is_past(day.number) { treasury.day(skill) } else { day.clone() };
        let take = || take_all(&self.accounts(&day).collect::<Vec<_>>(), amount).map_err(Refusal::OverBudget);
        if let Err(refusal) = take() {
            // Another host may have given back what it had set aside.
            treasury.refresh().await.map_err(|_| refusal)?;
            take()?;
        }
        let id = treasury.next_id();
        Ok(SetAside(Held { ledger: self.clone(), day, id, amount, if_dropped: Amount::default() }))
    }

    /// When it was opened, which is when the invocation began.
    pub(crate) fn began(&self) -> Instant {
        self.0.began
    }

    /// What the invocation has used or reserved so far.
    pub fn spent(&self) -> Amount {
        self.0.account.used()
    }

    /// Ends the ledger with the time that the invocation took. Waits for nothing. A second call does nothing; a ledger that
    /// is dropped unclosed is charged from its opening to its end.
    pub fn close(&self, wall_ms: u64) {
        self.0.close(wall_ms);
    }
}

/// The accounts that are the same for all hosts on the state.
fn days<'a>(budgets: &'a Budgets, day: &'a Day) -> [Limited<'a>; 2] {
    [
        Limited { scope: "skill-day", account: &day.skill, limits: &budgets.skill_day },
        Limited { scope: "host-day", account: &day.host, limits: &budgets.host_day },
    ]
}

impl Inner {
    fn close(&self, wall_ms: u64) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.account.add_wall(wall_ms);
        if self.caller.is_some() {
            // Its time passed inside of its caller's, and its calls were counted there: they are written once, with that one's.
            return;
        }
        for account in [&*self.day.skill, &*self.day.host] {
            account.add_wall(wall_ms);
        }
        let amount = Amount { host_calls: self.account.used().host_calls, wall_ms, ..Amount::default() };
        self.treasury.add_later(self.day.number, &self.skill, amount);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
    }
}

/// Tokens and money that are taken from the accounts, and not on record. Dropped it gives everything back, in memory and on disk: also where
/// the future that writes it is dropped.
#[derive(Debug)]
pub(crate) struct SetAside(Held);

impl SetAside {
    /// What is to be put on record.
    pub(crate) fn reserved(&self) -> Reserved {
        let Held { ledger, day, id, amount, .. } = &self.0;
        let Inner { treasury, skill, invocation, .. } = &*ledger.0;
        Reserved {
            host: treasury.host(),
            id: *id,
            day: day.number,
            skill: skill.as_ref().to_owned(),
            invocation: invocation.as_ref().to_owned(),
            amount: *amount,
        }
    }

    /// It is on record, so it may be spent.
    pub(crate) fn recorded(self) -> Reservation {
        let Self(mut held) = self;
        held.if_dropped = held.amount;
        Reservation { amount: held.amount, held: Some(held) }
    }
}

/// Tokens and money that were set aside. Dropped unsettled it charges all of them.
#[derive(Debug)]
pub struct Reservation {
    amount: Amount,
    held: Option<Held>,
}

impl Reservation {
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Charges the tokens and money of `used` instead, be it less or more.
    pub fn settle(mut self, used: Amount) {
        if let Some(held) = &mut self.held {
            held.if_dropped = used.spendable();
        }
    }

    /// Of an act that costs nothing.
    pub(crate) fn nothing() -> Self {
        Self { amount: Amount::default(), held: None }
    }
}

/// A reservation that is in the accounts.
#[derive(Debug)]
struct Held {
    ledger: Ledger,
    day: Day,
    id: i64,
    amount: Amount,
    /// What it charges when it goes.
    if_dropped: Amount,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Inner { treasury, skill, .. } = &*self.ledger.0;
        for Limited { account, .. } in self.ledger.accounts(&self.day) {
            account.settle(self.amount, self.if_dropped);
        }
        let (host, id, day, skill, used) =
            (treasury.host(), self.id, self.day.number, Arc::clone(skill), self.if_dropped);
        treasury.state().post(move |tx| store::settle(tx, host, id, day, &skill, used));
    }
}
