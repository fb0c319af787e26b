//! A state file that is damaged: what can still be read of it goes into a new one that takes its place. The damaged one stays beside it,
//! under another name and as it was.
//!
//! Nothing gets more by it than it had. What was spent and cannot be read counts as all that may be spent today; grants that cannot be
//! read are gone; the chain of the audit goes on behind its last place that is known, with a record of the repair.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params, params_from_iter};
use serde::Serialize;

use crate::journal::audit::Resumed;
use crate::state::{Durability, State, StateError};

/// What was kept, and what was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repaired {
    /// What was wrong.
    pub damage: String,
    /// The damaged file under its new name, and its write-ahead log where it had one.
    pub set_aside: Vec<PathBuf>,
    pub tables: Vec<Table>,
    /// What was spent today is not known in whole, so that all of it counts as spent.
    pub spent: bool,
}

/// What became of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Table {
    pub name: String,
    /// Rows that were taken over.
    pub kept: u64,
    /// Rows that could be read and not be taken over.
    pub dropped: u64,
    /// Why an unknown number more could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl Table {
    fn is_whole(&self) -> bool {
        self.dropped == 0 && self.unreadable.is_none()
    }
}

/// Tables that are not copied: two are the chain's, which is taken over as a whole, and two mean nothing in another file.
const APART: [&str; 4] = ["audit", "audit_marks", "changes", "standings"];
/// What is spent and set aside.
const MONEY: [&str; 2] = ["spend", "reservations"];

/// What the folder's name begins with in which a repair works, beside the state.
const WORK: &str = ".repair-";

/// Repairs the state in `dir`. None where nothing is wrong with it, and then nothing was changed. Refused while a host lives there. Blocks:
/// it copies the whole file.
pub(crate) fn repair(dir: &Path) -> Result<Option<Repaired>, StateError> {
    let io = |error: std::io::Error| StateError::io(dir, &error);
    let path = dir.join("state.db");
    if !path.is_file() {
        return Ok(None);
    }
    let dir = &dir.canonicalize().map_err(io)?;
    let _alone = alone(dir)?;
    clear(dir).map_err(io)?;
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(dir).map_err(io)?;
    // A copy is read, with its log: to open the file itself would change it.
    let (copy, fresh) = (work.path().join("damaged.db"), work.path().join("state"));
    let log = beside(&path, "-wal");
    std::fs::copy(&path, &copy).map_err(io)?;
    let logged = log.is_file() && std::fs::metadata(&log).map_err(io)?.len() > 0;
    if logged {
        std::fs::copy(&log, beside(&copy, "-wal")).map_err(io)?;
    }
    drop(State::open(&fresh, Durability::Full, Duration::ZERO)?);
    let fresh = fresh.join("state.db");
    let failed = |error: rusqlite::Error| StateError::Failed { path: path.clone(), reason: error.to_string() };
    let (old, mut new) = (Connection::open(&copy).map_err(failed)?, Connection::open(&fresh).map_err(failed)?);
    let empty = std::fs::metadata(&path).map_err(io)?.len() == 0;
    let damage = match (empty, logged) {
        (true, true) => Some("it is empty, and its write-ahead log is not".to_owned()),
        // It was made and not filled yet.
        (true, false) => None,
        (false, _) => damage(&path, &old, &new)?,
    };
    let Some(damage) = damage else { return Ok(None) };

    let tx = new.transaction().map_err(failed)?;
    let mut tables = copied(&old, &tx).map_err(failed)?;
    let unknown = |name: &str| tables.iter().any(|table| table.name == name && !table.is_whole());
    let spent = MONEY.into_iter().any(unknown);
    if spent {
        spend_all(&tx).map_err(failed)?;
    }
    count_values(&tx).map_err(failed)?;
    let chain = Resumed::take(&old, &tx, dir)?;
    tables.push(Table {
        name: "audit".into(),
        kept: chain.kept,
        dropped: chain.dropped,
        unreadable: chain.trouble.clone(),
    });
    let aside = aside(&path);
    let head = chain.close(&tx, &name(&aside), detail(&chain, &tables, spent)).map_err(failed)?;
    tx.commit().map_err(failed)?;
    new.close().map_err(|(_, error)| failed(error))?;
    drop(old);

    // First another name, then another file under the old one: whenever this is interrupted, no host finds an empty place and makes new state.
    let mut set_aside = vec![aside.clone()];
    std::fs::hard_link(&path, &aside).map_err(io)?;
    for end in ["-wal", "-shm"] {
        let (from, to) = (beside(&path, end), beside(&aside, end));
        if from.exists() {
            std::fs::rename(from, &to).map_err(io)?;
            set_aside.extend((end == "-wal").then_some(to));
        }
    }
    std::fs::rename(&fresh, &path).map_err(io)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    head.save(dir)?;
    Ok(Some(Repaired { damage, set_aside, tables, spent }))
}

/// Removes what repairs that were killed have left: each is a copy of the state. None is at work, since this one is alone.
fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Keeps every host out until the answer is dropped: none comes in without the first, none lives here without the second.
fn alone(dir: &Path) -> Result<(File, Option<File>), StateError> {
    let locked = |path: &Path| -> Result<File, StateError> {
        let file = File::open(path).map_err(|error| StateError::io(path, &error))?;
        file.try_lock().map_err(|_| StateError::InUse { path: dir.to_owned(), pid: None })?;
        Ok(file)
    };
    let opening = locked(dir)?;
    let lock = dir.join("lock");
    let lock = if lock.exists() { Some(locked(&lock)?) } else { None };
    Ok((opening, lock))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name that nothing has.
fn aside(path: &Path) -> PathBuf {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let numbered = (1..).map(|n: u32| if n == 1 { String::new() } else { format!("-{n}") });
    let mut names = numbered.map(|number| beside(path, &format!(".damaged-{time}{number}")));
    names.find(|name| !name.exists()).unwrap_or_else(|| path.to_owned())
}

/// What is wrong with the old file. A newer version's is not this one's to judge.
fn damage(path: &Path, old: &Connection, new: &Connection) -> Result<Option<String>, StateError> {
    let header = |db: &Connection, name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let looked = || -> rusqlite::Result<Option<String>> {
        let found: String = old.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            // Its first line only names the database.
            return Ok(Some(found.lines().last().unwrap_or_default().to_owned()));
        }
        let another = header(old, "application_id")? != header(new, "application_id")?;
        let tables: i64 = old.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((another && tables > 0).then(|| "another program wrote it".into()))
    };
    let (found, known) = (header(old, "user_version").unwrap_or(0), header(new, "user_version").unwrap_or(0));
    match looked() {
        Ok(None) if found > known => Err(StateError::Newer { path: path.to_owned(), found, known }),
        Ok(damage) => Ok(damage),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Copies what can be read of every table.
fn copied(old: &Connection, new: &Transaction<'_>) -> rusqlite::Result<Vec<Table>> {
    let names = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 ORDER BY name";
    let names: Vec<(String, bool)> =
        new.prepare(names)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    names
        .into_iter()
        .filter(|(name, _)| !APART.contains(&name.as_str()))
        .map(|(name, is_keyed)| {
            let mut table = Table { name, kept: 0, dropped: 0, unreadable: None };
            copy(old, new, is_keyed, &mut table)?;
            Ok(table)
        })
        .collect()
}

/// From its beginning; and where something in it cannot be read, from its end as well.
fn copy(old: &Connection, new: &Transaction<'_>, is_keyed: bool, table: &mut Table) -> rusqlite::Result<()> {
    let own = columns(new, &table.name)?;
    let theirs = match columns(old, &table.name) {
        Ok(theirs) if !theirs.is_empty() => theirs,
        other => {
            table.unreadable = Some(other.map_or_else(|error| error.to_string(), |_| "it is not there".into()));
            return Ok(());
        }
    };
    let both: Vec<&str> = own
        .iter()
        .map(|(column, _)| &**column)
        .filter(|name| theirs.iter().any(|(theirs, _)| theirs == name))
        .collect();
    // In the order in which the rows lie in the file, so that what is broken behind them is not looked at before.
    let mut key: Vec<&(String, i64)> = theirs.iter().filter(|(_, key)| *key > 0).collect();
    key.sort_by_key(|(_, at)| *at);
    let key = if is_keyed { key.iter().map(|(name, _)| name.as_str()).collect() } else { vec!["rowid"] };
    let list = both.join(", ");
    let places = vec!["?"; both.len()].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {} ({list}) VALUES ({places})", table.name);
    for direction in ["ASC", "DESC"] {
        let order: Vec<String> = key.iter().map(|column| format!("{column} {direction}")).collect();
        let select = format!("SELECT {list} FROM {} NOT INDEXED ORDER BY {}", table.name, order.join(", "));
        let ended = walk(old, &select, both.len(), |values| {
            let put = new.prepare_cached(&insert).and_then(|mut insert| insert.execute(params_from_iter(values)));
            match (put, direction) {
                (Ok(1..), _) => table.kept += 1,
                // Here begins what was read from the other end.
                (_, "DESC") => return false,
                _ => table.dropped += 1,
            }
            true
        });
        match ended {
            Ok(()) => break,
            Err(error) => table.unreadable = Some(error.to_string()),
        }
    }
    Ok(())
}

/// Names of columns, and their places in the primary key.
fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<(String, i64)>> {
    db.prepare("SELECT name, pk FROM pragma_table_info(?1)")?
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn walk(db: &Connection, sql: &str, columns: usize, mut each: impl FnMut(Vec<Value>) -> bool) -> rusqlite::Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?;
        if !each(values) {
            break;
        }
    }
    Ok(())
}

/// Counts all that may be spent today as spent: by the host, and by every skill of which anything is left.
fn spend_all(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let today = Timestamp::now().as_second().div_euclid(86_400);
    let most = i64::MAX;
    tx.execute(
        "INSERT OR REPLACE INTO spend (day, skill, host, input_tokens, output_tokens, micro_dollars, host_calls, wall_ms)
         SELECT ?1, skill, 0, ?2, ?2, ?2, ?2, ?2 FROM (SELECT '' AS skill UNION SELECT skill FROM spend
             UNION SELECT skill FROM reservations UNION SELECT skill FROM runs UNION SELECT identity FROM grants
             UNION SELECT name FROM skills UNION SELECT skill FROM kv)",
        params![today, most],
    )?;
    Ok(())
}

/// Quotas are of what is there; and a version that was given out is not given out again.
fn count_values(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch(
        "INSERT INTO kv_totals (skill, bytes, keys, version) SELECT skill, 0, 0, max(version) FROM kv GROUP BY skill
             ON CONFLICT (skill) DO UPDATE SET version = max(version, excluded.version);
         UPDATE kv_totals SET
             bytes = (SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM kv WHERE kv.skill = kv_totals.skill),
             keys = (SELECT count(*) FROM kv WHERE kv.skill = kv_totals.skill);",
    )
}

/// For the record: first what cannot be cut off.
fn detail(chain: &Resumed, tables: &[Table], spent: bool) -> String {
    let lost: Vec<String> = tables
        .iter()
        .filter(|table| !table.is_whole())
        .map(|table| format!("{} ({} kept)", table.name, table.kept))
        .collect();
    let spent = if spent { "; all that may be spent today counts as spent" } else { "" };
    let lost = if lost.is_empty() { "no table".into() } else { lost.join(", ") };
    format!("{}; not whole: {lost}{spent}", chain.old_end())
}
