//! Attempts to spend more than there is, to spend it unseen, and to name what must not be named.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringfence_core::capability::model::types::{Message, Request, Role, Tool};
use ringfence_core::capability::model::{Grant, ModelSettings, Router};
use ringfence_core::engine::LimitSettings;
use ringfence_core::{Call, Refusal};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ground::{Ground, text};
use crate::support::{Done, Home, call, probe};
use crate::teller::{Says, Teller, status, stream, whole, word};

#[tokio::test(flavor = "multi_thread")]
async fn t78_a_hundred_at_once_spend_what_there_is_and_no_more() {
    let teller = Teller::answering(|_| Says::Hang(Vec::new()));
    // Five times a hundred tokens, and not enough for a sixth time.
    let settings = format!("{}[budget.host-day]\noutput-tokens = 599\n", teller.config(1));
    let ground = Ground::with(&settings).await;
    let ask = |tokens: u32| call(&ground.host.probe, "generate", json!({ "prompt": "hello", "max_tokens": tokens }));
    let first = ask(100);
    let cancel = first.cancel.clone();
    let mut running = JoinSet::new();
    for _ in 0..100 {
        let (host, call) = (ground.host.host.clone(), Call { cancel: cancel.clone(), ..ask(100) });
        running.spawn(async move { host.invoke(call).await });
    }
    drop(first);
    for _ in 0..95 {
        let error = running.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), "refused", "{error:?}");
        assert!(error.to_string().contains("599 output-tokens"), "{error:?}");
    }
    // Those that began are five, and all of them are at the provider.
    for _ in 0..5 {
        teller.wait();
    }
    assert_eq!((running.len(), teller.bodies().len()), (5, 5));
    cancel.cancel();
    while let Some(done) = running.join_next().await {
        assert_eq!(done.unwrap().unwrap_err().kind(), "cancelled");
    }
    // The provider may have worked for them: nothing comes back.
    let error = ground.host.host.invoke(ask(100)).await.unwrap_err();
    assert_eq!(error.kind(), "refused", "{error:?}");
    assert!(error.to_string().contains("500 used or reserved"), "{error:?}");
    assert_eq!(teller.bodies().len(), 5);
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t79_usage_that_cannot_be_is_charged_with_the_most() {
    // The prompt names the report.
    let teller = Teller::answering(|body| {
        let prompt = body["messages"][0]["content"].as_str().unwrap();
        Says::Once(whole(&serde_json::from_str::<Value>(prompt).unwrap()))
    });
    let ground = Ground::with(&teller.config(1)).await;
    let charged = async |report: Value| {
        let input = json!({ "prompt": report.to_string(), "max_tokens": 100 });
        let done = ground.host.call("generate", input).await.unwrap();
        assert_eq!(done.usage.micro_dollars, done.usage.input_tokens + 2 * done.usage.output_tokens, "{report}");
        done.usage.output_tokens
    };
    for wrong in [json!(-1), json!(1.5), json!("7"), json!(1_u64 << 63), json!(null)] {
        let report = json!({ "prompt_tokens": 20, "completion_tokens": wrong, "total_tokens": 21 });
        assert_eq!(charged(report).await, 100, "{wrong}");
    }
    for none in [json!(null), json!({}), json!({ "prompt_tokens": 20 })] {
        assert_eq!(charged(none.clone()).await, 100, "{none}");
    }
    // The pair: a report that can be is believed.
    assert_eq!(charged(json!({ "prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27 })).await, 7);
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t79_a_stream_above_its_tokens_is_cut_and_charged_as_counted() {
    let piece = word(&"x".repeat(8 << 10)).into_bytes();
    let teller = Teller::answering(move |_| Says::Flood(stream(""), piece.clone()));
    let ground = Ground::with(&teller.config(1)).await;
    let done = ground.host.call("stream", json!({ "prompt": "hello", "max_tokens": 100 })).await.unwrap();
    let came = done.outcome.structured.unwrap();
    assert_ne!(came["end"], "done");
    assert!(done.usage.output_tokens > 10_000, "{:?}: what was streamed counts, where it is more", done.usage);
    assert!(came["events"].as_u64().unwrap() < 100, "{came}");
    teller.gone();
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t80_models_that_were_not_granted_or_have_no_price_are_not_asked() {
    let teller = Teller::answering(|_| Says::Once(whole(&Value::Null)));
    let ground = Ground::with(&teller.config_without_price(1)).await;
    let long = "x".repeat(10_000);
    for name in [
        "gpt-x",
        "../model",
        "fake/clever",
        "fake/../clever",
        "fake/other",
        "ft:clever:somebody-else::1",
        "fake/*",
        "*",
        "",
        "Default",
        "default ",
        "default\u{0}",
        "http://127.0.0.1/v1",
        long.as_str(),
    ] {
        let error = ground.host.call("generate", json!({ "prompt": "hello", "model": name })).await.unwrap_err();
        assert_eq!(error.kind(), "refused", "{name:?}: {error:?}");
        assert!(error.to_string().len() < 2_000 && !error.to_string().contains('\0'), "{name:?}");
    }
    assert_eq!(teller.bodies().len(), 0);
    // What is on this machine is free. The refusal of others without a price is held by `an_unknown_price_is_refused_and_named`.
    assert_eq!(text(ground.host.call("generate", json!({ "prompt": "hello" })).await), "fine");
    assert_eq!(teller.bodies().len(), 1);
    ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t81_requests_above_every_measure_are_lowered_or_refused() {
    let teller = Teller::answering(|_| Says::Once(whole(&Value::Null)));
    let ground = Ground::with(&teller.config(1)).await;
    let greedy = json!({ "prompt": "hello", "max_tokens": u32::MAX });
    assert_eq!(text(ground.host.call("generate", greedy).await), "fine");
    let body = teller.bodies().remove(0);
    let most = body.get("max_tokens").or_else(|| body.get("max_completion_tokens"));
    assert_eq!(most, Some(&json!(4096)), "{body}");
    // The host says nothing of its own: one answer, for nobody in particular.
    let told: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    for word in ["n", "best_of", "user", "metadata", "store", "system", "instructions"] {
        assert!(!told.contains(word), "{word}: {body}");
    }
    assert_eq!(body["messages"].as_array().unwrap().len(), 1, "{body}");
    // A prompt of 9 MiB is more than a provider may see, and more than one call of the host carries.
    let prompt = |mib: u32| json!({ "prompt": "0123456789abcdef", "times": mib << 16 });
    match ground.host.call("stream", prompt(9)).await {
        Ok(done) => assert_ne!(done.outcome.structured.unwrap()["end"], "done"),
        Err(error) => assert!(["hostcall-too-large", "memory-limit"].contains(&error.kind()), "{error:?}"),
    }
    // Where the operator lets a guest have and pass that much, it still is.
    let limits = LimitSettings { memory_mib: Some(512), hostcall_kib: Some(64 << 10), ..LimitSettings::default() };
    for mib in [9, 50] {
        let done = ground.host.limited("stream", prompt(mib), limits).await.unwrap();
        let end = done.outcome.structured.unwrap()["end"].as_str().unwrap().to_owned();
        assert!(end.contains("prompt") && end.contains(&(8 << 20).to_string()), "{mib} MiB: {end}");
        assert_eq!(done.usage.input_tokens, 0, "{mib} MiB");
    }
    assert_eq!(teller.bodies().len(), 1);
    ground.survived_probe().await;
}

/// What no skill of the SDK writes: the one place that every request of a guest comes by.
#[test]
fn t81_what_is_too_many_never_becomes_an_ask() {
    let router = Router::new(ModelSettings::default(), &BTreeMap::new(), Vec::new()).unwrap();
    let grant = Grant { models: vec!["default".into()], ..Grant::default() };
    let plain = || Request {
        model: "default".into(),
        messages: vec![Message::text(Role::User, "hello")],
        ..Request::default()
    };
    let ask = |request: Request| router.generate_ask(request, Some(&grant), true);
    let tool = |n: usize| Tool { name: format!("t{n}"), description: String::new(), input_schema: json!({}) };
    let options = json!({ "seed": "x".repeat(1 << 20) });
    for (what, request) in [
        ("tools", Request { tools: (0..10_000).map(tool).collect(), ..plain() }),
        ("messages", Request { messages: vec![Message::text(Role::System, "x"); 10_000], ..plain() }),
        ("prompt", Request { messages: vec![Message::text(Role::User, "x".repeat(50 << 20))], ..plain() }),
        ("prompt", Request { tools: vec![Tool { description: "x".repeat(50 << 20), ..tool(0) }], ..plain() }),
        ("stop sequences", Request { stop: vec!["x".into(); 10_000], ..plain() }),
        ("provider options", Request { provider_options: options.as_object().cloned(), ..plain() }),
    ] {
        let refusal = ask(request).err();
        assert!(
            matches!(&refusal, Some(Refusal::TooLarge(excess)) if excess.what.starts_with(what)),
            "{what}: {refusal:?}"
        );
    }
    // What can be lowered is lowered, before anything is set aside for it.
    for (wanted, most) in [(Some(u32::MAX), 4096), (None, 4096), (Some(7), 7)] {
        let ask = ask(Request { max_tokens: wanted, ..plain() }).unwrap();
        assert_eq!((ask.request.max_tokens, ask.estimate.output_tokens), (Some(most), u64::from(most)), "{wanted:?}");
    }
}

/// A skill says what it wants to know, and has no word for where it is asked, on whose account, or how often.
#[test]
fn t81_a_request_has_no_word_for_where_or_who_or_how_often() {
    use wit_parser::TypeDefKind;
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(crate::support::repository().join("wit")).unwrap();
    let model = &resolve.interfaces[resolve.packages[package].interfaces["model"]];
    let mut words = BTreeSet::new();
    for (name, id) in &model.types {
        words.insert(name.as_str());
        match &resolve.types[*id].kind {
            TypeDefKind::Record(record) => words.extend(record.fields.iter().map(|field| field.name.as_str())),
            TypeDefKind::Flags(flags) => words.extend(flags.flags.iter().map(|flag| flag.name.as_str())),
            _ => {}
        }
    }
    for (name, function) in &model.functions {
        words.insert(name.as_str());
        words.extend(function.params.iter().map(|param| param.name.as_str()));
    }
    assert!(words.contains("max-tokens") && words.contains("tool-choice"), "{words:?}");
    let forbidden = [
        "url",
        "uri",
        "base",
        "endpoint",
        "address",
        "host",
        "port",
        "proxy",
        "header",
        "headers",
        "auth",
        "authorization",
        "bearer",
        "key",
        "keys",
        "secret",
        "credential",
        "organisation",
        "organization",
        "project",
        "account",
        "user",
        "n",
        "count",
        "best",
        "retries",
        "timeout",
        "timeouts",
    ];
    for word in &words {
        assert!(!word.split(['-', '.']).any(|part| forbidden.contains(&part)), "`{word}` in wit/model.wit");
    }
    // All that a request says, so that one more word is looked at here.
    let TypeDefKind::Record(request) = &resolve.types[model.types["request"]].kind else { panic!("no record") };
    let fields: Vec<&str> = request.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        fields,
        [
            "model",
            "messages",
            "tools",
            "tool-choice",
            "output-schema",
            "max-tokens",
            "temperature",
            "top-p",
            "stop",
            "effort",
            "cache-until",
            "provider-options",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t82_refusals_of_providers_are_repeated_three_times_at_most_or_never() {
    // Nobody may come here.
    let elsewhere = Teller::answering(|_| Says::Once(whole(&Value::Null)));
    let place = elsewhere.config(1);
    let place = place.lines().find_map(|line| line.strip_prefix("base-url = ")).unwrap().trim_matches('"').to_owned();
    // The prompt names the answer.
    let teller = Teller::answering(move |body| {
        let asked = body["messages"][0]["content"].as_str().unwrap();
        let html = "<html><body>Please log in to the hotel's network.</body></html>";
        Says::Once(match asked {
            "500" => status("500 Oops", "", html),
            "503" => status("503 Oops", "retry-after: -7\r\n", "{\"error\":\"down\"}"),
            "529" => status("529 Oops", "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""),
            "502" => status("502 Oops", "retry-after: soon\r\n", ""),
            "401" => status("401 Oops", "", "{\"error\":{\"message\":\"no such key\"}}"),
            "403" => status("403 Oops", "", html),
            "429" => status("429 Oops", "retry-after: 99999999\r\n", "{\"error\":{\"message\":\"slow down\"}}"),
            "302" => status("302 Found", &format!("location: {place}/chat/completions\r\n"), ""),
            _ => whole(&Value::Null),
        })
    });
    let ground = Ground::with(&teller.config(3)).await;
    // In this order no five failures stand in a row, after which a provider is left alone.
    for (asked, times, kind) in [
        ("500", 3, "unavailable"),
        ("401", 1, "unavailable"),
        ("503", 3, "unavailable"),
        ("403", 1, "unavailable"),
        // A gateway that gave up may be billed, so it is asked once more and not twice.
        ("502", 2, "unavailable"),
        ("302", 1, "unavailable"),
        ("529", 3, "unavailable"),
    ] {
        let before = teller.bodies().len();
        let begun = Instant::now();
        let error = ground.host.call("generate", json!({ "prompt": asked })).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{asked}: {error:?}");
        assert_eq!(teller.bodies().len() - before, times, "{asked}: {error:?}");
        assert!(!error.to_string().contains("hotel"), "a page is named and not copied: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{asked}: {:?}", begun.elapsed());
    }
    assert_eq!(elsewhere.bodies().len(), 0, "a redirect is not followed");
    // A wait that would outlive the call is not begun.
    let before = teller.bodies().len();
    let begun = Instant::now();
    let limits = LimitSettings { wall_seconds: Some(20), ..LimitSettings::default() };
    let error = ground.host.limited("generate", json!({ "prompt": "429" }), limits).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable", "{error:?}");
    assert_eq!(teller.bodies().len() - before, 1);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // The pair.
    assert_eq!(text(ground.host.call("generate", json!({ "prompt": "200" })).await), "fine");
    ground.survived_probe().await;
}

/// A whole answer is on its way and nothing is settled yet: the host that starts again charges what was set aside, once.
#[test]
fn t83_a_host_killed_between_answer_and_bill_charges_in_full() {
    let teller = Teller::answering(|_| Says::Hang(stream(&word("Half "))));
    let home = Home::with_config(&teller.config(1));
    let mut command = home.command(&["run"]);
    command.arg(probe()).args(["--tool", "stream", "--prompt", "hello", "--max-tokens", "100"]);
    command.args(["--allow", "model", "--allow", "kv"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    teller.wait();
    child.kill().unwrap();
    assert_eq!(Done::wait(child, begun).code, 128 + 9);

    for _ in 0..2 {
        // The second time finds nothing left to charge.
        let ask = ["--prompt", "hello", "--max-tokens", "901", "--set", "budget.skill-day.output-tokens=1000"];
        let done = home.probe("generate", &ask);
        done.fails("refused", 3, "100 used or reserved, 901 needed", "budget.skill-day.output-tokens");
    }
    assert_eq!(teller.bodies().len(), 1, "nothing was asked again");
    // The record of the act is there, though nobody wrote how it ended.
    home.run(&["audit", "verify"]).worked();
    let records = home.run(&["audit", "list", "--format", "json", "--capability", "model"]).worked().out;
    assert!(records.contains("intent"), "{records}");
}
