//! What is left of the chain in a state file that is damaged, and how it goes on in another one.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction};

use super::chain::{GENESIS, Hash, Key, Mark, hash, hex};
use super::{Entry, append, store};
use crate::state::{StateError, uint};

/// What a record of a repair is told by.
pub(super) const REPAIRED: &str = "state-repaired";

/// A chain that goes on in another file.
#[derive(Debug)]
pub(crate) struct Resumed {
    key: Key,
    /// The last place that is known of the old chain, be its record there or not.
    end: (u64, Hash),
    pub(crate) kept: u64,
    /// Records that could be read, and do not lead up to that place.
    pub(crate) dropped: u64,
    /// Why not all of them could be read.
    pub(crate) trouble: Option<String>,
}

impl Resumed {
    /// Takes the records over that lead up to the newest place that is known, by the records themselves or by the signed head beside the
    /// state. The rest stays in the damaged file: a chain with a hole proves nothing.
    pub(crate) fn take(old: &Connection, new: &Transaction<'_>, dir: &Path) -> Result<Self, StateError> {
        let key = Key::open(&dir.join("audit.key"))?;
        let beside = Mark::load(&dir.join("audit.head")).filter(|mark| mark.verifies(&key, "head"));
        let taken = Self::taken(old, new, key, beside);
        taken.map_err(|error| StateError::Failed { path: dir.to_owned(), reason: error.to_string() })
    }

    fn taken(old: &Connection, new: &Transaction<'_>, key: Key, beside: Option<Mark>) -> rusqlite::Result<Self> {
        let base = store::mark(old, "base").ok().flatten().filter(|mark| mark.verifies(&key, "base"));
        let start = base.map_or((0, GENESIS), |base| (base.seq, base.hash));
        let mut all = Self { key, end: start, kept: 0, dropped: 0, trouble: None };
        let mut first = start;
        if let Err(error) = all.read(old, new, 0, &mut first) {
            all.trouble = Some(error.to_string());
            // Behind what cannot be read there may be more.
            if let Some(from) = lowest_from_the_end(old).filter(|from| *from > all.end.0) {
                // It says itself where it stops being readable.
                let _ = all.read(old, new, from, &mut first);
            }
        }
        if let Some(beside) = beside.filter(|beside| beside.seq > all.end.0) {
            all.begin_at((beside.seq, beside.hash), new, &mut first)?;
        }
        if first.0 > 0 {
            store::put_mark(new, "base", &Mark::sign(&all.key, "base", first.0, first.1))?;
        }
        Ok(all)
    }

    fn read(
        &mut self,
        old: &Connection,
        new: &Transaction<'_>,
        from: u64,
        first: &mut (u64, Hash),
    ) -> rusqlite::Result<()> {
        let mut statement = old.prepare(&format!("SELECT {} WHERE seq >= ?1 ORDER BY seq", store::COLUMNS))?;
        let mut rows = statement.query([crate::state::int(from)])?;
        while let Some(row) = rows.next()? {
            let (seq, stored) = (uint(row.get(0)?), row.get::<_, Hash>(11).unwrap_or(GENESIS));
            let links = store::record(row).is_ok_and(|record| {
                seq == self.end.0 + 1 && hash(&self.end.1, &record) == stored && record.hash == hex(&stored)
            });
            if !links {
                // What comes after it may hang together: then it begins there.
                self.begin_at((seq, stored), new, first)?;
                self.dropped += 1;
                continue;
            }
            let values: Vec<Value> = (0..12).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?;
            new.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
                .execute(rusqlite::params_from_iter(values))?;
            self.end = (seq, stored);
            self.kept += 1;
        }
        Ok(())
    }

    fn begin_at(&mut self, place: (u64, Hash), new: &Transaction<'_>, first: &mut (u64, Hash)) -> rusqlite::Result<()> {
        new.execute("DELETE FROM audit", [])?;
        self.dropped += std::mem::take(&mut self.kept);
        (self.end, *first) = (place, place);
        Ok(())
    }

    /// The place at which the old chain ends, as it is told.
    pub(crate) fn old_end(&self) -> String {
        match self.end {
            (0, _) => "nothing is known of its audit".into(),
            (seq, hash) => format!("its audit ended at {seq} {}", hex(&hash)),
        }
    }

    /// Records that the state was repaired, and signs it.
    pub(crate) fn close(&self, new: &Transaction<'_>, file: &str, detail: String) -> rusqlite::Result<Head> {
        append(new, jiff::Timestamp::now(), &Entry::admin(REPAIRED, file, detail))?;
        let (seq, hash) = store::last(new)?.unwrap_or(self.end);
        let head = Mark::sign(&self.key, "head", seq, hash);
        store::put_mark(new, "head", &head)?;
        Ok(Head(head))
    }
}

/// The head of a chain that goes on, to be kept beside the state when that is in its place.
#[derive(Debug)]
pub(crate) struct Head(Mark);

impl Head {
    pub(crate) fn save(&self, dir: &Path) -> Result<(), StateError> {
        self.0.save(&dir.join("audit.head"))
    }
}

/// The lowest number that can be reached from the newest record backwards.
fn lowest_from_the_end(old: &Connection) -> Option<u64> {
    let mut statement = old.prepare("SELECT seq FROM audit ORDER BY seq DESC").ok()?;
    let mut rows = statement.query([]).ok()?;
    let mut lowest = None;
    while let Ok(Some(row)) = rows.next() {
        lowest = row.get(0).ok().map(uint).or(lowest);
    }
    lowest
}
