//! What the tests of wires share: real servers on loopback, and streams that are fed in pieces.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(super) use super::fuzz::{pieces, run};
use super::http::{Endpoint, Timeouts};
use super::quick::off;
use crate::broker::Permit;
use crate::capability::model::ask::{Embed, Generate};
use crate::capability::model::provider::{Events, Provider, ProviderError};
use crate::capability::model::types::{Event, Request, Response};

pub(super) const KEY: &str = "sk-CANARY-0123456789";

/// Limits that only a test that wants to wait ever meets.
pub(super) const PATIENT: Timeouts =
    Timeouts { connect: Duration::from_secs(20), first_byte: Duration::from_secs(20), idle: Duration::from_secs(20) };

pub(super) fn endpoint(address: SocketAddr, timeouts: Timeouts) -> Endpoint {
    let url = Url::parse(&format!("http://{address}/v1")).unwrap();
    Endpoint::new(url, Some(SecretString::from(KEY)), timeouts)
}

pub(super) fn permit() -> Permit<Generate> {
    Permit::unchecked(Generate::default())
}

pub(super) fn embed_permit() -> Permit<Embed> {
    Permit::unchecked(Embed::default())
}

/// What a server was sent.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// A server that answers each request with the next of `answers` (the last one again and again), and remembers what it was sent.
pub(super) async fn serve(answers: Vec<(u16, &'static str, Vec<u8>)>) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    type Shared = (Arc<Mutex<Vec<Seen>>>, Arc<Vec<(u16, &'static str, Vec<u8>)>>);
    async fn answer(
        State((seen, answers)): State<Shared>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, [(&'static str, &'static str); 1], Vec<u8>) {
        let mut seen = seen.lock().unwrap();
        let (status, kind, bytes) = answers[seen.len().min(answers.len() - 1)].clone();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        seen.push(Seen { path: uri.to_string(), headers, body });
        (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], bytes)
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(answer).with_state((seen.clone(), Arc::new(answers)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

/// A server of bare bytes: reads a request's head and body, and leaves the connection to `act`.
pub(super) async fn raw<F, R>(act: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !request_is_whole(&head) {
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => head.extend_from_slice(&buffer[..read]),
                }
            }
            tokio::spawn(act(socket));
        }
    });
    address
}

fn request_is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// The head of an answer without a length: it ends where the connection does.
pub(super) const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Sends these bytes and closes.
pub(super) async fn raw_bytes(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = Arc::new(bytes.into());
    raw(move |mut socket| {
        let bytes = bytes.clone();
        async move {
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
    })
    .await
}

/// Sends these bytes and then nothing, for as long as the other side stays.
pub(super) async fn raw_then_silence(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = Arc::new(bytes.into());
    raw(move |mut socket| {
        let bytes = bytes.clone();
        async move {
            let _ = socket.write_all(&bytes).await;
            let _ = socket.read(&mut [0]).await;
        }
    })
    .await
}

/// Damage that the quick reading of a piece must survive as the tree does: other forms and other fields.
fn damage() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!("")),
        Just(json!("x")),
        Just(json!("a\"\u{7}ü")),
        Just(json!("error")),
        Just(json!(true)),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(u64::MAX)),
        Just(json!([])),
        Just(json!([null])),
        Just(json!(["x", "y"])),
        Just(json!([["x"], "y"])),
        Just(json!({})),
        Just(json!({"text": "x", "message": "x", "content": "x"})),
    ]
}

/// All that the quick reading reads is read the same as a tree: recorded streams of `frame`s, each damaged in one place in its
/// form and in one place in its bytes, with fields that are `known` to the wire.
pub(super) fn both(
    recorded: &str,
    known: &[&'static str],
    read: impl Fn(&[u8]) -> Result<(Vec<Event>, Response), ProviderError>,
) {
    let same = |bytes: &[u8]| {
        let (quick, tree) = (read(bytes), off(|| read(bytes)));
        let skipped = matches!(&tree, Err(ProviderError::Garbled(text)) if text.starts_with("it is not JSON"));
        (skipped || quick == tree).then_some(()).ok_or_else(|| {
            TestCaseError::fail(format!("{}\nquick {quick:?}\ntree {tree:?}", String::from_utf8_lossy(bytes)))
        })
    };
    same(recorded.as_bytes()).unwrap();
    let lines: Vec<&str> = recorded.lines().collect();
    let at = || any::<prop::sample::Index>();
    let mut runner = TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    let names = prop::sample::select(known.to_vec());
    let edits = (at(), at(), names, damage(), 0..4_usize);
    runner
        .run(&edits, |(line, place, name, value, how)| {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            let pieces: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains('{')).collect();
            let line = &mut lines[*line.get(&pieces)];
            let (mark, text) = line.split_at(line.find('{').unwrap());
            let (mark, text) = (mark.to_owned(), text.to_owned());
            *line = match how {
                // The same field once more, which a tree takes the last of.
                0 => format!("{mark}{},\"{name}\":{value}}}", text.trim_end().strip_suffix('}').unwrap()),
                1 => {
                    let mut bytes = text.into_bytes();
                    let at = place.index(bytes.len());
                    bytes[at] = b"\"}],:0n\\ "[name.len() % 9];
                    format!("{mark}{}", String::from_utf8_lossy(&bytes))
                }
                _ => {
                    let Ok(mut piece) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
                    let mut places = Vec::new();
                    pointers(&piece, String::new(), &mut places);
                    let found = piece.pointer_mut(place.get::<String>(&places)).unwrap();
                    match found {
                        Value::Object(fields) if how == 2 => {
                            fields.insert(name.to_owned(), value);
                        }
                        Value::Array(list) if how == 2 => list.push(value),
                        other => *other = value,
                    }
                    format!("{mark}{piece}")
                }
            };
            same(lines.join("\n").as_bytes())
        })
        .unwrap();
}

/// Where all the values in `value` are.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| pointers(value, format!("{at}/{name}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| pointers(value, format!("{at}/{index}"), found));
        }
        _ => {}
    }
    found.push(at);
}

/// One streamed attempt against a server.
pub(super) async fn streamed(
    provider: &impl Provider,
    model: &str,
    request: &Request,
) -> (Result<Response, ProviderError>, Vec<Event>) {
    let (sender, mut receiver) = Events::new(4);
    let permit = permit();
    let attempt = async {
        let result = provider.generate(&permit, model, request, Some(&sender)).await;
        drop(sender);
        result
    };
    let collect = async {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    };
    tokio::join!(attempt, collect)
}
