//! The SDK and the skills have workspaces of their own; their tests belong to this suite all the same, so that one command
//! runs everything.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::house::root;

/// Every folder with a package of its own: the SDK, and each skill.
fn packages() -> Vec<PathBuf> {
    let mut found = vec![root().join("sdk/rust")];
    for entry in std::fs::read_dir(root().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("Cargo.toml").is_file() {
            found.push(folder);
        }
    }
    assert!(found.len() >= 3, "{found:?}");
    found.sort();
    found
}

/// Cargo in a workspace that is not this one.
fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(folder);
    command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/packages"));
    // What cargo tells a test about its own package must not reach another package's build.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_EXE_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// One after the other, in one folder of builds: each dependency is compiled once.
#[test]
fn the_tests_of_the_sdk_and_of_every_skill_pass() {
    for folder in packages() {
        let done = cargo(&folder, &["test", "--workspace", "--locked", "--quiet"]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{}\n{out}\n{err}", folder.display());
        let ran: u32 = out
            .lines()
            .filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<u32>().ok())
            .sum();
        assert!(ran > 0, "{} has no tests\n{out}", folder.display());
    }
}
