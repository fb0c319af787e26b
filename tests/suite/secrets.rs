//! Secrets on the command line: kept, listed, replaced and forgotten, and never shown.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use serde_json::json;

use crate::support::{Done, Home};

const VALUE: &str = "sk-CANARY-0123456789abcdef";

/// Runs with something on standard input.
fn told(home: &Home, args: &[&str], input: &[u8]) -> Done {
    let begun = Instant::now();
    let mut command = home.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // One that does not read all of it may have ended.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let done = Done::wait(child, begun);
    writer.join().unwrap();
    hidden(&done);
    done
}

/// Runs with a variable `MINE` in the environment.
fn from_env(home: &Home, args: &[&str], value: &str) -> Done {
    let done = Done::of(home.command(args).env("MINE", value));
    hidden(&done);
    done
}

#[track_caller]
fn hidden(done: &Done) {
    assert!(!done.out.contains("CANARY") && !done.err.contains("CANARY"), "a value was shown");
}

fn names(home: &Home) -> Vec<String> {
    let listed = home.run(&["secret", "list", "--format", "json"]).worked().json();
    listed.as_array().unwrap().iter().map(|kept| kept["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_secret_is_kept_listed_replaced_and_forgotten() {
    let home = Home::new();
    let empty = home.run(&["secret", "list"]).worked();
    assert!(empty.out.is_empty() && empty.err.contains("ringfence secret set"), "{empty:?}");
    home.run(&["secret", "list", "--format", "json"]).gives("[]\n");

    // Standard input, with the line end that `echo` gives and without.
    let line = format!("{VALUE}\n");
    told(&home, &["secret", "set", "TOKEN", "--host", "api.example.com"], line.as_bytes())
        .gives("TOKEN is kept for https://api.example.com\n");
    let set = ["secret", "set", "other-1", "--host", "http://127.0.0.1:8080", "--host", "B.example.com:8443"];
    told(&home, &set, VALUE.as_bytes())
        .gives("other-1 is kept for http://127.0.0.1:8080, https://b.example.com:8443\n");
    from_env(&home, &["secret", "set", "FROM_ENV", "--host", "c.example.com", "--from-env", "MINE"], VALUE).worked();
    let listed = home.run(&["secret", "list"]).worked();
    hidden(&listed);
    for word in ["TOKEN", "https://api.example.com", "other-1", "http://127.0.0.1:8080", "FROM_ENV"] {
        assert!(listed.out.contains(word), "{word}: {listed:?}");
    }
    assert_eq!(names(&home), ["FROM_ENV", "TOKEN", "other-1"]);

    // In the place of the older one, with its servers.
    let set = ["secret", "set", "TOKEN", "--host", "new.example.com", "--format", "json"];
    let kept = told(&home, &set, b"another-value-1234").worked().json();
    assert_eq!((&kept["name"], &kept["hosts"]), (&json!("TOKEN"), &json!(["https://new.example.com"])));
    assert!(kept.get("value").is_none() && kept["changed"].is_string(), "{kept}");

    home.run(&["secret", "remove", "TOKEN"]).gives("TOKEN is forgotten\n");
    assert_eq!(names(&home), ["FROM_ENV", "other-1"]);
    home.run(&["secret", "remove", "TOKEN"]).fails("not-found", 2, "`TOKEN`", "ringfence secret list");
    // Case counts.
    home.run(&["secret", "remove", "from_env"]).fails("not-found", 2, "`from_env`", "ringfence secret list");

    // What was done is on record, and no value is in any file.
    let records = home.run(&["audit", "list", "--event", "admin", "--format", "json"]).worked().json();
    let kinds: Vec<_> = records.as_array().unwrap().iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["secret-remove", "secret-set", "secret-set", "secret-set", "secret-set"]);
    for file in home.files("state") {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"CANARY"), "{file}");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let home = Home::new();
    let long = "x".repeat(65);
    for name in ["", "a b", "a.b", "../a", "ä", "a\nb", "{{a}}", &long] {
        let done = told(&home, &["secret", "set", name, "--host", "api.example.com"], VALUE.as_bytes());
        done.fails("secret-invalid", 2, "is not a secret's name", "GITHUB_TOKEN");
        assert!(done.err.lines().count() <= 2, "{done:?}");
        home.run(&["secret", "remove", name]).fails("secret-invalid", 2, "is not a secret's name", "GITHUB_TOKEN");
    }
    let most = "x".repeat(64);
    told(&home, &["secret", "set", &most, "--host", "api.example.com"], VALUE.as_bytes()).worked();
    assert_eq!(names(&home), [most]);
}

#[test]
fn servers_that_are_none_are_refused() {
    let home = Home::new();
    for (host, why) in [
        ("", "no server"),
        ("*", "without patterns"),
        ("*.example.com", "without patterns"),
        ("a b", "without patterns"),
        ("api.example.com/v1", "not a page"),
        ("https://user@api.example.com", "user name"),
        ("http://api.example.com", "it must be https"),
        ("http://localhost", "it must be https"),
        ("http://10.0.0.1", "it must be https"),
        ("ftp://api.example.com", "neither https nor http"),
    ] {
        let done = told(&home, &["secret", "set", "TOKEN", "--host", host], VALUE.as_bytes());
        done.fails("secret-invalid", 2, why, "--host api.github.com");
        // One that is right does not help one that is wrong.
        let both = ["secret", "set", "TOKEN", "--host", "api.example.com", "--host", host];
        told(&home, &both, VALUE.as_bytes()).fails("secret-invalid", 2, why, "--host api.github.com");
    }
    told(&home, &["secret", "set", "TOKEN"], VALUE.as_bytes()).fails("usage", 2, "--host", "--help");
    assert_eq!(names(&home), [""; 0]);
}

#[test]
fn values_that_are_none_are_refused_without_being_shown() {
    let home = Home::new();
    let set = ["secret", "set", "TOKEN", "--host", "api.example.com"];
    let long = format!("CANARY{}", "xy".repeat(5_000));
    for (value, why) in [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("CANARY1", "shorter than 8"),
        ("CANARY-1234\nCANARY-5678\n", "line break"),
        ("CANARY-1234\n\n", "line break"),
        ("CANARY-\u{e4}\u{f6}\u{fc}", "beyond ASCII"),
        ("CANARY-\x1b[31m", "control character"),
        ("CANARY-\"1234\"", "quotation mark"),
        (" CANARY-1234", "begins or ends with a space"),
        ("xxxxxxxxxxxx", "one character again and again"),
        (long.as_str(), "longer than 8 KiB"),
    ] {
        told(&home, &set, value.as_bytes()).fails("secret-invalid", 2, why, "on one line");
    }
    told(&home, &set, b"CANARY-\xff\xfe-1234").fails("secret-invalid", 2, "standard input", "text");
    let env = [&set[..], &["--from-env", "MINE"]].concat();
    from_env(&home, &env, "").fails("secret-invalid", 2, "it is empty", "on one line");
    home.run(&env).fails("secret-invalid", 2, "`MINE` is not set", "standard input");
    assert_eq!(names(&home), [""; 0]);
    // The pair.
    told(&home, &set, VALUE.as_bytes()).worked();
    assert_eq!(names(&home), ["TOKEN"]);
}

#[test]
fn no_value_is_taken_from_the_command_line() {
    let home = Home::new();
    let set = ["secret", "set", "TOKEN", "--host", "api.example.com"];
    home.run(&[&set[..], &["a-value-of-some-length"]].concat()).fails("usage", 2, "unexpected argument", "--help");
    home.run(&[&set[..], &["--value", "a-value-of-some-length"]].concat()).fails("usage", 2, "--value", "");
    home.run(&["secret", "show", "TOKEN"]).fails("usage", 2, "show", "");
    assert_eq!(names(&home), [""; 0]);
}
