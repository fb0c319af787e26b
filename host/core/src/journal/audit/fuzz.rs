//! `audit_parse`: the head beside the state, the lines of an export, and a chain that somebody has been at.

#![allow(clippy::panic, reason = "the fuzzer takes a panic for a finding")]

use std::cell::RefCell;
use std::sync::LazyLock;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::chain::{Key, Mark, hex};
use super::verify::verify_with;
use super::{Closing, Entry, Event, Filter, Opening, Record, append, store};

static KEY: LazyLock<Option<Key>> = LazyLock::new(|| Key::of_seed(&[7; 32]));

thread_local! {
    static STATE: RefCell<Option<Connection>> = RefCell::new(crate::state::in_memory().ok());
}

/// Records that are made before somebody is at them.
const RECORDS: i64 = 6;

/// Lines: what stands beside the state or in an export, or, where it begins with a letter and a number, an edit of a chain.
pub(crate) fn audit_parse(bytes: &[u8]) {
    let Some(key) = KEY.as_ref() else { return };
    for line in bytes.split(|byte| *byte == b'\n') {
        same::<Opening>(line);
        same::<Record>(line);
        same::<Closing>(line);
        let mark = Mark::read(line);
        // Nothing but our own signature verifies, in the one form that we write.
        if mark.verifies(key, "head") {
            let ours = Mark::sign(key, "head", mark.seq, mark.hash);
            assert_eq!(ours, mark);
        }
        if let Ok(text) = serde_json::to_vec(&mark) {
            assert_eq!(Mark::read(&text), mark);
        }
        if !mark.signature.is_empty()
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(line)
        {
            assert_eq!(value["signature"], hex(&mark.signature), "read as something else than is written");
        }
    }
    STATE.with_borrow_mut(|db| {
        // What is not committed is gone when it is dropped.
        if let Some(tx) = db.as_mut().and_then(|db| db.transaction().ok()) {
            drop(touch(&tx, key, bytes));
        }
    });
}

/// What was read is read again from what it is written as.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(line: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(line) else { return };
    let text = serde_json::to_vec(&read).unwrap_or_default();
    match serde_json::from_slice::<T>(&text) {
        Ok(again) => assert_eq!(again, read),
        Err(error) => panic!("{} is not read again: {error}", String::from_utf8_lossy(&text)),
    }
}

/// Makes a chain of what the bytes say, edits it as they say, and asks whether it holds.
fn touch(tx: &Transaction<'_>, key: &Key, bytes: &[u8]) -> rusqlite::Result<()> {
    for at in 1..=RECORDS {
        let text = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes));
        let entry = Entry {
            event: Event::ALL[usize::try_from(at).unwrap_or_default() % 5],
            ..Entry::admin("set", text, "detail")
        };
        append(tx, Timestamp::UNIX_EPOCH, &entry)?;
    }
    let Some((seq, hash)) = store::last(tx)? else { panic!("the chain is empty") };
    let head = Mark::sign(key, "head", seq, hash);
    store::put_mark(tx, "head", &head)?;
    let told = store::oldest(tx, &Filter::default(), 100)?;
    let marks = marks(tx)?;
    let found = verify_with(tx, key, Some(head.clone()))?;
    assert_eq!((found.fault, found.records), (None, told.len() as u64), "a chain that nobody touched");
    for record in &told {
        let shown = [&record.subject, &record.detail, &record.kind];
        assert!(shown.iter().all(|text| !text.contains(char::is_control) && text.len() <= 600), "{record:?}");
    }
    for line in bytes.split(|byte| *byte == b'\n').take(4) {
        let [what, at, value @ ..] = line else { continue };
        edit(tx, *what, i64::from(at % 8), value)?;
    }
    // What cannot be read any more is told as an error.
    let now = store::oldest(tx, &Filter::default(), 100).ok();
    let same = now.as_ref() == Some(&told) && self::marks(tx).ok().as_ref() == Some(&marks);
    let found = verify_with(tx, key, Some(head))?;
    assert_eq!(found.fault.is_none(), same, "{found:?} of {now:?}");
    Ok(())
}

/// One statement as somebody with the file in hand would give it.
fn edit(tx: &Transaction<'_>, what: u8, at: i64, value: &[u8]) -> rusqlite::Result<()> {
    let text = String::from_utf8_lossy(value);
    let number = value.iter().take(8).fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    // What the tables refuse is no edit.
    drop(match what {
        b'a' => tx.execute("UPDATE audit SET subject = ?2 WHERE seq = ?1", (at, text)),
        b'b' => tx.execute("UPDATE audit SET detail = ?2 WHERE seq = ?1", (at, text)),
        b'c' => tx.execute("UPDATE audit SET event = ?2 WHERE seq = ?1", (at, text)),
        b'd' => tx.execute("UPDATE audit SET skill = ?2, caller = '' WHERE seq = ?1", (at, text)),
        b'e' => tx.execute("UPDATE audit SET at_us = ?2 WHERE seq = ?1", (at, number)),
        b'f' => tx.execute("UPDATE audit SET act = ?2 WHERE seq = ?1", (at, number)),
        b'g' => tx.execute("UPDATE audit SET hash = ?2 WHERE seq = ?1", (at, value)),
        b'h' => tx.execute("UPDATE audit SET seq = ?2 WHERE seq = ?1", (at, number)),
        b'i' => tx.execute("DELETE FROM audit WHERE seq = ?1", [at]),
        b'j' => tx.execute("DELETE FROM audit WHERE seq > ?1", [at]),
        b'k' => tx.execute("UPDATE audit_marks SET seq = ?1", [at]),
        b'l' => tx.execute("UPDATE audit_marks SET hash = ?1", [value]),
        b'm' => tx.execute("UPDATE audit_marks SET signature = ?1", [value]),
        b'n' => tx.execute("UPDATE audit_marks SET name = ?1", [text]),
        b'o' => tx.execute("DELETE FROM audit_marks", []),
        b'p' => tx.execute("UPDATE audit SET kind = ?2, capability = ?2 WHERE seq = ?1", (at, text)),
        _ => Ok(0),
    });
    Ok(())
}

/// The marks as they lie there.
/// Name, number, hash and signature.
type Row = (String, i64, Vec<u8>, Vec<u8>);

fn marks(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Row>> {
    tx.prepare_cached("SELECT name, seq, hash, signature FROM audit_marks ORDER BY name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
}
