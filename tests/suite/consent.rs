//! Who decides what a skill may do, and how often they are asked. What a person answers is typed in a real terminal.

use ringfence_core::{Call, Caller};
use serde_json::json;

use crate::house::root;
use crate::support::terminal::{CTRL_C, DOWN, ENTER};
use crate::support::{Home, Provider, Terminal, TestHost, call, guests, hosts, wat};

/// A skill without code of its own, and what its manifest asks for.
fn skill(home: &Home, version: &str, permissions: serde_json::Value) -> String {
    let manifest = json!({
        "name": "asker", "version": version, "description": "Asks for things.", "permissions": permissions,
    });
    let bytes = wat::packaged(wat::skill("(i32.const 128)", "", ""), &manifest);
    home.write("work/asker.wasm", bytes).display().to_string()
}

fn kv_and_model() -> serde_json::Value {
    json!({
        "kv": { "reason": "To remember." },
        "model": { "models": ["default"], "reason": "To think.\u{1b}[2J" },
    })
}

fn held(home: &Home, name: &str) -> serde_json::Value {
    home.run(&["permissions", name, "--format", "json"]).worked().json()
}

#[test]
fn without_a_terminal_nothing_is_installed_that_asks_for_something() {
    let home = Home::with_config(&Provider::says("x").config());
    let file = skill(&home, "1.0.0", kv_and_model());
    let refused = home.run(&["add", &file]);
    refused.fails("denied", 3, "keep data", "`--yes`");
    refused.fails("denied", 3, "spend your tokens", "`--allow model=default --allow kv`");
    assert_eq!(home.run(&["list", "--format", "json"]).json(), json!([]));
    assert_eq!(home.files("data"), [""; 0], "nothing is half installed");

    home.run(&["add", &file, "--allow", "kv"]).worked();
    assert_eq!(held(&home, "asker")["granted"], json!({ "always": ["kv"], "session": [] }));
    home.run(&["remove", "asker", "--purge"]).worked();
    home.run(&["add", &file, "--yes"]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default"]));
    home.run(&["remove", "asker", "--purge"]).worked();
    home.run(&["add", &file, "--grant-nothing"]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!([]));
    home.run(&["add", &file, "--yes", "--allow", "kv"]).fails("usage", 2, "--yes", "--help");

    // What asks for nothing, or for what is free here, needs no flag.
    let home = Home::new();
    home.run(&["add", &skill(&home, "1.0.0", json!({}))]).worked();
    let free = skill(&home, "1.0.1", json!({ "model": { "models": ["default"] } }));
    home.run(&["add", &free]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!([]));
    home.run(&["add", &free, "--yes"]).worked();
    assert_eq!(
        held(&home, "asker")["granted"]["always"],
        json!(["model=default"]),
        "whatever `default` leads to later"
    );
}

#[test]
fn an_update_that_asks_for_more_gets_no_more() {
    let provider = Provider::says("x");
    let home = Home::with_config(&provider.config());
    let first = skill(&home, "1.0.0", json!({ "model": { "models": ["default"] } }));
    home.run(&["add", &first, "--yes"]).worked();
    // Wider than what the first version asks for.
    home.run(&["grant", "asker", "model=fake/*", "kv"]).worked();

    let second = skill(&home, "2.0.0", json!({ "model": { "models": ["default", "fake/other"] }, "kv": {} }));
    home.run(&["add", &second]).fails(
        "denied",
        3,
        "more than the version before it",
        "`--allow model=fake/other --allow kv`",
    );
    let list = home.run(&["list", "--format", "json"]).json();
    assert_eq!(list[0]["manifest"]["version"], "1.0.0", "the old one is still there");
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default,fake/*"]));

    home.run(&["add", &second, "--grant-nothing"]).worked();
    let now = held(&home, "asker");
    assert_eq!(now["granted"]["always"], json!(["model=default"]), "neither the pattern nor kv covers what is new");
    assert_eq!(now["missing"][0]["grant"], "model=fake/other");
    assert_eq!(now["missing"][1]["grant"], "kv");

    // The same wishes again take nothing away.
    home.run(&["grant", "asker", "model=fake/*"]).worked();
    home.run(&[
        "add",
        &skill(
            &home,
            "2.0.1",
            json!({ "model": { "models": ["default", "fake/other"], "reason": "Other words." }, "kv": {} }),
        ),
        "--allow",
        "kv",
    ])
    .worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default,fake/*"]));
}

#[test]
fn add_asks_once_in_plain_words() {
    let home = Home::with_config(&Provider::says("x").config());
    let file = skill(&home, "1.0.0", kv_and_model());
    let mut terminal = Terminal::start(&home, &["add", &file]);
    // The riskiest first, the stranger's words quoted and harmless, and what it costs.
    terminal.expect("asker 1.0.0").expect("It says of itself: \"Asks for things.\"");
    terminal.expect("send what you give it to a model").expect("(it says: \"To think.\u{fffd}[2J\")");
    terminal.expect("keep data of its own").expect("\"To remember.\"");
    terminal.expect("fake/clever at $1.00 in and $2.00 out per million tokens").expect("no budget limits the money");
    terminal.expect("Install it?").press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default"]));

    // One by one: no, and do not ask again, for the model; yes to kv.
    home.run(&["remove", "asker", "--purge"]).worked();
    let mut terminal = Terminal::start(&home, &["add", &file]);
    terminal.expect("Install it?").press(DOWN).press(ENTER);
    terminal.expect("Grant `model=default`?").press(DOWN).press(DOWN).press(ENTER);
    terminal.expect("Grant `kv`?").press(ENTER);
    assert_eq!(terminal.end().0, 0);
    let now = held(&home, "asker");
    assert_eq!(now["granted"]["always"], json!(["kv"]));
    assert_eq!(now["denied"][0]["wanted"], "model=default");

    // Nothing; and not at all.
    home.run(&["remove", "asker", "--purge"]).worked();
    let mut terminal = Terminal::start(&home, &["add", &file]);
    terminal.expect("Install it?").press(DOWN).press(DOWN).press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(held(&home, "asker")["granted"]["always"], json!([]));
    home.run(&["remove", "asker", "--purge"]).worked();
    for keys in [&[DOWN, DOWN, DOWN, ENTER][..], &[CTRL_C]] {
        let mut terminal = Terminal::start(&home, &["add", &file]);
        terminal.expect("Install it?");
        for key in keys {
            terminal.press(key);
        }
        let (code, seen) = terminal.end();
        assert_eq!(code, 130, "{seen}");
        assert_eq!(home.run(&["list", "--format", "json"]).json(), json!([]));
    }

    // An update says what is new.
    home.run(&["add", &file, "--allow", "kv"]).worked();
    let second = skill(&home, "2.0.0", json!({ "kv": {}, "model": { "models": ["default", "fake/other"] } }));
    let mut terminal = Terminal::start(&home, &["add", &second]);
    terminal.expect("asker 2.0.0, in place of 1.0.0").expect("It asks for more than the version before it:");
    terminal.expect("fake/other").expect("It keeps what it was granted before: kv").expect("Install it?").press(CTRL_C);
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_run_asks_and_remembers_as_it_is_told() {
    let home = Home::new();
    let probe = guests::copy_of_probe(&home, "work/keeper.wasm").display().to_string();
    let count = ["run", &probe, "--tool", "count"];
    let answer = |downs: usize| {
        let mut terminal = Terminal::start(&home, &count);
        terminal.expect("keep data of its own").expect("Allow it?");
        for _ in 0..downs {
            terminal.press(DOWN);
        }
        terminal.press(ENTER);
        terminal.end()
    };
    // Once.
    let (code, seen) = answer(0);
    assert!(code == 0 && seen.trim_end().ends_with('1'), "{seen}");
    home.run(&count).fails("denied", 3, "keep data", "ringfence grant");
    // No.
    let (code, seen) = answer(2);
    assert!(code == 3 && seen.contains("ringfence grant"), "{seen}");
    // What is typed is how an answer begins, and no letter somewhere in it.
    for (typed, answers) in [("n", 3), ("NO", 3)] {
        let mut terminal = Terminal::start(&home, &count);
        terminal.expect("Allow it?").press(typed).press(ENTER);
        let (code, seen) = terminal.end();
        assert!(code == answers && seen.contains("ringfence grant"), "{typed}: {seen}");
    }
    // Always.
    let (code, seen) = answer(1);
    assert!(code == 0 && seen.trim_end().ends_with('2'), "{seen}");
    home.run(&count).gives("3\n");
    let (code, seen) = Terminal::start(&home, &count).end();
    assert!(code == 0 && !seen.contains("Allow it?") && seen.trim_end().ends_with('4'), "{seen}");
    // Taken back, it is asked again. Never.
    home.run(&["revoke", &probe]).worked();
    let (code, seen) = answer(3);
    assert!(code == 3 && seen.contains("nobody is asked again"), "{seen}");
    let (code, seen) = Terminal::start(&home, &count).end();
    assert!(code == 3 && !seen.contains("Allow it?"), "{seen}");
    let lift = format!("ringfence grant {probe} kv");
    home.run(&count).fails("denied", 3, "was refused what it needs for good", &lift);
    assert_eq!(held(&home, &probe)["denied"][0]["wanted"], "kv");
    // A flag that a person types is a yes for this run.
    home.run(&[&count[..], &["--allow", "kv"]].concat()).gives("5\n");
    // The command of the help, word for word.
    home.run(&lift.split(' ').skip(1).collect::<Vec<_>>()).worked();
    home.run(&count).gives("6\n");
    assert_eq!(held(&home, &probe)["denied"], json!([]));
    // Revoking forgets a denial: the next one is asked again.
    home.run(&["revoke", &probe]).worked();
    assert_eq!(answer(3).0, 3);
    home.run(&["revoke", &probe, "kv"]).worked();
    let (code, seen) = answer(0);
    assert!(code == 0 && seen.trim_end().ends_with('7'), "{seen}");
}

#[test]
fn permissions_tell_what_was_asked_granted_used_and_never_used() {
    let home = Home::new();
    let probe = guests::copy_of_probe(&home, "work/keeper.wasm").display().to_string();
    home.run(&["grant", &probe, "kv", "model=default"]).worked();
    home.run(&["run", &probe, "--tool", "put", "--key", "k", "--value", "v"]).worked();
    home.run(&["run", &probe, "--tool", "read", "--key", "k"]).worked();
    home.run(&["run", &probe, "--tool", "read", "--key", "k"]).worked();
    let told = held(&home, &probe);
    assert_eq!(told["requested"][0]["reason"], "To try what a model call does.");
    let times = |subject: &str| {
        let used = told["used"].as_array().unwrap().iter().find(|used| used["subject"] == subject);
        used.map(|used| used["times"].as_u64().unwrap())
    };
    assert_eq!((times("kv get k"), times("kv set k"), times("kv list")), (Some(2), Some(1), None));
    assert_eq!(told["never-used"], json!(["model"]));
    let text = home.run(&["permissions", &probe]).worked().out;
    for part in ["kv  (always)", "kv get k  2 times", &format!("`ringfence revoke {probe} model` takes it back")] {
        assert!(text.contains(part), "{part}: {text}");
    }
    home.run(&["revoke", &probe, "model"]).worked();
    assert_eq!(held(&home, &probe)["never-used"], json!([]));
}

/// What it needs and what it can do without: a model and a place for state, a folder and questions.
fn half_optional() -> serde_json::Value {
    json!({
        "kv": { "reason": "To remember." },
        "model": { "models": ["default", "fake/other"], "optional": ["fake/other"] },
        "files": { "folders": { "docs": { "optional": true, "reason": "To read." } } },
        "user": { "optional": true },
    })
}

#[test]
fn what_is_optional_keeps_nobody_from_installing_or_running() {
    let home = Home::with_config(&Provider::says("x").config());
    let file = skill(&home, "1.0.0", half_optional());
    // What it needs is asked for alone.
    let refused = home.run(&["add", &file]);
    refused.fails("denied", 3, "keep data", "`--allow model=default --allow kv` for exactly what you want");
    refused.fails(
        "denied",
        3,
        "money: default;",
        "it can do without `--allow files=docs:FOLDER --allow model=fake/other",
    );
    let message = refused.err.split("help").next().unwrap();
    assert!(!message.contains("docs") && !message.contains("questions"), "{refused:?}");
    let run = home.run(&["run", &file, "--input", "{}"]);
    run.fails("denied", 3, "keep data", "model=default kv`");
    assert!(!run.err.contains("docs") && !run.err.contains("fake/other"), "{run:?}");

    home.run(&["add", &file, "--allow", "kv", "--allow", "model=default"]).worked();
    home.run(&["run", "asker", "--input", "{}"]).worked();
    let told = held(&home, "asker");
    let optional = |of: &str, name: &str| {
        let all = told[of].as_array().unwrap().iter();
        all.filter(|one| one["capability"] == name).map(|one| one["optional"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(optional("missing", "files"), [true]);
    assert_eq!((optional("missing", "model"), optional("requested", "model")), (vec![true], vec![false, true]));
    assert_eq!((optional("missing", "kv"), optional("requested", "kv")), (vec![], vec![false]));
    for verb in ["show", "permissions"] {
        let text = home.run(&[verb, "asker"]).worked().out;
        for part in [
            "in a folder that you choose (`docs`), which it can do without (it says: \"To read.\")",
            "ask you questions while it works, which it can do without",
            "Not granted, and it can do without; to grant it:\n  ringfence grant asker files=docs:FOLDER model=fake/other user",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("keep data of its own on this machine between calls, which"), "{text}");
    }
    // A grant of it is one as ever.
    home.run(&["grant", "asker", "user", "files=docs:."]).worked();
    assert_eq!(optional_left(&home), ["model=fake/other"]);
    home.run(&["revoke", "asker", "kv"]).worked();
    home.run(&["run", "asker", "--input", "{}"]).fails("denied", 3, "keep data", "ringfence grant asker kv");

    // All of it, but for a folder that nobody has named.
    home.run(&["remove", "asker", "--purge"]).worked();
    let added = home.run(&["add", &file, "--yes"]).worked();
    assert!(added.err.contains("`files=docs:FOLDER` is not granted: it leaves open which folder it is"), "{added:?}");
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default,fake/other", "user"]));

    // One that needs nothing is installed without a word.
    home.run(&["remove", "asker", "--purge"]).worked();
    let free = skill(&home, "1.0.1", json!({ "kv": { "optional": true }, "user": { "optional": true } }));
    home.run(&["add", &free]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!([]));
    home.run(&["run", "asker", "--input", "{}"]).worked();
}

fn optional_left(home: &Home) -> Vec<String> {
    let told = held(home, "asker");
    let missing = told["missing"].as_array().unwrap().iter();
    missing.filter(|one| one["optional"] == true).map(|one| one["grant"].as_str().unwrap().to_owned()).collect()
}

/// To need what was optional is no wish for more, and neither is the other way round: what was granted stays.
#[test]
fn an_update_that_changes_what_is_optional_takes_nothing_away_and_gets_no_more() {
    let home = Home::with_config(&Provider::says("x").config());
    let first = skill(&home, "1.0.0", json!({ "kv": {}, "user": { "optional": true } }));
    home.run(&["add", &first, "--allow", "kv"]).worked();
    home.run(&["grant", "asker", "model=fake/*"]).worked();
    let second = skill(&home, "1.1.0", json!({ "kv": { "optional": true }, "user": {} }));
    home.run(&["add", &second]).fails("denied", 3, "it asks for what nobody has granted: ask you", "`--allow user`");
    home.run(&["add", &second, "--grant-nothing"]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=fake/*"]));
    home.run(&["run", "asker", "--input", "{}"]).fails("denied", 3, "ask you questions", "ringfence grant asker user");
    let first = skill(&home, "1.0.0", json!({ "kv": {}, "user": { "optional": true } }));
    home.run(&["add", &first, "--allow-downgrade"]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=fake/*"]));

    // What is new and optional is more: it is not granted, and neither does a pattern cover it.
    let third = json!({ "kv": {}, "user": { "optional": true }, "model": { "models": ["fake/x"], "optional": true } });
    home.run(&["add", &skill(&home, "1.2.0", third)]).worked();
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv"]));
    assert_eq!(optional_left(&home), ["model=fake/x", "user"]);
    home.run(&["run", "asker", "--input", "{}"]).worked();
}

#[test]
fn what_is_optional_is_offered_once_and_not_at_each_run() {
    let home = Home::with_config(&Provider::says("x").config());
    let file = skill(&home, "1.0.0", half_optional());
    // Enter grants what it needs.
    let mut terminal = Terminal::start(&home, &["add", &file]);
    terminal.expect("(`docs`), which it can do without").expect("Install it?").expect("grant what it needs");
    terminal.press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default"]));
    let (code, seen) = Terminal::start(&home, &["run", "asker", "--input", "{}"]).end();
    assert!(code == 0 && !seen.contains("Allow it?") && !seen.contains("docs"), "{seen}");

    // All of it, but for a folder that is named by nobody.
    home.run(&["remove", "asker", "--purge"]).worked();
    let mut terminal = Terminal::start(&home, &["add", &file]);
    terminal.expect("Install it?").press(DOWN).press(ENTER);
    terminal.expect("Which folder is `docs`? (nothing where it shall do without)").press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(held(&home, "asker")["granted"]["always"], json!(["kv", "model=default,fake/other", "user"]));

    // One by one, and what is refused for good stands in no run's way and is offered no more.
    home.run(&["remove", "asker", "--purge"]).worked();
    let small = skill(&home, "1.0.1", json!({ "kv": {}, "user": { "optional": true } }));
    let mut terminal = Terminal::start(&home, &["add", &small]);
    terminal.expect("Install it?").press(DOWN).press(DOWN).press(ENTER);
    terminal.expect("Grant `user`, which it can do without?").press(DOWN).press(DOWN).press(ENTER);
    terminal.expect("Grant `kv`?").press(ENTER);
    assert_eq!(terminal.end().0, 0);
    let now = held(&home, "asker");
    assert_eq!((&now["granted"]["always"], &now["denied"][0]["wanted"]), (&json!(["kv"]), &json!("user")));
    home.run(&["run", "asker", "--input", "{}"]).worked();
    let (code, seen) = Terminal::start(&home, &["add", &small]).end();
    assert!(code == 0 && !seen.contains("Install it?"), "{seen}");

    // Where nothing else is missing, Enter grants nothing. A run that asks for what it needs tells of the rest.
    home.run(&["remove", "asker", "--purge"]).worked();
    let free = skill(&home, "1.0.2", json!({ "kv": { "optional": true } }));
    let mut terminal = Terminal::start(&home, &["add", &free]);
    terminal.expect("Install it?").press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(held(&home, "asker")["granted"]["always"], json!([]));
    let small = skill(&home, "1.0.1", json!({ "kv": {}, "user": { "optional": true } }));
    let mut terminal = Terminal::start(&home, &["run", &small, "--input", "{}"]);
    terminal.expect("keep data of its own").expect("Not asked about here; `ringfence grant").expect("user` grants it");
    terminal.expect("Allow it?").press(ENTER);
    assert_eq!(terminal.end().0, 0);
}

#[tokio::test]
async fn nobody_but_a_user_brings_grants_along() {
    let host = TestHost::new().await;
    let with = |caller| Call { caller, ..call(&host.probe, "count", json!({})) };
    for caller in [Caller::Client, Caller::Model, Caller::Skill] {
        let error = host.host.invoke(with(caller)).await.unwrap_err();
        assert_eq!(error.kind(), "denied");
        assert!(error.to_string().contains("only a person can grant"), "{error}");
        assert!(error.hint().contains("ringfence grant"), "{}", error.hint());
        // Without them it is a call like others.
        let echo = Call { caller, allow: Default::default(), ..call(&host.probe, "echo", json!({ "text": "x" })) };
        assert_eq!(hosts::said(&host.host.invoke(echo).await.unwrap()), "x");
    }
    assert_eq!(hosts::said(&host.host.invoke(with(Caller::User)).await.unwrap()), "1");
}

#[tokio::test]
async fn a_grant_for_a_session_ends_with_the_host() {
    let host = TestHost::new().await;
    let count = |caller| Call { caller, allow: Default::default(), ..call(&host.probe, "count", json!({})) };
    assert_eq!(host.host.invoke(count(Caller::Client)).await.unwrap_err().kind(), "refused");
    let kv = || ringfence_core::Grants::parse(["kv"]).unwrap();
    host.host.grant_for_session(host.probe.identity(), kv()).await.unwrap();
    assert_eq!(hosts::said(&host.host.invoke(count(Caller::Client)).await.unwrap()), "1");
    assert_eq!(host.host.permissions(&host.probe).await.unwrap().granted.session, ["kv"]);
    host.host.revoke(host.probe.identity(), None).await.unwrap();
    assert_eq!(host.host.invoke(count(Caller::Client)).await.unwrap_err().kind(), "refused");
    host.host.grant_for_session(host.probe.identity(), kv()).await.unwrap();

    let TestHost { host: first, home, probe } = host;
    let identity = probe.identity().to_owned();
    drop(probe);
    first.close().await.unwrap();
    let second = hosts::open(&home, "").await.unwrap();
    let probe = second.load_file(std::path::Path::new(&identity), None, None).await.unwrap();
    let refused = second.invoke(Call { allow: Default::default(), ..call(&probe, "count", json!({})) }).await;
    assert_eq!(refused.unwrap_err().kind(), "refused");
}

#[tokio::test]
async fn rules_are_about_capabilities_that_there_are() {
    let home = Home::new();
    let error = hosts::open(&home, "[rules.model]\nkvv = \"deny\"\n").await.err().unwrap();
    assert_eq!((error.kind(), error.to_string().contains("`kvv`")), ("grant-invalid", true));
    let done = Home::with_config("[rules.model]\nmodl = \"deny\"\n").run(&["list"]);
    done.fails("config-invalid", 2, "unknown key `rules.model.modl`", "did you mean `rules.model.model`?");
}

/// Words of what gives somebody a right.
const GIVING: &[&str] =
    &["allow", "approve", "authorize", "consent", "deny", "grant", "permission", "permit", "policy", "revoke", "rule"];

fn gives(name: &str) -> bool {
    name.split(['-', '_', '/']).any(|word| GIVING.contains(&word.trim_end_matches('s')))
}

/// Promise: no skill, no model and no client can grant. Skills reach what `wit/` names; models reach tools of skills; and the
/// core's functions that grant are called by three verbs of the command line and by nothing else.
#[test]
fn nothing_that_a_skill_a_model_or_a_client_reaches_grants() {
    let mut functions = 0;
    for entry in std::fs::read_dir(root().join("wit")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
            functions += usize::from(line.contains("func("));
            let names = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|name| !name.is_empty());
            for name in names {
                assert!(!gives(name), "{}: `{name}`: {line}", path.display());
            }
        }
    }
    assert!(functions > 20, "{functions}");
    assert!(gives("grant-all") && gives("set_rules") && !gives("denied"), "the words are found");

    let granting = [".grant(", ".grant_installed(", ".grant_for_session(", ".deny(", ".revoke("];
    let allowed = [
        "cli/add.rs",
        "cli/chat.rs",
        "cli/consent.rs",
        "cli/dev/project.rs",
        "cli/grant.rs",
        "cli/revoke.rs",
        "http/permissions.rs",
    ];
    let mut callers = std::collections::BTreeSet::new();
    let app = root().join("host/app/src");
    // Over HTTP every handler of it is for admins.
    let served = std::fs::read_to_string(app.join("http/permissions.rs")).unwrap();
    let handlers: Vec<&str> = served.split("pub(super) async fn ").skip(1).collect();
    assert!(handlers.len() >= 4 && handlers.iter().all(|one| one.split(") ->").next().unwrap().contains("_: Admin,")));
    for entry in walkdir::WalkDir::new(&app).into_iter().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            if granting.iter().any(|call| text.contains(call)) {
                callers.insert(entry.path().strip_prefix(&app).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(callers.iter().map(String::as_str).collect::<Vec<_>>(), allowed);
}

/// What is called like a tool that grants is a tool of some skill, and grants nothing.
#[tokio::test]
async fn the_host_offers_no_tool_of_its_own() {
    let host = TestHost::new().await;
    let names: Vec<String> = host.probe.tools().into_iter().map(|tool| tool.name).collect();
    assert!(names.contains(&"echo".to_owned()) && !names.iter().any(|name| gives(name)), "{names:?}");
    for name in ["grant", "ringfence/grant", "allow", "echo\u{200b}", "Echo", "ech\u{43e}", &"echo".repeat(3_000)] {
        let error = host.call(name, json!({ "text": "x" })).await.unwrap_err();
        assert_eq!(error.kind(), "unknown-tool", "{name}");
    }
    host.still_works().await;
}

#[test]
fn another_file_of_an_installed_name_comes_from_elsewhere_only_by_somebody_s_word() {
    let home = Home::new();
    let first = skill(&home, "1.0.0", json!({ "kv": {} }));
    home.run(&["add", &first, "--allow", "kv"]).worked();
    // The same place is its next version.
    skill(&home, "1.0.1", json!({ "kv": {} }));
    home.run(&["add", &first]).worked();
    let bytes = std::fs::read(skill(&home, "1.0.2", json!({ "kv": {} }))).unwrap();
    let elsewhere = home.write("stranger/asker.wasm", bytes).display().to_string();
    skill(&home, "1.0.1", json!({ "kv": {} }));
    let add = ["add", &elsewhere];
    home.run(&add).fails("conflict", 2, "is installed already, from", "ringfence remove asker --purge");
    let mut terminal = Terminal::start(&home, &add);
    terminal.expect("what that one was granted: kv").expect("Replace it?").press(ENTER);
    assert_eq!(terminal.end().0, 130);
    let version =
        |home: &Home| home.run(&["list", "--format", "json"]).worked().json()[0]["manifest"]["version"].clone();
    assert_eq!(version(&home), "1.0.1");
    let mut terminal = Terminal::start(&home, &add);
    terminal.expect("Replace it?").press(DOWN).press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(version(&home), "1.0.2");
    // And back, by a script that says so.
    home.run(&["add", &first, "--grant-nothing", "--allow-downgrade"]).worked();
    assert_eq!(version(&home), "1.0.1");
}
