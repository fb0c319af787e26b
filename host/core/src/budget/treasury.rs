//! All accounts of a host.

use std::collections::HashMap;
use std::sync::Arc;

use super::account::Account;
use super::{Amount, Budgets, Ledger, store};
use crate::state::{State, StateError};
use crate::sync::atomic::{AtomicI64, Ordering};
use crate::sync::{Mutex, PoisonError, RwLock};

/// Gives the number of today: days since 1970-01-01, UTC.
pub(crate) type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// The accounts of the day, and the ledger on disk. One per state: a second one would take the reservations of the first
/// for those of a killed host.
#[derive(Clone)]
pub struct Treasury(Arc<Inner>);

struct Inner {
    state: State,
    clock: Clock,
    book: RwLock<Book>,
    last_id: AtomicI64,
    /// Not part of the treasury: a post outlives it.
    owed: Arc<Mutex<Owed>>,
}

/// Calls and time that are not in the day's sums on disk yet, by day and skill. Where a skill is in here, a post of it is queued.
type Owed = HashMap<(i64, Arc<str>), Amount>;

/// The accounts of one day.
struct Book {
    day: i64,
    host: Arc<Account>,
    skills: HashMap<Arc<str>, Arc<Account>>,
}

/// The two accounts of a skill's day.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub(super) number: i64,
    pub(super) skill: Arc<Account>,
    pub(super) host: Arc<Account>,
}

impl std::fmt::Debug for Treasury {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Treasury").field("spent_today", &self.spent_today(None)).finish_non_exhaustive()
    }
}

impl Treasury {
    /// Charges what a killed host left unsettled, and loads what was spent today.
    pub async fn open(state: State) -> Result<Self, StateError> {
        Self::open_at(state, Box::new(|| jiff::Timestamp::now().as_second().div_euclid(86_400))).await
    }

    pub(crate) async fn open_at(state: State, clock: Clock) -> Result<Self, StateError> {
        let day = clock();
        let (left, sums) = state
            .write_large(move |tx| {
                let left = store::recover(tx, day)?;
                Ok((left, store::day(tx, day)?))
            })
            .await?;
        if left > 0 {
            tracing::warn!(reservations = left, "the host was killed with reservations open: they are charged in full");
        }
        let total = sums.iter().fold(Amount::default(), |total, (_, used)| total.saturating_add(*used));
        let skills = sums.into_iter().map(|(skill, used)| (skill.into(), Arc::new(Account::with(used)))).collect();
        let book = RwLock::new(Book { day, host: Arc::new(Account::with(total)), skills });
        Ok(Self(Arc::new(Inner { state, clock, book, last_id: AtomicI64::new(0), owed: Arc::default() })))
    }

    /// The ledger of one invocation. Touches no disk.
    pub fn ledger(&self, skill: &str, invocation: &str, budgets: &Budgets) -> Ledger {
        Ledger::open(self.clone(), skill, invocation, *budgets)
    }

    /// What was used or is reserved today, by one skill or by all.
    pub fn spent_today(&self, skill: Option<&str>) -> Amount {
        match skill {
            Some(skill) => self.day(skill).skill.used(),
            None => self.day("").host.used(),
        }
    }

    /// Today's accounts of `skill`. A clock that is set back does not bring an old day back: its accounts are gone.
    pub(super) fn day(&self, skill: &str) -> Day {
        let today = (self.0.clock)();
        let book = self.0.book.read().unwrap_or_else(PoisonError::into_inner);
        if today <= book.day
            && let Some(account) = book.skills.get(skill)
        {
            return Day { number: book.day, skill: Arc::clone(account), host: Arc::clone(&book.host) };
        }
        drop(book);
        let mut book = self.0.book.write().unwrap_or_else(PoisonError::into_inner);
        if today > book.day {
            *book = Book { day: today, host: Arc::default(), skills: HashMap::new() };
        }
        let account = Arc::clone(book.skills.entry(skill.into()).or_default());
        Day { number: book.day, skill: account, host: Arc::clone(&book.host) }
    }

    /// Whether `day` is over.
    pub(super) fn is_past(&self, day: i64) -> bool {
        (self.0.clock)() > day
    }

    pub(super) fn state(&self) -> &State {
        &self.0.state
    }

    /// Adds to a day's sums on disk. Waits for nothing. What many invocations add within a moment is written once.
    pub(super) fn add_later(&self, day: i64, skill: &Arc<str>, more: Amount) {
        let key = (day, Arc::clone(skill));
        {
            let mut owed = self.0.owed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sum) = owed.get_mut(&key) {
                *sum = sum.saturating_add(more);
                return;
            }
            owed.insert(key.clone(), more);
        }
        let owed = Arc::clone(&self.0.owed);
        // What an earlier run of this post took, and what was undone with it.
        let mut taken = Amount::default();
        self.0.state.post(move |tx| {
            let more = owed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            taken = taken.saturating_add(more.unwrap_or_default());
            store::add(tx, key.0, &key.1, taken)
        });
    }

    pub(super) fn next_id(&self) -> i64 {
        self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
}
