//! Files that are whole or not there.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;

/// Makes a directory, and those above it, for this user only. One that exists stays as it is. What was made survives a power
/// cut: otherwise everything that is kept in it, and synced there, could go with its name.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| is_missing(dir)).collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.iter().rev().try_for_each(|made| match sync_dir(parent(made)) {
        // One that we may write in and not read cannot be synced.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    })
}

fn is_missing(dir: &Path) -> bool {
    let found = std::fs::symlink_metadata(dir);
    !dir.as_os_str().is_empty() && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns when the names in a directory survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}

/// The turn of one process among those that use a directory, until the answer is dropped: for what is made once and not by two. Blocks.
pub(crate) fn turn(dir: &Path) -> io::Result<std::fs::File> {
    let turn = std::fs::File::open(dir)?;
    turn.lock()?;
    Ok(turn)
}

/// Writes a file so that a reader sees the old one or the new one, whole. After a power cut it may be neither: for what is
/// checked when it is read, and made again. Readable by this user only.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(temporary(path, bytes)?, path)
}

/// Writes a file so that a reader sees the old one or the new one, whole, also after a power cut. Readable by this user only.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = temporary(path, bytes)?;
    file.as_file().sync_all()?;
    put(file, path)
}

/// As [`write_atomically`], and once this returns a power cut leaves the new one.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, bytes)?;
    sync_dir(parent(path))
}

/// The turn of one process among those that write a file in a folder that belongs to somebody else, until it is dropped: what was read in
/// it is as it was when it is written. Some network file systems know no locks: there nobody has to wait. Blocks.
#[derive(Debug)]
pub(crate) struct SharedTurn<'a> {
    path: &'a Path,
    turn: io::Result<std::fs::File>,
}

impl<'a> SharedTurn<'a> {
    pub(crate) fn take(path: &'a Path) -> Self {
        Self { path, turn: turn(parent(path)) }
    }

    /// As [`write_shared`].
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        write_in_turn(self.path, bytes, self.turn.is_ok())
    }
}

/// As [`write_durably`], in a folder that belongs to somebody else, for everybody who may read there: one writer at a time, and each removes
/// what one that was killed has left half written. Its names are not those of any other program.
pub(crate) fn write_shared(path: &Path, bytes: &[u8]) -> io::Result<()> {
    SharedTurn::take(path).write(bytes)
}

fn write_in_turn(path: &Path, bytes: &[u8], is_turn: bool) -> io::Result<()> {
    let folder = parent(path);
    // Without one it may be what somebody writes now.
    if is_turn {
        remove_half_written(path);
    }
    let name = half_written(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&name).suffix(".tmp");
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    put(file, path)?;
    sync_dir(folder)
}

/// Removes what killed writers of a file have left, unless somebody writes it now. Says how many bytes that was.
pub(crate) fn clean_shared(path: &Path) -> u64 {
    match std::fs::File::open(parent(path)) {
        Ok(folder) if folder.try_lock().is_ok() => remove_half_written(path),
        _ => 0,
    }
}

/// How files begin that will take the place of `path`.
fn half_written(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// In the turn of the folder.
fn remove_half_written(path: &Path) -> u64 {
    let begin = half_written(path);
    remove(parent(path), |name, _| name.strip_prefix(&begin).is_some_and(|rest| rest.ends_with(".tmp")))
}

/// Removes what killed writers have left in a directory of ours: nobody takes an hour to write a file. Says how many bytes that was.
pub(crate) fn clean_private(dir: &Path) -> u64 {
    let hour = std::time::Duration::from_secs(3600);
    remove(dir, |name, found| name.starts_with(".tmp") && is_older(found, hour))
}

/// Removes the files of a directory of ours that nobody has written for so long. Says how many bytes that was.
pub(crate) fn clean_older(dir: &Path, than: std::time::Duration) -> u64 {
    remove(dir, |_, found| is_older(found, than))
}

fn is_older(found: &std::fs::Metadata, than: std::time::Duration) -> bool {
    found.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > than)
}

fn remove(dir: &Path, which: impl Fn(&str, &std::fs::Metadata) -> bool) -> u64 {
    let mut freed = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        let goes = found.is_file() && which(&entry.file_name().to_string_lossy(), &found);
        if goes && std::fs::remove_file(entry.path()).is_ok() {
            freed += found.len();
        }
    }
    freed
}

/// Opens a file below a folder that a stranger filled. No link is followed on the way or at its end, whichever way it leads, and nothing
/// waits for a pipe. A link gives `NotADirectory`, wherever it stands.
pub(crate) fn open_beneath(folder: &Path, name: &Path) -> io::Result<std::fs::File> {
    let base = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut at = open(folder, base | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = name.components().filter(|part| *part != Component::CurDir).peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the folder"));
        };
        let more = if parts.peek().is_some() { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
        at = openat(&at, part, base | OFlags::NOFOLLOW | more, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::MLINK => io::Error::new(io::ErrorKind::NotADirectory, "it is a link"),
            other => other.into(),
        })?;
    }
    let file = std::fs::File::from(at);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

fn temporary(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(parent(path))?;
    file.write_all(bytes)?;
    Ok(file)
}

fn put(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    let (_file, name) = file.into_parts();
    std::fs::rename(&name, path)?;
    // It has another name now, and is not removed by its old one.
    name.keep().map(drop).map_err(|error| error.error)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beneath_a_folder_no_link_is_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("in")).unwrap();
        std::fs::write(at("in/file"), "x").unwrap();
        symlink("/etc/hostname", at("in/out")).unwrap();
        symlink("in", at("same")).unwrap();
        symlink("file", at("in/twin")).unwrap();
        for good in ["in/file", "./in/file", "in/./file"] {
            assert!(open_beneath(folder.path(), Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["in/out", "same/file", "in/twin", "in", "../x", "in/../in/file", "/etc/hostname", "none", ""] {
            assert!(open_beneath(folder.path(), Path::new(bad)).is_err(), "{bad}");
        }
    }
}
