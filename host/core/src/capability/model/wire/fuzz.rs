//! `sse`: what a provider sends, as a stream, as a whole answer and as a failure, in each wire.

#![allow(clippy::expect_used, reason = "the fuzzer takes a panic for a finding")]

use std::collections::HashSet;
use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream};
use reqwest::header::HeaderMap;
use secrecy::SecretString;

use super::assembly::{Assembly, Ids};
use super::http::{Endpoint, Timeouts};
use super::quick::off;
use super::stream::{Frames, lenient_json, ndjson, sse as events_of};
use super::{anthropic, failure, gemini, ollama, openai_chat, openai_responses};
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Part, Response};

type Answer = Result<(Vec<Event>, Response), ProviderError>;

/// A key that a provider may say back.
const KEY: &str = "sk-CANARY-0123456789";

/// Where the key is known. Nothing is sent there.
static ENDPOINT: LazyLock<Option<Endpoint>> = LazyLock::new(|| {
    let url = url::Url::parse("http://127.0.0.1/v1").ok()?;
    Some(Endpoint::new(url, Some(SecretString::from(KEY)), Timeouts::default()))
});

/// The first byte chooses the wire, the second one where the rest is cut. The rest is the body.
pub(crate) fn sse(bytes: &[u8]) {
    let [wire, cut, body @ ..] = bytes else { return };
    let step = 1 + usize::from(cut & 63);
    let cuts: Vec<usize> = (step..body.len()).step_by(step).collect();
    let whole = read(*wire, body, &[]);
    // Where the network cuts a stream changes nothing.
    assert_eq!(whole, read(*wire, body, &cuts), "cut every {step} bytes");
    // Nor does the way of reading it, but where the quick way skips what a tree would refuse.
    let tree = off(|| read(*wire, body, &cuts));
    let skipped = matches!(&tree, Err(ProviderError::Garbled(text)) if text.starts_with("it is not JSON"));
    assert!(skipped || whole == tree, "quick {whole:?}\ntree {tree:?}");
    match &whole {
        Ok((events, response)) => {
            sound(response);
            told(events, response);
        }
        Err(error) => calm(&redacted(error)),
    }
    match lenient_json(body).and_then(|answer| decode(*wire, &answer)) {
        Ok(response) => sound(&response),
        Err(error) => calm(&redacted(&error)),
    }
    let status = [400, 401, 403, 404, 408, 413, 429, 500, 503, 529][usize::from(cut % 10)];
    calm(&failure(status, &HeaderMap::new(), body, Some(&SecretString::from(KEY))).to_string());
}

fn read(wire: u8, body: &[u8], cuts: &[usize]) -> Answer {
    let (model, ids, body) = ("asked", Ids::new("t"), pieces(body, cuts));
    match wire & 7 {
        0 => run(events_of(body), anthropic::Messages::new(model, ids)),
        1 => run(events_of(body), openai_chat::Chat::new(model, ids)),
        2 => run(events_of(body), openai_responses::Items::new(model, ids, &[])),
        3 => run(events_of(body), openai_responses::Items::new(model, ids, &["stop".into(), "\n\n".into()])),
        4 => run(events_of(body), gemini::Candidate::new(model, ids)),
        _ => run(ndjson(body), ollama::Lines::new(model, ids)),
    }
}

fn decode(wire: u8, answer: &serde_json::Value) -> Result<Response, ProviderError> {
    let ids = Ids::new("t");
    match wire & 7 {
        0 => anthropic::decode(answer, "asked", ids),
        1 => openai_chat::decode(answer, "asked", ids),
        2 | 3 => openai_responses::decode(answer, "asked", ids),
        4 => gemini::decode(answer, "asked", ids),
        _ => ollama::decode(answer, "asked", ids),
    }
}

/// What is promised of every answer, whoever gave it.
fn sound(response: &Response) {
    let calls = response.message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    });
    let mut ids = HashSet::new();
    for call in calls {
        assert!(!call.id.is_empty() && ids.insert(&call.id), "the id {:?} is there twice", call.id);
        assert!(!call.name.is_empty(), "a call without a name");
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&call.input).is_ok(), "{:?} is no JSON", call.input);
    }
}

/// Who reads the events hears what the answer says. Parts of an answer may come in another order than they stand in it.
fn told(events: &[Event], response: &Response) {
    let text: String =
        events.iter().filter_map(|event| if let Event::Text(text) = event { Some(&**text) } else { None }).collect();
    let sorted = |text: String| {
        let mut bytes = text.into_bytes();
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(sorted(text), sorted(response.message.joined_text()), "the text that was told is not the answer's");
    let mut told: Vec<_> =
        events.iter().filter_map(|event| if let Event::ToolCall(call) = event { Some(call) } else { None }).collect();
    let parts = response.message.parts.iter();
    let mut given: Vec<_> =
        parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None }).collect();
    told.sort_unstable_by(|one, two| one.id.cmp(&two.id));
    given.sort_unstable_by(|one, two| one.id.cmp(&two.id));
    assert_eq!(told, given, "the calls that were told are not the answer's");
}

/// Errors hold no key, no control characters, and not much, as they are shown.
fn calm(text: &str) {
    assert!(!text.contains(KEY), "{text:?} holds the key");
    assert!(!text.contains(char::is_control), "{text:?} holds a control character");
    assert!(text.chars().count() < 600, "{text:?} is long");
}

/// An error of a wire's pure parts, as it leaves the wire.
fn redacted(error: &ProviderError) -> String {
    ENDPOINT.as_ref().map(|endpoint| endpoint.redact(error.clone()).to_string()).unwrap_or_default()
}

/// `bytes` as a network would bring them, cut at `cuts`.
pub(super) fn pieces(
    bytes: &[u8],
    cuts: &[usize],
) -> impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + use<> {
    let mut list = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        list.push(Ok(Bytes::copy_from_slice(&bytes[from..cut])));
        from = cut;
    }
    futures_util::stream::iter(list)
}

/// Runs a stream to its end without a network: its events and its answer.
pub(super) fn run<A: Assembly>(
    mut frames: Frames<impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin>,
    mut assembly: A,
) -> Answer {
    async {
        let mut events = Vec::new();
        loop {
            while !assembly.is_done()
                && let Some(frame) = frames.here()?
            {
                assembly.feed(frame, &mut events)?;
            }
            if assembly.is_done() || !frames.more().await? {
                break;
            }
        }
        let response = assembly.finish(&mut events)?;
        Ok((events, response))
    }
    .now_or_never()
    .expect("a stream of bytes that are here does not wait")
}
