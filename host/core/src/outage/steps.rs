//! Each step towards the disk, one by one: it fails, or the process or the power ends before it.

use std::path::Path;

use rustix::io::Errno;

use super::check;
use super::child::{Shim, cases, durability, folders, run};
use super::disk::Disk;
use super::record::Event;
use super::story::{Story, Thing};
use super::work::{Deed, Ground, Teller, keep, session, work};
use crate::state::Durability;

/// Everything that can be kept, on an empty directory; the second skill takes the place of the first.
const LIFE: [Deed; 12] = [
    Deed::Keep(Thing::Value { key: 1, bytes: 700 }),
    Deed::Keep(Thing::Secret),
    Deed::Keep(Thing::Skill { bytes: 3_000 }),
    Deed::Keep(Thing::Intent),
    Deed::Keep(Thing::Noted),
    Deed::Keep(Thing::SetAside { tokens: 20, used: 9 }),
    Deed::Post(1),
    Deed::Seal,
    Deed::Keep(Thing::Reservation { tokens: 10, used: 5 }),
    Deed::Sync,
    Deed::Keep(Thing::Value { key: 1, bytes: 5_000 }),
    Deed::Keep(Thing::Skill { bytes: 500 }),
];
/// A life after it.
const AFTER: [Deed; 4] = [
    Deed::Keep(Thing::Value { key: 2, bytes: 5 }),
    Deed::Keep(Thing::Intent),
    Deed::Keep(Thing::Noted),
    Deed::Keep(Thing::SetAside { tokens: 3, used: 3 }),
];

/// All steps, without any fault.
pub(super) async fn all(dir: &Path, durability: Durability, teller: &mut Teller) -> Result<(), String> {
    let mut next = 0;
    for deeds in [&LIFE[..], &AFTER] {
        let wrongs = session(dir, durability, deeds, &mut next, teller).await;
        if !wrongs.is_empty() {
            return Err(wrongs.join(", "));
        }
        teller.tell("synced");
    }
    Ok(())
}

/// How a disk refuses.
#[derive(Clone, Copy, Debug)]
struct Fault {
    error: Errno,
    /// How many steps in a row.
    times: u64,
    /// Whether a write is half made before, as on a disk that fills up.
    half: bool,
    /// In the short form one step of so many is tried.
    stride: u64,
}

/// A step that fails once, and a disk without room from a step on.
const FAULTS: [Fault; 2] = [
    Fault { error: Errno::IO, times: 1, half: false, stride: 1 },
    Fault { error: Errno::NOSPC, times: 1_000_000, half: true, stride: 4 },
];

impl Fault {
    /// Whether an error says what happened: the disk cannot be written, or is full. Not every call can tell the two apart.
    fn is_told_by(self, wrong: &str) -> bool {
        let system = format!("os error {}", self.error.raw_os_error());
        let full = self.error == Errno::NOSPC && wrong.contains("state-full");
        wrong.contains("state-unwritable") || wrong.contains(&system) || full
    }
}

/// The life with a fault at one step. What fails says so in its kind; when the disk works again, so does the host, as it is and
/// after a start. Says whether there was such a step.
pub(super) async fn faulty(
    dir: &Path,
    durability: Durability,
    kind: u64,
    step: u64,
    teller: &mut Teller,
) -> Result<bool, String> {
    let fault = FAULTS[usize::try_from(kind).unwrap()];
    if !step.is_multiple_of(fault.stride) && std::env::var_os(super::cuts::SEEDS).is_none() {
        return Ok(true);
    }
    let mut next = 0;
    drop(teller.story());
    teller.fail(step, fault.times, fault.error.raw_os_error(), fault.half);
    let wrongs = match Ground::open(dir, durability).await {
        Err(wrong) => vec![wrong],
        Ok(mut ground) => {
            check::has_log(&ground).await?;
            let wrongs = work(&mut ground, &LIFE, &mut next, teller).await;
            if !teller.has_fired() {
                return Ok(false);
            }
            teller.fail(0, 0, 0, false);
            again(&mut ground, &mut next, teller)
                .await
                .map_err(|wrong| format!("the disk works again, and {wrong}"))?;
            wrongs
        }
    };
    teller.fail(0, 0, 0, false);
    if let Some(wrong) = wrongs.iter().find(|wrong| !fault.is_told_by(wrong)) {
        return Err(format!("{:?} is told as: {wrong}", fault.error));
    }
    let (mut ground, _) = check::after(dir, &teller.story(), durability, true).await?;
    check::goes_on(&mut ground).await?;
    Ok(true)
}

/// Nothing has to be started anew.
async fn again(ground: &mut Ground, next: &mut u64, teller: &mut Teller) -> Result<(), String> {
    let all = [
        Thing::Intent,
        Thing::Noted,
        Thing::SetAside { tokens: 4, used: 2 },
        Thing::Value { key: 1, bytes: 10 },
        Thing::Reservation { tokens: 2, used: 1 },
    ];
    for thing in all {
        *next += 1;
        keep(ground, *next, thing, teller).await.map_err(|wrong| format!("{thing:?} does not: {wrong}"))?;
    }
    ground.state.flush().await.map_err(|error| format!("records wait: {error}"))?;
    ground.seal().await.map_err(|wrong| format!("no head is signed: {wrong}"))?;
    Ok(())
}

/// Runs every step with a fault in a child. Gives what went wrong.
fn all_faults(shim: &Shim, durability: u64) -> Vec<String> {
    let mut failures = Vec::new();
    for (kind, fault) in FAULTS.iter().enumerate() {
        let (_dir, root) = folders(0..0);
        let (events, wrong) = shim.child(&root, &format!("faults 1 1000 {durability} {kind}"));
        let tried = cases(events).len();
        if let Some(told) = wrong {
            let lines = told.lines().filter(|line| line.starts_with("WRONG ")).collect::<Vec<_>>();
            let told = if lines.is_empty() { told.clone() } else { lines.join("\n") };
            failures.push(format!("{fault:?}, durability {durability}:\n{told}"));
        }
        assert!((100..999).contains(&tried), "{tried} steps");
    }
    failures
}

#[test]
fn t123_every_step_may_fail_and_nothing_acknowledged_is_lost() {
    let failures = both(all_faults);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// For both kinds of durability at once.
fn both(act: fn(&Shim, u64) -> Vec<String>) -> Vec<String> {
    let shim = Shim::compiled();
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|durability| {
            let shim = &shim;
            scope.spawn(move || act(shim, durability))
        });
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Ends the process before each step, and cuts the power where that leaves something else than before.
fn all_ends(shim: &Shim, of: u64) -> Vec<String> {
    let (_dir, root) = folders(0..1);
    let mut disk = Disk::load(&root.join("0"));
    let (events, wrong) = shim.child(&root, &format!("steps 0 1 {of}"));
    if let Some(told) = wrong {
        return vec![told];
    }
    let full = durability(of) == Durability::Full;
    let (_left, left) = folders(0..0);
    let (mut story, mut failures, mut tried, mut news) = (Story::default(), Vec::new(), 0, true);
    for (at, event) in cases(events).remove(&0).unwrap().iter().enumerate() {
        let mut look = |how: &str, disk: &Disk, must| {
            let into = left.join(format!("{at}-{how}"));
            if how == "cut" {
                disk.lose(&into)
            } else {
                disk.kill(&into)
            }
            let looked = run(async {
                let (mut ground, _) = check::after(&into, &story, durability(of), must).await?;
                check::goes_on(&mut ground).await
            });
            if let Err(wrong) = looked {
                failures.push(format!("durability {of}, {how} before {at}, {}: {wrong}", event.word()));
            }
            std::fs::remove_dir_all(&into).unwrap();
        };
        if event.is_change() {
            tried += 1;
            // A killed process leaves the same with either durability.
            if !full {
                look("killed", &disk, true);
            }
            if std::mem::take(&mut news) {
                look("cut", &disk, full);
            }
        }
        news |= matches!(event, Event::Sync { .. } | Event::Note(_));
        disk.apply(event);
        if let Event::Note(note) = event {
            story.tell(note);
        }
    }
    assert!(tried > 100 && story.has_all(), "{tried} steps, {story:?}");
    failures
}

#[test]
fn t123_an_end_before_every_step_loses_nothing_that_was_acknowledged() {
    let failures = both(all_ends);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
