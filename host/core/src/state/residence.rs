//! Who lives in a state directory: any number of hosts at once, each with a mark that says whether it still lives.
//!
//! The directory itself is locked for the moment in which a host comes in, so that two do not make or upgrade the same file; `lock` is held by
//! all that live there together, or by one that has to be alone; `hosts/NUMBER` is held by one host as long as it lives. The operating
//! system takes all of them back when a process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::StateError;
use super::dir::private_file;

/// A host's place in a state directory.
#[derive(Debug)]
pub(super) struct Residence {
    dir: PathBuf,
    id: i64,
    own: PathBuf,
    lock: File,
    _mark: File,
    /// None once others may come in.
    opening: Option<File>,
    alone: bool,
}

impl Residence {
    /// Comes in. Others wait until [`settle`](Self::settle). Tries for at most `wait`.
    pub(super) fn enter(dir: &Path, wait: Duration) -> Result<Self, StateError> {
        let until = Instant::now() + wait;
        let opening = File::open(dir).map_err(|error| StateError::io(dir, &error))?;
        until_locked(dir, until, || opening.try_lock())?;
        let lock = private_file(&dir.join("lock"))?;
        let mut alone = true;
        until_locked(dir, until, || match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                alone = false;
                lock.try_lock_shared()
            }
            locked => locked,
        })?;
        let hosts = hosts(dir);
        crate::files::make_private_dir(&hosts).map_err(|error| StateError::io(&hosts, &error))?;
        sweep(&hosts);
        // The lower bits of such a number are random.
        let id = (uuid::Uuid::now_v7().as_u64_pair().1 >> 2).cast_signed();
        let own = hosts.join(id.to_string());
        let mut mark = private_file(&own)?;
        mark.try_lock().map_err(|_| StateError::InUse { path: dir.to_owned(), pid: None })?;
        // Only words for people: a disk that is full must not keep a host from reading its state.
        let _ = write!(mark, "{}", std::process::id());
        Ok(Self { dir: dir.to_owned(), id, own, lock, _mark: mark, opening: Some(opening), alone })
    }

    /// Whether nobody else lived here when this host came in.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Lets others in.
    pub(super) fn settle(&mut self) -> Result<(), StateError> {
        if self.alone {
            self.lock.lock_shared().map_err(|error| StateError::io(&self.dir, &error))?;
        }
        self.opening = None;
        Ok(())
    }

    /// Keeps others out, if there are none, until the answer is dropped.
    pub(super) fn alone(&self) -> Result<Alone<'_>, StateError> {
        let opening = crate::files::turn(&self.dir).map_err(|error| StateError::io(&self.dir, &error))?;
        match self.lock.try_lock() {
            Ok(()) => Ok(Alone { lock: &self.lock, _opening: opening }),
            Err(_) => {
                // What it held may be gone: an attempt is not undone.
                self.lock.lock_shared().map_err(|error| StateError::io(&self.dir, &error))?;
                Err(StateError::InUse { path: self.dir.clone(), pid: another(&self.dir, self.id) })
            }
        }
    }

    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// Somebody who keeps this host from being alone.
    pub(super) fn in_use(&self) -> StateError {
        StateError::InUse { path: self.dir.clone(), pid: another(&self.dir, self.id) }
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
    }
}

/// That nobody else lives here, and nobody comes in.
#[derive(Debug)]
pub struct Alone<'a> {
    lock: &'a File,
    _opening: File,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.lock.lock_shared() {
            tracing::error!(%error, "the state directory is no longer marked as in use");
        }
    }
}

fn hosts(dir: &Path) -> PathBuf {
    dir.join("hosts")
}

/// Whether a host lives in a directory. One that is about to come in has no number that anybody knows.
pub(super) fn lives(dir: &Path, id: i64) -> bool {
    File::open(hosts(dir).join(id.to_string())).is_ok_and(|mark| is_held(&mark))
}

fn is_held(mark: &File) -> bool {
    matches!(mark.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Removes the marks of those that were killed.
fn sweep(hosts: &Path) {
    for mark in std::fs::read_dir(hosts).into_iter().flatten().flatten() {
        let path = mark.path();
        if File::open(&path).is_ok_and(|mark| !is_held(&mark)) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// The process of a host that lives here beside `id`.
fn another(dir: &Path, id: i64) -> Option<u32> {
    let marks = std::fs::read_dir(hosts(dir)).ok()?.flatten();
    marks
        .filter(|mark| mark.file_name().to_str() != Some(&id.to_string()))
        .find_map(|mark| process_of(File::open(mark.path()).ok()?))
}

/// The process of a host that lives in a directory.
pub(super) fn process(dir: &Path, id: i64) -> Option<u32> {
    process_of(File::open(hosts(dir).join(id.to_string())).ok()?)
}

/// What a mark says. None where nobody holds it.
fn process_of(mark: File) -> Option<u32> {
    if !is_held(&mark) {
        return None;
    }
    let mut text = String::new();
    mark.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn until_locked(
    dir: &Path,
    until: Instant,
    mut lock: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), StateError> {
    loop {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10).min(until - Instant::now()));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse { path: dir.to_owned(), pid: another(dir, 0) });
            }
            Err(TryLockError::Error(error)) => return Err(StateError::io(dir, &error)),
        }
    }
}
