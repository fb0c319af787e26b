use secrecy::SecretString;
use serde_json::json;

use crate::stage::Stage;
use crate::support::peer::{Peer, Said, ok};

async fn a_secret_is_placed_and_never_seen(lang: &'static str) {
    let peer = Peer::says(|head| {
        let given = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        Said::Once(ok(&format!("you said {given}")))
    });
    let stage = Stage::with(lang, "", &[&peer.url("")]).await;
    assert_eq!(stage.value("secret", json!({ "name": "token" })).await, json!({ "exists": false }));
    let value = SecretString::from("sk-CANARY-7f3a9c51e2d84b60");
    stage.host.host.set_secret("token", &value, &[peer.url("")]).await.unwrap();
    assert_eq!(stage.value("secret", json!({ "name": "token" })).await, json!({ "exists": true }));
    assert_eq!(stage.value("secret", json!({ "name": "other" })).await, json!({ "exists": false }));
    let input = json!({ "url": peer.url("/"), "header": "Bearer {{secret:token}}" });
    let given = stage.value("fetch", input).await;
    assert!(peer.heads()[0].contains("Bearer sk-CANARY"), "{:?}", peer.heads());
    assert_eq!(given["body"], "you said Bearer [redacted]", "{lang}");
}

in_every_language!(a_secret_is_placed_and_never_seen);
