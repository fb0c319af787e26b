//! What can go wrong with the state file.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Explain;

/// A failure of the state file, always with its path. Cheap to clone: everything of one transaction fails together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("the state in {} is in use{}", .path.display(), .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("the state in {} cannot be written: {reason}", .path.display())]
    Unwritable { path: PathBuf, reason: String },
    #[error("there is no room left for the state in {}", .path.display())]
    Full { path: PathBuf },
    #[error("the state file {} is damaged: {reason}", .path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("the state file {} has schema {found}, and this program knows schemas up to {known}", .path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the state directory {} is not safe: {reason}", .path.display())]
    Unsafe { path: PathBuf, reason: String },
    #[error("an operation on the state file {} failed: {reason}", .path.display())]
    Failed { path: PathBuf, reason: String },
    #[error("the state file {} is closed", .path.display())]
    Closed { path: PathBuf },
}

impl StateError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Unwritable { path, reason: error.to_string() },
        }
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full { path },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Corrupt { path, reason },
            Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => {
                Self::InUse { path, pid: None }
            }
            Some(Code::SystemIoFailure) if no_room(&path) => Self::Full { path },
            Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen | Code::SystemIoFailure) => {
                Self::Unwritable { path, reason }
            }
            _ => Self::Failed { path, reason },
        }
    }

    /// Whether the same operation may work later, without anything being changed in it.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unwritable { .. } | Self::InUse { .. })
    }
}

/// SQLite tells a disk without room as a failure of the disk where it makes its index of the log.
fn no_room(path: &Path) -> bool {
    const NEEDED: u64 = 64 << 10;
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < NEEDED)
}

impl Explain for StateError {
    fn kind(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "state-in-use",
            Self::Unwritable { .. } => "state-unwritable",
            Self::Full { .. } => "state-full",
            Self::Corrupt { .. } => "state-corrupt",
            Self::Newer { .. } => "state-newer",
            Self::Unsafe { .. } => "state-unsafe",
            Self::Failed { .. } => "state-failed",
            Self::Closed { .. } => "state-closed",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::InUse { path, .. } => {
                format!("stop the other process, or use another state directory than {}", path.display())
            }
            Self::Unwritable { path, .. } => {
                format!("make {} writable for this user, or use another state directory", path.display())
            }
            Self::Full { path } => {
                format!("free space on the disk that holds {}; nothing needs to be restarted", path.display())
            }
            Self::Corrupt { path, .. } if path.file_name().is_some_and(|name| name == super::FILE) => format!(
                "restore {} from a backup; without one `ringfence doctor --repair` keeps what can still be read of it",
                path.display()
            ),
            Self::Corrupt { path, .. } => format!("restore {} from a backup", path.display()),
            Self::Newer { path, .. } => {
                format!("use the newer version that wrote {}, or another state directory", path.display())
            }
            Self::Unsafe { path, .. } => {
                format!("name a real directory that belongs to this user instead of {}, with mode 0700", path.display())
            }
            Self::Failed { .. } => "read the log of the host for what came before it, and report it".into(),
            Self::Closed { .. } => "start the host again".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_without_room_is_a_full_one() {
        let failure = |path: &Path| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
            StateError::sqlite(path, &rusqlite::Error::SqliteFailure(code, None)).kind()
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(failure(file.path()), "state-unwritable");
        // A file system that never has room.
        if cfg!(target_os = "linux") {
            assert_eq!(failure(Path::new("/proc/self/status")), "state-full");
        }
    }
}
