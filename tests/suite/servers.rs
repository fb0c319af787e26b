//! Other MCP servers: added, looked at, approved and called by people, skills and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::policy::rules::Rules;
use ringfence_core::{Call, Caller, Content};
use serde_json::{Value, json};

use crate::support::hosts::{said, stored};
use crate::support::peer::{Peer, Said};
use crate::support::servers::{self, script};
use crate::support::terminal::ENTER;
use crate::support::{Home, Terminal, TestHost, hosts};

/// Adds the server in a mode as a person does.
fn add(home: &Home, mode: &str) {
    home.run(&["server", "add", "fake", "--", "python3", "-S", &script(), mode]).worked();
}

#[test]
fn a_server_is_added_approved_called_and_removed() {
    let home = Home::new();
    add(&home, "good");
    let list = || home.run(&["server", "list", "--format", "json"]).worked().json();
    assert_eq!(list()[0]["standing"], "not-approved");
    // Nothing of it can be called, and nobody says yes in a person's place.
    home.run(&["run", "fake", "--tool", "echo", "--text", "x"]).fails("denied", 3, "`fake`", "server approve fake");
    home.run(&["server", "approve", "fake"]).fails("denied", 3, "nobody is there", "`--yes`");
    assert_eq!(list()[0]["standing"], "not-approved");

    let approved = home.run(&["server", "approve", "fake", "--yes", "--tool", "echo"]).worked();
    assert_eq!(approved.out, "approved: fake/echo\n");
    assert!(approved.err.contains("Gives back what it is given."), "{}", approved.err);
    assert_eq!(home.run(&["run", "fake", "--tool", "echo", "--text", "hello"]).worked().out, "hello\n");
    home.run(&["run", "fake", "--tool", "say_twice", "--text", "x"]).fails("unknown-tool", 2, "say_twice", "echo");
    let show = home.run(&["server", "show", "fake"]).worked();
    assert!(show.out.contains("fake/echo\n    Gives back what it is given.\n  sha256:"), "{}", show.out);

    home.run(&["server", "add", "fake", "--", "true"]).fails("already-exists", 2, "`fake`", "--replace");
    home.run(&["server", "add", "fake", "--replace", "--", "python3", "-S", &script(), "dies"]).worked();
    assert_eq!(list()[0]["standing"], "changed", "another command is another server");
    home.run(&["run", "fake", "--tool", "echo", "--text", "x"]).fails("denied", 3, "`fake`", "server approve fake");
    home.run(&["server", "approve", "fake", "--yes"]).fails("unavailable", 4, "I do not like it here", "-v");

    home.run(&["server", "remove", "fake"]).worked();
    assert_eq!(list(), json!([]));
    home.run(&["server", "remove", "fake"]).fails("not-found", 2, "`fake`", "server add");
    add(&home, "good");
    assert_eq!(list()[0]["standing"], "not-approved", "one that comes back is a new one");
    for (args, kind) in [
        (&["Fake", "--", "x"][..], "config-invalid"),
        (&["a_b", "--", "x"], "config-invalid"),
        (&["a", "--url", "file:///etc/passwd"], "config-invalid"),
        (&["a", "--", "./none"], "not-found"),
        (&["a"], "invalid-input"),
        (&["a", "--url", "https://a.test/", "--", "x"], "usage"),
    ] {
        let done = home.run(&[&["server", "add"], args].concat());
        assert!(done.code == 2 && done.err.contains(kind), "{args:?}: {}", done.err);
    }
}

#[test]
fn servers_of_another_client_are_taken_over_and_variables_stay_names() {
    let home = Home::new();
    let text = json!({ "mcpServers": {
        "My_Server": { "type": "stdio", "command": "python3", "args": ["-S", script(), "good"], "env": { "API_KEY": "${KEY}" } },
        "far": { "url": "https://far.test/mcp", "headers": { "Authorization": "Bearer sk-in-plain-text" } },
    } });
    home.write("work/.mcp.json", text.to_string());
    assert_eq!(
        home.run(&["server", "list", "--format", "json"]).worked().json(),
        json!([]),
        "a file alone does nothing"
    );
    home.run(&["server", "add", "--from", ".mcp.json"]).worked();
    home.run(&["server", "approve", "my-server", "--yes"]).fails("config-invalid", 2, "`KEY`", "set KEY");
    let with_key = |args: &[&str]| crate::support::Done::of(home.command(args).env("KEY", "sk-secret-value"));
    with_key(&["server", "approve", "my-server", "--yes"]).worked();
    let done = with_key(&["run", "my-server", "--tool", "environ"]).worked();
    assert!(done.out.contains("API_KEY=[redacted]"), "it was given, and does not come back: {}", done.out);
    let shown = with_key(&["config", "show"]);
    assert!(!shown.out.contains("sk-in-plain-text") && !shown.out.contains("sk-secret-value"), "{}", shown.out);
    for file in home.files("state") {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(15).any(|part| part == b"sk-secret-value"), "{file}");
    }
}

#[test]
fn a_server_that_is_set_up_wrong_is_shown_as_that() {
    let home = Home::with_config("[mcp-servers.both]\ncommand = \"true\"\nurl = \"https://a.test/\"\n");
    let wrong = "the server `both` is not set up right: it must have either a `command` or a `url`";
    home.run(&["server", "approve", "both", "--yes"]).fails("config-invalid", 2, wrong, "`mcp-servers.both`");
    let listed = home.run(&["server", "list"]).worked();
    assert!(listed.out.contains("not set up right"), "{}", listed.out);
    assert_eq!(home.run(&["server", "list", "--format", "json"]).worked().json()[0]["wrong"], wrong);
    let shown = home.run(&["server", "show", "both"]).worked();
    assert!(shown.out.contains(&format!("{wrong}; correct `mcp-servers.both`")), "{}", shown.out);
}

#[test]
fn a_project_can_neither_add_a_server_nor_change_one() {
    let home = Home::new();
    let marker = home.path("started");
    let table = format!("[mcp-servers.evil]\ncommand = \"touch\"\nargs = [{:?}]\n", marker.display().to_string());
    for text in [table.as_str(), "[mcp-servers.fake]\nargs = [\"x\"]\n", "[mcp-servers.fake.env]\nLD_PRELOAD = \"x\"\n"]
    {
        add(&home, "good");
        home.write("work/ringfence.toml", text);
        home.run(&["server", "list"]).fails("config-invalid", 2, "mcp-servers", "your own file");
        std::fs::remove_file(home.path("work/ringfence.toml")).unwrap();
        home.run(&["server", "remove", "fake"]).worked();
    }
    // Nor does a list of servers that lies in a project.
    home.write(
        "work/mcp-servers.json",
        json!({ "mcpServers": { "evil": { "command": "touch", "args": [marker] } } }).to_string(),
    );
    assert_eq!(home.run(&["server", "list", "--format", "json"]).worked().json(), json!([]));
    assert!(!marker.exists());
}

#[test]
fn a_person_sees_the_tools_before_they_say_yes() {
    let home = Home::new();
    add(&home, "good");
    let mut terminal = Terminal::start(&home, &["server", "approve", "fake"]);
    terminal.expect("started or reached by: python3").expect("outside of the sandbox").expect("Go on?");
    terminal.press(ENTER);
    terminal.expect("fake/echo").expect("Gives back what it is given.").expect("Approve them?");
    terminal.press(ENTER);
    terminal.expect("approved: fake/echo");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(home.run(&["run", "fake", "--tool", "echo", "--text", "hello"]).worked().out, "hello\n");
}

#[tokio::test]
async fn a_skill_calls_a_servers_tool_by_grant_and_all_of_it_is_on_record() {
    let host = servers::host(&servers::table("fake", &["good"], "")).await;
    servers::approve(&host, "fake").await.unwrap();
    let request = "[permissions.tools]\ntools = [\"fake/*\"]\n";
    let echo = || json!({ "name": "fake/echo", "input": { "text": "hello" } });

    let a = host.install("a", request, &[]).await;
    let error = host.stored(&a, "relay", echo()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint().as_str()),
        ("refused", "run `ringfence grant a tools=fake/echo` to allow it")
    );
    host.host.grant("a", ringfence_core::Grants::parse(["tools=fake/echo"]).unwrap()).await.unwrap();
    assert_eq!(said(&host.stored(&a, "relay", echo()).await.unwrap()), "hello");
    assert_eq!(said(&host.stored(&a, "callable", json!({})).await.unwrap()), "fake/echo");

    host.host.audit().verify().await.unwrap();
    let of = |event| Filter { skill: Some("fake".into()), event: Some(event), ..Filter::default() };
    let intents = host.host.audit().list(of(Event::Intent), 10).await.unwrap();
    assert_eq!(intents.iter().map(|one| one.subject.as_str()).collect::<Vec<_>>(), ["server fake/echo"]);
    let outcomes = host.host.audit().list(of(Event::Outcome), 10).await.unwrap();
    assert_eq!(outcomes.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(), ["ok"]);
    let runs = host.host.runs(2).await.unwrap();
    let of_server = runs.iter().find(|run| run.skill == "fake").unwrap();
    assert_eq!((of_server.caller.as_str(), of_server.kind.as_str()), ("skill", "ok"));
    assert!(of_server.parent.is_some());

    // What is read-only by its own word leaves this host all the same: a pattern names no destination once private data was read.
    let keeps = host.install("k", &format!("{request}[permissions.kv]\n"), &["tools=fake/*", "kv"]).await;
    host.stored(&keeps, "count", json!({})).await.unwrap();
    let done = host.stored(&keeps, "attempt", echo()).await.unwrap();
    assert_eq!(said(&done), "outcome: hello");
    host.host.clone().close().await.unwrap();
}

#[tokio::test]
async fn clients_find_a_servers_tools_under_flat_names_and_rules_hold_for_them() {
    let host = servers::host(&servers::table("fake", &["good"], "")).await;
    let mut changes = host.host.toolbox_changes();
    changes.mark_unchanged();
    assert!(host.host.toolbox().await.unwrap().get("fake_echo").is_none());
    servers::approve(&host, "fake").await.unwrap();
    assert!(changes.has_changed().unwrap(), "clients are told");
    let call = async || {
        let toolbox = host.host.toolbox().await.unwrap();
        let offer = toolbox.get("fake_say_twice").unwrap();
        let skill = host.host.skill_of(offer).await.unwrap();
        let call = stored(&skill, &offer.tool.name, json!({ "text": "ab" }));
        host.host.invoke(Call { caller: Caller::Client, ..call }).await
    };
    assert_eq!(call().await.unwrap().outcome.content, [Content::Text { text: "abab".into() }]);

    let settings = format!("{}[rules.client]\nserver = \"deny\"\n", servers::table("fake", &["good"], ""));
    let path = std::env::var("PATH").unwrap();
    let variables = [("PATH".to_owned(), path.into())].into();
    host.host.reconfigure(toml::from_str(&settings).unwrap(), &variables).await.unwrap();
    assert_eq!(call().await.unwrap_err().kind(), "denied");
    let open = ringfence_core::Settings { rules: Rules::default(), ..toml::from_str(&settings).unwrap() };
    host.host.reconfigure(open, &variables).await.unwrap();
    assert_eq!(said(&call().await.unwrap()), "abab");

    // A server that is configured no longer can be called by nobody, whoever still holds it.
    let held = host.host.load_installed("fake", None).await.unwrap();
    host.host.reconfigure(ringfence_core::Settings::default(), &variables).await.unwrap();
    let error = host.host.invoke(stored(&held, "echo", json!({ "text": "x" }))).await.unwrap_err();
    assert_eq!(error.kind(), "denied", "{error}");
    assert!(host.host.toolbox().await.unwrap().is_empty());
    host.still_works().await;
    host.host.clone().close().await.unwrap();
}

#[tokio::test]
async fn what_is_approved_or_forgotten_beside_a_host_that_runs_holds_in_it() {
    let home = Home::with_config(&servers::table("fake", &["good"], ""));
    let host = servers::open(&home, &servers::table("fake", &["good"], "")).await;
    let call = async || match host.load_installed("fake", None).await {
        Ok(skill) => host.invoke(stored(&skill, "echo", json!({ "text": "hello" }))).await.map(|done| said(&done)),
        Err(error) => Err(error),
    };
    let becomes = async |worked: bool| {
        for _ in 0..500 {
            if call().await.is_ok() == worked {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("it does not become {worked}");
    };
    assert_eq!(call().await.unwrap_err().kind(), "denied");
    let run = async |args: &'static [&'static str]| {
        let mut command = home.command(args);
        tokio::task::spawn_blocking(move || crate::support::Done::of(&mut command)).await.unwrap().worked()
    };
    run(&["server", "approve", "fake", "--yes"]).await;
    becomes(true).await;
    let held = host.load_installed("fake", None).await.unwrap();
    run(&["server", "remove", "fake"]).await;
    becomes(false).await;
    let error = host.invoke(stored(&held, "echo", json!({ "text": "x" }))).await.unwrap_err();
    assert_eq!(error.kind(), "denied", "whoever still holds it");
    host.close().await.unwrap();
}

/// A server over HTTP that keeps no session, and wants a token. Gives its address, and how many requests came.
async fn far() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let app = axum::Router::new().fallback(move |headers: HeaderMap, body: axum::body::Bytes| {
        seen.fetch_add(1, Ordering::SeqCst);
        std::future::ready(answer(&headers, &serde_json::from_slice(&body).unwrap_or_default()))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (at, count)
}

fn answer(headers: &HeaderMap, body: &Value) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer sk-the-secret") {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    let tool = json!({ "name": "greet", "description": "Greets.", "inputSchema": { "type": "object" } });
    let result = match body["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
            "serverInfo": { "name": "far", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [tool] }),
        "tools/call" => json!({ "content": [{ "type": "text", "text": "hello; you sent sk-the-secret" }] }),
        _ if body.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({ "code": -32601, "message": "there is no such method" });
            return Json(json!({ "jsonrpc": "2.0", "id": body["id"], "error": error })).into_response();
        }
    };
    Json(json!({ "jsonrpc": "2.0", "id": body["id"], "result": result })).into_response()
}

#[tokio::test]
async fn a_server_over_http_gets_the_secret_that_is_bound_to_it_and_nobody_else_does() {
    let (at, requests) = far().await;
    let table =
        |header: &str| format!("[mcp-servers.far]\nurl = \"{at}/mcp\"\nheaders = {{ Authorization = \"{header}\" }}\n");
    let home = Home::new();
    let host = hosts::open_with(&home, &table("Bearer {{secret:far}}"), &[]).await.unwrap();
    let error = host.consider_server("far").await.map(|_| ()).unwrap_err();
    assert!(error.kind() == "config-invalid" && error.to_string().contains("`far`"), "not kept: {error}");
    host.set_secret("far", &"sk-the-secret".to_owned().into(), &["https://elsewhere.test".to_owned()]).await.unwrap();
    assert_eq!(host.consider_server("far").await.map(|_| ()).unwrap_err().kind(), "config-invalid", "bound elsewhere");
    assert_eq!(requests.load(Ordering::SeqCst), 0, "nothing was sent");

    host.set_secret("far", &"sk-the-secret".to_owned().into(), std::slice::from_ref(&at)).await.unwrap();
    let candidate = host.consider_server("far").await.unwrap();
    host.approve_server(candidate, None).await.unwrap();
    let skill = host.load_installed("far", None).await.unwrap();
    let done = host.invoke(stored(&skill, "greet", json!({}))).await.unwrap();
    assert_eq!(said(&done), "hello; you sent [redacted]", "an honest echo is taken out");
    host.close().await.unwrap();

    // A sign-in is refused by name, and nothing is opened.
    let host = hosts::open_with(&home, &table("Bearer wrong"), &[]).await.unwrap();
    let error = host.consider_server("far").await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), "unauthorized", "{error}");
    assert!(error.hint().contains("{{secret:NAME}}"), "{}", error.hint());
    host.close().await.unwrap();
}

#[tokio::test]
async fn t91_neither_a_redirect_nor_a_name_leads_a_server_into_the_network() {
    let inner = Peer::polite();
    let to = inner.url("/");
    let peer = Peer::says(move |_| {
        Said::Once(
            format!("HTTP/1.1 307 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .into_bytes(),
        )
    });
    // Where a sign-in would begin is the server's choice: nothing is asked there.
    let at = inner.url("/.well-known/oauth-protected-resource");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asks = format!("http://{}/mcp", listener.local_addr().unwrap());
    let challenge = format!("Bearer resource_metadata=\"{at}\"");
    // With what was sent read, so that the answer is not lost in a reset.
    let app = axum::Router::new().fallback(move |_: axum::body::Bytes| {
        std::future::ready((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge.clone())]))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let home = Home::new();
    let settings = format!(
        "[mcp-servers.moved]\nurl = \"{}\"\n[mcp-servers.named]\nurl = \"https://metadata.test/\"\n\
         [mcp-servers.clear]\nurl = \"http://93.184.216.34/\"\n[mcp-servers.sign]\nurl = \"{}\"\n",
        peer.url("/mcp"),
        asks
    );
    let host = hosts::open(&home, &settings).await.unwrap();
    let host = TestHost::of(home, host).await;
    let look = async |name: &str| host.host.consider_server(name).await.map(|_| ()).unwrap_err();
    assert_eq!(look("moved").await.kind(), "unavailable");
    assert_eq!(look("sign").await.kind(), "unauthorized");
    assert_eq!(inner.connections(), 0, "nothing followed");
    assert_eq!(look("clear").await.kind(), "address-denied");
    // RFC 6761: `.test` is never found.
    assert!(["unavailable", "address-denied"].contains(&look("named").await.kind()));
    host.host.clone().close().await.unwrap();
}
