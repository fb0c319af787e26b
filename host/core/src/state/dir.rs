//! The state directory: private to its owner.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::StateError;

/// Makes `dir` if it is not there, and gives its real path. A directory of ours that others may enter is closed to them; one
/// that is a link or belongs to somebody else is refused, for its owner could change what we trust.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, StateError> {
    let io = |error: std::io::Error| StateError::io(dir, &error);
    if fs::symlink_metadata(dir).is_err() {
        crate::files::make_private_dir(dir).map_err(io)?;
    }
    let meta = fs::symlink_metadata(dir).map_err(io)?;
    let refuse = |reason: &str| Err(StateError::Unsafe { path: dir.to_owned(), reason: reason.into() });
    if meta.is_symlink() {
        return refuse("it is a symbolic link");
    }
    if !meta.is_dir() {
        return refuse("it is not a directory");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io)?;
    }
    dir.canonicalize().map_err(io)
}

/// Opens a file of ours, never through a link, and readable by its owner alone. It is made if it is not there.
pub(super) fn private_file(path: &Path) -> Result<File, StateError> {
    let io = |error: std::io::Error| StateError::io(path, &error);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
                StateError::Unsafe { path: path.to_owned(), reason: "it is a symbolic link".into() }
            }
            _ => io(error),
        })?;
    if file.metadata().map_err(io)?.mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io)?;
    }
    Ok(file)
}
