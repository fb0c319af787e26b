//! The journal's table.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Ending, Record, Run, Wanted};
use crate::budget::Amount;
use crate::state::{int, uint};

/// A run that begins, with its ending where that has come already.
pub(super) fn start(tx: &Transaction<'_>, session: &str, run: &Run, ending: Option<&Ending>) -> rusqlite::Result<()> {
    let usage = ending.map(|ending| ending.usage).unwrap_or_default();
    tx.prepare_cached(
        "INSERT INTO runs (invocation, session, skill, tool, digest, caller, started_us, parent, ended_us, kind, message,
             input_tokens, output_tokens, micro_dollars, host_calls, wall_ms, log_dropped)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        run.invocation,
        session,
        run.skill,
        run.tool,
        run.digest,
        run.caller,
        run.at.as_microsecond(),
        run.parent,
        ending.map(|ending| ending.at.as_microsecond()),
        ending.map(|ending| &ending.kind),
        ending.map(|ending| &ending.message),
        int(usage.input_tokens),
        int(usage.output_tokens),
        int(usage.micro_dollars),
        int(usage.host_calls),
        int(usage.wall_ms),
        int(ending.map_or(0, |ending| ending.log_dropped)),
    ])?;
    Ok(())
}

/// The ending of a run whose beginning was written before it came.
pub(super) fn finish(tx: &Transaction<'_>, invocation: &str, ending: &Ending) -> rusqlite::Result<()> {
    let usage = &ending.usage;
    tx.prepare_cached(
        "UPDATE runs SET ended_us = ?2, kind = ?3, message = ?4, input_tokens = ?5, output_tokens = ?6,
             micro_dollars = ?7, host_calls = ?8, wall_ms = ?9, log_dropped = ?10
         WHERE invocation = ?1 AND ended_us IS NULL",
    )?
    .execute(params![
        invocation,
        ending.at.as_microsecond(),
        ending.kind,
        ending.message,
        int(usage.input_tokens),
        int(usage.output_tokens),
        int(usage.micro_dollars),
        int(usage.host_calls),
        int(usage.wall_ms),
        int(ending.log_dropped),
    ])?;
    Ok(())
}

/// Numbers are given out without gaps, so the newest `kept` are those above the largest minus `kept`.
pub(super) fn prune(tx: &Transaction<'_>, kept: u64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM runs WHERE seq <= (SELECT max(seq) FROM runs) - ?1")?.execute([int(kept)])?;
    Ok(())
}

const COLUMNS: &str = "invocation, skill, tool, digest, caller, started_us, ended_us, kind, message, input_tokens,
     output_tokens, micro_dollars, host_calls, wall_ms, log_dropped, session, parent";

/// Whether the host of a session lives.
type Lives<'a> = &'a dyn Fn(&str) -> bool;

pub(super) fn select(db: &Connection, lives: Lives<'_>, wanted: &Wanted, limit: u32) -> rusqlite::Result<Vec<Record>> {
    // What has not ended is written down without a kind: which it is depends on whether its host lives.
    let sql = format!(
        "SELECT {COLUMNS} FROM runs
         WHERE (?1 IS NULL OR skill = ?1) AND (?2 IS NULL OR parent = ?2) AND (?3 IS NULL OR kind = ?3 OR ended_us IS NULL)
         ORDER BY seq DESC"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![wanted.skill, wanted.parent, wanted.kind], |row| record(row, lives))?;
    let fits = |record: &rusqlite::Result<Record>| match (record, &wanted.kind) {
        (Ok(record), Some(kind)) => record.kind == *kind,
        _ => true,
    };
    rows.filter(fits).take(limit as usize).collect()
}

pub(super) fn one(db: &Connection, lives: Lives<'_>, invocation: &str) -> rusqlite::Result<Option<Record>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE invocation = ?1"))?
        .query_row([invocation], |row| record(row, lives))
        .optional()
}

fn record(row: &Row<'_>, lives: Lives<'_>) -> rusqlite::Result<Record> {
    let time = |us: i64| Timestamp::from_microsecond(us).unwrap_or_default();
    let ended: Option<i64> = row.get(6)?;
    let kind: Option<String> = row.get(7)?;
    let theirs: String = row.get(15)?;
    // Only where it matters: to know it costs a look at a file.
    let unfinished = || if lives(&theirs) { "running" } else { "interrupted" };
    Ok(Record {
        invocation: row.get(0)?,
        skill: row.get(1)?,
        tool: row.get(2)?,
        digest: row.get(3)?,
        caller: row.get(4)?,
        parent: row.get(16)?,
        started: time(row.get(5)?),
        ended: ended.map(time),
        kind: kind.unwrap_or_else(|| unfinished().into()),
        message: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        usage: Amount {
            input_tokens: uint(row.get(9)?),
            output_tokens: uint(row.get(10)?),
            micro_dollars: uint(row.get(11)?),
            host_calls: uint(row.get(12)?),
            wall_ms: uint(row.get(13)?),
        },
        log_dropped: uint(row.get(14)?),
    })
}
