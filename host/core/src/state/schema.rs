//! Opening the file: settings, the check after a crash, and migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Durability, StateError, dir};

/// One text per version of the schema. Never change one that was released: add another.
const MIGRATIONS: &[&str] = &[
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
    include_str!("7.sql"),
    include_str!("8.sql"),
    include_str!("9.sql"),
    include_str!("10.sql"),
    include_str!("11.sql"),
];

/// Written into the file's header, so that another program's database is not taken for ours. "RFst".
const APPLICATION_ID: i64 = 0x5246_7374;

/// Opens the file for writing where others have it open. None where that cannot be, since its schema is another one.
pub(super) fn join(path: &Path, durability: Durability) -> Result<Option<Connection>, StateError> {
    if !is_current(path)? {
        return Ok(None);
    }
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let set = db.and_then(|db| db.pragma_update(None, "synchronous", durability.pragma()).map(|()| Some(db)));
    set.map_err(|error| StateError::sqlite(path, &error))
}

/// Opens the file for writing, and brings its schema up to date. For a host that is alone with it.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, StateError> {
    let sqlite = |error: rusqlite::Error| StateError::sqlite(path, &error);
    let wal = path.with_extension("db-wal");
    // SQLite removes the log when it closes a file cleanly.
    let crashed = std::fs::metadata(&wal).is_ok_and(|meta| meta.len() > 0);
    let empty = dir::private_file(path)?.metadata().map_err(|error| StateError::io(path, &error))?.len() == 0;
    if crashed && empty {
        let reason = "it is empty, and its write-ahead log is not".into();
        return Err(StateError::Corrupt { path: path.to_owned(), reason });
    }
    let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    // Without a log readers and writers would refuse each other. The answer comes before the change is made, which fails after it.
    let mut mode = String::new();
    let answer = |row: &rusqlite::Row<'_>| {
        mode = row.get(0)?;
        Ok(())
    };
    db.pragma(None, "journal_mode", "wal", answer).map_err(sqlite)?;
    if mode != "wal" {
        let reason = "no write-ahead log can be kept beside it".into();
        return Err(StateError::Unwritable { path: path.to_owned(), reason });
    }
    db.pragma_update(None, "synchronous", durability.pragma()).map_err(sqlite)?;
    if crashed {
        check(path, &db)?;
    }
    migrate(path, &mut db, empty)?;
    Ok(db)
}

/// Tables in memory, for what tries queries without the threads around them.
#[cfg(debug_assertions)]
pub(crate) fn in_memory() -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    db.set_prepared_statement_cache_capacity(64);
    MIGRATIONS.iter().try_for_each(|sql| db.execute_batch(sql))?;
    Ok(db)
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StateError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| StateError::sqlite(path, &error))
}

/// Opens the file for one look. Where no log is beside it nobody has it open, and it can be read as it lies there, without the
/// files that SQLite otherwise makes for readers and that a reader may not remove. See <https://www.sqlite.org/wal.html#read_only_databases>.
pub(super) fn open_peeking(path: &Path) -> Result<Connection, StateError> {
    if path.with_extension("db-wal").exists() {
        return open_reader(path);
    }
    let mut uri = url::Url::from_file_path(path)
        .map_err(|()| StateError::Unsafe { path: path.to_owned(), reason: "its path is not absolute".into() })?;
    uri.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri.as_str(), flags).map_err(|error| StateError::sqlite(path, &error))
}

/// Whether the file has the schema of this version, so that it can be read as it is.
pub(super) fn is_current(path: &Path) -> Result<bool, StateError> {
    let sqlite = |error: rusqlite::Error| StateError::sqlite(path, &error);
    let db = open_reader(path)?;
    let header = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    let (application, found) = (header("application_id")?, header("user_version")?);
    Ok(application == APPLICATION_ID && usize::try_from(found) == Ok(MIGRATIONS.len()))
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

fn check(path: &Path, db: &Connection) -> Result<(), StateError> {
    let found: String = db
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| StateError::sqlite(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StateError::Corrupt { path: path.to_owned(), reason: found })
}

fn migrate(path: &Path, db: &mut Connection, empty: bool) -> Result<(), StateError> {
    let sqlite = |error: rusqlite::Error| StateError::sqlite(path, &error);
    let header = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    let (application, found) = (header("application_id")?, header("user_version")?);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // A file that was made and not filled, by a host that was killed in between, has neither number and no tables.
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let ours = application == APPLICATION_ID || empty || (application == 0 && found == 0 && tables == 0);
    if !ours {
        return Err(StateError::Corrupt { path: path.to_owned(), reason: "another program wrote it".into() });
    }
    if found > known {
        return Err(StateError::Newer { path: path.to_owned(), found, known });
    }
    if found == known {
        return Ok(());
    }
    let tx = db.transaction().map_err(sqlite)?;
    for text in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        tx.execute_batch(text).map_err(sqlite)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
    tx.pragma_update(None, "user_version", known).map_err(sqlite)?;
    tx.commit().map_err(sqlite)
}
