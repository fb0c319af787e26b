//! Guests that want to reach what they must not, and servers that answer as badly as they can.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::{Call, Error, Finished, SkillRef};
use serde_json::{Value, json};

use crate::ground::{Ground, text};
use crate::support::hosts::web_call;
use crate::support::peer::{Peer, Said, ok};
use crate::support::{Done, Home, TestHost};

/// A host, and a skill that requests these servers and is granted them.
struct Web {
    ground: Ground,
    skill: SkillRef,
    grant: String,
}

impl Web {
    async fn granted(rules: &[&str]) -> Self {
        Self::with("", rules).await
    }

    async fn with(settings: &str, rules: &[&str]) -> Self {
        let ground = Ground::with(settings).await;
        let skill = ground.host.web(rules).await;
        Self { ground, skill, grant: rules.join(",") }
    }

    fn a_call(&self, tool: &str, input: Value) -> Call {
        web_call(&self.skill, tool, input, &self.grant)
    }

    async fn call(&self, tool: &str, input: Value) -> Result<Finished, Error> {
        self.ground.host.host.invoke(self.a_call(tool, input)).await
    }

    /// Gets a URL, and gives what the skill saw.
    async fn get(&self, url: &str) -> Result<Value, Error> {
        self.call("fetch", json!({ "url": url })).await.map(|done| done.outcome.structured.unwrap())
    }
}

#[track_caller]
fn refused(done: Result<Value, Error>) -> String {
    let error = done.unwrap_err();
    // A URL or a header that is wrong in itself is `failed`: asking the operator would not help.
    assert!(["refused", "unavailable", "failed"].contains(&error.kind()), "{error:?}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_no_spelling_of_a_url_reaches_what_was_not_granted() {
    let (granted, canary) = (Peer::polite(), Peer::polite());
    let web = Web::with("[http]\nrequests = 1000", &[&granted.url(""), "http://api.example.com"]).await;
    assert_eq!(web.get(&granted.url("/")).await.unwrap()["text"], "hello");
    let port = canary.at.port();
    for url in [
        "http://127.0.0.1:P/",
        "http://2130706433:P/",
        "http://0x7f000001:P/",
        "http://017700000001:P/",
        "http://127.1:P/",
        "http://127.0.0.1.:P/",
        "http://127。0。0。1:P/",
        "http://0:P/",
        "http://[::1]:P/",
        "http://[::ffff:127.0.0.1]:P/",
        "http://[::127.0.0.1]:P/",
        "http://localhost:P/",
        "http://localhost.:P/",
        "http://api.example.com@127.0.0.1:P/",
        "http://api.example.com:80@127.0.0.1:P/",
        "http://127.0.0.1:P\\@api.example.com/",
        "http:\\\\127.0.0.1:P/",
        "http:127.0.0.1:P",
        "http:///127.0.0.1:P/",
        "http://127.0.0\t.1:P/",
        "https://127.0.0.1:P/",
        "ws://127.0.0.1:P/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:P/",
        "data:text/plain,x",
        "//127.0.0.1:P/",
    ] {
        refused(web.get(&url.replace('P', &port.to_string())).await);
    }
    assert_eq!((canary.connections(), granted.connections()), (0, 1));
    web.ground.survived_probe().await;
}

#[test]
fn t64_no_proxy_of_the_environment_is_used() {
    let (canary, peer) = (Peer::polite(), Peer::polite());
    let home = Home::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let skill = runtime.block_on(async {
        let host = TestHost::new().await;
        let skill = host.web(&[&peer.url("")]).await;
        std::fs::copy(skill.identity(), home.path("work/web.wasm")).unwrap();
        home.path("work/web.wasm").display().to_string()
    });
    drop(runtime);
    let (url, allow) = (peer.url("/"), format!("http={}", peer.url("")));
    let run = |more: &[&str]| {
        let fetch = ["run", &skill, "--tool", "fetch", "--url", &url, "--allow", "model=default", "--allow", "kv"];
        let mut command = home.command(&[&fetch[..], more].concat());
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, canary.url("/"));
        }
        Done::of(command.env_remove("NO_PROXY").env_remove("no_proxy"))
    };
    // Refused without the grant, with the command that gives it.
    let hint = format!("ringfence grant {skill} {allow}");
    run(&[]).fails("denied", 3, &peer.url(""), &hint);
    assert_eq!(peer.connections(), 0);
    let done = run(&["--allow", &allow]).worked();
    assert!(done.out.contains("hello"), "{done:?}");
    assert_eq!((peer.connections(), canary.connections()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn t65_heads_that_would_confuse_somebody_are_never_sent() {
    let peer = Peer::polite();
    let web = Web::with("[http]\nrequests = 1000", &[&peer.url("")]).await;
    let send = async |method: &str, url: &str, headers: Value| {
        let input = json!({ "method": method, "url": url, "headers": headers });
        web.call("fetch", input).await.map(|done| done.outcome.structured.unwrap())
    };
    let url = peer.url("/");
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Proxy-Authorization",
        "Cookie",
        "X-Forwarded-For",
    ] {
        let why = refused(send("GET", &url, json!([[name, "1"]])).await);
        assert!(why.contains("belongs to the host"), "{name}: {why}");
    }
    for (name, value) in [("x", "a\r\nHost: evil"), ("x\r\ny", "a"), ("x", "a\0b"), ("", "a")] {
        refused(send("GET", &url, json!([[name, value]])).await);
    }
    let many: Vec<_> = (0..10_000).map(|n| (format!("x-{n}"), "1")).collect();
    refused(send("GET", &url, json!(many)).await);
    refused(send("GET", &url, json!([["x", "y".repeat(1 << 20)]])).await);
    refused(send("GET", &format!("{url}{}", "x".repeat(70 << 10)), json!([])).await);
    for method in ["CONNECT", "TRACE", "GET / HTTP/1.1\r\nX:", ""] {
        refused(send(method, &url, json!([])).await);
    }
    assert_eq!(peer.connections(), 0, "nothing was sent");
    send("DELETE", &url, json!([["X-Good", "1"]])).await.unwrap();
    let head = &peer.heads()[0];
    assert!(head.starts_with("DELETE / HTTP/1.1\r\n") && head.contains("x-good: 1\r\n"), "{head}");
    assert_eq!(head.to_lowercase().matches("\r\nhost:").count(), 1, "{head}");
    web.ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t66_a_body_without_end_costs_no_memory() {
    let peer =
        Peer::says(|_| Said::Flood(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), vec![b'y'; 64 << 10]));
    let web = Web::with("[http]\nresponse-kib = 4096", &[&peer.url("")]).await;
    let why = refused(web.get(&peer.url("/")).await);
    assert!(why.contains("body of the http response") && why.contains(&(4096 << 10).to_string()), "{why}");
    peer.gone();
    // A skill that reads a little and goes leaves nothing behind.
    let some = web.call("fetch_some", json!({ "url": peer.url("/"), "piece": 1000, "pieces": 3 })).await;
    assert_eq!(text(some), "3000");
    peer.gone();
    web.ground.survived_probe().await;
}

/// No setting has any certificate accepted. That nothing in the sources could is held by `t68_nothing_accepts_invalid_certificates`.
#[test]
fn t68_no_setting_accepts_invalid_certificates() {
    fn keys<'a>(schema: &'a Value, into: &mut BTreeSet<&'a str>) {
        match schema {
            Value::Object(object) => {
                for (name, value) in object {
                    if let ("properties", Some(properties)) = (name.as_str(), value.as_object()) {
                        into.extend(properties.keys().map(String::as_str));
                    }
                    keys(value, into);
                }
            }
            Value::Array(all) => all.iter().for_each(|value| keys(value, into)),
            _ => {}
        }
    }
    let schema = Home::new().run(&["config", "schema"]).worked().json();
    let mut all = BTreeSet::new();
    keys(&schema, &mut all);
    // Of `[http]`, of providers, of MCP servers and of sources.
    for known in ["connect-seconds", "base-url", "headers", "networks"] {
        assert!(all.contains(known), "{known} in {all:?}");
    }
    let words = [
        "insecure",
        "unsafe",
        "dangerous",
        "tls",
        "ssl",
        "cert",
        "certificate",
        "certificates",
        "ca",
        "verify",
        "accept",
        "skip",
    ];
    for key in all {
        assert!(!key.split(['-', '_']).any(|part| words.contains(&part)), "`{key}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_many_at_once_are_refused_above_the_limits() {
    let peer = Peer::says(|_| {
        std::thread::sleep(Duration::from_millis(50));
        Said::Once(ok("hello"))
    });
    let web = Web::granted(&[&peer.url("")]).await;
    let urls: Vec<_> = (0..40).map(|n| peer.url(&format!("/{n}"))).collect();
    let said = text(web.call("fetch_all", json!({ "urls": urls, "at_once": 40 })).await);
    let count = |word: &str| said.lines().filter(|line| line.contains(word)).count();
    assert_eq!((count("200"), count("are under way"), count("number of http requests")), (16, 16, 8), "{said}");
    assert_eq!(peer.connections(), 16);
    // The next invocation begins anew, and one after the other there may be 32.
    let said = text(web.call("fetch_all", json!({ "urls": urls, "at_once": 1 })).await);
    assert_eq!(said.lines().filter(|line| *line == "200").count(), 32, "{said}");
    web.ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t67_looking_for_open_ports_tells_nothing() {
    let peer = Peer::polite();
    let web = Web::with("[http]\nrequests = 1000", &[&peer.url("")]).await;
    let open = Peer::polite();
    for port in [open.at.port(), 1, 22, 80, 443, 65_535] {
        let why = refused(web.get(&format!("http://127.0.0.1:{port}/")).await);
        assert!(why.contains(&format!("port {port} is not")), "{why}");
    }
    assert_eq!(open.connections(), 0, "an open port and a closed one are refused alike, before anything is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn t37_empty_pieces_of_a_body_are_counted() {
    let peer = Peer::says(|_| Said::AfterAll(ok("taken")));
    let web = Web::granted(&[&peer.url("")]).await;
    let upload = async |piece: &str, times: u32, finish: bool| {
        let input = json!({ "url": peer.url("/"), "piece": piece, "times": times, "finish": finish });
        web.call("upload", input).await
    };
    let error = upload("", 10_000_000, true).await.unwrap_err();
    assert!(error.to_string().contains("pieces of an http request's body"), "{error:?}");
    // The pair: pieces arrive in order, and the body ends where the skill says so.
    assert_eq!(text(upload("abc", 100, true).await), "taken");
    // The one that was given up may have come as well, and without an end: half a body must not look like a whole one.
    let body = loop {
        let body = String::from_utf8(peer.gone()).unwrap();
        if body.contains("abc") {
            break body;
        }
        assert!(!body.ends_with("0\r\n\r\n"), "{body}");
    };
    assert_eq!(body.matches("abc").count(), 100);
    assert!(body.ends_with("0\r\n\r\n"));
    assert_eq!(text(upload("abc", 3, false).await), "given up");
    web.ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t44_timeouts_are_clamped_and_a_cancelled_call_lets_go_of_its_server() {
    let peer = Peer::says(|_| Said::Hang(Vec::new()));
    let web = Web::granted(&[&peer.url("")]).await;
    for ms in [0u32, 1, 200] {
        let begun = Instant::now();
        let why = refused(
            web.call("fetch", json!({ "url": peer.url("/"), "timeout_ms": ms }))
                .await
                .map(|done| done.outcome.structured.unwrap()),
        );
        assert!(why.contains("did not begin within") && begun.elapsed() < Duration::from_secs(5), "{why}");
    }
    // The greatest number of all waits until the deadline and no longer.
    let limits = ringfence_core::engine::LimitSettings { wall_seconds: Some(1), ..Default::default() };
    let call = Call { limits, ..web.a_call("fetch", json!({ "url": peer.url("/late"), "timeout_ms": u32::MAX })) };
    let begun = Instant::now();
    assert_eq!(web.ground.host.host.invoke(call).await.unwrap_err().kind(), "deadline");
    assert!(begun.elapsed() < Duration::from_secs(5));

    let call = web.a_call("fetch", json!({ "url": peer.url("/cancelled") }));
    let cancel = call.cancel.clone();
    let host = web.ground.host.host.clone();
    let running = tokio::spawn(async move { host.invoke(call).await });
    while !peer.heads().iter().any(|head| head.contains("/cancelled")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().kind(), "cancelled");
    let standing = peer.heads().len();
    for _ in 0..standing {
        peer.gone();
    }
    web.ground.survived_probe().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t63_t73_a_redirect_is_allowed_and_recorded_like_a_request() {
    let second = Peer::polite();
    let to = second.url("/hop");
    let first = Peer::says(move |_| {
        Said::Once(
            format!("HTTP/1.1 307 There\r\nlocation: {to}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into(),
        )
    });
    let input = json!({ "url": first.url("/"), "headers": [["x-api-key", "hunter2"]] });
    let narrow = Web::granted(&[&first.url("")]).await;
    let error = narrow.call("fetch", input.clone()).await.unwrap_err();
    assert!(error.to_string().contains("redirected by") && error.hint().contains("ringfence grant"), "{error:?}");
    assert_eq!(second.connections(), 0);

    let wide = Web::granted(&[&first.url(""), &second.url("")]).await;
    let seen = wide.call("fetch", input).await.unwrap().outcome.structured.unwrap();
    assert_eq!((&seen["url"], &seen["text"]), (&json!(second.url("/hop")), &json!("hello")));
    assert!(first.heads()[1].contains("hunter2") && !second.heads()[0].contains("hunter2"));
    let wanted =
        Filter { skill: Some(wide.skill.identity().to_owned()), capability: Some("http".into()), ..Filter::default() };
    // Outcomes are told without waiting.
    assert_eq!(wide.ground.host.host.audit().verify().await.unwrap().fault, None);
    let mut records = wide.ground.host.host.audit().list(wanted, 100).await.unwrap();
    // An intent is waited for and an outcome is not, so the next act may be on record before the end of this one.
    records.sort_by_key(|record| record.at_us);
    let events: Vec<_> = records.iter().map(|record| (record.event, record.act)).collect();
    assert_eq!(
        events,
        [(Event::Intent, 1), (Event::Outcome, 1), (Event::Intent, 2), (Event::Outcome, 2)],
        "{records:?}"
    );
    assert!(records.iter().all(|record| !format!("{record:?}").contains("hunter2")));
}
