//! Versions that take each other's place: how soon a saved one answers, and what is lost of the calls meanwhile.
//!
//! A version is another manifest around the same code, or other code of the same size, packaged beforehand; it is saved by a rename, as a build
//! saves it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringfence_core::catalog::seal;
use ringfence_core::catalog::watch::Watch;
use ringfence_core::{Call, Grants, Host, Manifest, Settings, SkillRef};

use crate::clock::{median, ms, percentile};
use crate::guest;
use crate::memory::Memory;
use crate::options;
use crate::server::{Mode, Server};
use crate::table::Table;

/// Bytes of the component that is saved.
const SIZE: usize = 200 << 10;
const SAVES: usize = 60;
/// Installed skills that are listed.
const INSTALLED: usize = 1_000;

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    runtime.block_on(saves(table));
    runtime.block_on(under_load(table));
    idle(table);
    edit(table);
    many(table, &runtime);
}

/// A component of [`SIZE`] whose function says a number. `code` tells one code from another.
fn component(code: u64) -> Vec<u8> {
    let padding = "a".repeat(SIZE - 1_000);
    let text = format!("{code:08}");
    wat::parse_str(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 8)
                (data (i32.const 0) "\10\00\00\00\08\00\00\00")
                (data (i32.const 16) "{text}")
                (data (i32.const 1024) "{padding}")
                (func (export "say") (result i32) (i32.const 0)))
            (core instance $m (instantiate $m))
            (func (export "say") (result string)
                (canon lift (core func $m "say") (memory (core memory $m "memory")))))"#
    ))
    .unwrap()
}

async fn version(host: &Host, code: u64, version: u64) -> Vec<u8> {
    let manifest = format!("name = \"live\"\nversion = \"1.0.{version}\"\ndescription = \"Says a number.\"\n");
    let mut bytes = host.package(&component(code), &Manifest::from_toml(&manifest).unwrap(), None).await.unwrap();
    seal(&mut bytes);
    bytes
}

fn save(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn swap(host: &Host, skill: &SkillRef, path: &Path) {
    let next = host.prepare(skill, path, true, None).await.unwrap().unwrap();
    host.replace(skill, next, Grants::default(), false).await.unwrap();
}

/// From the save to the end of the first call of what was saved, over the watch.
async fn saves(table: &mut Table) {
    let state = tempfile::tempdir().unwrap();
    let host = Host::open(guest::config(state.path(), Settings::default())).await.unwrap();
    let path = state.path().join("live.wasm");
    let all: Vec<Vec<u8>> = {
        let mut all = Vec::new();
        for n in 0..4 {
            all.push(version(&host, n, n).await);
        }
        all
    };
    save(&path, &all[0]);
    let skill = host.load_file(&path, None, None).await.unwrap();
    let mut watch = Watch::new(vec![path.clone()], Arc::new(|_| true), false);
    let mut took = Vec::new();
    for n in 1..=SAVES {
        let bytes = &all[n % all.len()];
        let digest = ringfence_core::engine::digest(bytes);
        let begun = Instant::now();
        save(&path, bytes);
        watch.changed().await;
        swap(&host, &skill, &path).await;
        let done = host.invoke(Call::new(skill.clone(), "{}")).await.unwrap();
        took.push(begun.elapsed());
        assert_eq!(*done.digest, *digest);
    }
    let say = |time| format!("{:.1} ms", ms(time));
    let middle = median(&mut took);
    table.goal("reload: save to first call, artefact there", say(middle), "-", (ms(middle), 20.0, " ms"));
    table.note("reload: the same, p90", say(percentile(&mut took, 0.9)), "-", "");
    // Code that was never compiled: what is beyond the compiler's own time.
    let (mut beyond, mut compile) = (Vec::new(), Vec::new());
    for n in 0..10_u64 {
        let code = u64::from(std::process::id()) * 100 + n;
        let bytes = component(code);
        let manifest = format!("name = \"live\"\nversion = \"1.0.9\"\ndescription = \"{code}\"\n");
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Host::open(guest::config(elsewhere.path(), Settings::default())).await.unwrap();
        let begun = Instant::now();
        let mut bytes = other.package(&bytes, &Manifest::from_toml(&manifest).unwrap(), None).await.unwrap();
        let compiled = begun.elapsed();
        other.close().await.unwrap();
        seal(&mut bytes);
        // That host's artefacts are signed by another key, so this one compiles again.
        let begun = Instant::now();
        save(&path, &bytes);
        watch.changed().await;
        swap(&host, &skill, &path).await;
        host.invoke(Call::new(skill.clone(), "{}")).await.unwrap();
        beyond.push(begun.elapsed().saturating_sub(compiled));
        compile.push(compiled);
    }
    let middle = median(&mut beyond);
    let floor = say(median(&mut compile));
    table.goal("reload: save to first call beyond the compile", say(middle), floor, (ms(middle), 50.0, " ms"));
    host.close().await.unwrap();
}

/// Reloads while others call: what fails, what is of a version that was withdrawn, and what is left in memory.
async fn under_load(table: &mut Table) {
    let reloads = options::number("reloads").unwrap_or(1_000);
    let state = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.mode(Mode::Slow).await;
    let ground = guest::Ground::open(Some(&server.base_url), |_| {}).await;
    let host = ground.host.clone();
    let path = state.path().join("live.wasm");
    let mut all = Vec::new();
    for n in 0..8 {
        all.push((version(&host, n, n).await, format!("{n:08}")));
    }
    let says: std::collections::HashMap<_, _> =
        all.iter().map(|(bytes, says)| (ringfence_core::engine::digest(bytes), says.clone())).collect();
    save(&path, &all[0].0);
    let skill = host.load_file(&path, None, None).await.unwrap();
    // Answers of a model that stream for about five seconds go on all the time, of a skill whose versions are replaced as well.
    const MODEL: &str = "[permissions.model]\nmodels = [\"default\"]\nreason = \"To stream.\"\n";
    let long_path = guest::packaged(&host, state.path(), "long", MODEL).await;
    let long = host.load_file(&long_path, None, None).await.unwrap();
    host.grant(long.identity(), Grants::parse(["model=default"]).unwrap()).await.unwrap();
    let (over, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let order = Arc::new(std::sync::Mutex::new(vec![skill.digest()]));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (host, skill, says) = (host.clone(), skill.clone(), says.clone());
        let (over, published, order) = (Arc::clone(&over), Arc::clone(&published), Arc::clone(&order));
        callers.spawn(async move {
            let (mut calls, mut failed, mut mixed) = (0_u64, 0_u64, 0_u64);
            let mut every = tokio::time::interval(Duration::from_millis(15));
            while !over.load(Ordering::Relaxed) {
                every.tick().await;
                let before = published.load(Ordering::SeqCst) as usize;
                calls += 1;
                match host.invoke(Call::new(skill.clone(), "{}")).await {
                    Ok(done) => {
                        let is_right = guest::said(&done) == says[&*done.digest];
                        let is_withdrawn = !order.lock().unwrap()[before..].iter().any(|one| **one == *done.digest);
                        mixed += u64::from(!is_right || is_withdrawn);
                    }
                    Err(_) => failed += 1,
                }
            }
            (calls, failed, mixed)
        });
    }
    let slow = {
        let (host, long, over) = (host.clone(), long.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let (mut calls, mut failed) = (0_u64, 0_u64);
            while !over.load(Ordering::Relaxed) {
                let mut some = tokio::task::JoinSet::new();
                for _ in 0..8 {
                    let call = Call { tool: Some("stream".into()), ..Call::new(long.clone(), "{}") };
                    let host = host.clone();
                    some.spawn(async move { host.invoke(call).await });
                }
                while let Some(done) = some.join_next().await {
                    calls += 1;
                    failed += u64::from(done.unwrap().is_err());
                }
            }
            (calls, failed)
        })
    };
    let begun = Instant::now();
    let mut resident = Vec::new();
    for round in 1..=reloads {
        let (bytes, _) = &all[round as usize % all.len()];
        save(&path, bytes);
        order.lock().unwrap().push(ringfence_core::engine::digest(bytes));
        swap(&host, &skill, &path).await;
        published.fetch_add(1, Ordering::SeqCst);
        if round % 50 == 0 {
            let manifest = format!("name = \"long\"\nversion = \"0.1.{round}\"\ndescription = \"Measured.\"\n{MODEL}");
            let mut bytes = std::fs::read(guest::component()).unwrap();
            bytes = host.package(&bytes, &Manifest::from_toml(&manifest).unwrap(), None).await.unwrap();
            seal(&mut bytes);
            save(&long_path, &bytes);
            swap(&host, &long, &long_path).await;
        }
        if round % (reloads / 10).max(1) == 0 {
            resident.push(Memory::now().resident);
        }
        // So that it lasts longer than the long calls.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let wall = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    let (mut calls, mut failed, mut mixed) = (0, 0, 0);
    while let Some(done) = callers.join_next().await {
        let (some, lost, wrong) = done.unwrap();
        (calls, failed, mixed) = (calls + some, failed + lost, mixed + wrong);
    }
    let (long_calls, long_failed) = slow.await.unwrap();
    let rate = format!("{:.0} calls/s", calls as f64 / wall.as_secs_f64());
    let what = format!("{reloads} reloads, {calls} + {long_calls} calls");
    table.goal("reload: calls that failed", what, rate.clone(), ((failed + long_failed) as f64, 0.0, ""));
    table.goal("reload: answers mixed or withdrawn", String::new(), rate, (mixed as f64, 0.0, ""));
    let (early, late) = (resident[resident.len() / 2], *resident.last().unwrap());
    let figure = format!("{:+.1} %", (late as f64 / early as f64 - 1.0) * 100.0);
    table.note("reload: memory, second half", format!("{} MiB", late >> 10), format!("{} MiB", early >> 10), figure);
    host.close().await.unwrap();
    // Its folder is the host's until then.
    drop(ground);
}

/// Processor time of a `dev` with nothing to do.
fn idle(table: &mut Table) {
    const SECONDS: u64 = 20;
    let state = tempfile::tempdir().unwrap();
    let file: PathBuf = state.path().join("bench.wasm");
    std::fs::copy(guest::component(), &file).unwrap();
    let mut command = guest::program(state.path(), &["dev", "--format", "json", file.to_str().unwrap()]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let ticks = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after = stat.rsplit(')').next().unwrap().to_owned();
        let fields: Vec<u64> = after.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // utime and stime, the 14th and 15th field; the state, which is no number, is left out.
        fields[10] + fields[11]
    };
    let before = ticks(child.id());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let used = ticks(child.id()) - before;
    child.kill().unwrap();
    child.wait().unwrap();
    let percent = used as f64 / SECONDS as f64;
    table.goal("reload: idle dev", format!("{} ms in {SECONDS} s", used * 10), "-", (percent, 0.1, " %"));
}

/// From an edit of a Rust skill's source to the version that serves, beside cargo alone on a copy of it.
fn edit(table: &mut Table) {
    const EDITS: u32 = 8;
    let state = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let done = guest::program(state.path(), &["new", name, "--lang", "rust"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        state.path().join(name)
    };
    let (ours, theirs) = (made("edited"), made("alone"));
    let source = |folder: &Path| folder.join("src/lib.rs");
    let text = std::fs::read_to_string(source(&ours)).unwrap();
    let write = |folder: &Path, edit: u32| {
        // What a tool is for is in the component.
        let (head, rest) = text.split_once("#[tool").unwrap();
        std::fs::write(source(folder), format!("{head}/// Edit {edit}.\n#[tool{rest}")).unwrap();
    };
    let cargo = || {
        let mut command = std::process::Command::new("cargo");
        command.args(["build", "--release", "--target", "wasm32-wasip2"]).current_dir(&theirs);
        command.env("CARGO_TARGET_DIR", state.path().join("target"));
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let mut command = guest::program(state.path(), &["dev", "--format", "json", "edited"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut serving = || {
        let told = lines.by_ref().map(Result::unwrap).find(|line| {
            assert!(!line.contains(r#""event":"failed""#), "{line}");
            line.contains(r#""event":"serving""#)
        });
        serde_json::from_str::<serde_json::Value>(&told.unwrap()).unwrap()
    };
    serving();
    cargo();
    let (mut whole, mut alone, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=EDITS {
        let begun = Instant::now();
        write(&ours, n);
        let told = serving();
        whole.push(begun.elapsed());
        loads.push(Duration::from_millis(told["loaded-ms"].as_u64().unwrap()));
        let begun = Instant::now();
        write(&theirs, n);
        cargo();
        alone.push(begun.elapsed());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let say = |time| format!("{:.0} ms", ms(time));
    let (whole, alone) = (median(&mut whole), median(&mut alone));
    let figure = (crate::clock::ratio(whole, alone), 1.1, "x");
    table.goal("reload: a Rust edit to serving, beside cargo alone", say(whole), say(alone), figure);
    table.note("reload: of that, to load what was built", say(median(&mut loads)), "", "");
}

/// What a host does with many skills that nobody calls.
fn many(table: &mut Table, runtime: &tokio::runtime::Runtime) {
    let state = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let host = Host::open(guest::config(state.path(), Settings::default())).await.unwrap();
        let code = component(1);
        for n in 0..INSTALLED {
            let manifest = format!("name = \"skill-{n}\"\nversion = \"1.0.0\"\ndescription = \"One of many.\"\n");
            let bytes = host.package(&code, &Manifest::from_toml(&manifest).unwrap(), None).await.unwrap();
            let path = state.path().join("one.wasm");
            save(&path, &bytes);
            host.add(&path, None).await.unwrap();
        }
        host.close().await.unwrap();
        let (mut opens, mut lists) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let begun = Instant::now();
            let host = Host::open(guest::config(state.path(), Settings::default())).await.unwrap();
            opens.push(begun.elapsed());
            let begun = Instant::now();
            assert_eq!(host.list().await.unwrap().len(), INSTALLED);
            lists.push(begun.elapsed());
            host.close().await.unwrap();
        }
        let say = |time| format!("{:.1} ms", ms(time));
        let (open, list) = (median(&mut opens), median(&mut lists));
        table.goal("reload: list of 1,000 skills", say(list), "-", (ms(list), 100.0, " ms"));
        table.goal("reload: start with 1,000 skills", say(open), "-", (ms(open), 1000.0, " ms"));
    });
}
