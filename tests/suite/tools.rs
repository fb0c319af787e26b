//! Skills that call tools of others: what they may, on whose budget, and what is on record afterwards.

use std::time::{Duration, Instant};

use ringfence_core::engine::LimitSettings;
use ringfence_core::journal::Record;
use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::{Call, SkillRef};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::TestHost;
use crate::support::hosts::{said, stored};
use crate::support::people::Script;

const CALLS_B: &str = "[permissions.tools]\ntools = [\"b/*\"]\n[permissions.kv]\n";
const KEEPS: &str = "[permissions.kv]\n";

/// A host with a skill `b`, and a skill `a` that may call its tools.
async fn two(settings: &str) -> (TestHost, SkillRef) {
    let host = TestHost::with(settings).await;
    host.install("b", KEEPS, &["kv"]).await;
    // By name what is called again and again: a pattern names no destination once private data was read.
    let a = host.install("a", CALLS_B, &["tools=b/*,b/count", "kv"]).await;
    (host, a)
}

fn to(name: &str, input: Value) -> Value {
    json!({ "name": name, "input": input })
}

/// The newest runs, newest first, once all of them have ended and are on disk.
async fn ended(host: &TestHost, count: u32) -> Vec<Record> {
    for _ in 0..2_000 {
        // Waits for what is on its way to the disk.
        host.host.audit().verify().await.unwrap();
        let runs = host.host.runs(count).await.unwrap();
        if runs.iter().all(|run| run.kind != "running") {
            return runs;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("a run does not end");
}

/// What a call of `attempt` says.
async fn attempt(host: &TestHost, skill: &SkillRef, name: &str, input: Value) -> String {
    said(&host.stored(skill, "attempt", to(name, input)).await.unwrap())
}

#[tokio::test]
async fn a_tool_of_another_skill_needs_a_request_and_a_grant() {
    let host = TestHost::new().await;
    host.install("b", "", &[]).await;
    let echo = || to("b/echo", json!({ "text": "hello" }));

    let asks_for_nothing = host.install("n", "", &["tools=b/*"]).await;
    let error = host.stored(&asks_for_nothing, "relay", echo()).await.unwrap_err();
    assert_eq!(error.kind(), "refused", "what is not requested is not granted: {error}");

    let a = host.install("a", CALLS_B, &[]).await;
    let error = host.stored(&a, "relay", echo()).await.unwrap_err();
    assert_eq!(error.kind(), "refused");
    assert!(error.to_string().contains("`tools b/echo`"), "{error}");
    assert_eq!(error.hint(), "run `ringfence grant a tools=b/echo` to allow it");
    assert_eq!(said(&host.stored(&a, "callable", json!({})).await.unwrap()), "");

    let allow = ringfence_core::Grants::parse(["tools=b/echo"]).unwrap();
    let done = host.host.invoke(Call { allow, ..stored(&a, "relay", echo()) }).await.unwrap();
    assert_eq!(said(&done), "hello", "allowed for this call");

    host.host.grant("a", ringfence_core::Grants::parse(["tools=b/echo"]).unwrap()).await.unwrap();
    assert_eq!(said(&host.stored(&a, "relay", echo()).await.unwrap()), "hello");
    assert_eq!(said(&host.stored(&a, "callable", json!({})).await.unwrap()), "b/echo");
    // The grant was for one tool.
    assert!(attempt(&host, &a, "b/typed", json!({ "text": "x", "count": 1 })).await.contains("Denied"));
    host.host.revoke("a", Some("tools")).await.unwrap();
    assert_eq!(host.stored(&a, "relay", echo()).await.unwrap_err().kind(), "refused");
    host.still_works().await;
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_by_name() {
    let (host, a) = two("").await;
    for (name, input, words) in [
        ("b/nothing", json!({}), "Invalid(\"the skill `b` has no tool `nothing`"),
        ("b/echo", json!({}), "Invalid(\"`b/echo`: the input is not right"),
        ("echo", json!({}), "Invalid("),
        ("b/../echo", json!({}), "Invalid("),
        ("c/echo", json!({}), "Denied("),
    ] {
        let said = attempt(&host, &a, name, input).await;
        assert!(said.starts_with("refusal: ") && said.contains(words), "{name}: {said}");
    }
    host.host.grant("a", ringfence_core::Grants::parse(["tools=b/*,gone/x"]).unwrap()).await.unwrap();
    let wants_gone = host.install("w", "[permissions.tools]\ntools = [\"gone/x\"]\n", &["tools=gone/x"]).await;
    let said = attempt(&host, &wants_gone, "gone/x", json!({})).await;
    assert!(said.contains("Unavailable(\"no skill named `gone` is installed; install it"), "{said}");
    assert!(!said.contains("`a`"), "a skill does not learn what is installed: {said}");
    host.still_works().await;
}

#[tokio::test]
async fn failures_of_the_other_skill_are_values() {
    let (host, a) = two("").await;
    let said = attempt(&host, &a, "b/fail", json!({ "kind": "unavailable", "message": "no luck" })).await;
    assert_eq!(said, "failure: FailureKind::Unavailable: no luck");
    // Where the caller gives up on it, it is its own failure, with the words of the other.
    let input = json!({ "kind": "invalid-input", "message": "no luck", "hint": "try more" });
    let error = host.stored(&a, "relay", to("b/fail", input)).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), ("failed", "no luck"));
    assert_eq!(error.hint(), "try more");
    host.still_works().await;
}

#[tokio::test]
async fn what_is_spent_counts_for_the_one_who_began() {
    let (host, a) = two("").await;
    let done = host.stored(&a, "relay", to("b/count", json!({}))).await.unwrap();
    assert_eq!(said(&done), "1");
    // The call itself, and what the other did: a read and a write.
    assert_eq!(done.usage.host_calls, 3);
    let runs = ended(&host, 2).await;
    let (inner, outer) = (&runs[0], &runs[1]);
    assert_eq!((inner.skill.as_str(), inner.caller.as_str(), inner.usage.host_calls), ("b", "skill", 2));
    assert_eq!(inner.parent.as_deref(), Some(done.invocation.as_str()));
    assert_eq!((outer.skill.as_str(), outer.parent.as_deref()), ("a", None));

    // It is kept where the other keeps its own, and not with the caller's.
    assert_eq!(said(&host.stored(&a, "count", json!({})).await.unwrap()), "1");
    assert_eq!(said(&host.stored(&a, "relay", to("b/count", json!({}))).await.unwrap()), "2");
}

#[tokio::test]
async fn a_budget_holds_for_all_that_is_called() {
    let (host, a) = two("[skills.a.budget.invocation]\nhost-calls = 4\n").await;
    // Each needs three: itself, a read, a write.
    let done = host.stored(&a, "fan_out", json!({ "name": "b/count", "input": {}, "count": 1, "how": "wait" })).await;
    assert_eq!(said(&done.unwrap()), "1");
    let input = json!({ "name": "b/count", "input": {}, "count": 2, "how": "wait" });
    let said = said(&host.stored(&a, "fan_out", input).await.unwrap());
    assert!(said.contains("the invocation budget of 4 host-calls is used up"), "{said}");
    // The day of `b` is not what pays.
    let (host, a) =
        two("[skills.b.budget.skill-day]\nhost-calls = 1\n[skills.a.budget.skill-day]\nhost-calls = 4\n").await;
    assert!(host.stored(&a, "relay", to("b/count", json!({}))).await.is_ok());
    let error = host.stored(&a, "relay", to("b/count", json!({}))).await.unwrap_err();
    assert!(error.to_string().contains("skill-day budget of 4"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_inherited_and_never_later() {
    let (host, a) = two("[skills.c.limits]\nwall-seconds = 1\n").await;
    let limits = LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() };
    let begun = Instant::now();
    let call = Call { limits, ..stored(&a, "relay", to("b/spin", json!({}))) };
    let error = host.host.invoke(call).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1_250), "{:?}", begun.elapsed());
    host.still_works().await;

    // The other's own limit is its own failure, and the caller goes on.
    host.install("c", "", &[]).await;
    let d = host.install("d", "[permissions.tools]\ntools = [\"c/*\"]\n", &["tools=c/*"]).await;
    let said = attempt(&host, &d, "c/sleep", json!({ "ms": 60_000 })).await;
    assert!(said.starts_with("failure: FailureKind::Failed: `c/sleep`: the skill ran longer than its 1 s"), "{said}");
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_and_memory_are_what_is_left() {
    let (host, a) = two("").await;
    let limits = LimitSettings { cpu_seconds: Some(1), ..LimitSettings::default() };
    let begun = Instant::now();
    let input = json!({ "name": "b/spin", "input": {}, "count": 3, "how": "wait" });
    let done = host.host.invoke(Call { limits, ..stored(&a, "fan_out", input) }).await;
    // All of them together had one second of two processors; the caller then either tells of it or has none left itself.
    match done {
        Ok(done) => assert!(said(&done).contains("processor time"), "{done:?}"),
        Err(error) => assert!(error.to_string().contains("processor time"), "{error}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let alone: u64 = said(&host.stored(&a, "grow", json!({ "crash": false })).await.unwrap()).parse().unwrap();
    let limits = LimitSettings { memory_mib: Some(32), ..LimitSettings::default() };
    let nested = Call { limits, ..stored(&a, "relay", to("b/grow", json!({ "crash": false }))) };
    let nested: u64 = said(&host.host.invoke(nested).await.unwrap()).parse().unwrap();
    assert!(alone > 40 && (10..32).contains(&nested), "{alone} MiB alone, {nested} of 32 together with the caller");
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_started_run_at_once() {
    let (host, a) = two("").await;
    let begun = Instant::now();
    let input = json!({ "name": "b/sleep", "input": { "ms": 500 }, "count": 10, "how": "wait" });
    let done = host.stored(&a, "fan_out", input).await.unwrap();
    assert_eq!(said(&done).lines().count(), 10);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_ends_and_is_on_record() {
    let (host, a) = two("").await;
    for how in ["drop", "hold"] {
        let input = json!({ "name": "b/sleep", "input": { "ms": 60_000 }, "count": 3, "how": how });
        host.stored(&a, "fan_out", input).await.unwrap();
    }
    let runs = ended(&host, 8).await;
    let inner: Vec<_> = runs.iter().filter(|run| run.skill == "b").map(|run| run.kind.as_str()).collect();
    assert!(inner.iter().all(|kind| *kind == "cancelled"), "{inner:?}");
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_the_outermost_ends_all() {
    let (host, a) = two("").await;
    let cancel = CancellationToken::new();
    let call = Call { cancel: cancel.clone(), ..stored(&a, "relay", to("b/sleep", json!({ "ms": 60_000 }))) };
    let running = tokio::spawn({
        let host = host.host.clone();
        async move { host.invoke(call).await }
    });
    // Two slots: the other has begun.
    while host.host.running() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    let error = tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), "cancelled", "{error}");
    let runs = ended(&host, 2).await;
    assert!(runs.iter().all(|run| run.kind == "cancelled"), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hold_all_slots_do_not_wait_for_each_other() {
    let host = TestHost::with("[engine]\nconcurrent = 2\n").await;
    let names: Vec<String> = (0..9).map(|n| format!("s{n}")).collect();
    // What is called may do what its callers may: the first must hold all that the last needs.
    let all: Vec<String> = names.iter().map(|name| format!("{name}/*")).collect();
    let (permissions, grant) = (format!("[permissions.tools]\ntools = {all:?}\n"), format!("tools={}", all.join(",")));
    let mut skills = Vec::new();
    for name in &names {
        skills.push(host.install(name, &permissions, &[&grant]).await);
    }
    let deep = (1..9).rev().fold(json!({ "text": "deep down" }), |input, n| {
        let tool = if n == 8 { "echo" } else { "relay" };
        to(&format!("s{n}/{tool}"), input)
    });
    let chains = (0..10).map(|_| host.stored(&skills[0], "relay", deep.clone()));
    let done = tokio::time::timeout(Duration::from_secs(120), futures_util::future::join_all(chains)).await.unwrap();
    for one in done {
        assert_eq!(said(&one.unwrap()), "deep down");
    }
    assert_eq!(host.host.running(), 0);
    host.still_works().await;
}

#[tokio::test]
async fn a_chain_is_one_trace() {
    let host = TestHost::new().await;
    let both = "[permissions.tools]\ntools = [\"b/*\", \"c/*\"]\n";
    host.install("c", "", &[]).await;
    host.install("b", both, &["tools=c/*"]).await;
    let a = host.install("a", both, &["tools=b/*,c/*"]).await;
    let done = host.stored(&a, "relay", to("b/relay", to("c/echo", json!({ "text": "x" })))).await.unwrap();
    let audit = host.host.audit();
    audit.seal().await.unwrap();
    let all = audit.list(Filter::default(), 1_000).await.unwrap();
    let run = |skill: &str| all.iter().find(|one| one.event == Event::Run && one.skill == skill).unwrap();
    let (of_a, of_b, of_c) = (run("a"), run("b"), run("c"));
    assert_eq!((of_a.caller.as_str(), of_a.detail.as_str()), ("user", ""));
    assert_eq!(of_b.caller, "user>skill");
    assert_eq!(of_b.detail, format!("parent={0} root={0}", done.invocation));
    assert_eq!(of_c.caller, "user>skill>skill");
    assert_eq!(of_c.detail, format!("parent={} root={}", of_b.invocation, done.invocation));
    // Each call has its intent before it and its outcome after it, in the record of the one who made it.
    for (caller, subject) in [(of_a, "tools b/relay"), (of_b, "tools c/echo")] {
        let acts: Vec<_> = all.iter().filter(|one| one.invocation == caller.invocation && one.act > 0).collect();
        let told: Vec<_> = acts.iter().map(|one| (one.event, one.subject.as_str(), one.kind.as_str())).collect();
        assert_eq!(told, [(Event::Intent, subject, ""), (Event::Outcome, subject, "ok")]);
    }
    assert_eq!(audit.verify().await.unwrap().fault, None);
}

#[tokio::test]
async fn a_call_by_pattern_after_private_data_and_strangers_words_asks() {
    let (host, a) = two("").await;
    host.stored(&a, "put", json!({ "key": "k", "value": "secret" })).await.unwrap();
    let input = || json!({ "key": "k", "name": "b/put", "input": { "key": "k", "value": "x" } });
    let error = host.stored(&a, "read_and_relay", input()).await.unwrap_err();
    assert!(error.to_string().contains("nobody is there"), "{error}");
    let person = Script::new([Some(json!(true))]);
    let call = Call { person: Some(person.clone()), ..stored(&a, "read_and_relay", input()) };
    host.host.invoke(call).await.unwrap();
    let [ringfence_core::Question::Approve(asked)] = &person.asked()[..] else { panic!("{:?}", person.asked()) };
    assert_eq!(asked.subject, "tools b/put");
    assert!(asked.arguments.contains("b/put\n") && asked.arguments.contains("\"value\":\"x\""), "{}", asked.arguments);
    // A tool that changes nothing, and one that the operator named, need no question.
    let reads = json!({ "key": "k", "name": "b/echo", "input": { "text": "x" } });
    host.stored(&a, "read_and_relay", reads).await.unwrap();
    host.host.grant("a", ringfence_core::Grants::parse(["tools=b/put"]).unwrap()).await.unwrap();
    host.stored(&a, "read_and_relay", input()).await.unwrap();
}
