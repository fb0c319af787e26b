//! The time and chance that a language's own functions give.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::stage::Stage;

async fn time_passes_and_chance_differs(lang: &'static str) {
    let stage = Stage::new(lang).await;
    let one = stage.value("time_and_chance", json!({})).await;
    let two = stage.value("time_and_chance", json!({})).await;
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for given in [&one, &two] {
        assert!(given["now_ms"].as_u64().unwrap().abs_diff(now) < 600_000, "{lang}: {given}");
        let random = given["random"].as_str().unwrap();
        assert!(random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{lang}: {given}");
    }
    assert_ne!(one["random"], two["random"], "{lang}: two instances have the same randomness");
}

in_every_language!(time_passes_and_chance_differs);
