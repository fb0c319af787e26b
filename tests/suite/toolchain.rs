//! Machines whose Rust did not come from rustup, or that have none.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Done, Home, repository};

const TARGET: &str = "wasm32-wasip2";

/// The only folder of programs: cargo and a compiler as a distribution packages them, with the libraries of its targets in
/// `lib`. That of WebAssembly may be missing. There is no rustup.
fn distribution(home: &Home, with_target: bool) -> PathBuf {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).current_dir(repository()).output().unwrap();
    let real = PathBuf::from(String::from_utf8(asked.stdout).unwrap().trim());
    let own = home.path(if with_target { "whole" } else { "lacking" });
    let (bin, targets) = (own.join("bin"), own.join("lib/rustlib"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&targets).unwrap();
    for entry in std::fs::read_dir(real.join("lib/rustlib")).unwrap() {
        let entry = entry.unwrap();
        if with_target || entry.file_name() != TARGET {
            symlink(entry.path(), targets.join(entry.file_name())).unwrap();
        }
    }
    symlink(real.join("bin/cargo"), bin.join("cargo")).unwrap();
    let rustc = bin.join("rustc");
    let line = format!("#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n", real.join("bin/rustc").display(), own.display());
    std::fs::write(&rustc, line).unwrap();
    std::fs::set_permissions(&rustc, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

fn run(home: &Home, programs: &Path, args: &[&str]) -> Done {
    Done::of(home.command(args).env("PATH", programs))
}

#[test]
fn without_rustup_a_missing_target_is_named() {
    let home = Home::new();
    home.run(&["new", "lonely"]).worked();
    let lacking = distribution(&home, false);
    let done = run(&home, &lacking, &["build", "lonely"]);
    done.fails("toolchain-missing", 4, "no wasm32-wasip2, and there is no rustup", "https://rustup.rs");
    run(&home, &lacking, &["run", "./lonely", "--text", "x"]).fails("toolchain-missing", 4, TARGET, "rustup.rs");
    assert_eq!(home.files("work/lonely/target/ringfence"), [""; 0]);
    let told = run(&home, &lacking, &["doctor"]);
    let line = told.out.lines().find(|line| line.contains("rust toolchain")).unwrap();
    assert!(line.starts_with("note") && line.contains("this Rust has no wasm32-wasip2"), "{line}");

    let whole = distribution(&home, true);
    let told = run(&home, &whole, &["doctor"]).worked();
    assert!(told.out.contains("wasm32-wasip2 is installed"), "{told:?}");
}

#[test]
fn without_cargo_skills_run_and_are_not_built() {
    let home = Home::new();
    home.run(&["new", "lonely"]).worked();
    let nothing = home.path("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let done = run(&home, &nothing, &["build", "lonely"]);
    done.fails("toolchain-missing", 4, "cargo cannot be started", "https://rustup.rs");
    let probe = crate::support::probe().display().to_string();
    let echo = ["run", &probe, "--tool", "echo", "--text", "hello", "--allow", "kv", "--allow", "model"];
    run(&home, &nothing, &echo).gives("hello\n");
}
