//! The audit's tables.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::chain::{Hash, Key, Mark, hex};
use super::{Event, Filter, Record, Used};
use crate::budget::Amount;
use crate::state::{int, uint};

/// Number and hash of the newest record.
pub(super) fn last(db: &Connection) -> rusqlite::Result<Option<(u64, Hash)>> {
    db.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((uint(row.get(0)?), row.get(1)?)))
        .optional()
}

pub(super) fn mark(db: &Connection, name: &str) -> rusqlite::Result<Option<Mark>> {
    db.prepare_cached("SELECT seq, hash, signature FROM audit_marks WHERE name = ?1")?
        .query_row([name], |row| Ok(Mark { seq: uint(row.get(0)?), hash: row.get(1)?, signature: row.get(2)? }))
        .optional()
}

pub(super) fn put_mark(tx: &Transaction<'_>, name: &str, mark: &Mark) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO audit_marks VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        name,
        int(mark.seq),
        &mark.hash[..],
        mark.signature
    ])?;
    Ok(())
}

/// Whether the chain goes through a place, or did so before it was shortened by age.
pub(super) fn has(db: &Connection, place: &Mark) -> rusqlite::Result<bool> {
    let hash = db
        .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
        .query_row([int(place.seq)], |row| row.get::<_, Hash>(0))
        .optional()?;
    Ok(match hash {
        Some(hash) => hash == place.hash,
        None => mark(db, "base")?
            .is_some_and(|base| base.seq > place.seq || (base.seq, base.hash) == (place.seq, place.hash)),
    })
}

/// Removes all but the newest `kept`, and signs where the chain begins from then on.
pub(super) fn prune(tx: &Transaction<'_>, key: &Key, kept: u64) -> rusqlite::Result<()> {
    let bounds = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
    // Each by itself: for both in one query SQLite reads every record.
    let ends = "SELECT (SELECT min(seq) FROM audit), (SELECT max(seq) FROM audit)";
    let (first, newest) = tx.prepare_cached(ends)?.query_row([], bounds)?;
    let (Some(first), Some(newest)) = (first, newest) else { return Ok(()) };
    // A tenth more is let grow, so that not every seal removes a few.
    if uint(newest - first) < kept + kept / 10 {
        return Ok(());
    }
    let until = newest - int(kept);
    let hash: Hash = tx.query_row("SELECT hash FROM audit WHERE seq = ?1", [until], |row| row.get(0))?;
    put_mark(tx, "base", &Mark::sign(key, "base", uint(until), hash))?;
    tx.execute("DELETE FROM audit WHERE seq <= ?1", [until])?;
    Ok(())
}

pub(super) const COLUMNS: &str =
    "seq, at_us, event, invocation, act, skill, caller, capability, subject, kind, detail, hash FROM audit";

pub(super) fn newest(db: &Connection, filter: &Filter, limit: u32) -> rusqlite::Result<Vec<Record>> {
    let mut records = select(db, filter, "DESC", limit)?;
    records.reverse();
    Ok(records)
}

pub(super) fn oldest(db: &Connection, filter: &Filter, limit: u32) -> rusqlite::Result<Vec<Record>> {
    select(db, filter, "ASC", limit)
}

fn select(db: &Connection, filter: &Filter, order: &str, limit: u32) -> rusqlite::Result<Vec<Record>> {
    let mut wanted = vec!["1".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut want = |column: &str, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            values.push(value);
            wanted.push(format!("{column} ?{}", values.len()));
        }
    };
    let text = |text: &Option<String>| text.clone().map(|text| Box::new(text) as Box<dyn ToSql>);
    want("invocation =", text(&filter.invocation));
    want("skill =", text(&filter.skill));
    want("capability =", text(&filter.capability));
    want("event =", filter.event.map(|event| Box::new(event.as_str()) as _));
    want("seq >", filter.after.map(|after| Box::new(int(after)) as _));
    want("at_us >=", filter.since.map(|since| Box::new(since.as_microsecond()) as _));
    let sql = format!("SELECT {COLUMNS} WHERE {} ORDER BY seq {order} LIMIT {limit}", wanted.join(" AND "));
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    db.prepare_cached(&sql)?.query_map(&values[..], record)?.collect()
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let event: String = row.get(2)?;
    let hash: Vec<u8> = row.get(11)?;
    Ok(Record {
        seq: uint(row.get(0)?),
        at_us: row.get(1)?,
        event: match event.as_str() {
            "intent" => Event::Intent,
            "outcome" => Event::Outcome,
            "denied" => Event::Denied,
            "run" => Event::Run,
            "admin" => Event::Admin,
            other => {
                let wrong = format!("`{}` is no event", other.escape_debug());
                return Err(rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, wrong.into()));
            }
        },
        invocation: row.get(3)?,
        act: uint(row.get(4)?),
        skill: row.get(5)?,
        caller: row.get(6)?,
        capability: row.get(7)?,
        subject: row.get(8)?,
        kind: row.get(9)?,
        detail: row.get(10)?,
        hash: hex(&hash),
    })
}

/// What was used in acts of models: those of records after `after`, or else those that are not older than `since`, in microseconds. The
/// number of the newest record, where there is a new one.
pub(in super::super) fn spent_since(
    db: &Connection,
    after: Option<u64>,
    since: i64,
    mut each: impl FnMut(String, Amount),
) -> rusqlite::Result<Option<u64>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, at_us, invocation, detail, event = 'outcome' AND capability = 'model' FROM audit
         WHERE seq > ?1 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query([after.map_or(0, int)])?;
    let mut newest = None;
    while let Some(row) = rows.next()? {
        newest = newest.or(Some(uint(row.get(0)?)));
        if after.is_none() && row.get::<_, i64>(1)? < since {
            break;
        }
        if row.get(4)? {
            each(row.get(2)?, amount(&row.get::<_, String>(3)?));
        }
    }
    Ok(newest)
}

/// What the last words of an outcome say that was used. What stands before them may be anybody's.
fn amount(detail: &str) -> Amount {
    let mut amount = Amount::default();
    for word in detail.rsplit(' ') {
        let Some((unit, Ok(number))) = word.split_once('=').map(|(unit, number)| (unit, number.parse())) else { break };
        match unit {
            "input-tokens" => amount.input_tokens = number,
            "output-tokens" => amount.output_tokens = number,
            "micro-dollars" => amount.micro_dollars = number,
            _ => break,
        }
    }
    amount
}

/// Every record from the oldest on, one at a time.
pub(super) fn walk(
    db: &Connection,
    mut each: impl FnMut(rusqlite::Result<Record>, u64) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("SELECT {COLUMNS} ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq = uint(row.get(0)?);
        if !each(record(row), seq) {
            break;
        }
    }
    Ok(())
}

pub(super) fn used(db: &Connection, skill: &str) -> rusqlite::Result<Vec<Used>> {
    db.prepare_cached(
        "SELECT capability, subject, sum(event = 'intent'), sum(event = 'denied'), max(at_us) FROM audit
         WHERE skill = ?1 AND event IN ('intent', 'denied') GROUP BY capability, subject ORDER BY capability, subject
         LIMIT 1000",
    )?
    .query_map([skill], |row| {
        Ok(Used {
            capability: row.get(0)?,
            subject: row.get(1)?,
            times: uint(row.get(2)?),
            refused: uint(row.get(3)?),
            last_us: row.get(4)?,
        })
    })?
    .collect()
}
