//! Plain components: functions of any component, shown, called and installed like the tools of a skill.

use ringfence_core::policy::Grants;
use serde_json::json;

use crate::support::guests::build;
use crate::support::hosts::said;
use crate::support::{Home, TestHost, wat};

/// One function of two numbers.
fn adder() -> Vec<u8> {
    wat::plain(
        r#"(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"#,
        r#"(func (export "add-up") (param "a" s32) (param "b" s32) (result s32) LIFT add)"#,
    )
}

#[test]
fn a_component_of_somebody_else_is_shown_and_called() {
    let home = Home::new();
    home.write("work/adder.wasm", adder());
    let shown = home.run(&["show", "./adder.wasm"]).worked();
    assert!(shown.out.contains("  add_up: Calls `add-up(a: s32, b: s32) -> s32`.\n"), "{shown:?}");
    assert!(shown.out.contains("takes: a (required), b (required)"), "{shown:?}");
    assert!(!shown.out.contains("Left out"), "{shown:?}");

    home.run(&["run", "./adder.wasm", "--a", "2", "--b=-5"]).gives("-3\n");
    home.run(&["run", "./adder.wasm", "--tool", "add_up", "--input", r#"{"a": 1, "b": 1}"#]).gives("2\n");
    let told = home.run(&["run", "./adder.wasm", "--a", "2", "--b", "3", "--format", "json"]).worked().json();
    assert_eq!(told["outcome"], json!({"content": [{"type": "text", "text": "5"}], "structured": 5}), "{told}");
    home.run(&["run", "./adder.wasm", "--a", "2147483648", "--b", "1"]).fails(
        "invalid-input",
        2,
        "/a: 2147483648 is not an integer from -2147483648",
        "lists the inputs",
    );
    home.run(&["run", "./adder.wasm", "--a", "1"]).fails("invalid-input", 2, "needs --b", "by flag");
}

#[test]
fn what_is_no_tool_is_shown_with_the_reason() {
    let home = Home::new();
    let text = r#"
        (type $r-is (resource (rep i32))) (export $r "r" (type $r-is))
        (func (export "[constructor]r") (result (own $r)) LIFT one)
        (func (export "count") (result u32) LIFT one)"#;
    home.write("work/part.wasm", wat::plain(r#"(func (export "one") (result i32) (i32.const 1))"#, text));
    let shown = home.run(&["show", "./part.wasm"]).worked();
    let reason = "Left out\n  [constructor]r: belongs to a resource, which JSON cannot hold\n";
    assert!(shown.out.contains("  count: ") && shown.out.contains(reason), "{shown:?}");
    let told = home.run(&["show", "./part.wasm", "--format", "json"]).worked().json();
    assert_eq!(told["left-out"][0]["function"], "[constructor]r", "{told}");
    home.run(&["run", "./part.wasm"]).gives("1\n");
}

#[test]
fn a_plain_component_is_packaged_installed_and_called_by_name() {
    let home = Home::new();
    let path = build("tests/probes/plain").display().to_string();
    home.run(&["add", &path, "--grant-nothing"]).worked();
    let listed = home.run(&["list", "--format", "json"]).worked().json();
    let names: Vec<&str> =
        listed[0]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(listed[0]["tools"][0]["description"], "The same text.", "the comment in `wit/`: {listed}");
    assert_eq!(names, ["echo", "greet", "keep", "read_file", "bytes", "crash", "measure"], "{listed}");
    let greet = ["run", "plain", "--tool", "greet", "--name", "Ada"];
    home.run(&greet).fails("denied", 3, "has not been granted what it needs", "ringfence grant plain");
    let folder = format!("files=docs:{}", home.work().display());
    home.run(&["grant", "plain", "kv", &folder]).worked();
    home.run(&greet).gives("Hello, Ada!\n");

    let input = json!({"shape": {"circle": [{"x": 0, "y": 1.5}, 2]}, "unit": "inch", "marks": ["dashed"]}).to_string();
    let told = home.run(&["run", "plain", "--tool", "measure", "--input", &input, "--format", "json"]).worked().json();
    let drawn = &told["outcome"]["structured"];
    assert!((drawn["area"].as_f64().unwrap() - 12.566).abs() < 0.01, "{told}");
    assert_eq!((&drawn["unit"], &drawn["marks"], &drawn["note"]), (&json!("inch"), &json!(["dashed"]), &json!(null)));
    let args = ["run", "plain", "--tool", "measure", "--unit", "inch", "--shape"];
    home.run(&[&args[..], &[r#"{"circle": [{"x": 0, "y": 0}, -1]}"#, "--marks", "thick"]].concat()).fails(
        "failed",
        1,
        "a radius of -1 is less than nothing",
        "README",
    );
    home.run(&[&args[..], &[r#"{"square": 1}"#, "--marks", "thick"]].concat()).fails(
        "invalid-input",
        2,
        "/shape: \"square\" is not one of dot, circle, polygon",
        "lists the inputs",
    );
    home.run(&["run", "plain", "--tool", "bytes", "--data", "AAEC/w=="]).gives("\"AAEC/w==\"\n");
    home.run(&["run", "plain", "--tool", "crash"]).fails("trap", 5, "crashed", "author");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plain_component_imports_is_refused_and_granted_like_a_skills() {
    let test = TestHost::new().await;
    let path = tokio::task::spawn_blocking(|| build("tests/probes/plain")).await.unwrap();
    test.host.add(&path, None).await.unwrap();
    let skill = test.host.load_installed("plain", None).await.unwrap();
    let grant = async |words: &str| {
        test.host.grant("plain", Grants::parse([words]).unwrap()).await.unwrap();
    };
    let keep = async |value: &str| test.stored(&skill, "keep", json!({"key": "k", "value": value})).await;
    let error = keep("one").await.unwrap_err();
    assert!(error.kind() == "failed" && error.to_string().contains("kv"), "{error:?}");
    grant("kv").await;
    assert_eq!(keep("one").await.unwrap().outcome.structured, Some(json!(null)));
    assert_eq!(keep("two").await.unwrap().outcome.structured, Some(json!("one")));

    let docs = test.home.write("docs/a.txt", "from the disk");
    let read = async || test.stored(&skill, "read_file", json!({"path": "/docs/a.txt"})).await;
    let error = read().await.unwrap_err();
    assert!(error.kind() == "failed" && error.to_string().starts_with("/docs/a.txt: "), "{error:?}");
    grant(&format!("files=docs:{}", docs.parent().unwrap().display())).await;
    assert_eq!(said(&read().await.unwrap()), "from the disk");
}

#[test]
fn what_a_plain_component_must_not_import_is_named() {
    let home = Home::new();
    for name in ["wasi:sockets/tcp@0.3.0", "wasi:http/outgoing-handler@0.2.3", "evil:thing/door@1.0.0"] {
        let text = format!(r#"(import "{name}" (instance)) (func (export "one") (result u32) LIFT one)"#);
        let bytes = wat::plain(r#"(func (export "one") (result i32) (i32.const 1))"#, &text);
        home.write("work/bad.wasm", bytes);
        home.run(&["run", "./bad.wasm"]).fails("unsupported-import", 2, &format!("`{name}`"), "SDK");
    }
    let text = r#"(import "wasi:cli/stdout@0.2.3" (instance)) (func (export "one") (result u32) LIFT one)"#;
    home.write("work/good.wasm", wat::plain(r#"(func (export "one") (result i32) (i32.const 1))"#, text));
    home.run(&["run", "./good.wasm"]).gives("1\n");
}
