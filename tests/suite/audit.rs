//! The audit as an operator has it: listed, told, verified, and exported for somebody who has nothing but the export.

use std::process::{Command, Stdio};
use std::time::Instant;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Done, Home, Provider, Reply, TestHost, guests, hosts, probe};

/// A home in which a skill did something, was refused something and failed.
fn lived() -> (Home, String) {
    let home = Home::new();
    let skill = guests::copy_of_probe(&home, "work/keeper.wasm").display().to_string();
    home.run(&["grant", &skill, "kv"]).worked();
    home.run(&["run", &skill, "--tool", "put", "--key", "a \"key\" \\ ä", "--value", "v"]).worked();
    // `--model` would be the host's flag.
    let input = json!({ "prompt": "x", "model": "offline/extractive" }).to_string();
    home.run(&["run", &skill, "--tool", "generate", "--input", &input]).fails("refused", 3, "offline/extractive", "");
    home.run(&["run", &skill, "--tool", "echo", "--text", "x"]).worked();
    (home, skill)
}

fn records(done: &Done) -> Vec<Value> {
    done.json().as_array().unwrap().clone()
}

#[test]
fn records_are_listed_by_what_one_looks_for() {
    let (home, skill) = lived();
    let list = |more: &[&str]| {
        let args = [&["audit", "list", "--format", "json"][..], more].concat();
        records(&home.run(&args).worked())
    };
    let all = list(&[]);
    let numbers: Vec<u64> = all.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "the newest first: {numbers:?}");
    assert_eq!(list(&["--limit", "2"]), all[..2]);
    assert_eq!(list(&["--event", "admin"])[0]["kind"], "grant");
    let denied = list(&["--event", "denied"]);
    assert_eq!((denied.len(), &denied[0]["subject"]), (1, &json!("model offline/extractive")));
    let kv = list(&["--skill", &skill, "--capability", "kv"]);
    assert_eq!(kv.iter().map(|record| record["event"].as_str().unwrap()).collect::<Vec<_>>(), ["outcome", "intent"]);
    assert_eq!(list(&["--since", "1h"]), all);
    assert!(list(&["--since", "2100-01-01T00:00:00Z"]).is_empty());
    assert!(list(&["--skill", "nobody"]).is_empty());
    home.run(&["audit", "list", "--since", "soon"]).fails("usage", 2, "soon", "--help");
    home.run(&["audit", "list", "--capability", "kvv"]).fails("grant-invalid", 2, "`kvv`", "`kv`");
    home.run(&["audit", "list", "--event", "act"]).fails("usage", 2, "act", "`intent");

    let text = home.run(&["audit", "list"]).worked().out;
    assert!(text.contains("model offline/extractive") && text.contains("grant: kv"), "{text}");
}

#[test]
fn one_invocation_is_told_as_a_story() {
    let (home, skill) = lived();
    let kv = records(&home.run(&["audit", "list", "--capability", "kv", "--format", "json"]).worked());
    let id = kv[0]["invocation"].as_str().unwrap();
    let told = home.run(&["audit", "show", id]).worked().out;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], format!("{skill} called by user"));
    assert!(lines[1].contains("  1  kv set a \"key\" \\ ä: ok, after "), "{told}");
    assert!(lines[2].contains("the tool `put` ended: ok"), "{told}");
    assert_eq!(lines.len(), 3, "{told}");
    assert_eq!(records(&home.run(&["audit", "show", id, "--format", "json"]).worked()).len(), 3);
    let denied = records(&home.run(&["audit", "list", "--event", "denied", "--format", "json"]).worked());
    let told = home.run(&["audit", "show", denied[0]["invocation"].as_str().unwrap()]).worked().out;
    assert!(told.contains("model offline/extractive: refused, "), "{told}");
    home.run(&["audit", "show", "nothing"]).fails("not-found", 2, "`nothing`", "audit list");
    home.run(&["audit", "show", ""]).fails("not-found", 2, "``", "audit list");
}

/// Changes the state file as somebody does who can write to it.
fn tamper(home: &Home, sql: &str) {
    let db = rusqlite::Connection::open(home.path("state/state.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn verify_says_what_holds_and_what_does_not() {
    let home = Home::new();
    home.run(&["audit", "verify"]).gives("the audit holds: it is empty\n");
    let (home, _) = lived();
    let holds = home.run(&["audit", "verify"]).worked();
    assert!(holds.out.starts_with("the audit holds: records 1 to "), "{holds:?}");
    let found = home.run(&["audit", "verify", "--format", "json"]).worked().json();
    assert_eq!((&found["fault"], &found["signed"]), (&Value::Null, &found["last"]), "{found}");

    tamper(&home, "UPDATE audit SET subject = 'kv set b' WHERE seq = 3");
    let broken = home.run(&["audit", "verify"]);
    broken.fails("audit-broken", 1, "(the first that is wrong: 3)", "compare it with an export");
    let error = home.run(&["audit", "verify", "--format", "json"]).json();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit"]), (&json!("audit-broken"), &json!(1)));

    let (home, _) = lived();
    tamper(&home, "DELETE FROM audit WHERE seq > 4");
    home.run(&["audit", "verify"]).fails(
        "audit-broken",
        1,
        "its end was cut off (the first that is wrong: 5)",
        "removed",
    );
    tamper(&home, "DELETE FROM audit_marks");
    home.run(&["audit", "verify"]).fails("audit-broken", 1, "an older state was put back", "audit.head");
}

fn export(home: &Home) -> String {
    home.run(&["audit", "export"]).worked().out
}

/// What SECURITY.md says about checking an export, by somebody who has only read that page. `key` was noted before.
fn check(export: &str, key: &str) -> Result<u64, String> {
    let lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let [opening, records @ .., closing] = &lines[..] else { return Err("no export".into()) };
    if opening["format"] != "ringfence-audit/1" || opening["public-key"] != key {
        return Err("another format or key".into());
    }
    let key = UnparsedPublicKey::new(&ED25519, bytes(key)?);
    let signed = |name: &str, place: &Value| -> Result<(u64, String), String> {
        let (seq, hash) = (whole(&place["seq"])?, text(&place["hash"])?);
        let statement = format!("ringfence audit {name} {seq} {hash}");
        let signature = bytes(&text(&place["signature"])?)?;
        key.verify(statement.as_bytes(), &signature).map_err(|_| format!("the signature of {name} is wrong"))?;
        Ok((seq, hash))
    };
    let (mut seq, mut hash) = match &opening["base"] {
        Value::Null => (0, "00".repeat(32)),
        base => signed("base", base)?,
    };
    let head = match &closing["head"] {
        Value::Null => None,
        head => Some(signed("head", head)?),
    };
    let mut met = head.as_ref().is_none_or(|(at, _)| *at == seq);
    for record in records {
        seq += 1;
        if whole(&record["seq"])? != seq {
            return Err(format!("record {seq} is missing"));
        }
        let quoted = |name: &str| {
            Ok::<_, String>(format!("\"{}\"", text(&record[name])?.replace('\\', "\\\\").replace('"', "\\\"")))
        };
        let array = format!(
            "[{seq},{},{},{},{},{},{},{},{},{},{}]",
            record["at-us"].as_i64().ok_or("no time")?,
            quoted("event")?,
            quoted("invocation")?,
            whole(&record["act"])?,
            quoted("skill")?,
            quoted("caller")?,
            quoted("capability")?,
            quoted("subject")?,
            quoted("kind")?,
            quoted("detail")?,
        );
        let real = Sha256::digest([bytes(&hash)?, array.into_bytes()].concat());
        hash = real.iter().map(|byte| format!("{byte:02x}")).collect();
        if text(&record["hash"])? != hash {
            return Err(format!("record {seq} was changed"));
        }
        if let Some((at, signed)) = &head
            && *at == seq
        {
            met = true;
            if *signed != hash {
                return Err(format!("record {seq} is not the one that was signed"));
            }
        }
    }
    if whole(&closing["records"])? != records.len() as u64 || !met {
        return Err("the end is missing".into());
    }
    Ok(seq)
}

fn whole(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("{value} is no number"))
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no text"))
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map(|at| byte(at).ok_or_else(|| format!("{hex} is no hexadecimal number"))).collect()
}

#[test]
fn an_export_can_be_verified_by_somebody_who_has_nothing_else() {
    let (home, _) = lived();
    let whole = export(&home);
    let lines: Vec<&str> = whole.lines().collect();
    let key = serde_json::from_str::<Value>(lines[0]).unwrap()["public-key"].as_str().unwrap().to_owned();
    assert_eq!(check(&whole, &key), Ok(lines.len() as u64 - 2));

    let without = |gone: usize| {
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| *line).collect();
        kept.join("\n")
    };
    let last = lines.len() - 2;
    for (text, wrong) in [
        (whole.replace("model offline/extractive", "model offline/another"), "was changed"),
        (without(2), "is missing"),
        (without(last), "the end is missing"),
        (without(last + 1), "is no number"),
        ([&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat().join("\n"), "is missing"),
    ] {
        let error = check(&text, &key).unwrap_err();
        assert!(error.contains(wrong), "{wrong}: {error}");
    }
    // A chain of somebody else's, right in itself.
    let (other, _) = lived();
    assert_eq!(check(&export(&other), &key), Err("another format or key".into()));
    // What comes later continues it.
    home.run(&["audit", "list"]).worked();
    home.run(&["run", &probe().display().to_string(), "--tool", "echo", "--text", "x", "--allow", "kv"]).worked();
    let more = export(&home);
    assert!(more.lines().count() > lines.len() && more.contains(lines[last]));
    check(&more, &key).unwrap();
}

#[test]
fn the_audit_is_read_while_a_host_runs() {
    let provider = Provider::start(Reply::Hang);
    let home = Home::with_config(&provider.patient_config());
    let skill = probe().display().to_string();
    let mut first =
        home.command(&["run", &skill, "--tool", "generate", "--prompt", "x", "--allow", "model", "--allow", "kv"]);
    let begun = Instant::now();
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    provider.wait();
    let intents = records(&home.run(&["audit", "list", "--event", "intent", "--format", "json"]).worked());
    assert_eq!(intents[0]["subject"], "model default", "on disk before anything left");
    home.run(&["audit", "verify"]).worked();
    let told = home.run(&["audit", "show", intents[0]["invocation"].as_str().unwrap()]).worked().out;
    assert!(told.contains("no end is on record"), "{told}");
    let text = export(&home);
    let key = serde_json::from_str::<Value>(text.lines().next().unwrap()).unwrap()["public-key"].clone();
    check(&text, key.as_str().unwrap()).unwrap();
    let pid = first.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(Done::wait(first, begun).code, 130);
    home.run(&["audit", "verify"]).worked();
}

/// Set where the inner half of the test below runs, in a process whose files must not grow.
const INSIDE: &str = "RINGFENCE_SUITE_INSIDE";

/// Where the audit cannot be written nothing leaves, what only reads goes on, and all is well when there is room again.
#[test]
fn t119_without_an_audit_nothing_leaves_and_reads_go_on() {
    // A limit of file sizes holds for a whole process, and its signal has to be ignored from the start.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "audit::inside_of_t119", "--ignored", "--nocapture"]).env(INSIDE, "1");
    let done = Done::of(&mut command);
    assert!(done.code == 0 && done.out.contains("1 passed"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the inner half of the test above"]
async fn inside_of_t119() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let provider = Provider::says("An answer.");
    let host = TestHost::with(&provider.config().replace("key-env = \"FAKE_KEY\"\n", "")).await;
    let ask = json!({ "prompt": "x" });
    let read = json!({ "key": "k" });
    host.call("put", json!({ "key": "k", "value": "v" })).await.unwrap();
    assert_eq!(hosts::said(&host.call("generate", ask.clone()).await.unwrap()), "An answer.");
    assert_eq!(provider.requests().len(), 1);

    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1_024), ..before }).unwrap();
    for _ in 0..2 {
        let error = host.call("generate", ask.clone()).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{error:?}");
        assert!(error.to_string().contains("audit"), "{error:?}");
    }
    assert_eq!(provider.requests().len(), 1, "nothing left");
    assert_eq!(hosts::said(&host.call("read", read.clone()).await.unwrap()), "v", "reads go on");
    host.still_works().await;

    setrlimit(Resource::Fsize, before).unwrap();
    assert_eq!(hosts::said(&host.call("generate", ask).await.unwrap()), "An answer.");
    assert_eq!(provider.requests().len(), 2);
    // What could only be noted has been kept, and is written now.
    host.host.audit().seal().await.unwrap();
    assert_eq!(host.host.audit().verify().await.unwrap().fault, None);
    let filter = ringfence_core::journal::audit::Filter { capability: Some("kv".into()), ..Default::default() };
    let kept = host.host.audit().list(filter, 100).await.unwrap();
    assert!(kept.iter().any(|record| record.subject == "kv get k"), "{kept:?}");
}
