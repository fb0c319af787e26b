use serde_json::json;

use crate::stage::Stage;

async fn the_operators_settings_are_read(lang: &'static str) {
    let stage = Stage::with(lang, &format!("[skills.matrix-{lang}.config]\ntone = \"formal\"\n"), &[]).await;
    assert_eq!(stage.value("setting", json!({ "key": "tone" })).await, json!({ "value": "formal" }));
    assert_eq!(stage.value("setting", json!({ "key": "other" })).await, json!({ "value": null }));
}

in_every_language!(the_operators_settings_are_read);
