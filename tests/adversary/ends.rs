//! Calls that wait, break off, are dropped or come back too late.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use ringfence_core::engine::LimitSettings;
use ringfence_core::journal::audit::{Event, Filter, Record};
use ringfence_core::{Call, Error, Finished, Grants, Person, Question, SkillRef};
use serde_json::{Value, json};

use crate::calls::{chosen, outcome};
use crate::ground::{Ground, kind, text};
use crate::support::hosts::{said, stored};
use crate::support::people::Patient;
use crate::support::{call, repository, wat};

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
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(outcomes.iter().all(|one| ["ok", "timeout", "unknown"].contains(&one.kind.as_str())), "{outcomes:?}");
    ground.survived(None, "").await;
}
