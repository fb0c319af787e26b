//! The state directory: full, not writable, held by another, and what becomes of what is in it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_core::{Call, Caller, Grants, Host, SkillRef};
use serde_json::json;

use crate::support::hosts::{open, said, stored};
use crate::support::{Done, Home, Provider, Reply, TestHost, probe};

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
fn the_doctor_examines_what_is_left_where_the_state_cannot_be_used() {
    let examined = |home: &Home, more: &[&str], sentence: &str, help: &str| {
        let done = home.run(&[&["doctor", "--format", "json"], more].concat());
        assert_eq!(done.code, 1, "{done:?}");
        let findings = done.json();
        let of = |subject: &str| {
            let found = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == subject);
            found.unwrap_or_else(|| panic!("{subject}: {findings}")).clone()
        };
        let state = of("state");
        assert_eq!(state["state"], "problem", "{state}");
        assert!(state["detail"].as_str().unwrap().contains(sentence), "{state}");
        assert!(state["hint"].as_str().unwrap().contains(help), "{state}");
        for subject in ["compiling", "confinement", "privileges", "processors", "models"] {
            assert_ne!(of(subject)["state"], "problem", "{findings}");
        }
    };
    let home = Home::new();
    home.run(&["list"]).worked();
    home.write("state/state.db", "this is no database, though it is long enough to be taken for one ".repeat(100));
    examined(&home, &[], "is damaged", "backup");
    if cfg!(target_os = "linux") {
        examined(&Home::new(), &["--state-dir", "/proc/ringfence"], "/proc/ringfence", "another state directory");
    }
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
    // Everything goes on beside it: looking, granting, installing, running.
    home.run(&["list"]).worked();
    home.run(&["grant", &probe, "kv", "model"]).worked();
    home.run(&["run", &probe, "--tool", "put", "--key", "k", "--value", "v"]).worked();
    home.run(&["audit", "verify"]).worked();
    let pid = first.id();
    // What has to be alone says who is in its way.
    let moved = home.run(&["secret", "move-key", "file"]);
    moved.fails(
        "state-in-use",
        6,
        &format!("by process {pid}"),
        &home.state().canonicalize().unwrap().display().to_string(),
    );
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    assert_eq!(Done::wait(first, begun).code, 130);
    home.run(&["list"]).worked();
    assert_eq!(std::fs::read_dir(home.state().join("hosts")).unwrap().count(), 0, "nobody lives there any more");
}

/// Waits until something is so in a host that has to hear of it first.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_changes_holds_in_the_other() {
    let test = TestHost::new().await;
    let (one, two) = (&test.host, open(&test.home, "").await.unwrap());
    let asks = "[permissions.kv]\n";
    // Installed: it is in the other's toolbox, and what is held there serves the new version.
    let changes = two.toolbox_changes();
    assert!(two.toolbox().await.unwrap().get("keeper_put").is_none());
    test.install("keeper", asks, &[]).await;
    eventually("it is offered", async || two.toolbox().await.unwrap().get("keeper_put").is_some()).await;
    assert!(changes.has_changed().unwrap());
    let offer = Arc::clone(two.toolbox().await.unwrap().get("keeper_put").unwrap());
    let held = two.skill_of(&offer).await.unwrap();
    let put = async |host: &Host, skill: &SkillRef| {
        let input = json!({ "key": "k", "value": "v" }).to_string();
        let call = Call { tool: Some("put".into()), caller: Caller::Client, ..Call::new(skill.clone(), input) };
        host.invoke(call).await
    };
    // Granted, and taken back.
    assert!(put(&two, &held).await.is_err());
    one.grant("keeper", Grants::parse(["kv"]).unwrap()).await.unwrap();
    eventually("it is granted", async || put(&two, &held).await.is_ok()).await;
    one.revoke("keeper", None).await.unwrap();
    eventually("it is revoked", async || put(&two, &held).await.is_err()).await;
    // Replaced, with rights that nobody granted to this version.
    let before = held.digest();
    two.grant_for_session("keeper", Grants::parse(["kv"]).unwrap()).await.unwrap();
    test.install("keeper", "[permissions.kv]\nreason = \"Another.\"\n[permissions.user]\n", &[]).await;
    eventually("the new version serves", async || held.digest() != before).await;
    put(&two, &held).await.unwrap();
    // An offer of before finds what is installed now.
    assert_eq!(two.skill_of(&offer).await.unwrap().digest(), held.digest());
    // Kept, and refused for good.
    let value = secrecy::SecretString::from("a value of some length");
    one.set_secret("A_TOKEN", &value, &["https://api.example.com".into()]).await.unwrap();
    eventually("a secret is there", async || two.secrets().len() == 1).await;
    two.set_secret("OTHER", &value, &["https://api.example.com".into()]).await.unwrap();
    eventually("and one of the other's", async || one.secrets().len() == 2).await;
    let missing = one.missing(&held, &Grants::default()).await;
    one.deny("keeper", &missing).await.unwrap();
    eventually("it is denied", async || !two.denials("keeper").is_empty()).await;
    // Removed.
    one.remove("keeper", true).await.unwrap();
    eventually("it is gone", async || two.toolbox().await.unwrap().get("keeper_put").is_none()).await;
    // Both have written one chain.
    for host in [&two, one] {
        let verified = host.audit().verify().await.unwrap();
        assert!(verified.fault.is_none() && verified.records > 8, "{verified:?}");
    }
    drop(held);
    two.close().await.unwrap();
    test.still_works().await;
}

/// One host cleans up as fast as it can while another installs: what is installed is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_to_be_installed_is_not_cleaned_away_by_another_host() {
    let test = TestHost::new().await;
    let two = open(&test.home, "").await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let cleaning = tokio::spawn(stop.clone().run_until_cancelled_owned({
        let two = two.clone();
        async move {
            loop {
                two.clean(&[]).await.unwrap();
            }
        }
    }));
    for round in 0..20 {
        let skill = test.install("keeper", &format!("[permissions.kv]\nreason = \"Round {round}.\"\n"), &["kv"]).await;
        test.stored(&skill, "echo", json!({ "text": "x" })).await.unwrap();
    }
    stop.cancel();
    assert!(cleaning.await.unwrap().is_none());
    test.host.load_installed("keeper", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_that_install_one_skill_the_second_is_told() {
    let test = TestHost::new().await;
    let two = open(&test.home, "").await.unwrap();
    let path = test.packaged("keeper", "").await;
    let mut first = test.host.consider(&path, None).await.unwrap();
    let mut second = two.consider(&path, None).await.unwrap();
    for (host, candidate) in [(&test.host, &mut first), (&two, &mut second)] {
        host.accept(candidate, Default::default()).unwrap();
    }
    let installed = test.host.install(first).await.unwrap();
    let error = two.install(second).await.unwrap_err();
    assert_eq!(error.kind(), "busy", "{error}");
    // Looked at again it is compared with what is there.
    let mut again = two.consider(&path, None).await.unwrap();
    assert_eq!(again.before().map(|before| before.digest.clone()), Some(installed.digest.clone()));
    two.accept(&mut again, Default::default()).unwrap();
    two.install(again).await.unwrap();
    assert_eq!(two.load_installed("keeper", None).await.unwrap().digest(), installed.digest);
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
fn a_skill_for_which_there_is_no_room_is_not_installed() {
    let home = Home::new();
    let skill = probe().display().to_string();
    home.run(&["show", &skill]).worked();
    let before = home.files("data");
    let room = std::fs::metadata(probe()).unwrap().len() / 1024 - 8;
    let done = with_small_files(&home, u32::try_from(room).unwrap(), &["add", &skill, "--grant-nothing"]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(done.err.contains("data") && done.err.contains("help: "), "{done:?}");
    home.run(&["list", "--format", "json"]).gives("[]\n");
    assert_eq!(home.files("data"), before, "nothing of it is left");
    home.run(&["audit", "verify"]).worked();
    home.run(&["add", &skill, "--grant-nothing"]).worked();
    home.run(&["run", "probe", "--tool", "echo", "--text", "x", "--allow", "kv", "--allow", "model"]).gives("x\n");
}

/// Version `version` of a skill that keeps something, with what its manifest says of that.
async fn keeper(test: &TestHost, version: &str, state: &str) -> String {
    let manifest =
        format!("name = \"keeper\"\nversion = \"{version}\"\ndescription = \"Keeps.\"\n[permissions.kv]\n{state}");
    let manifest = ringfence_core::Manifest::from_toml(&manifest).unwrap();
    let component = std::fs::read(probe()).unwrap();
    let package = test.host.package(&component, &manifest, None).await.unwrap();
    test.home.write(&format!("keeper-{version}.wasm"), package).display().to_string()
}

const STATE_1: &str = "[state]\nversion = 1\nupgrade = \"renew\"\n";

/// What the version that is installed keeps as `a` is `value`, and it can change it.
async fn still_keeps(test: &TestHost, value: &str) {
    let skill = test.host.load_installed("keeper", None).await.unwrap();
    assert_eq!(skill.manifest().version.to_string(), "1.0.0");
    assert_eq!(said(&test.stored(&skill, "read", json!({ "key": "a" })).await.unwrap()), value);
    test.stored(&skill, "put", json!({ "key": "a", "value": value })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_fails_leaves_the_version_before_it_with_all_that_it_keeps() {
    let test = TestHost::new().await;
    let (one, two, other) =
        (keeper(&test, "1.0.0", "").await, keeper(&test, "1.1.0", STATE_1).await, keeper(&test, "1.0.1", "").await);
    test.home.run(&["add", &one, "--allow", "kv"]).worked();
    let skill = test.host.load_installed("keeper", None).await.unwrap();
    // What another process has granted holds here in a moment.
    let put = async || test.stored(&skill, "put", json!({ "key": "a", "value": "one" })).await.is_ok();
    eventually("the grant holds in this host", put).await;
    // There is no place for the component.
    let nowhere = ["--data-dir", "/proc/nowhere", "add", &two, "--grant-nothing"];
    test.home.run(&nowhere).fails("state-unwritable", 6, "/proc/nowhere", "");
    still_keeps(&test, "one").await;

    // Somebody else was faster.
    let mut late = test.host.consider(two.as_ref(), None).await.unwrap();
    test.host.accept(&mut late, Default::default()).unwrap();
    test.home.run(&["add", &other, "--grant-nothing"]).worked();
    let error = test.host.install(late).await.unwrap_err();
    assert_eq!(error.kind(), "busy", "{error}");
    test.home.run(&["add", &one, "--grant-nothing", "--allow-downgrade"]).worked();
    still_keeps(&test, "one").await;

    // Its step fails.
    test.stored(&skill, "put", json!({ "key": "poison", "value": "x" })).await.unwrap();
    test.home.run(&["add", &two, "--grant-nothing"]).fails("upgrade-failed", 2, "from version 0 to 1", "");
    still_keeps(&test, "one").await;
    test.stored(&skill, "forget", json!({ "key": "poison" })).await.unwrap();
    test.home.run(&["add", &two, "--grant-nothing"]).worked();
    let new = test.host.load_installed("keeper", None).await.unwrap();
    assert_eq!(said(&test.stored(&new, "read", json!({ "key": "a" })).await.unwrap()), "one (0 to 1)");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_that_bring_the_same_state_up_to_date_do_it_once() {
    const KEYS: usize = 200;
    let test = TestHost::new().await;
    let (one, two) = (keeper(&test, "1.0.0", "").await, keeper(&test, "1.1.0", STATE_1).await);
    let old = test.host.load_file(one.as_ref(), Some("keeper".as_ref()), None).await.unwrap();
    test.host.grant(old.identity(), Grants::parse(["kv"]).unwrap()).await.unwrap();
    for n in 0..KEYS {
        test.stored(&old, "put", json!({ "key": format!("k{n}"), "value": "one" })).await.unwrap();
    }
    let other = open(&test.home, "").await.unwrap();
    let first_call = async |host: &Host| {
        let new = host.load_file(two.as_ref(), Some("keeper".as_ref()), None).await.unwrap();
        host.invoke(stored(&new, "read", json!({ "key": "k0" }))).await.map(|done| said(&done)).unwrap()
    };
    let said_by = tokio::join!(first_call(&test.host), first_call(&other));
    assert_eq!(said_by, ("one (0 to 1)".into(), "one (0 to 1)".into()));
    let new = test.host.load_file(two.as_ref(), Some("keeper".as_ref()), None).await.unwrap();
    for n in 0..KEYS {
        let kept = test.stored(&new, "read", json!({ "key": format!("k{n}") })).await.unwrap();
        assert_eq!(said(&kept), "one (0 to 1)", "k{n}");
    }
    other.close().await.unwrap();
}

#[test]
fn a_disk_that_is_full() {
    if !cfg!(target_os = "linux") {
        // The test above and those of the core stand for it elsewhere.
        return;
    }
    let home = Home::new();
    let skill = probe().display().to_string();
    let put = |key: &str, value: &str| {
        let words =
            ["run", &skill, "--allow", "kv", "--allow", "model", "--tool", "put", "--key", key, "--value", value];
        words.map(str::to_owned)
    };
    home.run(&put("small", "before").each_ref().map(String::as_str)).worked();
    let big = "x".repeat(100_000);
    let Some(done) = on_a_full_disk(&home, &put("big", &big)) else { return };
    assert_eq!(done.out, "", "{done:?}");
    assert!([4, 6].contains(&done.code), "what could not be kept must not look kept: {done:?}");
    assert!(done.err.contains("no room") && done.err.contains("free space"), "{done:?}");

    let read =
        |key: &str| home.run(&["run", &skill, "--allow", "kv", "--allow", "model", "--tool", "read", "--key", key]);
    read("big").gives("nothing\n");
    read("small").gives("before\n");
}

/// Runs with a copy of the home's state on a disk of two MiB without any room left. It is mounted in a namespace of its own, which
/// needs no rights where the system allows such to everybody. Where it does not, root puts a device in the place of SQLite's log
/// whose every write fails for want of room (as `/dev/full`; the machine's own will not do, for SQLite sets the mode of what it
/// opens). Where neither can be had nothing is shown: that fails for the maintainers, who run this with `CI` set.
fn on_a_full_disk(home: &Home, args: &[String]) -> Option<Done> {
    const SCRIPT: &str = "disk=$0 state=$1; shift; mount -t tmpfs -o size=2m tmpfs \"$disk\" || exit 99; \
        chmod 700 \"$disk\"; cp -a \"$state\"/. \"$disk\"/ || exit 99; \
        dd if=/dev/zero of=\"$disk/filler\" bs=1024 2>/dev/null; exec \"$@\"";
    let disk = home.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]).arg(&disk).arg(home.state());
    command.arg(env!("CARGO_BIN_EXE_ringfence")).args(args).arg("--state-dir").arg(&disk);
    command.current_dir(home.work()).stdin(Stdio::null());
    home.environment(&mut command);
    let refused = match command.output() {
        Ok(output) if !matches!(output.status.code(), Some(1 | 99 | 126 | 127)) => return Some(Done::of(&mut command)),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    if rustix::process::geteuid().is_root() {
        let log = home.path("state/state.db-wal");
        assert!(!log.exists(), "a host that ended well leaves no log");
        let made = Command::new("mknod").args(["-m", "600"]).arg(&log).args(["c", "1", "7"]).output().unwrap();
        if made.status.success() {
            let done = Done::of(home.command(&[]).args(args));
            std::fs::remove_file(&log).ok();
            return Some(done);
        }
    }
    assert!(std::env::var_os("CI").is_none(), "there is no full disk to be had here: {refused}");
    eprintln!("there is no full disk to be had here, so nothing was shown: {refused}");
    None
}
