//! What the program is made of: versions with open advisories, licences, and what must not be in it. Needs no network.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::house::root;

/// Oldest version of a crate that has no advisory we know of, with the reason. `None` means that it must not be there.
///
/// Read from Cargo.lock, because advisory databases cannot be reached everywhere and a check that was skipped looks like one
/// that passed. Whoever looks through the advisories writes the day into `LOOKED_THROUGH`.
const FLOORS: &[(&str, Option<&str>, &str)] = &[
    // 48.0.9 fixes eight more, which our configuration does not reach: SECURITY.md.
    ("wasmtime", Some("48.0.8"), "GHSA-mghf-wjfp-p5xm, GHSA-3r89-v5mq-j5xf, GHSA-6fr9-xmw9-5352"),
    ("wasmtime-wasi", Some("48.0.8"), "GHSA-gqmc-89g8-p25r"),
    ("cap-primitives", Some("4.0.3"), "RUSTSEC-2024-0445"),
    ("rustls", Some("0.23.46"), "RUSTSEC-2024-0336, RUSTSEC-2024-0399"),
    ("rustls-webpki", Some("0.103.13"), "RUSTSEC-2026-0104"),
    ("h2", Some("0.4.20"), "RUSTSEC-2026-0258"),
    ("hyper", Some("1.0.0"), "request smuggling of the 0.14 line"),
    ("idna", Some("1.0.0"), "RUSTSEC-2024-0421"),
    ("url", Some("2.5.4"), "RUSTSEC-2024-0421"),
    ("ring", Some("0.17.12"), "RUSTSEC-2025-0009"),
    ("tokio", Some("1.43.1"), "RUSTSEC-2025-0023"),
    ("hickory-proto", Some("0.26.2"), "CVE-2026-123603"),
    ("hickory-resolver", Some("0.26.2"), "CVE-2026-123603"),
    ("rmcp", Some("1.4.0"), "RUSTSEC-2026-0189"),
    ("tough", Some("0.7.1"), "RUSTSEC-2020-0024"),
    ("wasmtime-wasi-http", None, "it would be a road to the network that no permit guards"),
    ("winch-codegen", None, "one compiler to trust: Cranelift"),
    ("tokio-tar", None, "CVE-2025-62518"),
    ("sled", None, "state is SQLite"),
    ("aws-lc-rs", None, "one cryptography library is enough: ring"),
    ("aws-lc-sys", None, "one cryptography library is enough: ring"),
    ("openssl-sys", None, "TLS is rustls"),
    ("native-tls", None, "TLS is rustls"),
];

/// Two versions of one of these would be two stacks of HTTP or TLS, only one of which has our limits and updates.
const SINGLE: &[&str] = &["hyper", "hyper-util", "reqwest", "rustls", "rustls-webpki", "rusqlite", "tokio", "wasmtime"];

/// The day on which the table was last held against the advisories of all that is locked.
const LOOKED_THROUGH: &str = "2026-11-24";
/// After so many days it says nothing any more about what is known today.
const GOOD_FOR: i32 = 30;

/// Only where `CI` is set, as every service for it does. There the maintainers see it, and an old table must stop them: nobody
/// reads a warning. For a newcomer with a clone of last year the same failure would be noise, since nothing that they did
/// broke it and nothing that they can do mends it. The floors themselves are checked everywhere.
#[test]
fn the_table_is_looked_through_every_month() {
    let days = jiff::Timestamp::now().as_second().div_euclid(86_400);
    let today = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
    assert_eq!(is_stale(today, today), None);
    assert_eq!(is_stale(today, today.saturating_add(jiff::Span::new().days(GOOD_FOR))), None);
    assert_eq!(is_stale(today, today.saturating_add(jiff::Span::new().days(GOOD_FOR + 1))), Some(GOOD_FOR + 1));
    let looked: jiff::civil::Date = LOOKED_THROUGH.parse().unwrap();
    assert!(looked <= today, "{LOOKED_THROUGH} has not come yet");
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        let days = is_stale(looked, today);
        assert_eq!(days, None, "days since the advisories were looked through; do it, and write the day down");
    }
}

/// The age in days of a table that is too old.
fn is_stale(looked: jiff::civil::Date, today: jiff::civil::Date) -> Option<i32> {
    let days = looked.until(today).map_or(i32::MAX, |span| span.get_days());
    (days > GOOD_FOR).then_some(days)
}

#[test]
fn no_locked_version_is_below_its_floor() {
    let locked = locked();
    for (name, floor, why) in FLOORS {
        let versions = locked.get(*name).cloned().unwrap_or_default();
        match floor {
            None => assert!(versions.is_empty(), "{name} must not be here: {why}"),
            Some(floor) => {
                for version in versions {
                    assert!(parts(&version) >= parts(floor), "{name} {version} is below {floor}: {why}");
                }
            }
        }
    }
    for name in SINGLE {
        assert_eq!(locked.get(*name).map(Vec::len), Some(1), "{name}: {:?}", locked.get(*name));
    }
}

/// What checks the code is no part of the program, and runs on the same machines.
#[test]
fn everything_comes_from_the_registry() {
    let locks = ["Cargo.lock", "tests/models/Cargo.lock", "tests/bindings/Cargo.lock"].map(lock_of);
    for package in locks.iter().flat_map(|lock| lock["package"].as_array().unwrap()) {
        if let Some(source) = package.get("source") {
            assert_eq!(source.as_str(), Some("registry+https://github.com/rust-lang/crates.io-index"), "{package}");
            assert!(package.get("checksum").is_some(), "{package}");
        }
    }
}

/// Builds of wasmtime without these features have advisories of their own (GHSA-rc4p-x33f-vpr2, GHSA-2674-w29h-wqvj), so
/// leaving them out is no hardening: they stay compiled, and are switched off in the engine's configuration.
#[test]
fn wasmtime_is_built_with_what_it_needs_and_no_more() {
    let metadata = metadata();
    let id = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "wasmtime").unwrap()["id"].clone();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let features = &nodes.iter().find(|node| node["id"] == id).unwrap()["features"];
    let has = |name: &str| features.as_array().unwrap().iter().any(|feature| feature == name);
    for needed in ["gc", "threads", "cranelift", "pooling-allocator", "async", "component-model"] {
        assert!(has(needed), "{needed} is missing: {features}");
    }
    for absent in [
        "component-model-async",
        "stack-switching",
        "winch",
        "cache",
        "debug",
        "profiling",
        "compile-time-builtins",
        "wat",
        "coredump",
        "addr2line",
    ] {
        assert!(!has(absent), "{absent} is on: {features}");
    }
}

/// Licences that what we ship may be under. `deny.toml` has the same list for `cargo deny`.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_licence_is_on_the_list() {
    for package in metadata()["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(permits(licence), "{}: {licence:?}", package["name"]);
    }
    assert!(permits("MIT/Apache-2.0") && permits("(MIT OR GPL-3.0) AND ISC") && permits("GPL-3.0 OR MIT"));
    assert!(!permits("GPL-3.0") && !permits("MIT AND GPL-3.0") && !permits(""));
    let deny: toml::Table = std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    let listed: Vec<_> = deny["licenses"]["allow"].as_array().unwrap().iter().filter_map(|l| l.as_str()).collect();
    assert_eq!(listed, LICENCES);
}

/// SPDX as far as crates write it: `AND` of `OR`s, in parentheses or not. `/` is an old form of `OR`.
fn permits(licence: &str) -> bool {
    let one = |choice: &str| LICENCES.contains(&choice.trim());
    // Parentheses only ever stand around the parts of an `AND`.
    let plain = licence.replace(['(', ')'], "").replace(" AND ", "&");
    plain.split('&').all(|part| part.replace('/', " OR ").split(" OR ").any(one))
}

fn lock() -> toml::Table {
    lock_of("Cargo.lock")
}

fn lock_of(path: &str) -> toml::Table {
    std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

fn locked() -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock()["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        all.entry(text("name")).or_default().push(text("version"));
    }
    all
}

fn parts(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap();
    plain.split('.').map(|part| part.parse().unwrap()).collect()
}

/// What is resolved for this machine: other platforms' crates are not downloaded here.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let version = Command::new("rustc").arg("-vV").current_dir(root()).output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let done = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    })
}
