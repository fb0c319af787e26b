//! Which attack is tried where. Every row of the catalogue has a test that is named after it, here or lower down, or stands in
//! the table below with the reason.

use std::collections::BTreeSet;
use std::path::Path;

/// The rows that this version is held to, and the one beside them, which no test of T45 stands for.
const ROWS: std::ops::RangeInclusive<u32> = 1..=127;
const BESIDE: &str = "45a";

/// Rows without a test of that name.
const WITHOUT: &[(&str, &str)] = &[
    (
        "22",
        "moot: asynchronous components are refused when they are loaded, by t14_every_proposal_that_is_off_is_refused",
    ),
    ("23", "moot: there is no mode that counts fuel"),
];

#[test]
fn every_row_has_its_test_or_a_reason() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeSet::new();
    for folder in ["host/core/src", "host/app/src", "tests/adversary", "tests/suite"] {
        read(&top.join(folder), &mut found);
    }
    let without: BTreeSet<String> = WITHOUT.iter().map(|(row, _)| (*row).to_owned()).collect();
    let rows = ROWS.map(|row| row.to_string()).chain([BESIDE.to_owned()]);
    let missing: Vec<String> = rows.filter(|row| !found.contains(row) && !without.contains(row)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
    let stale: Vec<_> = without.intersection(&found).collect();
    assert!(stale.is_empty(), "these rows have a test by now: {stale:?}");
}

/// The numbers in the names of all test functions below `folder`: `fn t59_t60_...` has two.
fn read(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for name in text.split("fn ").skip(1) {
                let name: &str = name.split('(').next().unwrap_or_default();
                let numbers = name.split('_').map_while(|part| {
                    let row = part.strip_prefix('t')?;
                    let number = || row.parse::<u32>().ok().map(|row| row.to_string());
                    if row == BESIDE { Some(row.to_owned()) } else { number() }
                });
                found.extend(numbers);
            }
        }
    }
}
