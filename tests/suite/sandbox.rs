//! Guests that do what they should not. After each of them the host works as before.

use std::time::{Duration, Instant};

use ringfence_core::engine::LimitSettings;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::hosts::{open, said};
use crate::support::{Home, TestHost, call, probe, wat};

fn seconds(wall: u32) -> LimitSettings {
    LimitSettings { wall_seconds: Some(wall), ..LimitSettings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_guest_ends_at_its_deadline() {
    let host = TestHost::new().await;
    for (tool, input) in
        [("spin", json!({})), ("spin_host", json!({ "what": "clock" })), ("spin_host", json!({ "what": "settings" }))]
    {
        let begun = Instant::now();
        let error = host.limited(tool, input.clone(), seconds(1)).await.unwrap_err();
        let late = begun.elapsed().saturating_sub(Duration::from_secs(1));
        assert_eq!(error.kind(), "deadline", "{tool} {input}: {error}");
        assert!(error.to_string().contains("1 s"), "{error}");
        assert!(error.hint().contains("limits.wall-seconds"), "{}", error.hint());
        assert!(late < Duration::from_millis(250), "{tool} {input}: {late:?} late");
        host.still_works().await;
    }
}

#[test]
fn a_limit_of_memory_that_is_too_low_to_compile_in_is_named() {
    let home = Home::new();
    let probe = probe().display().to_string();
    // Nothing that was compiled before is believed here.
    let cache = home.path("cache").display().to_string();
    for mib in ["1", "20", "60"] {
        let setting = format!("engine.compile-mib={mib}");
        let args = ["run", &probe, "--tool", "count", "--allow", "kv", "--cache-dir", &cache, "--set", &setting];
        let sentence = format!("more than {mib} MiB of memory (`engine.compile-mib`)");
        home.run(&args).fails("compile-limit", 5, &sentence, "`engine.compile-mib`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_guest_ends_at_its_deadline() {
    let host = TestHost::new().await;
    let begun = Instant::now();
    let error = host.limited("sleep", json!({ "ms": 60_000 }), seconds(1)).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1250), "{:?}", begun.elapsed());
    let done = host.call("sleep", json!({ "ms": 20 })).await.unwrap();
    assert!(said(&done).parse::<u64>().unwrap() >= 19, "{done:?}");
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_has_its_processor_time_and_no_more() {
    let host = TestHost::new().await;
    let limits = LimitSettings { cpu_seconds: Some(1), ..LimitSettings::default() };
    let error = host.limited("spin", json!({}), limits).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error}");
    assert!(error.to_string().contains("processor time"), "{error}");
    assert!(error.hint().contains("limits.cpu-seconds"), "{}", error.hint());
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_guest_ends_at_once() {
    let host = TestHost::new().await;
    let cancel = CancellationToken::new();
    let call = ringfence_core::Call { cancel: cancel.clone(), ..call(&host.probe, "spin", json!({})) };
    let spinning = tokio::spawn({
        let host = host.host.clone();
        async move { host.invoke(call).await }
    });
    // Others are served while it spins.
    host.still_works().await;
    cancel.cancel();
    let error = tokio::time::timeout(Duration::from_secs(5), spinning).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), "cancelled", "{error}");
    host.still_works().await;
}

#[tokio::test]
async fn memory_is_refused_above_the_limit() {
    let host = TestHost::new().await;
    let done = host.call("grow", json!({ "crash": false })).await.unwrap();
    let mib: u64 = said(&done).parse().unwrap();
    assert!((40..64).contains(&mib), "{mib} MiB of 64");
    assert!(done.memory_peak <= 64 << 20, "{done:?}");
    let error = host.call("grow", json!({ "crash": true })).await.unwrap_err();
    assert_eq!(error.kind(), "memory-limit", "{error}");
    assert!(error.to_string().contains("64 MiB") && error.hint().contains("limits.memory-mib"), "{error:?}");
    let small = LimitSettings { memory_mib: Some(16), ..LimitSettings::default() };
    let done = host.limited("grow", json!({ "crash": false }), small).await.unwrap();
    assert!(said(&done).parse::<u64>().unwrap() < 16);
    host.still_works().await;
}

/// A skill with this many core instances of a module beside its own.
fn with_instances(count: usize, module: &str) -> Vec<u8> {
    let instances = "(core instance (instantiate $big))".repeat(count);
    wat::skill("(i32.const 128)", "", &format!("(core module $big {module}) {instances}"))
}

#[tokio::test]
async fn ten_memories_or_tables_are_one_sum() {
    let host = TestHost::new().await;
    // 8 MiB each: none of them is above the limit of 64, all ten are. It ends already where it is asked for its tools.
    let path = host.home.write("many.wasm", with_instances(10, "(memory 128)"));
    let error = host.host.load_file(&path, None, None).await.unwrap_err();
    assert_eq!(error.kind(), "memory-limit", "{error}");
    let path = host.home.write("fewer.wasm", with_instances(7, "(memory 128)"));
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    host.host.invoke(call(&skill, "act", json!({}))).await.unwrap();
    // 312 KiB each.
    for (count, fits) in [(10, false), (4, true)] {
        let path = host.home.write("tables.wasm", with_instances(count, "(table 40000 funcref)"));
        let skill = host.host.load_file(&path, None, None).await.unwrap();
        let limits = LimitSettings { memory_mib: Some(2), ..LimitSettings::default() };
        let call = ringfence_core::Call { limits, ..call(&skill, "act", json!({})) };
        let done = host.host.invoke(call).await;
        assert_eq!(done.is_ok(), fits, "{count}: {done:?}");
        if let Err(error) = done {
            assert_eq!(error.kind(), "table-limit", "{error}");
            assert!(error.hint().contains("limits.memory-mib"), "{}", error.hint());
        }
    }
    host.still_works().await;
}

#[tokio::test]
async fn a_table_that_no_instance_may_have() {
    let host = TestHost::new().await;
    for (what, kind) in [("(table 9000000 funcref)", "table-limit"), ("(memory 65536)", "memory-limit")] {
        let path = host.home.write("large.wasm", with_instances(1, what));
        let error = host.host.load_file(&path, None, None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
    }
    host.still_works().await;
}

#[tokio::test]
async fn a_stack_has_an_end() {
    let host = TestHost::new().await;
    let error = host.call("recurse", json!({})).await.unwrap_err();
    // A Rust guest has a stack of its own inside of its memory; whichever ends first, the guest does.
    assert!(["stack-overflow", "trap"].contains(&error.kind()), "{error:?}");
    let module = "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))";
    let path = host.home.write("deep.wasm", wat::skill("(call $deeper (i32.const 1))", module, ""));
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    let error = host.host.invoke(call(&skill, "act", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), "stack-overflow", "{error}");
    assert!(error.hint().contains("author"), "{}", error.hint());
    host.still_works().await;
}

#[tokio::test]
async fn handles_are_counted() {
    let host = TestHost::new().await;
    let few = LimitSettings { handles: Some(20), ..LimitSettings::default() };
    let input = json!({ "prompt": "Bees hum.", "how": "hold", "count": 100 });
    let error = host.limited("open", input, few).await.unwrap_err();
    assert!(["handle-limit", "refused"].contains(&error.kind()), "{error:?}");
    let input = json!({ "prompt": "Bees hum.", "how": "drop", "count": 100 });
    host.limited("open", input, few).await.unwrap();
    host.still_works().await;
}

#[tokio::test]
async fn a_host_call_carries_so_much() {
    let host = TestHost::new().await;
    host.call("big_host_call", json!({ "bytes": 1 << 20 })).await.unwrap();
    let error = host.call("big_host_call", json!({ "bytes": 9 << 20 })).await.unwrap_err();
    assert_eq!(error.kind(), "hostcall-too-large", "{error}");
    assert!(error.to_string().contains("8192 KiB") && error.hint().contains("limits.hostcall-kib"), "{error:?}");
    host.still_works().await;
}

#[tokio::test]
async fn lies_about_memory_are_traps() {
    let host = TestHost::new().await;
    for (what, body) in [
        ("outside of memory", "(i32.const 0x7ffffff0)"),
        (
            "a list that is longer than memory",
            "(i32.store (i32.const 132) (i32.const 1024)) (i32.store (i32.const 136) (i32.const 0x0fffffff)) (i32.const 128)",
        ),
        ("a case that does not exist", "(i32.store (i32.const 128) (i32.const 77)) (i32.const 128)"),
        ("unreachable", "unreachable"),
    ] {
        let path = host.home.write("liar.wasm", wat::skill(body, "", ""));
        let skill = host.host.load_file(&path, None, None).await.unwrap();
        let error = host.host.invoke(call(&skill, "act", json!({}))).await.unwrap_err();
        assert!(["trap", "hostcall-too-large"].contains(&error.kind()), "{what}: {error:?}");
        host.still_works().await;
    }
}

#[tokio::test]
async fn a_flood_of_log_lines_is_capped_and_counted() {
    let host = TestHost::new().await;
    for tool in ["log_flood", "print_flood"] {
        let (sender, mut events) = tokio::sync::mpsc::channel(10_000);
        let call = ringfence_core::Call { events: Some(sender), ..call(&host.probe, tool, json!({ "lines": 5_000 })) };
        let done = host.host.invoke(call).await.unwrap();
        assert_eq!(done.dropped_log_lines, 4_000, "{tool}");
        let mut seen = 0;
        while events.recv().await.is_some() {
            seen += 1;
        }
        assert_eq!(seen, 1_000, "{tool}");
    }
    host.still_works().await;
}

#[tokio::test]
async fn an_outcome_is_so_large_at_most() {
    let host = TestHost::new().await;
    let done = host.call("big_outcome", json!({ "bytes": 4 << 20 })).await.unwrap();
    assert_eq!(said(&done).len(), 4 << 20);
    let error = host.call("big_outcome", json!({ "bytes": (4 << 20) + 1 })).await.unwrap_err();
    assert_eq!(error.kind(), "too-large", "{error}");
    assert!(error.to_string().contains("4194305"), "{error}");
    assert!(error.hint().contains("limits.output-kib"), "{}", error.hint());
    let error = host.call("big_outcome", json!({ "bytes": 20 << 20 })).await.unwrap_err();
    assert!(["too-large", "hostcall-too-large"].contains(&error.kind()), "{error:?}");
    host.still_works().await;
}

#[tokio::test]
async fn there_is_nothing_around_a_guest() {
    let host = TestHost::new().await;
    let paths = ["/", "/etc/passwd", ".", "..", "/proc/self/environ", "Cargo.toml", "/tmp/x"];
    let done = host.call("surroundings", json!({ "paths": paths })).await.unwrap();
    let nothing = json!({ "environment": [], "arguments": [], "reached": [], "input": 0 });
    assert_eq!(done.outcome.structured, Some(nothing));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let time: u64 = said(&host.call("time", json!({})).await.unwrap()).parse().unwrap();
    assert!(time.abs_diff(now) < 60);
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..5 {
        numbers.insert(said(&host.call("random", json!({})).await.unwrap()));
    }
    assert_eq!(numbers.len(), 5, "random numbers differ");
}

#[tokio::test]
async fn panics_and_failures_are_told_apart() {
    let host = TestHost::new().await;
    let error = host.call("panics", json!({ "message": "on purpose" })).await.unwrap_err();
    assert_eq!(error.kind(), "trap", "{error}");
    for (kind, message) in [("failed", "It did not work."), ("invalid-input", "Too odd."), ("unavailable", "Later.")] {
        let input = json!({ "kind": kind, "message": message, "hint": "Do it better." });
        let error = host.call("fail", input).await.unwrap_err();
        let told = (error.kind(), error.to_string(), error.hint());
        assert_eq!(told, (kind, message.to_owned(), "Do it better.".to_owned()));
    }
    let error = host.call("bad_output", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), "invalid-output", "{error}");
    assert!(error.to_string().contains("`bad_output`") && error.to_string().contains("/count"), "{error}");
    host.still_works().await;
}

#[tokio::test]
async fn no_variable_survives_a_call() {
    let host = TestHost::new().await;
    let module = "(global $calls (mut i32) (i32.const 0))";
    // Traps when it finds that it was called before.
    let body = "(if (global.get $calls) (then unreachable)) (global.set $calls (i32.const 1)) (i32.const 128)";
    let path = host.home.write("counter.wasm", wat::skill(body, module, ""));
    let skill = host.host.load_file(&path, None, None).await.unwrap();
    for _ in 0..3 {
        host.host.invoke(call(&skill, "act", json!({}))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spinning_guests_do_not_starve_the_others() {
    let host = TestHost::new().await;
    let cancel = CancellationToken::new();
    let spinning: Vec<_> = (0..16)
        .map(|_| {
            let call = ringfence_core::Call { cancel: cancel.clone(), ..call(&host.probe, "spin", json!({})) };
            let host = host.host.clone();
            tokio::spawn(async move { host.invoke(call).await })
        })
        .collect();
    let mut times = Vec::new();
    for n in 0..100 {
        let begun = Instant::now();
        let done = host.call("echo", json!({ "text": n.to_string() })).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(said(&done), n.to_string());
    }
    times.sort();
    // The bench measures; this only sees that nobody starves.
    assert!(times[98] < Duration::from_secs(1), "{:?}", times[98]);
    cancel.cancel();
    for spinner in spinning {
        let error = tokio::time::timeout(Duration::from_secs(20), spinner).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), "cancelled");
    }
    host.still_works().await;
}

#[tokio::test]
async fn runs_are_recorded_however_they_end() {
    let host = TestHost::new().await;
    host.call("echo", json!({ "text": "x" })).await.unwrap();
    host.call("panics", json!({ "message": "x" })).await.unwrap_err();
    host.limited("spin", json!({}), seconds(1)).await.unwrap_err();
    let TestHost { host, home, .. } = host;
    host.close().await.unwrap();
    // Read by the next host: they are on disk.
    let next = loop {
        match open(&home, "").await {
            Ok(host) => break host,
            Err(error) => assert_eq!(error.kind(), "state-in-use"),
        }
    };
    let runs = next.runs(10).await.unwrap();
    let kinds: Vec<_> = runs.iter().map(|run| format!("{run:?}")).collect();
    assert_eq!(kinds.len(), 3);
    for (run, kind) in kinds.iter().zip(["deadline", "trap", "ok"]) {
        assert!(run.contains(&format!("\"{kind}\"")), "{kind}: {run}");
    }
}
