//! What is done in the file system. Everything here may block, and runs where that harms nobody.

use std::fs::{File, FileTimes, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode as Bits, OFlags, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use super::beneath;
use super::bindings::wasi::filesystem::types::{DescriptorType, ErrorCode};
use super::code::{of_io, of_system};
use super::disk::{Disk, Root, Slot};
use super::grant::Mode;
use super::route::Route;
use crate::broker::Receipt;

/// Most bytes that one call reads or writes.
pub(super) const CHUNK: usize = 64 << 10;

/// How a guest wants to open something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Want {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) folder_only: bool,
    pub(super) follow: bool,
}

impl Want {
    pub(super) fn changes(self) -> bool {
        self.write || self.create || self.truncate
    }
}

/// A file or folder that a guest has open.
pub(super) struct Opened {
    pub(super) root: Arc<Root>,
    pub(super) route: Route,
    pub(super) is_folder: bool,
    pub(super) read: bool,
    pub(super) write: bool,
    /// None for the granted folder itself, which stays open as long as the invocation.
    own: Option<Own>,
    disk: Arc<Disk>,
}

struct Own {
    file: File,
    id: (u64, u64),
    tally: Option<Tally>,
    _slot: Slot,
}

/// What became of an open for writing. It is told when the file is closed.
struct Tally {
    receipt: Receipt,
    written: AtomicU64,
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.receipt.close("ok", format!("bytes={}", self.written.load(Ordering::Relaxed)));
    }
}

impl Opened {
    pub(super) fn root(root: Arc<Root>, disk: Arc<Disk>) -> Self {
        let write = root.mode == Mode::Write;
        Self { root, route: Route::default(), is_folder: true, read: true, write, own: None, disk }
    }

    pub(super) fn file(&self) -> &File {
        self.own.as_ref().map_or(&self.root.folder, |own| &own.file)
    }

    /// Tells the record how an open for writing ended, where it ended badly.
    fn note<T>(&self, result: &Result<T, ErrorCode>) {
        if let (Some(tally), Err(code)) = (self.own.as_ref().and_then(|own| own.tally.as_ref()), result) {
            tally.receipt.close(code.name(), "while it was written".into());
        }
    }

    pub(super) fn read(&self, length: usize, at: u64) -> Result<Vec<u8>, ErrorCode> {
        let mut bytes = vec![0; length.min(CHUNK)];
        let count = loop {
            match self.file().read_at(&mut bytes, at) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                done => break done.map_err(|error| of_io(&error))?,
            }
        };
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes all of it; at the end where no place is given. Gives the place after it.
    pub(super) fn write(&self, bytes: &[u8], at: Option<u64>) -> Result<u64, ErrorCode> {
        let done = self.write_counted(bytes, at);
        self.note(&done);
        done
    }

    fn write_counted(&self, bytes: &[u8], at: Option<u64>) -> Result<u64, ErrorCode> {
        let mut count = self.root.quota.lock();
        let before = self.file().metadata().map_err(|error| of_io(&error))?.len();
        let begin = at.unwrap_or(before);
        let end = begin.checked_add(bytes.len() as u64).ok_or(ErrorCode::FileTooLarge)?;
        let wanted = before.max(end);
        count.resize(before, wanted, self.root.most)?;
        let written = self.file().write_all_at(bytes, begin);
        let after = self.file().metadata().map_or(wanted, |found| found.len());
        count.resize(wanted, after.min(wanted), self.root.most)?;
        if let Some(tally) = self.own.as_ref().and_then(|own| own.tally.as_ref()) {
            tally.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        written.map(|()| end).map_err(|error| of_io(&error))
    }

    pub(super) fn set_size(&self, size: u64) -> Result<(), ErrorCode> {
        let resize = || {
            let mut count = self.root.quota.lock();
            let before = self.file().metadata().map_err(|error| of_io(&error))?.len();
            count.resize(before, size, self.root.most)?;
            self.file().set_len(size).map_err(|error| {
                // It is as it was.
                let _ = count.resize(size, before, self.root.most);
                of_io(&error)
            })
        };
        let done = resize();
        self.note(&done);
        done
    }

    pub(super) fn set_times(&self, access: Time, change: Time) -> Result<(), ErrorCode> {
        let mut times = FileTimes::new();
        if let Some(time) = access.resolve() {
            times = times.set_accessed(time);
        }
        if let Some(time) = change.resolve() {
            times = times.set_modified(time);
        }
        self.file().set_times(times).map_err(|error| of_io(&error))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(own) = self.own.take() else { return };
        if self.is_folder || self.root.mode == Mode::Read {
            return;
        }
        let root = Arc::clone(&self.root);
        let close = move |count: &mut super::quota::Count| {
            count.closed(own.id, own.file.metadata().map_or(0, |found| found.len()));
        };
        match self.root.quota.try_lock() {
            Some(mut count) => close(&mut count),
            // Somebody writes. This may be a thread that runs guests: it does not wait for a disk.
            None => self.disk.close_elsewhere(move || close(&mut root.quota.lock())),
        }
    }
}

/// A time that a guest gives a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    Same,
    Now,
    At(SystemTime),
}

impl Time {
    fn resolve(self) -> Option<SystemTime> {
        match self {
            Self::Same => None,
            Self::Now => Some(SystemTime::now()),
            Self::At(time) => Some(time),
        }
    }

    fn spec(self) -> Result<rustix::fs::Timespec, ErrorCode> {
        let flag = |nanos| rustix::fs::Timespec { tv_sec: 0, tv_nsec: nanos };
        match self {
            Self::Same => Ok(flag(UTIME_OMIT)),
            Self::Now => Ok(flag(UTIME_NOW)),
            Self::At(time) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| ErrorCode::Overflow)?;
                let seconds = since.as_secs().try_into().map_err(|_| ErrorCode::Overflow)?;
                Ok(rustix::fs::Timespec { tv_sec: seconds, tv_nsec: since.subsec_nanos().into() })
            }
        }
    }
}

/// Opens a regular file or a folder, and nothing else. `receipt` is of an act that writes.
pub(super) fn open(
    disk: &Arc<Disk>,
    root: &Arc<Root>,
    route: Route,
    want: Want,
    slot: Slot,
    receipt: Option<Receipt>,
) -> Result<Opened, ErrorCode> {
    if want.changes() && root.mode == Mode::Read {
        return Err(ErrorCode::NotPermitted);
    }
    let folder_only = want.folder_only || route.folder_only;
    let access = match (want.read, want.changes()) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    let mut flags = beneath::OPEN | access;
    flags.set(OFlags::NOFOLLOW, !want.follow);
    flags.set(OFlags::DIRECTORY, folder_only);
    let path = route.system();
    let mut count = (root.mode == Mode::Write).then(|| root.quota.lock());
    if let Some(count) = count.as_mut().filter(|_| want.changes()) {
        count.settle(&root.folder, root.most)?;
    }
    let found = match want.create && want.exclusive {
        true => Err(Errno::NOENT),
        false => beneath::open(&root.folder, &path, flags),
    };
    let (fd, is_new) = match (found, count.as_mut()) {
        (Ok(fd), _) => (fd, false),
        (Err(Errno::NOENT), Some(count)) if want.create && !folder_only => {
            count.make(root.most)?;
            let made = beneath::make(&root.folder, &path, flags);
            (made.inspect_err(|_| count.unmake()).map_err(of_system)?, true)
        }
        (Err(error), _) => return Err(of_system(error)),
    };
    let file = File::from(fd);
    let mut found = file.metadata().map_err(|error| of_io(&error))?;
    check(root, &found)?;
    if want.truncate && found.is_file() && !is_new {
        file.set_len(0).map_err(|error| of_io(&error))?;
        if let Some(count) = &mut count {
            count.resize(found.len(), 0, root.most)?;
        }
        found = file.metadata().map_err(|error| of_io(&error))?;
    }
    let id = (found.dev(), found.ino());
    if let Some(count) = count.as_mut().filter(|_| found.is_file()) {
        count.opened(id);
    }
    drop(count);
    let tally = receipt.map(|receipt| Tally { receipt, written: AtomicU64::new(0) });
    Ok(Opened {
        root: Arc::clone(root),
        route,
        is_folder: found.is_dir(),
        read: want.read || !want.changes(),
        write: want.changes(),
        own: Some(Own { file, id, tally, _slot: slot }),
        disk: Arc::clone(disk),
    })
}

/// Only regular files and folders, and no file that another user has linked in from elsewhere.
fn check(root: &Root, found: &Metadata) -> Result<(), ErrorCode> {
    let is_foreign = found.is_file() && found.nlink() > 1 && found.uid() != root.owner;
    match (found.is_file() || found.is_dir()) && !is_foreign {
        true => Ok(()),
        false => Err(ErrorCode::NotPermitted),
    }
}

/// What is at a path, without opening it.
pub(super) fn look(root: &Root, route: &Route, follow: bool) -> Result<Metadata, ErrorCode> {
    let mut flags = beneath::LOOK;
    flags.set(OFlags::NOFOLLOW, !follow);
    let fd = beneath::open(&root.folder, &route.system(), flags).map_err(of_system)?;
    let found = File::from(fd).metadata().map_err(|error| of_io(&error))?;
    if route.folder_only && !found.is_dir() {
        return Err(ErrorCode::NotDirectory);
    }
    Ok(found)
}

/// The folder that something is in. In it, a single name is all that the system gets.
fn above<'r>(root: &Root, route: &'r Route) -> Result<(OwnedFd, &'r str), ErrorCode> {
    let (above, name) = route.split().ok_or(ErrorCode::NotPermitted)?;
    let fd = beneath::open(&root.folder, &above, beneath::LOOK | OFlags::DIRECTORY).map_err(of_system)?;
    Ok((fd, name))
}

pub(super) fn make_folder(root: &Root, route: &Route) -> Result<(), ErrorCode> {
    let (above, name) = above(root, route)?;
    let mut count = root.quota.lock();
    count.settle(&root.folder, root.most)?;
    count.make(root.most)?;
    rustix::fs::mkdirat(&above, name, Bits::from_raw_mode(0o777)).map_err(|error| {
        count.unmake();
        of_system(error)
    })
}

pub(super) fn remove(root: &Root, route: &Route, is_folder: bool) -> Result<(), ErrorCode> {
    let (above, name) = above(root, route)?;
    let mut count = root.quota.lock();
    let found = look(root, route, false)?;
    let flags = match is_folder {
        true => AtFlags::REMOVEDIR,
        false if found.is_dir() => return Err(ErrorCode::IsDirectory),
        // Pipes, sockets and devices belong to other programs.
        false if !found.is_file() && !found.is_symlink() => return Err(ErrorCode::NotPermitted),
        false => AtFlags::empty(),
    };
    rustix::fs::unlinkat(&above, name, flags).map_err(of_system)?;
    count.removed(&found);
    Ok(())
}

/// Renames inside of one granted folder.
pub(super) fn rename(root: &Root, from: &Route, to: &Route) -> Result<(), ErrorCode> {
    let ((old, old_name), (new, new_name)) = (above(root, from)?, above(root, to)?);
    let mut count = root.quota.lock();
    let found = look(root, from, false)?;
    if !found.is_file() && !found.is_dir() {
        // A link means something else in another place.
        return Err(ErrorCode::NotPermitted);
    }
    if to.folder_only && !found.is_dir() {
        return Err(ErrorCode::NotDirectory);
    }
    if found.is_dir() && to.depth() > from.depth() {
        // Folder by folder, moving would lead deeper than any path may be. A program copies then.
        return Err(ErrorCode::CrossDevice);
    }
    let replaced = match look(root, &to.any_kind(), false) {
        Ok(replaced) => Some(replaced).filter(|other| (other.dev(), other.ino()) != (found.dev(), found.ino())),
        Err(ErrorCode::NoEntry) => None,
        Err(code) => return Err(code),
    };
    if replaced.as_ref().is_some_and(|other| !other.is_file() && !other.is_dir() && !other.is_symlink()) {
        return Err(ErrorCode::NotPermitted);
    }
    rustix::fs::renameat(&old, old_name, &new, new_name).map_err(of_system)?;
    if let Some(replaced) = replaced {
        count.removed(&replaced);
    }
    Ok(())
}

pub(super) fn set_times(root: &Root, route: &Route, access: Time, change: Time) -> Result<(), ErrorCode> {
    let (above, name) = above(root, route)?;
    check(root, &look(root, route, false)?)?;
    let times = Timestamps { last_access: access.spec()?, last_modification: change.spec()? };
    rustix::fs::utimensat(&above, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(of_system)
}

/// Where a link leads, unless that tells where things are on this machine.
pub(super) fn read_link(root: &Root, route: &Route) -> Result<String, ErrorCode> {
    let (above, name) = above(root, route)?;
    let target = rustix::fs::readlinkat(&above, name, Vec::new()).map_err(of_system)?;
    let target = target.into_string().map_err(|_| ErrorCode::IllegalByteSequence)?;
    if target.starts_with('/') { Err(ErrorCode::NotPermitted) } else { Ok(target) }
}

/// In WASI's words.
pub(super) fn kind(of: std::fs::FileType) -> DescriptorType {
    match of {
        of if of.is_file() => DescriptorType::RegularFile,
        of if of.is_dir() => DescriptorType::Directory,
        of if of.is_symlink() => DescriptorType::SymbolicLink,
        of if of.is_fifo() => DescriptorType::Fifo,
        of if of.is_socket() => DescriptorType::Socket,
        of if of.is_block_device() => DescriptorType::BlockDevice,
        of if of.is_char_device() => DescriptorType::CharacterDevice,
        _ => DescriptorType::Unknown,
    }
}
