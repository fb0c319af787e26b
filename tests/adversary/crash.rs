//! Hosts that are killed, starved, started in odd surroundings or on state that is not what it should be.
//!
//! A killed process loses nothing that it was told is kept: that is shown here by `kill -9` of the real program. A power cut is
//! something else, for what the system had not yet written goes with it: that is in `host/core/src/outage/`.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::{has_open, until};
use crate::support::{Done, Home, Provider, Reply, probe};

/// A run of the probe with everything allowed.
fn run<'a>(probe: &'a str, tool: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", probe, "--tool", tool, "--allow", "model=default", "--allow", "kv"][..], more].concat()
}

/// Runs in a shell of its own that first does `before`.
fn after(home: &Home, before: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{before}; exec \"$@\""), "sh"]).arg(env!("CARGO_BIN_EXE_ringfence")).args(args);
    command.current_dir(home.work()).stdin(Stdio::null());
    home.environment(&mut command);
    command
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// The state is whole and the host works as before.
#[track_caller]
fn survived(home: &Home) {
    home.probe("echo", &["--text", "x"]).gives("x\n");
    home.run(&["audit", "verify"]).worked();
}

/// It worked, or it said in the usual form why not: never a panic, an abort or silence, and never that the state is damaged.
#[track_caller]
fn told(done: &Done) {
    assert!(!done.err.contains("panicked at"), "{done:?}");
    if done.code != 0 {
        assert!((1..=70).contains(&done.code) && done.out.is_empty(), "{done:?}");
        assert!(done.err.contains("error[") && done.err.contains("\n  help: "), "{done:?}");
        assert!(!done.err.contains("error[state-corrupt]") && !done.err.contains("error[audit-broken]"), "{done:?}");
    }
}

#[test]
fn t121_a_killed_host_loses_nothing_that_was_acknowledged() {
    let home = Home::new();
    let skill = probe().display().to_string();
    survived(&home);
    let state = home.path("state/state.db");
    let mut restarts = Vec::new();
    for (round, point) in
        [0_u32, 0, 1, 1, 2, 3, 4, 5, 7, 9, 12, 15, 20, 26, 33, 45, 60, 90, 140, 200].into_iter().enumerate()
    {
        let prefix = format!("r{round}-");
        let mut command = home.command(&run(&skill, "keep", &["--prefix", &prefix, "--times", "450"]));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let number = |line: &str| line.split_once("kept ")?.1.strip_suffix('.')?.parse::<u32>().ok();
        if point == 0 {
            // While it starts.
            until("it has its state", || has_open(child.id(), &state).then_some(()));
        } else {
            let reached = lines.by_ref().map_while(Result::ok).find(|line| number(line).is_some_and(|n| n >= point));
            assert!(reached.is_some(), "it ended before {point}");
        }
        signal(&child, "-KILL");
        // What was said before it died counts too.
        let last = lines.map_while(Result::ok).filter_map(|line| number(&line)).last();
        let acknowledged = last.unwrap_or(point).max(point);
        child.wait().unwrap();

        let restart = home.run(&["list", "--format", "json"]);
        restart.gives("[]\n");
        restarts.push(restart.took);
        home.run(&["audit", "verify"]).worked();
        let listed = home.run(&run(&skill, "listed", &["--prefix", &prefix])).worked().out;
        let mut kept: Vec<u32> = listed.lines().filter_map(|key| key.strip_prefix(&prefix)?.parse().ok()).collect();
        kept.sort_unstable();
        let most = kept.len();
        assert!(most >= usize::try_from(acknowledged).unwrap(), "{round}: {most} of {acknowledged} are left");
        assert!(kept.iter().copied().eq(1..=u32::try_from(most).unwrap()), "{round}: none is missing in between");
        if acknowledged > 0 {
            let key = format!("{prefix}{acknowledged}");
            home.run(&run(&skill, "read", &["--key", &key])).gives(&format!("{acknowledged}\n"));
        }
    }
    restarts.sort_unstable();
    // The middle one: the machine has other tests to run meanwhile.
    assert!(restarts[restarts.len() / 2] < Duration::from_secs(2), "{restarts:?}");
    survived(&home);
}

#[test]
fn t124_too_few_files_are_told_and_harm_nothing() {
    let home = Home::new();
    let skill = probe().display().to_string();
    survived(&home);
    let put = run(&skill, "put", &["--key", "k", "--value", "v"]);
    for files in [12, 14, 16, 20, 24, 28, 32, 40] {
        let done = Done::of(&mut after(&home, &format!("ulimit -n {files}"), &put));
        told(&done);
    }
    Done::of(&mut after(&home, "ulimit -n 64", &put)).worked();
    survived(&home);
}

#[test]
fn t124_too_little_memory_is_told_and_harms_nothing() {
    let home = Home::new();
    let skill = probe().display().to_string();
    survived(&home);
    let put = run(&skill, "put", &["--key", "k", "--value", "v"]);
    for mib in [1_024, 4_096, 16_384] {
        let done = Done::of(&mut after(&home, &format!("ulimit -v {}", mib << 10), &put));
        told(&done);
    }
    survived(&home);
}

#[test]
fn t124_no_time_zone_changes_what_is_recorded() {
    let home = Home::new();
    let skill = probe().display().to_string();
    let put = run(&skill, "put", &["--key", "k", "--value", "v"]);
    let zones = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "No/Where", ":/etc/passwd", "", "<+99>-99"];
    for zone in zones {
        Done::of(home.command(&put).env("TZ", zone)).worked();
        Done::of(home.command(&["audit", "list"]).env("TZ", zone)).worked();
    }
    let records = home.run(&["audit", "list", "--since", "1h", "--event", "run", "--format", "json"]).worked().json();
    let times: Vec<i64> = records.as_array().unwrap().iter().map(|record| record["at-us"].as_i64().unwrap()).collect();
    assert_eq!(times.len(), zones.len(), "all of the last hour");
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first: {times:?}");
    survived(&home);
}

/// A run that waits for a provider, which holds its request.
fn waiting(home: &Home, provider: &Provider) -> Child {
    let skill = probe().display().to_string();
    let mut command = home.command(&run(&skill, "generate", &["--prompt", "hello", "--max-tokens", "100"]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    provider.wait();
    child
}

/// After it no provider is needed any more.
fn without_a_provider(home: &Home) {
    std::fs::remove_file(home.path(".config/ringfence/config.toml")).unwrap();
    survived(home);
}

#[test]
fn t125_a_second_request_to_end_is_obeyed_too() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let begun = Instant::now();
    let child = waiting(&home, &provider);
    signal(&child, "-TERM");
    // It may have ended already.
    drop(Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status());
    let done = Done::wait(child, begun);
    assert_eq!((done.code, done.out.as_str()), (130, ""), "{done:?}");
    assert!(!done.err.contains("panicked at"), "{done:?}");
    without_a_provider(&home);
}

#[test]
fn t125_a_terminal_that_hangs_up_tears_nothing() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let begun = Instant::now();
    let child = waiting(&home, &provider);
    signal(&child, "-HUP");
    let done = Done::wait(child, begun);
    assert_eq!(done.code, 128 + 1, "as the system ends it: {done:?}");
    without_a_provider(&home);
}

#[test]
fn t125_closed_files_and_readers_that_went_away() {
    let home = Home::new();
    let skill = probe().display().to_string();
    let echo = run(&skill, "echo", &["--text", "x"]);
    Done::of(&mut after(&home, "exec <&-", &echo)).gives("x\n");
    let done = Done::of(&mut after(&home, "exec >&-", &echo));
    told(&done);
    let done = Done::of(&mut after(&home, "exec <&- 2>&-", &echo));
    done.gives("x\n");
    // No room for the result, which is an error; and nobody who reads it, which is none.
    let done = Done::of(&mut after(&home, "exec >/dev/full", &echo));
    done.fails("unwritable", 6, "stdout", "free space");
    let mut command = home.command(&run(&skill, "big_outcome", &["--bytes", "1000000"]));
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = Done::wait(child, begun);
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
    survived(&home);
}

/// Every file below the state directory is its owner's alone.
#[track_caller]
fn private(home: &Home) {
    let files = home.files("state");
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
    assert_eq!(std::fs::metadata(home.state()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn t126_no_mask_opens_the_state_to_others() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    // Also a directory that is open already is closed.
    std::fs::set_permissions(home.state(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let skill = probe().display().to_string();
    let args = run(&skill, "generate", &["--prompt", "hello"]);
    let mut command = after(&home, "umask 000", &args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    provider.wait();
    // In the middle, with SQLite's log beside the database.
    assert!(home.path("state/state.db-wal").exists());
    private(&home);
    child.kill().unwrap();
    child.wait().unwrap();
    Done::of(&mut after(&home, "umask 000", &["list"])).worked();
    private(&home);
    without_a_provider(&home);
}

#[test]
fn t126_a_link_in_the_place_of_a_file_of_ours_is_not_followed() {
    let list = &["list"][..];
    for (name, verb, kind) in [
        ("state.db", list, "state-unsafe"),
        ("lock", list, "state-unsafe"),
        ("audit.key", list, "state-unwritable"),
        ("secrets.key", &SET, "state-unwritable"),
    ] {
        for there in [true, false] {
            let home = Home::new();
            let target = home.path("target");
            if there {
                home.write("target", "somebody's own");
            }
            symlink(&target, home.state().join(name)).unwrap();
            Done::of(home.command(verb).env("MINE", "a-new-value")).fails(kind, 6, name, "");
            match there {
                true => assert_eq!(std::fs::read(&target).unwrap(), b"somebody's own", "{name}"),
                false => assert!(!target.exists(), "{name}: it was made through the link"),
            }
        }
    }
    // The signed head is put in the place of what is there, and so in the place of a link.
    let home = Home::new();
    let target = home.write("target", "somebody's own");
    symlink(&target, home.state().join("audit.head")).unwrap();
    survived(&home);
    assert_eq!(std::fs::read(&target).unwrap(), b"somebody's own");
    assert!(std::fs::symlink_metadata(home.state().join("audit.head")).unwrap().is_file());
}

/// A home in which something is kept: a value, and a secret.
fn lived() -> Home {
    let home = Home::new();
    home.probe("put", &["--key", "k", "--value", "v"]).worked();
    let mut set = home.command(&["secret", "set", "API_KEY", "--host", "api.example.com", "--from-env", "MINE"]);
    Done::of(set.env("MINE", "sk-0123456789abcdef")).worked();
    home.run(&["audit", "verify"]).worked();
    home
}

/// Keeps a secret whose value is in the variable `MINE`.
const SET: [&str; 7] = ["secret", "set", "OTHER", "--host", "api.example.com", "--from-env", "MINE"];

fn sql(home: &Home, text: &str) {
    rusqlite::Connection::open(home.path("state/state.db")).unwrap().execute_batch(text).unwrap();
}

/// What is refused is left as it was, byte for byte.
#[track_caller]
fn refused_and_left(home: &Home, file: &Path, verb: &[&str], kind: &str, sentence: &str, help: &str) {
    let before = std::fs::read(file).unwrap();
    for _ in 0..2 {
        Done::of(home.command(verb).env("MINE", "a-new-value")).fails(kind, 6, sentence, help);
    }
    assert_eq!(std::fs::read(file).unwrap(), before, "{} was changed", file.display());
}

#[test]
fn t127_state_of_another_time_or_another_program_is_left_alone() {
    let home = lived();
    let db = home.path("state/state.db");
    let version: i64 = {
        let db = rusqlite::Connection::open(&db).unwrap();
        db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    sql(&home, "PRAGMA user_version = 99");
    refused_and_left(&home, &db, &["list"], "state-newer", "schema 99", "newer version");
    sql(&home, &format!("PRAGMA user_version = {version}"));
    home.probe("read", &["--key", "k"]).gives("v\n");
    let whole = std::fs::read(&db).unwrap();
    sql(&home, "PRAGMA application_id = 1");
    refused_and_left(&home, &db, &["list"], "state-corrupt", "another program wrote it", "backup");
    std::fs::write(&db, &whole).unwrap();

    // Cut somewhere: what is left is no smaller database.
    for length in [whole.len() / 2, 4096, 100] {
        std::fs::write(&db, &whole[..length]).unwrap();
        refused_and_left(&home, &db, &["list"], "state-corrupt", "state.db", "backup");
    }
    std::fs::write(&db, &whole).unwrap();
    home.probe("read", &["--key", "k"]).gives("v\n");
    survived(&home);
}

#[test]
fn t127_keys_that_were_cut_are_refused_and_not_made_anew() {
    // The key of the secrets is needed by those who use one, and by nobody else.
    for (name, verb, sentence) in
        [("audit.key", &["list"][..], "it is not an Ed25519 key"), ("secrets.key", &SET, "it is not a key of 32 bytes")]
    {
        let home = lived();
        let path = home.state().join(name);
        let whole = std::fs::read(&path).unwrap();
        for bytes in [&whole[..whole.len() - 1], &whole[..1], b"", &[&whole[..], b"\n"].concat()] {
            std::fs::write(&path, bytes).unwrap();
            refused_and_left(&home, &path, verb, "state-corrupt", sentence, name);
        }
        std::fs::write(&path, &whole).unwrap();
        survived(&home);
    }
}

#[test]
fn t127_what_is_missing_is_noticed() {
    // The key of the audit: another is made, and what the old one signed does not verify with it.
    let home = lived();
    std::fs::remove_file(home.path("state/audit.key")).unwrap();
    home.run(&["audit", "verify"]).fails("audit-broken", 1, "signature of the head is wrong", "audit.key was replaced");

    // The state: the head beside it knows that there was more.
    let home = lived();
    std::fs::remove_file(home.path("state/state.db")).unwrap();
    home.run(&["audit", "verify"]).fails("audit-broken", 1, "an older state was put back", "audit.head");

    // The key of the secrets: none can be used or kept, and everything else goes on.
    let home = lived();
    let path = home.path("state/secrets.key");
    let whole = std::fs::read(&path).unwrap();
    for other in [None, Some([7; 32])] {
        let kind = match other {
            None => "secret-key-missing",
            Some(_) => "secret-key-wrong",
        };
        drop(std::fs::remove_file(&path));
        if let Some(other) = other {
            std::fs::write(&path, other).unwrap();
        }
        Done::of(home.command(&SET).env("MINE", "a-new-value")).fails(
            kind,
            6,
            "secrets.key",
            "`ringfence secret remove`",
        );
        assert!(home.run(&["secret", "list"]).worked().out.contains("API_KEY"));
        home.probe("read", &["--key", "k"]).gives("v\n");
        home.run(&["audit", "verify"]).worked();
        let findings = home.run(&["doctor", "--format", "json"]).json();
        let told = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == "secrets").unwrap();
        assert_eq!(told["state"], "problem", "{told}");
        assert_eq!(std::fs::read(&path).ok().as_deref(), other.as_ref().map(|key| &key[..]), "no new key was made");
    }
    std::fs::write(&path, whole).unwrap();
    Done::of(home.command(&SET).env("MINE", "a-new-value")).worked();
}
