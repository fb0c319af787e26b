//! The ledger's tables.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::Amount;
use crate::state::{int, uint};

/// Days of sums that are kept.
const KEPT_DAYS: i64 = 400;

/// One reservation as it is on disk.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) day: i64,
    pub(super) skill: Arc<str>,
    pub(super) invocation: Arc<str>,
    pub(super) amount: Amount,
}

pub(super) fn reserve(tx: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO reservations (id, day, skill, invocation, input_tokens, output_tokens, micro_dollars)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.id,
        row.day,
        &*row.skill,
        &*row.invocation,
        int(row.amount.input_tokens),
        int(row.amount.output_tokens),
        int(row.amount.micro_dollars),
    ])?;
    Ok(())
}

/// Puts `used` in the place of the reservation. Does nothing the second time.
pub(super) fn settle(tx: &Transaction<'_>, id: i64, day: i64, skill: &str, used: Amount) -> rusqlite::Result<()> {
    let gone = tx.prepare_cached("DELETE FROM reservations WHERE id = ?1")?.execute([id])?;
    if gone == 0 || used.is_zero() { Ok(()) } else { add(tx, day, skill, used) }
}

/// Adds to the day's sums. The addition is made here and not in SQL, where a sum that does not fit becomes a fraction.
pub(super) fn add(tx: &Transaction<'_>, day: i64, skill: &str, more: Amount) -> rusqlite::Result<()> {
    let before = tx
        .prepare_cached(
            "SELECT input_tokens, output_tokens, micro_dollars, host_calls, wall_ms
             FROM spend WHERE day = ?1 AND skill = ?2",
        )?
        .query_row(params![day, skill], |row| amount(row, 0))
        .optional()?;
    let sum = before.unwrap_or_default().saturating_add(more);
    tx.prepare_cached("INSERT OR REPLACE INTO spend VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        day,
        skill,
        int(sum.input_tokens),
        int(sum.output_tokens),
        int(sum.micro_dollars),
        int(sum.host_calls),
        int(sum.wall_ms),
    ])?;
    Ok(())
}

/// Charges in full what a killed host had set aside: nobody knows how much of it was used. Gives how many there were.
pub(super) fn recover(tx: &Transaction<'_>, today: i64) -> rusqlite::Result<usize> {
    let left = tx
        .prepare("SELECT day, skill, input_tokens, output_tokens, micro_dollars FROM reservations ORDER BY id")?
        .query_map([], |row| {
            let amount = Amount {
                input_tokens: uint(row.get(2)?),
                output_tokens: uint(row.get(3)?),
                micro_dollars: uint(row.get(4)?),
                ..Amount::default()
            };
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, amount))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (day, skill, amount) in &left {
        add(tx, *day, skill, *amount)?;
    }
    tx.execute("DELETE FROM reservations", [])?;
    tx.execute("DELETE FROM spend WHERE day < ?1", [today.saturating_sub(KEPT_DAYS)])?;
    Ok(left.len())
}

/// The day's sums, by skill.
pub(super) fn day(db: &Connection, day: i64) -> rusqlite::Result<Vec<(String, Amount)>> {
    db.prepare(
        "SELECT skill, input_tokens, output_tokens, micro_dollars, host_calls, wall_ms FROM spend WHERE day = ?1",
    )?
    .query_map([day], |row| Ok((row.get(0)?, amount(row, 1)?)))?
    .collect()
}

fn amount(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Amount> {
    Ok(Amount {
        input_tokens: uint(row.get(at)?),
        output_tokens: uint(row.get(at + 1)?),
        micro_dollars: uint(row.get(at + 2)?),
        host_calls: uint(row.get(at + 3)?),
        wall_ms: uint(row.get(at + 4)?),
    })
}
