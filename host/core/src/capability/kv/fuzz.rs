//! `kv_key`: keys, prefixes and cursors of a guest, in two backends that must agree.

#![allow(clippy::panic, reason = "how a target tells what it found")]

use std::cell::RefCell;

use bytes::Bytes;
use rusqlite::Connection;

use super::memory::Memory;
use super::sqlite;
use super::{Condition, Delete, Get, Key, List, Quota, Set};

const QUOTA: Quota = Quota { bytes: 2_000, keys: 12 };

thread_local! {
    static STATE: RefCell<Option<Connection>> = RefCell::new(crate::state::in_memory().ok());
}

/// Lines: a letter for what to do, a letter more for how, and a key, prefix or cursor.
pub(crate) fn kv_key(bytes: &[u8]) {
    STATE.with_borrow_mut(|db| {
        let Some(db) = db else { return };
        // What is not committed is gone when it is dropped.
        let Ok(tx) = db.transaction() else { return };
        let memory = Memory::default();
        for line in bytes.split(|byte| *byte == b'\n').take(64) {
            let Some((head, rest)) = line.split_at_checked(2) else { continue };
            let Ok(text) = std::str::from_utf8(rest) else { continue };
            // Two namespaces, one of which would be the beginning of the other's.
            let skill = if head[1] & 1 == 0 { "a" } else { "aa" }.to_owned();
            let number = u64::from(head[1] >> 1) % 8;
            let condition = match head[1] >> 4 {
                4 => Condition::Absent,
                5 => Condition::Version(number),
                _ => Condition::Always,
            };
            match head[0] {
                b's' => set(&tx, &memory, skill, text, condition, number),
                b'd' => {
                    let Some(key) = key(text) else { continue };
                    let ask = Delete { skill, key, condition, state: 0 };
                    assert_eq!(sqlite::remove(&tx, &ask).ok(), Some(memory.remove(&ask)), "{ask:?}");
                }
                b'g' => {
                    let Some(key) = key(text) else { continue };
                    let ask = Get { skill, key };
                    assert_eq!(sqlite::read(&tx, &ask.skill, &ask.key).ok(), Some(memory.read(&ask)), "{ask:?}");
                }
                b'c' => {
                    let (prefix, cursor) = text.split_once(' ').unwrap_or(("", text));
                    let Ok(ask) = List::new(skill, prefix.into(), Some(cursor.into()), number as u32) else { continue };
                    assert!(ask.after.as_ref().is_some_and(|key| key.as_str().starts_with(prefix)));
                    assert_eq!(sqlite::page(&tx, &ask).ok(), Some(memory.page(&ask)), "{ask:?}");
                }
                _ => pages(&tx, &memory, &skill, text, number as u32),
            }
        }
    });
}

/// A key that was let through is one.
fn key(text: &str) -> Option<Key> {
    let key = Key::parse(text.to_owned()).ok()?;
    assert_eq!(key.as_str(), text, "a key was changed");
    assert!((1..=256).contains(&text.len()) && !text.contains(char::is_control), "{text:?} is no key");
    Some(key)
}

fn set(tx: &rusqlite::Transaction<'_>, memory: &Memory, skill: String, text: &str, condition: Condition, number: u64) {
    let Some(key) = key(text) else { return };
    let value = Bytes::from(vec![b'v'; usize::try_from(number).unwrap_or_default() * 50]);
    let Ok(ask) = Set::new(skill, key, value, condition, QUOTA) else { return };
    let (durable, kept) = (sqlite::write(tx, &ask), memory.write(&ask));
    assert_eq!(durable.ok(), Some(kept), "{ask:?}");
}

/// All pages of a prefix together are all of its keys, each once and in order.
fn pages(tx: &rusqlite::Transaction<'_>, memory: &Memory, skill: &str, prefix: &str, limit: u32) {
    let Ok(whole) = List::new(skill.to_owned(), prefix.to_owned(), None, 1000) else { return };
    let whole = memory.page(&whole);
    assert!(!whole.more && whole.keys.is_sorted() && whole.keys.iter().all(|key| key.starts_with(prefix)));
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let Ok(ask) = List::new(skill.to_owned(), prefix.to_owned(), cursor, limit) else {
            panic!("a cursor that was given is not taken back")
        };
        let page = memory.page(&ask);
        assert_eq!(sqlite::page(tx, &ask).ok().as_ref(), Some(&page), "{ask:?}");
        assert!(page.keys.len() <= ask.limit && !(page.more && page.keys.is_empty()));
        cursor = page.keys.last().filter(|_| page.more).map(|last| super::host::write_cursor(last));
        found.extend(page.keys);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, whole.keys);
}
