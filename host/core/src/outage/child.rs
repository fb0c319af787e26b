//! The process that works, with the shim below it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::record::{self, Event};
use super::work::Teller;
use super::{cuts, lock, steps};
use crate::state::Durability;

/// Tells a child what to do.
const JOB: &str = "OUTAGE_JOB";
const ROOT: &str = "OUTAGE_ROOT";

/// Half of the cases are of either kind.
pub(super) fn durability(case: u64) -> Durability {
    if case.is_multiple_of(2) { Durability::Full } else { Durability::Normal }
}

pub(super) fn run<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(act)
}

/// A directory with one folder for each case.
pub(super) fn folders(of: impl Iterator<Item = u64>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for seed in of {
        std::fs::create_dir(root.join(seed.to_string())).unwrap();
    }
    (dir, root)
}

/// What stands between a child and the C library. Goes with the value.
pub(super) struct Shim(tempfile::TempDir);

impl Shim {
    pub(super) fn compiled() -> Self {
        let shim = Self(tempfile::tempdir().unwrap());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/outage/shim.c");
        let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        let done = command.arg(shim.path()).arg(source).arg("-ldl").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        shim
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shim.so")
    }

    /// Runs a child on `root`. Gives its record, and what it printed where it failed.
    pub(super) fn child(&self, root: &Path, job: &str) -> (Vec<Event>, Option<String>) {
        let name = format!("{}::child_of_the_other_tests", module_path!().split_once("::").unwrap().1);
        let record = tempfile::NamedTempFile::new().unwrap();
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"])
            .env("LD_PRELOAD", self.path())
            .env(ROOT, root)
            .env("OUTAGE_RECORD", record.path())
            .env(JOB, job)
            .output()
            .unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let events = record::read(&std::fs::read(record.path()).unwrap());
        assert!(!events.is_empty(), "the shim was not loaded: {told}");
        (events, (!done.status.success()).then_some(told))
    }
}

/// The events of each case, which a note begins.
pub(super) fn cases(events: Vec<Event>) -> BTreeMap<u64, Vec<Event>> {
    let mut cases: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    let mut current = None;
    for event in events {
        if let Event::Note(note) = &event
            && let Some(case) = note.strip_prefix("case ")
        {
            current = Some(case.parse().unwrap());
        }
        if let Some(current) = current {
            cases.entry(current).or_default().push(event);
        }
    }
    cases
}

#[test]
#[ignore = "what the other tests run in a process of its own"]
fn child_of_the_other_tests() {
    let (Ok(job), Some(root)) = (std::env::var(JOB), std::env::var_os(ROOT)) else { return };
    let root = PathBuf::from(root);
    let words: Vec<&str> = job.split(' ').collect();
    let number = |at: usize| -> u64 { words[at].parse().unwrap() };
    let mut teller = Teller::new(&root.join("control"));
    let mut failures = 0;
    for case in number(1)..number(2) {
        teller.tell(&format!("case {case}"));
        let dir = root.join(case.to_string());
        let done = match words[0] {
            "live" => run(cuts::live(&dir, case, &mut teller)),
            "go-on" => run(cuts::go_on(&dir, case, &mut teller)),
            "lock" => lock::write(&dir, &mut teller),
            "steps" => run(steps::all(&dir, durability(number(3)), &mut teller)),
            "faults" => match run(steps::faulty(&dir, durability(number(3)), number(4), case, &mut teller)) {
                Ok(true) => Ok(()),
                // It is behind the last step: all have been tried.
                Ok(false) => break,
                Err(wrong) => Err(wrong),
            },
            other => panic!("{other}"),
        };
        if let Err(wrong) = done {
            // The harness has begun a line.
            println!("\nWRONG {case} {wrong}");
            failures += 1;
        }
    }
    assert_eq!(failures, 0);
}
