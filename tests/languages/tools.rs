use serde_json::json;

use crate::stage::Stage;

async fn another_skills_tool(lang: &'static str) {
    let stage = Stage::new(lang).await;
    stage.host.install("echo", "", &[]).await;
    let listed = stage.value("list_tools", json!({})).await;
    let names: Vec<_> = listed["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(names.contains(&"echo/echo"), "{lang}: {names:?}");
    let given = stage.value("call_tool", json!({ "name": "echo/echo", "input": { "text": "Grüße" } })).await;
    assert_eq!(given["text"], "Grüße", "{given}");
    let input = json!({ "name": "echo/echo", "inputs": [{ "text": "a" }, { "text": "b" }, { "text": "c" }] });
    assert_eq!(stage.value("call_many", input).await, json!({ "texts": ["a", "b", "c"] }));
}

async fn its_failure_and_a_refusal(lang: &'static str) {
    let stage = Stage::new(lang).await;
    stage.host.install("echo", "", &[]).await;
    let error = stage.failure("call_tool", json!({ "name": "echo/nothing", "input": {} })).await;
    assert_eq!(error.kind(), "failed", "{lang}: {error:?}");
    let error = stage.failure("call_tool", json!({ "name": "stranger/echo", "input": {} })).await;
    assert_eq!(error.kind(), "refused", "{error}");
}

in_every_language!(another_skills_tool, its_failure_and_a_refusal);
