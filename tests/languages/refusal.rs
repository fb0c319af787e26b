//! Refusals are each language's own errors: caught, they tell their kind; uncaught, they are the tool's failure.

use serde_json::json;

use crate::stage::Stage;

async fn a_refusal_is_caught(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let given = stage.value("refusal", json!({ "prompt": "x", "model": "openai/gpt-5" })).await;
    assert_eq!(given["kind"], "denied", "{given}");
    assert!(given["message"].as_str().unwrap().contains("openai/gpt-5"), "{given}");
    assert!(given["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{given}");
}

async fn every_kind_is_told(lang: &'static str) {
    let failing = "[[answers]]\ntimes = 0\nerror = { kind = \"connect\", message = \"no line\" }\n";
    let stage = Stage::scripted(lang, failing).await;
    let given = stage.value("refusal", json!({ "prompt": "x", "model": "default" })).await;
    assert_eq!(given["kind"], "unavailable", "{given}");
    let given = stage.value("refusal", json!({ "prompt": "", "model": "no such model!" })).await;
    assert!(["invalid", "denied"].contains(&given["kind"].as_str().unwrap()), "{given}");
}

async fn one_that_is_not_caught_is_the_failure(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let error = stage.failure("ask", json!({ "prompt": "x", "model": "openai/gpt-5" })).await;
    assert_eq!(error.kind(), "refused", "{error}");
    assert!(error.to_string().contains("openai/gpt-5") && !error.hint().is_empty(), "{error}: {}", error.hint());
    let failing = "[[answers]]\ntimes = 0\nerror = { kind = \"connect\", message = \"no line\" }\n";
    let stage = Stage::scripted(lang, failing).await;
    let error = stage.failure("ask", json!({ "prompt": "x" })).await;
    assert_eq!(error.kind(), "unavailable", "{error}");
}

in_every_language!(a_refusal_is_caught, every_kind_is_told, one_that_is_not_caught_is_the_failure);
