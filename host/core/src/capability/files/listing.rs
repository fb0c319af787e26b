//! The names in a folder, a handful at a time: a folder may hold millions.

use std::collections::VecDeque;

use rustix::fs::{Dir, FileType};

use super::beneath;
use super::bindings::wasi::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use super::code::of_system;
use super::disk::{Disk, Root, Slot};
use super::route::{Route, is_plain};

/// Names that are read at once.
const BATCH: usize = 256;

/// A listing under way.
pub struct Listing {
    /// None where it is at work, or at its end.
    folder: Option<Dir>,
    ready: VecDeque<DirectoryEntry>,
    _slot: Slot,
}

impl Listing {
    pub(super) fn open(root: &Root, route: &Route, slot: Slot) -> Result<Self, ErrorCode> {
        let fd = beneath::open(&root.folder, &route.system(), beneath::FOLDER).map_err(of_system)?;
        let folder = Dir::new(fd).map_err(of_system)?;
        Ok(Self { folder: Some(folder), ready: VecDeque::new(), _slot: slot })
    }

    /// The next name. None at the end.
    pub(super) async fn next(&mut self, disk: &Disk) -> Result<Option<DirectoryEntry>, ErrorCode> {
        if self.ready.is_empty()
            && let Some(mut folder) = self.folder.take()
        {
            let (folder, ready) = disk
                .start(move || {
                    let ready = batch(&mut folder)?;
                    Ok((folder, ready))
                })
                .done()
                .await?;
            self.folder = (!ready.is_empty()).then_some(folder);
            self.ready = ready;
        }
        Ok(self.ready.pop_front())
    }
}

/// Leaves out names that no guest could use: what is no UTF-8, and what `route.rs` refuses.
fn batch(folder: &mut Dir) -> Result<VecDeque<DirectoryEntry>, ErrorCode> {
    let mut entries = VecDeque::new();
    while entries.len() < BATCH
        && let Some(entry) = folder.next()
    {
        let entry = entry.map_err(of_system)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name != "." && name != ".." && is_plain(name) {
            entries.push_back(DirectoryEntry { type_: kind(entry.file_type()), name: name.to_owned() });
        }
    }
    Ok(entries)
}

fn kind(of: FileType) -> DescriptorType {
    match of {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}
