use serde_json::json;

use crate::stage::Stage;

async fn values_with_versions(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let done = stage.value("state", json!({ "key": "k/ü" })).await;
    let first = done["first"].as_u64().unwrap();
    let second = done["second"].as_u64().unwrap();
    assert!(first >= 1 && second > first, "{done}");
    let expected = json!({
        "missing": true, "first": first, "conflict": first, "second": second,
        "value": "two", "keys": ["k/ü"], "deleted": true,
    });
    assert_eq!(done, expected, "{lang}");
}

in_every_language!(values_with_versions);
