//! What goes in and comes out: texts, typed values, media, and how they are described.

use ringfence_core::Content;
use serde_json::json;

use crate::stage::Stage;

async fn a_text_comes_back(lang: &'static str) {
    let stage = Stage::new(lang).await;
    for text in ["", "hello", "Grüße, 世界 👋🏽 e\u{301}", "line\nline\ttab \"quoted\" \\ back", "a\u{2028}b\u{feff}"]
    {
        assert_eq!(stage.text("echo", json!({ "text": text })).await, text);
    }
    assert_eq!(stage.text("unicode", json!({})).await, "Grüße, 世界 👋🏽 e\u{301}");
}

async fn a_mebibyte_goes_both_ways(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let text = "Grüße 👋 ".repeat((1 << 20) / 13);
    assert!(stage.text("echo", json!({ "text": text })).await == text, "a long text is changed in {lang}");
    assert_eq!(stage.text("big", json!({ "bytes": 1 << 20 })).await.len(), 1 << 20);
}

async fn typed_values_come_back(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let input = json!({
        "count": 9_007_199_254_740_991_i64, "ratio": 0.1, "flag": true, "words": ["a", "ü", ""],
        "note": "n", "mode": "slow", "point": { "x": -1.5, "y": 1e300 },
    });
    assert_eq!(stage.value("shapes", input.clone()).await, input);
    let mut without = input;
    without.as_object_mut().unwrap().remove("note");
    let given = stage.value("shapes", without).await;
    assert_eq!(given["note"], json!(null), "{given}");
}

async fn types_are_described(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let tool = stage.schema("shapes");
    let (input, output) = (&tool["input-schema"], &tool["output-schema"]);
    let resolved = |mut at: serde_json::Value| {
        if let Some(name) = at["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            at = input["$defs"][name].clone();
        }
        at
    };
    let of = |name: &str| resolved(input["properties"][name].clone());
    assert_eq!(of("count")["type"], "integer", "{input}");
    assert_eq!(of("count")["description"], "How many.", "{input}");
    assert_eq!(of("ratio")["type"], "number", "{input}");
    assert_eq!(of("flag")["type"], "boolean", "{input}");
    assert_eq!((&of("words")["type"], &of("words")["items"]["type"]), (&json!("array"), &json!("string")), "{input}");
    assert_eq!(of("mode")["enum"], json!(["fast", "slow"]), "{input}");
    assert_eq!(of("point")["properties"]["x"]["type"], "number", "{input}");
    let mut required: Vec<_> =
        input["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    required.sort_unstable();
    assert_eq!(required, ["count", "flag", "mode", "point", "ratio", "words"], "{input}");
    assert!(output.is_object(), "the value has no schema in {lang}: {tool}");
    assert!(tool["description"].as_str().unwrap().len() > 3, "{tool}");

    // What the schema says is held before the guest sees anything.
    let error = stage.failure("shapes", json!({ "count": "many" })).await;
    assert_eq!(error.kind(), "invalid-input", "{error}");
}

async fn media_and_links_are_given(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let done = stage.run(stage.call("media", json!({}))).await.unwrap();
    assert_eq!(done.outcome.structured, None);
    let [Content::Text { text }, Content::Image(image), Content::Link(link)] = done.outcome.content.as_slice() else {
        panic!("{lang}: {:?}", done.outcome.content);
    };
    assert_eq!(text, "here");
    assert_eq!((image.media_type.as_str(), image.data.as_slice()), ("image/png", &[1, 2, 3][..]));
    assert_eq!((link.uri.as_str(), link.title.as_deref()), ("https://example.com/", Some("Example")));
}

in_every_language!(
    a_text_comes_back,
    a_mebibyte_goes_both_ways,
    typed_values_come_back,
    types_are_described,
    media_and_links_are_given,
);
