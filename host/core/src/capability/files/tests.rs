use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{Resource, ResourceTable};

use super::act::CHUNK;
use super::bindings::wasi::filesystem::preopens::Host as _;
use super::bindings::wasi::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, HostDirectoryEntryStream as _, NewTimestamp, OpenFlags, PathFlags,
};
use super::code::Fault;
use super::*;
use crate::broker::{Session, Setup, Shared};
use crate::budget::{Budgets, Treasury};
use crate::journal::audit::{Event, Filter};
use crate::policy::taint::Touch;
use crate::policy::{Grantable as _, Grants};
use crate::state::State;
use crate::state::testing::temporary;

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const SECRET: &str = "what nobody may see";

/// A guest with the folders `in` (read) and `out` (write), and beside them `secret.txt`.
struct Guest {
    dir: tempfile::TempDir,
    _state: (tempfile::TempDir, State),
    shared: Arc<Shared>,
    session: Session,
    table: ResourceTable,
    folders: Folders,
}

type Fd = Resource<Descriptor>;

/// What a guest is told. Anything that would end its invocation is none of it.
fn told<T>(done: Result<T, Fault>) -> Result<T, ErrorCode> {
    done.map_err(|fault| match fault {
        Fault::Code(code) => code,
        Fault::Trap(error) => panic!("{error:#}"),
    })
}

impl Guest {
    async fn new() -> Self {
        Self::with("").await
    }

    /// `more` is added to the grant of `out`.
    async fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["in", "out"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("a.txt"), "inside").unwrap();
        }
        std::fs::write(dir.path().join("secret.txt"), SECRET).unwrap();
        let (state_dir, state) = temporary();
        let disk = Disk::new(tokio::runtime::Handle::current(), Places::default());
        let at = dir.path().display();
        let grant = Grant::parse(Some(&format!("in:{at}/in,out:{at}/out:write{more}"))).unwrap();
        let grant = disk.settle(grant).await.unwrap();
        let folders = disk.open(Some(&grant)).await.unwrap();
        let treasury = Treasury::open(state.clone()).await.unwrap();
        let shared = Shared::on(state.clone(), Default::default());
        let ledger = treasury.ledger("a", "1", &Budgets::default());
        let grants = Grants { files: Some(grant), ..Grants::default() };
        let session = Session::new(Setup::of(Arc::clone(&shared), grants, ledger));
        Self { dir, _state: (state_dir, state), shared, session, table: ResourceTable::new(), folders }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn view(&mut self) -> View<'_> {
        View { session: &self.session, table: &mut self.table, folders: &self.folders }
    }

    /// A handle of a granted folder.
    async fn folder(&mut self, name: &str) -> Fd {
        let all = self.view().get_directories().await.unwrap();
        all.into_iter().find(|(_, path)| path.strip_prefix('/') == Some(name)).unwrap().0
    }

    async fn open(
        &mut self,
        folder: &str,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Fd, ErrorCode> {
        let fd = self.folder(folder).await;
        told(self.view().open_at(fd, FOLLOW, path.into(), open, flags).await)
    }

    async fn close(&mut self, fd: Fd) {
        HostDescriptor::drop(&mut self.view(), fd).await.unwrap();
    }

    async fn read(&mut self, folder: &str, path: &str) -> Result<String, ErrorCode> {
        let fd = self.open(folder, path, OpenFlags::empty(), READ).await?;
        let done = told(self.view().read(Resource::new_borrow(fd.rep()), 1000, 0).await);
        self.close(fd).await;
        done.map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    /// Makes or empties a file and writes it.
    async fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), ErrorCode> {
        let fd = self.open("out", path, OpenFlags::CREATE | OpenFlags::TRUNCATE, WRITE).await?;
        let mut done = Ok(());
        for (at, chunk) in bytes.chunks(CHUNK).enumerate() {
            let wrote = self.view().write(Resource::new_borrow(fd.rep()), chunk.to_vec(), (at * CHUNK) as u64).await;
            done = done.and(told(wrote).map(drop));
        }
        self.close(fd).await;
        done
    }

    async fn list(&mut self, folder: &str) -> Vec<String> {
        let fd = self.folder(folder).await;
        let stream = told(self.view().read_directory(fd).await).unwrap();
        let mut names = Vec::new();
        let next = |stream: &Resource<Listing>| Resource::new_borrow(stream.rep());
        while let Some(entry) = told(self.view().read_directory_entry(next(&stream)).await).unwrap() {
            names.push(entry.name);
        }
        names.sort();
        names
    }

    async fn rename(&mut self, from: (&str, &str), to: (&str, &str)) -> Result<(), ErrorCode> {
        let (old, new) = (self.folder(from.0).await, self.folder(to.0).await);
        told(self.view().rename_at(old, from.1.into(), new, to.1.into()).await)
    }

    async fn remove(&mut self, path: &str) -> Result<(), ErrorCode> {
        let fd = self.folder("out").await;
        told(self.view().unlink_file_at(fd, path.into()).await)
    }

    async fn make_folder(&mut self, folder: &str, path: &str) -> Result<(), ErrorCode> {
        let fd = self.folder(folder).await;
        told(self.view().create_directory_at(fd, path.into()).await)
    }
}

/// Time of last reading and of last change.
fn times(path: &Path) -> (i64, i64, i64, i64) {
    let found = std::fs::metadata(path).unwrap();
    (found.atime(), found.atime_nsec(), found.mtime(), found.mtime_nsec())
}

#[tokio::test]
async fn files_are_read_listed_written_renamed_and_removed() {
    let mut guest = Guest::new().await;
    assert_eq!(guest.read("in", "a.txt").await.as_deref(), Ok("inside"));
    assert_eq!(guest.read("in", "none").await, Err(ErrorCode::NoEntry));
    let long = vec![b'x'; CHUNK * 2 + 5];
    guest.write("b.txt", &long).await.unwrap();
    assert_eq!(std::fs::read(guest.path("out/b.txt")).unwrap(), long);
    guest.make_folder("out", "sub/").await.unwrap();
    guest.rename(("out", "b.txt"), ("out", "sub/c.txt")).await.unwrap();
    assert_eq!(guest.list("out").await, ["a.txt", "sub"]);
    guest.remove("sub/c.txt").await.unwrap();
    let fd = guest.folder("out").await;
    told(guest.view().remove_directory_at(fd, "sub".into()).await).unwrap();
    assert_eq!(guest.list("out").await, ["a.txt"]);
    let fd = guest.folder("in").await;
    let stat = told(guest.view().stat_at(fd, FOLLOW, "a.txt".into()).await).unwrap();
    assert_eq!(stat.size, 6);
}

#[tokio::test]
async fn streams_read_and_write_in_order_and_empty_writes_are_nothing() {
    let mut guest = Guest::with(":max-bytes=100000").await;
    let fd = guest.open("out", "s", OpenFlags::CREATE, READ | WRITE).await.unwrap();
    let borrow = || Resource::new_borrow(fd.rep());
    let stream = told(guest.view().write_via_stream(borrow(), 0).await).unwrap();
    let mut out = guest.table.delete(stream).unwrap();
    for _ in 0..1000 {
        out.write(bytes::Bytes::new()).unwrap();
    }
    assert_eq!(out.check_write().unwrap(), CHUNK, "an empty write is nothing that could queue up");
    out.blocking_write_and_flush(bytes::Bytes::from_static(b"one ")).await.unwrap();
    out.blocking_write_and_flush(bytes::Bytes::from_static(b"two ")).await.unwrap();
    let stream = told(guest.view().append_via_stream(borrow()).await).unwrap();
    let mut end = guest.table.delete(stream).unwrap();
    end.blocking_write_and_flush(bytes::Bytes::from_static(b"three")).await.unwrap();
    assert_eq!(std::fs::read(guest.path("out/s")).unwrap(), b"one two three");
    // More than was allowed is the guest's mistake; more than the quota is told.
    assert!(out.write(bytes::Bytes::from(vec![0; CHUNK + 1])).is_err());
    let full = bytes::Bytes::from(vec![0; CHUNK]);
    end.blocking_write_and_flush(full.clone()).await.unwrap();
    let refused = end.blocking_write_and_flush(full).await.unwrap_err();
    assert!(refused.to_string().contains("quota"), "{refused}");
    let stream = told(guest.view().read_via_stream(borrow(), 4).await).unwrap();
    let mut input = guest.table.delete(stream).unwrap();
    assert_eq!(&*input.blocking_read(3).await.unwrap(), b"two");
    assert_eq!(&*input.blocking_read(6).await.unwrap(), b" three");
}

#[tokio::test]
async fn t51_no_path_leads_out_and_nothing_is_touched() {
    let mut guest = Guest::new().await;
    let canary = guest.path("secret.txt");
    let before = times(&canary);
    let absolute = canary.display().to_string();
    for path in
        ["../secret.txt", &*absolute, "a/../../secret.txt", "..", "/", "//", "", "a.txt/..", "a\\..\\..\\secret.txt"]
    {
        for folder in ["in", "out"] {
            let told = guest.read(folder, path).await.unwrap_err();
            let refused = [ErrorCode::NotPermitted, ErrorCode::NoEntry, ErrorCode::Invalid];
            assert!(refused.contains(&told), "{path:?} gives {told}");
        }
        assert!(guest.write(path, b"x").await.is_err(), "{path:?}");
        assert!(guest.make_folder("out", path).await.is_err(), "{path:?}");
        assert!(guest.remove(path).await.is_err(), "{path:?}");
        assert!(guest.rename(("out", "a.txt"), ("out", path)).await.is_err(), "{path:?}");
        assert!(guest.rename(("out", path), ("out", "b.txt")).await.is_err(), "{path:?}");
        let fd = guest.folder("in").await;
        assert!(guest.view().stat_at(fd, FOLLOW, path.into()).await.is_err(), "{path:?}");
    }
    assert_eq!(times(&canary), before);
    assert_eq!(std::fs::read_to_string(&canary).unwrap(), SECRET);
    // A file is no folder, whatever stands after it.
    for path in ["a.txt/", "a.txt/."] {
        assert_eq!(guest.read("in", path).await, Err(ErrorCode::NotDirectory), "{path}");
    }
    assert_eq!(guest.read("in", ".").await, Err(ErrorCode::IsDirectory));
}

#[tokio::test]
async fn t52_links_that_lead_out_are_not_followed() {
    let mut guest = Guest::new().await;
    let secret = guest.path("secret.txt");
    let at = guest.path("out");
    let fd = std::fs::File::open(&secret).unwrap();
    let magic = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    for (name, target) in [
        ("absolute", secret.to_str().unwrap()),
        ("relative", "../secret.txt"),
        ("folder", ".."),
        ("environment", "/proc/self/environ"),
        ("magic", &magic),
        ("other", "../in"),
        ("loop", "loop"),
    ] {
        symlink(target, at.join(name)).unwrap();
    }
    symlink("absolute", at.join("chain-0")).unwrap();
    for n in 1..50 {
        symlink(format!("chain-{}", n - 1), at.join(format!("chain-{n}"))).unwrap();
    }
    let refused = [ErrorCode::NotPermitted, ErrorCode::Loop, ErrorCode::NotDirectory];
    for path in [
        "absolute",
        "absolute/",
        "relative",
        "folder/secret.txt",
        "folder/",
        "environment",
        "magic",
        "magic/",
        "other/a.txt",
        "loop",
        "loop/x",
        "chain-49",
        "chain-5",
    ] {
        for flags in [READ, WRITE, READ | WRITE] {
            let told = guest.open("out", path, OpenFlags::empty(), flags).await.map(drop).unwrap_err();
            assert!(refused.contains(&told), "{path} gives {told}");
        }
        let making = guest.open("out", path, OpenFlags::CREATE | OpenFlags::TRUNCATE, WRITE).await.map(drop);
        assert!(making.is_err(), "{path}");
        let fd = guest.folder("out").await;
        assert!(guest.view().stat_at(fd, FOLLOW, path.into()).await.is_err(), "{path}");
    }
    let before = times(&secret);
    for path in ["absolute", "relative", "folder/secret.txt", "magic", "chain-5"] {
        let fd = guest.folder("out").await;
        let set = guest.view().set_times_at(fd, FOLLOW, path.into(), NewTimestamp::Now, NewTimestamp::Now).await;
        assert!(refused.contains(&told(set).unwrap_err()), "{path}");
    }
    assert_eq!(times(&secret), before);
    // Where a link leads outside is not told either, and a link is not moved to where it would mean something else.
    let fd = guest.folder("out").await;
    assert!(guest.view().readlink_at(fd, "absolute".into()).await.is_err());
    for name in ["relative", "relative/", "folder", "folder/"] {
        assert!(guest.rename(("out", name), ("out", "moved")).await.is_err(), "{name}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), SECRET);
    // What stays inside is followed.
    symlink("a.txt", at.join("inside")).unwrap();
    assert_eq!(guest.read("out", "inside").await.as_deref(), Ok("inside"));
    // The link itself may go. What it leads to stays.
    guest.remove("absolute").await.unwrap();
    assert!(secret.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t53_a_folder_that_becomes_a_link_meanwhile_lets_nobody_out() {
    /// Opens. The other thread changes what is there as often as it can.
    const OPENS: usize = 10_000;

    let mut guest = Guest::new().await;
    let (dir, link, real) = (guest.path("in/dir"), guest.path("in/.link"), guest.path("in/.real"));
    std::fs::create_dir(guest.path("outside")).unwrap();
    std::fs::write(guest.path("outside/f"), SECRET).unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "inside").unwrap();
    symlink("../outside", &link).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut swaps = 0u64;
            while !stop.load(Ordering::Relaxed) {
                std::fs::rename(&dir, &real).unwrap();
                std::fs::rename(&link, &dir).unwrap();
                std::fs::rename(&dir, &link).unwrap();
                std::fs::rename(&real, &dir).unwrap();
                swaps += 1;
            }
            swaps
        })
    };
    let (mut inside, mut refused) = (0, 0);
    for _ in 0..OPENS {
        match guest.read("in", "dir/f").await {
            Ok(text) => {
                assert_eq!(text, "inside");
                inside += 1;
            }
            Err(_) => refused += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().unwrap();
    println!("{OPENS} opens beside {swaps} swaps: {inside} inside, {refused} refused");
    assert!(
        inside > 0 && refused > 0 && swaps > 100,
        "the two never met: {inside} inside, {refused} refused, {swaps} swaps"
    );
}

#[tokio::test]
async fn t54_what_is_read_only_stays_as_it_is() {
    let mut guest = Guest::new().await;
    let file = guest.path("in/a.txt");
    let before = std::fs::metadata(&file).unwrap();
    for (open, flags) in [
        (OpenFlags::TRUNCATE, READ),
        (OpenFlags::TRUNCATE, DescriptorFlags::empty()),
        (OpenFlags::empty(), WRITE),
        (OpenFlags::empty(), READ | WRITE),
        (OpenFlags::CREATE, READ),
        (OpenFlags::CREATE | OpenFlags::TRUNCATE, WRITE),
        (OpenFlags::CREATE | OpenFlags::EXCLUSIVE, WRITE),
    ] {
        assert_eq!(
            guest.open("in", "a.txt", open, flags).await.map(drop),
            Err(ErrorCode::NotPermitted),
            "{open:?} {flags:?}"
        );
        let new = guest.open("in", "new", open, flags).await.map(drop);
        assert!(matches!(new, Err(ErrorCode::NotPermitted | ErrorCode::NoEntry)), "{open:?} {flags:?}");
    }
    let fd = guest.open("in", "a.txt", OpenFlags::empty(), READ).await.unwrap();
    let borrow = || Resource::new_borrow(fd.rep());
    assert!(guest.view().write(borrow(), b"x".to_vec(), 0).await.is_err());
    assert!(guest.view().set_size(borrow(), 0).await.is_err());
    assert!(guest.view().set_times(borrow(), NewTimestamp::Now, NewTimestamp::Now).await.is_err());
    assert!(guest.view().write_via_stream(borrow(), 0).await.is_err());
    assert!(guest.view().append_via_stream(borrow()).await.is_err());
    let of_in = guest.folder("in").await.rep();
    let of_out = guest.folder("out").await.rep();
    let (of_in, of_out) = (|| Resource::new_borrow(of_in), || Resource::new_borrow(of_out));
    assert!(
        guest.view().set_times_at(of_in(), FOLLOW, "a.txt".into(), NewTimestamp::Now, NewTimestamp::Now).await.is_err()
    );
    assert!(guest.view().unlink_file_at(of_in(), "a.txt".into()).await.is_err());
    for (from, to) in [(of_in(), of_in()), (of_in(), of_out()), (of_out(), of_in()), (of_out(), of_out())] {
        assert!(guest.view().link_at(from, PathFlags::empty(), "a.txt".into(), to, "l".into()).await.is_err());
    }
    assert!(guest.view().symlink_at(of_in(), "a.txt".into(), "l".into()).await.is_err());
    assert!(guest.view().symlink_at(of_out(), "a.txt".into(), "l".into()).await.is_err(), "nor where it may write");
    assert_eq!(guest.make_folder("in", "sub").await, Err(ErrorCode::NotPermitted));
    assert_eq!(guest.rename(("in", "a.txt"), ("in", "b.txt")).await, Err(ErrorCode::NotPermitted));
    assert_eq!(guest.rename(("out", "a.txt"), ("in", "b.txt")).await, Err(ErrorCode::NotPermitted));
    assert_eq!(guest.rename(("in", "a.txt"), ("out", "b.txt")).await, Err(ErrorCode::CrossDevice));
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!((before.modified().unwrap(), before.ino()), (after.modified().unwrap(), after.ino()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "inside");
    assert_eq!(guest.list("in").await, ["a.txt"]);
    assert_eq!(guest.list("out").await, ["a.txt"]);
}

#[tokio::test]
async fn t55_a_linked_file_of_another_owner_is_refused() {
    let mut guest = Guest::new().await;
    std::fs::hard_link(guest.path("secret.txt"), guest.path("in/linked")).unwrap();
    assert_eq!(guest.read("in", "linked").await.as_deref(), Ok(SECRET), "the user's own file, put there by the user");
    // As if the folder were somebody else's: giving files away needs the administrator.
    let root = &guest.folders.roots[0];
    let theirs = disk::Root {
        name: root.name.clone(),
        folder: root.folder.try_clone().unwrap(),
        mode: Mode::Read,
        owner: root.owner.wrapping_add(1),
        most: root.most,
        quota: Arc::clone(&root.quota),
    };
    guest.folders.roots = Arc::new([Arc::new(theirs)]);
    assert_eq!(guest.read("in", "linked").await, Err(ErrorCode::NotPermitted));
    assert_eq!(guest.read("in", "a.txt").await.as_deref(), Ok("inside"), "it has no other name");
}

#[tokio::test]
async fn t56_only_regular_files_are_opened() {
    let mut guest = Guest::new().await;
    let at = guest.path("out");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let folder = std::fs::File::open(&at).unwrap();
    rustix::fs::mknodat(&folder, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap();
    // Making a device needs the administrator.
    let zero =
        rustix::fs::mknodat(&folder, "zero", rustix::fs::FileType::CharacterDevice, mode, rustix::fs::makedev(1, 5));
    let mut others = vec!["pipe", "socket"];
    match zero {
        Ok(()) => others.push("zero"),
        Err(error) => println!("no device could be made here ({error}): /dev/zero is not tried"),
    }
    for name in others {
        for flags in [READ, WRITE, READ | WRITE] {
            // A pipe without a peer would wait for ever.
            let open = tokio::time::timeout(
                std::time::Duration::from_secs(10),
                guest.open("out", name, OpenFlags::empty(), flags),
            );
            assert!(open.await.unwrap().is_err(), "{name}");
        }
        assert!(guest.write(name, b"x").await.is_err(), "{name}");
        assert!(guest.remove(name).await.is_err(), "{name} belongs to another program");
    }
    // A file of a petabyte takes no room, and is read by the piece.
    let sparse = std::fs::File::create(at.join("sparse")).unwrap();
    match sparse.set_len(1 << 50) {
        Err(error) => println!("no file of a petabyte here ({error})"),
        Ok(()) => {
            let fd = guest.open("out", "sparse", OpenFlags::empty(), READ).await.unwrap();
            let (bytes, _) = told(guest.view().read(fd, u64::MAX, 1 << 49).await).unwrap();
            assert_eq!(bytes.len(), CHUNK);
            assert_eq!(guest.write("more", b"x").await, Err(ErrorCode::Quota), "it counts at its whole length");
        }
    }
}

#[tokio::test]
async fn t57_quotas_of_bytes_and_files_hold_and_what_is_removed_is_free_again() {
    let mut guest = Guest::with(":max-bytes=1000:max-files=5").await;
    guest.write("b", &[0; 900]).await.unwrap();
    assert_eq!(guest.write("c", &[0; 200]).await, Err(ErrorCode::Quota));
    let fd = guest.open("out", "b", OpenFlags::empty(), WRITE).await.unwrap();
    let borrow = || Resource::new_borrow(fd.rep());
    assert_eq!(told(guest.view().set_size(borrow(), 1 << 40).await), Err(ErrorCode::Quota));
    assert_eq!(told(guest.view().write(borrow(), vec![0], 1 << 40).await), Err(ErrorCode::Quota));
    assert_eq!(told(guest.view().write(borrow(), vec![0], u64::MAX).await), Err(ErrorCode::FileTooLarge));
    told(guest.view().write(borrow(), vec![1; 900], 0).await).unwrap();
    assert_eq!(guest.read("in", "a.txt").await.as_deref(), Ok("inside"), "other folders are as they were");
    // Removed but open: it fills the disk as before.
    guest.remove("b").await.unwrap();
    assert_eq!(guest.write("c", &[0; 200]).await, Err(ErrorCode::Quota));
    guest.close(fd).await;
    guest.write("c", &[0; 200]).await.unwrap();
    // `a.txt` and `c` are there.
    for name in ["d", "e"] {
        guest.write(name, b"").await.unwrap();
    }
    guest.make_folder("out", "sub").await.unwrap();
    assert_eq!(guest.write("f", b"").await, Err(ErrorCode::Quota));
    assert_eq!(guest.make_folder("out", "g").await, Err(ErrorCode::Quota));
    guest.write("e", b"there already").await.unwrap();
    guest.rename(("out", "d"), ("out", "e")).await.unwrap();
    guest.write("f", b"in the place of what was written over").await.unwrap();
    assert_eq!(guest.list("out").await, ["a.txt", "c", "e", "f", "sub"]);
    // Another invocation that finds it full changes nothing, not even by emptying a file.
    std::fs::write(guest.path("out/a.txt"), [0; 2000]).unwrap();
    let disk = Arc::clone(&guest.folders.disk);
    let grant = guest.session.grants().files.clone();
    guest.folders = disk.nothing();
    guest.table = ResourceTable::new();
    guest.folders = disk.open(grant.as_ref()).await.unwrap();
    assert_eq!(guest.write("c", b"").await, Err(ErrorCode::Quota));
    assert_eq!(std::fs::metadata(guest.path("out/c")).unwrap().len(), 200);
}

#[tokio::test]
async fn t57_open_files_names_and_depth_are_limited() {
    let mut guest = Guest::new().await;
    let mut open = Vec::new();
    let refused = loop {
        match guest.open("in", "a.txt", OpenFlags::empty(), READ).await {
            Ok(fd) => open.push(fd),
            Err(code) => break code,
        }
    };
    assert!(
        (refused == ErrorCode::Quota && open.len() == 256) || refused == ErrorCode::Busy,
        "{refused} after {}",
        open.len()
    );
    let last = open.pop().unwrap();
    guest.close(last).await;
    assert_eq!(guest.read("in", "a.txt").await.as_deref(), Ok("inside"));
    drop(open);
    guest.table = ResourceTable::new();

    assert_eq!(guest.write(&"n".repeat(256), b"").await, Err(ErrorCode::NameTooLong));
    guest.write(&"n".repeat(255), b"").await.unwrap();
    let mut path = String::from("d");
    let refused = loop {
        match guest.make_folder("out", &path).await {
            Ok(()) => path.push_str("/d"),
            Err(code) => break code,
        }
    };
    assert_eq!((refused, path.split('/').count()), (ErrorCode::NameTooLong, 101));
    // Nor by moving one tree into another.
    guest.make_folder("out", "e").await.unwrap();
    assert_eq!(guest.rename(("out", "e"), ("out", "d/d/d/e")).await, Err(ErrorCode::CrossDevice));
    guest.rename(("out", "d/d/d"), ("out", "up")).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_recorded_and_remembered() {
    let mut guest = Guest::new().await;
    assert!(!guest.session.taint().so_far().has(Touch::PRIVATE));
    guest.write("b.txt", b"four").await.unwrap();
    assert!(!guest.session.taint().so_far().has(Touch::PRIVATE), "writing reads nothing");
    guest.read("in", "a.txt").await.unwrap();
    assert!(guest.session.taint().so_far().has(Touch::PRIVATE));
    guest.open("in", "a.txt", OpenFlags::empty(), WRITE).await.map(drop).unwrap_err();
    let fd = guest.folder("out").await;
    guest.view().symlink_at(fd, "/".into(), "l".into()).await.unwrap_err();
    guest.remove("none").await.unwrap_err();
    guest.shared.audit.seal().await.unwrap();
    let mut records = guest.shared.audit.list(Filter::default(), 100).await.unwrap();
    records.sort_by_key(|record| record.at_us);
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.event, record.subject.as_str(), record.kind.as_str(), record.detail.as_str()))
        .collect();
    let reason = |at: usize| seen[at].3.to_owned();
    assert_eq!(
        seen.iter().map(|(event, subject, kind, _)| (*event, *subject, *kind)).collect::<Vec<_>>(),
        [
            (Event::Intent, "files write out/b.txt", ""),
            (Event::Outcome, "files write out/b.txt", "ok"),
            (Event::Intent, "files read in/a.txt", ""),
            (Event::Outcome, "files read in/a.txt", "ok"),
            (Event::Denied, "files write in/a.txt", "denied"),
            (Event::Denied, "files link out/l", "denied"),
            (Event::Intent, "files remove out/none", ""),
            (Event::Outcome, "files remove out/none", "no-entry"),
        ]
    );
    assert_eq!(reason(1), "bytes=4");
    assert!(reason(4).contains("reading only"), "{}", reason(4));
}

#[tokio::test]
async fn files_that_are_made_follow_the_umask_and_are_no_programs() {
    let mut guest = Guest::new().await;
    guest.write("new", b"x").await.unwrap();
    let mode = std::fs::metadata(guest.path("out/new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7111, 0, "{mode:o}");
}
