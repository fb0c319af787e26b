use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use crate::stage::Stage;
use crate::support::peer::{Peer, Said, ok};

async fn a_request_and_its_answer(lang: &'static str) {
    let peer = Peer::says(|head| {
        Said::Once(ok(if head.starts_with("GET /ü") || head.starts_with("GET /%C3%BC") { "Grüße" } else { "?" }))
    });
    let stage = Stage::with(lang, "", &[&peer.url("")]).await;
    let given = stage.value("fetch", json!({ "url": peer.url("/%C3%BC") })).await;
    assert_eq!(given, json!({ "status": 200, "body": "Grüße" }));
}

async fn a_status_of_an_error_is_an_answer(lang: &'static str) {
    let peer = Peer::says(|_| {
        Said::Once(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 4\r\n\r\nnone".to_vec())
    });
    let stage = Stage::with(lang, "", &[&peer.url("")]).await;
    assert_eq!(stage.value("fetch", json!({ "url": peer.url("/") })).await, json!({ "status": 404, "body": "none" }));
}

async fn several_requests_at_once(lang: &'static str) {
    // Nobody is answered before all three are there.
    let here = Arc::new((Mutex::new(0), Condvar::new()));
    let peer = Peer::says(move |head| {
        let (count, all) = &*here;
        let mut count = count.lock().unwrap();
        *count += 1;
        all.notify_all();
        drop(all.wait_while(count, |count| *count < 3).unwrap());
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Said::Once(ok(&path))
    });
    let stage = Stage::with(lang, "", &[&peer.url("")]).await;
    let urls: Vec<_> = ["/a", "/b", "/c"].iter().map(|path| peer.url(path)).collect();
    assert_eq!(stage.value("fetch_many", json!({ "urls": urls })).await, json!({ "bodies": ["/a", "/b", "/c"] }));
}

async fn a_body_piece_by_piece(lang: &'static str) {
    let peer = Peer::says(|_| Said::AfterAll(ok("thanks")));
    let stage = Stage::with(lang, "", &[&peer.url("")]).await;
    let input = json!({ "url": peer.url("/"), "chunks": ["one ", "two ", "drei ü"] });
    assert_eq!(stage.value("send_up", input).await, json!({ "status": 200, "body": "thanks" }));
    let sent = String::from_utf8_lossy(&peer.gone()).into_owned();
    let sent: String = sent.split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(sent, "one two drei ü", "{lang}");
}

async fn a_server_that_is_not_granted_is_refused(lang: &'static str) {
    let peer = Peer::polite();
    let stage = Stage::with(lang, "", &["http://127.0.0.1:1"]).await;
    let error = stage.failure("fetch", json!({ "url": peer.url("/") })).await;
    assert_eq!(error.kind(), "refused", "{error}");
    assert!(
        error.hint().contains("ringfence grant") || error.to_string().contains("skill.toml"),
        "{error}: {}",
        error.hint()
    );
    assert_eq!(peer.connections(), 0);
}

in_every_language!(
    a_request_and_its_answer,
    a_status_of_an_error_is_an_answer,
    several_requests_at_once,
    a_body_piece_by_piece,
    a_server_that_is_not_granted_is_refused,
);
