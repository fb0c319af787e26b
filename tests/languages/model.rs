use ringfence_core::Event;
use serde_json::json;

use crate::stage::Stage;

async fn a_whole_answer(lang: &'static str) {
    let stage = Stage::scripted(
        lang,
        "[[answers]]\ncontains = [\"hum\"]\ntext = \"They hum: Grüße.\"\nusage = { output-tokens = 7 }\n",
    )
    .await;
    let given = stage.value("ask", json!({ "prompt": "What do bees hum?" })).await;
    assert_eq!(given, json!({ "text": "They hum: Grüße.", "model": "s/script", "output_tokens": 7 }));
}

async fn a_streamed_answer(lang: &'static str) {
    let stage = Stage::scripted(lang, "[[answers]]\nchunks = [\"one \", \"two \", \"drei ü\"]\n").await;
    let (done, events) = stage.watched("stream", json!({ "prompt": "Count." })).await;
    let given = done.unwrap().outcome.structured.unwrap();
    assert_eq!(given, json!({ "text": "one two drei ü", "pieces": 3 }));
    let text: String = events
        .iter()
        .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(text, "one two drei ü", "{lang}");
}

async fn several_answers_in_order(lang: &'static str) {
    let answers = ["a", "b", "c"].map(|name| format!("[[answers]]\ncontains = [\"say {name}\"]\ntext = \"{name}!\"\n"));
    let stage = Stage::scripted(lang, &answers.concat()).await;
    let given = stage.value("parallel", json!({ "prompts": ["say c", "say a", "say b"] })).await;
    assert_eq!(given, json!({ "texts": ["c!", "a!", "b!"] }));
}

async fn an_answer_in_a_shape(lang: &'static str) {
    let bad = "[[answers]]\ntext = '{ \"city\": 1 }'\n";
    let good = "[[answers]]\ntext = '{ \"city\": \"Ulm\", \"population\": 126405 }'\n";
    // The host has the first answer repaired.
    let stage = Stage::scripted(lang, &format!("{bad}{good}")).await;
    let given = stage.value("structured", json!({ "prompt": "A city." })).await;
    assert_eq!(given, json!({ "city": "Ulm", "population": 126_405 }), "{lang}");
    let stage = Stage::scripted(lang, &bad.repeat(4)).await;
    let error = stage.failure("structured", json!({ "prompt": "A city." })).await;
    assert_eq!(error.kind(), "failed", "{error}");
}

async fn a_loop_with_a_tool(lang: &'static str) {
    let calls = "[[answers]]\ncontains = [\"sum\"]\ntool-calls = [{ name = \"add\", input = { a = 2, b = 3 } }, { name = \"add\", input = { a = 4, b = 5 } }]\n";
    let last = "[[answers]]\ncontains = [\"5\", \"9\"]\ntext = \"5 and 9\"\n";
    let stage = Stage::scripted(lang, &format!("{calls}{last}")).await;
    let given = stage.value("tool_loop", json!({ "prompt": "What is the sum?" })).await;
    assert_eq!(given, json!({ "text": "5 and 9", "calls": 2 }), "{lang}");
}

async fn vectors(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let given = stage.value("embed", json!({ "texts": ["bees", "honey"] })).await;
    let dimensions = given["dimensions"].as_array().unwrap();
    assert_eq!(dimensions.len(), 2);
    assert!(dimensions.iter().all(|n| n == &dimensions[0] && n.as_u64().unwrap() > 1), "{given}");
}

async fn the_models_that_may_be_used(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let given = stage.value("models", json!({})).await;
    let names: Vec<_> = given["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(names.contains(&"default"), "{lang}: {names:?}");
}

in_every_language!(
    a_whole_answer,
    a_streamed_answer,
    several_answers_in_order,
    an_answer_in_a_shape,
    a_loop_with_a_tool,
    vectors,
    the_models_that_may_be_used,
);
