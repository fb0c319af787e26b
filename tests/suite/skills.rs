//! The skills of this repository and a fresh one, from their source to their answer.

use serde_json::{Value, json};

use crate::support::{Home, Provider, guests, probe, repository};

/// A real text, without a network and without a configuration.
const DOCUMENT: &str = "sdk/rust/README.md";

#[test]
fn a_summary_without_a_network() {
    let home = Home::new();
    let file = repository().join(DOCUMENT);
    let file = file.display().to_string();
    let done = guests::run_folder(&home, "plugins/summarize", &["--file", &file]).worked();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(done.out.len() > 40 && done.out.len() < text.len(), "{done:?}");
    assert_eq!(done.err, "", "a pipe gets the result alone");

    let args = ["--file", &file, "--field-format", "structured", "--format", "json"];
    let told = guests::run_folder(&home, "plugins/summarize", &args).worked().json();
    assert!(told["outcome"]["structured"]["summary"].as_str().unwrap().len() > 20, "{told}");
    assert_eq!(told["cost"]["micro-dollars"], 0, "{told}");
    assert!(told["usage"]["input-tokens"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn a_summary_of_a_long_text() {
    let home = Home::new();
    let mut text = String::new();
    for chapter in 1..=60 {
        text += &format!("## Chapter {chapter}\n\n");
        for n in 0..40 {
            text += &format!("The harbour of town {chapter} handled {n} ships, and its master wrote every name down. ");
        }
        text += "\n\n";
    }
    let file = home.write("work/long.md", &text).display().to_string();
    let done = guests::run_folder(&home, "plugins/summarize", &["--file", &file, "--style", "brief"]).worked();
    assert!(!done.out.trim().is_empty() && done.out.len() < 5_000, "{}", done.out.len());
}

#[test]
fn a_summary_by_a_model() {
    let provider = Provider::says("Bees make honey, and that is all.");
    let home = Home::with_config(&provider.config());
    let args = ["--text", "Bees hum. They make honey.", "--allow", "model=default"];
    guests::run_folder(&home, "plugins/summarize", &args).gives("Bees make honey, and that is all.\n");
    let asked = provider.requests()[0].body.to_string();
    assert!(asked.contains("They make honey."), "{asked}");
    guests::run_folder(&home, "plugins/summarize", &["--text", " ", "--allow", "model=default"]).fails(
        "invalid-input",
        2,
        "`text` is empty",
        "give the text",
    );
}

#[test]
fn an_extraction_without_a_network() {
    let home = Home::new();
    let text = "Name: Ada Lovelace\nEmail: ada@example.org\nYear: 1843\n";
    let file = home.write("work/person.txt", text).display().to_string();
    let schema = json!({
        "type": "object",
        "properties": { "name": { "type": "string" }, "email": { "type": "string" } },
        "required": ["email"],
    });
    let schema = schema.to_string();
    let args = ["--file", &file, "--schema", &schema, "--format", "json"];
    let told = guests::run_folder(&home, "plugins/extract", &args).worked().json();
    let found = &told["outcome"]["structured"];
    assert_eq!(found["records"][0]["email"], "ada@example.org", "{told}");
    let spans = found["spans"].as_array().unwrap();
    assert!(!spans.is_empty(), "{told}");
}

#[test]
fn a_fresh_project_outside_of_the_repository() {
    let home = Home::new();
    home.run(&["new", "minutes"]).worked();
    let built = home.run(&["build", "minutes"]).worked();
    assert!(built.out.trim().ends_with("minutes/target/ringfence/minutes.wasm"), "{built:?}");
    let count = ["run", "./minutes", "--tool", "count", "--text", "one two three"];
    let done = home.run(&count).worked();
    let counted: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&counted["words"], &counted["lines"]), (&3.into(), &1.into()), "{done:?}");
    // Not built again where nothing has changed, and built again where something has.
    let stamp =
        || std::fs::metadata(home.path("work/minutes/target/ringfence/minutes.wasm")).unwrap().modified().unwrap();
    let before = stamp();
    home.run(&count).worked();
    assert_eq!(stamp(), before);
    let source = home.path("work/minutes/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("words.div_ceil(230)", "words + 1000")).unwrap();
    let done = home.run(&count).worked();
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap()["minutes"], 1003, "{done:?}");
    // A source that does not compile leaves the old component where it was.
    std::fs::write(&source, "this is no Rust").unwrap();
    let before = stamp();
    let failed = home.run(&count);
    assert_eq!((failed.code, failed.out.as_str()), (1, ""), "{failed:?}");
    assert!(failed.err.contains("error[build-failed]") && failed.err.contains("src/lib.rs"), "{failed:?}");
    assert_eq!(stamp(), before);
}

#[test]
fn a_skill_is_installed_shown_run_and_removed() {
    let home = Home::new();
    let file = probe().display().to_string();
    home.run(&["add", &file, "--grant-nothing"]).worked();
    let list = home.run(&["list", "--format", "json"]).worked().json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["name"]), (1, &json!("probe")));
    assert!(home.run(&["list"]).worked().out.contains("probe"));
    let shown = home.run(&["show", "probe"]).worked();
    assert!(shown.out.contains("echo") && shown.out.contains("To try what lasts."), "{shown:?}");

    home.run(&["grant", "probe", "kv", "model=default"]).worked();
    home.run(&["run", "probe", "--tool", "count"]).gives("1\n");
    home.run(&["run", "probe", "--tool", "echo", "--text", "hello"]).gives("hello\n");
    // Added again it is the same skill, with what it had.
    home.run(&["add", &file, "--grant-nothing"]).worked();
    home.run(&["run", "probe", "--tool", "count"]).gives("2\n");

    home.run(&["remove", "probe"]).worked();
    assert_eq!(home.files("data"), [""; 0]);
    home.run(&["run", "probe", "--tool", "count"]).fails("not-found", 2, "`probe`", "ringfence add");
    home.run(&["add", &file, "--grant-nothing"]).worked();
    home.run(&["run", "probe", "--tool", "count"]).gives("3\n");
    home.run(&["remove", "probe", "--purge"]).worked();
    home.run(&["add", &file, "--grant-nothing"]).worked();
    home.run(&["run", "probe", "--tool", "count"]).fails("denied", 3, "keep data", "ringfence grant probe kv");
    home.run(&["run", "probe", "--tool", "count", "--allow", "kv", "--allow", "model"]).gives("1\n");
}

#[test]
fn an_installed_file_that_was_changed_does_not_run() {
    let home = Home::new();
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    let echo = ["run", "probe", "--tool", "echo", "--text", "hello", "--allow", "kv", "--allow", "model"];
    home.run(&echo).gives("hello\n");
    let [file] = &home.files("data")[..] else { panic!("one file is installed") };
    let mut bytes = std::fs::read(file).unwrap();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    std::fs::write(file, bytes).unwrap();
    home.run(&echo).fails("digest-mismatch", 6, "`probe`", "ringfence add");
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    home.run(&echo).gives("hello\n");
}

#[test]
fn a_folder_is_installed_by_its_component() {
    let home = Home::new();
    let folder = repository().join("tests/probes/probe").display().to_string();
    home.run(&["add", &folder, "--grant-nothing"]).worked();
    home.run(&["run", "probe", "--tool", "echo", "--text", "hello", "--allow", "kv", "--allow", "model"])
        .gives("hello\n");
}
