//! State in memory: for tests, and for hosts that keep nothing.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, ready};

use super::port::Totals;
use super::{Delete, Entry, Get, List, Page, Set, Store, Written};
use crate::broker::Permit;
use crate::error::Refusal;

/// Forgets everything when it goes.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Namespace>>);

#[derive(Debug, Default)]
struct Namespace {
    entries: BTreeMap<String, Entry>,
    totals: Totals,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self, ask: &Get) -> Option<Entry> {
        self.lock().get(&ask.skill).and_then(|space| space.entries.get(ask.key.as_str())).cloned()
    }

    pub(super) fn write(&self, ask: &Set) -> Result<Written, Refusal> {
        let mut all = self.lock();
        let space = all.entry(ask.skill.clone()).or_default();
        let old = space.entries.get(ask.key.as_str());
        let version = old.map(|old| old.version);
        if !ask.condition.holds(version) {
            return Ok(Written::Conflict(version));
        }
        let size = old.map(|old| old.value.len() as u64);
        space.totals = space.totals.set(size, ask)?;
        let version = space.totals.version;
        space.entries.insert(ask.key.to_string(), Entry { value: ask.value.clone(), version });
        Ok(Written::Done(version))
    }

    pub(super) fn remove(&self, ask: &Delete) -> Result<Written, Refusal> {
        let mut all = self.lock();
        let space = all.entry(ask.skill.clone()).or_default();
        let version = space.entries.get(ask.key.as_str()).map(|old| old.version);
        if !ask.condition.holds(version) {
            return Ok(Written::Conflict(version));
        }
        if let Some(old) = space.entries.get(ask.key.as_str()) {
            space.totals = space.totals.delete(old.value.len() as u64, ask)?;
            space.entries.remove(ask.key.as_str());
        }
        Ok(Written::Done(0))
    }

    pub(super) fn page(&self, ask: &List) -> Page {
        let all = self.lock();
        let Some(space) = all.get(&ask.skill) else { return Page::default() };
        let from = match &ask.after {
            Some(key) => Bound::Excluded(key.as_str()),
            None => Bound::Included(ask.prefix.as_str()),
        };
        let mut keys = space
            .entries
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&ask.prefix));
        let page = keys.by_ref().take(ask.limit).cloned().collect();
        Page { keys: page, more: keys.next().is_some() }
    }
}

impl Store for Memory {
    fn get(&self, permit: Permit<Get>) -> BoxFuture<'_, Result<Option<Entry>, Refusal>> {
        ready(Ok(self.read(permit.ask()))).boxed()
    }

    fn set(&self, permit: Permit<Set>) -> BoxFuture<'_, Result<Written, Refusal>> {
        ready(self.write(permit.ask())).boxed()
    }

    fn delete(&self, permit: Permit<Delete>) -> BoxFuture<'_, Result<Written, Refusal>> {
        ready(self.remove(permit.ask())).boxed()
    }

    fn list(&self, permit: Permit<List>) -> BoxFuture<'_, Result<Page, Refusal>> {
        ready(Ok(self.page(permit.ask()))).boxed()
    }
}
