//! `/mcp` of `ringfence serve`, byte by byte: what is no request, how many clients there may be, and how calls end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mcp::runs;
use crate::support::Server;
use crate::support::process::until;
use crate::support::server::Answer;

const ACCEPT: &str = "Accept: application/json, text/event-stream";
const JSON: &str = "Content-Type: application/json";
const VERSION: &str = "MCP-Protocol-Version: 2026-07-28";

/// The messages of an answer, which may be one or a stream of events.
fn messages(answer: &Answer) -> Vec<Value> {
    let texts = answer.body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    texts.filter(|text| text.starts_with('{')).map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[track_caller]
fn post(server: &Server, more: &[&str], message: &Value) -> Answer {
    server.post("/mcp", &[&[ACCEPT], more].concat(), message)
}

/// Begins a session, and gives the header that names it.
#[track_caller]
fn begin(server: &Server) -> String {
    let info = json!({ "name": "by-hand", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let begun = post(server, &[], &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
    assert_eq!(begun.status, 200, "{begun:?}");
    let session = begun.head.lines().find(|line| line.starts_with("mcp-session-id: ")).unwrap().to_owned();
    let told = post(server, &[&session], &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!(told.status, 202, "{told:?}");
    session
}

fn ping(server: &Server, session: &str) -> Answer {
    post(server, &[session], &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
}

/// A request that needs no session.
fn by_itself(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "by-hand", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn names(server: &Server) -> Vec<String> {
    let listed = post(server, &[VERSION, "Mcp-Method: tools/list"], &by_itself("tools/list", json!({})));
    let messages = messages(&listed);
    let tools = messages.last().unwrap_or_else(|| panic!("{listed:?}"))["result"]["tools"].clone();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Sends a request and leaves its answer unread.
fn sent(server: &Server, line: &str, more: &[&str], body: &str) -> TcpStream {
    let bearer = Server::bearer(&server.client);
    let head = [&[line, "Host: localhost", &bearer, ACCEPT, JSON], more].concat().join("\r\n");
    let mut stream = server.connect();
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

/// Sends a call that takes so long, and waits until it runs.
fn slow(server: &Server, more: &[&str], call: &Value) -> TcpStream {
    let stream = sent(server, "POST /mcp HTTP/1.1", more, &call.to_string());
    until("the call runs", || (server.figure("ringfence_invocations_running") == 1).then_some(()));
    stream
}

fn idle(server: &Server) {
    until("no call runs", || (server.figure("ringfence_invocations_running") == 0).then_some(()));
}

/// Reads until a line has this in it.
#[track_caller]
fn read_until(stream: TcpStream, wanted: &str) {
    let lines = BufReader::new(stream).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(wanted)), "no {wanted}");
}

#[test]
fn what_is_no_request_over_http_is_answered_as_over_a_stream_of_lines() {
    let server = Server::bare();
    let bearer = Server::bearer(&server.client);
    let deep = "[".repeat(100_000);
    let inside =
        format!(r#"{{"method":"tools/call","params":{{"a":{deep}{}}},"jsonrpc":"2.0","id":8}}"#, "]".repeat(100_000));
    for (body, code, id) in [
        ("{", -32700, Value::Null),
        (deep.as_str(), -32700, Value::Null),
        (inside.as_str(), -32700, json!(8)),
        ("[1]", -32600, Value::Null),
        ("3", -32600, Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":5}", -32600, json!(7)),
        ("{}", -32600, Value::Null),
    ] {
        let answer = server.ask("POST /mcp", &[&bearer, JSON, ACCEPT], body);
        assert!(
            answer.status == 400 && answer.head.contains("content-type: application/json"),
            "{body:.40}: {answer:?}"
        );
        let said = answer.json();
        assert_eq!((&said["error"]["code"], said.get("id")), (&json!(code), Some(&id)), "{body:.40}: {said}");
        assert!(said["jsonrpc"] == "2.0" && said["error"]["message"].is_string(), "{said}");
    }

    // Also what is refused before it comes here, and the connection goes on.
    let large = " ".repeat(18 << 20);
    let mut stream = sent(&server, "POST /mcp HTTP/1.1", &[], &large);
    let mut head = String::new();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") {
        assert!(answers.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 413") && !head.contains("connection: close"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    answers.read_exact(&mut body).unwrap();
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&said["error"]["code"], said.get("id")), (&json!(-32600), Some(&Value::Null)), "{said}");
    assert_eq!(said["error"]["data"]["kind"], "too-large", "{said}");
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    read_until(stream, "200 OK");

    let session = begin(&server);
    let ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    let unknown = "Mcp-Session-Id: 00000000-0000-0000-0000-000000000000";
    let stranger = ["MCP-Protocol-Version: 1999-01-01", &session];
    for (line, more, body, status, word) in [
        ("POST /mcp", &[ACCEPT][..], ping, 400, "Session ID"),
        ("POST /mcp", &[ACCEPT, unknown], ping, 404, "Session not found"),
        ("POST /mcp", &[ACCEPT, stranger[0], stranger[1]], ping, 400, "1999-01-01"),
        ("POST /mcp", &["Accept: text/plain"], ping, 406, "text/event-stream"),
        ("GET /mcp", &["Accept: text/plain"], "", 406, "text/event-stream"),
        ("GET /mcp", &[ACCEPT, unknown], "", 404, "Session not found"),
        ("DELETE /mcp", &[ACCEPT, unknown], "", 404, "Session not found"),
        ("DELETE /mcp", &[ACCEPT], "", 400, "Session ID"),
        ("PUT /mcp", &[ACCEPT], ping, 405, "Method Not Allowed"),
    ] {
        let answer = server.ask(line, &[&[&*bearer, JSON], more].concat(), body);
        assert_eq!(answer.status, status, "{line} {more:?}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{line} {more:?}: {answer:?}");
        let said = answer.json();
        let words = said["error"]["message"].as_str().unwrap_or_else(|| panic!("{said}"));
        assert!(said["jsonrpc"] == "2.0" && words.contains(word), "{line} {more:?}: {said}");
        assert_eq!(answer.head.contains("allow: "), status == 405, "{answer:?}");
    }
    let end = || server.ask("DELETE /mcp", &[&bearer, &session], "").status;
    assert_eq!((end(), end()), (202, 404), "a session ends once");
    server.still_works();
}

#[test]
fn as_many_sessions_as_may_be_lock_nobody_out() {
    let server = Server::new();
    let (first, second) = (begin(&server), begin(&server));
    for _ in 0..1_022 {
        begin(&server);
    }
    assert_eq!(ping(&server, &first).status, 200);
    let last = begin(&server);
    assert!(names(&server).contains(&"probe_echo".to_owned()), "who needs no session has none to lose");
    assert_eq!(ping(&server, &second).status, 404, "it was idle for the longest");
    for session in [&first, &last] {
        assert_eq!(ping(&server, session).status, 200);
    }
    server.still_works();
}

#[test]
fn two_tools_stand_for_all_over_http_where_the_server_was_told_so() {
    let server = Server::with(Server::furnished(), &["--meta-tools"]);
    assert_eq!(names(&server), ["skills_call", "skills_search"]);
}

#[test]
fn a_call_over_http_ends_with_its_cancellation_or_with_a_connection_that_it_needs() {
    let server = Server::new();
    let session = begin(&server);
    let sleep = || json!({ "name": "probe_sleep", "arguments": { "ms": 600_000 } });
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": sleep() });
    let _unread = slow(&server, &[&session], &call);
    let params = json!({ "requestId": 9 });
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    assert_eq!(post(&server, &[&session], &cancel).status, 202);
    idle(&server);
    assert_eq!(ping(&server, &session).status, 200, "the session goes on");

    let call = by_itself("tools/call", sleep());
    drop(slow(&server, &[VERSION, "Mcp-Method: tools/call", "Mcp-Name: probe_sleep"], &call));
    idle(&server);
    // A run is written down a moment after it has ended.
    let both = [json!("cancelled"), json!("cancelled")];
    until("both are on record", || runs(&server.home).starts_with(&both).then_some(()));
    server.still_works();
}

#[test]
fn a_client_over_http_hears_of_what_is_installed_meanwhile() {
    let server = Server::bare();
    let session = begin(&server);
    let waits = sent(&server, "GET /mcp HTTP/1.1", &[&session], "");
    server.home.run(&["add", &crate::support::probe().display().to_string(), "--grant-nothing"]).worked();
    read_until(waits, "notifications/tools/list_changed");
}

#[test]
fn ctrl_c_lets_a_call_over_http_end_and_then_the_streams_that_wait() {
    let mut server = Server::new();
    let session = begin(&server);
    let waits = sent(&server, "GET /mcp HTTP/1.1", &[&session], "");
    let params = json!({ "name": "probe_sleep", "arguments": { "ms": 1_500 } });
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params });
    let stream = slow(&server, &[&session], &call);
    let begun = Instant::now();
    server.signal("-INT");
    read_until(stream, "\"result\"");
    assert_eq!(server.ended(), 0);
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for what only waits: {:?}", begun.elapsed());
    drop(waits);
}
