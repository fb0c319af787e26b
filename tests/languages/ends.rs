//! The ways in which a call ends without an outcome.

use ringfence_core::engine::LimitSettings;
use ringfence_core::{Call, Event};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

async fn a_failure_as_the_author_writes_it(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let error = stage.failure("give_up", json!({ "message": "`x` is empty: ü", "hint": "give some text" })).await;
    assert_eq!(error.kind(), "invalid-input", "{lang}: {error:?}");
    assert!(error.to_string().contains("`x` is empty: ü"), "{lang}: {error}");
    assert_eq!(error.hint(), "give some text", "{lang}");
    stage.failure("give_up", json!({ "message": "m" })).await;
}

/// A mistake in the code tells where it is, in the author's own words and lines.
async fn a_crash_says_where(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let (done, events) = stage.watched("crash", json!({ "message": "BOOM ü" })).await;
    let error = done.unwrap_err();
    let lines = events.iter().filter_map(|event| match event {
        Event::Log(line) => Some(format!("{} {:?}", line.message, line.fields)),
        _ => None,
    });
    let told = format!("{error} {}", lines.collect::<Vec<_>>().join("\n"));
    assert!(told.contains("BOOM ü"), "{lang}: {told}");
    let file = match lang {
        "c" => "skill.c:",
        "go" => "skill.go:",
        "javascript" => "skill.js:",
        "python" => "skill.py:",
        "rust" => "lib.rs:",
        "typescript" => "skill.ts:",
        other => panic!("{other}"),
    };
    assert!(told.contains(file), "{lang}: no `{file}` in {told}");
    // The number behind it is the line of the probe where it happens.
    let number = told.split(file).nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect::<String>();
    let source = source(lang);
    let line = source.lines().nth(number.parse::<usize>().unwrap() - 1).unwrap_or_default();
    assert!(line.contains("BOOM") || line.contains("message"), "{lang}: line {number} is {line:?}");
    // And the next call is served.
    assert_eq!(stage.text("echo", json!({ "text": "x" })).await, "x");
}

fn source(lang: &str) -> String {
    let folder = crate::support::repository().join(format!("tests/probes/matrix-{lang}"));
    let names = ["src/skill.c", "skill.go", "src/skill.js", "skill.py", "src/lib.rs", "src/skill.ts"];
    let file = names.iter().map(|name| folder.join(name)).find(|file| file.is_file()).unwrap();
    std::fs::read_to_string(file).unwrap()
}

async fn a_loop_is_stopped(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let limits = LimitSettings { cpu_seconds: Some(1), ..LimitSettings::default() };
    let error = stage.run(Call { limits, ..stage.call("spin", json!({})) }).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{lang}: {error}");
    assert_eq!(stage.text("echo", json!({ "text": "x" })).await, "x");
}

async fn a_call_is_cancelled(lang: &'static str) {
    // The answer never comes: its gate stays shut.
    let stage = Stage::scripted(lang, "[[answers]]\ntext = \"never\"\ngate = \"shut\"\n").await;
    let cancel = CancellationToken::new();
    let (send, _events) = tokio::sync::mpsc::channel(64);
    let call = Call { cancel: cancel.clone(), events: Some(send), ..stage.call("ask", json!({ "prompt": "x" })) };
    let host = stage.host.host.clone();
    let running = tokio::spawn(async move { host.invoke(call).await });
    cancel.cancel();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), "cancelled", "{lang}: {error}");
    assert_eq!(stage.text("echo", json!({ "text": "x" })).await, "x");
}

in_every_language!(a_failure_as_the_author_writes_it, a_crash_says_where, a_loop_is_stopped, a_call_is_cancelled);
