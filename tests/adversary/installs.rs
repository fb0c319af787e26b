//! Indexes and locks that lie, names that are taken for others, and updates that ask for more than was agreed to: what is installed, and
//! that it is nothing else.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ringfence_core::catalog::source::{CatalogSettings, Digest, Index};
use serde_json::{Value, json};

use crate::distribution::{Desk, answer, missing};
use crate::support::peer::Peer;
use crate::support::terminal::{ENTER, Terminal};
use crate::support::{Home, hosts, wat};

/// An index of `skills` (name, version, file, installs) in the folder `index` of a home, with its files beside it.
fn index(home: &Home, serial: u64, expires: &str, skills: &[(&str, &str, &[u8], u64)]) -> String {
    let mut text = format!("format = 1\nserial = {serial}\nexpires = \"{expires}\"\n");
    let mut last = "";
    for (name, version, bytes, installs) in skills {
        let file = format!("{name}-{version}.wasm");
        home.write(&format!("index/{file}"), bytes);
        if last != *name {
            text += &format!("[[skill]]\nname = \"{name}\"\ndescription = \"Does {name}.\"\ninstalls = {installs}\n");
        }
        last = name;
        let digest = Digest::of(bytes);
        text +=
            &format!("[[skill.release]]\nversion = \"{version}\"\nreference = \"./{file}\"\ndigest = \"{digest}\"\n");
    }
    home.write("index/index.toml", &text);
    text
}

pub(super) const LATER: &str = "2099-01-01T00:00:00Z";

/// A home whose index is its folder `index`.
fn with_index() -> Home {
    let home = Home::unsigned();
    let place = home.path("index").display().to_string();
    home.write(".config/ringfence/config.toml", format!("[catalog]\nindex = \"{place}\"\n{}", Home::UNSIGNED));
    home
}

fn versions(home: &Home) -> Vec<(String, String)> {
    let list = home.run(&["list", "--format", "json"]).worked().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["manifest"]["version"]))).collect()
}

#[test]
fn t105_an_index_is_not_followed_back_and_not_for_ever() {
    let home = with_index();
    let (one, two) = (wat::named("hello", "1.0.0", json!({})), wat::named("hello", "1.1.0", json!({})));
    let first = index(&home, 1, LATER, &[("hello", "1.0.0", &one, 1)]);
    home.run(&["add", "hello"]).worked();
    index(&home, 2, LATER, &[("hello", "1.1.0", &two, 1), ("hello", "1.0.0", &one, 1)]);
    home.run(&["update"]).worked();
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into())]);
    // Rolled back; another one of the same serial.
    home.write("index/index.toml", &first);
    home.run(&["update"]).fails("index-rollback", 3, "2 was seen", "hides updates");
    home.run(&["search"]).fails("index-rollback", 3, "2 was seen", "hides updates");
    index(&home, 2, LATER, &[("hello", "1.0.0", &one, 1)]);
    home.run(&["add", "hello"]).fails("index-rollback", 3, "same serial", "hides updates");
    // Frozen.
    index(&home, 3, "2020-01-01T00:00:00Z", &[("hello", "1.1.0", &two, 1)]);
    home.run(&["add", "hello"]).fails("index-expired", 3, "expired", "need no index");
    let searched = home.run(&["search", "hello"]).worked();
    assert!(searched.out.contains("1.1.0") && searched.err.contains("expired"), "{searched:?}");
    let days = |days: i64| {
        let at = jiff::Timestamp::now().as_second() - days * 86_400;
        jiff::Timestamp::from_second(at).unwrap().to_string()
    };
    index(&home, 4, &days(10), &[("hello", "1.1.0", &two, 1)]);
    assert!(home.run(&["add", "hello"]).worked().err.contains("has expired 10 days ago"));
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into())]);
    // Bytes are what the index says, and not what lies there.
    home.write("index/hello-1.1.0.wasm", &one);
    home.run(&["add", "hello"]).fails("digest-mismatch", 6, "instead of", "nothing was installed");
    // A name that is not there.
    home.run(&["add", "helo"]).fails("not-found", 2, "has no `helo`", "did you mean `hello`?");
    Home::unsigned().run(&["add", "hello"]).fails("no-index", 2, "none is configured", "catalog.index");
    Home::unsigned().run(&["search"]).fails("no-index", 2, "skills are looked for in an index", "catalog.index");
    for name in ["index.toml", "index.json"] {
        drop(std::fs::remove_file(home.path("index").join(name)));
    }
    home.run(&["search"]).fails("not-found", 2, "is not there", "`catalog.index` in your own configuration");
    // What is no skill at all is named by its place.
    home.write("work/odd.wasm", "nothing");
    home.run(&["add", "./odd.wasm"]).fails("invalid-component", 2, "odd.wasm", "");
}

/// Makes a key of this name, and gives its public half.
fn key(home: &Home, name: &str) -> String {
    let made = home.run(&["key", "new", name, "--no-password", "--format", "json"]).worked().json();
    made["key"]["key"].as_str().unwrap().to_owned()
}

#[test]
fn t105_an_index_whose_key_is_named_counts_only_with_its_signature() {
    let home = with_index();
    let (ada, _) = (key(&home, "ada"), key(&home, "eve"));
    let one = wat::named("hello", "1.0.0", json!({}));
    let text = index(&home, 1, LATER, &[("hello", "1.0.0", &one, 1)]);
    let file = home.path("index/index.toml").display().to_string();
    let config = std::fs::read_to_string(home.path(".config/ringfence/config.toml")).unwrap();
    let named = |key: &str| config.replacen("[catalog]\n", &format!("[catalog]\nindex-key = \"{key}\"\n"), 1);
    home.write(".config/ringfence/config.toml", named(&ada));
    home.run(&["add", "hello"]).fails("unsigned", 3, "is not signed", "ringfence sign index.toml");
    home.run(&["search"]).fails("unsigned", 3, "is not signed", "ringfence sign index.toml");
    // Somebody else's, and then its own.
    home.run(&["sign", &file, "--key", "eve"]).worked();
    home.run(&["add", "hello"]).fails("signature-invalid", 3, "does not hold", "another publisher");
    assert_eq!(versions(&home), []);
    assert!(home.run(&["sign", &file, "--key", "ada"]).worked().out.contains("index.toml.minisig"));
    home.run(&["add", "hello"]).worked();
    assert_eq!(versions(&home), [("hello".into(), "1.0.0".into())]);
    // One byte more.
    home.write("index/index.toml", text.clone() + "\n");
    home.run(&["update"]).fails("signature-invalid", 3, "does not hold", "another publisher");
    // A key that is none says so before anything is believed.
    home.write("index/index.toml", text);
    home.write(".config/ringfence/config.toml", named("RWnonsense"));
    home.run(&["update"]).fails("config-invalid", 2, "catalog.index-key", "RW...");
    // What nobody could read is not signed.
    home.write("index/index.toml", "format = 9");
    home.run(&["sign", &file, "--key", "ada"]).fails("index-invalid", 2, "cannot be read", "");
    // A project chooses no key.
    home.write("work/ringfence.toml", format!("[catalog]\nindex-key = \"{ada}\"\n"));
    let done = home.run(&["list"]);
    assert!(done.err.contains("index-key"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t105_a_server_cannot_change_an_index_whose_key_is_named() {
    let home = Home::unsigned();
    let ada = key(&home, "ada");
    let text = format!("format = 1\nserial = 1\nexpires = \"{LATER}\"\n");
    let file = home.write("index.toml", &text);
    home.run(&["sign", &file.display().to_string(), "--key", "ada"]).worked();
    let signature = std::fs::read(home.path("index.toml.minisig")).unwrap();
    let served = Arc::new(Mutex::new((text.clone(), Some(signature))));
    let now = Arc::clone(&served);
    let peer = Peer::says(move |head| {
        let (text, signature) = now.lock().unwrap().clone();
        match (head.split(' ').nth(1).unwrap_or_default(), signature) {
            ("/index.toml", _) => answer("200 OK", "", text.as_bytes()),
            ("/index.toml.minisig", Some(signature)) => answer("200 OK", "", &signature),
            _ => missing(),
        }
    });
    let settings =
        CatalogSettings { index: Some(peer.url("/index.toml")), index_key: Some(ada), ..CatalogSettings::default() };
    let desk = Desk::with(settings);
    let look = async || desk.sources.index(None).await.map(drop).map_err(|error| error.kind());
    assert_eq!(look().await, Ok(()));
    served.lock().unwrap().0 = text.replace("serial = 1", "serial = 2");
    assert_eq!(look().await, Err("signature-invalid"));
    *served.lock().unwrap() = (text, None);
    assert_eq!(look().await, Err("unsigned"));
}

#[tokio::test]
async fn t105_the_state_remembers_an_index() {
    let home = Home::unsigned();
    let read = |serial: u64, more: &str| {
        let text = format!("format = 1\nserial = {serial}\nexpires = \"{LATER}\"\n{more}");
        Index::parse("https://index.test/", None, text.as_bytes()).unwrap()
    };
    let host = hosts::open(&home, "").await.unwrap();
    assert!(host.heed(&read(7, "")).await.unwrap().is_ok());
    host.close().await.unwrap();
    let host = hosts::open(&home, "").await.unwrap();
    assert_eq!(host.heed(&read(6, "")).await.unwrap_err().kind(), "index-rollback");
    assert!(host.heed(&read(7, "")).await.unwrap().is_ok(), "what was refused is not what was seen");
    assert!(host.heed(&read(8, "")).await.unwrap().is_ok());
    host.close().await.unwrap();
}

/// A project with a lock that names `hello`, and the skill's file.
fn locked() -> (Home, String) {
    let home = Home::unsigned();
    home.write("work/ringfence.toml", "");
    home.write("work/skills/hello.wasm", wat::named("hello", "1.0.0", json!({})));
    home.run(&["add", "./skills/hello.wasm", "--lock"]).worked();
    let lock = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert!(lock.contains("reference = \"./skills/hello.wasm\""), "{lock}");
    (home, lock)
}

#[test]
fn t107_a_lock_that_was_touched_installs_nothing_and_stays_as_it_is() {
    let (home, lock) = locked();
    let digest = Digest::of(&wat::named("hello", "1.0.0", json!({}))).to_string();
    let wit = lock.lines().find(|line| line.starts_with("wit = ")).unwrap();
    // Of what is there nothing is fetched, and nothing else is believed either.
    for text in [lock.replace("version = \"1.0.0\"", "version = \"1.0.1\""), lock.replace(wit, "wit = \"7.0.0\"")] {
        home.write("work/ringfence.lock", &text);
        for args in [&["sync"][..], &["sync", "--frozen"]] {
            home.run(args).fails("lock-invalid", 2, "the lock says", "history");
        }
    }
    home.write("work/ringfence.lock", &lock);
    home.run(&["remove", "hello"]).worked();
    let signed = format!("{wit}\nsigner = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"");
    for (text, kind, code, sentence) in [
        (lock.replace(&digest, &Digest::of(b"x").to_string()), "digest-mismatch", 6, "which the lock names"),
        (lock.replace("version = \"1.0.0\"", "version = \"1.0.1\""), "lock-invalid", 2, "the lock says"),
        (lock.replace("name = \"hello\"", "name = \"other\""), "lock-invalid", 2, "the lock says"),
        (lock.replace(wit, "wit = \"7.0.0\""), "lock-invalid", 2, "the lock says"),
        (lock.replace(&format!("{wit}\n"), ""), "lock-invalid", 2, "the lock says"),
        (lock.replace(wit, &signed), "publisher-changed", 3, "nobody signed it"),
        (lock.replace("version = 1\n", "version = 9\n"), "lock-invalid", 2, "ringfence.lock:2"),
        (format!("{lock}<<<<<<< HEAD\n"), "lock-invalid", 2, "conflict"),
        (format!("{lock}{}", lock.split_once("version = 1\n").unwrap().1), "lock-invalid", 2, "twice"),
        (lock[..lock.len() - 10].to_owned(), "lock-invalid", 2, "ringfence.lock:"),
        (lock.replace("hello.wasm", "gone.wasm"), "not-found", 2, "gone.wasm"),
    ] {
        home.write("work/ringfence.lock", &text);
        let done = home.run(&["sync"]);
        done.fails(kind, code, sentence, "");
        // Nor does any verb that would write it.
        if kind == "lock-invalid" && sentence != "the lock says" {
            home.run(&["add", "./skills/hello.wasm"]).fails(kind, code, sentence, "");
        }
        assert_eq!(std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap(), text);
        assert_eq!(versions(&home), [], "{sentence}");
    }
    // An entry too much is a skill that is nowhere, and what stands before it is installed all the same.
    home.write("work/ringfence.lock", &lock);
    assert_eq!(home.run(&["sync"]).worked().out, "hello 1.0.0 installed\n");
    assert_eq!(home.run(&["sync", "--frozen"]).worked().out, "hello 1.0.0 was there\n");
    assert_eq!(std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap(), lock);
}

#[test]
fn t107_what_is_installed_is_by_whom_the_lock_says() {
    let home = Home::unsigned();
    let (ada, eve) = (key(&home, "ada"), key(&home, "eve"));
    home.write("work/ringfence.toml", "");
    let file = home.write("work/skills/hello.wasm", wat::named("hello", "1.0.0", json!({}))).display().to_string();
    home.run(&["sign", &file, "--key", "ada"]).worked();
    home.run(&["add", "./skills/hello.wasm", "--lock", "--trust", &ada]).worked();
    let lock = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert!(lock.contains(&format!("signer = \"{ada}\"")), "{lock}");
    home.run(&["sync"]).worked();
    home.write("work/ringfence.lock", lock.replace(&ada, &eve));
    for args in [&["sync"][..], &["sync", "--frozen"]] {
        home.run(args).fails("publisher-changed", 3, &format!("is signed by {eve}, and it is signed by "), "history");
    }
    // What has to be fetched first as well.
    home.run(&["remove", "hello"]).worked();
    home.write("work/ringfence.lock", lock.replace(&ada, &eve));
    home.run(&["sync", "--trust", &ada]).fails("publisher-changed", 3, &eve, "history");
    assert_eq!(versions(&home), []);
    home.write("work/ringfence.lock", &lock);
    home.run(&["sync", "--trust", &ada]).worked();
    assert_eq!(versions(&home), [("hello".into(), "1.0.0".into())]);
}

#[test]
fn t107_a_fixed_lock_admits_what_it_names_and_nothing_else() {
    let (home, lock) = locked();
    home.write("work/skills/hello.wasm", wat::named("hello", "1.1.0", json!({})));
    home.write("work/skills/other.wasm", wat::named("other", "1.0.0", json!({})));
    home.run(&["add", "./skills/hello.wasm", "--locked"]).fails("lock-changed", 3, "has 1.0.0", "ringfence sync");
    home.run(&["add", "./skills/other.wasm", "--locked"]).fails("lock-changed", 3, "does not name it", "--locked");
    home.run(&["update", "--locked"]).fails("lock-changed", 3, "has 1.0.0", "--locked");
    home.run(&["add", "https://a.invalid/x.wasm", "--frozen"]).fails("frozen", 3, "a.invalid", "--frozen");
    assert_eq!(versions(&home), [("hello".into(), "1.0.0".into())]);
    assert_eq!(std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap(), lock);
    home.run(&["remove", "hello"]).worked();
    let gone = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert!(!gone.contains("hello"), "{gone}");
    home.write("work/ringfence.lock", &lock);
    home.run(&["sync", "--frozen"]).fails("frozen", 3, "hello", "without `--frozen`");
    // Without any lock there is nothing to hold on to.
    let home = Home::unsigned();
    home.run(&["sync"]).fails("not-found", 2, "no ringfence.lock", "--lock");
    // An update writes what it does.
    let (home, lock) = locked();
    home.write("work/skills/hello.wasm", wat::named("hello", "1.1.0", json!({})));
    home.run(&["update"]).worked();
    let now = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert!(now.contains("version = \"1.1.0\"") && now != lock, "{now}");
}

#[test]
fn t108_a_name_that_is_easily_taken_for_another_is_asked_about() {
    let home = with_index();
    let skill = |name: &str| wat::named(name, "1.0.0", json!({}));
    let (wrong, right, far) = (skill("githb"), skill("github"), skill("sheet"));
    let skills: [(&str, &str, &[u8], u64); 3] =
        [("githb", "1.0.0", &wrong, 2), ("github", "1.0.0", &right, 900), ("sheet", "1.0.0", &far, 1)];
    index(&home, 1, LATER, &skills);
    // By an index that counts, and by what is installed.
    home.run(&["add", "githb"]).fails("name-confusable", 3, "taken for `github`", "--confirm-name");
    assert_eq!(home.files("data"), [""; 0]);
    home.run(&["add", "sheet"]).worked();
    let added = home.run(&["add", "github"]).worked();
    assert!(added.err.contains("of the index") && added.err.contains("published by nobody it names"), "{added:?}");
    index(&home, 2, LATER, &[("githb", "1.0.0", &wrong, 2)]);
    home.run(&["pull", "githb"]).fails("name-confusable", 3, "taken for `github`", "--confirm-name");
    home.run(&["add", "githb", "--confirm-name"]).worked();
    // Once it is here, it is no longer a question.
    home.run(&["add", "githb"]).worked();
    // A project may not choose where names are looked up.
    home.write("work/ringfence.toml", "[catalog]\nindex = \"https://evil.test/index.toml\"\n");
    home.run(&["add", "sheet"]).fails("config-invalid", 2, "not for a project's file", "your own file");
}

#[test]
fn t109_an_update_that_asks_for_more_is_shown_and_waits() {
    let home = with_index();
    let more = json!({ "kv": { "reason": "To remember." }, "http": { "allow": ["https://evil.test"], "reason": "x" } });
    let (one, two) = (wat::named("hello", "1.0.0", json!({})), wat::named("hello", "1.1.0", more));
    index(&home, 1, LATER, &[("hello", "1.0.0", &one, 1)]);
    home.run(&["add", "hello"]).worked();
    // A grant that covers what nobody has asked for yet.
    home.run(&["grant", "hello", "kv"]).worked();
    index(&home, 2, LATER, &[("hello", "1.0.0", &one, 1), ("hello", "1.1.0", &two, 1)]);

    let outdated = home.run(&["outdated", "--format", "json"]).worked().json();
    assert_eq!((&outdated[0]["state"], &outdated[0]["available"]), (&json!("newer"), &json!("1.1.0")));
    let dry = home.run(&["update", "--dry-run", "--format", "json"]).worked().json();
    assert_eq!(dry, outdated);
    let refused = home.run(&["update"]);
    refused.fails("permission-widened", 3, "evil.test", "`ringfence update hello --yes`");
    refused.fails("permission-widened", 3, "keep data", "--grant-nothing");
    assert_eq!(versions(&home), [("hello".into(), "1.0.0".into())]);

    let done = home.run(&["update", "--grant-nothing"]).worked();
    assert!(
        done.err.contains("hello 1.1.0, in place of 1.0.0\nIt asks for more than the version before it:"),
        "{done:?}"
    );
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into())]);
    let held = home.run(&["permissions", "hello", "--format", "json"]).worked().json();
    assert_eq!(held["granted"]["always"], json!([]), "the earlier grant covers nothing that is new");
    assert_eq!(home.run(&["outdated", "--format", "json"]).worked().json()[0]["state"], "current");

    // Another name, an older version: neither is an update.
    let file = home.write("work/moving.wasm", wat::named("moving", "2.0.0", json!({})));
    home.run(&["add", "./moving.wasm"]).worked();
    std::fs::write(&file, wat::named("moving", "1.9.0", json!({}))).unwrap();
    home.run(&["update", "moving"]).fails("rollback-refused", 3, "1.9.0", "--allow-downgrade");
    std::fs::write(&file, wat::named("hello", "9.0.0", json!({}))).unwrap();
    home.run(&["update", "moving"]).fails("denied", 3, "calls itself `hello`", "ringfence add");
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into()), ("moving".into(), "2.0.0".into())]);
}

#[test]
fn t109_an_update_that_imports_more_is_shown_and_waits() {
    const LOG: &str = "ringfence:skill/log@0.1.0";
    const HTTP: &str = "ringfence:skill/http@0.1.0";
    const CLOCK: &str = "wasi:clocks/wall-clock@0.2.";
    let home = with_index();
    let clock = |patch: &str| format!("{CLOCK}{patch}");
    let one = wat::importing("hello", "1.0.0", &[LOG, &clock("0")]);
    let two = wat::importing("hello", "1.1.0", &[&clock("1"), LOG]);
    let three = wat::importing("hello", "1.2.0", &[LOG, HTTP]);
    let four = wat::importing("hello", "1.3.0", &[LOG]);
    index(&home, 1, LATER, &[("hello", "1.0.0", &one, 1)]);
    home.run(&["add", "hello"]).worked();
    // The same interfaces, and fewer: no question.
    index(&home, 2, LATER, &[("hello", "1.1.0", &two, 1)]);
    let done = home.run(&["update"]).worked();
    assert!(!format!("{done:?}").contains("import"), "{done:?}");
    index(&home, 3, LATER, &[("hello", "1.2.0", &three, 1)]);
    home.run(&["update"]).fails("permission-widened", 3, &format!("import {HTTP}"), "`ringfence update hello --yes`");
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into())]);
    let mut terminal = Terminal::start(&home, &["update"]);
    terminal.expect(&format!("It imports what the version before it did not: {HTTP}"));
    terminal.expect(&format!("It no longer imports: {}", clock("1")));
    // The first answer is no.
    terminal.expect("Update it?").press(ENTER);
    assert_eq!(terminal.end().0, 130);
    assert_eq!(versions(&home), [("hello".into(), "1.1.0".into())]);
    let done = home.run(&["update", "--yes"]).worked();
    assert!(done.err.contains(&format!("It imports what the version before it did not: {HTTP}")), "{done:?}");
    // Also what only goes away is told, to programs in the row.
    index(&home, 4, LATER, &[("hello", "1.3.0", &four, 1)]);
    let done = home.run(&["update", "--format", "json"]).worked();
    assert_eq!(done.json()[0]["changes"]["imports"], json!({ "new": [], "gone": [HTTP] }));
    assert_eq!(done.json()[0]["changes"]["permissions"], json!({ "new": [], "gone": [] }));
    home.write("work/old.wasm", &one);
    let done = home.run(&["add", "./old.wasm", "--allow-downgrade", "--yes"]).worked();
    assert!(done.err.contains("hello 1.0.0, in place of 1.3.0\nIt imports"), "{done:?}");
    let added = home.run(&["add", "hello", "--yes", "--format", "json"]).worked().json();
    assert_eq!(added["changes"]["imports"], json!({ "new": [], "gone": [clock("0")] }));
    assert_eq!(versions(&home), [("hello".into(), "1.3.0".into())]);
}

#[test]
fn what_nobody_needs_is_cleaned_and_what_a_lock_names_stays() {
    let (home, _) = locked();
    let skills = home.path("data/skills");
    let put = |name: &str| std::fs::write(skills.join(name), [0; 2048]).unwrap();
    let needed = Digest::of(b"locked elsewhere");
    put(&format!("{}.wasm", needed.hex()));
    put(&format!("{}.wasm", Digest::of(b"nobody's").hex()));
    put(".tmpAbC123");
    let lock = home.path("work/ringfence.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let entry = text.split_once("version = 1\n").unwrap().1;
    let other = entry
        .replace("\"hello\"", "\"other\"")
        .replace(&Digest::of(&wat::named("hello", "1.0.0", json!({}))).to_string(), &needed.to_string());
    std::fs::write(&lock, format!("{text}{other}")).unwrap();
    // In a cache of its own: what others fetch meanwhile would count.
    let cache = home.path("cache").display().to_string();
    let freed = home.run(&["clean", "--cache-dir", &cache, "--format", "json"]).worked().json();
    assert_eq!(freed["freed-bytes"], 4096);
    let names: Vec<_> = home.files("data/skills");
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(Path::new(&names[0]).is_file());
    home.run(&["show", "hello"]).worked();
}

#[test]
fn two_that_install_at_once_leave_both() {
    let home = Home::unsigned();
    let names: Vec<String> = (0..4).map(|n| format!("skill-{n}x{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let file = home.write(&format!("work/{name}.wasm"), wat::named(name, "1.0.0", json!({})));
            let home = &home;
            scope.spawn(move || home.run(&["add", &file.display().to_string(), "--lock"]).worked());
        }
    });
    let lock = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert_eq!(lock.matches("[[skill]]").count(), names.len(), "{lock}");
    let list: Vec<String> = versions(&home).into_iter().map(|(name, _)| name).collect();
    assert_eq!(list, names);
}

/// What an archive may carry, a folder may: links that lead out, pipes, and files without an end.
#[test]
fn t106_a_folder_with_pipes_and_links_is_refused_at_once_and_reaches_nothing_outside() {
    let home = Home::new();
    let folder = |name: &str, lang: &str| {
        let text =
            format!("name = \"{name}\"\nversion = \"0.1.0\"\ndescription = \"Odd.\"\n[build]\nlang = \"{lang}\"\n");
        home.write(&format!("work/{name}/skill.toml"), text);
        home.work().join(name)
    };
    let piped = folder("piped", "rust").join("Cargo.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &piped, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    home.run(&["build", "piped"]).fails("build-failed", 1, "Cargo.toml is a pipe", "remove it");
    std::os::unix::fs::symlink("/dev/zero", folder("endless", "rust").join("Cargo.toml")).unwrap();
    home.run(&["build", "endless"]).fails("not-found", 2, "it is not a file", "check the path");

    // Where the SDK would be unpacked, what is there before gives way.
    home.write("work/theirs/sdk/precious", "theirs");
    std::os::unix::fs::symlink("../theirs", folder("linked", "go").join(".ringfence")).unwrap();
    home.run(&["build", "linked"]).fails("build-failed", 1, ".ringfence is a link", "remove the link");
    assert_eq!(home.files("work/theirs"), [home.path("work/theirs/sdk/precious").display().to_string()]);
}
