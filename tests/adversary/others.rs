//! Skills that call skills: chains that turn in circles or never end, deputies that are confused, callees that break.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ringfence_core::catalog::signature::Terms;
use ringfence_core::engine::LimitSettings;
use ringfence_core::journal::audit::{Event, Filter, Record};
use ringfence_core::{Call, Grants, SkillRef};
use serde_json::{Value, json};

use crate::ground::{Ground, text};
use crate::support::hosts::{said, stored};
use crate::support::peer::{Peer, Said, ok};
use crate::support::people::Patient;
use crate::support::wat;
use crate::teller::{Says, Teller, whole};

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
}

/// What `skill` had recorded of one sort, the oldest first.
async fn records(ground: &Ground, skill: &str, event: Event) -> Vec<Record> {
    // Waits for what is on its way to the disk.
    assert_eq!(ground.host.host.audit().verify().await.unwrap().fault, None);
    let wanted = Filter { skill: Some(skill.into()), event: Some(event), ..Filter::default() };
    let mut records = ground.host.host.audit().list(wanted, 1_000).await.unwrap();
    records.sort_by_key(|record| record.at_us);
    records
}

/// A component that was written by hand, installed under a name.
async fn written(ground: &Ground, name: &str, component: &[u8], permissions: &str, grants: &[&str]) -> SkillRef {
    let host = &ground.host.host;
    let manifest = format!("name = \"{name}\"\nversion = \"0.1.0\"\ndescription = \"By hand.\"\n{permissions}");
    let manifest = ringfence_core::Manifest::from_toml(&manifest).unwrap();
    let package = host.package(component, &manifest, None).await.unwrap();
    let path = ground.host.home.write(&format!("{name}.wasm"), package);
    let mut candidate = host.consider(&path, None).await.unwrap();
    host.accept(&mut candidate, Terms { allow_downgrade: true, ..Terms::default() }).unwrap();
    host.install(candidate).await.unwrap();
    host.grant(name, Grants::parse(grants.iter().copied()).unwrap()).await.unwrap();
    host.load_installed(name, None).await.unwrap()
}

/// What requests tools of `b` and `c`, and a model.
const ASKS: &str = "[permissions.tools]\ntools = [\"b/*\", \"c/*\"]\n[permissions.model]\nmodels = [\"default\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn t93_what_a_caller_may_spend_is_all_that_its_callees_may() {
    // Each answer is 100 tokens for 210 micro-dollars; before it 217 are set aside. There is enough for two.
    let answer = whole(&json!({ "prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110 }));
    for (limit, unit) in [("output-tokens = 250", "250 output-tokens"), ("micro-dollars = 500", "500 micro-dollars")] {
        let answer = answer.clone();
        let teller = Teller::answering(move |_| Says::Once(answer.clone()));
        let much = "output-tokens = 1000000\nmicro-dollars = 1000000";
        let settings = format!(
            "{}[skills.a.budget.invocation]\n{limit}\n[skills.b.budget.invocation]\n{much}\n\
             [skills.c.budget.invocation]\n{much}\n",
            teller.config(1)
        );
        let ground = Ground::with(&settings).await;
        let grants = ["tools=b/*,c/*", "model=default"];
        ground.host.install("c", ASKS, &grants).await;
        let b = ground.host.install("b", ASKS, &grants).await;
        let a = ground.host.install("a", ASKS, &grants).await;
        let generate = json!({ "prompt": "x", "max_tokens": 100 });
        let three = |name: &str, input: Value| json!({ "name": name, "input": input, "count": 3, "how": "wait" });
        // Callees beside each other, and callees of callees.
        for (name, input) in [("b/generate", generate.clone()), ("b/relay", to("c/generate", generate.clone()))] {
            let before = teller.bodies().len();
            let done = ground.host.stored(&a, "fan_out", three(name, input)).await.unwrap();
            let told = said(&done);
            assert_eq!(told.lines().filter(|line| *line == "fine").count(), 2, "{name}: {told}");
            let words = format!("the invocation budget of {unit} is used up");
            assert_eq!(told.lines().filter(|line| line.contains(&words)).count(), 1, "{name}: {told}");
            assert_eq!(teller.bodies().len() - before, 2, "{name}: what is refused is not asked");
            assert_eq!((done.usage.output_tokens, done.usage.micro_dollars), (200, 420), "{name}: the caller pays");
        }
        // The pair: by itself `b` has enough for three.
        let told = text(ground.host.stored(&b, "fan_out", three("c/generate", generate)).await);
        assert_eq!(told, "fine\nfine\nfine");
        ground.survived(None, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t94_an_answer_is_as_long_as_both_may_have_it() {
    let teller = Teller::answering(|_| Says::Once(whole(&Value::Null)));
    let ground = Ground::with(&teller.config(1)).await;
    let host = &ground.host.host;
    let b = ground.host.install("b", ASKS, &[]).await;
    let a = ground.host.install("a", ASKS, &["tools=b/*", "model=default"]).await;
    let grant = |more: &str| -> Grants { toml::from_str(&format!("[model]\nmodels = [\"default\"]\n{more}")).unwrap() };
    host.grant("b", grant("max-tokens = 50000\n")).await.unwrap();
    let most = || {
        let body = teller.bodies().pop().unwrap();
        body.get("max_tokens").or_else(|| body.get("max_completion_tokens")).and_then(Value::as_u64).unwrap()
    };
    let greedy = json!({ "prompt": "x", "max_tokens": u32::MAX });
    ground.host.stored(&b, "generate", greedy.clone()).await.unwrap();
    assert_eq!(most(), 50_000, "by itself");
    // What nobody said of `a` is what the configuration says of all.
    ground.host.stored(&a, "relay", to("b/generate", greedy.clone())).await.unwrap();
    assert_eq!(most(), 4_096);
    host.grant("a", grant("max-tokens = 10000\n")).await.unwrap();
    ground.host.stored(&a, "relay", to("b/generate", greedy.clone())).await.unwrap();
    assert_eq!(most(), 10_000);
    ground.survived(None, "").await;
}

/// What requests tools of `b` and `c`, and a server.
fn reaches(peers: &[&Peer]) -> String {
    let allow: Vec<String> = peers.iter().map(|peer| peer.url("")).collect();
    format!("[permissions.tools]\ntools = [\"b/*\", \"c/*\"]\n[permissions.http]\nallow = {allow:?}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_requests_of_callees_are_their_callers() {
    let peer = Peer::polite();
    let (permissions, http) = (reaches(&[&peer]), format!("http={}", peer.url("")));
    let ground = Ground::with("[http]\nrequests = 5\n").await;
    let grants = ["tools=b/*,c/*", &http];
    ground.host.install("c", &permissions, &grants).await;
    let b = ground.host.install("b", &permissions, &grants).await;
    let a = ground.host.install("a", &permissions, &grants).await;
    let fetch = json!({ "url": peer.url("/") });
    let all =
        |name: &str, input: &Value, count: u32| json!({ "name": name, "input": input, "count": count, "how": "wait" });
    let refused = |told: &str| told.matches("the number of http requests of an invocation").count();
    // Callees beside each other, and callees of callees: five of them all together, and each invocation begins anew.
    for (name, input) in [("b/fetch", fetch.clone()), ("b/relay", to("c/fetch", fetch.clone()))] {
        let before = peer.connections();
        let told = text(ground.host.stored(&a, "fan_out", all(name, &input, 8)).await);
        assert_eq!((peer.connections() - before, refused(&told)), (5, 3), "{name}: {told}");
    }
    // One that makes many: what it used, the next has no more.
    let urls = vec![peer.url("/"); 4];
    let before = peer.connections();
    let many = json!({ "urls": urls, "at_once": 1 });
    let told = text(ground.host.stored(&a, "fan_out", all("b/fetch_all", &many, 2)).await);
    assert_eq!((peer.connections() - before, refused(&told)), (5, 3), "{told}");
    // The pair: by itself `b` has five of its own.
    let before = peer.connections();
    let told = text(ground.host.stored(&b, "fetch_all", json!({ "urls": vec![peer.url("/"); 6], "at_once": 1 })).await);
    assert_eq!((peer.connections() - before, refused(&told)), (5, 1), "{told}");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_requests_of_callees_at_once_are_their_callers() {
    // Answers when the test lets it.
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let peer = Peer::says(move |_| {
        // The test that has failed is gone, and nobody waits for it.
        let _ = wait.lock().unwrap().recv();
        Said::Once(ok("hello"))
    });
    let (permissions, http) = (reaches(&[&peer]), format!("http={}", peer.url("")));
    let ground = Ground::with("[http]\nconcurrent = 2\n").await;
    let grants = ["tools=b/*", &http];
    ground.host.install("b", &permissions, &grants).await;
    let a = ground.host.install("a", &permissions, &grants).await;
    let input = json!({ "name": "b/fetch", "input": { "url": peer.url("/") }, "count": 3, "how": "wait" });
    let running = tokio::spawn({
        let (host, call) = (ground.host.host.clone(), stored(&a, "fan_out", input));
        async move { host.invoke(call).await }
    });
    // Two stand before the server, and the third never gets there.
    let third_denied = async {
        loop {
            assert!(peer.connections() < 3, "three at once");
            let denied = records(&ground, "b", Event::Denied).await;
            if peer.connections() == 2 && !denied.is_empty() {
                return denied;
            }
        }
    };
    let denied = tokio::time::timeout(Duration::from_secs(60), third_denied).await.unwrap();
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    let told = text(running.await.unwrap());
    assert_eq!(told.matches("are under way").count(), 1, "{told}");
    assert_eq!(told.matches("hello").count(), 2, "{told}");
    assert_eq!((peer.connections(), denied.len(), denied[0].kind.as_str()), (2, 1, "unavailable"), "{denied:?}");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_the_rate_of_requests_is_that_of_who_began() {
    let peer = Peer::polite();
    let (permissions, http) = (reaches(&[&peer]), format!("http={}", peer.url("")));
    // It would take a minute until there is one more.
    let ground = Ground::with("[http]\nper-minute = 1\n").await;
    let grants = ["tools=b/*,c/*", &http];
    let c = ground.host.install("c", &permissions, &grants).await;
    let b = ground.host.install("b", &permissions, &grants).await;
    let a = ground.host.install("a", &permissions, &grants).await;
    let fetch = json!({ "url": peer.url("/") });
    ground.host.stored(&a, "relay", to("b/fetch", fetch.clone())).await.unwrap();
    for input in
        [to("b/fetch", fetch.clone()), to("c/fetch", fetch.clone()), to("b/relay", to("c/fetch", fetch.clone()))]
    {
        let error = ground.host.stored(&a, "relay", input).await.unwrap_err();
        assert!(error.kind() == "unavailable" && error.hint().contains("http.per-minute"), "{error:?}");
    }
    let error = ground.host.stored(&a, "fetch", fetch.clone()).await.unwrap_err();
    assert!(error.hint().contains("http.per-minute"), "what it had done for it counts: {error:?}");
    assert_eq!(peer.connections(), 1);
    // Those that it called have nothing less: nobody uses up another one's minute.
    for skill in [&b, &c] {
        ground.host.stored(skill, "fetch", fetch.clone()).await.unwrap();
    }
    assert_eq!(peer.connections(), 3);
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t94_a_deputy_reaches_only_what_both_may() {
    let (of_both, of_b) = (Peer::polite(), Peer::polite());
    let permissions = reaches(&[&of_both, &of_b]);
    let ground = Ground::new().await;
    let wide = format!("http={},{}", of_both.url(""), of_b.url(""));
    let narrow = format!("http=GET {}", of_both.url("/open"));
    let b = ground.host.install("b", &permissions, &[&wide]).await;
    let a = ground.host.install("a", &permissions, &["tools=b/*", &narrow]).await;
    let relay = async |method: &str, url: String| {
        ground.host.stored(&a, "relay", to("b/fetch", json!({ "method": method, "url": url }))).await
    };
    for (method, url) in [
        ("GET", of_b.url("/")),
        ("GET", of_both.url("/closed")),
        ("GET", of_both.url("/open/../closed")),
        ("POST", of_both.url("/open")),
    ] {
        let error = relay(method, url.clone()).await.unwrap_err();
        assert_eq!(error.kind(), "refused", "{method} {url}: {error:?}");
        assert!(error.hint().contains("ringfence grant a http="), "the one who lacks it: {}", error.hint());
    }
    assert_eq!((of_both.connections(), of_b.connections()), (0, 0), "nothing was sent");
    // The pair.
    relay("GET", of_both.url("/open")).await.unwrap();
    for url in [of_both.url("/closed"), of_b.url("/")] {
        ground.host.stored(&b, "fetch", json!({ "url": url })).await.unwrap();
    }
    assert_eq!((of_both.connections(), of_b.connections()), (2, 1));
    ground.survived(None, "").await;
}

/// Says how many milliseconds it was told to have, as eight digits.
fn clock() -> Vec<u8> {
    let body = "(local.set 3 (i32.const 1032))
        (loop $digit
            (local.set 3 (i32.sub (local.get 3) (i32.const 1)))
            (i32.store8 (local.get 3)
                (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get 7) (i64.const 10)))))
            (local.set 7 (i64.div_u (local.get 7) (i64.const 10)))
            (br_if $digit (i32.gt_u (local.get 3) (i32.const 1024))))
        (i32.store (i32.const 132) (i32.const 160)) (i32.store (i32.const 136) (i32.const 1))
        (i32.store (i32.const 164) (i32.const 1024)) (i32.store (i32.const 168) (i32.const 8))
        (i32.const 128)";
    wat::skill(body, "", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_a_callee_has_the_time_that_its_caller_has_left() {
    for (limit, most) in [
        ("[skills.a.limits]\nwall-seconds = 100\n", 100_000),
        ("[skills.a.budget.invocation]\nwall-ms = 100000\n", 100_000),
        // The pair: the callee's own, where that is less.
        ("[skills.a.limits]\nwall-seconds = 3600\n[skills.b.limits]\nwall-seconds = 50\n", 50_000),
    ] {
        let of_b = if limit.contains("skills.b") { "" } else { "[skills.b.limits]\nwall-seconds = 3600\n" };
        let ground = Ground::with(&format!("{limit}{of_b}")).await;
        written(&ground, "b", &clock(), "", &[]).await;
        let a = ground.host.install("a", ANY, &["tools=b/act", "user"]).await;
        let (person, mut desk) = Patient::new();
        let call = Call { person: Some(person), ..stored(&a, "relay_twice", to("b/act", json!({}))) };
        let running = tokio::spawn({
            let host = ground.host.host.clone();
            async move { host.invoke(call).await }
        });
        // Time passes between two calls, and of that the test knows how much at least.
        desk.asked.recv().await.unwrap();
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let passed = u64::try_from(begun.elapsed().as_millis()).unwrap();
        desk.answers.send(json!("go on")).unwrap();
        let told = text(running.await.unwrap());
        let left: Vec<u64> = told.split(' ').map(|left| left.parse().unwrap()).collect();
        assert!(left[0] <= most && left[0] > 0, "{limit}: {told}");
        match most == 100_000 {
            true => assert!(left[1] + passed <= left[0], "{limit}: {passed} ms passed between {told}"),
            false => assert!(left[1] <= most, "{limit}: {told}"),
        }
        ground.survived(None, "").await;
    }
}

/// `tools.call`.
const TOOLS: &str = r#"
    (import "ringfence:skill/tools@0.1.0" (instance $tools
        REFUSAL
        (type $media-is (record (field "media-type" string) (field "data" (list u8))))
        (export "media" (type $media (eq $media-is)))
        (type $link-is (record (field "uri" string) (field "title" (option string)) (field "media-type" (option string))))
        (export "link" (type $link (eq $link-is)))
        (type $content-is (variant (case "text" string) (case "image" $media) (case "audio" $media) (case "link" $link)))
        (export "content" (type $content (eq $content-is)))
        (type $outcome-is (record (field "content" (list $content)) (field "structured" (option string))))
        (export "outcome" (type $outcome (eq $outcome-is)))
        (type $kind-is (enum "invalid-input" "unknown-tool" "refused" "unavailable" "failed"))
        (export "failure-kind" (type $kind (eq $kind-is)))
        (type $failure-is (record (field "kind" $kind) (field "message" string) (field "hint" (option string))))
        (export "failure" (type $failure (eq $failure-is)))
        (type $answer-is (variant (case "outcome" $outcome) (case "failure" $failure)))
        (export "answer" (type $answer (eq $answer-is)))
        (export "call" (func (param "name" string) (param "input" string) (result (result $answer (error $refusal)))))))
    (alias export $tools "call" (func $tool))
    (core func $tool-core
        (canon lower (func $tool) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;

/// Pages of memory that every skill written by hand has.
const OWN_PAGES: u32 = 2;

/// Holds so many pages of 64 KiB and calls `name/act`, one time after the other, as often as it says; traps where one gives no outcome.
fn holding(pages: u32, calls: Option<(&str, u32)>) -> Vec<u8> {
    let hold = format!(
        "(core module $hold (memory (export \"m\") {})) (core instance (instantiate $hold))",
        pages - OWN_PAGES
    );
    let Some((name, times)) = calls else { return wat::skill("(i32.const 128)", "", &hold) };
    let module = format!(
        "(import \"host\" \"call\" (func $tool (param i32 i32 i32 i32 i32)))
         (data (i32.const 2048) \"{name}/act\") (data (i32.const 2112) \"{{}}\")"
    );
    // The result's first byte is 1 for a refusal, and the answer's, which stands at 8, for a failure.
    let once = format!(
        "(call $tool (i32.const 2048) (i32.const {}) (i32.const 2112) (i32.const 2) (i32.const 3072))
         (if (i32.load8_u (i32.const 3072)) (then unreachable))
         (if (i32.load8_u (i32.const 3080)) (then unreachable))",
        name.len() + 4
    );
    let body = format!("{} (i32.const 128)", once.repeat(times as usize));
    let given = "(with \"host\" (instance (export \"call\" (func $tool-core))))";
    wat::asking(&body, &module, &format!("{TOOLS}{hold}"), given)
}

#[tokio::test(flavor = "multi_thread")]
async fn t93_a_callee_has_the_memory_that_its_caller_has_left() {
    const CALLS: &str = "[permissions.tools]\ntools = [\"b/*\", \"c/*\"]\n";
    // 128 pages for `a` and all that it calls.
    let ground = Ground::with("[skills.a.limits]\nmemory-mib = 8\n").await;
    let host = &ground.host.host;
    let grants = ["tools=b/*,c/*"];
    let a = written(&ground, "a", &holding(100, Some(("b", 2))), CALLS, &grants).await;
    let kinds = async |skill: &str, count: usize| {
        let runs = records(&ground, skill, Event::Run).await;
        runs[runs.len() - count..].iter().map(|run| run.kind.clone()).collect::<Vec<_>>()
    };
    // All that is left, one time after the other: what was given back is there again.
    let b = written(&ground, "b", &holding(28, None), CALLS, &grants).await;
    let done = host.invoke(stored(&a, "act", json!({}))).await.unwrap();
    assert_eq!(done.memory_peak, 100 << 16, "what the caller held");
    assert_eq!(kinds("b", 2).await, ["ok", "ok"]);
    let alone = host.invoke(stored(&b, "act", json!({}))).await.unwrap();
    assert_eq!(alone.memory_peak, 28 << 16);
    // One page more than is left, and far less than `b` may have by itself.
    let b = written(&ground, "b", &holding(29, None), CALLS, &grants).await;
    assert_eq!(host.invoke(stored(&a, "act", json!({}))).await.unwrap_err().kind(), "trap");
    assert_eq!(kinds("b", 1).await, ["memory-limit"]);
    host.invoke(stored(&b, "act", json!({}))).await.unwrap();
    // What is deeper has what all above it have left.
    for (pages, ends) in [(8, "ok"), (9, "memory-limit")] {
        written(&ground, "b", &holding(20, Some(("c", 1))), CALLS, &grants).await;
        written(&ground, "c", &holding(pages, None), CALLS, &grants).await;
        let done = host.invoke(stored(&a, "act", json!({}))).await;
        assert_eq!((done.is_ok(), kinds("c", 1).await), (ends == "ok", vec![ends.to_owned()]), "{pages} pages");
    }
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
    let component = wat::skill("(i32.const 128)", "", "");
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
