//! Strangers at the door of `ringfence serve`: programs without a token, pages of the web, and clients that do everything wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Server;
use crate::support::process::until;

#[test]
fn t110_nobody_gets_in_without_the_right_token_in_the_right_place() {
    let server = Server::bare();
    let (client, admin) = (Server::bearer(&server.client), Server::bearer(&server.admin));
    assert_eq!(server.ask("GET /v1/tools", &[&client], "").status, 200);
    assert_eq!(server.ask("GET /v1/tools", &[&admin], "").status, 200);
    assert_eq!(server.ask("GET /v1/tools", &[&client.replace("Bearer", "bearer")], "").status, 200);

    let query = format!("GET /v1/tools?token={0}&access_token={0}", server.client);
    let basic = format!("Authorization: Basic {}", server.client);
    let bare = format!("Authorization: {}", server.client);
    let cookie = format!("Cookie: token={}", server.client);
    let refused = [
        server.ask("GET /v1/tools", &[], ""),
        server.ask(&query, &[], ""),
        server.ask("GET /v1/tools", &[&basic], ""),
        server.ask("GET /v1/tools", &[&bare], ""),
        server.ask("GET /v1/tools", &[&cookie], ""),
        server.ask("GET /v1/tools", &[&client, &client], ""),
        server.ask("GET /v1/tools", &[&client[..client.len() - 1]], ""),
        server.ask("GET /no/such/path", &[], ""),
        server.ask("DELETE /v1/tools", &[], ""),
    ];
    for answer in refused {
        assert_eq!((answer.status, answer.kind().as_deref()), (401, Some("unauthorized")), "{answer:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
    }
    // What a client says of its rights counts for nothing.
    for claim in ["X-Scopes: admin", "X-Forwarded-User: admin", "X-Ringfence-Rights: admin"] {
        let answer = server.ask("GET /v1/audit", &[&client, claim], "");
        assert_eq!((answer.status, answer.kind().as_deref()), (403, Some("denied")), "{claim}");
    }
    assert_eq!(server.ask("GET /v1/audit", &[&admin], "").status, 200);
    let told = format!("{}{}", server.printed, server.errors());
    assert!(!told.contains(&server.client) && !told.contains(&server.admin), "tokens are never printed: {told}");
    server.still_works();
}

#[test]
fn t110_who_guesses_is_stopped_and_a_token_that_was_taken_back_opens_nothing() {
    let server = Server::bare();
    let guess = |n: u32| server.ask("GET /v1/tools", &[&Server::bearer(&format!("guess-{n}"))], "");
    let answers: Vec<u16> = (0..15).map(|n| guess(n).status).collect();
    assert_eq!(answers, [vec![401; 10], vec![429; 5]].concat());
    let stopped = guess(16);
    assert!(stopped.kind().as_deref() == Some("too-many-tries") && stopped.head.contains("retry-after"), "{stopped:?}");
    // Every program of this machine comes from the same address: the one that has the token goes on.
    assert_eq!(server.get("/v1/tools").status, 200);

    let file = server.home.state().join("client.token");
    std::fs::write(&file, "another-token-of-at-least-32-characters").unwrap();
    // Whoever asks more than a second after it is refused, however busy this machine is.
    let taken_back = |token: &str, since: Instant| {
        let bearer = Server::bearer(token);
        loop {
            let asked = since.elapsed();
            match server.ask("GET /v1/tools", &[&bearer], "").status {
                200 => assert!(asked <= Duration::from_secs(1), "it opens after {asked:?}"),
                status => return assert!(matches!(status, 401 | 429), "{status}"),
            }
        }
    };
    taken_back(&server.client, Instant::now());
    let new = Server::bearer("another-token-of-at-least-32-characters");
    assert_eq!(server.ask("GET /v1/tools", &[&new], "").status, 200);
    std::fs::remove_file(&file).unwrap();
    taken_back("another-token-of-at-least-32-characters", Instant::now());
    assert_eq!(server.ask("GET /v1/tools", &[&Server::bearer(&server.admin)], "").status, 200);
}

#[test]
fn t110_a_token_that_was_taken_back_ends_the_streams_that_it_opened() {
    let server = Server::new();
    let call = json!({ "tool": "probe_sleep", "input": { "ms": 600_000 } });
    let id = server.post("/v1/invocations", &[], &call).json()["invocation"].as_str().unwrap().to_owned();
    let open = |token: &str| {
        let mut stream = server.connect();
        let (path, bearer) = (format!("/v1/invocations/{id}/events"), Server::bearer(token));
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    // Reads until nothing has come for so long; true where the stream has ended.
    let has_ended = |stream: &mut TcpStream, patience: Duration| {
        stream.set_read_timeout(Some(patience)).unwrap();
        loop {
            match stream.read(&mut [0; 4 << 10]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    };
    let (mut client, mut admin) = (open(&server.client), open(&server.admin));
    assert!(!has_ended(&mut client, Duration::from_secs(2)), "while the token holds");
    std::fs::write(server.home.state().join("client.token"), "another-token-of-at-least-32-characters").unwrap();
    let begun = Instant::now();
    assert!(has_ended(&mut client, Duration::from_secs(10)));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!has_ended(&mut admin, Duration::from_secs(1)), "another's goes on");
}

#[test]
fn t111_no_page_of_the_web_gets_anything_done_or_read() {
    let server = Server::bare();
    let client = Server::bearer(&server.client);
    let own = format!("Origin: {}", server.url);
    let json = "Content-Type: application/json";
    let tool = "POST /v1/tools/none";
    assert_eq!(server.ask(tool, &[&client, json, &own], "{}").kind().as_deref(), Some("unknown-tool"));
    let pages: &[&[&str]] = &[
        &["Origin: https://evil.test"],
        &["Origin: null"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"],
        &["Sec-Fetch-Site: same-site"],
        &["Origin: https://evil.test", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="],
        &[
            "Origin: https://evil.test",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: authorization",
        ],
    ];
    for page in pages {
        // Before anything is read: neither the token nor the path nor the body make a difference.
        for line in [
            "GET /v1/tools",
            "GET /healthz",
            "GET /v1/tools?callback=f",
            "OPTIONS /v1/tools/none",
            "POST /nowhere",
            tool,
        ] {
            for token in [None, Some(&*client)] {
                let lines: Vec<&str> = page.iter().copied().chain(token).collect();
                let answer = server.ask(line, &lines, "not json");
                let told = (answer.status, answer.kind());
                assert_eq!(told, (403, Some("forbidden-origin".into())), "{line} {lines:?} {answer:?}");
                assert!(!answer.head.contains("access-control-"), "{answer:?}");
            }
        }
    }
    for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = server.ask(tool, &[&client, &format!("Content-Type: {form}")], "{}");
        assert_eq!((answer.status, answer.kind().as_deref()), (415, Some("unsupported-media-type")), "{form}");
    }
    let answer = server.ask("GET /v1/tools?callback=f", &[&client], "");
    assert!(answer.body.starts_with('['), "there is no JSONP: {answer:?}");
    assert!(!answer.head.contains("access-control-"), "{answer:?}");
    assert_eq!(server.ask("GET /v1/tools/none", &[&client], "").status, 405, "a GET changes nothing");
    server.still_works();
}

#[test]
fn t112_a_name_that_leads_here_is_not_enough() {
    let server = Server::with(Server::home(), &["--allow-host", "skills.example.com"]);
    let port = server.at().port();
    let bearer = Server::bearer(&server.client);
    let ask = |head: &str| server.raw(format!("{head}{bearer}\r\nConnection: close\r\n\r\n")).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "skills.example.com", "LocalHost"] {
        for host in [host.to_owned(), format!("{host}:{port}"), format!("{host}:1")] {
            assert_eq!(ask(&format!("GET /v1/tools HTTP/1.1\r\nHost: {host}\r\n")).status, 200, "{host}");
        }
    }
    let answer = ask(&format!("GET http://localhost:{port}/v1/tools HTTP/1.1\r\nHost: localhost:{port}\r\n"));
    assert_eq!(answer.status, 200);
    let bad = [
        format!("GET /v1/tools HTTP/1.1\r\nHost: evil.test:{port}\r\n"),
        "GET /v1/tools HTTP/1.1\r\nHost: 127.0.0.1.nip.io\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\n".into(),
        "GET /v1/tools HTTP/1.0\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\nHost:\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n".into(),
        format!("GET /v1/tools HTTP/1.1\r\nHost: 0.0.0.0:{port}\r\n"),
        "GET /v1/tools HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: localhost\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\nHost: evil.test\r\nForwarded: host=localhost\r\n".into(),
        format!("GET http://evil.test:{port}/v1/tools HTTP/1.1\r\nHost: localhost\r\n"),
        "GET /healthz HTTP/1.1\r\nHost: evil.test\r\n".into(),
        "GET /v1/tools HTTP/1.1\r\nHost: localhost@evil.test\r\n".into(),
    ];
    for head in bad {
        let answer = ask(&head);
        // Two are refused by the parser, which is before us.
        let is_refused = answer.status == 400 || answer.kind().as_deref() == Some("forbidden-host");
        assert!(is_refused && !answer.body.starts_with('['), "{head} {answer:?}");
    }
    server.still_works();
}

#[test]
fn t113_it_listens_where_nobody_else_can_reach_it_unless_it_has_tls() {
    let server = Server::bare();
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    let other = Server::home();
    for open in ["0.0.0.0:0", "[::]:0"] {
        other.run(&["serve", "--listen", open]).fails("tls-required", 2, open, "--tls-cert");
    }
    let taken = server.at().to_string();
    other.run(&["serve", "--listen", &taken]).fails("address-in-use", 4, &taken, "--listen");

    let state = server.home.state();
    let mode = |name: &str| std::fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["control.sock", "client.token", "admin.token"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // The user's own programs need no token there, and are admins.
    assert_eq!(server.control("GET /v1/audit").status, 200);
    let mut server = server;
    server.signal("-TERM");
    assert_eq!(server.ended(), 0);
    assert!(!state.join("control.sock").exists());
}

#[test]
fn t113_a_token_file_that_others_can_read_is_not_used() {
    let home = Server::home();
    let file = home.state().join("admin.token");
    std::fs::write(&file, "x".repeat(64)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    done.fails("token-unusable", 6, "admin.token", "chmod 600");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(Server::with(home, &[]).admin, "x".repeat(64));
}

/// Reads until the server closes, and says how long that took.
fn closed(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut piece = [0; 1024];
    while let Ok(1..) = stream.read(&mut piece) {}
    begun.elapsed()
}

#[test]
fn t114_who_is_slow_or_silent_is_let_go_and_keeps_nobody_out() {
    let server = Server::with(Server::home(), &["--max-connections", "16"]);
    // Ten seconds each, all at once.
    let silent = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET /v1/tools HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    let mut again = server.connect();
    again.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let waits: Vec<_> = [silent, slow, again].map(|stream| std::thread::spawn(|| closed(stream))).into();
    for wait in waits {
        let took = wait.join().unwrap();
        assert!(took >= Duration::from_secs(5), "it was let go for its silence: {took:?}");
    }

    // Many that only connect: each newcomer takes the place of one of them. Those that were let go long ago are not kept here either.
    let mut crowd = std::collections::VecDeque::new();
    for n in 0..10_000 {
        let mut one = server.connect();
        if n % 2 == 0 {
            let _ = one.write_all(b"GET / HTTP/1.1\r\n");
        }
        crowd.push_back(one);
        if crowd.len() > 200 {
            crowd.pop_front();
        }
        if n % 500 == 0 {
            assert_eq!(server.ask("GET /healthz", &[], "").body, "ok\n");
        }
    }
    // Bodies that nobody who has no token may send are not waited for.
    for path in ["/healthz", "/v1/tools/none"] {
        for _ in 0..20 {
            let mut one = server.connect();
            let _ = one
                .write_all(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").as_bytes());
            crowd.push_back(one);
        }
        assert_eq!(server.ask("GET /healthz", &[], "").body, "ok\n");
    }
    assert!(server.figure("ringfence_connections") <= 16);
    server.still_works();
    drop(crowd);
}

#[test]
fn t114_what_is_too_large_or_malformed_is_refused_and_nothing_hides_behind_it() {
    let server = Server::bare();
    let bearer = Server::bearer(&server.client);
    let head =
        format!("POST /v1/tools/none HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\nContent-Type: application/json\r\n");
    let raw = |text: String| server.raw(text);
    // A head without an end, and a body that is announced as larger than anything.
    let long = raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(10 << 20)));
    assert!(long.is_none_or(|answer| answer.status == 431), "10 MB of head");
    let many = raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(1_000)));
    assert!(many.is_none_or(|answer| answer.status == 431), "a thousand headers");
    let large = raw(format!("{head}Content-Length: 1000000000\r\n\r\n{{")).unwrap();
    assert_eq!((large.status, large.kind().as_deref()), (413, Some("too-large")));
    let anonymous = "POST /v1/tools/none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n".to_owned();
    assert_eq!(raw(anonymous).unwrap().status, 401, "without a token nothing of it is read");
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    let endless = raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(20)));
    assert!(endless.is_none_or(|answer| answer.status == 413), "20 MB in pieces");

    // Two that disagree about where a request ends: whatever is told of the first, the second is not answered.
    let hidden = format!("GET /v1/tools HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n");
    let smuggling = [
        format!("{head}Content-Length: 5, 6\r\n\r\n12345{hidden}"),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345{hidden}"),
        format!("{head}Content-Length: +5\r\n\r\n12345{hidden}"),
        format!("{head}Content-Length: 0x5\r\n\r\n12345{hidden}"),
        format!("{head}Content-Length: -1\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nZ\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{hidden}"),
        format!("{head}X: a\0b\r\n\r\n{hidden}"),
        format!("{head} folded: x\r\n\r\n{hidden}"),
        format!("POST  /v1/tools/none HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}"),
        format!("POST /v1/tools/none HTTP/3.1\r\nHost: localhost\r\n\r\n{hidden}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for text in smuggling {
        let mut stream = server.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let all = String::from_utf8_lossy(&all);
        assert!(!all.contains("HTTP/1.1 200"), "{text:?} gave {all}");
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 4"), "{text:?} gave {all}");
    }
    // Two that agree are two.
    let mut stream = server.connect();
    let last = hidden.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{hidden}{last}").as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all.matches("HTTP/1.1 200").count(), 2, "{all}");
    server.still_works();
}

#[test]
fn t114_a_client_that_never_reads_or_goes_away_holds_nothing_up() {
    let server = Server::new();
    let bearer = Server::bearer(&server.client);
    let input = json!({ "tool": "probe_emit", "input": { "text": "x".repeat(1000), "times": 3000 } });
    let started = server.post("/v1/invocations", &[], &input).json();
    let id = started["invocation"].as_str().unwrap();
    // Readers that never read, while it emits 3 MB.
    let deaf: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = server.connect();
            let head = format!("GET /v1/invocations/{id}/events HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let shown = until("it ends", || {
        let shown = server.get(&format!("/v1/invocations/{id}")).json();
        (shown["status"] != "running").then_some(shown)
    });
    assert_eq!(shown["status"], "done", "{shown}");
    assert_eq!(server.ask("GET /healthz", &[], "").body, "ok\n");
    drop(deaf);

    // One that goes away while its call runs takes the call with it.
    let body = json!({ "ms": 600_000 }).to_string();
    let head = format!(
        "POST /v1/tools/probe_sleep HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for part in [&head[..20], &head[..head.len() - 2], &*head, &format!("{head}{}", &body[..3])] {
        server.connect().write_all(part.as_bytes()).unwrap();
    }
    let mut gone = server.connect();
    gone.write_all(format!("{head}{body}").as_bytes()).unwrap();
    until("the call runs", || (server.figure("ringfence_invocations_running") == 1).then_some(()));
    drop(gone);
    server.still_works();
}

#[test]
fn t115_identifiers_and_names_lead_nowhere_else() {
    let server = Server::new();
    let paths = [
        "/v1/skills/..%2f..%2fstate".to_owned(),
        "/v1/skills/%00".into(),
        "/v1/skills/%ff".into(),
        "/v1/skills/../../etc/passwd".into(),
        format!("/v1/skills/{}", "a".repeat(10_000)),
        "/v1/runs/..%2f..".into(),
        "/v1/runs/%00".into(),
        "/v1/runs/1".into(),
        "/v1/runs/'%20OR%201=1".into(),
        "/v1/invocations/1".into(),
        "/v1/invocations/%2e%2e/events".into(),
        format!("/v1/invocations/{}", "0".repeat(10_000)),
        "//v1/skills".into(),
        "/v1/skills/".into(),
    ];
    for path in paths {
        let answer = server.get(&path);
        assert_eq!((answer.status, answer.kind().as_deref()), (404, Some("not-found")), "{path} {answer:?}");
        assert!(answer.body.len() < 1_000, "{answer:?}");
    }
    assert_eq!(server.post("/v1/tools/..%2fprobe_echo", &[], &json!({})).kind().as_deref(), Some("unknown-tool"));

    let start = |key: &str, text: &str| {
        let key = format!("Idempotency-Key: {key}");
        server.post("/v1/invocations", &[&key], &json!({ "tool": "probe_echo", "input": { "text": text } }))
    };
    let (first, again, other) = (start("k", "a"), start("k", "a"), start("l", "a"));
    let id = |answer: &crate::support::server::Answer| answer.json()["invocation"].as_str().unwrap().to_owned();
    assert_eq!((first.status, id(&first)), (202, id(&again)));
    assert_ne!(id(&first), id(&other));
    let conflict = start("k", "b");
    assert_eq!((conflict.status, conflict.kind().as_deref()), (409, Some("conflict")));
    assert_eq!(start(&"k".repeat(300), "a").status, 422);

    // What an admin began a client learns nothing of.
    let admin = Server::bearer(&server.admin);
    let body = json!({ "tool": "probe_echo", "input": { "text": "a" } }).to_string();
    let theirs = id(&server.ask("POST /v1/invocations", &[&admin, "Content-Type: application/json"], &body));
    for path in [format!("/v1/invocations/{theirs}"), format!("/v1/invocations/{theirs}/events")] {
        assert_eq!(server.get(&path).status, 404);
        assert_eq!(server.ask(&format!("GET {path}"), &[&admin], "").status, 200);
    }
    assert_eq!(server.post(&format!("/v1/invocations/{theirs}/cancel"), &[], &json!({})).status, 404);
    server.still_works();
}

#[test]
fn t116_what_is_told_of_errors_has_nothing_of_this_machine_in_it() {
    let server = Server::new();
    let canary = server.home.path("").display().to_string();
    let fail =
        |message: &str| server.post("/v1/tools/probe_fail", &[], &json!({ "kind": "failed", "message": message }));
    let mut answers = vec![
        server.ask("GET /v1/tools", &[], ""),
        server.ask("GET /v1/audit", &[&Server::bearer(&server.client)], ""),
        server.get("/v1/skills/none"),
        server.get("/v1/audit?nonsense=1"),
        server.get("/v1/runs?limit=x"),
        server.post("/v1/tools/probe_typed", &[], &json!({ "text": 1 })),
        server.post("/v1/tools/probe_put", &[], &json!({ "key": "a", "value": "b" })),
        server.post("/v1/tools/probe_panics", &[], &json!({ "message": "x" })),
        server.post("/v1/invocations", &[], &json!({ "tool": 1 })),
        fail(&format!("cannot read {canary}/secret/file: gone")),
        fail("two\nlines\u{1b}[2J"),
        fail("cannot start `/home/ann/their own/tool.sh`: gone; see /srv/elsewhere/x"),
    ];
    // A failure of the host itself: the file of an installed skill has been changed.
    let files = server.home.files("data");
    let component = files.iter().find(|file| file.ends_with(".wasm")).unwrap_or_else(|| panic!("{files:?}"));
    drop(server);
    let server = Server::with(Server::furnished(), &[]);
    let files = server.home.files("data");
    let own = files.iter().find(|file| file.ends_with(".wasm")).unwrap();
    std::fs::write(own, b"\0asm not what was installed").unwrap();
    answers.push(server.post("/v1/tools/probe_echo", &[], &json!({ "text": "x" })));
    assert_eq!(answers.last().unwrap().kind().as_deref(), Some("digest-mismatch"), "{answers:?}");
    let second = server.home.path("").display().to_string();
    for answer in &answers {
        let value = answer.json();
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["correlation", "detail", "hint", "kind", "status", "title", "type"], "{answer:?}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
        assert_eq!(value["status"], answer.status);
        for bad in [
            &*canary,
            &second,
            &server.client,
            component,
            own,
            "panicked",
            "src/",
            ".rs",
            "\\u001b",
            "/home/ann",
            "/srv/elsewhere",
        ] {
            assert!(!answer.body.contains(bad), "{bad} in {answer:?}");
        }
    }
    // Whoever runs the server finds the rest in its log.
    let correlation = answers.last().unwrap().json()["correlation"].as_str().unwrap().to_owned();
    assert!(
        server.errors().contains(&correlation) && server.errors().contains("digest-mismatch"),
        "{}",
        server.errors()
    );
}
