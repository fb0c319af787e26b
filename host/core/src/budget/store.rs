//! The ledger's tables.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use serde::{Deserialize, Serialize};

use super::Amount;
use crate::state::{int, uint};

/// Days on which something was spent, of which the sums are kept.
const KEPT_DAYS: i64 = 400;

/// One reservation as it is on disk: a row, or a part of a line that stands for it until there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reserved {
    /// The number of this host.
    pub(super) host: i64,
    pub(super) id: i64,
    pub(super) day: i64,
    pub(super) skill: String,
    pub(super) invocation: String,
    pub(super) amount: Amount,
}

impl Reserved {
    /// Makes the row. Whoever settles it later takes it away again; where nobody does, it is charged in full.
    pub(crate) fn insert(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        tx.prepare_cached(
            "INSERT OR REPLACE INTO reservations (host, id, day, skill, invocation, input_tokens, output_tokens, micro_dollars)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            self.host,
            self.id,
            self.day,
            self.skill,
            self.invocation,
            int(self.amount.input_tokens),
            int(self.amount.output_tokens),
            int(self.amount.micro_dollars),
        ])?;
        Ok(())
    }
}

/// Puts `used` in the place of the reservation. Does nothing the second time.
pub(super) fn settle(
    tx: &Transaction<'_>,
    host: i64,
    id: i64,
    day: i64,
    skill: &str,
    used: Amount,
) -> rusqlite::Result<()> {
    let gone = tx.prepare_cached("DELETE FROM reservations WHERE host = ?1 AND id = ?2")?.execute([host, id])?;
    if gone == 0 || used.is_zero() { Ok(()) } else { add(tx, host, day, skill, used) }
}

/// Adds to the day's sums. The addition is made here and not in SQL, where a sum that does not fit becomes a fraction.
pub(super) fn add(tx: &Transaction<'_>, host: i64, day: i64, skill: &str, more: Amount) -> rusqlite::Result<()> {
    let before = tx
        .prepare_cached(
            "SELECT input_tokens, output_tokens, micro_dollars, host_calls, wall_ms
             FROM spend WHERE day = ?1 AND skill = ?2 AND host = ?3",
        )?
        .query_row(params![day, skill, host], |row| amount(row, 0))
        .optional()?;
    let sum = before.unwrap_or_default().saturating_add(more);
    tx.prepare_cached("INSERT OR REPLACE INTO spend VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
        day,
        skill,
        host,
        int(sum.input_tokens),
        int(sum.output_tokens),
        int(sum.micro_dollars),
        int(sum.host_calls),
        int(sum.wall_ms),
    ])?;
    Ok(())
}

/// What stands here of all hosts that have ended.
const ENDED: i64 = 0;

/// Charges in full what killed hosts had set aside: nobody knows how much of it was used. What hosts that have ended had spent becomes one
/// sum. Gives how many reservations there were.
pub(super) fn recover(tx: &Transaction<'_>, lives: &dyn Fn(i64) -> bool) -> rusqlite::Result<usize> {
    let mut count = 0;
    let hosts = "SELECT host FROM reservations UNION SELECT host FROM spend";
    let hosts: Vec<i64> = tx.prepare(hosts)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for host in hosts.into_iter().filter(|host| *host == ENDED || !lives(*host)) {
        let left = "SELECT day, skill, input_tokens, output_tokens, micro_dollars, 0, 0 FROM reservations WHERE host = ?1 ORDER BY id";
        let left = rows(tx, left, host)?;
        count += left.len();
        let mut sums = left;
        if host != ENDED {
            let spent = "SELECT day, skill, input_tokens, output_tokens, micro_dollars, host_calls, wall_ms FROM spend WHERE host = ?1";
            sums.extend(rows(tx, spent, host)?);
        }
        for (day, skill, amount) in &sums {
            add(tx, ENDED, *day, skill, *amount)?;
        }
        tx.execute("DELETE FROM reservations WHERE host = ?1", [host])?;
        if host != ENDED {
            tx.execute("DELETE FROM spend WHERE host = ?1", [host])?;
        }
    }
    // Counted, and not reckoned from today: a clock that is years ahead for one start must not make anybody's day new.
    let old = "DELETE FROM spend WHERE day NOT IN (SELECT DISTINCT day FROM spend ORDER BY day DESC LIMIT ?1)";
    tx.execute(old, [KEPT_DAYS])?;
    Ok(count)
}

fn rows(tx: &Transaction<'_>, sql: &str, host: i64) -> rusqlite::Result<Vec<(i64, String, Amount)>> {
    tx.prepare(sql)?.query_map([host], |row| Ok((row.get(0)?, row.get(1)?, amount(row, 2)?)))?.collect()
}

/// What all hosts but one have spent or set aside on a day, by skill.
pub(super) fn elsewhere(db: &Connection, day: i64, host: i64) -> rusqlite::Result<HashMap<Arc<str>, Amount>> {
    let mut sums: HashMap<Arc<str>, Amount> = HashMap::new();
    let mut statement = db.prepare_cached(
        "SELECT skill, input_tokens, output_tokens, micro_dollars, host_calls, wall_ms FROM spend WHERE day = ?1 AND host <> ?2
         UNION ALL
         SELECT skill, input_tokens, output_tokens, micro_dollars, 0, 0 FROM reservations WHERE day = ?1 AND host <> ?2",
    )?;
    let mut rows = statement.query([day, host])?;
    while let Some(row) = rows.next()? {
        let sum = sums.entry(row.get::<_, String>(0)?.into()).or_default();
        *sum = sum.saturating_add(amount(row, 1)?);
    }
    Ok(sums)
}

/// Changes whenever another host has committed something. To be asked on the connection that writes.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
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
