//! What a skill keeps, as another version of it wants it: changed on a copy, which takes the place of the original in one step.
//!
//! A host that is killed in between leaves the original as it was, and a copy that the next upgrade throws away.

use rusqlite::{Transaction, params};

use super::port::Totals;
use super::sqlite;
use crate::state::{State, StateError};

/// What a copy was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Original(Totals);

/// What is left to be done so that the state of a skill is of another version.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It is of that version as it is.
    Mark { skill: String, from: u32, to: u32 },
    /// The copy takes the place of the original.
    Settle { skill: String, copy: String, original: Original },
}

impl Change {
    /// Makes it within a transaction, unless the original has changed since: then nothing happens, and the answer is false.
    pub(crate) fn make(&self, tx: &Transaction<'_>) -> rusqlite::Result<bool> {
        match self {
            Self::Mark { skill, from, to } => mark(tx, skill, *from, *to),
            Self::Settle { skill, copy, original } => settle(tx, skill, copy, *original),
        }
    }
}

/// Of which version the state of a skill is. None where it keeps nothing.
pub(crate) async fn version(state: &State, skill: &str) -> Result<Option<u32>, StateError> {
    let skill = skill.to_owned();
    let totals = state.read(move |db| sqlite::totals(db, &skill)).await?;
    Ok((totals.keys > 0).then_some(totals.state))
}

fn mark(tx: &Transaction<'_>, skill: &str, from: u32, to: u32) -> rusqlite::Result<bool> {
    let sql = "UPDATE kv_totals SET state = ?3 WHERE skill = ?1 AND state = ?2";
    Ok(tx.execute(sql, params![skill, from, to])? > 0)
}

/// Copies the state of `skill` to the namespace `copy`, where a version of the skill that knows `version` may write.
pub(crate) async fn copy(state: &State, skill: &str, copy: &str, version: u32) -> Result<Original, StateError> {
    let (skill, copy) = (skill.to_owned(), copy.to_owned());
    state
        .write_large(move |tx| {
            clear(tx, &copy)?;
            let sql =
                "INSERT INTO kv (skill, key, value, version) SELECT ?2, key, value, version FROM kv WHERE skill = ?1";
            tx.execute(sql, [&skill, &copy])?;
            let totals = sqlite::totals(tx, &skill)?;
            sqlite::put_totals(tx, &copy, Totals { state: version, ..totals })?;
            Ok(Original(totals))
        })
        .await
}

fn settle(tx: &Transaction<'_>, skill: &str, copy: &str, original: Original) -> rusqlite::Result<bool> {
    let untouched = sqlite::totals(tx, skill)? == original.0;
    if untouched {
        let totals = sqlite::totals(tx, copy)?;
        tx.execute("DELETE FROM kv WHERE skill = ?1", [skill])?;
        tx.execute("UPDATE kv SET skill = ?1 WHERE skill = ?2", [skill, copy])?;
        sqlite::put_totals(tx, skill, totals)?;
    }
    clear(tx, copy)?;
    Ok(untouched)
}

/// Throws a copy away.
pub(crate) async fn discard(state: &State, copy: &str) -> Result<(), StateError> {
    let copy = copy.to_owned();
    state.write_large(move |tx| clear(tx, &copy)).await
}

fn clear(tx: &Transaction<'_>, copy: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM kv WHERE skill = ?1", [copy])?;
    tx.execute("DELETE FROM kv_totals WHERE skill = ?1", [copy])?;
    Ok(())
}
