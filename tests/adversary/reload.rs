//! Versions that take each other's place: files that are half there, swapped, worse than before, or ask for more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ringfence_core::catalog::seal;
use ringfence_core::{Call, Error, Grants, Host, Manifest, SkillRef, Standing};
use serde_json::json;

use crate::ground::Ground;
use crate::support::hosts::{self, said};

/// A component whose only function says which version it is.
fn code(version: u64) -> Vec<u8> {
    let text = format!("v{version:07}");
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 0) "\10\00\00\00\08\00\00\00")
                (data (i32.const 16) "{text}")
                (func (export "say") (result i32) (i32.const 0)))
            (core instance $m (instantiate $m))
            (func (export "say") (result string)
                (canon lift (core func $m "say") (memory (core memory $m "memory")))))"#
    ))
    .unwrap()
}

/// One whose start function traps.
const TRAPS: &[u8] = br#"(component
    (core module $m (func $f unreachable) (start $f) (func (export "say") (result i32) (i32.const 0)))
    (core instance $m (instantiate $m))
    (func (export "say") (result u32) (canon lift (core func $m "say"))))"#;

struct Live {
    ground: Ground,
    path: PathBuf,
    skill: SkillRef,
}

impl Live {
    /// Version 1 of a skill serves from a file.
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(settings: &str) -> Self {
        let ground = Ground::with(settings).await;
        let bytes = package(&ground.host.host, 1, "").await;
        let path = ground.host.home.write("live.wasm", bytes);
        let skill = ground.host.host.load_file(&path, None, None).await.unwrap();
        Self { ground, path, skill }
    }

    fn host(&self) -> &Host {
        &self.ground.host.host
    }

    async fn package(&self, version: u64, more: &str) -> Vec<u8> {
        package(self.host(), version, more).await
    }

    /// Puts a file in its place as `ringfence build` does.
    fn put(&self, bytes: &[u8]) {
        put(&self.path, bytes);
    }

    /// Prepares what lies there and lets it serve with nothing granted. Whether there was anything new.
    async fn reload(&self) -> Result<bool, Error> {
        let Some(next) = self.host().prepare(&self.skill, &self.path, false, None).await? else { return Ok(false) };
        self.host().replace(&self.skill, next, Grants::default(), false).await.map(|()| true)
    }

    async fn says(&self) -> String {
        said(&self.host().invoke(Call::new(self.skill.clone(), "{}")).await.unwrap())
    }

    /// What is offered does not serve, `kind` says why, and version 1 does.
    #[track_caller]
    fn refuses(&self, kind: &'static str) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        async move {
            let error = self.reload().await.expect_err(&format!("at {at}"));
            assert_eq!(error.kind(), kind, "at {at}: {error}");
            assert!(!error.hint().is_empty(), "at {at}");
            assert_eq!(self.says().await, "v0000001", "at {at}");
            error.to_string()
        }
    }
}

fn put(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn package(host: &Host, version: u64, more: &str) -> Vec<u8> {
    let manifest = format!("name = \"live\"\nversion = \"{version}.0.0\"\ndescription = \"Says its version.\"\n{more}");
    packaged(host, version, &manifest).await
}

async fn packaged(host: &Host, version: u64, manifest: &str) -> Vec<u8> {
    let manifest = Manifest::from_toml(manifest).unwrap();
    let mut bytes = host.package(&code(version), &manifest, None).await.unwrap();
    seal(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn t97_a_file_that_is_half_there_never_serves() {
    let live = Live::new().await;
    let whole = live.package(2, "").await;
    // Written in steps, each of them looked at by somebody who reloads as often as he can.
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, whole, done) = (live.path.clone(), whole.clone(), Arc::clone(&done));
        tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let mut file = std::fs::File::create(&path).unwrap();
            for byte in whole.chunks(7) {
                file.write_all(byte).unwrap();
                file.flush().unwrap();
            }
            done.store(true, Ordering::SeqCst);
        })
    };
    let mut tries = 0;
    loop {
        let over = done.load(Ordering::SeqCst);
        let reloaded = live.reload().await;
        let says = live.says().await;
        tries += 1;
        match reloaded {
            Ok(true) => {
                assert_eq!(says, "v0000002");
                break;
            }
            _ => assert!(!over && says == "v0000001", "{tries}: {reloaded:?} {says}"),
        }
    }
    writer.await.unwrap();
    assert_eq!(live.skill.standing(), Standing::Serving);
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t97_what_is_truncated_is_garbage_or_gone_leaves_the_old_version() {
    let live = Live::new().await;
    let whole = live.package(2, "").await;
    let code = code(2);
    for garbage in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &[][..], b"\0asm", b"hello", &[0xff; 100_000]]
    {
        std::fs::write(&live.path, garbage).unwrap();
        let error = live.reload().await.unwrap_err();
        assert!(["invalid-component", "manifest-invalid"].contains(&error.kind()), "{}: {error}", error.kind());
        assert_eq!(live.says().await, "v0000001");
        let Standing::Failed { kind, .. } = live.skill.standing() else { panic!("{:?}", live.skill.standing()) };
        assert_eq!(kind, error.kind());
    }
    // The beginning of a package is a component too, of another name and without rights.
    std::fs::write(&live.path, &code).unwrap();
    assert_eq!(live.says().await, "v0000001");
    std::fs::remove_file(&live.path).unwrap();
    live.refuses("not-found").await;
    // And the next good one serves.
    live.put(&whole);
    assert!(live.reload().await.unwrap());
    assert_eq!(live.says().await, "v0000002");
    // Swapped there and back within a moment: what lies there counts.
    live.put(&live.package(3, "").await);
    live.put(&whole);
    assert!(!live.reload().await.unwrap());
    assert_eq!(live.skill.standing(), Standing::Serving);
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t98_what_is_checked_is_what_serves_however_files_are_swapped() {
    let live = Live::new().await;
    let versions: Vec<(Vec<u8>, String)> = {
        let mut all = Vec::new();
        for version in 2..6 {
            all.push((live.package(version, "").await, format!("v{version:07}")));
        }
        all
    };
    let digests: Vec<(String, String)> =
        versions.iter().map(|(bytes, says)| (ringfence_core::engine::digest(bytes), says.clone())).collect();
    // A link to a file outside, and back, and other versions, as fast as it goes.
    let outside = live.ground.host.home.write("outside.wasm", live.package(9, "").await);
    let over = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (path, over) = (live.path.clone(), Arc::clone(&over));
        tokio::task::spawn_blocking(move || {
            let mut swaps = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let link = path.with_extension("link");
                drop(std::fs::remove_file(&link));
                std::os::unix::fs::symlink(&outside, &link).unwrap();
                std::fs::rename(&link, &path).unwrap();
                put(&path, &versions[swaps as usize % versions.len()].0);
                swaps += 1;
            }
            swaps
        })
    };
    let mut served = 0;
    for _ in 0..60 {
        served += u64::from(matches!(live.reload().await, Ok(true)));
        let done = live.host().invoke(Call::new(live.skill.clone(), "{}")).await.unwrap();
        let says = said(&done);
        assert_ne!(says, "v0000009", "nothing is read through a link");
        let known = digests.iter().find(|(digest, _)| **digest == *done.digest);
        assert!(known.map_or(says == "v0000001", |(_, of)| *of == says), "{} says {says}", done.digest);
    }
    over.store(true, Ordering::Relaxed);
    let swaps = swapper.await.unwrap();
    assert!(served > 0 && swaps > 100, "{served} of {swaps}");
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t99_reloads_under_load_lose_and_mix_nothing() {
    const RELOADS: u64 = 200;
    let live = Live::new().await;
    let mut versions = Vec::new();
    for version in 2..8 {
        versions.push(live.package(version, "").await);
    }
    let over = Arc::new(AtomicBool::new(false));
    // How many swaps had been published before a call began: what answers is never older.
    let published = Arc::new(AtomicU64::new(0));
    let order = Arc::new(std::sync::Mutex::new(vec![live.skill.digest()]));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (host, skill) = (live.host().clone(), live.skill.clone());
        let (over, published, order) = (Arc::clone(&over), Arc::clone(&published), Arc::clone(&order));
        callers.spawn(async move {
            let mut calls = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let before = published.load(Ordering::SeqCst) as usize;
                let done = host.invoke(Call::new(skill.clone(), "{}")).await.unwrap();
                let order = order.lock().unwrap();
                assert!(
                    order[before..].iter().any(|digest| **digest == *done.digest),
                    "an answer of a version that was withdrawn before the call"
                );
                calls += 1;
            }
            calls
        });
    }
    // One that runs over all of them ends on what it began with.
    let slow = {
        let (host, probe) = (live.host().clone(), live.ground.host.probe.clone());
        tokio::spawn(async move { host.invoke(hosts::call(&probe, "sleep", json!({ "ms": 500 }))).await })
    };
    for round in 0..RELOADS {
        let bytes = &versions[round as usize % versions.len()];
        live.put(bytes);
        // It may serve from before this is known to be done.
        order.lock().unwrap().push(ringfence_core::engine::digest(bytes));
        let next = live.host().prepare(&live.skill, &live.path, true, None).await.unwrap().unwrap();
        live.host().replace(&live.skill, next, Grants::default(), false).await.unwrap();
        published.fetch_add(1, Ordering::SeqCst);
    }
    over.store(true, Ordering::Relaxed);
    let mut calls = 0;
    while let Some(done) = callers.join_next().await {
        calls += done.unwrap();
    }
    slow.await.unwrap().unwrap();
    assert!(calls > RELOADS, "{calls} calls");
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t99_a_straggler_is_ended_when_its_time_is_over() {
    let live = Live::with("[engine]\ndrain-seconds = 1\n").await;
    let host = live.host();
    let old = live.ground.host.packaged("slow", "").await;
    let path = live.ground.host.home.path("served.wasm");
    std::fs::copy(&old, &path).unwrap();
    let skill = host.load_file(&path, None, None).await.unwrap();
    let mut running = Vec::new();
    for (tool, input) in [("sleep", json!({ "ms": 60_000 })), ("spin", json!({}))] {
        let call = hosts::call(&skill, tool, input);
        let host = host.clone();
        running.push(tokio::spawn(async move { host.invoke(Call { allow: Grants::default(), ..call }).await }));
    }
    crate::support::process::until("two calls run", || (host.running() == 2).then_some(()));
    let manifest = "name = \"slow\"\nversion = \"0.2.0\"\ndescription = \"Another.\"\n";
    let manifest = Manifest::from_toml(manifest).unwrap();
    let mut bytes = host.package(&std::fs::read(&old).unwrap(), &manifest, None).await.unwrap();
    seal(&mut bytes);
    put(&path, &bytes);
    let next = host.prepare(&skill, &path, false, None).await.unwrap().unwrap();
    host.replace(&skill, next, Grants::default(), false).await.unwrap();
    for call in running {
        let error = tokio::time::timeout(Duration::from_secs(30), call).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), "withdrawn", "{error}");
    }
    let done =
        host.invoke(Call { allow: Grants::default(), ..hosts::call(&skill, "echo", json!({ "text": "x" })) }).await;
    assert_eq!(said(&done.unwrap()), "x");
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t100_what_is_worse_than_before_does_not_serve() {
    let live = Live::new().await;
    // Asks for more: refused until somebody allows it.
    let kv = "[permissions.kv]\nreason = \"To count.\"\n";
    live.put(&live.package(2, kv).await);
    live.refuses("permission-widened").await;
    let Standing::PendingConsent { missing, .. } = live.skill.standing() else { panic!("{:?}", live.skill.standing()) };
    assert_eq!(missing.len(), 1);
    let next = live.host().prepare(&live.skill, &live.path, false, None).await.unwrap().unwrap();
    live.host().replace(&live.skill, next, Grants::parse(["kv"]).unwrap(), true).await.unwrap();
    assert_eq!(live.says().await, "v0000002");
    assert_eq!(live.host().grants(live.skill.identity()).words(), ["kv"]);
    // What a pattern would have covered, or a grant that nobody asked for, is not covered.
    let live = Live::new().await;
    live.host().grant(live.skill.identity(), Grants::parse(["kv", "model=offline/*"]).unwrap()).await.unwrap();
    live.put(&live.package(2, kv).await);
    live.refuses("permission-widened").await;
    // Lower.
    let lower = packaged(live.host(), 2, "name = \"live\"\nversion = \"0.9.0\"\ndescription = \"d\"\n").await;
    live.put(&lower);
    let told = live.refuses("rollback-refused").await;
    assert!(told.contains("0.9.0") && told.contains("1.0.0"), "{told}");
    // Another skill's file.
    live.put(&packaged(live.host(), 2, "name = \"other\"\nversion = \"2.0.0\"\ndescription = \"d\"\n").await);
    live.refuses("manifest-invalid").await;
    // Traps when it begins; exports nothing; is made for another interface.
    let manifest = Manifest::from_toml("name = \"live\"\nversion = \"2.0.0\"\ndescription = \"d\"\n").unwrap();
    let traps = wat::parse_str(String::from_utf8_lossy(TRAPS)).unwrap();
    live.put(&live.host().package(&traps, &manifest, None).await.unwrap());
    live.refuses("trap").await;
    live.put(&wat::parse_str("(component (core module))").unwrap());
    live.refuses("missing-export").await;
    live.put(&crate::support::wat::skill_of("9.0.0", "(i32.const 128)", "", ""));
    let error = live.reload().await.unwrap_err();
    assert!(
        ["missing-export", "unsupported-import", "invalid-component", "wit-version"].contains(&error.kind()),
        "{}",
        error.kind()
    );
    assert_eq!(live.says().await, "v0000001");
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t100_a_version_that_fails_its_own_test_does_not_serve() {
    let live = Live::new().await;
    live.put(&live.package(2, "[[self-test]]\ntool = \"say\"\n[[self-test]]\ntool = \"sing\"\n").await);
    let told = live.refuses("self-test-failed").await;
    assert!(told.contains("its own test 2") && told.contains("`sing`"), "{told}");
    live.put(&live.package(2, "[[self-test]]\ntool = \"say\"\n").await);
    assert!(live.reload().await.unwrap());
    // It has no rights of the skill's while it is tested.
    let host = live.host();
    let manifest = |version: &str| {
        format!(
            "name = \"keeper\"\nversion = \"{version}\"\ndescription = \"d\"\n[permissions.kv]\n[[self-test]]\ntool = \"put\"\n\
             input = {{ key = \"k\", value = \"x\" }}\n"
        )
    };
    let component = std::fs::read(crate::support::probe()).unwrap();
    let path = live.ground.host.home.path("keeper.wasm");
    for version in ["1.0.0", "1.1.0"] {
        let manifest = Manifest::from_toml(&manifest(version)).unwrap();
        let mut bytes = host.package(&component, &manifest, None).await.unwrap();
        seal(&mut bytes);
        if version == "1.0.0" {
            std::fs::write(&path, &bytes).unwrap();
            let skill = host.load_file(&path, None, None).await.unwrap();
            host.grant(skill.identity(), Grants::parse(["kv"]).unwrap()).await.unwrap();
            put(&path, &bytes);
            assert!(host.prepare(&skill, &path, false, None).await.unwrap().is_none());
            continue;
        }
        put(&path, &bytes);
    }
    let skill = host.load_file(&path, None, None).await.unwrap();
    let mut next = Manifest::from_toml(&manifest("1.2.0")).unwrap();
    next.description = "Another.".into();
    let mut bytes = host.package(&component, &next, None).await.unwrap();
    seal(&mut bytes);
    put(&path, &bytes);
    let error = host.prepare(&skill, &path, false, None).await.unwrap_err();
    assert_eq!(error.kind(), "self-test-failed", "{error}");
    assert!(error.to_string().contains("kv"), "{error}");
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t102_configuration_and_component_change_together_or_not_at_all() {
    // Version N of the skill takes settings of form N alone: a call that saw one without the other would be refused or say so.
    let schema = |n: u64| {
        format!(
            "[config]\ntype = \"object\"\nrequired = [\"form\"]\n[config.properties.form]\nenum = [{n}, {}]\n",
            n + 1
        )
    };
    let settings = |n: u64| format!("[skills.live.config]\nform = {n}\n");
    let ground = Ground::with(&settings(1)).await;
    let host = ground.host.host.clone();
    let path = ground.host.home.write("live.wasm", package(&host, 1, &schema(1)).await);
    let skill = host.load_file(&path, None, None).await.unwrap();
    // A configuration that the version which serves does not take is refused as a whole.
    let wrong: ringfence_core::Settings =
        toml::from_str(&format!("[limits]\nwall-seconds = 1\n{}", settings(7))).unwrap();
    let error = host.reconfigure(wrong, &Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), "config-invalid", "{error}");
    let done = host.invoke(hosts::call(&ground.host.probe, "deadline", json!({}))).await;
    assert!(done.is_err() || said(&done.unwrap()) != "1000", "no part of it holds");
    let live = Live { ground, path, skill };
    // A version that does not take the configuration which holds does not serve.
    live.put(&package(&host, 2, &schema(4)).await);
    live.refuses("config-invalid").await;
    // Step by step, both at the same time, under load.
    let over = Arc::new(AtomicBool::new(false));
    let caller = {
        let (host, skill, over) = (host.clone(), live.skill.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                host.invoke(Call::new(skill.clone(), "{}")).await.unwrap();
            }
        })
    };
    for n in 2..12 {
        let next = toml::from_str(&settings(n)).unwrap();
        live.put(&package(&host, n, &schema(n)).await);
        let (taken, nothing) = (host.clone(), Default::default());
        // Both orders are right: form N is taken by version N - 1 and by version N.
        let (configured, reloaded) = tokio::join!(taken.reconfigure(next, &nothing), live.reload());
        configured.unwrap();
        if reloaded.is_err() {
            assert!(live.reload().await.unwrap());
        }
        assert_eq!(live.says().await, format!("v{n:07}"));
    }
    over.store(true, Ordering::Relaxed);
    caller.await.unwrap();
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t95_what_is_installed_anew_serves_whoever_holds_it() {
    let live = Live::new().await;
    let host = live.host();
    host.add(&live.path, None).await.unwrap();
    let held = host.load_installed("live", None).await.unwrap();
    live.put(&live.package(2, "").await);
    host.add(&live.path, None).await.unwrap();
    let done = host.invoke(Call::new(held.clone(), "{}")).await.unwrap();
    assert_eq!(said(&done), "v0000002");
    assert_eq!(held.digest(), host.list().await.unwrap()[0].digest);
    live.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t100_a_version_that_fails_its_own_test_is_not_installed() {
    let live = Live::new().await;
    let host = live.host();
    host.add(&live.path, None).await.unwrap();
    let held = host.load_installed("live", None).await.unwrap();
    let installed = held.digest();
    live.put(&live.package(2, "[[self-test]]\ntool = \"say\"\n[[self-test]]\ntool = \"sing\"\n").await);
    let error = host.add(&live.path, None).await.unwrap_err();
    assert_eq!(error.kind(), "self-test-failed", "{error}");
    assert!(error.to_string().contains("its own test 2"), "{error}");
    let manifest = Manifest::from_toml("name = \"live\"\nversion = \"2.0.0\"\ndescription = \"d\"\n").unwrap();
    let traps = wat::parse_str(String::from_utf8_lossy(TRAPS)).unwrap();
    live.put(&host.package(&traps, &manifest, None).await.unwrap());
    let error = host.add(&live.path, None).await.unwrap_err();
    assert!(error.kind() == "trap" && error.to_string().contains("live"), "{}: {error}", error.kind());
    assert_eq!((held.digest(), host.list().await.unwrap()[0].digest.clone()), (installed.clone(), installed));
    assert_eq!(said(&host.invoke(Call::new(held.clone(), "{}")).await.unwrap()), "v0000001");
    live.put(&live.package(2, "[[self-test]]\ntool = \"say\"\n").await);
    host.add(&live.path, None).await.unwrap();
    assert_eq!(said(&host.invoke(Call::new(held, "{}")).await.unwrap()), "v0000002");
    live.ground.survived(None, "").await;
}

/// Versions of the probe that keep something, as files of one place.
struct Keeper {
    ground: Ground,
    path: PathBuf,
}

impl Keeper {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let path = ground.host.home.path("keeper.wasm");
        Self { ground, path }
    }

    /// Writes version `version`, which knows state as `state` says.
    async fn put(&self, version: &str, state: &str) {
        let manifest = format!(
            "name = \"keeper\"\nversion = \"{version}\"\ndescription = \"Keeps.\"\n[permissions.kv]\n\
             [permissions.http]\nallow = [\"https://example.com\"]\noptional = true\n{state}"
        );
        let manifest = Manifest::from_toml(&manifest).unwrap();
        let component = std::fs::read(crate::support::probe()).unwrap();
        let mut bytes = self.ground.host.host.package(&component, &manifest, None).await.unwrap();
        seal(&mut bytes);
        put(&self.path, &bytes);
    }

    async fn load(&self) -> SkillRef {
        let host = &self.ground.host.host;
        let skill = host.load_file(&self.path, None, None).await.unwrap();
        host.grant(skill.identity(), Grants::parse(["kv", "http=https://example.com"]).unwrap()).await.unwrap();
        skill
    }

    async fn reload(&self, skill: &SkillRef) -> Result<(), Error> {
        let host = &self.ground.host.host;
        let next = host.prepare(skill, &self.path, false, None).await?.unwrap();
        host.replace(skill, next, Grants::default(), false).await
    }

    async fn keep(&self, skill: &SkillRef, key: &str, value: &str) -> Result<(), Error> {
        let call = hosts::call(skill, "put", json!({ "key": key, "value": value }));
        self.ground.host.host.invoke(Call { allow: Grants::default(), ..call }).await.map(drop)
    }

    async fn kept(&self, skill: &SkillRef, key: &str) -> String {
        let call = hosts::call(skill, "read", json!({ "key": key }));
        said(&self.ground.host.host.invoke(Call { allow: Grants::default(), ..call }).await.unwrap())
    }
}

const STATE_1: &str = "[state]\nversion = 1\nupgrade = \"renew\"\n";
const STATE_2: &str = "[state]\nversion = 2\nupgrade = \"renew\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_skill_keeps_is_brought_up_to_date_by_its_own_step() {
    let keeper = Keeper::new().await;
    keeper.put("1.0.0", "").await;
    let skill = keeper.load().await;
    keeper.keep(&skill, "a", "one").await.unwrap();
    keeper.keep(&skill, "curious", "").await.unwrap();
    // Another that holds the version before, as a call under way would.
    let old = keeper.load().await;
    assert_eq!(keeper.kept(&old, "a").await, "one");

    keeper.put("1.1.0", STATE_1).await;
    keeper.reload(&skill).await.unwrap();
    assert_eq!(keeper.kept(&skill, "a").await, "one (0 to 1)");
    let seen = keeper.kept(&skill, "curious").await;
    assert!(seen.contains("refused `http GET"), "the step has no right but to what is kept: {seen}");
    // Once, and by nobody else.
    keeper.keep(&skill, "b", "two").await.unwrap();
    assert_eq!(keeper.kept(&keeper.load().await, "a").await, "one (0 to 1)");
    assert!(skill.tools().iter().all(|tool| tool.name != "renew"));
    let call = hosts::call(&skill, "renew", json!({ "from": 0, "to": 1 }));
    let error = keeper.ground.host.host.invoke(Call { allow: Grants::default(), ..call }).await.unwrap_err();
    assert_eq!(error.kind(), "unknown-tool", "{error}");

    // The version before reads still, and what it would write is refused: nobody could read it.
    assert_eq!(keeper.kept(&old, "a").await, "one (0 to 1)");
    let error = keeper.keep(&old, "a", "old").await.unwrap_err();
    assert!(error.kind() == "unavailable" && error.to_string().contains("version 1"), "{}: {error}", error.kind());
    assert_eq!(keeper.kept(&skill, "a").await, "one (0 to 1)");

    // Two versions on at once, and from then on nothing older comes back.
    keeper.put("1.2.0", STATE_2).await;
    keeper.reload(&skill).await.unwrap();
    assert_eq!(keeper.kept(&skill, "a").await, "one (0 to 1) (1 to 2)");
    assert_eq!(keeper.kept(&skill, "b").await, "two (1 to 2)");
    keeper.put("1.3.0", STATE_1).await;
    let error = keeper.reload(&skill).await.unwrap_err();
    assert_eq!(error.kind(), "skill-state-newer", "{error}");
    let error = keeper.keep(&keeper.load().await, "a", "x").await.unwrap_err();
    assert_eq!(error.kind(), "skill-state-newer", "{error}");
    assert_eq!(keeper.kept(&skill, "a").await, "one (0 to 1) (1 to 2)");
    keeper.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_changes_nothing_and_the_old_version_serves() {
    let keeper = Keeper::new().await;
    keeper.put("1.0.0", "").await;
    let skill = keeper.load().await;
    keeper.keep(&skill, "a", "one").await.unwrap();
    keeper.keep(&skill, "poison", "x").await.unwrap();
    let before = skill.digest();
    keeper.put("1.1.0", STATE_1).await;
    let error = keeper.reload(&skill).await.unwrap_err();
    assert_eq!(error.kind(), "upgrade-failed", "{error}");
    assert!(error.to_string().contains("from version 0 to 1: "), "{error}");
    let Standing::Failed { kind, .. } = skill.standing() else { panic!("{:?}", skill.standing()) };
    assert_eq!((kind.as_str(), skill.digest()), ("upgrade-failed", before));
    assert_eq!(keeper.kept(&skill, "a").await, "one");
    keeper.keep(&skill, "a", "two").await.unwrap();
    // Loaded anew it says the same at each call, until it can.
    let fresh = keeper.load().await;
    assert_eq!(keeper.keep(&fresh, "c", "x").await.unwrap_err().kind(), "upgrade-failed");
    let gone = hosts::call(&skill, "forget", json!({ "key": "poison" }));
    keeper.ground.host.host.invoke(Call { allow: Grants::default(), ..gone }).await.unwrap();
    assert_eq!(keeper.kept(&fresh, "a").await, "two (0 to 1)");
    keeper.ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_a_manifest_names_must_be_there() {
    let ground = Ground::new().await;
    let component = std::fs::read(crate::support::probe()).unwrap();
    let head = "name = \"k\"\nversion = \"1.0.0\"\ndescription = \"d\"\n";
    for (state, says) in [
        ("[permissions.kv]\n[state]\nversion = 1\nupgrade = \"nothing\"\n", "no tool of that name"),
        ("[permissions.kv]\n[state]\nversion = 0\n", "counts from 1"),
        ("[state]\nversion = 1\n", "[permissions.kv]"),
    ] {
        let error = match Manifest::from_toml(&format!("{head}{state}")) {
            Ok(manifest) => ground.host.host.package(&component, &manifest, None).await.unwrap_err(),
            Err(error) => error.into(),
        };
        assert!(error.kind() == "manifest-invalid" && error.to_string().contains(says), "{error}");
    }
    ground.survived(None, "").await;
}
