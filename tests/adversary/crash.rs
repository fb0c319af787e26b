//! Hosts that are killed, starved, started in odd surroundings or on state that is not what it should be.
//!
//! A killed process loses nothing that it was told is kept: that is shown here by `kill -9` of the real program. A power cut is
//! something else, for what the system had not yet written goes with it: that is in `host/core/src/outage/`.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::process::{has_open, until};
use crate::support::{Done, Home, Provider, Reply, Server, probe};

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

/// What stands between a program and the C library: see `machine.c`. It can move the wall clock of a program that runs, and let everything
/// fail that it changes below its state directory. Goes with the value.
#[cfg(target_os = "linux")]
struct Machine {
    folder: tempfile::TempDir,
    numbers: std::fs::File,
}

#[cfg(target_os = "linux")]
impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = crate::support::repository().join("tests/adversary/machine.c");
        let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        let done = command.arg(folder.path().join("machine.so")).arg(source).arg("-ldl").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut options = std::fs::OpenOptions::new();
        let numbers = options.read(true).write(true).create_new(true).open(folder.path().join("numbers")).unwrap();
        numbers.set_len(4 * 8).unwrap();
        Self { folder, numbers }
    }

    /// `ringfence serve` on it.
    fn serve(&self, home: Home) -> Server {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let root = home.state().canonicalize().unwrap().display().to_string();
        let (shim, numbers) = (path("machine.so"), path("numbers"));
        Server::within(home, &[], &[("LD_PRELOAD", &*shim), ("MACHINE", &*numbers), ("MACHINE_ROOT", &*root)])
    }

    fn put(&self, at: u64, number: i64) {
        self.numbers.write_all_at(&number.to_ne_bytes(), at * 8).unwrap();
    }

    fn get(&self, at: u64) -> i64 {
        let mut bytes = [0; 8];
        self.numbers.read_exact_at(&mut bytes, at * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }

    /// So many seconds are added to the wall clock from now on.
    fn jump(&self, seconds: i64) {
        self.put(0, seconds);
    }

    /// What is changed below the state directory fails from now on, with this error.
    fn refuse(&self, error: Option<rustix::io::Errno>) {
        self.put(1, error.map_or(0, |error| error.raw_os_error().into()));
    }

    /// How often a change has failed.
    fn refused(&self) -> i64 {
        self.get(3)
    }
}

/// Seconds since 1970 on the clock of this test.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

const HOUR: i64 = 3_600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

/// How long a call may take on the servers of these tests.
const WALL: Duration = Duration::from_secs(4);

/// The probe on a server, where a call may take [`WALL`], with what it may use granted.
fn brief(more: &str) -> Home {
    let home = Home::with_config(&format!("{more}\n[engine]\nconcurrent = 64\n[limits]\nwall-seconds = 4\n"));
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    home.run(&["grant", "probe", "kv", "model=default"]).worked();
    home
}

/// Calls a tool of the probe: the text of its outcome, or the kind of the problem.
#[track_caller]
fn tell(server: &Server, tool: &str, input: &Value) -> Result<String, String> {
    let answer = server.post(&format!("/v1/tools/probe_{tool}"), &[], input);
    match answer.status {
        200 => Ok(answer.json()["outcome"]["content"][0]["text"].as_str().unwrap().to_owned()),
        _ => Err(answer.kind().unwrap_or_else(|| panic!("{answer:?}"))),
    }
}

/// Waits until so many calls run.
#[track_caller]
fn running(server: &Server, calls: u64) {
    until("they run", || (server.figure("ringfence_invocations_running") == calls).then_some(()));
}

#[cfg(target_os = "linux")]
#[test]
fn t124_a_clock_that_jumps_moves_no_deadline_and_disorders_no_record() {
    let machine = Machine::new();
    let server = machine.serve(brief(""));
    for jump in [-HOUR, TEN_YEARS, 0] {
        let started =
            server.post("/v1/invocations", &[], &json!({ "tool": "probe_sleep", "input": { "ms": 600_000 } }));
        let place = format!("/v1/invocations/{}", started.json()["invocation"].as_str().unwrap());
        let begun = Instant::now();
        let told = std::thread::scope(|scope| {
            let called = scope.spawn(|| tell(&server, "sleep", &json!({ "ms": 600_000 })));
            let heard = scope.spawn(|| server.get(&format!("{place}/events")).body);
            running(&server, 2);
            machine.jump(jump);
            // The guest's clock is the host's, and the host's is the one that jumps.
            let before = now();
            let seen: i64 = tell(&server, "time", &json!({})).unwrap().parse().unwrap();
            assert!((before + jump..=now() + jump).contains(&seen), "{jump}: {seen}");
            // Who goes away is noticed as ever.
            let mut gone = server.connect();
            write!(
                gone,
                "POST /v1/tools/probe_sleep HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
                Server::bearer(&server.client)
            )
            .unwrap();
            write!(gone, "Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{{\"ms\":600000}}").unwrap();
            running(&server, 3);
            drop(gone);
            running(&server, 2);
            (called.join().unwrap(), heard.join().unwrap())
        });
        // Not a moment early. Late by what the clock was set back it would be long after this test had given up.
        assert!(begun.elapsed() >= WALL, "{jump}: {:?}", begun.elapsed());
        assert_eq!(told.0, Err("deadline".into()), "{jump}");
        assert!(told.1.contains("deadline"), "{jump}: {}", told.1);
        tell(&server, "put", &json!({ "key": "k", "value": jump.to_string() })).unwrap();
        assert_eq!(tell(&server, "read", &json!({ "key": "k" })), Ok(jump.to_string()));
        server.still_works();
    }
    // In the order in which it happened, whatever the clock said: those that were called one after the other.
    let runs = server.get("/v1/runs?limit=100").json();
    let tools = runs.as_array().unwrap().iter().rev().map(|run| run["tool"].as_str().unwrap());
    let tools: Vec<&str> = tools.filter(|tool| *tool != "sleep").collect();
    assert_eq!(tools, ["time", "put", "read"].repeat(3));
    server.home.run(&["audit", "verify"]).worked();
    let export = server.home.run(&["audit", "export"]).worked().out;
    let records: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: Vec<i64> = records.iter().filter_map(|record| record["at-us"].as_i64()).collect();
    assert!(!times.is_sorted(), "the clock of the records never jumped");
}

#[cfg(target_os = "linux")]
#[test]
fn t124_a_clock_that_jumps_gives_no_money_back_and_spends_none_twice() {
    // A hundred words, and a day in which two such answers fit.
    let provider = Provider::says("word ".repeat(100).trim());
    let settings = provider.config().replace("key-env = \"FAKE_KEY\"\n", "");
    let home = brief(&format!("{settings}[budget.host-day]\noutput-tokens = 250\n"));
    let machine = Machine::new();
    // Noon, so that an hour more or less is the same day.
    let noon = 12 * HOUR - now().rem_euclid(24 * HOUR);
    let ask = |server: &Server| tell(server, "generate", &json!({ "prompt": "hello", "max_tokens": 100 })).map(drop);
    let spent = |home: &Home| -> Vec<i64> {
        let db = rusqlite::Connection::open(home.path("state/state.db")).unwrap();
        let sums = "SELECT sum(output_tokens) FROM (SELECT day, output_tokens FROM spend
            UNION ALL SELECT day, output_tokens FROM reservations) GROUP BY day HAVING sum(output_tokens) > 0 ORDER BY day";
        db.prepare(sums).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    machine.jump(noon);
    let mut server = machine.serve(home);
    ask(&server).unwrap();
    for jump in [-HOUR, HOUR, 0] {
        machine.jump(noon + jump);
        server.still_works();
    }
    ask(&server).unwrap();
    let refused = Err("refused".to_owned());
    for jump in [0, -HOUR, HOUR, -24 * HOUR, 0] {
        machine.jump(noon + jump);
        assert_eq!(ask(&server), refused, "{jump}: the day is used up");
    }
    // Another day is another day, if only for this clock; and to come back from it gives nothing.
    machine.jump(noon + TEN_YEARS);
    ask(&server).unwrap();
    ask(&server).unwrap();
    for jump in [TEN_YEARS, 0, -HOUR] {
        machine.jump(noon + jump);
        assert_eq!(ask(&server), refused, "{jump}: the day is used up");
    }
    machine.jump(noon);
    until("it is written", || (spent(&server.home) == [200, 200]).then_some(()));
    // Nor does a start.
    server.signal("-TERM");
    assert_eq!(server.ended(), 0);
    let home = std::mem::replace(&mut server.home, Home::new());
    let server = machine.serve(home);
    assert_eq!(ask(&server), refused, "the day is used up");
    assert_eq!(provider.requests().len(), 4);
    assert_eq!(spent(&server.home), [200, 200], "all that was served, once");
    server.home.run(&["audit", "verify"]).worked();
    server.still_works();
}

/// As `/proc` has it: `T` is stopped.
#[cfg(target_os = "linux")]
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[cfg(target_os = "linux")]
#[test]
fn t124_a_process_that_was_suspended_ends_its_calls_and_goes_on() {
    let server = Server::with(brief(""), &[]);
    let works = || {
        // A clock of guests that has not ticked is told as `busy` until it ticks again.
        let text = until("it works again", || match tell(&server, "echo", &json!({ "text": "x" })) {
            Ok(text) => Some(text),
            Err(kind) => {
                assert_eq!(kind, "busy");
                None
            }
        });
        assert_eq!(text, "x");
    };
    // For a moment, and for longer than the calls may take that are in their middle: one waits, and one computes.
    for long in [false, true] {
        let told = std::thread::scope(|scope| {
            let begun = Instant::now();
            let calls = [("sleep", json!({ "ms": if long { 600_000 } else { 1_000 } })), ("spin", json!({}))];
            let calls = calls.map(|(tool, input)| {
                let server = &server;
                scope.spawn(move || tell(server, tool, &input))
            });
            running(&server, 2);
            server.signal("-STOP");
            until("it stands still", || is_stopped(server.pid()).then_some(()));
            if long {
                // Time has to pass: this is what is tried.
                std::thread::sleep((WALL + Duration::from_secs(1)).saturating_sub(begun.elapsed()));
            }
            server.signal("-CONT");
            works();
            calls.map(|call| call.join().unwrap())
        });
        assert_eq!(told[1], Err("deadline".into()));
        match &told[0] {
            // Ended as if nothing had been, unless this machine was busy with something else.
            Ok(_) => assert!(!long),
            Err(kind) => assert_eq!(kind, "deadline"),
        }
    }
    server.still_works();
    server.home.run(&["audit", "verify"]).worked();
    let runs = server.get("/v1/runs?limit=100").json();
    let unfinished = runs.as_array().unwrap().iter().filter(|run| run["ended"].is_null()).count();
    assert_eq!(unfinished, 0, "{runs}");
}

#[cfg(target_os = "linux")]
#[test]
fn t124_a_disk_that_refuses_stops_what_has_effects_and_nothing_else() {
    use rustix::io::Errno;
    let provider = Provider::says("An answer.");
    let machine = Machine::new();
    let server = machine.serve(brief(&provider.config().replace("key-env = \"FAKE_KEY\"\n", "")));
    let put = |value: &str| tell(&server, "put", &json!({ "key": "k", "value": value }));
    let read = || tell(&server, "read", &json!({ "key": "k" }));
    let ask = || tell(&server, "generate", &json!({ "prompt": "hello" }));
    let (mut asked, mut echoes, mut refused) = (0, 0, 0);
    for error in [Errno::IO, Errno::ROFS, Errno::NOSPC] {
        let value = format!("before {error:?}");
        put(&value).unwrap();
        assert_eq!(ask(), Ok("An answer.".into()));
        asked += 1;
        machine.refuse(Some(error));
        let before = machine.refused();
        for _ in 0..3 {
            assert_eq!(put("not kept"), Err("unavailable".into()), "{error:?}");
            assert_eq!(ask(), Err("unavailable".into()), "{error:?}");
            assert_eq!(provider.requests().len(), asked, "{error:?}: nothing was sent");
            // What has no effect goes on.
            assert_eq!(read(), Ok(value.clone()), "{error:?}");
            assert_eq!(tell(&server, "echo", &json!({ "text": "x" })), Ok("x".into()), "{error:?}");
            refused += 1;
            echoes += 1;
        }
        assert!(machine.refused() > before, "{error:?}: no change went by this way");
        machine.refuse(None);
        // The same process, as soon as the disk works.
        put("after").unwrap();
        assert_eq!(read(), Ok("after".into()), "{error:?}");
        assert_eq!(ask(), Ok("An answer.".into()), "{error:?}");
        asked += 1;
        assert_eq!(provider.requests().len(), asked);
        server.still_works();
        server.home.run(&["audit", "verify"]).worked();
    }
    // What could only be noted meanwhile has been kept, each once.
    let count = |tool: &str, kind: &str| {
        let runs =
            server.home.run(&["audit", "list", "--event", "run", "--limit", "1000", "--format", "json"]).worked();
        let runs = runs.json();
        runs.as_array().unwrap().iter().filter(|run| run["subject"] == tool && run["kind"] == kind).count()
    };
    for (tool, kind, times) in [
        ("put", "unavailable", refused),
        ("generate", "unavailable", refused),
        ("echo", "ok", echoes),
        ("generate", "ok", asked),
        ("put", "ok", 6),
    ] {
        until("it is written", || (count(tool, kind) >= times).then_some(()));
        assert_eq!(count(tool, kind), times, "{tool} {kind}");
    }
}

/// Bytes that a process has read so far, by whatever call.
#[cfg(target_os = "linux")]
fn bytes_read(pid: u32) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn t127_a_large_audit_is_read_as_little_as_a_small_one() {
    let home = Server::furnished();
    survived(&home);
    // From the start until a call is on record and signed.
    let started = |home: Home| {
        let mut server = Server::with(home, &[]);
        let head = || std::fs::read(server.home.path("state/audit.head")).unwrap();
        let before = head();
        assert_eq!(tell(&server, "echo", &json!({ "text": "x" })), Ok("x".into()));
        until("it is signed", || (head() != before).then_some(()));
        let read = bytes_read(server.pid());
        server.signal("-TERM");
        assert_eq!(server.ended(), 0);
        (read, std::mem::replace(&mut server.home, Home::new()))
    };
    let (small, home) = started(home);
    let size = || std::fs::metadata(home.path("state/state.db")).unwrap().len();
    let before = size();
    sql(
        &home,
        "INSERT INTO audit WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
            SELECT (SELECT max(seq) FROM audit) + i, i, 'denied', '', 1, 'a', 'user', 'kv', '', 'denied',
                printf('%.500c', 'x'), zeroblob(32) FROM n",
    );
    assert!(size() - before > 50 << 20, "{} bytes", size());
    let (large, _home) = started(home);
    // A few pages more: the tree of the records is higher.
    assert!(large < small + (1 << 20), "{small} bytes with a small audit, {large} with a large one");
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

/// A home in which much is kept: 300 values beside the one of [`lived`].
fn full() -> Home {
    let home = lived();
    sql(
        &home,
        "INSERT INTO kv (skill, key, value, version)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            SELECT (SELECT skill FROM kv LIMIT 1), 'f' || i, CAST(printf('\"filler %d %.900c\"', i, 'x') AS BLOB), 100 + i FROM n",
    );
    home
}

/// `doctor --repair`, and what it told.
fn repaired(home: &Home) -> Value {
    home.run(&["doctor", "--repair", "--yes", "--format", "json"]).worked().json()
}

fn table<'a>(told: &'a Value, name: &str) -> &'a Value {
    told["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap_or_else(|| panic!("{told}"))
}

/// After a repair the host works, the damaged file is where it was said to be, and the audit says what happened.
#[track_caller]
fn went_on(home: &Home, told: &Value, damaged: &[u8]) {
    let aside = told["set-aside"][0].as_str().unwrap();
    assert!(std::fs::read(aside).unwrap() == damaged, "the damaged file was changed");
    let verified = home.run(&["audit", "verify"]).worked().out;
    assert!(verified.contains("is of a repair of the state"), "{verified}");
    let records = home.run(&["audit", "list", "--event", "admin", "--format", "json"]).worked().json();
    let record = records.as_array().unwrap().iter().find(|record| record["kind"] == "state-repaired").unwrap();
    assert!(aside.ends_with(record["subject"].as_str().unwrap()), "{record}");
    assert!(record["detail"].as_str().unwrap().contains("its audit ended at "), "{record}");
    survived(home);
    private(home);
    let file = home.path("state/state.db");
    let before = std::fs::read(&file).unwrap();
    assert_eq!(repaired(home), Value::Null, "there is nothing more to repair");
    assert!(std::fs::read(&file).unwrap() == before, "it was changed all the same");
}

#[test]
fn t127_a_repair_loses_what_was_on_the_broken_page_and_nothing_else() {
    let home = full();
    let file = home.path("state/state.db");
    let mut damaged = std::fs::read(&file).unwrap();
    let (page, at) = (4096, damaged.windows(11).position(|bytes| bytes == b"filler 150 ").unwrap());
    damaged[at / page * page..][..page].fill(0xff);
    std::fs::write(&file, &damaged).unwrap();
    home.probe("read", &["--key", "f150"]).fails("unavailable", 4, "state-corrupt", "");
    // With the records of that.
    let damaged = std::fs::read(&file).unwrap();

    let asked = home.run(&["doctor", "--repair"]);
    asked.fails("denied", 3, "nobody can be asked", "--yes");
    assert!(std::fs::read(&file).unwrap() == damaged, "something happened without a yes");
    // Of a repair that was killed.
    home.write("state/.repair-killed/damaged.db", "a copy of all that is kept");
    let told = repaired(&home);
    let left = home.path("state").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(".repair-")).collect();
    assert!(left.is_empty(), "{left:?}");
    let kv = table(&told, "kv");
    assert!((290..301).contains(&kv["kept"].as_u64().unwrap()), "from both ends: {told}");
    assert!(kv["unreadable"].as_str().unwrap().contains("malformed"), "{told}");
    for table in told["tables"].as_array().unwrap().iter().filter(|table| table["name"] != "kv") {
        assert_eq!((&table["dropped"], &table["unreadable"]), (&json!(0), &Value::Null), "{told}");
    }
    assert_eq!(told["spent"], false, "{told}");
    went_on(&home, &told, &damaged);
    home.probe("read", &["--key", "k"]).gives("v\n");
    home.probe("read", &["--key", "f150"]).gives("nothing\n");
    for key in ["f1", "f300"] {
        assert!(home.probe("read", &["--key", key]).worked().out.starts_with("filler "), "{key}");
    }
    assert!(home.run(&["secret", "list"]).worked().out.contains("API_KEY"));
}

#[test]
fn t127_a_repair_of_the_audit_goes_on_behind_what_is_known_of_it() {
    let home = lived();
    for _ in 0..60 {
        home.probe("echo", &["--text", "x"]).worked();
    }
    let records = home.run(&["audit", "list", "--format", "json"]).worked().json();
    let last = records[0]["seq"].as_u64().unwrap();
    let file = home.path("state/state.db");
    let mut damaged = std::fs::read(&file).unwrap();
    let hash =
        records.as_array().unwrap().iter().find(|record| record["seq"] == last / 2).unwrap()["hash"].as_str().unwrap();
    let hash: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&hash[2 * n..2 * n + 2], 16).unwrap()).collect();
    let (page, at) = (4096, damaged.windows(32).position(|bytes| bytes == hash).unwrap());
    damaged[at / page * page..][..page].fill(0xff);
    std::fs::write(&file, &damaged).unwrap();
    home.run(&["audit", "verify"]).fails("state-corrupt", 6, "malformed", "doctor --repair");
    let told = repaired(&home);
    let audit = table(&told, "audit");
    let (kept, dropped) = (audit["kept"].as_u64().unwrap(), audit["dropped"].as_u64().unwrap());
    assert!(kept > 0 && dropped > 0 && kept + dropped < last && audit["unreadable"].is_string(), "{told}");
    let verified = home.run(&["audit", "verify", "--format", "json"]).worked().json();
    assert_eq!(
        (&verified["first"], &verified["last"], &verified["repaired"]),
        (&json!(last - kept + 1), &json!(last + 1), &json!(last + 1)),
        "{verified}"
    );
    went_on(&home, &told, &damaged);
}

#[test]
fn t127_a_repair_of_what_was_cut_or_is_nothing_gives_nobody_more() {
    let provider = Provider::says("An answer.");
    let settings = provider.config().replace("key-env = \"FAKE_KEY\"\n", "");
    for zeros in [false, true] {
        let home = full();
        home.write(".config/ringfence/config.toml", &settings);
        let limit = ["--prompt", "x", "--max-tokens", "100", "--set", "budget.host-day.output-tokens=1000"];
        home.probe("generate", &limit).gives("An answer.\n");
        let file = home.path("state/state.db");
        let whole = std::fs::read(&file).unwrap();
        let damaged = if zeros { vec![0; whole.len()] } else { whole[..whole.len() / 4096 / 2 * 4096].to_vec() };
        std::fs::write(&file, &damaged).unwrap();
        home.run(&["list"]).fails("state-corrupt", 6, "state.db", "doctor --repair");
        let told = repaired(&home);
        if zeros {
            let kept: u64 =
                told["tables"].as_array().unwrap().iter().map(|table| table["kept"].as_u64().unwrap()).sum();
            assert_eq!((kept, &told["spent"]), (0, &json!(true)), "{told}");
        }
        if told["spent"] == true {
            let asked = provider.requests().len();
            home.probe("generate", &limit).fails("refused", 3, "budget", "budget.host-day.output-tokens");
            assert_eq!(provider.requests().len(), asked);
        }
        went_on(&home, &told, &damaged);
    }
}

#[test]
fn t127_what_is_not_damaged_is_not_repaired_and_neither_is_what_is_in_use() {
    let home = lived();
    let all = || -> Vec<(String, Vec<u8>)> {
        let files = home.files("state").into_iter().filter(|file| !file.contains("/hosts/"));
        files.map(|file| (file.clone(), std::fs::read(&file).unwrap())).collect()
    };
    let before = all();
    assert_eq!(repaired(&home), Value::Null);
    assert!(all() == before, "something was changed");
    home.run(&["doctor", "--repair", "--yes"])
        .gives(&format!("nothing is wrong with the state in {}\n", home.state().display()));

    let server = Server::with(home, &[]);
    let done = server.home.run(&["doctor", "--repair", "--yes"]);
    done.fails("state-in-use", 6, "in use", "stop the other process");
    server.still_works();
}
