//! Posts that are on record before they are committed: a log of each host's own, beside the file.
//!
//! A commit takes SQLite some fifty microseconds, most of them locks and pages; a line at the end of a file takes six, and a killed
//! process loses neither. So what may only happen once it is on record, and happens often, is written as a line, and committed
//! with the other posts. What a killed host had not committed is taken up by the next one that starts.
//!
//! Lines are numbered, and the number of the last one is committed with what it stands for: so a line is taken up once, whenever the
//! process was killed. Against a power cut a line helps no more than a commit that was not synced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::dir::private_file;
use super::{StateError, int, uint};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What a log may grow to before it is begun anew, which can only be when all of it is committed.
const LONG: u64 = 64 << 10;
/// Hosts of which it is remembered how far they came, before it is looked which of them can be forgotten.
const KNOWN: i64 = 256;
/// What it may grow to at all. Above it everybody commits, until there is a moment in which all is.
const LONGEST: u64 = 1 << 20;

/// The log of this host.
#[derive(Debug)]
pub(super) struct Ahead {
    host: i64,
    path: PathBuf,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Made with the first line.
    file: Option<File>,
    length: u64,
    /// Of the last line.
    number: u64,
    /// Of the last line that was committed.
    committed: u64,
    /// Where a line is put together, so that it goes out in one piece.
    whole: Vec<u8>,
    /// Nothing more is written here: a line could not be, or what stands in one was lost. The log stays for the next host.
    failed: bool,
}

impl Ahead {
    /// A log in the state directory, which is not made before there is something to write.
    pub(super) fn new(dir: &Path, host: i64) -> Self {
        Self { host, path: folder(dir).join(host.to_string()), log: Mutex::default() }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `line`, which must be one, and tells `then` its number while nobody else can write. False where it could not be written; then
    /// `then` is not told.
    pub(super) fn write(&self, line: &[u8], then: impl FnOnce(u64)) -> bool {
        let mut log = self.log();
        if log.failed || log.length + line.len() as u64 > LONGEST {
            return false;
        }
        if let Err(error) = log.append(&self.path, line) {
            // Whoever asked commits instead, and tells what becomes of that.
            tracing::debug!(%error, "nothing can be put on record ahead");
            return false;
        }
        then(log.number);
        true
    }

    /// What an act does beside its own in the transaction: from then on the lines up to this number need not be taken up.
    pub(super) fn mark(&self, tx: &Transaction<'_>, number: u64) -> rusqlite::Result<()> {
        tx.prepare_cached("INSERT OR REPLACE INTO ahead VALUES (?1, ?2)")?.execute([self.host, int(number)]).map(drop)
    }

    /// The line of this number is committed, or lost.
    pub(super) fn done(&self, number: u64, is_committed: bool) {
        let mut log = self.log();
        log.failed |= !is_committed;
        log.committed = log.committed.max(number);
        if log.is_idle() && log.length > LONG {
            log.begin_anew();
        }
    }

    /// Whether there are lines that are not committed.
    pub(super) fn is_behind(&self) -> bool {
        let log = self.log();
        log.committed < log.number
    }

    /// For when this host ends, and nothing more is on its way.
    pub(super) fn close(&self, db: &Connection) {
        let log = self.log();
        if log.file.is_none() || !log.is_idle() || std::fs::remove_file(&self.path).is_err() {
            return;
        }
        let known = db.query_row("SELECT count(*) FROM ahead", [], |row| row.get::<_, i64>(0));
        if let (Ok(KNOWN..), Some(folder)) = (known, self.path.parent())
            && let Err(error) = forget(db, folder)
        {
            tracing::debug!(%error, "hosts that have ended are still remembered");
        }
    }
}

impl Log {
    fn is_idle(&self) -> bool {
        self.committed == self.number && !self.failed
    }

    fn append(&mut self, path: &Path, line: &[u8]) -> Result<(), StateError> {
        let io = |error: std::io::Error| StateError::io(path, &error);
        if self.file.is_none() {
            crate::files::make_private_dir(path.parent().unwrap_or(path)).map_err(io)?;
            self.file = Some(private_file(path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let number = self.number + 1;
        self.whole.clear();
        // To memory, which does not fail.
        let _ = write!(self.whole, "{number} ");
        self.whole.extend_from_slice(line);
        self.whole.push(b'\n');
        if let Err(error) = file.write_all(&self.whole) {
            // A part of it would spoil the next one. Where it cannot be taken back either, nothing more is written here.
            let undone = file.set_len(self.length).and_then(|()| file.seek(SeekFrom::Start(self.length)));
            self.failed |= undone.is_err();
            return Err(io(error));
        }
        (self.number, self.length) = (number, self.length + self.whole.len() as u64);
        Ok(())
    }

    fn begin_anew(&mut self) {
        let Some(file) = &mut self.file else { return };
        match file.set_len(0).and_then(|()| file.rewind()) {
            Ok(()) => self.length = 0,
            Err(error) => {
                tracing::warn!(%error, "a log of what is to be done cannot be begun anew");
                self.failed = true;
            }
        }
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("ahead")
}

/// What hosts that have ended had put on record: by host, the lines in their order, each with its number.
#[derive(Debug)]
pub(crate) struct LeftBehind {
    hosts: BTreeMap<i64, Vec<(u64, Vec<u8>)>>,
    files: Vec<PathBuf>,
    /// Nobody else takes up anything meanwhile.
    _turn: File,
}

impl LeftBehind {
    /// None where there is nothing. `lives` tells whether a host does. Blocks: it reads files.
    pub(super) fn find(dir: &Path, lives: impl Fn(i64) -> bool) -> Result<Option<Self>, StateError> {
        let folder = folder(dir);
        let io = |error: std::io::Error| StateError::io(&folder, &error);
        let turn = match crate::files::turn(&folder) {
            Ok(turn) => turn,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut left = Self { hosts: BTreeMap::new(), files: Vec::new(), _turn: turn };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let host = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(host) = host.filter(|host| !lives(*host)) else { continue };
            let mut text = Vec::new();
            // Never more than one of ours is long: what is longer was put there by somebody else.
            let mut file = private_file(&entry.path())?.take(2 * LONGEST);
            file.read_to_end(&mut text).map_err(|error| StateError::io(&entry.path(), &error))?;
            left.hosts.insert(host, lines(&text));
            left.files.push(entry.path());
        }
        Ok(if left.files.is_empty() { None } else { Some(left) })
    }

    /// The lines that their hosts had not committed, and from now on they need not be taken up again. To be followed by
    /// [`remove`](Self::remove) when that is committed.
    pub(crate) fn take(&self, tx: &Transaction<'_>) -> rusqlite::Result<Vec<&[u8]>> {
        let mut all = Vec::new();
        for (host, lines) in &self.hosts {
            let committed = "SELECT number FROM ahead WHERE host = ?1";
            let committed: Option<i64> = tx.query_row(committed, [host], |row| row.get(0)).optional()?;
            let committed = committed.map_or(0, uint);
            all.extend(lines.iter().filter(|(number, _)| *number > committed).map(|(_, line)| &line[..]));
            if let Some((last, _)) = lines.last() {
                let number = int(committed.max(*last));
                tx.execute("INSERT OR REPLACE INTO ahead VALUES (?1, ?2)", [*host, number])?;
            }
        }
        Ok(all)
    }

    /// They are committed.
    pub(crate) fn remove(&self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Forgets how far hosts came of which no log is there. Those that live have one, or nothing in the table.
fn forget(db: &Connection, folder: &Path) -> rusqlite::Result<()> {
    // A log that a power cut brought back after its number was forgotten would be taken up as a whole.
    if crate::files::sync_dir(folder).is_err() {
        return Ok(());
    }
    let hosts =
        db.prepare("SELECT host FROM ahead")?.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for host in hosts.into_iter().filter(|host| !folder.join(host.to_string()).exists()) {
        db.execute("DELETE FROM ahead WHERE host = ?1", [host])?;
    }
    Ok(())
}

/// The last one may have been broken off by a power cut, and what follows a broken one is not believed.
fn lines(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let line = |line: &[u8]| {
        let line = line.strip_suffix(b"\n")?;
        let gap = line.iter().position(|byte| *byte == b' ')?;
        let number = std::str::from_utf8(&line[..gap]).ok()?.parse().ok()?;
        Some((number, line[gap + 1..].to_vec()))
    };
    text.split_inclusive(|byte| *byte == b'\n').map_while(line).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{hold, killed, open, temporary};
    use super::super::{Durability, State};
    use super::*;

    fn note(state: &State, key: &'static str) -> bool {
        state.post_ahead(key.as_bytes(), move |tx| put(tx, key)).is_ok()
    }

    fn put(tx: &Transaction<'_>, key: &str) -> rusqlite::Result<()> {
        tx.execute("INSERT INTO kv VALUES ('s', ?1, x'', 1)", [key]).map(drop)
    }

    async fn keys(state: &State) -> Vec<String> {
        let read = state.read(|db| {
            db.prepare("SELECT key FROM kv ORDER BY key")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()
        });
        read.await.unwrap()
    }

    /// Does with what is left what it stands for.
    async fn take_up(state: &State) -> usize {
        let Some(left) = state.left_behind().unwrap() else { return 0 };
        let left = std::sync::Arc::new(left);
        let lines = std::sync::Arc::clone(&left);
        let taken = state.write_large(move |tx| {
            let lines = lines.take(tx)?;
            lines.iter().try_for_each(|line| put(tx, std::str::from_utf8(line).unwrap()))?;
            Ok(lines.len())
        });
        let taken = taken.await.unwrap();
        left.remove();
        taken
    }

    fn logs(dir: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(folder(dir)).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    #[tokio::test]
    async fn what_a_killed_host_had_no_time_to_commit_is_taken_up_once() {
        let (_dir, state) = temporary();
        assert!(note(&state, "a"));
        state.flush().await.unwrap();
        let go = hold(&state);
        assert!(note(&state, "b") && note(&state, "c"));
        assert_eq!(keys(&state).await, ["a"], "they are not committed yet");
        let dead = killed(&state);
        drop(go);
        state.flush().await.unwrap();
        assert_eq!(keys(&state).await, ["a", "b", "c"]);

        let next = open(dead.path());
        assert_eq!(take_up(&next).await, 2);
        assert_eq!(keys(&next).await, ["a", "b", "c"]);
        assert!(logs(dead.path()).is_empty());
        assert_eq!(take_up(&next).await, 0);
    }

    #[tokio::test]
    async fn one_that_is_killed_while_it_takes_up_leaves_nothing_twice() {
        let (_dir, state) = temporary();
        let go = hold(&state);
        assert!(note(&state, "a"));
        let dead = killed(&state);
        drop(go);
        let next = open(dead.path());
        let left = std::sync::Arc::new(next.left_behind().unwrap().unwrap());
        let lines = std::sync::Arc::clone(&left);
        next.write_large(move |tx| {
            lines.take(tx)?.iter().try_for_each(|line| put(tx, std::str::from_utf8(line).unwrap()))
        })
        .await
        .unwrap();
        // Killed before it removed the log.
        drop(left);
        assert_eq!(logs(dead.path()).len(), 1);
        assert_eq!(take_up(&next).await, 0);
        assert_eq!(keys(&next).await, ["a"]);
        assert!(logs(dead.path()).is_empty());
    }

    #[tokio::test]
    async fn the_log_of_one_that_lives_is_left_alone() {
        let (dir, state) = temporary();
        let go = hold(&state);
        assert!(note(&state, "a"));
        assert!(state.left_behind().unwrap().is_none(), "its own");
        let other = State::open(dir.path(), Durability::Normal, Duration::from_secs(60)).unwrap();
        assert!(other.left_behind().unwrap().is_none(), "another one's");
        drop(go);
        state.flush().await.unwrap();
        drop(state);
        assert_eq!(keys(&other).await, ["a"]);
        assert!(logs(dir.path()).is_empty(), "a host that ends leaves none");
    }

    #[tokio::test]
    async fn hosts_that_have_ended_are_not_remembered_for_ever() {
        let (dir, state) = temporary();
        async fn rows(state: &State) -> i64 {
            let rows = state.read(|db| db.query_row("SELECT count(*) FROM ahead", [], |row| row.get(0)));
            rows.await.unwrap()
        }
        let fill = "INSERT INTO ahead WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < ?1) SELECT i, 1 FROM n";
        state.write(|tx| tx.execute(fill, [KNOWN - 2])).await.unwrap();
        let other = State::open(dir.path(), Durability::Normal, Duration::from_secs(60)).unwrap();
        assert!(note(&other, "a"));
        drop(other);
        assert_eq!(rows(&state).await, KNOWN - 1, "few are worth no work");
        let other = State::open(dir.path(), Durability::Normal, Duration::from_secs(60)).unwrap();
        assert!(note(&other, "b") && note(&state, "c"));
        state.flush().await.unwrap();
        drop(other);
        assert_eq!(rows(&state).await, 1, "its own: it still lives");
    }

    #[tokio::test]
    async fn what_was_broken_off_is_not_believed() {
        let (_dir, state) = temporary();
        let go = hold(&state);
        assert!(note(&state, "a"));
        let dead = killed(&state);
        drop(go);
        let log = logs(dead.path()).remove(0);
        for (end, taken) in
            [("2 b", 1), ("2 b\nx\n3 c\n", 2), ("\0\0\0", 1), ("\n", 1), ("99999999999999999999 b\n", 1)]
        {
            let copy = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder(copy.path())).unwrap();
            std::fs::copy(dead.path().join("state.db"), copy.path().join("state.db")).unwrap();
            let whole = [&std::fs::read(&log).unwrap(), end.as_bytes()].concat();
            std::fs::write(folder(copy.path()).join(log.file_name().unwrap()), whole).unwrap();
            assert_eq!(take_up(&open(copy.path())).await, taken, "{end:?}");
        }
    }

    #[tokio::test]
    async fn a_log_is_begun_anew_when_all_of_it_is_committed_and_never_grows_for_ever() {
        let (dir, state) = temporary();
        let length = || std::fs::metadata(&logs(dir.path())[0]).unwrap().len();
        let line = vec![b'x'; 1_000];
        let note = || state.post_ahead(&line, |_| Ok(())).is_ok();
        let go = hold(&state);
        let mut noted = 0;
        while note() {
            noted += 1;
        }
        assert!((900 * LONGEST / 1_000_000..=LONGEST / 1_000).contains(&noted), "{noted}");
        assert!((LONGEST - 2_000..LONGEST + 2_000).contains(&length()));
        drop(go);
        state.flush().await.unwrap();
        assert_eq!(length(), 0);
        assert!(note());
        assert!(length() > 1_000);
        state.flush().await.unwrap();
        assert!(length() > 1_000, "a short one is not worth the work");
    }

    #[tokio::test]
    async fn where_a_power_cut_must_not_take_it_a_line_is_no_way() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path(), Durability::Full, Duration::ZERO).unwrap();
        assert!(!note(&state, "a"));
        assert!(keys(&state).await.is_empty() && logs(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_written_is_none() {
        let (dir, state) = temporary();
        std::fs::write(folder(dir.path()), "not a folder").unwrap();
        assert!(!note(&state, "a"));
        std::fs::remove_file(folder(dir.path())).unwrap();
        assert!(note(&state, "a"));
        state.flush().await.unwrap();
        assert_eq!(keys(&state).await, ["a"]);
    }
}
