//! `wasi:filesystem`: decode, ask, act, encode.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use super::act::{self, CHUNK, Opened, Time, Want};
use super::ask::{Act, Verb};
use super::bindings::wasi::filesystem::{preopens, types as wit};
use super::code::Fault;
use super::disk::{Folders, Root};
use super::listing::Listing;
use super::route::Route;
use super::stream::{Input, Output};
use crate::broker::{Permit, Session};
use crate::budget::Amount;
use crate::policy::taint::Touch;
use wit::ErrorCode;

/// A file or folder, as a guest holds it.
pub struct Descriptor(Arc<Opened>);

type Fd = Resource<Descriptor>;
type Done<T> = Result<T, Fault>;

/// What `files` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub table: &'a mut ResourceTable,
    pub folders: &'a Folders,
}

struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

/// Offers granted folders to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, Files>(linker, get)?;
    wit::add_to_linker::<T, Files>(linker, get)
}

impl View<'_> {
    fn opened(&self, fd: &Fd) -> Done<Arc<Opened>> {
        Ok(Arc::clone(&self.table.get(fd)?.0))
    }

    /// A folder, and what `path` means in it.
    fn at(&self, fd: &Fd, path: &str) -> Done<(Arc<Root>, Route)> {
        let opened = self.opened(fd)?;
        if !opened.is_folder {
            return Err(ErrorCode::NotDirectory.into());
        }
        Ok((Arc::clone(&opened.root), Route::below(&opened.route, path)?))
    }

    fn file(&self, fd: &Fd) -> Done<Arc<Opened>> {
        let opened = self.opened(fd)?;
        if opened.is_folder { Err(ErrorCode::IsDirectory.into()) } else { Ok(opened) }
    }

    fn written(&self, fd: &Fd) -> Done<Arc<Opened>> {
        let opened = self.file(fd)?;
        if opened.write { Ok(opened) } else { Err(ErrorCode::NotPermitted.into()) }
    }

    async fn permit(&mut self, verb: Verb, root: &Root, route: &Route) -> Done<Permit<Act>> {
        let ask = Act { verb, folder: root.name.clone(), path: route.text() };
        Ok(self.session.permit(ask).await?)
    }

    /// Does what needs no permission of its own: it looks at names and sizes, or goes on with what is open.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
    ) -> Done<T> {
        Ok(self.folders.disk.start(work).done().await?)
    }

    /// Asks, acts, and tells the record what came of it.
    async fn act<T: Send + 'static>(
        &mut self,
        verb: Verb,
        root: Arc<Root>,
        route: Route,
        work: impl FnOnce(&Root, &Route) -> Result<T, ErrorCode> + Send + 'static,
    ) -> Done<T> {
        let permit = self.permit(verb, &root, &route).await?;
        let receipt = permit.receipt();
        let done = self.folders.disk.start(move || acted(permit, || work(&root, &route))).done().await;
        match &done {
            Ok(_) => receipt.close("ok", String::new()),
            Err(code) => receipt.close(code.name(), String::new()),
        }
        Ok(done?)
    }

    /// Names and sizes are the user's as well.
    fn has_looked(&self) {
        self.session.taint().touch(Touch::PRIVATE);
    }
}

/// Acts by `permit`. Files cost nothing.
fn acted<T>(permit: Permit<Act>, work: impl FnOnce() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    let done = work();
    permit.settle(Amount::default());
    done
}

impl preopens::Host for View<'_> {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let mut all = Vec::new();
        for root in &*self.folders.roots {
            let opened = Opened::root(Arc::clone(root), Arc::clone(&self.folders.disk));
            all.push((self.table.push(Descriptor(Arc::new(opened)))?, format!("/{}", root.name)));
        }
        Ok(all)
    }
}

impl wit::Host for View<'_> {
    fn convert_error_code(&mut self, fault: Fault) -> wasmtime::Result<ErrorCode> {
        match fault {
            Fault::Code(code) => Ok(code),
            Fault::Trap(error) => Err(error),
        }
    }

    async fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<ErrorCode>().copied())
    }
}

impl wit::HostDescriptor for View<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: wit::PathFlags,
        path: String,
        open: wit::OpenFlags,
        flags: wit::DescriptorFlags,
    ) -> Done<Fd> {
        use wit::{DescriptorFlags as Flags, OpenFlags as Open};
        let (root, route) = self.at(&fd, &path)?;
        let want = Want {
            read: flags.contains(Flags::READ),
            write: flags.contains(Flags::WRITE),
            create: open.contains(Open::CREATE),
            exclusive: open.contains(Open::EXCLUSIVE),
            truncate: open.contains(Open::TRUNCATE),
            folder_only: open.contains(Open::DIRECTORY),
            follow: path_flags.contains(wit::PathFlags::SYMLINK_FOLLOW),
        };
        if flags.intersects(Flags::FILE_INTEGRITY_SYNC | Flags::DATA_INTEGRITY_SYNC | Flags::REQUESTED_WRITE_SYNC) {
            return Err(ErrorCode::Unsupported.into());
        }
        if want.folder_only && want.changes() {
            return Err(ErrorCode::Invalid.into());
        }
        let disk = Arc::clone(&self.folders.disk);
        if want.folder_only {
            // A folder gives nothing away before it is listed, and that is asked.
            self.has_looked();
            let slot = self.folders.slot()?;
            let opened = self.work(move || act::open(&disk, &root, route, want, slot, None)).await?;
            return Ok(self.table.push(Descriptor(Arc::new(opened)))?);
        }
        let verb = match (want.changes(), want.read) {
            (false, _) => Verb::Read,
            (true, true) => Verb::Change,
            (true, false) => Verb::Write,
        };
        let permit = self.permit(verb, &root, &route).await?;
        let receipt = permit.receipt();
        let slot = self.folders.slot().inspect_err(|code| receipt.close(code.name(), String::new()))?;
        // What is written is told when the file is closed.
        let later = want.changes().then(|| receipt.clone());
        let opened = self
            .work(move || acted(permit, || act::open(&disk, &root, route, want, slot, later)))
            .await
            .inspect_err(|fault| {
                receipt.close(if let Fault::Code(code) = fault { code.name() } else { "failed" }, String::new())
            })?;
        if !want.changes() {
            receipt.close("ok", String::new());
        }
        Ok(self.table.push(Descriptor(Arc::new(opened)))?)
    }

    async fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }

    async fn read_via_stream(&mut self, fd: Fd, offset: u64) -> Done<Resource<DynInputStream>> {
        let file = self.file(&fd)?;
        if !file.read {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let stream: DynInputStream = Box::new(Input::new(Arc::clone(&self.folders.disk), file, offset));
        Ok(self.table.push(stream)?)
    }

    async fn write_via_stream(&mut self, fd: Fd, offset: u64) -> Done<Resource<DynOutputStream>> {
        let file = self.written(&fd)?;
        let stream: DynOutputStream = Box::new(Output::new(Arc::clone(&self.folders.disk), file, Some(offset)));
        Ok(self.table.push(stream)?)
    }

    async fn append_via_stream(&mut self, fd: Fd) -> Done<Resource<DynOutputStream>> {
        let file = self.written(&fd)?;
        let stream: DynOutputStream = Box::new(Output::new(Arc::clone(&self.folders.disk), file, None));
        Ok(self.table.push(stream)?)
    }

    async fn read(&mut self, fd: Fd, length: u64, offset: u64) -> Done<(Vec<u8>, bool)> {
        let file = self.file(&fd)?;
        if !file.read {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let length = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let bytes = self.work(move || file.read(length, offset)).await?;
        let is_end = bytes.is_empty();
        Ok((bytes, is_end))
    }

    async fn write(&mut self, fd: Fd, mut bytes: Vec<u8>, offset: u64) -> Done<u64> {
        let file = self.written(&fd)?;
        bytes.truncate(CHUNK);
        self.work(move || file.write(&bytes, Some(offset)).map(|_| bytes.len() as u64)).await
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> Done<()> {
        let file = self.written(&fd)?;
        self.work(move || file.set_size(size)).await
    }

    async fn set_times(&mut self, fd: Fd, access: wit::NewTimestamp, change: wit::NewTimestamp) -> Done<()> {
        let file = self.written(&fd)?;
        let (access, change) = (time(access)?, time(change)?);
        self.work(move || file.set_times(access, change)).await
    }

    async fn sync(&mut self, fd: Fd) -> Done<()> {
        let opened = self.opened(&fd)?;
        self.work(move || opened.file().sync_all().map_err(|error| super::code::of_io(&error))).await
    }

    async fn sync_data(&mut self, fd: Fd) -> Done<()> {
        let opened = self.opened(&fd)?;
        self.work(move || opened.file().sync_data().map_err(|error| super::code::of_io(&error))).await
    }

    /// Advice is taken and not followed: it changes nothing that a guest could see.
    async fn advise(&mut self, fd: Fd, _: u64, _: u64, _: wit::Advice) -> Done<()> {
        self.file(&fd).map(drop)
    }

    async fn get_flags(&mut self, fd: Fd) -> Done<wit::DescriptorFlags> {
        use wit::DescriptorFlags as Flags;
        let opened = self.opened(&fd)?;
        let mut flags = Flags::empty();
        if opened.read {
            flags |= Flags::READ;
        }
        if opened.is_folder && opened.root.mode == super::Mode::Write {
            flags |= Flags::MUTATE_DIRECTORY;
        }
        if !opened.is_folder && opened.write {
            flags |= Flags::WRITE;
        }
        Ok(flags)
    }

    async fn get_type(&mut self, fd: Fd) -> Done<wit::DescriptorType> {
        let is_folder = self.opened(&fd)?.is_folder;
        Ok(if is_folder { wit::DescriptorType::Directory } else { wit::DescriptorType::RegularFile })
    }

    async fn read_directory(&mut self, fd: Fd) -> Done<Resource<Listing>> {
        let opened = self.opened(&fd)?;
        if !opened.is_folder {
            return Err(ErrorCode::NotDirectory.into());
        }
        let slot = self.folders.slot()?;
        let (root, route) = (Arc::clone(&opened.root), opened.route.clone());
        let listing = self.act(Verb::Read, root, route, move |root, route| Listing::open(root, route, slot)).await?;
        Ok(self.table.push(listing)?)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> Done<()> {
        let (root, route) = self.at(&fd, &path)?;
        self.act(Verb::Write, root, route, act::make_folder).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> Done<()> {
        let (root, route) = self.at(&fd, &path)?;
        self.act(Verb::Remove, root, route, |root, route| act::remove(root, route, true)).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> Done<()> {
        let (root, route) = self.at(&fd, &path)?;
        self.act(Verb::Remove, root, route, |root, route| act::remove(root, route, false)).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, new_path: String) -> Done<()> {
        let (root, from) = self.at(&fd, &path)?;
        let (new_root, to) = self.at(&to, &new_path)?;
        if !Arc::ptr_eq(&root, &new_root) {
            // Two folders may have different rights and quotas. A program copies then, and each step is asked.
            return self.act(Verb::Write, new_root, to, |_, _| Err(ErrorCode::CrossDevice)).await;
        }
        self.act(Verb::Rename, root, from, move |root, from| act::rename(root, from, &to)).await
    }

    async fn link_at(&mut self, fd: Fd, _: wit::PathFlags, _: String, to: Fd, new_path: String) -> Done<()> {
        self.opened(&fd)?;
        let (root, route) = self.at(&to, &new_path)?;
        // Never allowed, and on record.
        self.act(Verb::Link, root, route, |_, _| Err(ErrorCode::NotPermitted)).await
    }

    async fn symlink_at(&mut self, fd: Fd, _: String, path: String) -> Done<()> {
        let (root, route) = self.at(&fd, &path)?;
        self.act(Verb::Link, root, route, |_, _| Err(ErrorCode::NotPermitted)).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> Done<String> {
        let (root, route) = self.at(&fd, &path)?;
        self.has_looked();
        self.work(move || act::read_link(&root, &route)).await
    }

    async fn stat(&mut self, fd: Fd) -> Done<wit::DescriptorStat> {
        let opened = self.opened(&fd)?;
        self.has_looked();
        self.work(move || opened.file().metadata().map_err(|error| super::code::of_io(&error)))
            .await
            .map(|found| stat(&found))
    }

    async fn stat_at(&mut self, fd: Fd, flags: wit::PathFlags, path: String) -> Done<wit::DescriptorStat> {
        let (root, route) = self.at(&fd, &path)?;
        self.has_looked();
        let follow = flags.contains(wit::PathFlags::SYMLINK_FOLLOW);
        self.work(move || act::look(&root, &route, follow)).await.map(|found| stat(&found))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        _: wit::PathFlags,
        path: String,
        access: wit::NewTimestamp,
        change: wit::NewTimestamp,
    ) -> Done<()> {
        let (root, route) = self.at(&fd, &path)?;
        let (access, change) = (time(access)?, time(change)?);
        let set = move |root: &Root, route: &Route| act::set_times(root, route, access, change);
        self.act(Verb::Write, root, route, set).await
    }

    async fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        let (one, two) = (Arc::clone(&self.table.get(&fd)?.0), Arc::clone(&self.table.get(&other)?.0));
        let same = move || {
            let id = |of: &Opened| of.file().metadata().ok().map(|found| (found.dev(), found.ino()));
            Ok(id(&one).is_some_and(|id_of_one| id(&two) == Some(id_of_one)))
        };
        Ok(self.folders.disk.start(same).done().await.unwrap_or(false))
    }

    async fn metadata_hash(&mut self, fd: Fd) -> Done<wit::MetadataHashValue> {
        let opened = self.opened(&fd)?;
        self.work(move || opened.file().metadata().map_err(|error| super::code::of_io(&error)))
            .await
            .map(|found| hash(&found))
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: wit::PathFlags, path: String) -> Done<wit::MetadataHashValue> {
        let (root, route) = self.at(&fd, &path)?;
        self.has_looked();
        let follow = flags.contains(wit::PathFlags::SYMLINK_FOLLOW);
        self.work(move || act::look(&root, &route, follow)).await.map(|found| hash(&found))
    }
}

impl wit::HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(&mut self, stream: Resource<Listing>) -> Done<Option<wit::DirectoryEntry>> {
        let disk = &self.folders.disk;
        Ok(self.table.get_mut(&stream)?.next(disk).await?)
    }

    async fn drop(&mut self, stream: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

fn stat(found: &std::fs::Metadata) -> wit::DescriptorStat {
    let time = |time: std::io::Result<SystemTime>| {
        let since = time.ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() })
    };
    let changed = u64::try_from(found.ctime()).ok().zip(u32::try_from(found.ctime_nsec()).ok());
    wit::DescriptorStat {
        type_: act::kind(found.file_type()),
        link_count: found.nlink(),
        size: found.len(),
        data_access_timestamp: time(found.accessed()),
        data_modification_timestamp: time(found.modified()),
        status_change_timestamp: changed.map(|(seconds, nanoseconds)| Datetime { seconds, nanoseconds }),
    }
}

/// Tells one file from another, and nothing about where it is.
fn hash(found: &std::fs::Metadata) -> wit::MetadataHashValue {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, found.dev(), found.ino()).hash(&mut hasher);
        hasher.finish()
    };
    wit::MetadataHashValue { lower: half(0), upper: half(1) }
}

fn time(time: wit::NewTimestamp) -> Result<Time, ErrorCode> {
    match time {
        wit::NewTimestamp::NoChange => Ok(Time::Same),
        wit::NewTimestamp::Now => Ok(Time::Now),
        wit::NewTimestamp::Timestamp(at) => {
            let nanos = Duration::from_nanos(at.nanoseconds.into());
            let since = Duration::from_secs(at.seconds).checked_add(nanos).ok_or(ErrorCode::Overflow)?;
            SystemTime::UNIX_EPOCH.checked_add(since).map(Time::At).ok_or(ErrorCode::Overflow)
        }
    }
}
