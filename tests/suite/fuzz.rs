//! The seeds of the fuzzer (`tests/fuzz`) and changes of them, through the same functions, without counters of branches. What
//! broke once is among the seeds, so it cannot come back; what a short search finds again is found here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringfence_core::fuzz::{TARGETS, target};

use crate::house::root;

/// Most bytes of the seeds of one target: a search that begins with little goes further.
const SEEDS_BYTES: usize = 64 << 10;

/// Seeds of a target by name, text that is assembled among them.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/fuzz/seeds").join(name)).unwrap() {
        let path = entry.unwrap().path();
        let is_text = path.extension().is_some_and(|end| end == "wat");
        let bytes = if is_text { wat::parse_file(&path).unwrap() } else { std::fs::read(&path).unwrap() };
        seeds.push((path.file_name().unwrap().to_string_lossy().into_owned(), bytes));
    }
    seeds.sort_unstable();
    seeds
}

/// The same numbers in every run, so that what fails fails again (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }
}

/// A seed with one to four changes: a bit, a byte, a piece taken out, doubled, or put in from another seed.
fn change(seed: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let end = at + chance.below((bytes.len() - at).min(32) + 1);
        match chance.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => bytes.truncate(at),
            _ => {
                let from = chance.below(other.len() + 1);
                let until = from + chance.below((other.len() - from).min(32) + 1);
                drop(bytes.splice(at..at, other[from..until].iter().copied()));
            }
        }
    }
    bytes
}

/// Runs all seeds and so many changes of them. The error is the input that broke something, as it was written.
fn search(run: impl Fn(&[u8]), seeds: &[(String, Vec<u8>)], changes: usize) -> Result<(), String> {
    let broke = |what: &str, bytes: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| run(bytes)))
            .map_err(|_| format!("{what} broke something: b\"{}\"", bytes.escape_ascii()))
    };
    for (name, bytes) in seeds {
        broke(name, bytes)?;
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..changes {
        let (name, bytes) = &seeds[chance.below(seeds.len())];
        let other = &seeds[chance.below(seeds.len())].1;
        broke(&format!("a change of {name}"), &change(bytes, other, &mut chance))?;
    }
    Ok(())
}

macro_rules! targets {
    ($($name:ident: $changes:literal,)*) => {
        const SEARCHED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                let seeds = seeds(name);
                let bytes: usize = seeds.iter().map(|(_, bytes)| bytes.len()).sum();
                assert!(seeds.len() >= 3 && bytes <= SEEDS_BYTES, "{} seeds, {bytes} bytes", seeds.len());
                let target = target(name).unwrap();
                search(target.run, &seeds, $changes).unwrap_or_else(|input| panic!("{name}: {input}"));
            }
        )*
    };
}

// What compiles or asks a database is slower.
targets! {
    load: 150,
    manifest: 400,
    policy_url: 1_000,
    json_in: 400,
    sse: 1_000,
    kv_key: 150,
    audit_parse: 150,
    redact: 400,
    signature: 400,
}

#[test]
fn every_target_has_seeds_and_is_searched() {
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    let mut searched = SEARCHED.to_vec();
    let mut folders: Vec<_> = std::fs::read_dir(root().join("tests/fuzz/seeds"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    searched.sort_unstable();
    folders.sort_unstable();
    assert_eq!(searched, names);
    assert_eq!(folders, names, "tests/fuzz/seeds");
}

/// A search that could not fail would say nothing.
#[test]
fn what_breaks_is_found_and_told() {
    let seeds = [("one".to_owned(), b"abcd".to_vec()), ("two".to_owned(), b"xyz".to_vec())];
    let tried = Cell::new(0);
    let count = |_: &[u8]| tried.set(tried.get() + 1);
    assert_eq!(search(count, &seeds, 100), Ok(()));
    assert_eq!(tried.get(), 102);
    let error = search(|bytes| assert!(bytes != b"xyz"), &seeds, 0).unwrap_err();
    assert_eq!(error, "two broke something: b\"xyz\"");
    let error = search(|bytes| assert!(!bytes.windows(2).any(|pair| pair == b"cx")), &seeds, 5_000).unwrap_err();
    assert!(error.starts_with("a change of ") && error.contains("cx"), "{error}");
}
