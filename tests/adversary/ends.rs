//! Calls that wait, break off, are dropped or come back too late.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use ringfence_core::engine::LimitSettings;
use ringfence_core::journal::audit::{Event, Filter, Record};
use ringfence_core::{Call, Error, Finished, Grants, Person, Question, SkillRef};
use serde_json::{Value, json};

use crate::calls::{chosen, outcome};
use crate::ground::{Ground, kind, text};
use crate::support::hosts::{said, stored};
use crate::support::people::Patient;
use crate::support::{call, guests, repository, wat};

fn second() -> LimitSettings {
    LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() }
}

async fn recorded(ground: &Ground, skill: &SkillRef, event: Event) -> Vec<Record> {
    let wanted = Filter { skill: Some(skill.identity().to_owned()), event: Some(event), ..Filter::default() };
    ground.host.host.audit().list(wanted, 10_000).await.unwrap()
}

/// Invocation and number of the act of each record, in order.
fn keys(records: &[Record]) -> Vec<(String, u64)> {
    let mut keys: Vec<_> = records.iter().map(|record| (record.invocation.clone(), record.act)).collect();
    keys.sort();
    keys
}

/// Every intent of the skill has its one outcome. Those of calls that nobody waits for any more come a moment later.
async fn settled(ground: &Ground, skill: &SkillRef) -> Vec<Record> {
    let mut patience = 500;
    loop {
        let intents = keys(&recorded(ground, skill, Event::Intent).await);
        let outcomes = recorded(ground, skill, Event::Outcome).await;
        if !intents.is_empty() && intents == keys(&outcomes) {
            return outcomes;
        }
        patience -= 1;
        assert!(patience > 0, "{} intents, {} outcomes", intents.len(), outcomes.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t27_more_than_there_is_room_for_waits_and_then_is_busy() {
    let ground = Ground::with("[engine]\nconcurrent = 2\n").await;
    let host = &ground.host.host;
    let a = ground.host.install("a", "[permissions.user]\n", &["user"]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (person, mut desk) = Patient::new();
        let call = Call { person: Some(person), ..stored(&a, "question", json!({ "text": "Who?" })) };
        let running = tokio::spawn({
            let host = host.clone();
            async move { host.invoke(call).await }
        });
        desk.asked.recv().await.unwrap();
        held.push((running, desk));
    }
    let late = Call { limits: second(), ..call(&ground.host.probe, "echo", json!({ "text": "x" })) };
    assert_eq!(kind(outcome(&ground, late).await), "busy");
    for (running, desk) in held {
        desk.answers.send(json!("Ada")).unwrap();
        assert_eq!(text(running.await.unwrap()), "\"Ada\"");
    }
    // Many that want all the memory there is come in turn, two at a time, and each gets its own.
    let many: Vec<_> = (0..16)
        .map(|_| {
            let (host, attack) = (host.clone(), call(&ground.host.probe, "grow", json!({ "crash": false })));
            tokio::spawn(async move { host.invoke(attack).await })
        })
        .collect();
    for one in many {
        let done = one.await.unwrap().unwrap();
        assert!(said(&done).parse::<u64>().is_ok_and(|mib| (40..64).contains(&mib)), "{done:?}");
    }
    ground.survived(None, "").await;
}

/// More come than can run and than may wait: those are told at once, and nothing is done for them. Who was let in is served, and
/// may call others.
#[tokio::test(flavor = "multi_thread")]
async fn t27_a_full_line_is_told_at_once_and_nothing_is_done_for_it() {
    let ground = Ground::with("[engine]\nconcurrent = 1\nqueue = 1\n").await;
    let host = &ground.host.host;
    let a = ground.host.install("a", "[permissions.user]\n[permissions.tools]\ntools = [\"b/*\"]\n", &["user"]).await;
    ground.host.install("b", "", &[]).await;
    host.grant("a", Grants::parse(["tools=b/*"]).unwrap()).await.unwrap();
    let (person, mut desk) = Patient::new();
    let first = Call { person: Some(person), ..stored(&a, "question", json!({ "text": "Who?" })) };
    let relay = stored(&a, "relay", json!({ "name": "b/echo", "input": { "text": "deep" } }));
    let start = |call: Call| {
        let host = host.clone();
        tokio::spawn(async move { host.invoke(call).await })
    };
    let first = start(first);
    desk.asked.recv().await.unwrap();
    let second = start(relay);
    while host.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let error = host.invoke(call(&ground.host.probe, "echo", json!({ "text": "x" }))).await.unwrap_err();
        assert_eq!(error.kind(), "busy");
        assert!(error.to_string().contains("1 calls run and 1 wait"), "{error}");
        assert!(error.hint().contains("`engine.queue`"), "{}", error.hint());
    }
    assert_eq!((host.running(), host.waiting()), (1, 1));
    desk.answers.send(json!("Ada")).unwrap();
    assert_eq!(text(first.await.unwrap()), "\"Ada\"");
    assert_eq!(text(second.await.unwrap()), "deep");
    assert_eq!((host.running(), host.waiting()), (0, 0));
    let of_the_probe = host.runs(1_000).await.unwrap().into_iter().filter(|run| run.skill != "a" && run.skill != "b");
    assert!(of_the_probe.into_iter().all(|run| run.kind != "busy"), "what was not let in is no run");
    ground.survived(None, "").await;
}

/// Somebody whose face has a bug: asking unwinds. Without the hook of panics, which counts for the whole process.
#[derive(Debug)]
struct Breaks;

impl Person for Breaks {
    fn ask(&self, _: Question) -> BoxFuture<'_, Option<Value>> {
        Box::pin(std::future::poll_fn(|_| -> Poll<Option<Value>> {
            std::panic::resume_unwind(Box::new("a bug of a face's"))
        }))
    }
}

/// What a backend breaks is a refusal of that one act. A panic in a host function itself ends its guest alone, with
/// `host-fault`: `a_panic_ends_one_guest_and_no_other` holds that where the guest is polled.
#[tokio::test(flavor = "multi_thread")]
async fn t41_a_panic_stays_in_its_call() {
    let ground = Ground::new().await;
    let a = ground.host.install("a", "[permissions.user]\n", &["user"]).await;
    for _ in 0..3 {
        let call = Call { person: Some(Arc::new(Breaks)), ..stored(&a, "question", json!({ "text": "Who?" })) };
        let error = outcome(&ground, call).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{error}");
        assert!(error.to_string().contains("the host failed inside of this call"), "{error}");
    }
    assert!(settled(&ground, &a).await.iter().all(|record| record.kind == "unavailable"));
    // None of this would hold in a build that aborts.
    #[cfg(not(panic = "unwind"))]
    compile_error!("panics of the host would end the whole process");
    let manifest: toml::Table = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap().parse().unwrap();
    for (name, profile) in manifest["profile"].as_table().unwrap() {
        assert!(profile.get("panic").is_none_or(|panic| panic.as_str() == Some("unwind")), "profile {name}");
    }
    ground.survived(None, "").await;
}

/// Polls a call so many times and then drops it, wherever it stands.
async fn dropped_after(polls: usize, call: impl Future<Output = Result<Finished, Error>>) {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        if std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// As [`dropped_after`], but polls only when the call has gone on: how far it gets does not depend on how fast the machine is.
async fn dropped_after_steps(steps: usize, call: impl Future<Output = Result<Finished, Error>>) {
    let mut call = std::pin::pin!(call);
    let mut left = steps;
    std::future::poll_fn(|cx| {
        left = match left.checked_sub(1) {
            Some(left) => left,
            None => return Poll::Ready(()),
        };
        match call.as_mut().poll(cx) {
            Poll::Pending if left > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t42_calls_that_are_dropped_in_the_middle() {
    let ground = Ground::new().await;
    let host = &ground.host.host;
    let a = ground.host.install("a", "[permissions.user]\n", &["user"]).await;
    let b = ground.host.install("b", "[permissions.kv]\n", &["kv"]).await;
    // At every point where a call may wait, and with every kind of wait.
    let put = |key: String| stored(&b, "put", json!({ "key": key, "value": "x" }));
    let generate = || call(&ground.host.probe, "generate", json!({ "prompt": "Bees hum." }));
    for steps in 0..50 {
        dropped_after_steps(steps, host.invoke(put(format!("s{steps}")))).await;
        dropped_after_steps(steps, host.invoke(generate())).await;
    }
    // And at any moment between them.
    for polls in 0..150 {
        dropped_after(polls, host.invoke(put(format!("k{polls}")))).await;
        dropped_after(polls, host.invoke(generate())).await;
        dropped_after(polls, host.invoke(call(&ground.host.probe, "spin", json!({})))).await;
    }
    // Surely in the middle of an act, by dropping and by cancelling.
    for cancelled in [false, true] {
        for _ in 0..20 {
            let (person, mut desk) = Patient::new();
            let call = Call { person: Some(person), ..stored(&a, "question", json!({ "text": "Who?" })) };
            let cancel = call.cancel.clone();
            let mut running = Box::pin(host.invoke(call));
            tokio::select! {
                done = &mut running => panic!("nobody answered: {done:?}"),
                asked = desk.asked.recv() => assert!(asked.is_some()),
            }
            if cancelled {
                cancel.cancel();
                assert_eq!(running.await.unwrap_err().kind(), "cancelled");
            }
        }
    }
    ground.survived(None, "").await;
    // Also an act that was dropped while its intent was being written has an outcome, and every call an end.
    settled(&ground, &b).await;
    let runs = host.runs(1_000).await.unwrap();
    assert!(runs.iter().all(|run| run.kind != "running"), "{runs:?}");
    assert!(runs.iter().filter(|run| run.kind == "cancelled").count() >= 40, "{runs:?}");
    let outcomes = settled(&ground, &a).await;
    let of = |kinds: &[&str]| outcomes.iter().filter(|record| kinds.contains(&record.kind.as_str())).count();
    assert!(of(&["unknown", "cancelled"]) >= 40, "{outcomes:?}");
    assert_eq!(of(&["unknown", "cancelled", "ok"]), outcomes.len(), "{outcomes:?}");
}

/// A guest that burns is in the middle of a poll when its caller's runtime goes, and must find nothing of that one afterwards.
#[test]
fn a_caller_that_goes_with_its_runtime_leaves_no_panic_behind() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for _ in 0..10 {
        let gone = runtime();
        gone.block_on(async {
            let ground = Ground::new().await;
            let host = ground.host.host.clone();
            let spin = call(&ground.host.probe, "spin", json!({}));
            tokio::spawn(async move { host.invoke(spin).await });
            while ground.host.host.running() == 0 {
                tokio::task::yield_now().await;
            }
            // Long enough for it to burn.
            ground.host.still_works().await;
        });
        drop(gone);
    }
    runtime().block_on(async { Ground::new().await.survived(None, "").await });
}

/// Each invocation has a store of its own, and one that trapped leaves nothing to the next.
#[tokio::test(flavor = "multi_thread")]
async fn t43_nothing_is_called_again_after_a_trap() {
    let ground = Ground::new().await;
    let module = "(global $been (mut i32) (i32.const 0))";
    let look = "(if (i32.or (global.get $been) (i32.load (i32.const 3072))) (then (br $dirty)))";
    // Goes there where somebody has been here before: the address is outside of memory, which is another trap.
    let body = format!(
        "(block $clean (result i32)
            (block $dirty {look}
                (global.set $been (i32.const 1)) (i32.store (i32.const 3072) (i32.const 1))
                (if (i32.eq (local.get 3) (i32.const 3)) (then unreachable))
                (br $clean (i32.const 128)))
            (i32.const 0x7ffffff0))"
    );
    let skill = ground.load(&wat::skill(&body, module, "")).await.unwrap();
    for _ in 0..20 {
        let error = outcome(&ground, chosen(&skill, 1)).await.unwrap_err();
        assert!(error.kind() == "trap" && error.to_string().contains("unreachable"), "{error}");
        outcome(&ground, chosen(&skill, 0)).await.unwrap();
    }
    ground.survived(None, "").await;
}

/// Somebody who holds up the thread on which they are asked.
#[derive(Debug)]
struct Blocks(Duration);

impl Person for Blocks {
    fn ask(&self, _: Question) -> BoxFuture<'_, Option<Value>> {
        let time = self.0;
        Box::pin(async move {
            std::thread::sleep(time);
            Some(json!("late"))
        })
    }
}

/// On one thread, where nobody can look at the clock before the host call has come back with its answer.
#[tokio::test]
async fn t45a_what_comes_back_after_the_deadline_is_no_outcome() {
    let ground = Ground::new().await;
    let a = ground.host.install("a", "[permissions.user]\n", &["user"]).await;
    let asked = |limits: LimitSettings, time: Duration| Call {
        limits,
        person: Some(Arc::new(Blocks(time))),
        ..stored(&a, "question", json!({ "text": "Who?" }))
    };
    let begun = Instant::now();
    let done = outcome(&ground, asked(second(), Duration::from_millis(2_500))).await;
    assert_eq!(kind(done), "deadline");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // In time it is one.
    assert_eq!(text(outcome(&ground, asked(LimitSettings::default(), Duration::ZERO)).await), "\"late\"");
    let outcomes = settled(&ground, &a).await;
    let runs = ground.host.host.runs(10).await.unwrap();
    // What is on record of the question of the run that ended so.
    let of = |kind: &str| {
        let run = runs.iter().find(|run| run.kind == kind && run.skill == a.identity()).unwrap();
        outcomes.iter().find(|one| one.invocation == run.invocation).map(|one| one.kind.as_str()).unwrap()
    };
    assert_eq!(of("ok"), "ok");
    // The other call is over whatever came of its question. On record is what the guest's thread knew of that by then: it may be the one that
    // was held up, which is told the answer, or one of its own, which has stopped waiting or is gone.
    assert!(["ok", "timeout", "unknown"].contains(&of("deadline")), "{outcomes:?}");
    ground.survived(None, "").await;
}

/// Timers of WASI. `$for` and `$until` make one, `$either` waits for two of them, at 3200 and after it.
const TIMERS: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
        (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $pollable-is))
        (export "pollable" (type $pollable-here (eq $pollable-is)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable-here))))
        (export "subscribe-instant" (func (param "when" u64) (result (own $pollable-here))))))
    (alias export $poll "[method]pollable.block" (func $block))
    (alias export $poll "poll" (func $either))
    (alias export $clock "subscribe-duration" (func $for))
    (alias export $clock "subscribe-instant" (func $until))
    (core module $one-place (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 3216)))
    (core instance $one-place (instantiate $one-place))
    (core func $block-core (canon lower (func $block)))
    (core func $either-core
        (canon lower (func $either) (memory (core memory $libc "memory")) (realloc (core func $one-place "realloc"))))
    (core func $for-core (canon lower (func $for)))
    (core func $until-core (canon lower (func $until)))
    (core func $drop-core (canon resource.drop $pollable))
"#;
const TIMERS_IN: &str = r#"
    (import "host" "block" (func $block (param i32)))
    (import "host" "either" (func $either-of (param i32 i32 i32)))
    (import "host" "for" (func $for (param i64) (result i32)))
    (import "host" "until" (func $until (param i64) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func $either (param i32 i32)
        (i32.store (i32.const 3200) (local.get 0)) (i32.store (i32.const 3204) (local.get 1))
        (call $either-of (i32.const 3200) (i32.const 2) (i32.const 3208)))
"#;
const TIMERS_GIVEN: &str = r#"(with "host" (instance (export "block" (func $block-core)) (export "either" (func $either-core))
    (export "for" (func $for-core)) (export "until" (func $until-core)) (export "drop" (func $drop-core))))"#;

/// Loads a guest that has timers and does `body`.
async fn sleeper(ground: &Ground, body: &str) -> SkillRef {
    ground.load(&wat::asking(&format!("{body} (i32.const 128)"), TIMERS_IN, TIMERS, TIMERS_GIVEN)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t44_sleeps_without_end_last_until_the_deadline() {
    for (what, body) in [
        ("as long as can be said", "(call $block (call $for (i64.const -1)))"),
        ("half of that", "(call $block (call $for (i64.const 0x7fffffffffffffff)))"),
        ("until the end of time", "(call $block (call $until (i64.const -1)))"),
        ("for the first of two", "(call $either (call $for (i64.const -1)) (call $until (i64.const -1)))"),
        (
            "over and over",
            "(loop (local.set 0 (call $for (i64.const 1000000))) (call $block (local.get 0)) (call $drop (local.get 0)) (br 0))",
        ),
    ] {
        let ground = Ground::new().await;
        let skill = sleeper(&ground, body).await;
        let begun = Instant::now();
        let done = ground.beside_echoes(Call { limits: second(), ..call(&skill, "act", json!({})) }).await;
        assert_eq!(kind(done), "deadline", "{what}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
        ground.survived(Some(&skill), "deadline").await;
    }
    // The clocks of WASI 0.3 sleep in another way, which is not served.
    let ground = Ground::new().await;
    let later = "(import \"wasi:clocks/monotonic-clock@0.3.0\" (instance (export \"wait-for\" (func (param \"how-long\" u64)))))";
    let error = ground.load(&wat::skill("(i32.const 128)", "", later)).await.err().unwrap();
    assert_eq!(error.kind(), "unsupported-import", "{error}");
}

/// Ways to sleep for no time at all.
const NO_SLEEPS: [(&str, &str); 5] = [
    (
        "a sleep of nothing",
        "(local.set 0 (call $for (i64.const 0))) (call $block (local.get 0)) (call $drop (local.get 0))",
    ),
    (
        "until what was",
        "(local.set 0 (call $until (i64.const 0))) (call $block (local.get 0)) (call $drop (local.get 0))",
    ),
    (
        "what was, or never",
        "(local.set 0 (call $for (i64.const 0))) (local.set 1 (call $for (i64.const -1)))
         (call $either (local.get 0) (local.get 1)) (call $drop (local.get 0)) (call $drop (local.get 1))",
    ),
    (
        "the same one again",
        "(if (i32.eqz (local.get 4)) (then (local.set 4 (call $for (i64.const 0))))) (call $block (local.get 4))",
    ),
    ("a nanosecond", "(local.set 0 (call $for (i64.const 1))) (call $block (local.get 0)) (call $drop (local.get 0))"),
];

/// Whoever sleeps for nothing gives its turn away and takes it again. That is work like any other: it is interrupted, and paid for.
#[tokio::test(flavor = "multi_thread")]
async fn t44_sleeps_of_nothing_hold_nobody_up_and_end() {
    for (what, sleep) in NO_SLEEPS {
        let ground = Ground::new().await;
        let host = &ground.host.host;
        let skill = sleeper(&ground, &format!("(local.set 4 (i32.const 0)) (loop {sleep} (br 0))")).await;
        // As long as it takes: nothing ends them but those who called.
        let attacks: Vec<_> = (0..8)
            .map(|_| {
                let (host, attack) = (host.clone(), call(&skill, "act", json!({})));
                let cancel = attack.cancel.clone();
                (cancel, tokio::spawn(async move { host.invoke(attack).await }))
            })
            .collect();
        while host.running() < attacks.len() {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            ground.host.still_works().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(host.running(), attacks.len(), "{what}: others were served because these had ended");
        for (cancel, attack) in attacks {
            cancel.cancel();
            assert_eq!(kind(attack.await.unwrap()), "cancelled", "{what}");
        }
        let done = ground.beside_echoes(Call { limits: second(), ..call(&skill, "act", json!({})) }).await;
        assert_eq!(kind(done), "deadline", "{what}");
        ground.survived(None, "").await;
    }
    // A great many are none too many.
    let ground = Ground::new().await;
    let sleeps: String = NO_SLEEPS[..3].iter().map(|(_, sleep)| *sleep).collect();
    let body = format!(
        "(local.set 4 (i32.const 0))
         (loop {sleeps} (local.set 4 (i32.add (local.get 4) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 4) (i32.const 20000))))"
    );
    let skill = sleeper(&ground, &body).await;
    ground.beside_echoes(call(&skill, "act", json!({}))).await.unwrap();
    ground.survived(Some(&skill), "ok").await;
}

/// Files' times, as a guest sets them.
const TIMES: &str = r#"
    (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
        (type $datetime-is (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "datetime" (type $datetime (eq $datetime-is)))))
    (alias export $wall "datetime" (type $datetime))
    (import "wasi:filesystem/types@0.2.0" (instance $types
        (export "descriptor" (type $descriptor (sub resource)))
        (alias outer 1 $datetime (type $datetime-is))
        (export "datetime" (type $datetime-here (eq $datetime-is)))
        (type $new-is (variant (case "no-change") (case "now") (case "timestamp" $datetime-here)))
        (export "new-timestamp" (type $new (eq $new-is)))
        (type $flags-is (flags "symlink-follow"))
        (export "path-flags" (type $flags (eq $flags-is)))
        (type $error-is (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
            "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
            "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
            "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
            "text-file-busy" "cross-device"))
        (export "error-code" (type $error (eq $error-is)))
        (export "[method]descriptor.set-times-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $flags)
            (param "path" string) (param "data-access-timestamp" $new) (param "data-modification-timestamp" $new)
            (result (result (error $error)))))))
    (alias export $types "descriptor" (type $descriptor))
    (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
        (alias outer 1 $descriptor (type $descriptor-is))
        (export "descriptor" (type $descriptor-here (eq $descriptor-is)))
        (export "get-directories" (func (result (list (tuple (own $descriptor-here) string)))))))
    (alias export $types "[method]descriptor.set-times-at" (func $set))
    (alias export $preopens "get-directories" (func $folders))
    (core func $set-core (canon lower (func $set) (memory (core memory $libc "memory"))))
    (core func $folders-core
        (canon lower (func $folders) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;
const TIMES_GIVEN: &str =
    r#"(with "host" (instance (export "set" (func $set-core)) (export "folders" (func $folders-core))))"#;
/// The error of a time that cannot be said, as it stands in memory behind the 1 of an error.
const OVERFLOW: u32 = 30 << 8 | 1;

/// A guest counts seconds from 1970 without a sign: what was before that is a number that no clock reaches.
#[tokio::test(flavor = "multi_thread")]
async fn t44_times_that_no_clock_shows() {
    let ground = Ground::new().await;
    let file = ground.host.home.write("out/a.txt", "inside");
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(86_400);
    let module = r#"
        (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32 i32 i64 i32 i32)))
        (import "host" "folders" (func $folders (param i32)))
        (data (i32.const 3300) "a.txt")
    "#;
    let manifest = json!({
        "name": "times", "version": "1.0.0", "description": "Sets times.",
        "permissions": { "files": { "folders": { "out": { "mode": "write", "reason": "To set times." } } } },
    });
    let grants = || Grants::parse([format!("files=out:{}:write", file.parent().unwrap().display()).as_str()]).unwrap();
    for (seconds, nanos, expected) in [
        (0_u64, 0_u32, 0),
        (1 << 33, 999_999_999, 0),
        // More nanoseconds than a second has are seconds.
        (1, u32::MAX, 0),
        // One second before 1970, as a guest says it that takes a second from nothing.
        (u64::MAX, 0, OVERFLOW),
        (u64::MAX, u32::MAX, OVERFLOW),
        (1 << 63, 0, OVERFLOW),
        (i64::MAX as u64, u32::MAX, OVERFLOW),
    ] {
        let mask = if expected == 0 { 0xff } else { 0xffff };
        let time = format!("(i32.const 2) (i64.const {seconds}) (i32.const {nanos})");
        let body = format!(
            "(call $folders (i32.const 3072))
             (call $set (i32.load (i32.load (i32.const 3072))) (i32.const 1) (i32.const 3300) (i32.const 5) {time} {time}
                (i32.const 3080))
             (if (i32.ne (i32.and (i32.load (i32.const 3080)) (i32.const {mask})) (i32.const {expected})) (then unreachable))
             (i32.const 128)"
        );
        let skill =
            ground.load(&wat::packaged(wat::asking(&body, module, TIMES, TIMES_GIVEN), &manifest)).await.unwrap();
        let file_system = Call { allow: grants(), ..call(&skill, "act", json!({})) };
        let done = ground.host.host.invoke(file_system).await;
        assert!(done.is_ok(), "{seconds} s {nanos} ns: {done:?}");
    }
    // What lies there from before 1970 is looked at like anything else.
    let files = ground.host.host.load_file(&files_probe(&ground).await, None, None).await.unwrap();
    for time in [before_1970, SystemTime::UNIX_EPOCH - Duration::from_nanos(1), SystemTime::UNIX_EPOCH] {
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let look = Call { allow: grants(), ..call(&files, "fs_size", json!({ "path": "/out/a.txt" })) };
        assert_eq!(text(ground.host.host.invoke(look).await), "6", "{time:?}");
    }
    ground.survived(None, "").await;
}

/// The probe of files, as a file of this home.
async fn files_probe(ground: &Ground) -> PathBuf {
    let component = tokio::task::spawn_blocking(|| guests::build("tests/probes/files")).await.unwrap();
    ground.host.home.write("files.wasm", std::fs::read(component).unwrap())
}

/// A pipe that nobody writes to. Whoever opened it all the same, and waits, is let go with it.
struct Pipe(PathBuf);

impl Pipe {
    fn new(path: PathBuf) -> Self {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        Self(path)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(std::fs::File::options().read(true).write(true).open(&self.0));
    }
}

/// More guests open a pipe than the host has threads for work that waits, and each of them many times. None is held, and a file beside it is
/// read as before.
#[tokio::test(flavor = "multi_thread")]
async fn t45_pipes_hold_no_guest_and_no_thread() {
    const GUESTS: usize = 50;

    let ground = Ground::new().await;
    let host = &ground.host.host;
    ground.host.home.write("docs/a.txt", "inside");
    let pipe = Pipe::new(ground.host.home.path("docs/pipe"));
    let skill = host.load_file(&files_probe(&ground).await, None, None).await.unwrap();
    let allow = Grants::parse([format!("files=docs:{}", pipe.0.parent().unwrap().display()).as_str()]).unwrap();
    let reads = |path: &str, limits: LimitSettings| {
        let input = json!({ "path": path, "expected": "inside", "times": 20 });
        Call { allow: allow.clone(), limits, ..call(&skill, "fs_race", input) }
    };
    for _ in 0..2 {
        let attacks: Vec<_> = (0..GUESTS)
            .map(|_| {
                let (host, attack) = (host.clone(), reads("/docs/pipe", LimitSettings::default()));
                tokio::spawn(async move { host.invoke(attack).await })
            })
            .collect();
        for _ in 0..20 {
            ground.host.still_works().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for attack in attacks {
            assert_eq!(text(attack.await.unwrap()), "0 20");
        }
        assert_eq!(text(host.invoke(reads("/docs/a.txt", LimitSettings::default())).await), "20 0");
    }
    // Who goes on with it ends at its deadline.
    let for_ever = json!({ "path": "/docs/pipe", "expected": "inside", "times": u32::MAX });
    let attack = Call { allow: allow.clone(), limits: second(), ..call(&skill, "fs_race", for_ever) };
    assert_eq!(kind(ground.beside_echoes(attack).await), "deadline");
    ground.survived(None, "").await;
}

/// A disk that does not answer, as far as the state is concerned: another program has its file, and every write waits. A guest that writes waits
/// until its deadline, on nobody's thread; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn t45_writes_that_wait_hold_up_only_those_that_asked_for_them() {
    const GUESTS: usize = 40;
    /// How often it is tried to see somebody else go on while all of them wait: a busy machine may need longer than they have.
    const ROUNDS: usize = 10;

    let ground = Ground::new().await;
    let host = &ground.host.host;
    let b = ground.host.install("b", "[permissions.kv]\n", &["kv"]).await;
    let put = |limits: LimitSettings| Call { limits, ..stored(&b, "put", json!({ "key": "k", "value": "x" })) };
    outcome(&ground, put(LimitSettings::default())).await.unwrap();
    let state = ground.host.home.state().join("state.db");
    let mut seen = false;
    for _ in 0..ROUNDS {
        let other = rusqlite::Connection::open(&state).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting: Vec<_> = (0..GUESTS)
            .map(|_| {
                let (host, put) = (host.clone(), put(second()));
                tokio::spawn(async move { host.invoke(put).await })
            })
            .collect();
        while host.running() < GUESTS && waiting.iter().any(|one| !one.is_finished()) {
            tokio::task::yield_now().await;
        }
        ground.host.still_works().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        seen |= host.running() == GUESTS;
        for one in waiting {
            assert_eq!(kind(one.await.unwrap()), "deadline");
        }
        other.execute_batch("ROLLBACK").unwrap();
        outcome(&ground, put(LimitSettings::default())).await.unwrap();
        if seen {
            break;
        }
    }
    assert!(seen, "nobody else was served before those who wait had ended");
    ground.survived(None, "").await;
}
