//! Skills that call skills: chains that turn in circles or never end, deputies that are confused, callees that break.

use ringfence_core::engine::LimitSettings;
use ringfence_core::{Call, Grants, SkillRef};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::support::hosts::{said, stored};
use crate::support::people::Patient;

const ANY: &str = "[permissions.tools]\ntools = [\"a/*\", \"b/*\"]\n[permissions.kv]\n[permissions.user]\n";

fn to(name: &str, input: Value) -> Value {
    json!({ "name": name, "input": input })
}

async fn attempt(ground: &Ground, skill: &SkillRef, name: &str, input: Value) -> String {
    said(&ground.host.stored(skill, "attempt", to(name, input)).await.unwrap())
}

/// Two skills that may call each other and themselves.
async fn two(ground: &Ground, of_b: &[&str]) -> SkillRef {
    ground.host.install("b", ANY, of_b).await;
    ground.host.install("a", ANY, &["tools=a/*,b/*", "kv", "user"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_a_cycle_is_refused() {
    let ground = Ground::new().await;
    let a = two(&ground, &["tools=a/*,b/*"]).await;
    let said = attempt(&ground, &a, "a/echo", json!({ "text": "x" })).await;
    assert!(said.starts_with("refusal: Denied") && said.contains("a cycle: `a` is already being called"), "{said}");
    let said = attempt(&ground, &a, "b/attempt", to("a/echo", json!({ "text": "x" }))).await;
    assert!(said.starts_with("outcome: refusal: Denied") && said.contains("(a > b > a)"), "{said}");
    // The same tool in a row is no cycle.
    assert_eq!(attempt(&ground, &a, "b/echo", json!({ "text": "x" })).await, "outcome: x");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_a_chain_ends_at_its_depth() {
    let ground = Ground::new().await;
    let names: Vec<String> = (0..=9).map(|n| format!("s{n}")).collect();
    let all: Vec<String> = names.iter().map(|name| format!("{name}/*")).collect();
    let (permissions, grant) = (format!("[permissions.tools]\ntools = {all:?}\n"), format!("tools={}", all.join(",")));
    let mut skills = Vec::new();
    for name in &names {
        skills.push(ground.host.install(name, &permissions, &[&grant]).await);
    }
    // The last of `depth` calls is an echo, all before it hand on.
    let chain = |depth: usize| {
        (1..=depth).rev().fold(json!({ "text": "x" }), |input, n| {
            to(&format!("s{n}/{}", if n == depth { "echo" } else { "attempt" }), input)
        })
    };
    let outermost = |input| stored(&skills[0], "attempt", input);
    let eight = said(&ground.host.host.invoke(outermost(chain(8))).await.unwrap());
    assert_eq!(eight, format!("{}x", "outcome: ".repeat(8)));
    let nine = said(&ground.host.host.invoke(outermost(chain(9))).await.unwrap());
    assert!(nine.starts_with(&"outcome: ".repeat(8)) && nine.contains("refusal: Denied"), "{nine}");
    assert!(nine.contains("the depth of calls would exceed 8"), "{nine}");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_ten_thousand_at_once_are_thirty_two() {
    let ground = Ground::new().await;
    let a = two(&ground, &[]).await;
    let input = json!({ "name": "b/sleep", "input": { "ms": 60_000 }, "count": 10_000, "how": "hold" });
    let told = said(&ground.host.stored(&a, "fan_out", input).await.unwrap());
    assert!(told.starts_with("32 started, then: ") && told.contains("the fan-out would exceed 32"), "{told}");
    ground.survived(None, "").await;
    // All of them take from one memory: the caller's.
    let input = json!({ "name": "b/grow", "input": { "crash": false }, "count": 8, "how": "wait" });
    let told = said(&ground.host.stored(&a, "fan_out", input).await.unwrap());
    let sum: u64 = told.lines().filter_map(|line| line.parse::<u64>().ok()).sum();
    // What one gave back another may take, but each of them at most what the caller has.
    assert!(
        told.lines().all(|line| line.parse::<u64>().is_ok_and(|mib| mib < 64) || line.contains("b/grow")),
        "{told}"
    );
    assert!(sum > 0, "{told}");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t94_a_deputy_does_for_nobody_what_that_one_may_not() {
    let ground = Ground::new().await;
    ground.host.install("b", ANY, &["kv"]).await;
    let a = ground.host.install("a", ANY, &["tools=b/*"]).await;
    let put = || to("b/put", json!({ "key": "k", "value": "x" }));
    // `b` may keep state, `a` may not: so `b` may not for `a`.
    let error = ground.host.stored(&a, "relay", put()).await.unwrap_err();
    assert_eq!(error.kind(), "refused");
    assert!(error.to_string().contains("a skill that is called may do only what both may"), "{error}");
    assert_eq!(
        error.hint(),
        "run `ringfence grant a kv` to allow it, where the manifest requests it",
        "the one who lacks it is named"
    );
    // The other way round too.
    ground.host.host.grant("a", Grants::parse(["kv"]).unwrap()).await.unwrap();
    ground.host.host.revoke("b", Some("kv")).await.unwrap();
    let error = ground.host.stored(&a, "relay", put()).await.unwrap_err();
    assert_eq!(error.hint(), "run `ringfence grant b kv` to allow it, where the manifest requests it");
    // What was allowed for one call was allowed to the skill that was called, not to those that it calls.
    let allow = Grants::parse(["kv"]).unwrap();
    let error = ground.host.host.invoke(Call { allow, ..stored(&a, "relay", put()) }).await.unwrap_err();
    assert_eq!(error.hint(), "run `ringfence grant b kv` to allow it, where the manifest requests it");
    // Both may.
    ground.host.host.grant("b", Grants::parse(["kv"]).unwrap()).await.unwrap();
    ground.host.stored(&a, "relay", put()).await.unwrap();
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t95_a_callee_that_breaks_breaks_nobody_else() {
    // Apart from the others: on a busy machine a second of processor time takes more than two.
    let ground = Ground::with("[skills.b.limits]\ncpu-seconds = 1\n").await;
    let a = two(&ground, &[]).await;
    let said = attempt(&ground, &a, "b/spin", json!({})).await;
    let words = "`b/spin`: the skill used more than its 1 s of processor time";
    assert!(said.starts_with("failure: FailureKind::Failed: ") && said.contains(words), "{said}");
    assert_eq!(attempt(&ground, &a, "b/echo", json!({ "text": "x" })).await, "outcome: x");
    ground.survived(None, "").await;

    let ground = Ground::with("[skills.b.limits]\nwall-seconds = 2\n").await;
    let a = two(&ground, &[]).await;
    for (tool, input, words) in [
        ("panics", json!({ "message": "oh" }), "`b/panics`: the skill crashed"),
        ("sleep", json!({ "ms": 60_000 }), "`b/sleep`: the skill ran longer than its 2 s"),
        ("grow", json!({ "crash": true }), "`b/grow`: the skill wanted more than its 64 MiB of memory"),
        ("big_outcome", json!({ "bytes": 5 << 20 }), "`b/big_outcome`: the outcome of `big_outcome` is"),
        ("big_outcome", json!({ "bytes": 9 << 20 }), "`b/big_outcome`: the skill passed more than 8192 KiB"),
        ("bad_output", json!({}), "`b/bad_output`: the outcome of `bad_output` is not what it promises"),
    ] {
        let said = attempt(&ground, &a, &format!("b/{tool}"), input).await;
        assert!(said.starts_with("failure: FailureKind::Failed: ") && said.contains(words), "{tool}: {said}");
        assert_eq!(attempt(&ground, &a, "b/echo", json!({ "text": "x" })).await, "outcome: x");
    }
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t95_a_callee_that_is_replaced_or_removed_stays_what_it_was() {
    let ground = Ground::new().await;
    let a = two(&ground, &["user"]).await;
    let host = &ground.host.host;
    for remove in [false, true] {
        // Between two calls of the same tool.
        let (person, mut desk) = Patient::new();
        let call = stored(&a, "relay_twice", to("b/echo", json!({ "text": "x" })));
        let running = tokio::spawn({
            let (host, call) = (host.clone(), Call { person: Some(person), ..call });
            async move { host.invoke(call).await }
        });
        desk.asked.recv().await.unwrap();
        change(&ground, remove).await;
        desk.answers.send(json!("go on")).unwrap();
        assert_eq!(said(&running.await.unwrap().unwrap()), "x x", "{remove}");
        ground.host.install("b", ANY, &["user"]).await;

        // In the middle of one.
        let (person, mut desk) = Patient::new();
        let call = stored(&a, "relay", to("b/question", json!({ "text": "Who?" })));
        let running = tokio::spawn({
            let (host, call) = (host.clone(), Call { person: Some(person), ..call });
            async move { host.invoke(call).await }
        });
        desk.asked.recv().await.unwrap();
        change(&ground, remove).await;
        desk.answers.send(json!("Ada")).unwrap();
        assert_eq!(said(&running.await.unwrap().unwrap()), "\"Ada\"", "{remove}");
        // A new invocation sees what is there now.
        let now = attempt(&ground, &a, "b/echo", json!({ "text": "x" })).await;
        match remove {
            true => assert!(now.contains("no skill named `b` is installed"), "{now}"),
            false => assert!(now.contains("has no tool `echo`"), "{now}"),
        }
        ground.host.install("b", ANY, &["user"]).await;
    }
    ground.survived(None, "").await;
}

/// Removes `b`, or puts another skill of that name with one other tool in its place.
async fn change(ground: &Ground, remove: bool) {
    let host = &ground.host.host;
    if remove {
        host.remove("b", false).await.unwrap();
        return;
    }
    let component = crate::support::wat::skill("(i32.const 128)", "", "");
    let manifest =
        ringfence_core::Manifest::from_toml("name = \"b\"\nversion = \"2.0.0\"\ndescription = \"Another.\"\n");
    let package = host.package(&component, &manifest.unwrap(), None).await.unwrap();
    let path = ground.host.home.write("another.wasm", package);
    host.add(&path, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t96_what_crosses_is_text_and_means_nothing_there() {
    let ground = Ground::new().await;
    let a = two(&ground, &[]).await;
    // A placeholder of the caller's is five words in the callee, and comes back as such.
    let text = "{{secret:TOKEN}} and handle 1";
    assert_eq!(attempt(&ground, &a, "b/echo", json!({ "text": text })).await, format!("outcome: {text}"));
    // Nothing that could be a handle is in the interface: names and inputs are texts.
    let wit = std::fs::read_to_string(crate::support::repository().join("wit/tools.wit")).unwrap();
    for call in ["call: func(name: string, input: json)", "start: func(name: string, input: json)"] {
        assert!(wit.contains(call), "{call}");
    }
    assert!(!wit.contains("borrow<") && !wit.contains("stream<"));
    // Handles of the caller stay its own: with few of them it can still call.
    let limits = LimitSettings { handles: Some(20), ..LimitSettings::default() };
    let input = json!({ "name": "b/echo", "input": { "text": "x" }, "count": 100, "how": "drop" });
    let done = ground.host.host.invoke(Call { limits, ..stored(&a, "fan_out", input) }).await;
    // Calls that were dropped may not have ended yet, and count until they have.
    let told = done.map(|done| said(&done)).unwrap();
    assert!(told.is_empty() || told.contains("the fan-out would exceed 32"), "{told}");
    ground.survived(None, "").await;
}
