//! The process that compiles, when it dies, lies, hangs or is not ours; machine code that strangers put in its place; and
//! what holds it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringfence_core::engine::WorkerCommand;
use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::{Error, Host, HostConfig, SkillRef};
use serde_json::json;

use crate::ground::{Ground, text};
use crate::support::hosts::config;
use crate::support::{Done, Home, TestHost, call, wat};

/// A program of the test's own in the place of the worker. It does what the shell script at `deed` says, or is honest
/// where there is none.
fn worker(home: &Home) -> WorkerCommand {
    let (program, deed) = (home.path("worker"), home.path("deed"));
    let honest = env!("CARGO_BIN_EXE_ringfence");
    let script = format!(
        "#!/bin/sh\nif [ -e '{deed}' ]; then . '{deed}'; exit; fi\nexec '{honest}' \"$@\"\n",
        deed = deed.display()
    );
    home.write("worker", script);
    // Through the shell: a file that another thread's child still has open for writing could not be started itself.
    WorkerCommand { program: "/bin/sh".into(), args: vec![program.into(), "compile-worker".into()] }
}

/// A host that compiles by `worker`, into a cache of its own. The host before it may still be letting go of the state.
async fn open(home: &Home, settings: &str, worker: WorkerCommand) -> Host {
    loop {
        let config =
            HostConfig { worker: worker.clone(), cache_dir: home.path("cache"), ..config(home, settings, &[]) };
        match Host::open(config).await {
            Ok(host) => return host,
            Err(error) => assert_eq!(error.kind(), "state-in-use", "{error}"),
        }
    }
}

/// A skill that no other test has compiled.
fn skill(number: u32) -> Vec<u8> {
    wat::skill("(i32.const 128)", &format!("(func (drop (i32.const {number})))"), "")
}

/// What the honest worker makes of a component.
fn artefact(home: &Home, component: &[u8]) -> Vec<u8> {
    let path = home.write("component", component);
    let mut command = home.command(&["compile-worker", "1024"]);
    let output = command.stdin(std::fs::File::open(path).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_a_worker_that_dies_or_lies_fails_its_own_load() {
    let home = Home::new();
    let host = open(&home, "", worker(&home)).await;
    let stranger = home.write("stranger", artefact(&home, &wat::parse("(component)")));
    let deed = home.path("deed");
    let ground = Ground::on(TestHost::of(home, host).await).await;
    for (number, (what, script, kind, word)) in (1000..).zip([
        ("killed", "kill -9 $$".to_owned(), "host-fault", "signal 9"),
        ("fails", "cat >/dev/null; echo no more >&2; exit 70".to_owned(), "host-fault", "no more"),
        ("fails before it reads", "exit 1".to_owned(), "host-fault", "failed"),
        ("says nothing", "cat >/dev/null".to_owned(), "host-fault", "does not load"),
        ("garbage", "cat >/dev/null; echo no machine code".to_owned(), "host-fault", "does not load"),
        ("gives the component back", "cat".to_owned(), "host-fault", "does not load"),
        (
            "another component",
            format!("cat >/dev/null; cat '{}'", stranger.display()),
            "host-fault",
            "another component",
        ),
        ("out of memory", "echo 'memory allocation of 1 bytes failed' >&2; kill -6 $$".into(), "compile-limit", "MiB"),
        ("calls it invalid", "cat >/dev/null; echo no, not this >&2; exit 65".into(), "invalid-component", "not this"),
    ]) {
        std::fs::write(&deed, script).unwrap();
        let error: Error = ground.load(&skill(number)).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.to_string().contains(word), "{what}: {error}");
        ground.host.still_works().await;
        std::fs::remove_file(&deed).unwrap();
        if kind == "host-fault" {
            let signed = artefact_path(&ground.host.home, &skill(number));
            assert_eq!(signed, None, "{what}: it was signed");
            // What was wrong is not kept: an honest worker is believed the next time.
            let loaded = ground.load(&skill(number)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(text(ground.act(&loaded).await), "", "{what}");
        }
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_a_worker_that_hangs_is_ended() {
    for (what, script) in [
        ("sleeps", "echo $$ >\"$PIDS\"; exec sleep 3600"),
        ("spins", "echo $$ >\"$PIDS\"; while :; do :; done"),
        ("talks for ever", "echo $$ >\"$PIDS\"; while :; do echo word >&2; done"),
    ] {
        let home = Home::new();
        let pids = home.path("pids");
        home.write("deed", script.replace("\"$PIDS\"", &format!("'{}'", pids.display())));
        let host = open(&home, "[engine]\ncompile-seconds = 5\n", worker(&home)).await;
        let path = home.write("skill.wasm", skill(2000));
        let begun = Instant::now();
        let error = host.load_file(&path, None, None).await.err().unwrap();
        assert_eq!(error.kind(), "compile-limit", "{what}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}: {:?}", begun.elapsed());
        // Nothing of it is left.
        let pid: u32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        crate::support::process::until("the worker is gone", || {
            (!crate::support::process::is_alive(pid)).then_some(())
        });
        // And the host loads other things as before.
        std::fs::remove_file(home.path("deed")).unwrap();
        // What hung is not compiled again by this host (`engine/quarantine.rs`).
        let path = home.write("other.wasm", skill(2001));
        let (host, loaded) = loaded(host, &path).await;
        assert_eq!(text(host.invoke(call(&loaded, "act", json!({}))).await), "", "{what}");
        assert_eq!(host.running(), 0, "{what}");
    }
}

/// Loads a file, and gives the host back: where it fails the test says why.
async fn loaded(host: Host, path: &Path) -> (Host, SkillRef) {
    match host.load_file(path, None, None).await {
        Ok(skill) => (host, skill),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn t07_machine_code_is_no_skill() {
    let ground = Ground::new().await;
    let mut code = artefact(&ground.host.home, &skill(3000));
    for what in ["whole", "as a component"] {
        let error = ground.load(&code).await.err().unwrap();
        assert_eq!(error.kind(), "invalid-component", "{what}: {error}");
        drop(code.splice(..8, *b"\0asm\x0d\0\x01\0"));
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t07_machine_code_of_strangers_in_the_cache_is_not_believed() {
    let home = Home::new();
    let path = home.write("skill.wasm", skill(3001));
    let (host, first) = loaded(open(&home, "", worker(&home)).await, &path).await;
    drop(first);
    host.close().await.unwrap();
    let cached = artefacts(&home);
    let [ours] = cached.as_slice() else { panic!("{cached:?}") };
    let code = ours.with_extension("mac");
    let (honest, key) = (std::fs::read(ours).unwrap(), std::fs::read(&code).unwrap());
    // Had it been loaded, there would be no skill in it.
    let stranger = artefact(&home, &wat::parse("(component)"));
    for (what, signed) in [
        ("with our code", Some(key.clone())),
        ("with a code of its own", Some(vec![7; 32])),
        ("with an empty code", Some(Vec::new())),
        ("with a long code", Some(key.repeat(3))),
        ("without a code", None),
    ] {
        std::fs::write(ours, &stranger).unwrap();
        match signed {
            Some(signed) => std::fs::write(&code, signed).unwrap(),
            None => drop(std::fs::remove_file(&code)),
        }
        let (host, again) = loaded(open(&home, "", worker(&home)).await, &path).await;
        assert_eq!(text(host.invoke(call(&again, "act", json!({}))).await), "", "{what}");
        assert!(std::fs::read(ours).unwrap() != stranger, "{what}: it was made anew");
        host.audit().verify().await.unwrap();
        let last = host.audit().list(Filter { event: Some(Event::Admin), ..Filter::default() }, 1).await.unwrap();
        assert_eq!(last[0].kind, "cache-rejected", "{what}: {last:?}");
        assert_eq!(host.audit().verify().await.unwrap().fault, None, "{what}");
        drop(again);
        host.close().await.unwrap();
    }
    // The pair: what is ours is loaded though nobody could compile now.
    std::fs::write(ours, honest).unwrap();
    std::fs::write(&code, key).unwrap();
    home.write("deed", "exit 1");
    let (host, again) = loaded(open(&home, "", worker(&home)).await, &path).await;
    assert_eq!(text(host.invoke(call(&again, "act", json!({}))).await), "");
}

/// The artefact of this component in the home's own cache.
fn artefact_path(home: &Home, component: &[u8]) -> Option<PathBuf> {
    use sha2::{Digest, Sha256};
    let digest: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
    artefacts(home)
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&digest)))
}

/// The artefacts in the home's own cache.
fn artefacts(home: &Home) -> Vec<PathBuf> {
    let files = home.files("cache").into_iter().map(PathBuf::from);
    files.filter(|file| file.extension().is_some_and(|end| end == "cwasm")).collect()
}

/// What the kernel has of seccomp holds the process that compiles, and the doctor says so.
#[test]
fn the_process_that_compiles_is_confined() {
    let home = Home::new();
    let done = Done::of(&mut home.command(&["compile-worker", "confinement"])).worked();
    let held = done.json();
    let of = |name: &str| {
        let found = held.get(name).unwrap_or_else(|| panic!("{held}"));
        assert!(found.is_null() || found.as_str().is_some_and(|reason| !reason.is_empty()), "{name}: {held}");
        found.is_null()
    };
    let (landlock, seccomp) = (of("landlock"), of("seccomp"));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Seccomp:")) {
        assert!(seccomp, "the kernel has seccomp: {held}");
    }
    let doctor = home.run(&["doctor", "--format", "json"]).worked().json();
    let told: Vec<&str> = doctor
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["subject"] == "confinement")
        .filter_map(|finding| finding["detail"].as_str())
        .collect();
    let expected = match (landlock, seccomp) {
        (true, true) => "held by landlock and seccomp",
        (true, false) => "held by landlock",
        (false, true) => "held by seccomp",
        (false, false) => "held by limits of memory and time alone",
    };
    assert!(told.iter().any(|detail| detail.contains(expected)), "{expected:?}: {told:?}");
    if let Some(reason) = held["landlock"].as_str() {
        assert!(told.iter().any(|detail| detail.contains(reason)), "{reason:?}: {told:?}");
    }
}
