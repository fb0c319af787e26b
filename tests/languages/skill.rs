//! The export itself: its tools, and what a call is told about itself.

use serde_json::json;

use ringfence_core::Call;

use crate::stage::Stage;

/// The tools of each probe: all of them, in any order.
const TOOLS: [&str; 34] = [
    "ask",
    "ask_person",
    "big",
    "call_many",
    "call_tool",
    "confirm_person",
    "crash",
    "echo",
    "embed",
    "fetch",
    "fetch_many",
    "give_up",
    "list_files",
    "list_tools",
    "logs",
    "media",
    "models",
    "parallel",
    "progress",
    "read_file",
    "refusal",
    "secret",
    "send_up",
    "setting",
    "shapes",
    "spin",
    "state",
    "stream",
    "structured",
    "time_and_chance",
    "tool_loop",
    "unicode",
    "who",
    "write_file",
];

async fn all_tools_are_there(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let mut names: Vec<_> = stage.skill.tools().into_iter().map(|tool| tool.name).collect();
    names.sort_unstable();
    assert_eq!(names, TOOLS, "{lang}");
}

async fn a_call_knows_itself(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let done = stage.run(Call { locale: Some("de-AT".into()), ..stage.call("who", json!({})) }).await.unwrap();
    let given = done.outcome.structured.unwrap();
    assert_eq!((&given["caller"], &given["locale"]), (&json!("user"), &json!("de-AT")), "{lang}: {given}");
    assert_eq!(given["invocation"], json!(done.invocation), "{lang}: {given}");
    assert!((1..=300_000).contains(&given["deadline_ms"].as_u64().unwrap()), "{lang}: {given}");
    assert_eq!(stage.value("who", json!({})).await["locale"], json!(null), "{lang}");
}

in_every_language!(all_tools_are_there, a_call_knows_itself);
