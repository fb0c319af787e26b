//! `ringfence serve`: what programs get from it, as they ask for it.

use std::io::Write as _;
use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::process::until;

/// A program that has the token of clients.
fn client(server: &Server) -> Client {
    use tokio_rustls::rustls::crypto::ring;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(ring::default_provider().install_default()));
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", server.client).parse().unwrap());
    Client::builder().default_headers(headers).timeout(Duration::from_secs(120)).no_proxy().build().unwrap()
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = client(server).get(format!("{}{path}", server.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    json_of(answer).await
}

async fn post(server: &Server, path: &str, body: &Value) -> Response {
    let request = client(server).post(format!("{}{path}", server.url)).header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

async fn json_of(answer: Response) -> Value {
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_program_finds_the_skills_and_calls_their_tools() {
    let server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let skills = get(&server, "/v1/skills").await;
    assert_eq!((skills[0]["name"].as_str(), skills[0]["version"].as_str()), (Some("probe"), Some("0.1.0")), "{skills}");
    let shown = get(&server, "/v1/skills/probe").await;
    assert!(shown["permissions"]["model"].is_object(), "{shown}");
    let tools = get(&server, "/v1/tools").await;
    let echo = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "probe_echo").unwrap();
    assert_eq!((echo["skill"].as_str(), echo["hints"]["read-only"].as_bool()), (Some("probe"), Some(true)));
    assert_eq!(echo["input-schema"]["type"], "object");

    let done = post(&server, "/v1/tools/probe_echo", &json!({ "text": "hello" })).await;
    assert_eq!(done.status(), StatusCode::OK);
    let done = json_of(done).await;
    assert_eq!(done["outcome"]["content"], json!([{ "type": "text", "text": "hello" }]));
    // It is on record under the same identifier.
    let id = done["invocation"].as_str().unwrap();
    let run = get(&server, &format!("/v1/runs/{id}")).await;
    assert_eq!(
        (run["tool"].as_str(), run["caller"].as_str(), run["kind"].as_str()),
        (Some("echo"), Some("client"), Some("ok"))
    );
    let runs = get(&server, "/v1/runs?limit=1").await;
    assert_eq!((runs.as_array().unwrap().len(), runs[0]["invocation"].as_str()), (1, Some(id)));

    for (tool, input, status, kind) in [
        ("probe_echo", json!({}), 422, "invalid-input"),
        ("probe_echo", json!([1]), 422, "invalid-input"),
        ("probe_none", json!({}), 404, "unknown-tool"),
        ("probe_fail", json!({ "kind": "failed", "message": "no luck" }), 502, "failed"),
        ("probe_put", json!({ "key": "a", "value": "b" }), 502, "failed"),
    ] {
        let answer = post(&server, &format!("/v1/tools/{tool}"), &input).await;
        let told = (answer.status().as_u16(), json_of(answer).await);
        // What a refused skill makes of its refusal is its own affair; it is refused here, since nothing is granted.
        assert!(told.0 == status || tool == "probe_put" && told.0 == 403, "{tool} {told:?}");
        assert!(told.1["kind"] == kind || tool == "probe_put" && told.1["kind"] == "refused", "{tool} {told:?}");
        assert!(
            !told.1["hint"].as_str().unwrap().is_empty()
                && told.1["type"] == format!("urn:ringfence:problem:{}", told.1["kind"].as_str().unwrap())
        );
    }
    let broken =
        client(&server).post(format!("{}/v1/tools/probe_echo", server.url)).header("content-type", "application/json");
    assert_eq!(broken.body("{").send().await.unwrap().status().as_u16(), 422);
}

#[tokio::test]
async fn tools_are_told_in_the_form_of_each_interface() {
    let server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let path = |form: &str| format!("/v1/skills/probe/tools.json?format={form}");
    let schema = get(&server, &path("mcp")).await[0]["inputSchema"].clone();
    assert_eq!(schema["type"], "object");
    let openai = get(&server, &path("openai")).await;
    assert_eq!((openai[0]["type"].as_str(), &openai[0]["function"]["parameters"]), (Some("function"), &schema));
    assert_eq!(get(&server, "/v1/skills/probe/tools.json").await, openai);
    assert_eq!(get(&server, &path("anthropic")).await[0]["input_schema"], schema);
    let gemini = get(&server, &path("gemini")).await;
    assert_eq!(gemini[0]["functionDeclarations"][0]["parametersJsonSchema"], schema);
    // Whatever the form, the name is one that can be called.
    let name = openai[0]["function"]["name"].as_str().unwrap();
    let names = [&gemini[0]["functionDeclarations"][0]["name"], &get(&server, &path("anthropic")).await[0]["name"]]
        .map(Value::clone);
    assert!(names.iter().all(|other| other == name), "{names:?}");
    for (path, status) in [(path("xml"), 400), ("/v1/skills/none/tools.json".to_owned(), 404)] {
        let answer = client(&server).get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

/// Asks with the token of admins.
fn admin(server: &Server, line: &str, body: &Value) -> crate::support::server::Answer {
    let lines = [&*Server::bearer(&server.admin), "Content-Type: application/json"];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.ask(line, &lines, &body)
}

#[test]
fn an_admin_grants_refuses_and_takes_back_and_a_client_does_not() {
    let server = Server::new();
    let put = || server.post("/v1/tools/probe_put", &[], &json!({ "key": "a", "value": "b" }));
    assert_eq!(put().kind().as_deref(), Some("refused"), "{:?}", put());
    let permissions = "/v1/skills/probe/permissions";
    let asked = admin(&server, &format!("GET {permissions}"), &Value::Null).json();
    let missing: Vec<&str> =
        asked["missing"].as_array().unwrap().iter().filter_map(|one| one["grant"].as_str()).collect();
    assert!(missing == ["kv"], "{asked}");
    assert_eq!(asked["granted"], json!({ "always": [], "session": [] }));

    // Nothing of it is for clients, however they ask.
    let kv = json!({ "grants": ["kv"] });
    for (line, body) in [
        (format!("GET {permissions}"), Value::Null),
        ("POST /v1/skills/probe/grants".into(), kv.clone()),
        ("POST /v1/skills/probe/denials".into(), kv.clone()),
        ("DELETE /v1/skills/probe/grants".into(), Value::Null),
    ] {
        let bearer = Server::bearer(&server.client);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let told = server.ask(&line, &[&bearer, "Content-Type: application/json"], &body);
        assert_eq!((told.status, told.kind().as_deref()), (403, Some("denied")), "{line}");
    }
    assert_eq!(put().kind().as_deref(), Some("refused"));

    // What was looked at is what is granted to.
    let other = json!({ "grants": ["kv"], "digest": "0".repeat(64) });
    let told = admin(&server, "POST /v1/skills/probe/grants", &other);
    assert_eq!((told.status, told.kind().as_deref()), (409, Some("conflict")), "{told:?}");
    assert_eq!(put().kind().as_deref(), Some("refused"));
    let digest = server.get("/v1/skills/probe").json()["digest"].clone();
    let granted = admin(&server, "POST /v1/skills/probe/grants", &json!({ "grants": ["kv"], "digest": digest }));
    assert_eq!(granted.json()["granted"]["always"], json!(["kv"]), "{granted:?}");
    assert_eq!(put().status, 200, "it holds for the next call");
    // As it does for the program, which finds it written down.
    assert!(server.home.run(&["permissions", "probe"]).worked().out.contains("kv  (always)"));
    assert!(server.home.run(&["audit", "list"]).worked().out.contains("grant"));

    let taken = admin(&server, "DELETE /v1/skills/probe/grants?capability=kv", &Value::Null);
    assert_eq!(taken.json()["granted"]["always"], json!([]), "{taken:?}");
    assert_eq!(put().kind().as_deref(), Some("refused"));

    let session = admin(&server, "POST /v1/skills/probe/grants", &json!({ "grants": ["kv"], "session": true }));
    assert_eq!(session.json()["granted"], json!({ "always": [], "session": ["kv"] }), "{session:?}");
    assert_eq!(put().status, 200);
    admin(&server, "DELETE /v1/skills/probe/grants", &Value::Null);
    assert_eq!(put().kind().as_deref(), Some("refused"));

    let denied = admin(&server, "POST /v1/skills/probe/denials", &kv).json();
    assert_eq!(denied["denied"][0]["wanted"], "kv", "{denied}");

    for (line, body, status, kind) in [
        ("POST /v1/skills/none/grants", kv.clone(), 404, "not-found"),
        ("GET /v1/skills/none/permissions", Value::Null, 404, "not-found"),
        ("POST /v1/skills/probe/grants", json!({ "grants": ["kw"] }), 422, "grant-invalid"),
        ("POST /v1/skills/probe/grants", json!({ "grants": ["model=nobody"] }), 422, "grant-invalid"),
        ("POST /v1/skills/probe/grants", json!({ "grants": ["files=docs:notes"] }), 422, "grant-invalid"),
        ("POST /v1/skills/probe/grants", json!({ "grants": [] }), 422, "grant-invalid"),
        ("POST /v1/skills/probe/grants", json!({ "grant": "kv" }), 422, "invalid-input"),
        ("POST /v1/skills/probe/denials", json!({ "grants": ["model=nobody"] }), 422, "grant-invalid"),
        ("DELETE /v1/skills/probe/grants?capability=kw", Value::Null, 422, "grant-invalid"),
        ("DELETE /v1/skills/probe/grants?all=yes", Value::Null, 400, "usage"),
    ] {
        let told = admin(&server, line, &body);
        assert_eq!((told.status, told.kind().as_deref()), (status, Some(kind)), "{line} {body} {told:?}");
    }
    server.still_works();
}

#[test]
fn a_call_with_a_key_is_made_once_and_its_answer_given_again() {
    let server = Server::new();
    let key = |name: &str| format!("Idempotency-Key: {name}");
    let echo = |key: &str, text: &str| server.post("/v1/tools/probe_echo", &[key], &json!({ "text": text }));
    let (first, again, other) = (echo(&key("k"), "a"), echo(&key("k"), "a"), echo(&key("l"), "a"));
    assert_eq!((first.status, again.status, other.status), (200, 200, 200), "{first:?}");
    assert_eq!(first.json(), again.json(), "the same invocation");
    assert_eq!(first.json()["outcome"]["content"][0]["text"], "a");
    let id = |answer: &crate::support::server::Answer| answer.json()["invocation"].as_str().unwrap().to_owned();
    assert_ne!(id(&first), id(&other));
    let shown = server.get(&format!("/v1/invocations/{}", id(&first)));
    assert_eq!(shown.json()["status"], "done", "{shown:?}");
    // Without one each call is a call.
    let plain = || server.post("/v1/tools/probe_echo", &[], &json!({ "text": "a" }));
    assert_ne!(id(&plain()), id(&plain()));
    // What fails fails again, and was not tried again.
    let put = || server.post("/v1/tools/probe_put", &[&key("p")], &json!({ "key": "a", "value": "b" }));
    assert_eq!([put(), put()].map(|answer| answer.kind()), ["refused"; 2].map(|kind| Some(kind.to_owned())));
    assert_eq!(server.figure("ringfence_calls_total{result=\"refused\"}"), 1);
    // Another request of the same key, whatever is different about it.
    let started = json!({ "tool": "probe_echo", "input": { "text": "a" } });
    for conflict in [
        echo(&key("k"), "b"),
        server.post("/v1/tools/probe_typed", &[&key("k")], &json!({ "text": "a" })),
        server.post("/v1/invocations", &[&key("k")], &started),
    ] {
        assert_eq!((conflict.status, conflict.kind().as_deref()), (409, Some("conflict")), "{conflict:?}");
    }
    for bad in [key(""), key(&"k".repeat(300)), format!("{}\r\n{}", key("a"), key("b"))] {
        assert_eq!(echo(&bad, "a").kind().as_deref(), Some("invalid-input"), "{bad}");
    }
    server.still_works();
}

#[test]
fn a_call_with_a_key_goes_on_without_its_client_and_is_there_when_it_comes_back() {
    let server = Server::new();
    let body = json!({ "ms": 1_500 });
    let text = body.to_string();
    let head = format!(
        "POST /v1/tools/probe_sleep HTTP/1.1\r\nHost: localhost\r\n{}\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{text}",
        Server::bearer(&server.client),
        text.len()
    );
    let mut gone = server.connect();
    gone.write_all(head.as_bytes()).unwrap();
    until("the call runs", || (server.figure("ringfence_invocations_running") == 1).then_some(()));
    drop(gone);
    let back = server.post("/v1/tools/probe_sleep", &["Idempotency-Key: k"], &body);
    assert_eq!(back.status, 200, "{back:?}");
    let runs = until("it is on record", || {
        let runs = server.get("/v1/runs?limit=10").json();
        (!runs.as_array().unwrap().is_empty()).then_some(runs)
    });
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["kind"]), (1, &json!("ok")), "it was one call: {runs}");
}

/// The events of an invocation from behind `after`, to their end: number, name, data.
async fn events(server: &Server, id: &str, after: Option<u64>) -> Vec<(u64, String, Value)> {
    let mut request = client(server).get(format!("{}/v1/invocations/{id}/events", server.url));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    let event = |text: &str| {
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
        Some((
            field("id")?.parse().unwrap(),
            field("event").unwrap(),
            serde_json::from_str(&field("data").unwrap()).unwrap(),
        ))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn a_call_is_started_watched_to_its_end_and_asked_about_later() {
    let server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let asked = json!({ "tool": "probe_emit", "input": { "text": "ab", "times": 3 } });
    let started = post(&server, "/v1/invocations", &asked).await;
    assert_eq!(started.status(), StatusCode::ACCEPTED);
    let place = started.headers()["location"].to_str().unwrap().to_owned();
    let id = json_of(started).await["invocation"].as_str().unwrap().to_owned();
    assert_eq!(place, format!("/v1/invocations/{id}"));

    let all = events(&server, &id, None).await;
    let numbers: Vec<u64> = all.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    let texts: String =
        all.iter().filter(|(_, name, _)| name == "text").map(|(.., data)| data["text"].as_str().unwrap()).collect();
    assert_eq!(texts, "ababab");
    assert!(all.iter().any(|(_, name, data)| name == "progress" && data["total"] == 3), "{all:?}");
    let (last, name, data) = all.last().unwrap();
    assert_eq!((name.as_str(), &data["outcome"]["content"][0]["text"]), ("finished", &json!("ababab")));
    // A client that was cut off goes on where it was.
    assert_eq!(events(&server, &id, Some(2)).await, all[2..]);
    assert!(events(&server, &id, Some(*last)).await.is_empty());

    let shown = get(&server, &place).await;
    assert_eq!((shown["status"].as_str(), &shown["finished"]), (Some("done"), data));
    assert_eq!(get(&server, &format!("/v1/runs/{id}")).await["kind"], "ok", "it is on record under its identifier");

    // One that cannot succeed ends as well, and says why.
    let wrong = post(&server, "/v1/invocations", &json!({ "tool": "probe_echo", "input": {} })).await;
    let id = json_of(wrong).await["invocation"].as_str().unwrap().to_owned();
    let (_, name, data) = events(&server, &id, None).await.pop().unwrap();
    assert_eq!((name.as_str(), data["kind"].as_str()), ("failed", Some("invalid-input")));
    let shown = get(&server, &format!("/v1/invocations/{id}")).await;
    assert_eq!((shown["status"].as_str(), &shown["problem"]), (Some("failed"), &data));
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends() {
    let server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let asked = json!({ "tool": "probe_sleep", "input": { "ms": 600_000 } });
    let id = json_of(post(&server, "/v1/invocations", &asked).await).await["invocation"].as_str().unwrap().to_owned();
    let place = format!("/v1/invocations/{id}");
    assert_eq!(get(&server, &place).await["status"], "running");
    let watched = events(&server, &id, None);
    let cancel = async { post(&server, &format!("{place}/cancel"), &json!({})).await.status() };
    let (watched, status) = tokio::join!(watched, cancel);
    assert_eq!(status, StatusCode::ACCEPTED);
    let (_, name, data) = watched.last().unwrap();
    assert_eq!((name.as_str(), data["kind"].as_str()), ("failed", Some("cancelled")));
    assert_eq!(get(&server, &place).await["status"], "cancelled");
    tokio::task::spawn_blocking(move || server.still_works()).await.unwrap();
}

#[test]
fn ctrl_c_lets_calls_end_that_run_and_takes_no_new_ones() {
    let mut server = Server::new();
    let slow = |server: &Server, ms: u32| {
        let body = json!({ "ms": ms }).to_string();
        let head = format!(
            "POST /v1/tools/probe_sleep HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            Server::bearer(&server.client),
            body.len()
        );
        let mut stream = server.connect();
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        until("the call runs", || (server.figure("ringfence_invocations_running") == 1).then_some(()));
        stream
    };
    let read = |mut stream: std::net::TcpStream| {
        let mut all = String::new();
        std::io::Read::read_to_string(&mut stream, &mut all).unwrap();
        all
    };
    let stream = slow(&server, 2_000);
    server.signal("-INT");
    let answer = read(stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(server.ended(), 0);
    assert!(std::net::TcpStream::connect(server.at()).is_err());

    // What does not end in time is cancelled, and on record.
    let mut server = Server::with(Server::furnished(), &["--drain-seconds", "1"]);
    let stream = slow(&server, 600_000);
    let started = server.post("/v1/invocations", &[], &json!({ "tool": "probe_sleep", "input": { "ms": 600_000 } }));
    let id = started.json()["invocation"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    server.signal("-TERM");
    let answer = read(stream);
    assert!(answer.contains("499") && answer.contains("cancelled"), "{answer}");
    assert_eq!(server.ended(), 0);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let log = server.home.run(&["audit", "show", &id]);
    assert!(log.out.contains("cancelled"), "{log:?}");

    // Whoever asks twice does not want to wait.
    let mut server = Server::with(Server::furnished(), &[]);
    let _stream = slow(&server, 600_000);
    server.signal("-INT");
    until("it takes nothing new", || std::net::TcpStream::connect(server.at()).is_err().then_some(()));
    server.signal("-INT");
    assert_eq!(server.ended(), 130);
}

#[test]
fn whoever_looks_after_it_sees_whether_it_lives_and_what_it_does() {
    let server = Server::new();
    for open in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(server.ask(&format!("GET {open}"), &[], "").status, 200, "{open}");
    }
    let document = server.ask("GET /openapi.json", &[], "").json();
    assert!(document["paths"]["/v1/tools/{name}"]["post"].is_object());
    assert_eq!(server.ask("GET /metrics", &[], "").status, 401);
    server.post("/v1/tools/probe_echo", &[], &json!({ "text": "x" }));
    assert_eq!(server.figure("ringfence_calls_total{result=\"ok\"}"), 1);
    // Whichever face a call comes by.
    let said = json!({ "model": "skill:probe/echo", "messages": [{ "role": "user", "content": "x" }] });
    assert_eq!(server.post("/v1/chat/completions", &[], &said).status, 200);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "by-hand", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "probe_echo", "arguments": { "text": "x" }, "_meta": meta });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let lines = [
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: probe_echo",
    ];
    assert_eq!(server.post("/mcp", &lines, &call).status, 200);
    server.post("/v1/tools/probe_put", &[], &json!({ "key": "a", "value": "b" }));
    server.post("/v1/tools/none", &[], &json!({}));
    for (figure, count) in [
        ("ringfence_calls_total{result=\"ok\"}", 3),
        ("ringfence_calls_total{result=\"refused\"}", 1),
        ("ringfence_call_duration_seconds_count", 4),
        ("ringfence_call_duration_seconds_bucket{le=\"+Inf\"}", 4),
        ("ringfence_tokens_total{direction=\"output\"}", 0),
        ("ringfence_micro_dollars_total", 0),
        ("ringfence_calls_missed_total", 0),
        ("ringfence_errors_total{kind=\"refused\"}", 1),
        ("ringfence_errors_total{kind=\"unknown-tool\"}", 1),
    ] {
        assert_eq!(server.figure(figure), count, "{figure}");
    }
    assert!(server.figure("ringfence_http_requests_total{status=\"4xx\"}") >= 1);
    let open = Server::with(Server::home(), &["--open-metrics"]);
    assert_eq!(open.ask("GET /metrics", &[], "").status, 200);
    assert_eq!(open.ask("GET /v1/tools", &[], "").status, 401);
}

#[test]
fn two_servers_on_one_state_take_the_same_tokens_and_one_has_the_control_socket() {
    let first = Server::furnished();
    let first = Server::with(first, &[]);
    let mut command = first.home.command(&["serve", "--listen", "127.0.0.1:0", "--format", "json"]);
    let mut second = crate::support::process::start(&mut command);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(second.stdout.take().unwrap()));
    let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"url\"")).unwrap();
    let at = line.split('"').nth(3).unwrap().split_once("://").unwrap().1.to_owned();
    let mut stream = std::net::TcpStream::connect(&at).unwrap();
    let bearer = Server::bearer(&first.client);
    let head = format!("GET /v1/skills/probe HTTP/1.1\r\nHost: {at}\r\n{bearer}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut all = String::new();
    std::io::Read::read_to_string(&mut stream, &mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK"), "{all}");
    crate::support::process::interrupt(&second);
    assert_eq!(until("the second ends", || second.try_wait().unwrap()).code(), Some(0));
    assert_eq!(first.control("GET /v1/audit").status, 200, "the control socket is still the first one's");
    first.still_works();
}

#[tokio::test]
async fn with_tls_it_serves_other_machines_under_the_names_that_it_was_given() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    let made = rcgen::generate_simple_self_signed(["skills.example.com".to_owned()]).unwrap();
    let pem = |label: &str, bytes: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let home = Server::home();
    let certificate = home.write("cert.pem", pem("CERTIFICATE", made.cert.der()));
    let key = home.write("key.pem", pem("PRIVATE KEY", made.signing_key.serialized_der()));
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let server = tokio::task::spawn_blocking(move || {
        let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--allow-host", "skills.example.com"];
        Server::with(home, &[&["--listen", "0.0.0.0:0"][..], &tls[..]].concat())
    });
    let server = server.await.unwrap();
    assert!(server.url.starts_with("https://0.0.0.0:"), "{}", server.url);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()));
    let config =
        config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    for (host, status) in [("skills.example.com", "200"), ("evil.test", "403")] {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", server.at().port())).await.unwrap();
        let name = ServerName::try_from("skills.example.com").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let bearer = Server::bearer(&server.client);
        let head = format!("GET /v1/tools HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        assert!(all.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{host}: {}", String::from_utf8_lossy(&all));
    }
    // Whoever does not speak TLS is told nothing, and whoever says nothing keeps nobody out.
    let _silent = server.connect();
    assert!(server.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").is_none());
}
