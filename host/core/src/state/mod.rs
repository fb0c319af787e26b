//! The host's state: one SQLite file in a private directory.
//!
//! Several hosts may have it open, each in a process of its own: SQLite orders their writes, and each sees what the others committed.
//! In a host one connection writes. What is queued goes into one transaction (group commit), and what fails in it fails alone.
//! [`State::write`] waits for the commit, and makes it itself where a commit needs no sync; [`State::post`] waits for nothing,
//! and costs no more than a lock and a push while the thread that writes is awake. `State::post_ahead` likewise, behind a line in a
//! log that a killed process leaves to the next. A second small set of threads reads.

mod ahead;
mod desk;
mod dir;
mod error;
mod job;
mod reader;
mod residence;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use ahead::Ahead;
pub(crate) use ahead::LeftBehind;
pub use error::StateError;
use reader::Readers;
pub use residence::Alone;
use residence::Residence;
pub(crate) use writer::hand_over;
use writer::{Posts, Writer};

/// What a write that was acknowledged survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// A killed process. A power cut may take back the last writes, and damages nothing.
    #[default]
    Normal,
    /// A power cut as well, at the price of a sync to the disk for each group of writes.
    Full,
}

impl Durability {
    /// See <https://www.sqlite.org/pragma.html#pragma_synchronous>.
    fn pragma(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

/// Its name in the state directory.
const FILE: &str = "state.db";

/// The open state file. Cheap to clone; the last one that is dropped writes what is left and closes the file.
#[derive(Clone, Debug)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // The order of dropping matters: the readers close before the writer, so that the writer, as the last connection,
    // removes the log; and the lock is given back when nothing is open any more.
    readers: Readers,
    /// None where the file was opened for reading only.
    writer: Option<Writer>,
    path: Arc<Path>,
    residence: Option<Residence>,
}

impl State {
    /// Opens the state in `dir`, and makes it if it is not there, beside others that have it open. Waits for at most `wait` while another
    /// process is about to open it, or has to be alone with it.
    /// Blocks: it reads files.
    pub fn open(dir: &Path, durability: Durability, wait: Duration) -> Result<Self, StateError> {
        let dir = dir::prepare(dir)?;
        let mut residence = Residence::enter(&dir, wait)?;
        let path = dir.join(FILE);
        let db = match residence.is_alone() {
            true => schema::open(&path, durability)?,
            false => schema::join(&path, durability)?.ok_or_else(|| residence.in_use())?,
        };
        let writer = Writer::start(db, durability, path.clone(), Ahead::new(&dir, residence.id()))?;
        let readers = Readers::start(&path)?;
        residence.settle()?;
        Ok(Self(Arc::new(Inner { readers, writer: Some(writer), path: path.into(), residence: Some(residence) })))
    }

    /// The number of this host among those that have the state open. 0 where it was opened for reading only.
    pub fn host(&self) -> i64 {
        self.0.residence.as_ref().map_or(0, Residence::id)
    }

    /// Whether the host of this number still has the state open.
    pub fn lives(&self, host: i64) -> bool {
        let dir = self.0.path.parent().unwrap_or(&self.0.path);
        host == self.host() || residence::lives(dir, host)
    }

    /// The process of a host that has the state open, where it could write that down.
    pub fn process(&self, host: i64) -> Option<u32> {
        let dir = self.0.path.parent().unwrap_or(&self.0.path);
        residence::process(dir, host)
    }

    /// The turn of this host among those that have the state open, until the answer is dropped: for what is made once, and does not stand in
    /// the file.
    pub async fn turn(&self) -> Result<std::fs::File, StateError> {
        self.turn_at(self.0.path.parent().unwrap_or(&self.0.path).to_path_buf()).await
    }

    /// As [`Self::turn`], among those that want it for the same thing: it may be held while something is fetched.
    pub async fn turn_in(&self, folder: &str) -> Result<std::fs::File, StateError> {
        self.turn_at(self.0.path.parent().unwrap_or(&self.0.path).join(folder)).await
    }

    async fn turn_at(&self, dir: PathBuf) -> Result<std::fs::File, StateError> {
        let turn = tokio::task::spawn_blocking({
            let dir = dir.clone();
            move || {
                crate::files::make_private_dir(&dir)?;
                crate::files::turn(&dir)
            }
        });
        match turn.await {
            Ok(turn) => turn.map_err(|error| StateError::io(&dir, &error)),
            Err(_) => Err(StateError::Closed { path: dir }),
        }
    }

    /// Keeps every other host out until the answer is dropped; refused where there is one. For what nobody may see half-done that
    /// does not stand in the file. Blocks for a moment.
    pub fn alone(&self) -> Result<Alone<'_>, StateError> {
        match &self.0.residence {
            Some(residence) => residence.alone(),
            None => Err(StateError::Unwritable {
                path: self.0.path.to_path_buf(),
                reason: "it was opened for reading only".into(),
            }),
        }
    }

    /// Opens what is there for reading only, also while another process writes. None where that cannot be: where nothing is
    /// there yet, or where an older version wrote it. Blocks: it reads files.
    pub fn open_to_read(dir: &Path) -> Result<Option<Self>, StateError> {
        if !dir.join(FILE).is_file() {
            return Ok(None);
        }
        let path = dir::prepare(dir)?.join(FILE);
        if !schema::is_current(&path)? {
            return Ok(None);
        }
        let readers = Readers::start(&path)?;
        Ok(Some(Self(Arc::new(Inner { readers, writer: None, path: path.into(), residence: None }))))
    }

    /// Reads what is in `dir` now, beside a host that may hold it: takes no lock, waits for nobody, and makes nothing. For looks
    /// that may fail, like a shell's completions.
    pub fn peek<T>(dir: &Path, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let path = dir.join("state.db");
        let db = schema::open_peeking(&path)?;
        act(&db).map_err(|error| StateError::sqlite(&path, &error))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Runs `act` in a transaction, and returns when it is committed. Where `act` fails, what it did is undone and nothing
    /// else. It is queued or committed before this function returns its future, so the order of calls is the order of effects;
    /// dropping the future does not take it back. `act` may run more than once; each time what it did before has been undone.
    ///
    /// It may run on the caller's thread, for some hundred microseconds with what was posted before it. What writes more than
    /// some pages is for [`write_large`](Self::write_large).
    pub fn write<T, F>(&self, act: F) -> impl Future<Output = Result<T, StateError>> + Send + 'static
    where
        T: Send + 'static,
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.written(|writer| writer.write(act, Posts::Before))
    }

    /// As [`write`](Self::write), without waiting for posts: those that were queued before it may be committed after it. For
    /// small changes in the middle of something fast, which have nothing to do with what was posted.
    pub fn write_first<T, F>(&self, act: F) -> impl Future<Output = Result<T, StateError>> + Send + 'static
    where
        T: Send + 'static,
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.written(|writer| writer.write(act, Posts::Whenever))
    }

    /// As [`write`](Self::write), for what takes long. It never runs on the caller's thread.
    pub fn write_large<T, F>(&self, act: F) -> impl Future<Output = Result<T, StateError>> + Send + 'static
    where
        T: Send + 'static,
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.written(|writer| writer.write_large(act))
    }

    fn written<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Writer) -> oneshot::Receiver<Result<T, StateError>>,
    ) -> impl Future<Output = Result<T, StateError>> + Send + 'static {
        let reply = self.0.writer.as_ref().map(write);
        let path = Arc::clone(&self.0.path);
        async move {
            let path = || path.to_path_buf();
            match reply {
                Some(reply) => reply.await.unwrap_or_else(|_| Err(StateError::Closed { path: path() })),
                None => Err(StateError::Unwritable { path: path(), reason: "it was opened for reading only".into() }),
            }
        }
    }

    /// Queues `act` and waits for nothing: it is committed with the next write, or about 20 ms later. While the disk is full
    /// it is kept and tried again, which is why it may run more than once; each time what it did before has been undone.
    pub fn post<F>(&self, act: F)
    where
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        match &self.0.writer {
            Some(writer) => writer.post(act),
            None => tracing::error!("a record was lost: the state was opened for reading only"),
        }
    }

    /// As [`post`](Self::post), and once this returns it is on record: as `line`, without a line break, until it is committed. Of a host that
    /// is killed before that the next one finds the line ([`left_behind`](Self::left_behind)).
    ///
    /// Gives `act` back, and has done nothing, where that is no way: where a power cut must not take it either, posts do not get through, or
    /// the line cannot be written. Then [`write_first`](Self::write_first) is.
    pub(crate) fn post_ahead<F>(&self, line: &[u8], act: F) -> Result<(), F>
    where
        F: FnMut(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        match &self.0.writer {
            Some(writer) => writer.post_ahead(line, act),
            None => Err(act),
        }
    }

    /// What hosts that were killed had on record by a line alone, where there is anything. Blocks: it reads files.
    pub(crate) fn left_behind(&self) -> Result<Option<LeftBehind>, StateError> {
        match self.0.writer {
            Some(_) => LeftBehind::find(self.0.path.parent().unwrap_or(&self.0.path), |host| self.lives(host)),
            None => Ok(None),
        }
    }

    /// Runs `act` on a connection that only reads. It sees every write that was acknowledged.
    pub async fn read<T, F>(&self, act: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let reply = self.0.readers.read(act);
        reply.await.unwrap_or_else(|_| Err(StateError::Closed { path: self.0.path.to_path_buf() }))
    }

    /// Returns when everything that was acknowledged so far survives a power cut as well.
    pub async fn sync(&self) -> Result<(), StateError> {
        if self.0.writer.as_ref().is_some_and(Writer::is_behind) {
            self.flush().await?;
        }
        let mut log = self.0.path.to_path_buf().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        let synced = tokio::task::spawn_blocking({
            let log = log.clone();
            move || match std::fs::File::open(&log) {
                Ok(file) => file.sync_data(),
                // What was in it is in the file, and synced.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        });
        match synced.await {
            Ok(synced) => synced.map_err(|error| StateError::io(&log, &error)),
            Err(_) => Err(StateError::Closed { path: log }),
        }
    }

    /// Returns when everything that was posted before is committed, or says why it cannot be.
    pub async fn flush(&self) -> Result<(), StateError> {
        let Some(writer) = &self.0.writer else { return Ok(()) };
        writer.flush().await.unwrap_or_else(|_| Err(StateError::Closed { path: self.0.path.to_path_buf() }))
    }
}

/// SQLite's integers are signed: what is larger than they can hold is held as the largest.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way: a negative number, which we never write, is 0.
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(debug_assertions)]
pub(crate) use schema::in_memory;

/// State for tests of other modules.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::{Durability, State};

    /// State in a directory that goes with the first of the two.
    pub(crate) fn temporary() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        (dir, state)
    }

    pub(crate) fn open(dir: &std::path::Path) -> State {
        State::open(dir, Durability::Normal, Duration::ZERO).unwrap()
    }

    /// Nothing is committed until the sender is dropped.
    pub(crate) fn hold(state: &State) -> Sender<()> {
        let ((go, wait), (sender, begun)) = (channel::<()>(), channel());
        drop(state.write_large(move |_| {
            sender.send(()).ok();
            wait.recv().ok();
            Ok(())
        }));
        begun.recv().unwrap();
        go
    }

    /// What a killed process leaves behind: a copy of the files as they are on disk now.
    pub(crate) fn killed(state: &State) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["state.db", "state.db-wal"] {
            let from = state.path().with_file_name(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let ahead = state.path().with_file_name("ahead");
        std::fs::create_dir(copy.path().join("ahead")).unwrap();
        for log in std::fs::read_dir(ahead).into_iter().flatten().map(Result::unwrap) {
            std::fs::copy(log.path(), copy.path().join("ahead").join(log.file_name())).unwrap();
        }
        copy
    }
}
