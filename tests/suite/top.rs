//! `ringfence top`: what runs on a server, seen from another process.

use serde_json::{Value, json};

use crate::support::process::until;
use crate::support::{Home, Server, Terminal};

fn look(home: &Home) -> Vec<Value> {
    home.run(&["top", "--format", "json"]).worked().json().as_array().unwrap().clone()
}

#[test]
fn what_runs_on_a_server_is_shown_to_others_until_it_has_ended() {
    let server = Server::new();
    let home = &server.home;
    assert_eq!(server.post("/v1/tools/probe_echo", &[], &json!({ "text": "x" })).status, 200);
    let done = until("the echo is on record", || {
        let all = home.run(&["runs", "list", "--kind", "ok", "--format", "json"]).worked().json();
        all[0]["invocation"].as_str().map(str::to_owned)
    });
    assert!(look(home).is_empty(), "what has ended does not run");

    let started = server.post("/v1/invocations", &[], &json!({ "tool": "probe_sleep", "input": { "ms": 600_000 } }));
    let id = started.json()["invocation"].as_str().unwrap().to_owned();
    let run = until("it is shown", || look(home).pop());
    assert_eq!(run["invocation"], id);
    assert_eq!((&run["skill"], &run["tool"], &run["caller"]), (&json!("probe"), &json!("sleep"), &json!("client")));
    assert_eq!(run["process"], server.pid());
    let shown = home.run(&["top", "--once"]).worked().out;
    assert!(shown.contains(&id) && shown.contains("probe/sleep") && !shown.contains(&done), "{shown}");
    assert!(shown.contains(&server.pid().to_string()), "{shown}");

    // A terminal shows that it goes on, and that it has ended.
    let mut terminal = Terminal::start(home, &["top"]);
    terminal.expect("1 run, q ends").expect("probe/sleep");
    assert_eq!(server.post(&format!("/v1/invocations/{id}/cancel"), &[], &json!({})).status, 202);
    terminal.expect("nothing runs").press("q");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    assert!(look(home).is_empty());
    let nothing = home.run(&["top", "--once"]).worked();
    assert!(nothing.out.is_empty() && nothing.err.contains("nothing runs"), "{nothing:?}");
}
