//! Whether a build is still true: by the content of its sources, not by their times, which copies and checkouts change.

use std::io::Read;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use ringfence_core::Error;
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

use super::project;
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Reads `sources`, files and folders, into one digest in hexadecimal. What does not exist counts as missing, and its appearing changes
/// the digest. Build outputs and hidden folders below a source are left out.
pub(crate) fn digest(salt: &str, sources: &[PathBuf]) -> Result<String, Error> {
    digest_without(salt, sources, &[])
}

/// The same without what has one of these names at the top of a source.
pub(crate) fn digest_without(salt: &str, sources: &[PathBuf], left: &[&str]) -> Result<String, Error> {
    digest_within(salt, sources, left, Room { entries: MOST_ENTRIES, bytes: MOST_BYTES })
}

fn digest_within(salt: &str, sources: &[PathBuf], left: &[&str], mut room: Room) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    for source in sources {
        let counts = |entry: &DirEntry| {
            is_source(entry) && !(entry.depth() == 1 && left.iter().any(|name| entry.file_name() == *name))
        };
        let walk = WalkDir::new(source).sort_by_file_name().into_iter().filter_entry(counts);
        hash.update(b"\0source\0");
        if std::fs::metadata(source).is_ok_and(|found| found.file_type().is_fifo()) {
            return Err(pipe(source));
        }
        for entry in walk.filter_map(Result::ok) {
            let too_much = || too_much(source);
            room.entries = room.entries.checked_sub(1).ok_or_else(too_much)?;
            if entry.file_type().is_fifo() {
                return Err(pipe(entry.path()));
            }
            if !entry.file_type().is_file() {
                continue;
            }
            let length = entry.metadata().map(|found| found.len()).unwrap_or_default();
            room.bytes = room.bytes.checked_sub(length).ok_or_else(too_much)?;
            let name = entry.path().strip_prefix(source).unwrap_or(entry.path());
            hash.update(name.as_os_str().as_encoded_bytes());
            hash.update(b"\0");
            hash.update(content(entry.path(), length)?);
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// Most files and folders of one digest, and most bytes of them all. A source of a stranger's may be a link, or a path, to all of a disk.
const MOST_ENTRIES: u64 = 200_000;
const MOST_BYTES: u64 = 4 << 30;

/// What is left of them.
struct Room {
    entries: u64,
    bytes: u64,
}

fn too_much(source: &Path) -> Error {
    Trouble::new(
        "build-failed",
        format!(
            "{} makes the sources of the skill more than {MOST_ENTRIES} files and folders, or more than {} GiB",
            source.display(),
            MOST_BYTES >> 30
        ),
        "move what is no source out of there, or into `target`, `build` or a folder whose name begins with a dot",
    )
}

fn pipe(path: &Path) -> Error {
    Trouble::new(
        "build-failed",
        format!("{} is a pipe, and a build would wait for somebody who writes into it", path.display()),
        "remove it",
    )
}

/// What builds, package clients and interpreters leave beside sources.
const LEFT: [&str; 4] = ["target", "build", "node_modules", "__pycache__"];

fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(LEFT.contains(&&*name) || (name.starts_with('.') && entry.file_type().is_dir()))
}

/// The same of a path below a source, for whoever watches it.
pub(crate) fn is_source_path(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(LEFT.contains(&&*name) || name.starts_with('.'))
}

/// The first digits of a digest, for names of folders.
pub(super) fn short(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..6])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes the folders with this prefix that somebody who was killed has left half made. The caller has the lock of whoever makes such.
pub(super) fn sweep(folder: &Path, prefix: &str) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// One at a time: waits for the lock on a file, and says so.
pub(crate) async fn lock(path: &Path, line: &Line) -> Result<std::fs::File, Error> {
    let file = std::fs::File::create(path).map_err(|error| Trouble::unwritable(path, &error))?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    line.say("waiting for another build");
    let waited = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    match waited {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) => Err(Trouble::unwritable(path, &error)),
        Err(_) => Err(Trouble::new("host-fault", "waiting for another build failed", "try again")),
    }
}

/// One file's own digest: so that bytes cannot move from one file to the next unseen. One that grows meanwhile is looked at anew.
fn content(path: &Path, length: u64) -> Result<[u8; 32], Error> {
    let unreadable = |error| Trouble::unreadable(path, &error);
    let mut file = project::open(path).map_err(unreadable)?.take(length.saturating_add(1));
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        let n = file.read(&mut buffer).map_err(unreadable)?;
        if n == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        };
        let sources = [at("src"), at("Cargo.toml"), at("build.rs")];
        let now = || digest("", &sources).unwrap();
        write("src/lib.rs", "a");
        write("Cargo.toml", "b");
        let first = now();
        write("src/lib.rs", "a");
        write("src/target/x", "output");
        write("src/.git/x", "history");
        assert_eq!(now(), first);
        write("src/lib.rs", "c");
        let changed = now();
        assert_ne!(changed, first);
        write("src/lib.rs", "a");
        write("build.rs", "");
        assert_ne!(now(), first, "a file that appears");
        assert_ne!(digest("1.2", &sources).unwrap(), now(), "another builder");
    }

    #[test]
    fn a_source_that_has_no_end_is_refused_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "a").unwrap();
        let sources = [folder.path().to_owned()];
        let within = |entries, bytes| digest_within("", &sources, &[], Room { entries, bytes });
        assert_eq!(within(2, 1).unwrap(), digest("", &sources).unwrap());
        for (entries, bytes) in [(1, 1), (2, 0)] {
            assert_eq!(within(entries, bytes).unwrap_err().kind(), "build-failed", "{entries} {bytes}");
        }
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for sources in [&sources[..], std::slice::from_ref(&pipe)] {
            assert!(digest("", sources).unwrap_err().to_string().contains("is a pipe"));
        }
        std::fs::remove_file(pipe).unwrap();
        // It has no bytes on the disk, and would be read for minutes.
        let large = std::fs::File::create(folder.path().join("large")).unwrap();
        large.set_len(1 << 40).unwrap();
        let error = digest("", &sources).unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()) && error.contains("4 GiB"), "{error}");
    }
}
