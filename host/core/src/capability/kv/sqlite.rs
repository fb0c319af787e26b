//! State in the host's state file.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::port::Totals;
use super::{Delete, Entry, Get, Key, List, Page, Set, Store, Written};
use crate::broker::Permit;
use crate::error::{Explain as _, Refusal};
use crate::state::{State, StateError, int, uint};

/// Bytes of a value that is written in its caller's place: some pages. Larger ones are for the thread that writes.
const SMALL: usize = 16 << 10;

/// The embedded default. A write that returned is committed.
#[derive(Clone, Debug)]
pub struct Sqlite {
    state: State,
}

impl Sqlite {
    pub fn new(state: State) -> Self {
        Self { state }
    }
}

impl Store for Sqlite {
    fn get(&self, permit: Permit<Get>) -> BoxFuture<'_, Result<Option<Entry>, Refusal>> {
        let Get { skill, key } = permit.ask().clone();
        let found = self.state.read(move |db| read(db, &skill, &key));
        async move { found.await.map_err(refuse) }.boxed()
    }

    fn set(&self, permit: Permit<Set>) -> BoxFuture<'_, Result<Written, Refusal>> {
        let ask = permit.ask().clone();
        if ask.value.len() > SMALL {
            let done = self.state.write_large(move |tx| write(tx, &ask));
            return async move { done.await.map_err(refuse)? }.boxed();
        }
        let done = self.state.write(move |tx| write(tx, &ask));
        async move { done.await.map_err(refuse)? }.boxed()
    }

    fn delete(&self, permit: Permit<Delete>) -> BoxFuture<'_, Result<Written, Refusal>> {
        let ask = permit.ask().clone();
        let done = self.state.write(move |tx| remove(tx, &ask));
        async move { done.await.map_err(refuse)? }.boxed()
    }

    fn list(&self, permit: Permit<List>) -> BoxFuture<'_, Result<Page, Refusal>> {
        let ask = permit.ask().clone();
        let page = self.state.read(move |db| page(db, &ask));
        async move { page.await.map_err(refuse) }.boxed()
    }
}

/// Forgets everything of a skill, for an operator who removes it.
pub(crate) async fn clear(state: &State, skill: &str) -> Result<(), StateError> {
    let skill = skill.to_owned();
    state
        .write_large(move |tx| {
            tx.execute("DELETE FROM kv WHERE skill = ?1", [&skill])?;
            tx.execute("UPDATE kv_totals SET bytes = 0, keys = 0 WHERE skill = ?1", [&skill])
        })
        .await
        .map(drop)
}

/// A skill learns the kind and no path.
fn refuse(error: StateError) -> Refusal {
    tracing::error!(%error, "kv failed");
    let advice = match error {
        StateError::Full { .. } => "free space on the disk of the state directory",
        _ => "see the host's log, and check its state directory",
    };
    Refusal::Unavailable(format!("the host's state cannot be used now ({}); {advice}", error.kind()))
}

pub(super) fn read(db: &Connection, skill: &str, key: &Key) -> rusqlite::Result<Option<Entry>> {
    db.prepare_cached("SELECT value, version FROM kv WHERE skill = ?1 AND key = ?2")?
        .query_row([skill, key.as_str()], |row| {
            Ok(Entry { value: Bytes::from(row.get::<_, Vec<u8>>(0)?), version: uint(row.get(1)?) })
        })
        .optional()
}

/// The version and the size of what is there.
fn there(tx: &Transaction<'_>, skill: &str, key: &Key) -> rusqlite::Result<Option<(u64, u64)>> {
    tx.prepare_cached("SELECT version, length(value) FROM kv WHERE skill = ?1 AND key = ?2")?
        .query_row([skill, key.as_str()], |row| Ok((uint(row.get(0)?), uint(row.get(1)?))))
        .optional()
}

pub(super) fn write(tx: &Transaction<'_>, ask: &Set) -> rusqlite::Result<Result<Written, Refusal>> {
    let old = there(tx, &ask.skill, &ask.key)?;
    let version = old.map(|(version, _)| version);
    if !ask.condition.holds(version) {
        return Ok(Ok(Written::Conflict(version)));
    }
    let key = ask.key.as_str();
    let after = match totals(tx, &ask.skill)?.set(old.map(|(_, size)| size), ask) {
        Ok(after) => after,
        Err(refusal) => return Ok(Err(refusal)),
    };
    tx.prepare_cached("INSERT OR REPLACE INTO kv (skill, key, value, version) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![ask.skill, key, &ask.value[..], int(after.version)])?;
    put_totals(tx, &ask.skill, after)?;
    Ok(Ok(Written::Done(after.version)))
}

pub(super) fn remove(tx: &Transaction<'_>, ask: &Delete) -> rusqlite::Result<Result<Written, Refusal>> {
    let old = there(tx, &ask.skill, &ask.key)?;
    let version = old.map(|(version, _)| version);
    if !ask.condition.holds(version) {
        return Ok(Ok(Written::Conflict(version)));
    }
    if let Some((_, size)) = old {
        let key = ask.key.as_str();
        let after = match totals(tx, &ask.skill)?.delete(size, ask) {
            Ok(after) => after,
            Err(refusal) => return Ok(Err(refusal)),
        };
        tx.prepare_cached("DELETE FROM kv WHERE skill = ?1 AND key = ?2")?.execute([&ask.skill, key])?;
        put_totals(tx, &ask.skill, after)?;
    }
    Ok(Ok(Written::Done(0)))
}

/// Walks the index from the prefix on. No LIKE: a prefix may hold `%` and `_`.
pub(super) fn page(db: &Connection, ask: &List) -> rusqlite::Result<Page> {
    let (from, sql) = match &ask.after {
        Some(key) => (key.as_str(), "SELECT key FROM kv WHERE skill = ?1 AND key > ?2 ORDER BY key LIMIT ?3"),
        None => (&*ask.prefix, "SELECT key FROM kv WHERE skill = ?1 AND key >= ?2 ORDER BY key LIMIT ?3"),
    };
    let mut statement = db.prepare_cached(sql)?;
    // One more than asked for tells whether this is the last page.
    let mut rows = statement.query(params![ask.skill, from, int(ask.limit as u64 + 1)])?;
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !key.starts_with(&ask.prefix) {
            break;
        }
        if page.keys.len() == ask.limit {
            page.more = true;
            break;
        }
        page.keys.push(key);
    }
    Ok(page)
}

pub(super) fn totals(tx: &Connection, skill: &str) -> rusqlite::Result<Totals> {
    let found = tx
        .prepare_cached("SELECT bytes, keys, version, state FROM kv_totals WHERE skill = ?1")?
        .query_row([skill], |row| {
            let (bytes, keys, version) = (uint(row.get(0)?), uint(row.get(1)?), uint(row.get(2)?));
            Ok(Totals { bytes, keys, version, state: row.get(3)? })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) fn put_totals(tx: &Transaction<'_>, skill: &str, totals: Totals) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO kv_totals (skill, bytes, keys, version, state) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![skill, int(totals.bytes), int(totals.keys), int(totals.version), totals.state])?;
    Ok(())
}
