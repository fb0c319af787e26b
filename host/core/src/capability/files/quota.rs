//! How much a granted folder holds, and how much more it may.
//!
//! What is limited is the folder with everything in it, whoever made it, so that many small calls cannot fill the disk. It is
//! counted when an invocation first wants to write there, and kept in mind while anybody has the folder open.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Dir, OFlags};

use super::beneath;
use super::bindings::wasi::filesystem::types::ErrorCode;

/// What a folder may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// The count of one folder. Who changes sizes or numbers holds it locked meanwhile: two that measured at once would be counted
/// wrongly.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Count>);

#[derive(Debug, Default)]
pub(super) struct Count {
    /// Bytes and files, where they have been counted.
    known: Option<(u64, u64)>,
    /// Files that guests have open, by device and number. What is removed while it is open still fills the disk.
    open: HashMap<(u64, u64), Held>,
}

#[derive(Debug, Default)]
struct Held {
    handles: usize,
    is_removed: bool,
}

impl Quota {
    pub(super) fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Count>> {
        self.0.try_lock().ok()
    }
}

impl Count {
    /// Counts where nobody has yet, and refuses where there is too much already. Before a file is opened for writing: one that
    /// is emptied and then cannot be written again would be lost.
    pub(super) fn settle(&mut self, folder: &File, most: Most) -> Result<(), ErrorCode> {
        if self.known.is_none() {
            // Where it is more than the quota nobody needs to know how much; it is counted again next time.
            self.known = Some(count(folder, most.files)?.ok_or(ErrorCode::Quota)?);
        }
        match self.known {
            Some((bytes, files)) if bytes <= most.bytes && files <= most.files => Ok(()),
            _ => Err(ErrorCode::Quota),
        }
    }

    /// One file or folder more.
    pub(super) fn make(&mut self, most: Most) -> Result<(), ErrorCode> {
        if let Some((_, files)) = &mut self.known {
            if *files >= most.files {
                return Err(ErrorCode::Quota);
            }
            *files += 1;
        }
        Ok(())
    }

    /// It was not made after all, or is gone.
    pub(super) fn unmake(&mut self) {
        if let Some((_, files)) = &mut self.known {
            *files = files.saturating_sub(1);
        }
    }

    /// A file is about to become `to` bytes long.
    pub(super) fn resize(&mut self, from: u64, to: u64, most: Most) -> Result<(), ErrorCode> {
        if let Some((bytes, _)) = &mut self.known {
            let after = bytes.saturating_sub(from).saturating_add(to);
            if to > from && after > most.bytes {
                return Err(ErrorCode::Quota);
            }
            *bytes = if to > from { bytes.saturating_add(to - from) } else { bytes.saturating_sub(from - to) };
        }
        Ok(())
    }

    pub(super) fn opened(&mut self, id: (u64, u64)) {
        self.open.entry(id).or_default().handles += 1;
    }

    /// A handle of a file that is `size` bytes long is gone.
    pub(super) fn closed(&mut self, id: (u64, u64), size: u64) {
        let Some(held) = self.open.get_mut(&id) else { return };
        held.handles = held.handles.saturating_sub(1);
        if held.handles == 0 && self.open.remove(&id).is_some_and(|held| held.is_removed) {
            self.free(size);
        }
    }

    /// The name of something is gone.
    pub(super) fn removed(&mut self, what: &std::fs::Metadata) {
        self.unmake();
        if !what.is_file() || what.nlink() > 1 {
            return;
        }
        match self.open.get_mut(&(what.dev(), what.ino())) {
            Some(held) => held.is_removed = true,
            None => self.free(what.len()),
        }
    }

    fn free(&mut self, size: u64) {
        if let Some((bytes, _)) = &mut self.known {
            *bytes = bytes.saturating_sub(size);
        }
    }
}

/// Bytes and number of all below `folder`. None where there are more than `most` files.
fn count(folder: &File, most: u64) -> Result<Option<(u64, u64)>, ErrorCode> {
    let (mut bytes, mut files) = (0u64, 0u64);
    let mut open = vec![String::from(".")];
    while let Some(path) = open.pop() {
        // What is mounted, locked or gone meanwhile does not count.
        let Ok(fd) = beneath::open(folder, &path, beneath::FOLDER | OFlags::NOFOLLOW) else { continue };
        let here = File::from(fd);
        let entries = Dir::read_from(&here).map_err(super::code::of_system)?;
        for entry in entries {
            let entry = entry.map_err(super::code::of_system)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            files += 1;
            if files > most {
                return Ok(None);
            }
            let Ok(name) = name.to_str() else { continue };
            let Ok(fd) = beneath::open(&here, name, beneath::LOOK | OFlags::NOFOLLOW) else { continue };
            let Ok(found) = File::from(fd).metadata() else { continue };
            if found.is_file() {
                bytes = bytes.saturating_add(found.len());
            } else if found.is_dir() {
                open.push(if path == "." { name.to_owned() } else { format!("{path}/{name}") });
            }
        }
    }
    Ok(Some((bytes, files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { bytes: 100, files: 4 };

    fn folder(files: &[(&str, usize)]) -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        for (name, size) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; *size]).unwrap();
        }
        let file = File::open(dir.path()).unwrap();
        (dir, file)
    }

    #[test]
    fn t57_everything_in_the_folder_counts() {
        let (dir, file) = folder(&[("a", 60), ("sub/b", 40)]);
        std::os::unix::fs::symlink("/", dir.path().join("all")).unwrap();
        let mut count = Count::default();
        count.settle(&file, MOST).unwrap();
        assert_eq!(count.known, Some((100, 4)), "two files, a folder and a link that is not followed");
        assert_eq!(count.make(MOST), Err(ErrorCode::Quota));
        assert_eq!(count.resize(40, 41, MOST), Err(ErrorCode::Quota));
        assert_eq!(count.resize(40, 10, MOST), Ok(()), "less is always allowed");
        assert_eq!(count.resize(10, 40, MOST), Ok(()));
        assert_eq!(count.resize(0, u64::MAX, MOST), Err(ErrorCode::Quota));
        assert_eq!(Count::default().settle(&file, Most { bytes: 99, files: 4 }), Err(ErrorCode::Quota));
        let mut many = Count::default();
        assert_eq!(many.settle(&file, Most { bytes: 100, files: 3 }), Err(ErrorCode::Quota));
        std::fs::remove_file(dir.path().join("all")).unwrap();
        assert_eq!(many.settle(&file, Most { bytes: 100, files: 3 }), Ok(()), "it is counted again");
    }

    #[test]
    fn t57_what_is_removed_is_free_when_nobody_has_it_open() {
        let (dir, file) = folder(&[("a", 60), ("b", 40)]);
        let mut count = Count::default();
        count.settle(&file, MOST).unwrap();
        let (a, b) =
            (std::fs::metadata(dir.path().join("a")).unwrap(), std::fs::metadata(dir.path().join("b")).unwrap());
        count.opened((a.dev(), a.ino()));
        count.opened((a.dev(), a.ino()));
        count.removed(&a);
        assert_eq!(count.known, Some((100, 1)), "it is open, and still fills the disk");
        count.removed(&b);
        assert_eq!(count.known, Some((60, 0)));
        count.closed((a.dev(), a.ino()), 60);
        assert_eq!(count.known, Some((60, 0)));
        count.closed((a.dev(), a.ino()), 60);
        assert_eq!(count.known, Some((0, 0)));
    }
}
