//! Fuzzes what reads bytes of strangers, guided by coverage: `cargo run -p ringfence-fuzz -- [SECONDS] [TARGET...]`.
//!
//! 60 seconds each of all targets where nothing else is said. Needs a C++ compiler, for libFuzzer; nothing else here does. What
//! is tried, and what must hold of it, is in the core (`host/core/src/fuzz.rs`). Inputs begin with `seeds/`, one folder a target;
//! a seed that ends in `.wat` is assembled first. What was found to reach further is kept below the build's folder, so that the
//! next run goes on from there.
//!
//! Where something does not hold the exit code is 1, and the input is kept and named. Once it is mended, that input belongs into
//! `seeds/`, where `tests/suite/fuzz.rs` runs it from then on.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod report;
mod run;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use run::Place;

type Result<T> = std::result::Result<T, String>;

/// How long each target runs where nothing else is said.
const SECONDS: u32 = 60;

fn main() -> ExitCode {
    match fuzz() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything held.
fn fuzz() -> Result<bool> {
    let (mut seconds, mut wanted) = (SECONDS, Vec::new());
    let known = targets()?;
    for word in std::env::args().skip(1) {
        match word.parse() {
            Ok(number) => seconds = number,
            Err(_) if known.contains(&word) => wanted.push(word),
            Err(_) => return Err(format!("`{word}` is no target; there are {}", known.join(", "))),
        }
    }
    let wanted = if wanted.is_empty() { known } else { wanted };
    let program = build()?;
    let base = program.ancestors().nth(3).unwrap_or(Path::new(".")).join("fuzz");
    let mut found = Vec::new();
    for name in &wanted {
        let place = Place::prepare(&base, name, &seeds().join(name))?;
        println!("{name}: {seconds} s");
        found.push(run::run(&program, &place, name, seconds)?);
    }
    println!("\n{}", report::table(&found));
    let broken: Vec<_> = found.iter().filter(|found| !found.held).collect();
    for found in &broken {
        println!("{}", report::crash(found, &program));
    }
    Ok(broken.is_empty())
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn seeds() -> PathBuf {
    here().join("seeds")
}

/// Every target has a folder of seeds, and the suite holds that it is so.
fn targets() -> Result<Vec<String>> {
    let read = std::fs::read_dir(seeds()).map_err(|error| format!("{}: {error}", seeds().display()))?;
    let mut names: Vec<_> = read.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    Ok(names)
}

/// Builds all targets with counters of branches in our own crates, and gives the program.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(here())
        // The whole workspace, so that its dependencies have the features that they have in a test of everything.
        .args([
            "build",
            "--locked",
            "--workspace",
            "--example",
            "fuzz-target",
            "--features",
            "ringfence-fuzz/libfuzzer",
        ])
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTC_WORKSPACE_WRAPPER", here().join("instrument"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !built.status.success() {
        return Err("the targets could not be built; libFuzzer needs a C++ compiler".into());
    }
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == "fuzz-target")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo did not say where the program is".into())
}
