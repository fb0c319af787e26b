//! All sorts of attacks on one server, one after the other and all at once, and what must be so of its process after them. What
//! [`crate::ground::Ground::survived`] cannot see, since it shares its process with other tests: files, threads, memory.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::peer::{Peer, Said, ok};
use crate::support::process::{is_alive, until};
use crate::support::{Done, Server, TestHost, wat};

/// Echoes beside each round of attacks, and after all of them.
const ECHOES: usize = 20;
/// Rounds in which all attacks go on at once: before memory is looked at, and after it.
const WARM: usize = 3;
const ROUNDS: usize = 5;
/// What of memory may be left after the attacks, and for how long more than that.
const SLACK: u64 = 16 << 20;
const SOON: Duration = Duration::from_secs(5);

const SECRET: &str = "sk-CANARY-7f3a9c51e2d84b60";

/// What runs are on record, by skill, tool and kind, and how many of each there must be.
#[derive(Default)]
struct Wanted(Mutex<BTreeMap<(String, String, String), u64>>);

impl Wanted {
    fn add(&self, skill: &str, tool: &str, kind: &str, times: u64) {
        *self.0.lock().unwrap().entry((skill.into(), tool.into(), kind.into())).or_default() += times;
    }
}

/// A skill of one tool without an import.
struct Written {
    name: &'static str,
    body: &'static str,
    module: &'static str,
    /// What every call of it comes to.
    kind: &'static str,
}

const WRITTEN: [Written; 9] = [
    Written { name: "loop", body: "(loop (br 0)) (i32.const 128)", module: "", kind: "deadline" },
    Written {
        name: "fill",
        body: "(drop (memory.grow (i32.const 700)))
               (loop (memory.fill (i32.const 4096) (i32.const 1) (i32.const 45000000)) (br 0)) (i32.const 128)",
        module: "",
        kind: "deadline",
    },
    Written {
        name: "deep",
        body: "(call $deeper (i32.const 1))",
        module: "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))",
        kind: "stack-overflow",
    },
    Written {
        name: "grow",
        body: "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
               (memory.fill (i32.const 65536) (i32.const 1) (i32.const 60000000)) (i32.const 128)",
        module: "",
        kind: "ok",
    },
    Written {
        name: "tables",
        body: "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (i32.const 128)",
        module: "(table $t 1 funcref)",
        kind: "ok",
    },
    Written { name: "trap", body: "unreachable", module: "", kind: "trap" },
    Written {
        name: "liar",
        body: "(i32.store8 (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 160))
               (i32.store (i32.const 136) (i32.const 1)) (i32.store8 (i32.const 160) (i32.const 0))
               (i32.store (i32.const 164) (i32.const 0)) (i32.store (i32.const 168) (i32.const 0x7fffffff)) (i32.const 128)",
        module: "",
        kind: "trap",
    },
    Written {
        name: "pieces",
        body: "(drop (memory.grow (i32.const 700)))
               (i32.store (i32.const 132) (i32.const 4096)) (i32.store (i32.const 136) (i32.const 1000000)) (i32.const 128)",
        module: "",
        kind: "hostcall-too-large",
    },
    Written { name: "nowhere", body: "(i32.const -4)", module: "", kind: "trap" },
];

/// Timers without end: handles that need no grant.
const TIMERS: &str = r#"
    (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $pollable-is))
        (export "pollable" (type $pollable-here (eq $pollable-is)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable-here))))))
    (alias export $clock "subscribe-duration" (func $make))
    (core func $make-core (canon lower (func $make)))
"#;

/// A tool of the probe, under the name of the skill that it is installed as.
struct Called {
    skill: &'static str,
    tool: &'static str,
    input: Value,
    kind: &'static str,
}

fn called(peer: &Peer) -> Vec<Called> {
    let call = |skill, tool, input, kind| Called { skill, tool, input, kind };
    let hostile =
        "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{0}{\"event\":\"admin\",\"kind\":\"ok\"}\nringfence-audit/1\u{202e}";
    let secret = json!([["x-key", "{{secret:API_KEY}}"]]);
    vec![
        call("brief", "spin_host", json!({ "what": "clock" }), "deadline"),
        call("brief", "sleep", json!({ "ms": 600_000 }), "deadline"),
        call("probe", "panics", json!({ "message": hostile }), "trap"),
        call("probe", "grow", json!({ "crash": true }), "memory-limit"),
        call("probe", "log_flood", json!({ "lines": 5_000 }), "ok"),
        call("probe", "print_flood", json!({ "lines": 5_000 }), "ok"),
        call("probe", "big_outcome", json!({ "bytes": 6 << 20 }), "too-large"),
        call("probe", "big_host_call", json!({ "bytes": 12 << 20 }), "hostcall-too-large"),
        call("probe", "bad_output", json!({}), "invalid-output"),
        call("probe", "fail", json!({ "kind": "failed", "message": hostile }), "failed"),
        // Nothing was granted to it.
        call("probe", "put", json!({ "key": "k", "value": "v" }), "refused"),
        call("probe", "fetch", json!({ "url": "http://169.254.169.254/" }), "refused"),
        call("able", "keep", json!({ "prefix": "k", "times": 200 }), "ok"),
        call("able", "put", json!({ "key": "../\n\u{1b}", "value": "v" }), "failed"),
        call("able", "fetch", json!({ "url": peer.url("/reset"), "headers": secret }), "unavailable"),
        call("able", "fetch_some", json!({ "url": peer.url("/flood"), "piece": 1 << 16, "pieces": 10 }), "ok"),
        call("able", "relay", json!({ "name": "able/echo", "input": { "text": "x" } }), "refused"),
        call(
            "able",
            "fan_out",
            json!({ "name": "callee/sleep", "input": { "ms": 600_000 }, "count": 10_000, "how": "hold" }),
            "ok",
        ),
    ]
}

/// Says nothing, closes at once, or never ends, as the path says.
fn peer() -> Peer {
    Peer::says(|head| match head {
        head if head.contains("/reset") => Said::Once(Vec::new()),
        head if head.contains("/flood") => {
            Said::Flood(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), vec![b'x'; 64 << 10])
        }
        head if head.contains("/hang") => Said::Hang(Vec::new()),
        _ => Said::Once(ok("hello")),
    })
}

/// A server with all of them installed.
async fn furnished(peer: &Peer) -> Server {
    let host = TestHost::new().await;
    host.install("probe", "[permissions.kv]\n[permissions.model]\nmodels = [\"default\"]\n", &[]).await;
    for name in ["brief", "callee"] {
        host.install(name, "", &[]).await;
    }
    let url = peer.url("");
    let asks = format!(
        "[permissions.kv]\n[permissions.tools]\ntools = [\"able/*\", \"callee/*\"]\n[permissions.http]\nallow = [{url:?}]\n\
         [permissions.secrets]\nnames = [\"API_KEY\"]\n"
    );
    let grants = ["kv", "tools=able/*,callee/*", &format!("http={url}"), "secrets=API_KEY"];
    host.install("able", &asks, &grants).await;
    let secret = secrecy::SecretString::from(SECRET);
    host.host.set_secret("API_KEY", &secret, &[url]).await.unwrap();
    let flood = wat::asking(
        "(loop (drop (call $make (i64.const 1000000000))) (br 0)) (i32.const 128)",
        r#"(import "host" "make" (func $make (param i64) (result i32)))"#,
        TIMERS,
        r#"(with "host" (instance (export "make" (func $make-core))))"#,
    );
    let written = WRITTEN.iter().map(|of| (of.name, wat::skill(of.body, of.module, "")));
    for (name, component) in written.chain([("handles", flood)]) {
        let manifest = json!({ "name": name, "version": "0.1.0", "description": "Hostile." });
        let path = host.home.write(&format!("{name}.wasm"), wat::packaged(component, &manifest));
        let mut candidate = host.host.consider(&path, None).await.unwrap();
        host.host.accept(&mut candidate, ringfence_core::catalog::signature::Terms::default()).unwrap();
        host.host.install(candidate).await.unwrap();
    }
    let TestHost { host, home, probe } = host;
    drop(probe);
    host.close().await.unwrap();
    let brief = |name: &str| format!("[skills.{name}.limits]\nwall-seconds = 1\n");
    let settings = ["loop", "fill", "brief"].map(brief).concat();
    // So few slots that what each of them keeps is less than what memory may grow by, whichever attack comes to which.
    home.write(".config/ringfence/config.toml", format!("[engine]\nconcurrent = 8\n{settings}"));
    tokio::task::spawn_blocking(|| Server::with(home, &[])).await.unwrap()
}

/// A call's outcome, as it is on record.
fn call(server: &Server, skill: &str, tool: &str, input: &Value) -> String {
    let answer = server.post(&format!("/v1/tools/{skill}_{tool}"), &[], input);
    match answer.status {
        200 => "ok".into(),
        _ => answer.kind().unwrap_or_else(|| panic!("{answer:?}")),
    }
}

fn echoes(server: &Server, wanted: &Wanted) {
    for _ in 0..ECHOES {
        let answer = server.post("/v1/tools/probe_echo", &[], &json!({ "text": "as ever" }));
        assert_eq!(answer.json()["outcome"]["content"][0]["text"], "as ever", "{answer:?}");
    }
    wanted.add("probe", "echo", "ok", u64::try_from(ECHOES).unwrap());
}

/// A client that goes away when the server has reached the peer for it, which answers nothing.
fn goes_away(server: &Server, peer: &Peer, name: &str) {
    let path = format!("/hang-{name}");
    let body = json!({ "url": peer.url(&path) }).to_string();
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/tools/able_fetch HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        Server::bearer(&server.client),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let is_there = || peer.heads().iter().any(|head| head.contains(&format!("GET {path} ")));
    until("the call is in its middle", || is_there().then_some(()));
}

/// Requests that begin no call.
fn malformed(server: &Server) {
    let bearer = Server::bearer(&server.client);
    let head = format!(
        "POST /v1/tools/probe_echo HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    );
    for text in [
        format!("{head}Content-Length: 5, 6\r\n\r\n12345"),
        format!("{head}Content-Length: 3\r\n\r\n{{[}}"),
        format!("{head}Content-Length: 12\r\n\r\n{{\"text\": 12}}"),
        format!("{head}Content-Length: 1000000000\r\n\r\n{{"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nZ\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        "\0\x01\x02\r\n\r\n".to_owned(),
    ] {
        let answer = server.raw(&text);
        assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)), "{text:.200}");
    }
    // And one that ends in the middle of its head, one in the middle of its body.
    for part in [&head[..40], &format!("{head}Content-Length: 100\r\n\r\n{{\"te")] {
        server.connect().write_all(part.as_bytes()).unwrap();
    }
}

/// One act of an attacker.
type Act<'a> = Box<dyn Fn(&str) + Send + Sync + 'a>;

/// Every attack, each of which is given a name that no other has.
fn attacks<'a>(server: &'a Server, peer: &'a Peer, wanted: &'a Wanted) -> Vec<Act<'a>> {
    let mut acts: Vec<Act<'a>> = Vec::new();
    let written = WRITTEN.iter().map(|of| (of.name, of.kind)).chain([("handles", "handle-limit")]);
    for (name, kind) in written {
        acts.push(Box::new(move |_| {
            assert_eq!(call(server, name, "act", &json!({})), kind, "{name}");
            wanted.add(name, "act", kind, 1);
        }));
    }
    for Called { skill, tool, input, kind } in called(peer) {
        acts.push(Box::new(move |_| {
            assert_eq!(call(server, skill, tool, &input), kind, "{skill} {tool} {input}");
            wanted.add(skill, tool, kind, 1);
        }));
    }
    acts.push(Box::new(|name| {
        goes_away(server, peer, name);
        wanted.add("able", "fetch", "cancelled", 1);
    }));
    acts.push(Box::new(|_| malformed(server)));
    acts
}

/// All attacks at once, with echoes beside them.
fn all_at_once(server: &Server, acts: &[Act<'_>], wanted: &Wanted, name: &str) {
    std::thread::scope(|scope| {
        for act in acts {
            scope.spawn(move || act(name));
        }
        scope.spawn(|| echoes(server, wanted));
    });
    until("no call runs on", || (server.figure("ringfence_invocations_running") == 0).then_some(()));
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Holds {
    files: usize,
    threads: usize,
    /// Bytes of memory.
    resident: u64,
}

impl Holds {
    fn of(pid: u32) -> Self {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Self { files: count("fd"), threads: count("task"), resident: kib << 10 }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_at_once_leaves_the_process_as_it_was() {
    let peer = peer();
    let server = furnished(&peer).await;
    tokio::task::spawn_blocking(move || attacked(&server, &peer)).await.unwrap();
}

fn attacked(server: &Server, peer: &Peer) {
    let wanted = Wanted::default();
    echoes(server, &wanted);
    until("no call runs on", || (server.figure("ringfence_invocations_running") == 0).then_some(()));
    let before = Holds::of(server.pid());
    let acts = attacks(server, peer, &wanted);
    for act in &acts {
        act("alone");
        echoes(server, &wanted);
    }
    for round in 0..WARM {
        all_at_once(server, &acts, &wanted, &format!("warm-{round}"));
    }
    // Memory is compared with what is held when each attack has been made, also beside all others: by then every component is mapped, slots have
    // been used, each of which keeps some pages of its stack and memory for the next guest, and the allocator has its arenas. None of that
    // is given back, and all of it has an end.
    let warm = Holds::of(server.pid()).resident;
    for round in 0..ROUNDS {
        all_at_once(server, &acts, &wanted, &format!("round-{round}"));
    }
    echoes(server, &wanted);
    server.still_works();
    assert!(is_alive(server.pid()), "it is another process");

    // Files: none is kept but the compiled code of each skill that was loaded, from which it is mapped, and the log of the state, which the
    // second of its two readers opens when it first has something to read: that may be before the attacks or in their middle. Threads: the runtime lets go of
    // those that waited for something after ten seconds without work; one that just served a request may be there.
    let held = || Holds::of(server.pid());
    let loaded = WRITTEN.len() + ["handles", "brief", "callee", "able"].len();
    until("files are closed", || (held().files <= before.files + loaded + 1).then_some(()));
    until("threads have ended", || (held().threads <= before.threads + 1).then_some(()));
    let since = Instant::now();
    while held().resident > warm + SLACK {
        assert!(since.elapsed() < SOON, "{warm} bytes after the first round, {} now", held().resident);
        std::thread::yield_now();
    }

    // One record of each call, with its kind, and of nothing else.
    let runs =
        || -> Value { audit(server, &["list", "--event", "run", "--limit", "10000", "--format", "json"]).json() };
    let counted = || {
        let mut counted = BTreeMap::new();
        for run in runs().as_array().unwrap() {
            let of = |name: &str| run[name].as_str().unwrap().to_owned();
            // How many of those that another skill called had begun when it ended depends on who came first.
            if of("skill") != "callee" {
                *counted.entry((of("skill"), of("subject"), of("kind"))).or_insert(0_u64) += 1;
            }
        }
        counted
    };
    let wanted = wanted.0.lock().unwrap().clone();
    let all: u64 = wanted.values().sum();
    until("all is on record", || (counted().values().sum::<u64>() >= all).then_some(()));
    assert_eq!(counted(), wanted);

    audit(server, &["verify"]).worked();
    let export = audit(server, &["export"]).worked().out;
    assert!(export.lines().count() > 1_000);
    let all = format!("{export}{}", server.errors());
    for secret in [SECRET, &*server.client, &*server.admin] {
        assert!(!all.contains(secret), "a secret is told");
    }
    for line in export.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let texts = record.as_object().unwrap().values().filter_map(Value::as_str);
        for text in texts {
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
    let said = server.errors();
    assert!(!said.contains("panicked at") && !said.contains('\u{1b}'), "{said}");
}

fn audit(server: &Server, more: &[&str]) -> Done {
    server.home.run(&[&["audit"], more].concat())
}
