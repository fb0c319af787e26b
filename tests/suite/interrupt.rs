//! Runs that are ended in the middle: what was set aside is settled or charged, and nothing stays locked.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::support::process::{Terminal, below, cpu_ticks, has_open, interrupt, is_alive, start, until};
use crate::support::{Done, Home, Provider, Reply, guests, probe, wat};

/// Starts a run that waits for a provider, and returns when the provider holds its request.
fn waiting(home: &Home, provider: &Provider) -> Child {
    let probe = probe().display().to_string();
    let mut command = home.command(&["run", &probe, "--tool", "generate", "--allow", "model", "--allow", "kv"]);
    command.args(["--prompt", "hello", "--max-tokens", "100"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    provider.wait();
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// What is charged of output tokens: found by asking for more than is left under a limit.
fn charged(home: &Home) -> String {
    let probe = probe().display().to_string();
    let done = home.run(&[
        "run",
        &probe,
        "--tool",
        "generate",
        "--allow",
        "model",
        "--allow",
        "kv",
        "--prompt",
        "hello",
        "--max-tokens",
        "100000",
        "--set",
        "budget.skill-day.output-tokens=1000",
    ]);
    assert_eq!(done.code, 3, "{done:?}");
    let at = done.err.find("is used up: ").unwrap_or_else(|| panic!("{done:?}")) + "is used up: ".len();
    done.err[at..].split(' ').next().unwrap().to_owned()
}

#[test]
fn ctrl_c_in_the_middle() {
    for name in ["-INT", "-TERM"] {
        let provider = Provider::start(Reply::Hang);
        let home = Home::with_config(&provider.patient_config());
        let begun = Instant::now();
        let child = waiting(&home, &provider);
        signal(&child, name);
        let done = Done::wait(child, begun);
        done.fails("cancelled", 130, "cancelled", "settled");
        // The provider may have worked for it: the reservation is charged.
        assert_eq!(charged(&home), "100");
        let polite = Provider::says("fine");
        home.write(".config/ringfence/config.toml", polite.config());
        home.probe("generate", &["--prompt", "hello"]).gives("fine\n");
    }
}

#[test]
fn ctrl_c_ends_a_guest_that_spins() {
    let home = Home::new();
    let probe = probe().display().to_string();
    let mut command = home.command(&["run", &probe, "--tool", "spin", "--allow", "model", "--allow", "kv", "-vv"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let child = command.spawn().unwrap();
    // It runs when it has opened its state and used some processor time for the guest.
    until("it spins", || (cpu_ticks(child.id()) >= 100).then_some(()));
    signal(&child, "-INT");
    Done::wait(child, begun).fails("cancelled", 130, "cancelled", "settled");
}

#[test]
fn a_killed_host_charges_in_full_when_it_starts_again() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let begun = Instant::now();
    let child = waiting(&home, &provider);
    signal(&child, "-KILL");
    let done = Done::wait(child, begun);
    assert_eq!(done.code, 128 + 9, "{done:?}");
    assert_eq!(charged(&home), "100", "the reservation of the killed run");
    assert_eq!(charged(&home), "100", "and not twice");
    let polite = Provider::says("fine");
    home.write(".config/ringfence/config.toml", polite.config());
    home.probe("generate", &["--prompt", "hello"]).gives("fine\n");
}

/// Whatever it was doing, it says that it was stopped, with the exit code of Ctrl-C.
#[track_caller]
fn was_stopped(done: &Done) {
    done.fails("cancelled", 130, "", "again");
}

#[test]
fn ctrl_c_in_the_middle_of_an_answer() {
    let provider = Provider::start(Reply::HangInside);
    let home = Home::with_config(&provider.patient_config());
    let mut command = home.command(&["run"]);
    command.arg(probe()).args(["--tool", "open", "--how", "read", "--count", "1", "--prompt", "hello"]);
    command.args(["--allow", "model", "--allow", "kv"]);
    let begun = Instant::now();
    let child = start(&mut command);
    provider.wait();
    interrupt(&child);
    was_stopped(&Done::wait(child, begun));
    // As much as an answer may have where the skill does not say.
    assert_eq!(charged(&home), "4096");
}

/// A component that takes seconds to compile, and does nothing.
fn large() -> Vec<u8> {
    let body = "(local.set 0 (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 0))))".repeat(500);
    let function = format!("(func (param i32 i32) {body})");
    wat::parse(&format!("(component (core module (memory 1) {}))", function.repeat(1_500)))
}

#[test]
fn ctrl_c_while_a_component_is_compiled() {
    let home = Home::new();
    let file = home.write("large.wasm", large());
    for verb in ["run", "add"] {
        let mut command = home.command(&[verb]);
        command.arg(&file).env("RINGFENCE_CACHE_DIR", home.path("cache"));
        let begun = Instant::now();
        let child = start(&mut command);
        let compiles = |(pid, _): &(u32, String)| cpu_ticks(*pid) >= 20;
        let (worker, _) = until("it compiles", || below(child.id()).into_iter().find(compiles));
        interrupt(&child);
        was_stopped(&Done::wait(child, begun));
        until("the worker ends", || (!is_alive(worker)).then_some(()));
        assert_eq!(home.files("cache"), [""; 0], "nothing half-written");
        assert_eq!(home.files("data"), [""; 0]);
    }
    home.run(&["list", "--format", "json"]).gives("[]\n");
}

#[test]
fn ctrl_c_while_a_skill_is_built() {
    let home = Home::new();
    home.run(&["new", "slow"]).worked();
    let mut command = home.command(&["build", "slow"]);
    // From the start, so that there is something to stop.
    command.env("RINGFENCE_CACHE_DIR", home.path("cache"));
    let begun = Instant::now();
    let child = start(&mut command);
    let builders = until("a compiler runs", || {
        let builders = below(child.id());
        builders.iter().any(|(_, name)| name == "rustc").then_some(builders)
    });
    interrupt(&child);
    was_stopped(&Done::wait(child, begun));
    for (pid, name) in builders {
        until(&format!("{name} ends"), || (!is_alive(pid)).then_some(()));
    }
    assert_eq!(home.files("work/slow/target/ringfence"), [""; 0], "no component, and no stamp of one");
    let lock = std::fs::File::open(home.path("cache/build/rust/.ringfence-lock")).unwrap();
    lock.try_lock().expect("the next build need not wait");
}

#[test]
fn ctrl_c_while_another_builds() {
    let home = Home::new();
    home.run(&["new", "late"]).worked();
    let path = home.write("cache/build/rust/.ringfence-lock", "");
    let lock = std::fs::File::open(&path).unwrap();
    lock.lock().unwrap();
    let mut command = home.command(&["build", "late"]);
    command.env("RINGFENCE_CACHE_DIR", home.path("cache"));
    let begun = Instant::now();
    let child = start(&mut command);
    until("it waits", || has_open(child.id(), &path).then_some(()));
    interrupt(&child);
    was_stopped(&Done::wait(child, begun));
}

#[test]
fn ctrl_c_while_another_holds_the_state() {
    let home = Home::new();
    home.run(&["list"]).worked();
    let path = home.path("state/lock");
    let lock = std::fs::File::open(&path).unwrap();
    lock.lock().unwrap();
    for verb in ["list", "doctor", "models"] {
        let begun = Instant::now();
        let child = start(&mut home.command(&[verb]));
        until("it waits", || has_open(child.id(), &path).then_some(()));
        interrupt(&child);
        was_stopped(&Done::wait(child, begun));
    }
}

#[test]
fn ctrl_c_while_nobody_writes_to_stdin() {
    let home = Home::new();
    let mut command = home.command(&["run"]);
    command.arg(probe()).args(["--tool", "echo", "--allow", "model", "--allow", "kv"]).stdin(Stdio::piped());
    let begun = Instant::now();
    let mut child = start(&mut command);
    // Held open, or its end would be the end of the input.
    let stdin = child.stdin.take();
    // It reads when it has nothing else to do any more: it holds its state, and sleeps.
    let path = home.path("state/state.db");
    until("it reads", || (has_open(child.id(), &path) && reads_stdin(child.id())).then_some(()));
    interrupt(&child);
    was_stopped(&Done::wait(child, begun));
    drop(stdin);
}

/// Whether one of the threads of a process waits for its standard input, a pipe.
fn reads_stdin(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    // The call `read` of the file 0.
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("syscall")).ok())
        .any(|call| call.starts_with("0 0x0 ") || call.starts_with("63 0x0 "))
}

#[test]
fn ctrl_c_and_a_signal_at_the_question() {
    let provider = Provider::says("An answer.");
    let home = Home::with_config(&provider.config());
    let skill = guests::copy_of_probe(&home, "work/asker.wasm").display().to_string();
    let ask = ["run", &skill, "--tool", "generate", "--prompt", "hello"];
    for by_key in [true, false] {
        let mut terminal = Terminal::start(&home, &ask);
        terminal.wait_for("Allow it?");
        if by_key {
            terminal.press("\u{3}");
        } else {
            assert!(Command::new("kill").arg(terminal.program().to_string()).status().unwrap().success());
        }
        let (code, shown) = terminal.end();
        assert_eq!(code, 130, "{shown}");
        assert!(shown.contains("error[cancelled]") && shown.contains("nothing was done"), "{shown}");
    }
    home.run(&ask).fails("denied", 3, "default", "ringfence grant");
    assert_eq!(provider.requests().len(), 0);
}

#[test]
fn ctrl_c_at_a_terminal_in_the_middle_of_a_model_call() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let skill = probe().display().to_string();
    let mut terminal = Terminal::start(
        &home,
        &["run", &skill, "--tool", "generate", "--prompt", "x", "--allow", "model", "--allow", "kv"],
    );
    provider.wait();
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("error[cancelled]") && shown.contains("settled"), "{shown}");
}
