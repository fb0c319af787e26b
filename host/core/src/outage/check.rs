//! What is there after an outage, read with the real code.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::OptionalExtension as _;
use secrecy::ExposeSecret as _;

use super::story::{Story, Thing};
use super::work::{DIGEST, Ground, SKILL, content, engine, secret, skill};
use crate::state::{Durability, int};

/// Opens what an outage left and compares it with the story. `must` says whether all that was acknowledged has to be there, or
/// only what was synced.
pub(super) async fn after(
    dir: &Path,
    story: &Story,
    durability: Durability,
    must: bool,
) -> Result<(Ground, Found), String> {
    let ground = Ground::open(dir, durability).await.map_err(|wrong| format!("it does not start: {wrong}"))?;
    let found = compare(&ground, story, must).await?;
    Ok((ground, found))
}

/// In any other mode readers and writers refuse each other.
pub(super) async fn has_log(ground: &Ground) -> Result<(), String> {
    let mode: String =
        ground.state.read(|db| db.pragma_query_value(None, "journal_mode", |row| row.get(0))).await.unwrap();
    if mode == "wal" { Ok(()) } else { Err(format!("the journal's mode is {mode}")) }
}

/// What an outage left.
pub(super) struct Found {
    /// The last number that is there.
    pub(super) last: u64,
    /// What is gone of those before it, and may be.
    pub(super) lost: Vec<u64>,
}

async fn compare(ground: &Ground, story: &Story, all: bool) -> Result<Found, String> {
    has_log(ground).await?;
    let whole: String =
        ground.state.read(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get(0))).await.unwrap();
    if whole != "ok" {
        return Err(format!("the database is damaged: {whole}"));
    }
    let verified = ground.audit.verify().await.map_err(|error| format!("the audit cannot be read: {error}"))?;
    if let Some(fault) = verified.fault {
        return Err(format!("the outage looks like tampering: {fault}"));
    }
    // What is believed is whole; what is not is made again.
    drop(ground.artefacts.load(&engine().0, DIGEST));

    let values = values(ground).await?;
    let mut there = BTreeMap::new();
    for (number, thing) in story.begun() {
        there.insert(*number, is_there(ground, *number, *thing, &values).await?);
    }
    for (key, number) in &values {
        let of = story.begun().get(number);
        if !matches!(of, Some(Thing::Value { key: of, .. }) if of == key) {
            return Err(format!("{number} is under key {key}, and should not be there"));
        }
    }
    let is_line = |number: &u64| story.is_line(*number);
    let kept = || there.iter().filter(|(_, there)| **there).map(|(number, _)| *number);
    let in_order = kept().filter(|number| !is_line(number)).max().unwrap_or_default();
    let mut found = Found { last: kept().max().unwrap_or_default(), lost: Vec::new() };
    for (number, there) in &there {
        let must = story.must(all).contains(number);
        if must && !there {
            return Err(format!("{number} was acknowledged and is gone: {:?}", story.begun()[number]));
        }
        if *number < in_order && !there && !is_line(number) && !story.may_be_missing(*number) {
            return Err(format!("{number} is gone, and {in_order} after it is there: {:?}", story.begun()[number]));
        }
        if *number < found.last && !there {
            found.lost.push(*number);
        }
    }
    Ok(found)
}

/// The newest number under each key; each whole, and all of them as they are counted.
async fn values(ground: &Ground) -> Result<BTreeMap<u64, u64>, String> {
    let rows: Vec<(String, Vec<u8>)> = ground
        .state
        .read(|db| {
            let mut rows = db.prepare("SELECT key, value FROM kv WHERE skill = ?1")?;
            rows.query_map([SKILL], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await
        .unwrap();
    let counted: Option<(i64, i64)> = ground
        .state
        .read(|db| {
            let totals = "SELECT bytes, keys FROM kv_totals WHERE skill = ?1";
            db.query_row(totals, [SKILL], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .await
        .unwrap();
    let bytes: usize = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
    let real = (int(bytes as u64), int(rows.len() as u64));
    if counted.unwrap_or_default() != real {
        return Err(format!("{counted:?} is counted and {real:?} is there"));
    }
    let mut numbers = BTreeMap::new();
    for (key, value) in rows {
        let number = u64::from_le_bytes(value[..8].try_into().unwrap());
        if value != content(number, value.len() as u64 - 8) {
            return Err(format!("the value of {key} is not what was written"));
        }
        numbers.insert(key[1..].parse().unwrap(), number);
    }
    Ok(numbers)
}

async fn is_there(ground: &Ground, number: u64, thing: Thing, values: &BTreeMap<u64, u64>) -> Result<bool, String> {
    Ok(match thing {
        // A newer one in its place says that it was.
        Thing::Value { key, .. } => values.get(&key).is_some_and(|newest| *newest >= number),
        Thing::Intent | Thing::Noted => has_intent(ground, number).await?,
        Thing::Reservation { tokens, used } => is_charged(ground, number, used..=tokens)?,
        Thing::SetAside { tokens, used } => {
            let (intent, charged) = (has_intent(ground, number).await?, is_charged(ground, number, used..=tokens)?);
            if intent != charged {
                return Err(format!("of {number} the intent is {intent}, and what was set aside for it {charged}"));
            }
            intent
        }
        Thing::Skill { bytes } => {
            let (name, _) = skill(number);
            let Some(row) = ground.index.get(&name).await.unwrap() else { return Ok(false) };
            // A newer one in its place says that it was.
            let newest: u64 = row.digest.trim_start_matches("sha256:").parse().unwrap();
            let found = std::fs::read(ground.components.path(&row.digest));
            if newest == number && found.ok() != Some(content(number, bytes)) {
                return Err(format!("the skill {number} is installed, and its file is not what was installed"));
            }
            newest >= number
        }
        Thing::Secret => {
            if !ground.vault.has(secret(number).as_str()) {
                return Ok(false);
            }
            let value = ground
                .vault
                .reveal(secret(number).as_str())
                .await
                .map_err(|error| format!("secret {number}: {error}"))?;
            if value.expose_secret() != format!("secret-value-{number}") {
                return Err(format!("the secret {number} has another value"));
            }
            true
        }
    })
}

async fn has_intent(ground: &Ground, number: u64) -> Result<bool, String> {
    let sql = "SELECT count(*) FROM audit WHERE subject = ?1";
    let found = ground.state.read(move |db| db.query_row(sql, [number.to_string()], |row| row.get::<_, i64>(0)));
    match found.await.unwrap() {
        0 => Ok(false),
        1 => Ok(true),
        more => Err(format!("the intent {number} is there {more} times")),
    }
}

fn is_charged(ground: &Ground, number: u64, expected: RangeInclusive<u64>) -> Result<bool, String> {
    match ground.treasury.spent_today(Some(&format!("s{number}"))).input_tokens {
        0 => Ok(false),
        spent if expected.contains(&spent) => Ok(true),
        spent => Err(format!("{spent} tokens are charged for {number}, and not {expected:?}")),
    }
}

/// A host that has come back works on, and its audit holds.
pub(super) async fn goes_on(ground: &mut Ground) -> Result<(), String> {
    ground.keep(u64::MAX, Thing::Intent).await?;
    ground.seal().await?;
    holds(ground).await
}

async fn holds(ground: &Ground) -> Result<(), String> {
    match ground.audit.verify().await.map_err(|error| error.to_string())?.fault {
        None => Ok(()),
        Some(fault) => Err(format!("after more work: {fault}")),
    }
}

/// The audit still holds after a close and a start.
pub(super) async fn still_holds(dir: &Path, durability: Durability) -> Result<(), String> {
    let ground = Ground::open(dir, durability).await.map_err(|wrong| format!("it does not start again: {wrong}"))?;
    holds(&ground).await
}
