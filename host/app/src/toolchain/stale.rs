//! Whether a build is still true: by the content of its sources, not by their times, which copies and checkouts change.

use std::io::Read;
use std::path::{Path, PathBuf};

use ringfence_core::Error;
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Reads `sources`, files and folders, into one digest in hexadecimal. What does not exist counts as missing, and its appearing changes
/// the digest. Build outputs and hidden folders below a source are left out.
pub(crate) fn digest(salt: &str, sources: &[PathBuf]) -> Result<String, Error> {
    digest_without(salt, sources, &[])
}

/// The same without what has one of these names at the top of a source.
pub(crate) fn digest_without(salt: &str, sources: &[PathBuf], left: &[&str]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    for source in sources {
        let counts = |entry: &DirEntry| {
            is_source(entry) && !(entry.depth() == 1 && left.iter().any(|name| entry.file_name() == *name))
        };
        let walk = WalkDir::new(source).sort_by_file_name().into_iter().filter_entry(counts);
        hash.update(b"\0source\0");
        for entry in walk.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
            let name = entry.path().strip_prefix(source).unwrap_or(entry.path());
            hash.update(name.as_os_str().as_encoded_bytes());
            hash.update(b"\0");
            hash.update(content(entry.path())?);
        }
    }
    Ok(hexadecimal(&hash.finalize()))
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

/// One file's own digest: so that bytes cannot move from one file to the next unseen.
fn content(path: &Path) -> Result<[u8; 32], Error> {
    let unreadable = |error| Trouble::unreadable(path, &error);
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
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
}
