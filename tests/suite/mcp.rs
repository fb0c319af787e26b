//! `ringfence mcp`: JSON-RPC by hand over the real program's standard streams, in both eras of the protocol, and a client of the
//! library's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{self, Home, process};

const PATIENCE: Duration = Duration::from_secs(120);

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    /// With `initialize`, at this version.
    Session(&'static str),
    /// Each request by itself, at 2026-07-28.
    Requests,
}

const ERAS: [Era; 3] = [Era::Session("2025-06-18"), Era::Session("2025-11-25"), Era::Requests];

/// A client that writes and reads lines.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    era: Era,
    capabilities: Value,
    last: u64,
}

impl Client {
    fn start(home: &Home, args: &[&str], era: Era) -> Self {
        Self::able(home, args, era, json!({}))
    }

    /// One that is able to do something.
    fn able(home: &Home, args: &[&str], era: Era, capabilities: Value) -> Self {
        let mut all = vec!["mcp"];
        all.extend(args);
        let mut child = process::start(home.command(&all).stdin(Stdio::piped()));
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if line.map(|line| send.send(line).is_err()).unwrap_or(true) {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let mut client = Self { child, input, lines, era, capabilities, last: 0 };
        if let Era::Session(version) = era {
            let info = json!({ "name": "by-hand", "version": "1" });
            let params = json!({ "protocolVersion": version, "capabilities": client.capabilities, "clientInfo": info });
            let begun = client.ask("initialize", params);
            assert_eq!(begun["result"]["protocolVersion"], version, "{begun}");
            assert!(begun["result"]["instructions"].as_str().unwrap().contains("error[KIND]"), "{begun}");
            client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        }
        client
    }

    fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).and_then(|()| input.write_all(b"\n")).and_then(|()| input.flush()).unwrap();
    }

    fn send(&mut self, message: &Value) {
        self.write(message.to_string().as_bytes());
    }

    /// The next message. Every line has to be one.
    #[track_caller]
    fn next(&mut self) -> Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert_eq!(message["jsonrpc"], "2.0", "{message}");
                message
            }
            Err(RecvTimeoutError::Timeout) => panic!("it says nothing"),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", self.errors()),
        }
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }

    /// Sends a request, and gives its id.
    fn request(&mut self, method: &str, mut params: Value) -> u64 {
        if self.era == Era::Requests {
            let meta = params.as_object_mut().unwrap().entry("_meta").or_insert_with(|| json!({}));
            meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "by-hand", "version": "1" });
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request, and waits for its answer, which has to come next.
    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    #[track_caller]
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    #[track_caller]
    fn names(&mut self) -> Vec<String> {
        let listed = self.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    fn cancel(&mut self, id: u64) {
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    }

    /// It still answers.
    #[track_caller]
    fn still_works(&mut self) {
        let said = self.call("probe_echo", json!({ "text": "still" }));
        assert_eq!(said["result"]["content"][0]["text"], "still", "{said}");
    }

    /// Goes, as clients do, and gives the exit code and what was written on stderr.
    fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let errors = self.errors();
        (self.child.wait().unwrap().code().unwrap_or(-1), errors)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn probe() -> String {
    support::probe().display().to_string()
}

/// A skill that may ask for the person, made of the probe.
fn asking(home: &Home) -> String {
    let manifest =
        "name = \"asks\"\nversion = \"0.1.0\"\ndescription = \"Asks.\"\n[permissions.user]\nreason = \"To know.\"\n";
    home.write("work/asks/skill.toml", format!("{manifest}[build]\ncomponent = \"asks.wasm\"\n"));
    std::fs::copy(support::probe(), home.path("work/asks/asks.wasm")).unwrap();
    home.run(&["grant", "./asks", "user"]).worked();
    "./asks".to_owned()
}

/// The kinds of the newest runs, newest first: null where one went well.
pub(crate) fn runs(home: &Home) -> Vec<Value> {
    let database = rusqlite::Connection::open(home.state().join("state.db")).unwrap();
    let mut rows = database.prepare("select kind from runs order by seq desc").unwrap();
    let kinds = rows.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
    kinds.map(|kind| kind.unwrap().map_or(Value::Null, Value::from)).collect()
}

#[test]
fn an_id_may_be_used_again_by_whoever_has_read_its_answer() {
    let home = Home::new();
    let mut client = Client::start(&home, &[], Era::Session("2025-11-25"));
    for _ in 0..1_000 {
        client.send(&json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" }));
        let answer = client.next();
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[test]
fn every_era_sees_the_same_tools_in_the_same_order() {
    let home = Home::new();
    let mut lists = Vec::new();
    for era in ERAS {
        let mut client = Client::start(&home, &[&probe()], era);
        if era == Era::Requests {
            let found = client.ask("server/discover", json!({}));
            let versions = found["result"]["supportedVersions"].as_array().unwrap_or_else(|| panic!("{found}"));
            for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
                assert!(versions.contains(&json!(version)), "{found}");
            }
            assert_eq!(found["result"]["capabilities"]["tools"]["listChanged"], true, "{found}");
        }
        let listed = client.ask("tools/list", json!({}))["result"].take();
        assert_eq!(listed["ttlMs"].as_u64().unwrap(), 60_000, "{listed}");
        assert_eq!(listed["cacheScope"], "private");
        assert_eq!(listed["resultType"], if era == Era::Requests { json!("complete") } else { Value::Null });
        lists.push(listed["tools"].clone());
        let refused = client.ask("tools/list", json!({ "cursor": "2" }));
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert_eq!(client.end(), (0, String::new()));
    }
    assert_eq!(lists[0], lists[1]);
    let tools = lists[0].as_array().unwrap();
    assert!(tools.is_sorted_by_key(|tool| tool["name"].as_str().unwrap()));
    assert_eq!(lists[2].as_array().unwrap().len(), tools.len());
    let one = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let echo = one("probe_echo");
    assert_eq!(echo["inputSchema"]["properties"]["text"]["type"], "string", "{echo}");
    assert_eq!(echo["description"], "Gives back what it is given.");
    assert_eq!((&echo["annotations"]["readOnlyHint"], &echo["outputSchema"]), (&json!(true), &Value::Null));
    assert_eq!(one("probe_stream")["outputSchema"]["type"], "object");
}

#[test]
fn a_call_gives_what_the_tool_gave_and_errors_in_its_words() {
    let home = Home::new();
    for era in ERAS {
        let mut client = Client::start(&home, &[&probe()], era);
        client.still_works();
        let given = client.call("probe_typed", json!({ "text": "a", "count": 3 }))["result"].take();
        assert_eq!((&given["content"][0]["text"], &given["isError"]), (&json!("a 3 "), &json!(false)), "{given}");
        // What the tool said, what it was asked in the wrong way, and what it may not do.
        let fails = [
            (
                "probe_fail",
                json!({ "kind": "failed", "message": "no luck", "hint": "try again" }),
                "failed",
                "try again",
            ),
            ("probe_typed", json!({ "text": "a", "count": 9 }), "invalid-input", ""),
            ("probe_put", json!({ "key": "a", "value": "b" }), "refused", "ringfence grant"),
        ];
        for (tool, arguments, kind, hint) in fails {
            let failed = client.call(tool, arguments)["result"].take();
            assert_eq!(failed["isError"], true, "{tool}: {failed}");
            let error = &failed["_meta"]["ringfence/error"];
            assert_eq!(error["kind"], kind, "{tool}: {failed}");
            assert!(error["hint"].as_str().unwrap().contains(hint), "{tool}: {failed}");
            let text = failed["content"][0]["text"].as_str().unwrap();
            assert!(text.starts_with(&format!("error[{kind}]: ")), "{tool}: {text}");
        }
        let unknown = client.call("probe_nothing", json!({}));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
        assert!(unknown["error"]["message"].as_str().unwrap().contains("probe_nothing"), "{unknown}");
        client.still_works();
    }
}

#[test]
fn progress_and_partial_text_come_before_the_answer_and_only_to_who_asked() {
    let home = Home::new();
    for era in [Era::Session("2025-11-25"), Era::Requests] {
        let mut client = Client::start(&home, &[&probe()], era);
        let arguments = json!({ "text": "ab", "times": 3 });
        let id = client.request(
            "tools/call",
            json!({ "name": "probe_emit", "arguments": arguments, "_meta": { "progressToken": "t" } }),
        );
        let (mut last, mut texts) = (-1.0, String::new());
        let answer = loop {
            let message = client.next();
            if message["id"] == id {
                break message;
            }
            assert_eq!(message["method"], "notifications/progress", "{message}");
            let params = &message["params"];
            assert_eq!((&params["progressToken"], params["total"].as_f64()), (&json!("t"), Some(3.0)), "{params}");
            let now = params["progress"].as_f64().unwrap();
            assert!(now > last, "{now} after {last}");
            last = now;
            let said = params["message"].as_str().unwrap();
            texts += if said == "emitting" { "" } else { said };
        };
        assert_eq!((texts.as_str(), &answer["result"]["content"][0]["text"]), ("ababab", &json!("ababab")));
        // Without a token there is nothing before the answer.
        let silent = client.call("probe_emit", arguments);
        assert_eq!(silent["result"]["content"][0]["text"], "ababab");
    }
}

#[test]
fn what_is_no_request_is_answered_and_the_session_goes_on() {
    let home = Home::new();
    for era in [Era::Session("2025-11-25"), Era::Requests] {
        let mut client = Client::start(&home, &[&probe()], era);
        client.still_works();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let inside = format!(
            r#"{{"jsonrpc":"2.0","id":7000,"method":"tools/call","params":{{"name":"probe_echo","arguments":{{"text":{deep}}}}}}}"#
        );
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let large =
            format!(r#"{{"jsonrpc":"2.0","id":7001,"method":"x","params":{{"a":"{}"}}}}"#, "x".repeat(20 << 20));
        let wrong = [
            ("{", -32700),
            ("hello", -32700),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list""#, -32700),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\u{1}\"}", -32700),
            (deep.as_str(), -32700),
            (inside.as_str(), -32700),
            (&format!("[{ping},{ping}]"), -32600),
            ("[]", -32600),
            ("7", -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
            (large.as_str(), -32600),
        ];
        for (line, code) in wrong {
            client.write(line.as_bytes());
            let refused = client.next();
            assert_eq!(refused["error"]["code"], code, "{}: {refused}", &line[..line.len().min(80)]);
            // A null where there is none to give: clients look for the member.
            let id = refused.get("id").unwrap_or_else(|| panic!("{refused}"));
            let expected = [(inside.as_str(), json!(7000)), (large.as_str(), json!(7001))];
            if let Some((_, expected)) = expected.iter().find(|(one, _)| *one == line) {
                assert_eq!(id, expected, "whoever asked so learns what became of it: {refused}");
            }
        }
        client.write(b"\"\xff\xfe\"");
        assert_eq!(client.next()["error"]["code"], -32700, "bytes that are no text");
        // To what wants no answer there is none.
        client.write(b"\r\n\n");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/of-tomorrow", "params": { "a": 1 } }));
        client.send(&json!({ "jsonrpc": "2.0", "id": 12345, "result": {} }));
        client.cancel(99_999);
        for method in ["tools/lists", "completion/complete", "resources/subscribes", "logging/setLevel", "rpc.discover"]
        {
            let unknown = client.ask(method, json!({ "level": "info" }));
            assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
        }
        let wrong = client.ask("tools/call", json!({ "name": 5 }));
        assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
        client.still_works();
        assert_eq!(client.end(), (0, String::new()));
    }
}

#[test]
fn what_comes_before_a_session_has_begun_is_about_nothing_and_ends_nothing() {
    let home = Home::new();
    for early in [
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/of-tomorrow" }),
        json!({ "jsonrpc": "2.0", "id": 77, "result": {} }),
    ] {
        let mut client = Client::start(&home, &[&probe()], Era::Requests);
        client.send(&early);
        assert!(client.ask("server/discover", json!({}))["result"].is_object());
        client.send(&early);
        client.still_works();
        client.send(&early);
        client.still_works();
        assert_eq!(client.end(), (0, String::new()), "{early}");
    }
}

#[test]
fn an_id_is_used_by_one_request_at_a_time() {
    let home = Home::new();
    let mut client = Client::start(&home, &[&probe()], Era::Session("2025-11-25"));
    let id = client.request("tools/call", json!({ "name": "probe_sleep", "arguments": { "ms": 60_000 } }));
    client.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }));
    let refused = client.next();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(id), &json!(-32600)), "{refused}");
    client.cancel(id);
    client.still_works();
}

#[test]
fn requests_without_end_are_refused_and_answers_that_nobody_reads_hold_them_up() {
    const MANY: usize = 20_000;
    let home = Home::new();
    let mut client = Client::start(&home, &[&probe()], Era::Session("2025-11-25"));
    client.still_works();
    let mut input = client.input.take().unwrap();
    let (told, written) = channel();
    let writer = std::thread::spawn(move || {
        for id in 0..MANY {
            let line = json!({ "jsonrpc": "2.0", "id": format!("n{id}"), "method": "tools/list" });
            writeln!(input, "{line}").unwrap();
            told.send(id).unwrap();
        }
        input
    });
    // The reader of this test keeps up, and is stopped: its channel has no end, the pipe behind it does.
    let mut answered = std::collections::HashSet::new();
    while answered.len() < MANY {
        let message = client.next();
        let id = message["id"].as_str().unwrap().to_owned();
        assert!(message["result"].is_object() || message["error"]["code"] == -32000, "{message}");
        assert!(answered.insert(id), "{message}");
    }
    client.input = Some(writer.join().unwrap());
    assert_eq!(written.iter().count(), MANY);
    client.still_works();
}

/// A client whose program never reads what it is told.
#[test]
fn a_client_that_never_reads_is_not_waited_for_in_memory() {
    let home = Home::new();
    let mut child = process::start(home.command(&["mcp", &probe()]).stdin(Stdio::piped()));
    let mut input = child.stdin.take().unwrap();
    let (told, written) = channel();
    let hello = json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } } });
    std::thread::spawn(move || {
        let mut id = 0_u64;
        let mut line = hello.to_string();
        while writeln!(input, "{line}").is_ok() {
            id += 1;
            line = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }).to_string();
            if told.send(id).is_err() {
                return;
            }
        }
    });
    // Until nothing more is taken from it.
    let mut last = 0;
    loop {
        match written.recv_timeout(Duration::from_secs(2)) {
            Ok(id) => last = id,
            Err(RecvTimeoutError::Timeout) if last > 0 => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("it ended"),
        }
        assert!(last < 100_000, "it reads on and on");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 300 << 10, "{peak} KiB");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_client_that_never_reads_is_not_waited_for_at_the_end() {
    for signal in [None, Some("-TERM")] {
        let home = Home::new();
        let mut child = process::start(home.command(&["mcp", &probe()]).stdin(Stdio::piped()));
        let mut input = child.stdin.take().unwrap();
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        // More than a pipe holds.
        let call = json!({ "name": "probe_echo", "arguments": { "text": "x".repeat(300_000) } });
        for message in [
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call }),
        ] {
            writeln!(input, "{message}").unwrap();
        }
        let database = home.state().join("state.db");
        let ended = || {
            let database = database.exists().then(|| rusqlite::Connection::open(&database).ok())??;
            database.query_row("select ended_us from runs where ended_us is not null", [], |_| Ok(())).ok()
        };
        process::until("the call has ended", ended);
        let begun = Instant::now();
        match signal {
            None => drop(input),
            Some(signal) => {
                let pid = child.id().to_string();
                assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
            }
        }
        let status = process::until("it ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{signal:?}: {:?}", begun.elapsed());
        assert_eq!(runs(&home), [json!("ok")], "it went well, read or not");
    }
}

#[test]
fn a_cancelled_call_ends_and_is_written_down_as_that() {
    let home = Home::new();
    let asks = asking(&home);
    let mut client = Client::able(&home, &[&asks], Era::Session("2025-11-25"), json!({ "elicitation": {} }));
    let id = client.request("tools/call", json!({ "name": "asks_question", "arguments": { "text": "Who?" } }));
    // It runs, since it asks.
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    client.cancel(id);
    let withdrawn = client.next();
    assert_eq!(withdrawn["method"], "notifications/cancelled", "{withdrawn}");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    // There is no answer to it, but to what comes after it.
    assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
    assert_eq!(client.end(), (0, String::new()));
    assert_eq!(runs(&home), [json!("cancelled")]);
}

#[test]
fn a_client_that_goes_takes_its_calls_with_it() {
    let home = Home::new();
    let asks = asking(&home);
    let mut client = Client::able(&home, &[&asks], Era::Session("2025-11-25"), json!({ "elicitation": {} }));
    client.request("tools/call", json!({ "name": "asks_question", "arguments": { "text": "Who?" } }));
    assert_eq!(client.next()["method"], "elicitation/create");
    let begun = Instant::now();
    assert_eq!(client.end().0, 0);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(runs(&home), [json!("cancelled")]);
}

#[test]
fn what_was_asked_before_the_end_is_answered() {
    let home = Home::new();
    let mut client = Client::start(&home, &[&probe()], Era::Session("2025-11-25"));
    let id = client.request("tools/call", json!({ "name": "probe_sleep", "arguments": { "ms": 300 } }));
    drop(client.input.take());
    assert_eq!(client.next()["id"], id);
    assert_eq!(client.child.wait().unwrap().code(), Some(0));
}

/// Three requests in a row as a script would write them, and the ids of what was answered.
fn answered(said: &str) -> Vec<u64> {
    let messages = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let mut ids: Vec<u64> = messages.map(|message| message["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn three() -> String {
    let request = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let info = json!({ "name": "by-hand", "version": "1" });
    let begin = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let lines = [
        request(1, "initialize", begin),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        request(2, "tools/list", json!({})),
        request(3, "ping", json!({})),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

#[test]
fn streams_may_be_sockets_and_files_and_are_left_as_they_were() {
    let home = Home::new();
    // As Node.js starts programs: one socket for each stream. What they are shared with must not find them changed.
    let ((ours, theirs), (out, said)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let flags = [&theirs, &said].map(|end| rustix::fs::fcntl_getfl(end).unwrap());
    let (input, output) = (theirs.try_clone().unwrap(), said.try_clone().unwrap());
    let mut command = home.command(&["mcp"]);
    command.stdin(OwnedFd::from(input)).stdout(OwnedFd::from(output));
    let mut child = command.spawn().unwrap();
    drop(command);
    (&ours).write_all(three().as_bytes()).unwrap();
    let mut lines = BufReader::new(&out).lines();
    let said_there: Vec<String> = (0..3).map(|_| lines.next().unwrap().unwrap() + "\n").collect();
    assert_eq!(answered(&said_there.concat()), [1, 2, 3]);
    assert_eq!([&theirs, &said].map(|end| rustix::fs::fcntl_getfl(end).unwrap()), flags);
    drop((ours, theirs));
    assert!(child.wait().unwrap().success());

    // A file, which cannot be waited for, and a pipe that others read as well.
    let (reader, writer) = std::io::pipe().unwrap();
    let before = rustix::fs::fcntl_getfl(&writer).unwrap();
    let script = home.write("work/script.jsonl", three());
    let mut command = home.command(&["mcp"]);
    command.stdin(std::fs::File::open(&script).unwrap()).stdout(writer.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rustix::fs::fcntl_getfl(&writer).unwrap(), before);
    drop((command, writer));
    let mut said = String::new();
    { reader }.read_to_string(&mut said).unwrap();
    assert_eq!(answered(&said), [1, 2, 3]);
}

#[test]
fn a_question_goes_to_the_person_behind_the_client() {
    let home = Home::new();
    let asks = asking(&home);
    let arguments = || json!({ "text": "How many?", "schema": "{\"type\":\"integer\",\"minimum\":1}" });
    // Nobody is there.
    let mut client = Client::start(&home, &[&asks], Era::Session("2025-11-25"));
    let refused = client.call("asks_question", arguments())["result"].take();
    assert_eq!(refused["_meta"]["ringfence/error"]["kind"], "unavailable", "{refused}");
    drop(client);

    let mut client =
        Client::able(&home, &[&asks], Era::Session("2025-11-25"), json!({ "elicitation": { "form": {} } }));
    let id = client.request("tools/call", json!({ "name": "asks_question", "arguments": arguments() }));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert!(question["params"]["message"].as_str().unwrap().contains("| How many?"), "{question}");
    assert_eq!(question["params"]["requestedSchema"]["properties"]["answer"]["type"], "integer", "{question}");
    // What does not fit is asked again.
    let answer = |id: &Value, number: i64| json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "answer": number } } });
    client.send(&answer(&question["id"], 0));
    let again = client.next();
    assert_eq!(again["method"], "elicitation/create", "{again}");
    client.send(&answer(&again["id"], 3));
    let given = client.next();
    assert_eq!((&given["id"], &given["result"]["content"][0]["text"]), (&json!(id), &json!("3")), "{given}");
}

#[test]
fn a_question_of_the_newer_protocol_is_another_request() {
    let home = Home::new();
    let asks = asking(&home);
    let mut client = Client::able(&home, &[&asks], Era::Requests, json!({ "elicitation": { "form": {} } }));
    let arguments = json!({ "text": "Who?" });
    let asked = client.call("asks_question", arguments.clone())["result"].take();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let (name, question) = asked["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    let state = &asked["requestState"];
    let again = |client: &mut Client, arguments: &Value, state: &Value, answers: Value| {
        client.ask(
            "tools/call",
            json!({ "name": "asks_question", "arguments": arguments, "requestState": state, "inputResponses": answers }),
        )
    };
    let answers = json!({ name.as_str(): { "action": "accept", "content": { "answer": "Ada" } } });
    // Only the same call, under the name that it has.
    for (arguments, state) in [(json!({ "text": "Other?" }), state.clone()), (arguments.clone(), json!("0".repeat(32)))]
    {
        let refused = again(&mut client, &arguments, &state, answers.clone());
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    // Who comes back without an answer is asked again, under another name.
    let still = again(&mut client, &arguments, state, json!({}))["result"].take();
    assert_eq!(still["resultType"], "input_required", "{still}");
    assert_ne!(&still["requestState"], state);
    let given = again(&mut client, &arguments, &still["requestState"], answers.clone())["result"].take();
    assert_eq!(
        (&given["content"][0]["text"], &given["resultType"]),
        (&json!("\"Ada\""), &json!("complete")),
        "{given}"
    );
    // Once.
    let over = again(&mut client, &arguments, &still["requestState"], answers);
    assert_eq!(over["error"]["code"], -32602, "{over}");
}

#[test]
fn what_authors_wrote_for_models_is_read_by_the_extension_as_a_resource_and_as_a_prompt() {
    use sha2::{Digest as _, Sha256};
    let home = Home::new();
    asking_unasked(&home);
    let page = "---\nname: asks\ndescription: Asks.\n---\n\nCall `echo` with a text.\n";
    home.write("work/asks/SKILL.md", page);
    home.run(&["add", "./asks", "--yes"]).worked();
    home.run(&["add", &probe(), "--yes"]).worked();
    for era in [Era::Session("2025-11-25"), Era::Requests] {
        let mut client = Client::start(&home, &[], era);
        let listed = client.ask("skills/list", json!({}))["result"]["skills"].take();
        // The probe has nothing of the kind.
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        let uri = "skill://asks/SKILL.md";
        assert_eq!((&listed[0]["uri"], &listed[0]["frontmatter"]["description"]), (&json!(uri), &json!("Asks.")));
        let one = client.ask("skills/get", json!({ "uri": uri }))["result"]["skill"].take();
        assert_eq!(one, listed[0]);
        let resource = client.ask("resources/list", json!({}))["result"]["resources"][0].take();
        assert_eq!((&resource["uri"], &resource["name"]), (&json!(uri), &json!("asks")));
        assert_eq!(client.ask("resources/templates/list", json!({}))["result"]["resourceTemplates"], json!([]));
        let prompts = client.ask("prompts/list", json!({}))["result"]["prompts"].take();
        assert_eq!(prompts, json!([{ "name": "asks", "description": "Asks." }]));
        let prompt = client.ask("prompts/get", json!({ "name": "asks" }))["result"]["messages"].take();
        assert_eq!((&prompt[0]["role"], &prompt[1]), (&json!("user"), &Value::Null), "{prompt}");
        let prompt = prompt[0]["content"]["text"].as_str().unwrap();
        assert!(prompt.starts_with("Call `echo` with a text.") && prompt.contains("`asks_echo`"), "{prompt}");
        for other in ["probe", "other"] {
            assert_eq!(client.ask("prompts/get", json!({ "name": other }))["error"]["code"], -32602);
        }
        let read = client.ask("resources/read", json!({ "uri": uri }))["result"].take();
        if matches!(era, Era::Requests) {
            assert_eq!((&read["ttlMs"], &read["cacheScope"]), (&json!(60_000), &json!("private")), "{read}");
        }
        let read = &read["contents"][0];
        let text = read["text"].as_str().unwrap();
        assert!(text.contains("Call `echo` with a text.") && text.contains("`asks_echo`"), "{text}");
        let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(one["resources"][0]["digest"], format!("sha256:{digest}"));
        for (method, uri) in [
            ("skills/get", "skill://probe/SKILL.md"),
            ("skills/get", "skill://asks/other.md"),
            ("resources/read", "skill://asks/../../state.db"),
            ("resources/read", "file:///etc/passwd"),
        ] {
            let refused = client.ask(method, json!({ "uri": uri }));
            assert!([-32602, -32002].map(Value::from).contains(&refused["error"]["code"]), "{uri}: {refused}");
        }
    }
}

#[test]
fn two_tools_stand_for_all_where_a_client_reads_the_list_once() {
    let home = Home::new();
    let mut client = Client::start(&home, &["--meta-tools", &probe()], Era::Session("2025-06-18"));
    assert_eq!(client.names(), ["skills_call", "skills_search"]);
    let found =
        client.call("skills_search", json!({ "query": "give back what is given", "limit": 3 }))["result"].take();
    let tools = found["structuredContent"]["tools"].as_array().unwrap();
    assert!(tools.len() <= 3 && tools.iter().any(|tool| tool["name"] == "probe_echo"), "{found}");
    let said = client.call("skills_call", json!({ "name": "probe_echo", "arguments": { "text": "a" } }));
    assert_eq!(said["result"]["content"][0]["text"], "a", "{said}");
    for (tool, arguments) in [
        ("probe_echo", json!({ "text": "a" })),
        ("skills_call", json!({ "name": "probe_nothing" })),
        ("skills_call", json!({ "name": "probe_echo", "allow": ["kv"] })),
        ("skills_search", json!({ "limit": "many" })),
    ] {
        let refused = client.call(tool, arguments);
        assert_eq!(refused["error"]["code"], -32602, "{tool}: {refused}");
    }
}

#[test]
fn each_client_has_a_host_and_all_hear_of_what_is_installed() {
    let home = Home::new();
    let mut old = Client::start(&home, &[], Era::Session("2025-11-25"));
    let mut new = Client::start(&home, &[], Era::Requests);
    assert!(old.names().is_empty() && new.names().is_empty());
    new.request("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(new.next()["method"], "notifications/subscriptions/acknowledged");
    home.run(&["add", &probe(), "--yes"]).worked();
    for client in [&mut old, &mut new] {
        assert_eq!(client.next()["method"], "notifications/tools/list_changed");
    }
    // The one goes, and the other does not notice.
    process::interrupt(&old.child);
    assert_eq!(old.child.wait().unwrap().code(), Some(0));
    let id = new.request("tools/call", json!({ "name": "probe_echo", "arguments": { "text": "here" } }));
    let answer = std::iter::repeat_with(|| new.next()).find(|message| message["id"] == id).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "here", "{answer}");
}

/// As [`asking`], without the right to ask.
fn asking_unasked(home: &Home) -> String {
    let manifest =
        "name = \"asks\"\nversion = \"0.1.0\"\ndescription = \"Asks.\"\n[build]\ncomponent = \"asks.wasm\"\n";
    home.write("work/asks/skill.toml", manifest);
    std::fs::copy(support::probe(), home.path("work/asks/asks.wasm")).unwrap();
    "./asks".to_owned()
}

#[test]
fn errors_are_on_stderr_whatever_format_was_asked_for() {
    let home = Home::new();
    let done = home.run(&["mcp", "./nowhere", "--format", "json"]);
    done.fails("not-found", 2, "nowhere", "");
    let mut child = process::start(home.command(&["mcp"]).stdin(Stdio::piped()));
    drop(child.stdin.take());
    let done = support::Done::wait(child, Instant::now());
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "", ""), "a client that says nothing");
}

/// Changes what is worked on.
fn say(folder: &Path, function: &str) {
    let bytes = support::wat::plain(
        r#"(func (export "one") (param i32) (result i32) (local.get 0))"#,
        &format!(r#"(func (export "{function}") (param "a" s32) (result s32) LIFT one)"#),
    );
    std::fs::write(folder.join(".new"), bytes).unwrap();
    std::fs::rename(folder.join(".new"), folder.join("out.wasm")).unwrap();
}

/// `ringfence dev` at work on a skill in its folder.
fn dev(home: &Home) -> (Child, std::path::PathBuf) {
    let (dev, folder, told) = dev_told(home);
    // Kept open: whoever tells must be able to.
    std::thread::spawn(move || drop(std::io::copy(&mut { told }, &mut std::io::sink())));
    (dev, folder)
}

/// As [`dev`], with what it tells.
fn dev_told(home: &Home) -> (Child, std::path::PathBuf, BufReader<std::process::ChildStdout>) {
    let manifest = "name = \"live\"\nversion = \"0.1.0\"\ndescription = \"Says.\"\n[build]\ncomponent = \"out.wasm\"\n";
    home.write("work/live/skill.toml", manifest);
    let folder = home.path("work/live");
    say(&folder, "first");
    let mut dev = process::start(home.command(&["dev", "./live", "--format", "json"]).stdin(Stdio::piped()));
    let mut told = BufReader::new(dev.stdout.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.contains("\"serving\""), "{line}");
    (dev, folder, told)
}

#[test]
fn what_a_client_calls_is_shown_where_the_skill_is_worked_on() {
    let home = Home::new();
    let (mut dev, _, mut told) = dev_told(&home);
    let mut client = Client::start(&home, &[], Era::Session("2025-11-25"));
    client.call("live_first", json!({ "a": 7 }));
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    let seen: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&seen["event"], &seen["kind"]), (&json!("client-called"), &json!("ok")), "{seen}");
    assert!(seen["call"].as_str().unwrap().ends_with("/first"), "{seen}");
    process::interrupt(&dev);
    assert!(dev.wait().unwrap().success());
}

#[test]
fn clients_of_dev_see_what_is_worked_on_and_hear_of_each_save() {
    let home = Home::new();
    let (mut dev, folder) = dev(&home);
    let mut old = Client::start(&home, &[], Era::Session("2025-11-25"));
    let mut new = Client::start(&home, &[], Era::Requests);
    assert_eq!(old.names(), ["live_first"]);
    let listed = new.ask("tools/list", json!({}));
    assert_eq!((&listed["result"]["ttlMs"], &listed["result"]["tools"][0]["name"]), (&json!(0), &json!("live_first")));
    let id = new.request("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let begun = new.next();
    assert_eq!(begun["method"], "notifications/subscriptions/acknowledged", "{begun}");
    assert_eq!(begun["params"]["notifications"]["toolsListChanged"], true, "{begun}");
    say(&folder, "second");
    for client in [&mut old, &mut new] {
        let changed = client.next();
        assert_eq!(changed["method"], "notifications/tools/list_changed", "{changed}");
    }
    assert_eq!(old.names(), ["live_second"]);
    let given = new.call("live_second", json!({ "a": 7 }));
    assert_eq!(given["result"]["content"][0]["text"], "7", "{given}");
    // Who listens no longer hears nothing more.
    new.cancel(id);
    assert_eq!(new.names(), ["live_second"]);
    say(&folder, "third");
    assert_eq!(old.next()["method"], "notifications/tools/list_changed");
    assert_eq!(new.names(), ["live_third"]);
    process::interrupt(&dev);
    assert!(dev.wait().unwrap().success());
}

#[test]
fn a_client_of_dev_brings_what_it_likes_and_learns_when_dev_ends() {
    let home = Home::new();
    let (mut dev, _) = dev(&home);
    let socket = home.state().join("mcp.sock");
    assert_eq!(std::fs::symlink_metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let mut first = Client::start(&home, &[&probe()], Era::Session("2025-11-25"));
    first.still_works();
    assert!(first.names().contains(&"live_first".to_owned()));
    let asks = asking_unasked(&home);
    let mut second = Client::start(&home, &[&asks, "--meta-tools"], Era::Session("2025-06-18"));
    assert_eq!(second.names(), ["skills_call", "skills_search"]);
    assert_eq!(first.next()["method"], "notifications/tools/list_changed");
    home.write("work/broken.wasm", "no component");
    home.run(&["mcp", "./broken.wasm"]).fails("invalid-component", 2, "broken.wasm", "");
    home.run(&["mcp", "./nowhere.wasm"]).fails("not-found", 2, "nowhere.wasm", "");
    home.run(&["mcp", "probe"]).fails("not-found", 2, "`probe`", "must contain a `/`");
    assert_eq!(second.end(), (0, String::new()));
    process::interrupt(&dev);
    assert!(dev.wait().unwrap().success());
    assert!(!socket.exists());
    let code = first.child.wait().unwrap().code();
    let errors = first.errors();
    assert_eq!(code, Some(4), "{errors}");
    assert!(
        errors.starts_with("error[unavailable]: the `ringfence dev` that served this client has ended"),
        "{errors}"
    );
}

#[test]
fn what_a_killed_dev_left_is_no_obstacle() {
    let home = Home::new();
    let (mut killed, _) = dev(&home);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(home.state().join("mcp.sock").exists());
    Client::start(&home, &[&probe()], Era::Session("2025-11-25")).still_works();
    let (mut again, _) = dev(&home);
    assert_eq!(Client::start(&home, &[], Era::Requests).names(), ["live_first"]);
    process::interrupt(&again);
    assert!(again.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_library_understands_it() {
    use rmcp::ServiceExt as _;
    use rmcp::model::CallToolRequestParams;
    use rmcp::transport::TokioChildProcess;
    let home = Home::new();
    let command = tokio::process::Command::from(home.command(&["mcp", &probe()]));
    let client = ().serve(TokioChildProcess::new(command).unwrap()).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert!(tools.iter().any(|tool| tool.name == "probe_echo"));
    let arguments = json!({ "text": "hello" }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("probe_echo").with_arguments(arguments);
    let given = client.call_tool(call).await.unwrap();
    assert_eq!(given.content[0].as_text().unwrap().text, "hello");
    client.cancel().await.unwrap();
}

#[test]
fn a_client_is_registered_beside_all_that_stands_in_its_file() {
    let home = Home::new();
    let file = home.write(".cursor/mcp.json", "{\n  // mine\n  \"mcpServers\": { \"other\": { \"url\": \"u\" } }\n}\n");
    let printed = home.run(&["connect", "cursor"]).worked();
    let snippet: Value = serde_json::from_str(&printed.out).unwrap();
    let command = snippet["mcpServers"]["ringfence"]["command"].as_str().unwrap().to_owned();
    assert!(Path::new(&command).is_absolute() && Path::new(&command).is_file(), "{command}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("ringfence"), "it only printed");
    home.run(&["connect", "cursor", "--write"]).worked();
    let text = std::fs::read_to_string(&file).unwrap();
    for kept in ["// mine", "\"other\": { \"url\": \"u\" }", &command] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    home.run(&["connect", "cursor", "--write"]).gives(&format!("ringfence stood in {} already\n", file.display()));
    // What is registered is what a client starts.
    let mut child = std::process::Command::new(&command);
    home.environment(child.arg("mcp"));
    assert!(child.stdin(Stdio::null()).output().unwrap().status.success());
    // Wherever a client starts it, it sees what this call saw.
    let printed = home.run(&["--state-dir", "elsewhere", "connect", "zed", "--meta-tools"]).worked();
    let snippet: Value = serde_json::from_str(&printed.out).unwrap();
    let args: Vec<&str> = snippet["context_servers"]["ringfence"]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap())
        .collect();
    let folder = home.path("work/elsewhere").display().to_string();
    assert!(args.windows(2).any(|two| two == ["--state-dir", &folder]), "{args:?}");
    assert!(args.ends_with(&["mcp", "--meta-tools"]), "{args:?}");
    home.write(".codex/config.toml", "model = ");
    home.run(&["connect", "codex", "--write"]).fails("unreadable", 2, "config.toml", "by hand");
    home.write("work/.vscode/mcp.json", "{\"servers\": {\"ringfence\": {\"command\": \"other\"}}}");
    home.run(&["connect", "vscode", "--write"]).fails("already-exists", 2, "`ringfence`", "--name");
    home.run(&["connect", "vscode", "--write", "--name", "mine"]).worked();
    home.run(&["connect", "vscode", "--name", "no way"]).fails("usage", 2, "no way", "--help");
    for (client, variable, file) in
        [("codex", "CODEX_HOME", "config.toml"), ("zed", "XDG_CONFIG_HOME", "zed/settings.json")]
    {
        let elsewhere = home.path(&format!("elsewhere-{client}"));
        let mut command = home.command(&["connect", client, "--write"]);
        let done = crate::support::Done::of(command.env(variable, &elsewhere)).worked();
        assert!(cfg!(target_os = "macos") || elsewhere.join(file).is_file(), "{done:?}");
    }
}
