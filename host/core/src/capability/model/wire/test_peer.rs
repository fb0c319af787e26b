//! A provider on this machine that says what a test tells it to, and the ways to read recorded streams.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request as HttpRequest;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use secrecy::SecretString;

use super::{Assembly, Endpoint, Timeouts, assemble, sse};
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Event, Response};

pub(super) const KEY: &str = "test-key-0123456789";

/// What the peer was asked: path with query, headers, body.
pub(super) type Seen = Arc<Mutex<Vec<(String, axum::http::HeaderMap, serde_json::Value)>>>;

pub(super) async fn peer(status: u16, kind: &'static str, body: impl Into<String>) -> (Endpoint, Seen) {
    let seen = Seen::default();
    let (log, body) = (seen.clone(), body.into());
    let app = axum::Router::new().fallback(move |request: HttpRequest| async move {
        let (head, asked) = request.into_parts();
        let asked = axum::body::to_bytes(asked, 1 << 20).await.unwrap();
        let asked = serde_json::from_slice(&asked).unwrap_or_default();
        log.lock().unwrap().push((head.uri.to_string(), head.headers, asked));
        (axum::http::StatusCode::from_u16(status).unwrap(), [("content-type", kind)], body).into_response()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let minute = Duration::from_secs(60);
    let timeouts = Timeouts { connect: minute, first_byte: minute, idle: minute };
    (Endpoint::new(url, Some(SecretString::from(KEY)), timeouts), seen)
}

/// Reads a recorded stream that comes in these pieces.
pub(super) async fn replay<A: Assembly>(
    pieces: Vec<Bytes>,
    assembly: A,
) -> Result<(Response, Vec<Event>), ProviderError> {
    let (sender, mut receiver) = Events::new(4096);
    let bytes = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, ProviderError>)).boxed();
    let response = assemble(sse(bytes), assembly, Some(&sender)).await?;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(event);
    }
    Ok((response, events))
}

/// A stream split at every byte, and in single bytes, says the same as in one piece.
pub(super) async fn same_at_every_split<A: Assembly>(
    recorded: &str,
    assembly: impl Fn() -> A,
) -> (Response, Vec<Event>) {
    let bytes = Bytes::copy_from_slice(recorded.as_bytes());
    let whole = replay(vec![bytes.clone()], assembly()).await.unwrap();
    for at in 0..bytes.len() {
        let halves = vec![bytes.slice(..at), bytes.slice(at..)];
        assert_eq!(replay(halves, assembly()).await.unwrap(), whole, "split at {at}");
    }
    let single = (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect();
    assert_eq!(replay(single, assembly()).await.unwrap(), whole);
    whole
}
