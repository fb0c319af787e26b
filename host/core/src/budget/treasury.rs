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

/// The accounts of the day, and the ledger on disk. One per host: a second one would take the reservations of the first
/// for those of a killed host.
#[derive(Clone)]
pub struct Treasury(Arc<Inner>);

struct Inner {
    state: State,
    books: Arc<Books>,
    last_id: AtomicI64,
    /// Not part of the treasury: a post outlives it.
    owed: Arc<Mutex<Owed>>,
}

/// Calls and time that are not in the day's sums on disk yet, by day and skill. Where a skill is in here, a post of it is queued.
type Owed = HashMap<(i64, Arc<str>), Amount>;

/// The accounts, without the state: what a write takes with it must not keep the state open.
pub(super) struct Books {
    clock: Clock,
    book: RwLock<Book>,
    /// The number of this host on the state.
    host: i64,
    /// What was seen last of what other hosts committed, and on which day.
    seen: Mutex<Option<(i64, i64)>>,
}

/// The accounts of one day.
struct Book {
    day: i64,
    host: Arc<Account>,
    skills: HashMap<Arc<str>, Arc<Account>>,
    /// What other hosts have used or set aside, by skill.
    elsewhere: HashMap<Arc<str>, Amount>,
}

impl Book {
    fn new(day: i64) -> Self {
        Self { day, host: Arc::default(), skills: HashMap::new(), elsewhere: HashMap::new() }
    }
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
    /// Charges what killed hosts left unsettled, and loads what was spent today.
    pub async fn open(state: State) -> Result<Self, StateError> {
        Self::open_at(state, Box::new(|| jiff::Timestamp::now().as_second().div_euclid(86_400))).await
    }

    pub(crate) async fn open_at(state: State, clock: Clock) -> Result<Self, StateError> {
        let day = clock();
        let host = state.host();
        let living = state.clone();
        // None of ours can be of this host: it has only begun.
        let lives = move |number| number != host && living.lives(number);
        let left = state.write_large(move |tx| store::recover(tx, &lives)).await?;
        if left > 0 {
            tracing::warn!(reservations = left, "a host was killed with reservations open: they are charged in full");
        }
        let books = Books { clock, book: RwLock::new(Book::new(day)), host, seen: Mutex::new(None) };
        let (books, last_id, owed) = (Arc::new(books), AtomicI64::new(0), Arc::default());
        let treasury = Self(Arc::new(Inner { state, books, last_id, owed }));
        treasury.refresh().await?;
        Ok(treasury)
    }

    /// Looks what other hosts on the same state have spent, if they have.
    pub async fn refresh(&self) -> Result<(), StateError> {
        let books = self.books();
        self.0.state.write_first(move |tx| books.look(tx)).await
    }

    /// The ledger of one invocation. Touches no disk.
    pub fn ledger(&self, skill: impl Into<Arc<str>>, invocation: impl Into<Arc<str>>, budgets: &Budgets) -> Ledger {
        Ledger::open(self.clone(), skill.into(), invocation.into(), *budgets)
    }

    /// What was used or is reserved today, by one skill or by all.
    pub fn spent_today(&self, skill: Option<&str>) -> Amount {
        match skill {
            Some(skill) => self.day(skill).skill.used(),
            None => self.day("").host.used(),
        }
    }

    /// Today's accounts of `skill`.
    pub(super) fn day(&self, skill: &str) -> Day {
        self.0.books.day(skill)
    }

    /// Whether `day` is over.
    pub(super) fn is_past(&self, day: i64) -> bool {
        let books = &self.0.books;
        // Or was, until a clock was set back.
        (books.clock)() > day || books.book.read().unwrap_or_else(PoisonError::into_inner).day > day
    }

    pub(super) fn books(&self) -> Arc<Books> {
        Arc::clone(&self.0.books)
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
        let (owed, host) = (Arc::clone(&self.0.owed), self.host());
        // What an earlier run of this post took, and what was undone with it.
        let mut taken = Amount::default();
        self.0.state.post(move |tx| {
            let more = owed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            taken = taken.saturating_add(more.unwrap_or_default());
            store::add(tx, host, key.0, &key.1, taken)
        });
    }

    pub(super) fn host(&self) -> i64 {
        self.0.books.host
    }

    pub(super) fn next_id(&self) -> i64 {
        self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Books {
    /// As [`Treasury::refresh`], in a transaction: what others commit later they commit in the knowledge of it.
    pub(super) fn look(&self, tx: &rusqlite::Transaction<'_>) -> rusqlite::Result<()> {
        let now = (store::version(tx)?, (self.clock)());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == Some(now) {
            return Ok(());
        }
        let elsewhere = store::elsewhere(tx, now.1, self.host)?;
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not bring an old day back.
        if now.1 > book.day {
            *book = Book::new(now.1);
        }
        // And where it was, what others spend on the day that it shows now counts all the same.
        book.host.set_elsewhere(elsewhere.values().fold(Amount::default(), |sum, more| sum.saturating_add(*more)));
        for (skill, account) in &book.skills {
            account.set_elsewhere(elsewhere.get(skill).copied().unwrap_or_default());
        }
        book.elsewhere = elsewhere;
        *seen = Some(now);
        Ok(())
    }

    /// Today's accounts of `skill`. A clock that is set back does not bring an old day back: its accounts are gone.
    pub(super) fn day(&self, skill: &str) -> Day {
        let today = (self.clock)();
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        if today <= book.day
            && let Some(account) = book.skills.get(skill)
        {
            return Day { number: book.day, skill: Arc::clone(account), host: Arc::clone(&book.host) };
        }
        drop(book);
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        if today > book.day {
            *book = Book::new(today);
        }
        let elsewhere = book.elsewhere.get(skill).copied().unwrap_or_default();
        let account = book.skills.entry(skill.into()).or_insert_with(|| Arc::new(Account::with(elsewhere)));
        let account = Arc::clone(account);
        Day { number: book.day, skill: account, host: Arc::clone(&book.host) }
    }
}
