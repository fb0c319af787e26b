//! Keys of other skills' values, and secrets that a skill would like to see.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfence_core::capability::http::{Exchange, Target};
use ringfence_core::journal::audit::Filter;
use ringfence_core::{Call, Error, Finished, Grants, Settings, SkillRef};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::ground::{Ground, kind, text};
use crate::support::hosts::{said, stored};
use crate::support::peer::{Peer, Said, ok};
use crate::support::{Done, Home, Provider, Server, TestHost};

const KV: &str = "[permissions.kv]\n";

async fn put(ground: &Ground, skill: &SkillRef, key: &str, value: &str) -> Result<Finished, Error> {
    ground.host.stored(skill, "put", json!({ "key": key, "value": value })).await
}

async fn read(ground: &Ground, skill: &SkillRef, key: &str) -> String {
    text(ground.host.stored(skill, "read", json!({ "key": key })).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn t120_a_key_is_a_name_and_no_way_out() {
    let ground = Ground::new().await;
    let a = ground.host.install("a", KV, &["kv"]).await;
    let b = ground.host.install("b", KV, &["kv"]).await;
    let ab = ground.host.install("a-b", KV, &["kv"]).await;
    let odd = ["../b", "b/k", "../../etc/passwd", "/etc/passwd", "%", "_", "' OR 1=1 --", "k", "b", "-b"];
    for key in odd {
        put(&ground, &a, key, "of a").await.unwrap();
        put(&ground, &b, key, "of b").await.unwrap();
    }
    for key in odd {
        assert_eq!(read(&ground, &a, key).await, "of a", "{key:?}");
        assert_eq!(read(&ground, &b, key).await, "of b", "{key:?}");
        assert_eq!(read(&ground, &ab, key).await, "nothing", "{key:?}");
    }
    let mut listed: Vec<String> =
        text(ground.host.stored(&a, "listed", json!({ "prefix": "" })).await).lines().map(str::to_owned).collect();
    listed.sort();
    let mut expected = odd.map(str::to_owned);
    expected.sort();
    assert_eq!(listed, expected, "its own and no other's");
    assert_eq!(text(ground.host.stored(&ab, "listed", json!({ "prefix": "" })).await), "");
    assert_eq!(text(ground.host.stored(&a, "listed", json!({ "prefix": "%" })).await), "%");

    // What is no key: said so, and nothing is kept.
    for (key, kind, words) in [
        (String::new(), "failed", "empty"),
        ("a\0b".into(), "failed", "U+0000"),
        ("a\nb".into(), "failed", "U+000A"),
        ("x".repeat(257), "refused", "at most 256"),
        ("x".repeat(10 << 10), "refused", "at most 256"),
    ] {
        let error = put(&ground, &b, &key, "x").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words) && error.to_string().len() < 1_000, "{error}");
    }
    assert_eq!(text(ground.host.stored(&b, "listed", json!({ "prefix": "x" })).await), "");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t120_a_quota_ends_what_is_kept_and_nothing_else() {
    let ground = Ground::new().await;
    let skill = ground.host.install("a", KV, &[]).await;
    let quota = |text: &str| -> Grants { toml::from_str(&format!("[kv]\n{text}\n")).unwrap() };
    let put = async |allow: Grants, key: String, value: String| {
        let call = stored(&skill, "put", json!({ "key": key, "value": value }));
        ground.host.host.invoke(Call { allow, ..call }).await
    };
    for n in 0..3 {
        put(quota("max-keys = 3"), n.to_string(), "x".into()).await.unwrap();
    }
    let error = put(quota("max-keys = 3"), "3".into(), "x".into()).await.unwrap_err();
    assert!(error.kind() == "refused" && error.to_string().contains("at most 3"), "{error:?}");
    put(quota("max-keys = 3"), "0".into(), "y".into()).await.unwrap();
    let error = put(quota("max-bytes = 1000"), "0".into(), "x".repeat(1_000)).await.unwrap_err();
    assert!(error.kind() == "refused" && error.to_string().contains("at most 1000"), "{error:?}");
    // A value has a limit of its own.
    let error = put(quota("max-bytes = 100000000"), "0".into(), "x".repeat(2 << 20)).await.unwrap_err();
    assert!(error.kind() == "refused" && error.to_string().contains(&(1 << 20).to_string()), "{error:?}");
    let read = Call { allow: quota(""), ..stored(&skill, "read", json!({ "key": "0" })) };
    assert_eq!(text(ground.host.host.invoke(read).await), "y");
    // The pair: without a grant there is no state at all.
    assert_eq!(kind(ground.host.stored(&skill, "read", json!({ "key": "0" })).await), "refused");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t120_sixty_four_writers_lose_nothing() {
    let ground = Ground::new().await;
    let skill = ground.host.install("a", KV, &["kv"]).await;
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let (host, skill) = (ground.host.host.clone(), skill.clone());
            tokio::spawn(async move {
                loop {
                    match host.invoke(stored(&skill, "count", json!({}))).await {
                        Ok(done) => return said(&done).parse::<u64>().unwrap(),
                        // Others were faster 32 times, or there was no room: nothing was counted.
                        Err(error) => assert!(["unavailable", "busy"].contains(&error.kind()), "{error:?}"),
                    }
                }
            })
        })
        .collect();
    let mut counted = Vec::new();
    for writer in writers {
        counted.push(writer.await.unwrap());
    }
    counted.sort_unstable();
    assert_eq!(counted, (1..=64).collect::<Vec<u64>>(), "each number once, none lost");
    ground.survived(None, "").await;
}

const CANARY: &str = "sk-CANARY-7f3a9c51e2d84b60";
/// The same as base64.
const CANARY_64: &str = "c2stQ0FOQVJZLTdmM2E5YzUxZTJkODRiNjA";
const PLACE: &str = "{{secret:API_KEY}}";

/// What a skill requests that speaks to `peer` with a secret.
fn permissions(peer: &Peer) -> String {
    format!(
        "[permissions.http]\nallow = [{:?}]\n[permissions.secrets]\nnames = [\"API_KEY\"]\n[permissions.kv]\n\
         [permissions.model]\nmodels = [\"default\"]\n",
        peer.url("")
    )
}

fn grants(peer: &Peer) -> [String; 4] {
    [format!("http={}", peer.url("")), "secrets=API_KEY".into(), "kv".into(), "model=default".into()]
}

/// A peer that gives back what it was told, plainly, as base64, and the whole once more byte by byte.
fn echo() -> Peer {
    Peer::says(|head| {
        let given = head.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default().to_owned();
        let coded = if given.contains(CANARY) { format!("{CANARY_64}=") } else { String::new() };
        let body = format!("you said {given} or {coded}, once more: {given}.");
        let pieces: String = body.chars().map(|c| format!("{:x}\r\n{c}\r\n", c.len_utf8())).collect();
        let head =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\nx-echo: {given}\r\n\r\n");
        Said::Once(format!("{head}{pieces}0\r\n\r\n").into_bytes())
    })
}

async fn with_secret(ground: &Ground, peer: &Peer) -> SkillRef {
    let grants = grants(peer);
    let skill = ground.host.install("a", &permissions(peer), &grants.each_ref().map(String::as_str)).await;
    ground.host.host.set_secret("API_KEY", &SecretString::from(CANARY), &[peer.url("")]).await.unwrap();
    skill
}

/// No file below the state directory has the secret in it, plainly or as base64.
#[track_caller]
fn nowhere_in(home: &Home, folder: &str) {
    let files = home.files(folder);
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("CANARY") && !text.contains(&CANARY_64[..32]), "{file} has the secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t71_a_secret_is_in_a_header_on_the_way_out_and_nowhere_else() {
    let peer = echo();
    let ground = Ground::new().await;
    let skill = with_secret(&ground, &peer).await;
    let input = json!({ "url": peer.url("/"), "headers": [["x-key", PLACE]] });
    let seen: Value = ground.host.stored(&skill, "fetch", input).await.unwrap().outcome.structured.unwrap();
    assert_eq!(peer.heads()[0].matches(CANARY).count(), 1, "the peer was told");
    let body = seen["text"].as_str().unwrap();
    assert!(body.starts_with("you said [redacted] or ") && body.ends_with(", once more: [redacted]."), "{body}");
    let shown = seen.to_string();
    assert!(!shown.contains("CANARY") && !shown.contains(&CANARY_64[..32]), "{shown}");
    assert!(seen["headers"].as_array().unwrap().contains(&json!(["x-echo", "[redacted]"])), "{shown}");
    nowhere_in(&ground.host.home, "state");

    // Anywhere else the placeholder is the text that it is.
    let url = peer.url(&format!("/{PLACE}?q={PLACE}"));
    ground.host.stored(&skill, "fetch", json!({ "url": url })).await.unwrap();
    let head = peer.heads().pop().unwrap();
    assert!(!head.contains("CANARY") && head.contains("secret:API_KEY"), "{head}");

    let taker = Peer::says(|_| Said::AfterAll(ok("taken")));
    let grant = Grants::parse([format!("http={}", taker.url("")).as_str()]).unwrap();
    let uploader = ground.host.install("up", &permissions(&taker), &["secrets=API_KEY"]).await;
    let upload = json!({ "url": taker.url("/"), "piece": PLACE, "times": 2, "finish": true });
    let upload = Call { allow: grant, ..stored(&uploader, "upload", upload) };
    assert_eq!(text(ground.host.host.invoke(upload).await), "taken");
    assert_eq!(String::from_utf8(taker.gone()).unwrap().matches(PLACE).count(), 2);

    put(&ground, &skill, "k", PLACE).await.unwrap();
    assert_eq!(read(&ground, &skill, "k").await, PLACE);
    assert_eq!(text(ground.host.stored(&skill, "note", json!({ "text": PLACE })).await), "noted");
    assert_eq!(text(ground.host.stored(&skill, "has_secret", json!({ "name": "API_KEY" })).await), "true");
    ground.survived(None, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t71_a_placeholder_in_a_prompt_stays_what_it_is() {
    let (peer, provider) = (Peer::polite(), Provider::says("An answer."));
    let ground = Ground::with(&provider.config().replace("key-env = \"FAKE_KEY\"\n", "")).await;
    let skill = with_secret(&ground, &peer).await;
    assert_eq!(text(ground.host.stored(&skill, "generate", json!({ "prompt": PLACE })).await), "An answer.");
    let asked = provider.requests().pop().unwrap().body.to_string();
    assert!(asked.contains(PLACE) && !asked.contains("CANARY"), "{asked}");
    // The connection to the provider is kept for the next call, and with it its task: less is asked than by `survived`.
    ground.host.still_works().await;
    assert_eq!(ground.host.host.audit().verify().await.unwrap().fault, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn t76_what_is_absent_not_granted_or_bound_elsewhere_is_refused_alike() {
    let (peer, other) = (Peer::polite(), Peer::polite());
    let ground = Ground::new().await;
    let host = &ground.host.host;
    let http = format!("http={}", peer.url(""));
    let granted = ground.host.install("a", &permissions(&peer), &[&http, "secrets=API_KEY"]).await;
    let not_granted = ground.host.install("b", &permissions(&peer), &[&http]).await;
    let refusal = async |skill: &SkillRef, name: &str| {
        let input = json!({ "url": peer.url("/"), "headers": [["x-key", format!("{{{{secret:{name}}}}}")]] });
        let error = ground.host.stored(skill, "fetch", input).await.unwrap_err();
        assert_eq!(error.kind(), "refused", "{error:?}");
        let hint = error.hint().replace("grant b ", "grant a ");
        let there = text(ground.host.stored(skill, "has_secret", json!({ "name": name })).await);
        (error.to_string(), hint, there)
    };
    let absent = refusal(&granted, "API_KEY").await;
    assert!(absent.0.contains("there is no secret `API_KEY` that this skill may send to"), "{absent:?}");

    let value = SecretString::from(CANARY);
    host.set_secret("API_KEY", &value, &[other.url("")]).await.unwrap();
    let bound_elsewhere = refusal(&granted, "API_KEY").await;
    assert_eq!((&bound_elsewhere.0, &bound_elsewhere.1), (&absent.0, &absent.1));

    host.set_secret("API_KEY", &value, &[peer.url("")]).await.unwrap();
    assert_eq!(refusal(&not_granted, "API_KEY").await, absent, "as if there were none, `exists` too");
    // Names are exact.
    for name in ["api_key", "API_KEY ", " API_KEY", "../API_KEY", "API_KEYS", ""] {
        assert_eq!(refusal(&granted, name).await.2, "false", "{name:?}");
    }
    assert_eq!((peer.connections(), other.connections()), (0, 0), "nothing was sent");
    // The pair.
    let input = json!({ "url": peer.url("/"), "headers": [["x-key", PLACE]] });
    ground.host.stored(&granted, "fetch", input).await.unwrap();
    assert!(peer.heads()[0].contains(CANARY));
    // The refusals are on record, and the value is not.
    let records = host.audit().list(Filter::default(), 1_000).await.unwrap();
    assert!(records.iter().any(|record| record.subject.contains("API_KEY")), "{records:?}");
    assert!(!format!("{records:?} {:?}", host.secrets()).contains("CANARY"));
    ground.survived(None, "").await;
}

/// A text that another skill passes on means what both may do with it, wherever it came from.
#[tokio::test(flavor = "multi_thread")]
async fn t96_a_placeholder_of_the_caller_s_is_worth_what_both_were_granted() {
    let peer = echo();
    let ground = Ground::new().await;
    let host = &ground.host.host;
    host.set_secret("API_KEY", &SecretString::from(CANARY), &[peer.url("")]).await.unwrap();
    let permissions = format!("{}[permissions.tools]\ntools = [\"b/*\"]\n", permissions(&peer));
    let http = format!("http={}", peer.url(""));
    let b = ground.host.install("b", &permissions, &[&http]).await;
    let a = ground.host.install("a", &permissions, &[&http, "tools=b/*"]).await;
    let fetch = json!({ "url": peer.url("/"), "headers": [["x-key", PLACE]] });
    let through = async || ground.host.stored(&a, "attempt", json!({ "name": "b/fetch", "input": fetch })).await;
    let grant = async |skill: &str| host.grant(skill, Grants::parse(["secrets=API_KEY"]).unwrap()).await.unwrap();
    let revoke = async |skill: &str| host.revoke(skill, Some("secrets")).await.unwrap();
    let refused = async |lacks: &str| {
        let before = peer.connections();
        let told = text(through().await);
        assert!(told.starts_with("failure: FailureKind::Refused: ") && told.contains("no secret `API_KEY`"), "{told}");
        assert!(!told.contains("CANARY"), "{told}");
        assert_eq!(peer.connections(), before, "nothing was sent");
        // Who lacks it stands in what a person is told.
        let error = ground.host.stored(&a, "relay", json!({ "name": "b/fetch", "input": fetch })).await.unwrap_err();
        assert!(error.hint().contains(&format!("ringfence grant {lacks} secrets=API_KEY")), "{}", error.hint());
        assert_eq!(peer.connections(), before);
    };
    // The caller may use it, and whom it calls may not.
    grant("a").await;
    refused("b").await;
    ground.host.stored(&a, "fetch", fetch.clone()).await.unwrap();
    assert_eq!(peer.heads().pop().unwrap().matches(CANARY).count(), 1, "the pair: by itself");
    // The one that is called may use it, and its caller may not.
    revoke("a").await;
    grant("b").await;
    refused("a").await;
    ground.host.stored(&b, "fetch", fetch.clone()).await.unwrap();
    assert_eq!(peer.heads().pop().unwrap().matches(CANARY).count(), 1, "the pair: by itself");
    // Both may: the server is told, and neither of them.
    grant("a").await;
    let done = through().await.unwrap();
    assert_eq!(peer.heads().pop().unwrap().matches(CANARY).count(), 1);
    let shown = format!("{:?}", done.outcome);
    assert!(shown.contains("outcome: ") && !shown.contains("CANARY") && !shown.contains(&CANARY_64[..32]), "{shown}");
    assert_eq!(peer.connections(), 3);
    nowhere_in(&ground.host.home, "state");
    ground.survived(None, "").await;
}

/// A skill that may use a secret, as a file of `home`.
fn packaged(home: &Home, permissions: &str) -> PathBuf {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = TestHost::new().await;
        let made = host.packaged("keyed", permissions).await;
        let path = home.path("work/keyed.wasm");
        std::fs::copy(made, &path).unwrap();
        path
    })
}

#[test]
fn t74_a_secret_is_in_nothing_that_the_program_says_or_keeps() {
    let peer = echo();
    let home = Home::new();
    let skill = packaged(&home, &permissions(&peer)).display().to_string();
    let mut set = home.command(&["secret", "set", "API_KEY", "--host", &peer.url(""), "--from-env", "MINE", "-vv"]);
    let mut told = vec![Done::of(set.env("MINE", CANARY)).worked()];
    let grants = grants(&peer);
    let run = |tool: &str, input: Value| {
        let input = input.to_string();
        let mut args = vec!["run", &skill, "--tool", tool, "--input", &input, "-vv"];
        for grant in &grants {
            args.extend(["--allow", grant]);
        }
        home.run(&args)
    };
    told.push(run("fetch", json!({ "url": peer.url("/"), "headers": [["x-key", PLACE]] })).worked());
    assert!(peer.heads()[0].contains(CANARY), "the peer was told");
    // Ways to fail with a secret in hand.
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let own = peer.url("/");
    for (url, headers) in [
        (nobody.as_str(), json!([["x-key", PLACE]])),
        (own.as_str(), json!([["x-key", "{{secret:API_KEY"]])),
        (own.as_str(), json!([["x-key", "{{secret:OTHER}}"]])),
        (own.as_str(), json!([["x-key", PLACE], ["bad\nname", PLACE]])),
    ] {
        let done = run("fetch", json!({ "url": url, "headers": headers }));
        assert!(done.code != 0 && done.err.contains("error["), "{done:?}");
        told.push(done);
    }
    told.push(run("note", json!({ "text": PLACE })).worked());
    told.push(run("panics", json!({ "message": PLACE })));
    for verb in [
        &["secret", "list"][..],
        &["secret", "list", "--format", "json"],
        &["audit", "list", "--format", "json"],
        &["audit", "export"],
        &["config", "show", "-vv"],
        &["doctor", "-vv"],
    ] {
        told.push(home.run(verb));
    }
    for done in &told {
        let all = format!("{}{}", done.out, done.err);
        assert!(!all.contains("CANARY") && !all.contains(&CANARY_64[..32]), "{all}");
    }
    nowhere_in(&home, "state");
    home.run(&["audit", "verify"]).worked();
}

/// Takes what OpenTelemetry sends, and keeps every byte of it.
fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got = Arc::<Mutex<Vec<u8>>>::default();
    let kept = Arc::clone(&got);
    // Ends with the process: it holds nothing but a socket.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut all = Vec::new();
            let mut piece = [0; 16 << 10];
            let whole = |all: &[u8]| {
                let text = String::from_utf8_lossy(all).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                body.len() >= length.unwrap_or(0)
            };
            while !whole(&all)
                && let Ok(n @ 1..) = stream.read(&mut piece)
            {
                all.extend_from_slice(&piece[..n]);
            }
            kept.lock().unwrap().extend(all);
            drop(stream.write_all(&ok("{}")));
        }
    });
    (url, got)
}

/// A server that fails in every way with what it was told in its mouth.
fn failing(elsewhere: &Peer) -> Peer {
    let elsewhere = elsewhere.url("");
    Peer::says(move |head| {
        let given = head.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
        let path = head.split([' ', '?']).nth(1).unwrap_or_default();
        let answer = |line: &str, headers: &str, body: &str| {
            let length = body.len();
            let head = format!("HTTP/1.1 {line}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n");
            format!("{head}{body}").into_bytes()
        };
        let to = |location: String| answer("307 There", &format!("location: {location}\r\n"), given);
        Said::Once(match path {
            "/refused" => answer(&format!("403 {given}"), &format!("www-authenticate: {given}\r\n"), given),
            "/broken" => answer(&format!("500 {given}"), "", given),
            "/redirect" => to(format!("/found/{given}?key={given}")),
            "/elsewhere" => to(format!("{elsewhere}/{given}?key={given}")),
            "/round" => to(format!("/round?key={given}")),
            "/nowhere" => to(format!("http://{given}@[{given}/")),
            "/cut" => format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{given}").into_bytes(),
            "/garbage" => format!("{given} {given}\r\n\r\n{given}").into_bytes(),
            "/heads" => format!("HTTP/1.1 200 OK\r\nx\0: {given}\r\n\r\n").into_bytes(),
            "/packed" => answer("200 OK", "content-encoding: gzip\r\n", given),
            "/endless" => {
                let piece = format!("{given} ").repeat(1_000).into_bytes();
                return Said::Flood(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), piece);
            }
            "/silent" => return Said::Hang(Vec::new()),
            _ => answer("200 OK", "", given),
        })
    })
}

/// Whatever fails with a secret in hand, none of what the program says, writes down, sends to a collector or answers to a client has it.
#[test]
fn t74_no_way_to_fail_tells_a_secret() {
    let elsewhere = Peer::polite();
    let peer = failing(&elsewhere);
    let (telemetry, got) = collector();
    // Nobody listens there.
    let nobody = "127.0.0.1:9";
    let in_the_clear = format!("https://{}", elsewhere.at);
    let servers = [peer.url(""), format!("http://{nobody}"), in_the_clear, "https://secret.invalid".into()];
    let home = Home::with_config("[http]\nresponse-kib = 64\nrequests = 8\n[engine]\nconcurrent = 64\n");
    let permissions =
        format!("[permissions.http]\nallow = {servers:?}\n[permissions.secrets]\nnames = [\"API_KEY\"]\n");
    let skill = packaged(&home, &permissions).display().to_string();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        // Everything that any library has to say.
        ("RUST_LOG", "trace"),
    ];
    let mut set = vec!["secret", "set", "API_KEY", "--from-env", "MINE"];
    set.extend(servers.iter().flat_map(|server| ["--host", server]));
    let mut told = vec![Done::of(home.command(&set).env("MINE", CANARY).envs(variables)).worked()];
    let http = format!("http={}", servers.join(","));

    let headers = json!([["x-key", PLACE]]);
    // What the skill is given itself stands in the query, which no record and no error has.
    let ways: Vec<(&str, Value)> = [
        ("fine", format!("{}/", servers[0])),
        ("fine", format!("{}/refused", servers[0])),
        ("fine", format!("{}/broken", servers[0])),
        ("fine", format!("{}/redirect", servers[0])),
        ("refused", format!("{}/elsewhere?key={CANARY}", servers[0])),
        ("refused", format!("{}/round?key={CANARY}", servers[0])),
        ("refused", format!("{}/nowhere?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/cut?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/garbage?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/heads?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/packed?key={CANARY}", servers[0])),
        ("refused", format!("{}/endless?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/silent?key={CANARY}", servers[0])),
        ("unavailable", format!("{}/?key={CANARY}", servers[1])),
        ("unavailable", format!("{}/?key={CANARY}", servers[2])),
        // Name servers that answer everything lead into a network of their own.
        ("unavailable refused", format!("{}/?key={CANARY}", servers[3])),
        // Not granted, and not to be asked for at all.
        ("refused", elsewhere.url(&format!("/?key={CANARY}"))),
        ("failed", format!("http://me:{CANARY}@{}/", peer.at)),
        ("failed", format!("ftp://{}/?key={CANARY}", peer.at)),
    ]
    .into_iter()
    .map(|(end, url)| {
        let patience = if url.contains("/silent") { json!(300) } else { json!(null) };
        (end, json!({ "url": url, "headers": headers, "timeout_ms": patience }))
    })
    .collect();
    for (end, input) in &ways {
        let input = input.to_string();
        let args =
            ["run", &skill, "--tool", "fetch", "--input", &input, "--allow", &http, "--allow", "secrets=API_KEY"];
        let done = Done::of(home.command(&args).envs(variables));
        let ended = |end: &str| match end {
            "fine" => done.code == 0,
            _ => done.err.contains(&format!("error[{end}]: ")),
        };
        assert!(end.split(' ').any(ended), "{input}: {done:?}");
        told.push(done);
    }
    assert!(peer.heads().iter().filter(|head| head.contains(CANARY)).count() > 10, "the peer was told");
    assert!(elsewhere.heads().is_empty(), "{:?}", elsewhere.heads());

    // The same by way of a server, whose answers others read.
    home.run(&["add", &skill, "--grant-nothing"]).worked();
    home.run(&["grant", "keyed", &http, "secrets=API_KEY"]).worked();
    let server = Server::within(home, &["-vvv"], &variables);
    let mut answers = Vec::new();
    for (end, input) in &ways {
        let answer = server.post("/v1/tools/keyed_fetch", &[], input);
        let ended = answer.kind().unwrap_or_else(|| "fine".into());
        assert!(end.split(' ').any(|end| end == ended), "{input}: {answer:?}");
        answers.push(answer);
    }
    for path in ["/v1/runs", "/v1/skills/keyed", "/metrics"] {
        answers.push(server.get(path));
    }
    answers.push(server.ask("GET /v1/audit", &[&Server::bearer(&server.admin)], ""));
    assert!(answers.iter().all(|answer| answer.status != 404), "{answers:?}");
    for verb in
        [&["audit", "export"][..], &["runs", "list", "--format", "json"], &["doctor", "-vv"], &["config", "show"]]
    {
        told.push(server.home.run(verb));
    }
    server.still_works();
    server.signal("-INT");
    told.push(server.home.run(&["audit", "verify"]).worked());

    let has = |text: &str| text.contains("CANARY") || text.contains(&CANARY_64[..32]);
    for done in &told {
        assert!(!has(&done.out) && !has(&done.err), "{done:?}");
    }
    for answer in &answers {
        assert!(!has(&answer.body) && !has(&answer.head.to_uppercase()), "{answer:?}");
    }
    assert!(!has(&server.errors()), "{}", server.errors());
    let sent = String::from_utf8_lossy(&got.lock().unwrap()).into_owned();
    for signal in ["/v1/traces", "/v1/metrics", "/v1/logs", "keyed"] {
        assert!(sent.contains(signal), "{signal}");
    }
    assert!(!has(&sent), "{sent}");
    nowhere_in(&server.home, "state");
}

/// Whoever writes one of these into a log by accident writes no secret.
#[test]
fn t74_nothing_that_is_configured_or_asked_for_is_shown_with_its_secrets() {
    let settings: Settings = toml::from_str(&format!(
        "[models.providers.mine]\ntype = \"openai-compatible\"\nbase-url = \"https://gateway.test/{CANARY}/v1?key={CANARY}\"\n\
         [mcp-servers.one]\ncommand = \"x\"\nargs = [\"--token={CANARY}\"]\nenv = {{ TOKEN = \"{CANARY}\" }}\n\
         [mcp-servers.two]\nurl = \"https://mcp.test/\"\nheaders = {{ Authorization = \"Bearer {CANARY}\" }}\n"
    ))
    .unwrap();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {CANARY}").parse().unwrap());
    let exchange = Exchange {
        skill: "a".into(),
        method: reqwest::Method::POST,
        target: Target::parse(&format!("https://api.test/x?key={CANARY}")).unwrap(),
        headers,
        body: CANARY.into(),
        upload: false,
        networks: Vec::new(),
        patience: Duration::from_secs(1),
        redirected_by: None,
    };
    for (what, shown, known) in [
        ("settings", format!("{settings:?}"), "gateway.test"),
        ("settings", format!("{settings:#?}"), "mcp.test"),
        ("a request", format!("{exchange:?}"), "https://api.test/x"),
        ("a secret", format!("{:?}", SecretString::from(CANARY)), "REDACTED"),
    ] {
        assert!(shown.contains(known), "{what}: {shown}");
        assert!(!shown.contains("CANARY"), "{what}: {shown}");
    }
}

/// A host that crashes leaves no image of its memory, where the secrets are that it filled in last. A limit of no byte at all would not do:
/// a program that collects images is given them all the same.
#[cfg(target_os = "linux")]
#[test]
fn t74_no_image_of_the_memory_is_left() {
    use crate::support::process::{is_alive, until};
    let server = Server::bare();
    let core = |process: &str| -> Vec<String> {
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        core.split_whitespace().map(str::to_owned).collect()
    };
    // Neither now nor raised again; who may have none at all cannot set it to one.
    let (set, ours) = (core(&server.pid().to_string()), core("self"));
    assert!(set == ["1", "1", "bytes"] || ours[1] == "0", "{set:?}, and {ours:?} around it");
    server.signal("-ABRT");
    until("it has crashed", || (!is_alive(server.pid())).then_some(()));
    assert!(server.home.files("work").is_empty(), "{:?}", server.home.files("work"));
}
