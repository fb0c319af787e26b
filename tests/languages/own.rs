//! The tests of the SDKs and of the skills in languages other than Rust, each by its language's own runner, so that one command runs
//! everything.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Done, Home, guests, repository};

/// Skills that cargo does not test.
fn skills() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(repository().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        folders.filter(|folder| folder.join("skill.toml").is_file() && !folder.join("Cargo.toml").is_file()).collect();
    assert!(found.len() >= 5, "{found:?}");
    found.sort();
    found
}

#[test]
fn the_tests_of_every_skill_pass() {
    let home = Home::new();
    for skill in skills() {
        let done = home.run(&["test", &skill.display().to_string()]).worked();
        let said = format!("{}{}", done.out, done.err);
        assert!(said.contains("pass") || said.contains("ok "), "{}: {said}", skill.display());
    }
}

/// Where the program keeps a toolchain that it has fetched for a skill of this language.
fn toolchain(name: &str) -> PathBuf {
    let all = std::fs::read_dir(guests::cache().join("toolchains")).unwrap().map(|entry| entry.unwrap().path());
    let here = |path: &PathBuf| {
        path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}-")))
            && path.join("complete").is_file()
    };
    all.into_iter().find(here).unwrap_or_else(|| panic!("no toolchain {name}"))
}

#[track_caller]
fn passes(home: &Home, folder: &Path, command: &mut Command, word: &str) {
    home.environment(command.current_dir(folder).stdin(std::process::Stdio::null()));
    let done = Done::of(command).worked();
    assert!(format!("{}{}", done.out, done.err).contains(word), "{done:?}");
}

#[test]
fn the_tests_of_the_sdk_for_python_pass() {
    let home = Home::new();
    // This one fetches pytest where it is missing.
    home.run(&["test", &repository().join("plugins/writer").display().to_string()]).worked();
    let mut command = Command::new("python3");
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    home.environment(&mut command);
    command.env("PYTHONPATH", toolchain("pytest")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(repository().join("sdk/python"));
    let done = Done::of(&mut command).worked();
    assert!(done.out.contains(" passed"), "{done:?}");
}

#[test]
fn the_tests_of_the_sdk_for_go_pass() {
    let home = Home::new();
    guests::build("tests/probes/matrix-go");
    let own = Command::new("go").arg("version").output().is_ok();
    let go = if own { "go".into() } else { toolchain("go").join("go/bin/go") };
    let mut command = Command::new(go);
    command.args(["test", ".", "./text", "./fake", "./internal/schema", "./http/client"]);
    home.environment(&mut command);
    command.env("GOFLAGS", "-vet=off").env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    command
        .env("GOCACHE", guests::cache().join("build/go/compiled"))
        .env("GOPATH", guests::cache().join("build/go/modules"));
    command.current_dir(repository().join("sdk/go"));
    let done = Done::of(&mut command).worked();
    assert!(done.out.contains("ok  \tringfence"), "{done:?}");
}

#[test]
fn the_tests_of_the_sdk_for_c_pass() {
    passes(&Home::new(), &repository().join("sdk/c"), Command::new("make").arg("test"), "ok     a_model_is_asked");
}

#[test]
fn the_tests_of_the_sdk_for_typescript_pass() {
    let home = Home::new();
    let folder = repository().join("sdk/typescript/tests");
    if !folder.join("node_modules").is_dir() {
        let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
        passes(&home, &folder, Command::new("npm").args(install), "");
    }
    passes(&home, &folder, Command::new("npm").args(["run", "check", "--silent"]), "");
    passes(&home, &folder, Command::new("npm").args(["test", "--silent"]), "passed");
}
