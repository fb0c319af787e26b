//! The power goes at any moment, and goes again after the next start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::check;
use super::child::{Shim, cases, durability, folders, run};
use super::dice::Dice;
use super::disk::Disk;
use super::record::{self, Event};
use super::story::Story;
use super::work::{Deed, Teller, session, work};
use crate::state::Durability;

/// How many seeds: 200 where it is not set. Where it is, nothing is left out in the tests of steps either.
pub(super) const SEEDS: &str = "RINGFENCE_OUTAGE_SEEDS";
/// A folder that a failure has left, to be tried again exactly as it was.
const AGAIN: &str = "RINGFENCE_OUTAGE_AGAIN";
/// Cases of one child.
const BATCH: u64 = 25;

/// Some lives of a host on an empty directory.
pub(super) async fn live(dir: &Path, seed: u64, teller: &mut Teller) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut next = 0;
    for life in 0..1 + dice.below(3) {
        let large = life == 0 && seed % 16 >= 14;
        let count = 4 + dice.below(30) + if large { 30 } else { 0 };
        let deeds: Vec<Deed> = (0..count).map(|_| Deed::any(&mut dice, large)).collect();
        let wrongs = session(dir, durability(seed), &deeds, &mut next, teller).await;
        if !wrongs.is_empty() {
            return Err(wrongs.join(", "));
        }
        teller.tell("synced");
    }
    Ok(())
}

/// The start after an outage, and a life after it.
pub(super) async fn go_on(dir: &Path, seed: u64, teller: &mut Teller) -> Result<(), String> {
    let story = Story::read(&std::fs::read_to_string(dir.with_extension("story")).unwrap());
    let durability = durability(seed);
    let (mut ground, found) = check::after(dir, &story, durability, durability == Durability::Full).await?;
    teller.tell(&format!("kept {}", found.last));
    found.lost.iter().for_each(|number| teller.tell(&format!("lost {number}")));
    let mut dice = Dice::new(seed ^ 0x5555);
    let deeds: Vec<Deed> = (0..dice.below(20)).map(|_| Deed::any(&mut dice, false)).collect();
    let mut next = story.last();
    let wrongs = work(&mut ground, &deeds, &mut next, teller).await;
    drop(ground);
    if !wrongs.is_empty() {
        return Err(wrongs.join(", "));
    }
    teller.tell("synced");
    check::still_holds(dir, durability).await
}

/// One outage: where it began, what happened, and at which of the events the power goes.
struct Cut {
    seed: u64,
    root: PathBuf,
    before: Disk,
    story: Story,
    events: Vec<Event>,
}

impl Cut {
    /// Leaves in `into` what the disk holds afterwards. Gives what must be there, and a word on what happened.
    fn make(&self, into: &Path) -> (Story, String) {
        let mut dice = Dice::new(self.seed.wrapping_mul(3).wrapping_add(1));
        let at = usize::try_from(dice.below(self.events.len() as u64 + 1)).unwrap();
        let (mut disk, mut story) = (self.before.clone(), self.story.clone());
        for event in &self.events[..at] {
            disk.apply(event);
            if let Event::Note(note) = event {
                story.tell(note);
            }
        }
        let lots = disk.cut(into, &mut dice);
        // The index of the log is memory; of a file for it anything may be left.
        if into.join("state/state.db").exists() && dice.one_in(2) {
            std::fs::write(into.join("state/state.db-shm"), dice.bytes(32 << 10)).unwrap();
        }
        (story, format!("cut after {at} of {} events, {lots:?}", self.events.len()))
    }
}

/// Cuts the power of each case, goes on with what is left, cuts the power again, and looks at what is left then.
fn cut_twice(shim: &Shim, seeds: std::ops::Range<u64>) -> Vec<String> {
    let mut failures = Vec::new();
    let (_first, root) = folders(seeds.clone());
    let before: BTreeMap<u64, Disk> =
        seeds.clone().map(|seed| (seed, Disk::load(&root.join(seed.to_string())))).collect();
    let (events, wrong) = shim.child(&root, &format!("live {} {}", seeds.start, seeds.end));
    if let Some(told) = wrong {
        return vec![told];
    }
    let first = cuts(&root, before, &BTreeMap::new(), events);

    let (_second, root) = folders(std::iter::empty());
    let (mut before, mut stories, mut words) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for cut in &first {
        let into = root.join(cut.seed.to_string());
        let (story, word) = cut.make(&into);
        std::fs::write(into.with_extension("story"), story.text()).unwrap();
        before.insert(cut.seed, Disk::load(&into));
        stories.insert(cut.seed, story);
        words.insert(cut.seed, word);
    }
    let (events, wrong) = shim.child(&root, &format!("go-on {} {}", seeds.start, seeds.end));
    let mut bad = Vec::new();
    if let Some(told) = wrong {
        for line in told.lines().filter_map(|line| line.strip_prefix("WRONG ")) {
            let seed: u64 = line.split(' ').next().unwrap().parse().unwrap();
            let cut = first.iter().find(|cut| cut.seed == seed).unwrap();
            failures.push(format!("seed {line}; first {}; {}", words[&seed], cut.keep()));
            bad.push(seed);
        }
        if bad.is_empty() {
            failures.push(told);
        }
    }
    let second = cuts(&root, before, &stories, events);
    let (_third, root) = folders(std::iter::empty());
    for cut in second.iter().filter(|cut| !bad.contains(&cut.seed)) {
        if let Err(wrong) = cut.look(&root.join(cut.seed.to_string())) {
            failures.push(format!("seed {} {wrong}; {}", cut.seed, cut.keep()));
        }
    }
    failures
}

fn cuts(root: &Path, mut before: BTreeMap<u64, Disk>, stories: &BTreeMap<u64, Story>, events: Vec<Event>) -> Vec<Cut> {
    let cut = |(seed, events)| Cut {
        seed,
        root: root.join(seed.to_string()),
        before: before.remove(&seed).unwrap(),
        story: stories.get(&seed).cloned().unwrap_or_default(),
        events,
    };
    cases(events).into_iter().map(cut).collect()
}

impl Cut {
    /// Makes it, and opens what is left.
    fn look(&self, into: &Path) -> Result<(), String> {
        let (story, word) = self.make(into);
        let durability = durability(self.seed);
        let looked = run(async {
            let (mut ground, _) = check::after(into, &story, durability, durability == Durability::Full).await?;
            check::goes_on(&mut ground).await?;
            drop(ground);
            check::still_holds(into, durability).await
        });
        looked.map_err(|wrong| format!("{wrong}; {word}"))
    }

    /// Keeps what is needed to try it again, and says how.
    fn keep(&self) -> String {
        let folder = tempfile::tempdir().unwrap().keep();
        self.before.kill(&folder.join("before"));
        std::fs::write(folder.join("story"), self.story.text()).unwrap();
        std::fs::write(folder.join("seed"), self.seed.to_string()).unwrap();
        std::fs::write(folder.join("root"), self.root.display().to_string()).unwrap();
        std::fs::write(folder.join("record"), record::write(&self.events)).unwrap();
        format!("try it again with {AGAIN}={}", folder.display())
    }

    fn kept(folder: &Path) -> Self {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let root = PathBuf::from(text("root"));
        Self {
            seed: text("seed").parse().unwrap(),
            before: Disk::load_as(&folder.join("before"), &root),
            root,
            story: Story::read(&text("story")),
            events: record::read(&std::fs::read(folder.join("record")).unwrap()),
        }
    }
}

#[test]
fn t122_a_power_cut_damages_nothing_and_takes_nothing_that_was_synced() {
    if let Some(folder) = std::env::var_os(AGAIN) {
        let into = tempfile::tempdir().unwrap();
        return Cut::kept(Path::new(&folder)).look(&into.path().canonicalize().unwrap().join("case")).unwrap();
    }
    let seeds: u64 = std::env::var(SEEDS).map_or(200, |seeds| seeds.parse().unwrap());
    let shim = Shim::compiled();
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= seeds {
                        break;
                    }
                    let found = cut_twice(&shim, first..(first + BATCH).min(seeds));
                    failures.lock().unwrap().extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
