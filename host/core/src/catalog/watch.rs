//! Files that somebody edits: when something about them has changed.
//!
//! What the operating system tells is a hint and never the truth: queues overflow, editors rename, network file systems tell nothing. A hint
//! only causes a look, and a look compares what lies there, so nothing is missed for longer than the next look and nothing is
//! reported that did not change.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::Instant;
use walkdir::WalkDir;

/// Hints that come together are one.
const QUIET: Duration = Duration::from_millis(3);
/// A change that is there this soon after the work on another is one of many.
const SOON: Duration = Duration::from_millis(100);
/// How often a look is taken where no hints come: network file systems, a limit on watches that is reached.
pub const POLL: Duration = Duration::from_secs(2);
/// How often a look is taken although there are hints, in case that one was lost.
const DOUBT: Duration = Duration::from_secs(60);
/// A look is not taken again before this many times its own length has passed, so that it costs at most 5 % of a core.
const PAUSE: u32 = 20;
/// Changes in a row, each there before the work on the one before it was done, after which that work is followed by a rest as well.
/// A person who saves while something is compiled is not kept waiting.
const RACE: u32 = 5;
/// Such a rest lasts this long at most.
const REST: Duration = Duration::from_secs(5);
/// Hints between two looks above which hints are turned off for a while: reading them would cost more than looking.
const FLOOD: u64 = 5_000;
/// Entries below the paths that are looked at. More than this is no source tree.
const ENTRIES: usize = 100_000;

/// Which entries below a path count. Folders that do not are not entered.
pub type Counts = Arc<dyn Fn(&Path) -> bool + Send + Sync>;

/// Watches files and folders, existing or not.
pub struct Watch {
    roots: Arc<[PathBuf]>,
    counts: Counts,
    /// None where looks are taken by the clock alone.
    hints: Option<Hints>,
    /// Since when hints are turned off.
    flooded: Option<Instant>,
    polls: bool,
    seen: Seen,
    rest_until: Instant,
    /// When the work on the last change was done.
    done: Instant,
    /// Changes in a row that were there as soon as that.
    race: u32,
}

impl Watch {
    /// Begins to watch. What is changed from now on is reported. `poll` leaves hints out altogether. Blocks for as long as one
    /// look takes.
    #[must_use]
    pub fn new(roots: Vec<PathBuf>, counts: Counts, poll: bool) -> Self {
        let roots: Arc<[PathBuf]> = roots.into();
        let polls = poll || roots.iter().any(|root| is_remote(root));
        let mut watch = Self {
            hints: None,
            flooded: None,
            polls,
            // Hints first and the look after them, so that nothing falls in between.
            seen: look(&roots, &counts),
            rest_until: Instant::now(),
            done: Instant::now(),
            race: 0,
            roots,
            counts,
        };
        watch.arm();
        watch.seen = look(&watch.roots, &watch.counts);
        watch
    }

    /// Whether it looks by the clock: every [`POLL`].
    #[must_use]
    pub fn polls(&self) -> bool {
        self.hints.is_none()
    }

    /// Returns when something is not as it was. May be dropped and called again: nothing is lost by that.
    pub async fn changed(&mut self) {
        loop {
            self.hint().await;
            tokio::time::sleep(QUIET).await;
            tokio::time::sleep_until(self.rest_until).await;
            let rested = self.rest_until.max(self.done);
            self.calm();
            let (roots, counts) = (Arc::clone(&self.roots), Arc::clone(&self.counts));
            let begun = Instant::now();
            let Ok(seen) = tokio::task::spawn_blocking(move || look(&roots, &counts)).await else { continue };
            self.rest_until = Instant::now() + begun.elapsed() * PAUSE;
            let is_new = seen.digest != self.seen.digest;
            let moved = seen.folders != self.seen.folders;
            self.seen = seen;
            if moved || self.flooded.is_some() || self.hints.is_none() {
                self.arm();
            }
            if is_new {
                // Looks rest anyway: what is found by the first one after that was there before.
                let at_once = begun.saturating_duration_since(rested) <= SOON;
                self.race = if at_once { self.race.saturating_add(1) } else { 0 };
                return;
            }
        }
    }

    /// Says how long the work took that the last change caused. Where changes come faster than it is done, the next one is reported after
    /// a rest, so that a program that writes without end costs a small part of a core.
    pub fn worked(&mut self, took: Duration) {
        self.done = Instant::now();
        if self.race > RACE {
            self.rest_until = self.rest_until.max(self.done + (took * PAUSE).min(REST));
        }
    }

    async fn hint(&self) {
        match &self.hints {
            Some(hints) => {
                let told = hints.shared.told.notified();
                drop(tokio::time::timeout(DOUBT, told).await);
            }
            None => tokio::time::sleep(POLL).await,
        }
    }

    /// Turns hints off when there are too many of them.
    fn calm(&mut self) {
        if self.hints.as_ref().is_some_and(|hints| hints.shared.count.swap(0, Ordering::Relaxed) > FLOOD) {
            self.hints = None;
            self.flooded = Some(Instant::now());
        }
    }

    /// Asks for hints about the folders that there are now.
    fn arm(&mut self) {
        if self.polls || self.flooded.is_some_and(|since| since.elapsed() < POLL) {
            return;
        }
        self.flooded = None;
        if self.hints.is_none() {
            self.hints = Hints::new(&self.roots, &self.counts);
        }
        if let Some(hints) = &mut self.hints
            && !hints.follow(&self.seen.folders)
        {
            self.hints = None;
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("roots", &self.roots).field("polls", &self.polls()).finish_non_exhaustive()
    }
}

/// What the operating system tells.
struct Hints {
    watcher: RecommendedWatcher,
    /// Folders that are watched, by the number that tells one from another of the same name.
    folders: HashMap<PathBuf, u64>,
    shared: Arc<Told>,
}

#[derive(Default)]
struct Told {
    told: Notify,
    count: AtomicU64,
}

impl Hints {
    fn new(roots: &Arc<[PathBuf]>, counts: &Counts) -> Option<Self> {
        let shared = Arc::new(Told::default());
        let (told, roots, counts) = (Arc::clone(&shared), Arc::clone(roots), Arc::clone(counts));
        let tell = move |event: notify::Result<Event>| {
            told.count.fetch_add(1, Ordering::Relaxed);
            if event.map_or(true, |event| matters(&event, &roots, &counts)) {
                // One permit is kept, however many hints there are: nothing queues up.
                told.told.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell).ok()?;
        Some(Self { watcher, folders: HashMap::new(), shared })
    }

    /// Watches these folders and no others. Says whether it can.
    fn follow(&mut self, folders: &BTreeSet<(PathBuf, u64)>) -> bool {
        let wanted: HashMap<_, _> = folders.iter().cloned().collect();
        let gone: Vec<_> = self.folders.iter().filter(|(path, id)| wanted.get(*path) != Some(*id)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.folders.remove(&path);
            // One that was deleted has taken its watch along.
            drop(self.watcher.unwatch(&path));
        }
        for (path, id) in wanted {
            if self.folders.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.folders.insert(path, id),
                // Gone between the look and now: the next look tells. Anything else is a limit.
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    tracing::info!(%error, path = %path.display(), "the system watches no more folders; looking by the clock");
                    return false;
                }
            }
        }
        true
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Whether a hint is about what counts. Reading changes nothing, and looks read.
fn matters(event: &Event, roots: &[PathBuf], counts: &Counts) -> bool {
    if event.need_rescan() {
        return true;
    }
    if let EventKind::Access(kind) = event.kind
        && kind != AccessKind::Close(AccessMode::Write)
    {
        return false;
    }
    let about = |path: &Path, root: &Path| root.starts_with(path) || (path.starts_with(root) && counts(path));
    event.paths.is_empty() || event.paths.iter().any(|path| roots.iter().any(|root| about(path, root)))
}

/// What lies there.
#[derive(Default)]
struct Seen {
    digest: u64,
    /// Folders in which something can change that counts, each with its inode.
    folders: BTreeSet<(PathBuf, u64)>,
}

fn look(roots: &[PathBuf], counts: &Counts) -> Seen {
    use std::os::unix::fs::MetadataExt;
    let mut seen = Seen::default();
    let mut hash = DefaultHasher::new();
    let mut left = ENTRIES;
    for root in roots {
        // The folder that holds it, or the nearest that is there: it may be deleted, renamed and made again.
        let holder =
            root.ancestors().skip(1).find_map(|folder| Some((folder.to_owned(), folder.metadata().ok()?.ino())));
        seen.folders.extend(holder);
        let walk = WalkDir::new(root).sort_by_file_name().into_iter();
        let walk = walk.filter_entry(|entry| entry.depth() == 0 || counts(entry.path()));
        for entry in walk.filter_map(Result::ok).take(left) {
            left = left.saturating_sub(1);
            let Ok(meta) = entry.metadata() else { continue };
            entry.path().hash(&mut hash);
            if meta.is_dir() {
                seen.folders.insert((entry.path().to_owned(), meta.ino()));
            } else {
                (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hash);
            }
        }
        0_u8.hash(&mut hash);
    }
    seen.digest = hash.finish();
    seen
}

/// File systems that other machines write to, of whose changes the kernel tells nothing.
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    // NFS, SMB, CIFS, SMB2, 9P, FUSE, Ceph, AFS: `linux/magic.h`.
    const REMOTE: [u64; 8] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x00c3_6400, 0x5346_414f];
    let there = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok());
    there.is_some_and(|found| REMOTE.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;
