//! Folders: T51 to T58, with Rust's own file functions in a guest. Each row's table is a test of the same number in
//! `host/core/src/capability/files/`, where it can fail lowest; here the whole way is gone once.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence_core::engine::LimitSettings;
use ringfence_core::policy::Grants;
use ringfence_core::{Call, Error, Finished, SkillRef};
use serde_json::{Value, json};

use crate::ground::{Ground, kind};
use crate::support::hosts::said;
use crate::support::{call, guests};

/// What WASI's `not-permitted` and `quota` are to a guest.
const NOT_PERMITTED: &str = "os error 63";
const QUOTA: &str = "os error 19";
const SECRET: &str = "what nobody may see";

/// A host with `docs` (read) and `out` (write) in its home, and `secret.txt` beside them.
struct Disk {
    ground: Ground,
    skill: SkillRef,
    more: &'static str,
}

impl Disk {
    async fn new() -> Self {
        Self::with("").await
    }

    /// `more` is added to the grant of `out`.
    async fn with(more: &'static str) -> Self {
        let ground = Ground::new().await;
        let component = tokio::task::spawn_blocking(|| guests::build("tests/probes/files")).await.unwrap();
        let home = &ground.host.home;
        // A copy in this home, so that what it did is on record under a name of its own.
        let component = home.write("files.wasm", std::fs::read(component).unwrap());
        let skill = ground.host.host.load_file(&component, None, None).await.unwrap();
        for name in ["docs/a.txt", "out/a.txt"] {
            home.write(name, "inside");
        }
        home.write("secret.txt", SECRET);
        Self { ground, skill, more }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ground.host.home.path(name)
    }

    fn grants(&self) -> Grants {
        let home = self.path("");
        let home = home.display();
        Grants::parse([format!("files=docs:{home}/docs,out:{home}/out:write{}", self.more).as_str()]).unwrap()
    }

    async fn act(&self, tool: &str, input: Value) -> Result<Finished, Error> {
        let call = Call { allow: self.grants(), ..call(&self.skill, tool, input) };
        self.ground.host.host.invoke(call).await
    }

    async fn says(&self, tool: &str, input: Value) -> String {
        said(&self.act(tool, input).await.unwrap())
    }

    /// What the file function said when it refused.
    #[track_caller]
    fn refuses(&self, tool: &str, input: Value) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        let done = self.act(tool, input.clone());
        async move {
            match done.await {
                Ok(done) => panic!("{input} gave `{}` at {at}", said(&done)),
                Err(error) => error.to_string(),
            }
        }
    }

    async fn survived(&self) {
        assert_eq!(std::fs::read_to_string(self.path("secret.txt")).unwrap(), SECRET);
        assert_eq!(std::fs::read_to_string(self.path("docs/a.txt")).unwrap(), "inside");
        self.ground.survived_probe().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_folders_are_used_with_the_languages_own_functions() {
    let disk = Disk::new().await;
    assert_eq!(disk.says("fs_read", json!({ "path": "/docs/a.txt" })).await, "inside");
    assert_eq!(disk.says("fs_write", json!({ "path": "/out/b.txt", "text": "x".repeat(200_000) })).await, "written");
    assert_eq!(disk.says("fs_size", json!({ "path": "/out/b.txt" })).await, "200000");
    assert_eq!(disk.says("fs_write", json!({ "path": "/out/b.txt", "text": "one" })).await, "written");
    assert_eq!(disk.says("fs_append", json!({ "path": "/out/b.txt", "text": " two" })).await, "written");
    assert_eq!(std::fs::read_to_string(disk.path("out/b.txt")).unwrap(), "one two");
    assert_eq!(disk.says("fs_make_dir", json!({ "path": "/out/c/d/" })).await, "made");
    assert_eq!(disk.says("fs_rename", json!({ "path": "/out/b.txt", "to": "/out/c/d/e.txt" })).await, "renamed");
    assert_eq!(disk.says("fs_list", json!({ "path": "/out" })).await, "a.txt c/");
    assert_eq!(disk.says("fs_truncate", json!({ "path": "/out/c/d/e.txt", "size": 3 })).await, "cut");
    assert_eq!(disk.says("fs_read", json!({ "path": "/out/c/d/e.txt" })).await, "one");
    assert_eq!(disk.says("fs_remove", json!({ "path": "/out/c" })).await, "removed");
    assert_eq!(disk.says("fs_list", json!({ "path": "/out/" })).await, "a.txt");
    for n in 0..600 {
        std::fs::write(disk.path(&format!("docs/many-{n:04}")), "").unwrap();
    }
    let all = disk.says("fs_list", json!({ "path": "/docs" })).await;
    assert_eq!(all.split(' ').count(), 601);
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_grant_there_are_no_folders() {
    let disk = Disk::new().await;
    for path in ["/docs/a.txt", "/out/a.txt", "/", "/etc/passwd"] {
        let call = call(&disk.skill, "fs_read", json!({ "path": path }));
        assert_eq!(kind(disk.ground.host.host.invoke(call).await), "failed", "{path}");
    }
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t51_a_guest_names_nothing_outside() {
    let disk = Disk::new().await;
    let absolute = disk.path("secret.txt").display().to_string();
    for path in [
        "/docs/../secret.txt",
        "/docs/a/../../secret.txt",
        &*absolute,
        "../secret.txt",
        "/docs/..",
        "/etc/passwd",
        "/out/..",
    ] {
        disk.refuses("fs_read", json!({ "path": path })).await;
        disk.refuses("fs_list", json!({ "path": path })).await;
        disk.refuses("fs_write", json!({ "path": path, "text": "x" })).await;
        disk.refuses("fs_remove", json!({ "path": path })).await;
    }
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t52_a_guest_follows_no_link_outside() {
    let disk = Disk::new().await;
    symlink("../secret.txt", disk.path("docs/link")).unwrap();
    symlink(disk.path("secret.txt"), disk.path("out/link")).unwrap();
    symlink("..", disk.path("out/up")).unwrap();
    symlink("/proc/self/environ", disk.path("docs/environ")).unwrap();
    for path in ["/docs/link", "/docs/link/", "/out/link", "/out/up/secret.txt", "/docs/environ"] {
        disk.refuses("fs_read", json!({ "path": path })).await;
        disk.refuses("fs_write", json!({ "path": path, "text": "x" })).await;
        disk.refuses("fs_rename", json!({ "path": path, "to": "/out/mine" })).await;
    }
    assert!(disk.refuses("fs_link", json!({ "path": "/out/a.txt", "to": "/out/b.txt" })).await.contains(NOT_PERMITTED));
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t53_a_guest_that_races_a_swapped_folder_stays_inside() {
    let disk = Disk::new().await;
    let (dir, link, real) = (disk.path("docs/dir"), disk.path("docs/.link"), disk.path("docs/.real"));
    disk.ground.host.home.write("outside/f", SECRET);
    disk.ground.host.home.write("docs/dir/f", "inside");
    symlink("../outside", &link).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [(&dir, &real), (&link, &dir), (&dir, &link), (&real, &dir)] {
                    std::fs::rename(from, to).unwrap();
                }
            }
        })
    };
    let said = disk.says("fs_race", json!({ "path": "/docs/dir/f", "expected": "inside", "times": 2000 })).await;
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    let counts: Vec<u32> = said.split(' ').map(|count| count.parse().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u32>(), 2000, "{said}");
    assert!(counts[0] > 0, "{said}");
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t54_a_guest_changes_nothing_that_it_may_only_read() {
    let disk = Disk::new().await;
    for (tool, input) in [
        ("fs_write", json!({ "path": "/docs/a.txt", "text": "x" })),
        ("fs_write", json!({ "path": "/docs/new", "text": "x" })),
        ("fs_append", json!({ "path": "/docs/a.txt", "text": "x" })),
        ("fs_truncate", json!({ "path": "/docs/a.txt", "size": 0 })),
        ("fs_make_dir", json!({ "path": "/docs/new" })),
        ("fs_remove", json!({ "path": "/docs/a.txt" })),
        ("fs_rename", json!({ "path": "/docs/a.txt", "to": "/docs/b.txt" })),
        ("fs_rename", json!({ "path": "/out/a.txt", "to": "/docs/b.txt" })),
        ("fs_link", json!({ "path": "/out/a.txt", "to": "/docs/b.txt" })),
    ] {
        let told = disk.refuses(tool, input.clone()).await;
        assert!(told.contains(NOT_PERMITTED), "{tool} {input}: {told}");
    }
    assert_eq!(disk.says("fs_list", json!({ "path": "/docs" })).await, "a.txt");
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t56_a_pipe_holds_nobody_up() {
    let disk = Disk::new().await;
    let folder = std::fs::File::open(disk.path("docs")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(&folder, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(disk.refuses("fs_read", json!({ "path": "/docs/pipe" })).await.contains(NOT_PERMITTED));
    // A guest that reads for ever ends at its deadline.
    let limits = LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() };
    let spin = call(&disk.skill, "fs_spin", json!({ "path": "/docs/a.txt" }));
    let begun = std::time::Instant::now();
    let done = disk.ground.host.host.invoke(Call { allow: disk.grants(), limits, ..spin }).await;
    assert_eq!(kind(done), "deadline");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t57_a_guest_fills_its_quota_and_no_more() {
    let disk = Disk::with(":max-bytes=100000:max-files=50").await;
    let said = disk.says("fs_fill", json!({ "path": "/out", "files": 1000, "bytes": 10 })).await;
    assert!(said.starts_with("49 ") && said.contains(QUOTA), "{said}");
    // Every call counts what is there: many small ones fill no more than a large one.
    assert!(disk.refuses("fs_write", json!({ "path": "/out/more", "text": "x" })).await.contains(QUOTA));
    assert_eq!(disk.says("fs_remove", json!({ "path": "/out/fill-0" })).await, "removed");
    assert_eq!(disk.says("fs_write", json!({ "path": "/out/more", "text": "x" })).await, "written");
    let large = json!({ "path": "/out/more", "text": "x".repeat(100_000) });
    let said = disk.refuses("fs_write", large).await;
    // The C library of guests knows one error of streams, EIO, whatever the host says.
    assert!(said.contains(QUOTA) || said.contains("os error 29"), "{said}");
    let huge = json!({ "path": "/out/more", "size": 1_u64 << 50 });
    assert!(disk.refuses("fs_truncate", huge).await.contains(QUOTA));
    let said = disk.says("fs_hold", json!({ "path": "/docs/a.txt", "times": 10_000 })).await;
    // A guest's own runtime may hold fewer than the host would let it.
    let held: u32 = said.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=256).contains(&held) && said.contains("QuotaExceeded"), "{said}");
    assert_eq!(disk.says("fs_read", json!({ "path": "/docs/a.txt" })).await, "inside");
    disk.survived().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t58_what_is_ours_is_granted_to_nobody() {
    let disk = Disk::new().await;
    let home = disk.path("");
    for name in [".ssh", "data"] {
        std::fs::create_dir_all(disk.path(name)).unwrap();
    }
    for (path, more) in [
        ("state", ""),
        ("state", ":i-know"),
        ("data", ":i-know"),
        ("", ":i-know"),
        (".ssh", ""),
        ("/", ":i-know"),
        ("/proc/self", ":i-know"),
        ("/etc", ""),
    ] {
        let grants = Grants::parse([format!("files=docs:{}{more}", home.join(path).display()).as_str()]).unwrap();
        let kept = disk.ground.host.host.grant("files", grants.clone()).await;
        assert_eq!(kept.unwrap_err().kind(), "grant-invalid", "{path}{more}");
        let once = Call { allow: grants, ..call(&disk.skill, "fs_list", json!({ "path": "/docs" })) };
        assert_eq!(kind(disk.ground.host.host.invoke(once).await), "grant-invalid", "{path}{more}");
    }
    disk.survived().await;
}
