//! The state directory: full, not writable, held by another, and what becomes of what is in it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Done, Home, Provider, Reply, probe};

#[test]
fn a_state_directory_that_cannot_be_made() {
    let home = Home::new();
    home.write("file", "no folder");
    let under = home.path("file/state").display().to_string();
    let done = home.run(&["list", "--state-dir", &under]);
    done.fails("state-unwritable", 6, &under, &under);
    // A file system on which nobody can write, root neither.
    if cfg!(target_os = "linux") {
        let done = home.run(&["list", "--state-dir", "/proc/ringfence"]);
        done.fails("state-unwritable", 6, "/proc/ringfence", "another state directory");
    }
}

#[test]
fn a_state_directory_that_is_a_link_or_a_file() {
    let home = Home::new();
    let link = home.path("link");
    std::os::unix::fs::symlink(home.path("work"), &link).unwrap();
    home.run(&["list", "--state-dir", &link.display().to_string()]).fails("state-unsafe", 6, "link", "0700");
    let file = home.write("file", "x").display().to_string();
    home.run(&["list", "--state-dir", &file]).fails("state-unsafe", 6, &file, "0700");
}

#[test]
fn a_damaged_state_file() {
    let home = Home::new();
    home.run(&["list"]).worked();
    home.write("state/state.db", "this is no database, though it is long enough to be taken for one ".repeat(100));
    home.run(&["list"]).fails("state-corrupt", 6, "state.db", "backup");
}

#[test]
fn state_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.run(&["list"]).worked();
    for file in home.files("state") {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
    assert_eq!(std::fs::metadata(home.state()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn two_hosts_on_one_state_directory() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let probe = probe().display().to_string();
    let mut first =
        home.command(&["run", &probe, "--tool", "generate", "--prompt", "x", "--allow", "model", "--allow", "kv"]);
    let begun = Instant::now();
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    provider.wait();
    let second = home.run(&["list"]);
    let pid = first.id();
    second.fails(
        "state-in-use",
        6,
        &format!("by process {pid}"),
        &home.state().canonicalize().unwrap().display().to_string(),
    );
    assert!(second.took < Duration::from_secs(20), "it waits a little, and not for ever");
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    assert_eq!(Done::wait(first, begun).code, 130);
    home.run(&["list"]).worked();
}

/// A file may grow no further than this: what is written beyond fails, as it does where a disk is full.
fn with_small_files(home: &Home, kib: u32, args: &[&str]) -> Done {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]);
    // The unit of `ulimit -f` is 512 bytes.
    command.arg((kib * 2).to_string()).arg(env!("CARGO_BIN_EXE_ringfence")).args(args);
    command.current_dir(home.work()).stdin(Stdio::null());
    home.environment(&mut command);
    Done::of(&mut command)
}

#[test]
fn a_disk_without_room() {
    let home = Home::new();
    let skill = probe().display().to_string();
    let put = |key: &str, value: &str| {
        ["run", &skill, "--allow", "kv", "--allow", "model", "--tool", "put", "--key", key, "--value", value]
            .map(str::to_owned)
    };
    let read = |key: &str| {
        ["run", &skill, "--allow", "kv", "--allow", "model", "--tool", "read", "--key", key].map(str::to_owned)
    };
    fn words(args: &[String]) -> Vec<&str> {
        args.iter().map(String::as_str).collect()
    }
    home.run(&words(&put("small", "before"))).worked();

    let big = "x".repeat(100_000);
    let done = with_small_files(&home, 64, &words(&put("big", &big)));
    assert_eq!(done.out, "", "{done:?}");
    assert!([4, 6].contains(&done.code), "what could not be kept must not look kept: {done:?}");
    assert!(done.err.contains("cannot be written") && done.err.contains("help: "), "{done:?}");
    assert!(done.err.contains("state directory") && !done.err.contains("try again later"), "{done:?}");

    // Whole or not there, and what was there before still is.
    home.run(&words(&read("big"))).gives("nothing\n");
    home.run(&words(&read("small"))).gives("before\n");
    home.run(&words(&put("big", &big))).worked();
    home.run(&words(&read("big"))).gives(&format!("{big}\n"));
}

#[test]
fn a_disk_that_is_full() {
    if !cfg!(target_os = "linux") {
        // Elsewhere there is no device of this kind. The test above and those of the core stand for it.
        return;
    }
    let home = Home::new();
    let skill = probe().display().to_string();
    let run = |more: &[&str]| home.run(&[&["run", &skill, "--allow", "kv", "--allow", "model"], more].concat());
    run(&["--tool", "put", "--key", "small", "--value", "before"]).worked();

    // SQLite writes first into its log. Every write to this one fails as on a disk without room.
    let log = home.path("state/state.db-wal");
    assert!(!log.exists(), "a host that ended well leaves no log");
    std::os::unix::fs::symlink(full_device(&home), &log).unwrap();
    let big = "x".repeat(100_000);
    let done = run(&["--tool", "put", "--key", "big", "--value", &big]);
    assert_eq!(done.out, "", "{done:?}");
    assert!([4, 6].contains(&done.code), "what could not be kept must not look kept: {done:?}");
    assert!(done.err.contains("no room") && done.err.contains("free space"), "{done:?}");
    std::fs::remove_file(&log).ok();

    run(&["--tool", "read", "--key", "big"]).gives("nothing\n");
    run(&["--tool", "read", "--key", "small"]).gives("before\n");
}

/// A device whose every write fails for want of room. Root gets one of its own, because SQLite sets the mode of the files that it
/// opens, and the machine's must stay as it is; for everybody else that fails without harm.
fn full_device(home: &Home) -> std::path::PathBuf {
    if !rustix::process::geteuid().is_root() {
        return "/dev/full".into();
    }
    let own = home.path("full");
    let made = Command::new("mknod").args(["-m", "600"]).arg(&own).args(["c", "1", "7"]).output().unwrap();
    assert!(made.status.success(), "root can make no device here: {}", String::from_utf8_lossy(&made.stderr));
    let opened = std::fs::OpenOptions::new().write(true).open(&own);
    opened.unwrap_or_else(|error| panic!("devices cannot be used in {}: {error}; set TMPDIR", own.display()));
    own
}
