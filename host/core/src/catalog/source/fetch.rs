//! Bodies: how many bytes, for how long, and whether they are the right ones.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::digest::{Digest, Hasher};
use super::error::SourceError;
use super::known::{MOST_TAG, is_strong};
use super::wire::{Answer, late};
use crate::files;
use crate::step::{Progress, Step};

/// What a body may be.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    /// Of silence.
    pub(super) stall: Duration,
    /// For all of it.
    pub(super) whole: Duration,
}

/// What is told while bytes come or go.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) what: String,
    pub(super) progress: Option<Progress>,
}

impl Told {
    fn at(&self, done: u64, total: Option<u64>) {
        if let Some(progress) = &self.progress {
            progress(Step::Fetching { what: self.what.clone(), done, total });
        }
    }

    pub(super) fn sent(&self, done: u64, total: u64) {
        if let Some(progress) = &self.progress {
            progress(Step::Sending { what: self.what.clone(), done, total });
        }
    }
}

/// Where the pieces of a body go.
pub(super) trait Sink {
    fn piece(&mut self, bytes: &[u8]) -> Result<(), SourceError>;
    /// Bytes so far, with those that were there before.
    fn length(&self) -> u64;
}

impl Sink for Vec<u8> {
    fn piece(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> u64 {
        self.len() as u64
    }
}

/// Reads a body to its end.
pub(super) async fn read(answer: Answer, bounds: &Bounds, told: &Told) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    drain(answer, &mut bytes, bounds, told).await?;
    Ok(bytes)
}

/// Reads a body to its end, a piece at a time.
pub(super) async fn drain(
    answer: Answer,
    into: &mut impl Sink,
    bounds: &Bounds,
    told: &Told,
) -> Result<(), SourceError> {
    let Answer { response, from } = answer;
    let what = from.place();
    let total = response.content_length().map(|rest| into.length().saturating_add(rest));
    let too_large = |actual| SourceError::TooLarge { what: what.clone(), limit: bounds.bytes, actual };
    if let Some(total) = total.filter(|total| *total > bounds.bytes) {
        return Err(too_large(Some(total)));
    }
    let until = Instant::now() + bounds.whole;
    let mut pieces = response.bytes_stream();
    loop {
        let next = timeout_at(until, timeout(bounds.stall, pieces.next())).await;
        let next =
            next.map_err(|_| late(&from, format!("it was not there in whole after {} s", bounds.whole.as_secs())))?;
        let next = next.map_err(|_| late(&from, format!("nothing has come for {} s", bounds.stall.as_secs())))?;
        let Some(piece) = next else { return Ok(()) };
        let piece = piece.map_err(|error| SourceError::Unavailable {
            what: what.clone(),
            reason: format!("it broke off: {}", crate::net::client::chain(&error.without_url())),
        })?;
        if into.length() + piece.len() as u64 > bounds.bytes {
            return Err(too_large(None));
        }
        into.piece(&piece)?;
        told.at(into.length(), total);
    }
}

/// How often a transfer that broke off is taken up again.
pub(super) const TRIES: u32 = 3;

/// A file that is being fetched, named by what it has to become or by where it comes from. What has come stays for the next try, and is
/// looked at by nobody but that one. A second process that fetches the same at the same time keeps its bytes in memory alone.
pub(super) struct Partial {
    path: PathBuf,
    file: Option<std::fs::File>,
    bytes: Vec<u8>,
    hasher: Hasher,
    /// Whether only its tag says what it is a part of.
    by_tag: bool,
    /// What its server calls that.
    tag: Option<String>,
}

impl Partial {
    /// Takes up what an earlier try has left. Blocks.
    pub(super) fn open(dir: &Path, name: &Digest, limit: u64) -> Result<Self, SourceError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = dir.join(format!("{}.part", name.hex()));
        files::make_private_dir(dir).map_err(|error| unwritten(&path, &error))?;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&path).map_err(|error| unwritten(&path, &error))?;
        if file.try_lock().is_err() {
            let (bytes, hasher) = (Vec::new(), Hasher::default());
            return Ok(Self { path, file: None, bytes, hasher, by_tag: false, tag: None });
        }
        let mut bytes = Vec::new();
        (&mut file).take(limit + 1).read_to_end(&mut bytes).map_err(|error| unwritten(&path, &error))?;
        let tag = crate::catalog::read_component(&tag_of(&path), MOST_TAG as u64).ok();
        let tag = tag.and_then(|tag| String::from_utf8(tag).ok()).filter(|tag| is_strong(tag));
        let mut partial = Self { path, file: Some(file), bytes, hasher: Hasher::default(), by_tag: false, tag };
        if partial.bytes.len() as u64 > limit {
            partial.restart()?;
        }
        partial.hasher.update(&partial.bytes);
        Ok(partial)
    }

    /// As [`open`](Self::open), for what has no digest yet: named by where it comes from, and kept only with a tag.
    pub(super) fn open_by_tag(dir: &Path, place: &Digest, limit: u64) -> Result<Self, SourceError> {
        let mut partial = Self::open(dir, place, limit)?;
        partial.by_tag = true;
        // Left by one that was killed before it could say what it is a part of.
        if partial.tag.is_none() {
            partial.restart()?;
        }
        Ok(partial)
    }

    /// Forgets what has come.
    pub(super) fn restart(&mut self) -> Result<(), SourceError> {
        (self.bytes, self.hasher) = (Vec::new(), Hasher::default());
        if let Some(file) = &mut self.file {
            file.set_len(0).and_then(|()| file.rewind()).map_err(|error| unwritten(&self.path, &error))?;
        }
        Ok(())
    }

    /// As [`restart`](Self::restart), for what its server calls by this name, and for nothing else. What has a weak name or none cannot be
    /// taken up: nobody could say what it is a part of.
    pub(super) fn restart_as(&mut self, tag: Option<&str>) -> Result<(), SourceError> {
        self.restart()?;
        self.tag = tag.filter(|tag| is_strong(tag)).map(str::to_owned);
        if self.file.is_none() {
            return Ok(());
        }
        // While there are no bytes that it could be wrong about.
        let path = tag_of(&self.path);
        match &self.tag {
            Some(tag) => files::write_unsynced(&path, tag.as_bytes()).map_err(|error| unwritten(&path, &error)),
            None => {
                // There is none for most of them.
                drop(std::fs::remove_file(&path));
                Ok(())
            }
        }
    }

    /// What its server calls what it is a part of.
    pub(super) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Takes it away: it is what it had to become, or never will be.
    pub(super) fn remove(mut self) -> Vec<u8> {
        // An empty one goes when it is dropped.
        std::mem::take(&mut self.bytes)
    }
}

/// One of which nothing has come is of no use to the next try, and neither is one of nobody knows what.
impl Drop for Partial {
    fn drop(&mut self) {
        let is_known = self.tag.is_some() || !self.by_tag;
        if self.file.is_none() || (is_known && !self.bytes.is_empty()) {
            return;
        }
        drop(std::fs::remove_file(tag_of(&self.path)));
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a partial file could not be removed");
        }
    }
}

impl Sink for Partial {
    fn piece(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|error| unwritten(&self.path, &error))?;
        }
        self.hasher.update(bytes);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Where the name of what a partial file is a part of is kept.
fn tag_of(partial: &Path) -> PathBuf {
    partial.with_extension("tag")
}

pub(super) fn unwritten(path: &Path, error: &std::io::Error) -> SourceError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SourceError::Full { path: path.to_owned() },
        _ => SourceError::Unwritable { what: path.display().to_string(), reason: error.to_string() },
    }
}

/// Refuses what is an archive by its first bytes, with a sentence that says so: many who publish a skill pack it first, and an
/// archive is a way to write outside of its place (`../`, links, devices) that is not taken here at all.
pub(super) fn no_archive(what: &str, bytes: &[u8]) -> Result<(), SourceError> {
    let kind = match bytes {
        [b'P', b'K', 3 | 5 | 7, ..] => "a ZIP archive",
        [0x1f, 0x8b, ..] => "compressed with gzip, perhaps a tar archive",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "compressed with xz, perhaps a tar archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed with zstd, perhaps a tar archive",
        [b'B', b'Z', b'h', ..] => "compressed with bzip2, perhaps a tar archive",
        [b'7', b'z', 0xbc, 0xaf, ..] => "a 7z archive",
        bytes if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ => return Ok(()),
    };
    Err(SourceError::Archive { what: what.to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_file_is_taken_up_by_one_at_a_time_and_removed_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"hello");
        let mut first = Partial::open(dir.path(), &digest, 10).unwrap();
        first.piece(b"hel").unwrap();
        let mut second = Partial::open(dir.path(), &digest, 10).unwrap();
        assert_eq!(second.length(), 0, "it has nothing of the first one's");
        second.piece(b"hello").unwrap();
        assert_eq!((second.digest(), second.remove()), (digest.clone(), b"hello".to_vec()));
        drop(first);

        let mut again = Partial::open(dir.path(), &digest, 10).unwrap();
        assert_eq!(again.length(), 3);
        again.piece(b"lo").unwrap();
        assert_eq!(again.digest(), digest);
        assert_eq!(again.remove(), b"hello");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_partial_file_that_is_too_long_or_a_link_is_not_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"hello");
        let path = dir.path().join(format!("{}.part", digest.hex()));
        std::fs::write(&path, [0; 100]).unwrap();
        let partial = Partial::open(dir.path(), &digest, 10).unwrap();
        assert_eq!((partial.length(), partial.digest()), (0, Digest::of(b"")));
        drop(partial.remove());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(Partial::open(dir.path(), &digest, 10).is_err());
    }

    #[test]
    fn t106_archives_are_refused_by_name() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, word) in [
            (&b"PK\x03\x04...."[..], "ZIP"),
            (b"PK\x05\x06", "ZIP"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"BZh9", "bzip2"),
            (&tar, "tar"),
        ] {
            let error = no_archive("x", bytes).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("never unpacked"), "{error}");
        }
        for bytes in [&b""[..], b"\0asm\x0d\0\x01\0", b"P", b"(component)"] {
            assert!(no_archive("x", bytes).is_ok());
        }
    }
}
