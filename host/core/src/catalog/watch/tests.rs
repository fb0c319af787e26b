use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn everything() -> Counts {
    Arc::new(|_| true)
}

struct Ground {
    dir: tempfile::TempDir,
    watch: Watch,
}

impl Ground {
    /// Watches the file or folder `name` of a new folder.
    fn of(name: &str, poll: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(vec![dir.path().join(name)], everything(), poll);
        Self { dir, watch }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        std::fs::write(self.at(name), text).unwrap();
    }

    #[track_caller]
    fn changes(&mut self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move { assert!(tokio::time::timeout(PATIENCE, self.watch.changed()).await.is_ok(), "nothing at {at}") }
    }

    /// Nothing is told, although everything that could tell is asked.
    async fn is_quiet(&mut self) {
        let seen = look(&self.watch.roots, &self.watch.counts);
        assert_eq!(seen.digest, self.watch.seen.digest);
    }
}

#[tokio::test]
async fn whatever_happens_to_a_file_is_told() {
    let mut ground = Ground::of("skill.wasm", false);
    assert!(!ground.watch.polls());
    ground.write("skill.wasm", "a");
    ground.changes().await;
    ground.write("skill.wasm", "b2");
    ground.changes().await;
    // As editors write.
    ground.write("new", "c3");
    std::fs::rename(ground.at("new"), ground.at("skill.wasm")).unwrap();
    ground.changes().await;
    std::fs::remove_file(ground.at("skill.wasm")).unwrap();
    ground.changes().await;
    ground.write("skill.wasm", "d");
    ground.changes().await;
    std::fs::remove_file(ground.at("skill.wasm")).unwrap();
    std::os::unix::fs::symlink("elsewhere", ground.at("skill.wasm")).unwrap();
    ground.changes().await;
    ground.write("beside", "x");
    ground.is_quiet().await;
}

#[tokio::test]
async fn t101_a_folder_that_is_deleted_and_made_again_is_watched_again() {
    let mut ground = Ground::of("a/b/src", false);
    for _ in 0..3 {
        ground.write("a/b/src/deep/lib.rs", "a");
        ground.changes().await;
        // In a folder that did not exist when the watch began.
        ground.write("a/b/src/deep/lib.rs", "other");
        ground.changes().await;
        std::fs::remove_dir_all(ground.at("a")).unwrap();
        ground.changes().await;
    }
}

#[tokio::test]
async fn what_does_not_count_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("target/debug")).unwrap();
    let counts: Counts = Arc::new(|path| path.file_name().is_none_or(|name| name != "target"));
    let mut watch = Watch::new(vec![dir.path().to_owned()], counts, false);
    std::fs::write(at("target/debug/out"), "x").unwrap();
    assert_eq!(look(&watch.roots, &watch.counts).digest, watch.seen.digest);
    assert!(!watch.seen.folders.iter().any(|(path, _)| path.ends_with("target")), "nor is it listened to");
    std::fs::write(at("lib.rs"), "x").unwrap();
    tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn t101_where_the_system_tells_nothing_it_looks_by_the_clock() {
    let mut ground = Ground::of("skill.wasm", true);
    assert!(ground.watch.polls());
    ground.write("skill.wasm", "a");
    let begun = Instant::now();
    ground.changes().await;
    assert!(begun.elapsed() <= 2 * POLL, "{:?}", begun.elapsed());
}

/// Runs it where the kernel watches no more folders, as with `fs.inotify.max_user_watches` used up: for this thread, and those it begins.
#[cfg(target_os = "linux")]
fn without_watches<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};
    std::thread::scope(|scope| {
        let limited = scope.spawn(|| {
            let full = SeccompAction::Errno(libc::ENOSPC.unsigned_abs());
            let calls = [(libc::SYS_inotify_add_watch, Vec::new())].into();
            let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
            let filter = SeccompFilter::new(calls, SeccompAction::Allow, full, arch).unwrap();
            let program: seccompiler::BpfProgram = filter.try_into().unwrap();
            apply_filter(&program).unwrap();
            run()
        });
        limited.join().unwrap()
    })
}

#[cfg(target_os = "linux")]
#[test]
fn t101_where_the_system_watches_no_more_folders_it_looks_by_the_clock() {
    without_watches(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut ground = Ground::of("src", false);
            assert!(ground.watch.polls(), "nothing tells");
            for text in ["a", "bc"] {
                ground.write("src/deep/lib.rs", text);
                let begun = Instant::now();
                ground.changes().await;
                assert!(begun.elapsed() <= 2 * POLL, "{:?}", begun.elapsed());
            }
        });
    });
}

#[tokio::test(start_paused = true)]
async fn t101_a_hint_that_is_lost_costs_a_minute() {
    let mut ground = Ground::of("skill.wasm", false);
    // As if the queue had overflowed and the overflow been lost too.
    ground.watch.hints.as_mut().unwrap().watcher.unwatch(ground.dir.path()).unwrap();
    ground.write("skill.wasm", "a");
    tokio::time::timeout(2 * DOUBT, ground.watch.changed()).await.unwrap();
}

#[tokio::test]
async fn t101_a_flood_turns_hints_off_and_is_read_by_looks() {
    let mut ground = Ground::of("src", false);
    ground.write("src/lib.rs", "a");
    ground.changes().await;
    let shared = Arc::clone(&ground.watch.hints.as_ref().unwrap().shared);
    // What 100,000 events do to the counter, without making them.
    shared.count.store(100_000, Ordering::Relaxed);
    ground.write("src/lib.rs", "bc");
    ground.changes().await;
    assert!(ground.watch.polls(), "hints are off");
    // Once it is over they are on again.
    let over = Instant::now();
    ground.write("src/lib.rs", "def");
    ground.changes().await;
    ground.write("src/lib.rs", "ghij");
    ground.changes().await;
    assert!(over.elapsed() < Duration::from_secs(15));
    assert!(!ground.watch.polls(), "hints are on");
}

#[tokio::test]
async fn t101_a_look_costs_at_most_a_twentieth() {
    let mut ground = Ground::of("src", false);
    for n in 0..2_000 {
        ground.write(&format!("src/{n}.rs"), "a");
    }
    ground.changes().await;
    let rest = ground.watch.rest_until.saturating_duration_since(Instant::now());
    let begun = Instant::now();
    look(&ground.watch.roots, &ground.watch.counts);
    let cost = begun.elapsed();
    assert!(rest > cost * 2, "{rest:?} of rest after a look of about {cost:?}");
}

#[tokio::test]
async fn t101_work_on_changes_that_never_end_rests_and_a_person_does_not_wait() {
    let mut ground = Ground::of("src", false);
    let took = Duration::from_millis(10);
    // As a program that writes while the one before is still worked on. A busy machine may be late once in a while.
    let (begun, mut rests, mut n) = (Instant::now(), 0, 0);
    while rests < 5 {
        assert!(begun.elapsed() < PATIENCE, "it never rests");
        let before = ground.watch.rest_until;
        n += 1;
        ground.write("src/lib.rs", &n.to_string().repeat(1 + n));
        ground.changes().await;
        assert!(Instant::now() >= before, "a rest is kept");
        ground.watch.worked(took);
        if ground.watch.race > RACE {
            rests += 1;
            assert!(ground.watch.rest_until >= ground.watch.done + took * PAUSE);
        }
    }
    assert!(n > RACE as usize, "the first ones are not kept waiting");
    // Somebody who saves once in a while.
    let earlier = Instant::now() - 2 * SOON;
    (ground.watch.rest_until, ground.watch.done) = (earlier, earlier);
    ground.write("src/lib.rs", "by hand");
    ground.changes().await;
    ground.watch.worked(took);
    assert_eq!(ground.watch.race, 0);
}
