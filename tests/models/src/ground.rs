//! What a run stands on: a state of its own, and the made-up time.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::Connection;
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::thread;
use tempfile::TempDir;
use tokio::clock::Clock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::journal::audit::Audit;
use crate::run;
use crate::state::{Durability, State};

static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();

/// Makes the state that each run begins with a copy of: its schema and its keys, and a table of the checks' own.
pub(crate) fn prepare() -> TempDir {
    let dir = temporary();
    let at = dir.path().to_owned();
    run::once(move || {
        let clock = Clock::start();
        let state = State::open(&at, Durability::Normal, Duration::ZERO).expect("a state can be made");
        drop(Audit::open(state, &at).expect("an audit can be made"));
        clock.stop();
    });
    let db = Connection::open(dir.path().join("state.db")).expect("it was made");
    // What no check touches only costs time: each connection of each run reads the whole schema.
    for unused in ["grants", "skills", "kv", "kv_totals", "secrets", "answers", "denials"] {
        db.execute_batch(&format!("DROP TABLE {unused}")).expect("it is in the schema");
    }
    db.execute_batch("CREATE TABLE marks (seq INTEGER PRIMARY KEY, who TEXT NOT NULL, n INTEGER NOT NULL); VACUUM")
        .expect("it can be written");
    TEMPLATE.get_or_init(|| dir.path().to_owned());
    dir
}

/// In memory where the system has a place for that: a run opens and closes a file, which is no matter for a disk.
fn temporary() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("ringfence-models-");
    let made = if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() };
    made.expect("there is room for a temporary directory")
}

/// A state, and the time. The task that makes it is on the runtime for input and output until it closes it.
pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    pub(crate) state: State,
    pub(crate) io: Handle,
    clock: Clock,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let clock = Clock::start();
        let dir = temporary();
        let template = TEMPLATE.get().expect("it was prepared");
        for name in ["state.db", "audit.key"] {
            std::fs::copy(template.join(name), dir.path().join(name)).expect("it can be copied");
        }
        let state = State::open(dir.path(), Durability::Normal, Duration::ZERO).expect("it was made before");
        Self { dir, state, io: Handle::of(1), clock }
    }

    /// Lets go of the state, and gives what lies on the disk when everybody else has: tasks that were aborted may not have ended.
    pub(crate) fn close(self) -> Closed {
        let path = self.state.path().to_owned();
        // SQLite removes it when the last connection closes.
        let log = path.with_extension("db-wal");
        drop(self.state);
        let mut turns = 0;
        while log.exists() {
            turns += 1;
            assert!(turns < 10_000, "somebody keeps the state open");
            thread::yield_now();
        }
        self.clock.stop();
        Closed { db: Connection::open(path).expect("it is there"), _dir: self.dir }
    }
}

/// The file of a state that was closed.
pub(crate) struct Closed {
    db: Connection,
    _dir: TempDir,
}

impl std::ops::Deref for Closed {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

/// Runs `act`, or lets go of it as soon as `token` is cancelled, wherever it is.
pub(crate) async fn unless<T>(token: &CancellationToken, act: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = token.cancelled() => None,
        done = act => Some(done),
    }
}

/// One of these, by the scheduler's choice.
pub(crate) fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[thread_rng().gen_range(0..choices.len())]
}

/// A point at which anybody else may go on.
pub(crate) fn turn() {
    shuttle::sync::atomic::AtomicBool::new(false).load(std::sync::atomic::Ordering::SeqCst);
}

/// The number that a query gives.
pub(crate) fn number(db: &Connection, sql: &str) -> u64 {
    let number: i64 = db.query_row(sql, [], |row| row.get(0)).expect("the query is right");
    u64::try_from(number).expect("nothing is negative")
}
