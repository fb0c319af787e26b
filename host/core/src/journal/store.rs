//! The journal's table.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::watch::{Begun, Running};
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
        ending.map(|ending| ending.kind),
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

/// Runs without an end, whether or not their hosts live, the oldest first. What they used is not known here.
pub(super) fn unfinished(db: &Connection) -> rusqlite::Result<Vec<Begun>> {
    let now = Timestamp::now();
    db.prepare_cached(
        "SELECT session, invocation, skill, tool, caller, parent, started_us FROM runs WHERE ended_us IS NULL ORDER BY seq",
    )?
    .query_map([], |row| {
        let started = Timestamp::from_microsecond(row.get(6)?).unwrap_or_default();
        let running = Running {
            invocation: row.get(1)?,
            skill: row.get(2)?,
            tool: row.get(3)?,
            caller: row.get(4)?,
            parent: row.get(5)?,
            process: None,
            started,
            wall_ms: u64::try_from(now.duration_since(started).as_millis()).unwrap_or_default(),
            input_tokens: 0,
            output_tokens: 0,
            micro_dollars: 0,
        };
        Ok(Begun { session: row.get(0)?, running })
    })?
    .collect()
}

/// What ended runs used that were called by runs without an end, by the caller.
pub(super) fn ended_below(db: &Connection) -> rusqlite::Result<HashMap<String, Amount>> {
    let mut statement = db.prepare_cached(
        "SELECT parent, input_tokens, output_tokens, micro_dollars FROM runs
         WHERE ended_us IS NOT NULL AND parent IN (SELECT invocation FROM runs WHERE ended_us IS NULL)",
    )?;
    let mut rows = statement.query([])?;
    let mut used = HashMap::<String, Amount>::new();
    while let Some(row) = rows.next()? {
        let amount = Amount {
            input_tokens: uint(row.get(1)?),
            output_tokens: uint(row.get(2)?),
            micro_dollars: uint(row.get(3)?),
            ..Amount::default()
        };
        let sum = used.entry(row.get(0)?).or_default();
        *sum = sum.saturating_add(amount);
    }
    Ok(used)
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
