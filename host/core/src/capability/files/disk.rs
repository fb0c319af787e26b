//! The disk as guests share it: folders that are opened, and work that waits.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::beneath;
use super::bindings::wasi::filesystem::types::ErrorCode;
use super::grant::{Folder, Grant, Mode};
use super::place::{Places, Standing};
use super::quota::{Most, Quota};
use crate::broker::AbortOnDrop;
use crate::error::Explain;
use crate::policy::GrantError;

/// Calls into the file system that may wait at once, in the whole host. A disk that hangs holds these threads and no more.
const AT_ONCE: usize = 64;

/// Files and folders that one invocation has open at once.
const OPEN: usize = 256;

/// What the whole host lets guests have open at once: half of what the system gives the process, within these.
const OPEN_OF_ALL: std::ops::RangeInclusive<u64> = 64..=16_384;

/// One for a host.
pub struct Disk {
    io: Handle,
    gate: Arc<Semaphore>,
    open: Arc<Semaphore>,
    /// What invocations without folders have, who open nothing.
    nothing: Arc<[Arc<Root>]>,
    none_open: Arc<Semaphore>,
    places: Places,
    /// Counts of folders that are open somewhere: calls beside each other share them.
    quotas: Mutex<HashMap<PathBuf, Weak<Quota>>>,
}

/// The folders of one invocation. Cheap to clone.
#[derive(Clone)]
pub struct Folders {
    pub(super) disk: Arc<Disk>,
    pub(super) roots: Arc<[Arc<Root>]>,
    open: Arc<Semaphore>,
}

/// A granted folder, open.
pub(super) struct Root {
    /// As the guest knows it, without the slash.
    pub(super) name: String,
    pub(super) folder: File,
    pub(super) mode: Mode,
    /// Whose folder it is.
    pub(super) owner: u32,
    pub(super) most: Most,
    pub(super) quota: Arc<Quota>,
}

/// The right to have one more file open. Given back when it goes.
pub(super) struct Slot {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// A granted folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the folder `{path}`, granted as `{name}`, cannot be opened: {reason}")]
    Unavailable { name: String, path: String, reason: String },
    #[error("the folder `{path}`, granted as `{name}`, may not be used: {why}")]
    Refused { name: String, path: String, why: &'static str },
}

impl Explain for FolderError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "folder-unavailable",
            Self::Refused { .. } => "denied",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unavailable { name, .. } | Self::Refused { name, .. } => {
                format!(
                    "grant another folder with `files={name}:FOLDER`, or take the grant back with `ringfence revoke`"
                )
            }
        }
    }
}

/// Work in the file system. Dropping it forgets what it gives; what has begun goes on to its end.
pub(super) struct Work<T>(AbortOnDrop<Result<T, ErrorCode>>);

impl<T> Work<T> {
    /// May be called again where the future was dropped before its end.
    pub(super) async fn done(&mut self) -> Result<T, ErrorCode> {
        (&mut self.0.0).await.unwrap_or_else(|error| {
            tracing::error!(%error, "work in the file system failed");
            Err(ErrorCode::Io)
        })
    }
}

impl Disk {
    /// `io` is the runtime that has threads for what blocks.
    #[must_use]
    pub fn new(io: Handle, places: Places) -> Arc<Self> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let of_all = (limit / 2).clamp(*OPEN_OF_ALL.start(), *OPEN_OF_ALL.end());
        Arc::new(Self {
            io,
            gate: Arc::new(Semaphore::new(AT_ONCE)),
            open: Arc::new(Semaphore::new(usize::try_from(of_all).unwrap_or(OPEN))),
            nothing: Arc::new([]),
            none_open: Arc::new(Semaphore::new(0)),
            places,
            quotas: Mutex::default(),
        })
    }

    /// Starts something that may block, on a thread of its own.
    pub(super) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> Work<T> {
        let gated = |turn: OwnedSemaphorePermit| {
            move || {
                let _turn = turn;
                work()
            }
        };
        let task = match Arc::clone(&self.gate).try_acquire_owned() {
            Ok(turn) => self.io.spawn_blocking(gated(turn)),
            Err(_) => {
                let (gate, io) = (Arc::clone(&self.gate), self.io.clone());
                self.io.spawn(async move {
                    let turn = gate.acquire_owned().await.map_err(|_| ErrorCode::Io)?;
                    io.spawn_blocking(gated(turn)).await.unwrap_or(Err(ErrorCode::Io))
                })
            }
        };
        Work(AbortOnDrop(task))
    }

    /// The grant with whole paths, if every folder of it may be granted.
    pub async fn settle(self: &Arc<Self>, grant: Grant) -> Result<Grant, GrantError> {
        let disk = Arc::clone(self);
        let settle = move || -> Result<Grant, GrantError> {
            let folders = grant.folders.into_iter().map(|(name, folder)| Ok((name, disk.settled(folder)?)));
            Ok(Grant { folders: folders.collect::<Result<_, GrantError>>()? })
        };
        let failed = |_| Err(GrantError::new("the host failed while it looked at a folder", "its log says more"));
        self.io.spawn_blocking(settle).await.unwrap_or_else(failed)
    }

    fn settled(&self, folder: Folder) -> Result<Folder, GrantError> {
        let shown = || folder.path.escape_debug();
        let bad =
            |why: String| GrantError::new(format!("`{}` cannot be granted: {why}", shown()), "name a folder of yours");
        let path = Path::new(&folder.path).canonicalize().map_err(|error| bad(error.kind().to_string()))?;
        if !path.is_dir() {
            return Err(bad("it is no folder".into()));
        }
        match self.places.standing(&path) {
            Standing::Free => {}
            Standing::Sensitive(_) if folder.i_know => {}
            Standing::Sensitive(why) => {
                let hint = "grant a folder inside of it, or add `--i-know` if this is what you mean";
                return Err(GrantError::new(format!("`{}` is not granted: {why}", shown()), hint));
            }
            Standing::Never(why) => return Err(bad(why.into())),
        }
        let path = path.into_os_string().into_string().map_err(|_| bad("its path is not UTF-8".into()))?;
        Ok(Folder { path, ..folder })
    }

    /// Opens what an invocation was granted.
    pub async fn open(self: &Arc<Self>, grant: Option<&Grant>) -> Result<Folders, FolderError> {
        let roots: Vec<Arc<Root>> = match grant {
            None => return Ok(self.nothing()),
            Some(grant) => {
                let (disk, grant) = (Arc::clone(self), grant.clone());
                let open = move || -> Result<Vec<_>, FolderError> {
                    grant.folders.iter().map(|(name, folder)| disk.root(name, folder)).collect()
                };
                self.io.spawn_blocking(open).await.unwrap_or_else(|_| {
                    let (name, path) = (String::new(), String::new());
                    Err(FolderError::Unavailable { name, path, reason: "the host failed".into() })
                })?
            }
        };
        Ok(Folders { disk: Arc::clone(self), roots: roots.into(), open: Arc::new(Semaphore::new(OPEN)) })
    }

    /// No folders.
    #[must_use]
    pub fn nothing(self: &Arc<Self>) -> Folders {
        Folders { disk: Arc::clone(self), roots: Arc::clone(&self.nothing), open: Arc::clone(&self.none_open) }
    }

    fn root(&self, name: &str, folder: &Folder) -> Result<Arc<Root>, FolderError> {
        let path = Path::new(&folder.path);
        let unavailable =
            |reason: String| FolderError::Unavailable { name: name.into(), path: folder.path.clone(), reason };
        // What is ours and what is sensitive may have moved since it was granted.
        match self.places.standing(path) {
            Standing::Sensitive(why) if !folder.i_know => {
                return Err(FolderError::Refused { name: name.into(), path: folder.path.clone(), why });
            }
            Standing::Never(why) => {
                return Err(FolderError::Refused { name: name.into(), path: folder.path.clone(), why });
            }
            _ => {}
        }
        // Where a link has come into the path since, this fails.
        let opened = beneath::root(path).map_err(|error| unavailable(error.to_string()))?;
        let found = opened.metadata().map_err(|error| unavailable(error.to_string()))?;
        Ok(Arc::new(Root {
            name: name.to_owned(),
            mode: folder.mode,
            owner: found.uid(),
            most: Most { bytes: folder.most_bytes(), files: folder.most_files() },
            quota: self.quota(path),
            folder: opened,
        }))
    }

    fn quota(&self, path: &Path) -> Arc<Quota> {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = quotas.get(path).and_then(Weak::upgrade) {
            return quota;
        }
        quotas.retain(|_, quota| quota.strong_count() > 0);
        let quota = Arc::new(Quota::default());
        quotas.insert(path.to_owned(), Arc::downgrade(&quota));
        quota
    }

    /// Runs `close` here where it need not wait, and elsewhere where it must: guests' threads never wait for a disk.
    pub(super) fn close_elsewhere(&self, close: impl FnOnce() + Send + 'static) {
        drop(self.io.spawn_blocking(close));
    }
}

impl Folders {
    pub(super) fn slot(&self) -> Result<Slot, ErrorCode> {
        let take = |from: &Arc<Semaphore>| Arc::clone(from).try_acquire_owned();
        let own = take(&self.open).map_err(|_| ErrorCode::Quota)?;
        let of_all = take(&self.disk.open).map_err(|_| ErrorCode::Busy)?;
        Ok(Slot { _own: own, _of_all: of_all })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::policy::Grantable as _;

    #[tokio::test]
    async fn t58_a_grant_is_looked_at_when_it_is_given_and_when_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for name in ["notes", ".ssh", "state/sub"] {
            std::fs::create_dir_all(home.join(name)).unwrap();
        }
        std::fs::write(home.join("file"), "").unwrap();
        symlink(".ssh", home.join("innocent")).unwrap();
        symlink("state", home.join("also")).unwrap();
        let state = home.join("state");
        let disk = Disk::new(tokio::runtime::Handle::current(), Places::new(Some(&home), [&*state]));
        let grant =
            |path: &str, more: &str| Grant::parse(Some(&format!("f:{}{more}", home.join(path).display()))).unwrap();
        for (path, more, granted) in [
            ("notes", "", true),
            ("notes/../notes/.", "", true),
            ("none", "", false),
            ("file", "", false),
            (".ssh", "", false),
            (".ssh", ":i-know", true),
            ("innocent", "", false),
            ("innocent", ":i-know", true),
            ("", ":i-know", false),
            ("state", ":i-know", false),
            ("state/sub", ":i-know", false),
            ("also", ":i-know", false),
            ("/proc/self", ":i-know", false),
            ("/", ":i-know", false),
            ("/etc", "", false),
            ("/etc", ":i-know", true),
        ] {
            let settled = disk.settle(grant(path, more)).await;
            assert_eq!(settled.is_ok(), granted, "{path}{more}: {settled:?}");
            if let Ok(settled) = settled {
                assert_eq!(
                    Path::new(&settled.folders["f"].path),
                    home.join(path).canonicalize().unwrap(),
                    "whole paths are kept"
                );
                assert!(disk.open(Some(&settled)).await.is_ok(), "{path}");
            }
        }
        // What was put into the state by other means opens nothing.
        for path in [".ssh", "state", "also", "innocent", "none"] {
            assert!(disk.open(Some(&grant(path, ""))).await.is_err(), "{path}");
        }
        assert!(disk.open(Some(&grant("notes", ""))).await.is_ok());
        // A granted folder that became a link is another one.
        std::fs::rename(home.join("notes"), home.join("notes2")).unwrap();
        symlink(".ssh", home.join("notes")).unwrap();
        let error = disk.open(Some(&grant("notes", ""))).await.err().unwrap();
        assert!(matches!(error, FolderError::Unavailable { .. }), "{error}");
    }
}
