//! A tool whose code runs elsewhere: where a guest would run, a permit is asked for and a message is sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use tokio_util::sync::CancellationToken;

use super::job::Given;
use super::outcome::Answer;
use super::{InvokeError, Measured, micros};
use crate::broker::Session;
use crate::capability::words::types;
use crate::catalog::tool::CallError;
use crate::engine::linker::exports;
use crate::error::{Error, Explain as _, Refusal};
use crate::server::{self, Server};

/// Most bytes of a server's own words about why it failed.
const WORDS: usize = 8 << 10;

/// Calls a tool of a server, within the call that `session` is of.
pub(super) async fn call(
    server: &Arc<Server>,
    session: &Session,
    tool: &str,
    given: Given,
    wall: Duration,
    withdrawn: &CancellationToken,
) -> Result<(Answer, Measured), Error> {
    // A server has no plan for values: its input was made as text.
    let Given::Text(input) = given else { return Err(InvokeError::HostFault.into()) };
    let begun = Instant::now();
    session.enter();
    let work = async {
        let permit = session.permit(server.ask(tool, input)).await?;
        Arc::clone(server).call(permit, session).await
    };
    let answer = tokio::select! {
        biased;
        () = withdrawn.cancelled() => return Err(InvokeError::Withdrawn.into()),
        answer = work => answer,
    };
    let result = match answer {
        Ok(server::Answer::Done(result)) => result,
        Ok(server::Answer::Failed(words)) => return Err(failed(server, words)),
        Err(Refusal::Cancelled) => return Err(InvokeError::Cancelled.into()),
        Err(refusal) if refusal.kind() == "timeout" && tokio::time::Instant::now() >= session.deadline() => {
            return Err(InvokeError::Deadline(wall).into());
        }
        Err(refusal) => return Err(refusal.into()),
    };
    if result.is_error == Some(true) {
        return Err(failed(server, said(&result)));
    }
    let outcome = outcome(tool, result)?;
    Ok((Answer::Skill(outcome), Measured { run_us: micros(begun.elapsed()), ..Measured::default() }))
}

fn failed(server: &Server, words: String) -> Error {
    let cut = words.floor_char_boundary(WORDS.min(words.len()));
    let message = if words.is_empty() { "it failed, and does not say why".to_owned() } else { words[..cut].to_owned() };
    let hint = Some(format!("these are the words of the server `{}`", server.name));
    InvokeError::Failed { kind: "failed", message, hint }.into()
}

/// The texts of a result.
fn said(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|content| match content {
        ContentBlock::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What a server gave, in the form that a skill's outcome has: it is capped and checked as one.
fn outcome(tool: &str, result: CallToolResult) -> Result<exports::Outcome, CallError> {
    let media = |data: &str, media_type: String| match STANDARD.decode(data) {
        Ok(data) => Ok(types::Media { media_type, data }),
        Err(error) => Err(CallError::InvalidOutput { tool: tool.to_owned(), reason: format!("not base64: {error}") }),
    };
    let link = |uri, title, media_type| exports::Content::Link(types::Link { uri, title, media_type });
    let content = result.content.into_iter().map(|content| {
        Ok(match content {
            ContentBlock::Text(text) => exports::Content::Text(text.text),
            ContentBlock::Image(image) => exports::Content::Image(media(&image.data, image.mime_type)?),
            ContentBlock::Audio(audio) => exports::Content::Audio(media(&audio.data, audio.mime_type)?),
            ContentBlock::ResourceLink(found) => link(found.uri, found.title.or(Some(found.name)), found.mime_type),
            ContentBlock::Resource(embedded) => match embedded.resource {
                ResourceContents::TextResourceContents { text, .. } => exports::Content::Text(text),
                // Bytes of no kind that an outcome has: where they are said to be from is left.
                ResourceContents::BlobResourceContents { uri, mime_type, .. } => link(uri, None, mime_type),
                other => unknown(tool, &other)?,
            },
            other => unknown(tool, &other)?,
        })
    });
    let content = content.collect::<Result<_, CallError>>()?;
    Ok(exports::Outcome { content, structured: result.structured_content.map(|value| value.to_string()) })
}

fn unknown<T>(tool: &str, _: &T) -> Result<exports::Content, CallError> {
    Err(CallError::InvalidOutput { tool: tool.to_owned(), reason: "it has content of a kind that is not known".into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: serde_json::Value) -> Result<exports::Outcome, CallError> {
        outcome("t", serde_json::from_value(value).unwrap())
    }

    #[test]
    fn what_a_server_gives_becomes_an_outcome() {
        let all = json!({
            "content": [
                { "type": "text", "text": "hello" },
                { "type": "image", "data": "AQI=", "mimeType": "image/png" },
                { "type": "resource_link", "uri": "https://a.test/", "name": "a" },
                { "type": "resource", "resource": { "uri": "file:///x", "text": "inside" } },
                { "type": "resource", "resource": { "uri": "file:///y", "blob": "AQI=" } },
            ],
            "structuredContent": { "a": [1] },
        });
        let outcome = of(all).unwrap();
        assert_eq!(outcome.structured.as_deref(), Some("{\"a\":[1]}"));
        let shown: Vec<String> = outcome
            .content
            .iter()
            .map(|content| match content {
                exports::Content::Text(text) => text.clone(),
                exports::Content::Image(media) => format!("{} {:?}", media.media_type, media.data),
                exports::Content::Audio(_) => "audio".into(),
                exports::Content::Link(link) => link.uri.clone(),
            })
            .collect();
        assert_eq!(shown, ["hello", "image/png [1, 2]", "https://a.test/", "inside", "file:///y"]);
        let bad = of(json!({ "content": [{ "type": "image", "data": "%%", "mimeType": "image/png" }] }));
        assert!(bad.is_err_and(|error| error.to_string().contains("base64")));
    }
}
