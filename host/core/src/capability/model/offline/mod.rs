//! The provider `offline`: answers without a network, a key or a neural network.
//!
//! It is an *extractive* engine. A summary consists of sentences of the text it was given, chosen by statistics; a
//! schema-shaped answer consists of values found by their labels and forms. It does not understand, rephrase, translate or
//! know anything, and it invents nothing: where a schema insists on a value that the text does not hold, it gives the empty
//! one (`""`, 0, the first member). The same input gives the same bytes on every machine.
//!
//! Tokens are counted as a quarter of the characters, rounded up. It costs nothing.

mod embed;
mod fill;
mod find;
mod least;
mod lists;
mod rank;
mod source;
mod summary;
mod text;
mod wish;

use futures_util::future::BoxFuture;
use unicode_segmentation::UnicodeSegmentation;

use self::summary::tokens;
use self::text::Document;
use super::ask::{Embed, Generate};
use super::provider::{Events, Features, Provider, ProviderError};
use super::types::{
    Embeddings, Event, Message, Part, Request, Response, Role, StopReason, Tool, ToolCall, ToolChoice, Usage,
};
use crate::broker::Permit;

/// The only model of this provider.
pub const MODEL: &str = "extractive";
/// What `ringfence models` says about it.
pub const ABOUT: &str =
    "built in, needs no network: picks sentences and values out of the text it is given (no neural network)";
/// Prompts above this many bytes are worked on beside the workers that do input and output.
const INLINE: usize = 16 * 1024;

const NO_TEXT: &str = "The offline engine only picks sentences out of a text that it is given, and was given none. Configure a \
                       model provider to have this answered.";

/// The built-in provider. It has no settings and no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Provider for Offline {
    fn features(&self) -> Features {
        Features { native_schema: true, embeddings: true, local: true }
    }

    fn generate<'a>(
        &'a self,
        _permit: &'a Permit<Generate>,
        model: &'a str,
        request: &'a Request,
        events: Option<&'a Events>,
    ) -> BoxFuture<'a, Result<Response, ProviderError>> {
        Box::pin(async move {
            known(model)?;
            let response = if size(request) <= INLINE {
                answer(request)?
            } else {
                let request = request.clone();
                let work = tokio::task::spawn_blocking(move || answer(&request));
                work.await.map_err(|_| ProviderError::Garbled("the offline engine failed on this text".into()))??
            };
            if let Some(events) = events {
                stream(&response, events).await?;
            }
            Ok(response)
        })
    }

    fn embed<'a>(
        &'a self,
        _permit: &'a Permit<Embed>,
        model: &'a str,
        inputs: &'a [String],
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        Box::pin(async move {
            known(model)?;
            Ok(vectors(inputs))
        })
    }

    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>, ProviderError>> {
        Box::pin(async { Ok(vec![MODEL.to_owned()]) })
    }
}

/// Vectors of 256 dimensions for texts: likeness of words, not of meaning.
pub fn vectors(inputs: &[String]) -> Embeddings {
    let usage = Usage { input_tokens: inputs.iter().map(|input| tokens(input)).sum(), ..free() };
    let vectors = inputs.iter().map(|input| embed::vector(input)).collect();
    Embeddings { vectors, model: MODEL.into(), usage: Some(usage) }
}

/// The answer to a request. Pure: the same request gives the same answer.
pub fn answer(request: &Request) -> Result<Response, ProviderError> {
    let source::Split { instruction, source } = source::split(request);
    let document = Document::read(&source);
    if let Some(tool) = forced(request)? {
        return call(request, tool, &document);
    }
    let whole = match &request.output_schema {
        Some(schema) => shaped(schema, &document)?,
        None if document.sentences.is_empty() && document.headings.is_empty() => NO_TEXT.to_owned(),
        None => summary::write(&document, &instruction, request.max_tokens),
    };
    let (text, stop_reason) = cut(whole, request);
    Ok(respond(request, tokens(&text), vec![Part::Text(text)], stop_reason))
}

fn known(model: &str) -> Result<(), ProviderError> {
    if model == MODEL {
        Ok(())
    } else {
        Err(ProviderError::UnknownModel(format!("`{model}`; there is only `{MODEL}`")))
    }
}

fn size(request: &Request) -> usize {
    let part = |part: &Part| if let Part::Text(text) = part { text.len() } else { 0 };
    request.messages.iter().flat_map(|message| &message.parts).map(part).sum()
}

fn shaped(schema: &serde_json::Value, document: &Document) -> Result<String, ProviderError> {
    let value = fill::fill(schema, document)
        .map_err(|why| ProviderError::Invalid(format!("the offline engine cannot fill this schema: {why}")))?;
    Ok(value.to_string())
}

/// The tool that must be called. Left to itself the engine calls none: choosing one would be understanding.
fn forced(request: &Request) -> Result<Option<&Tool>, ProviderError> {
    let missing = |name: &str| ProviderError::Invalid(format!("there is no tool `{name}` in the request"));
    match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => Ok(None),
        ToolChoice::Required => request.tools.first().map(Some).ok_or_else(|| missing("(any)")),
        ToolChoice::Named(name) => {
            request.tools.iter().find(|tool| tool.name == *name).map(Some).ok_or_else(|| missing(name))
        }
    }
}

fn call(request: &Request, tool: &Tool, document: &Document) -> Result<Response, ProviderError> {
    let input = shaped(&tool.input_schema, document)?;
    let calls =
        request.messages.iter().flat_map(|message| &message.parts).filter(|part| matches!(part, Part::ToolCall(_)));
    let id = format!("call_{}", calls.count() + 1);
    let used = tokens(&input);
    let call = ToolCall { id, name: tool.name.clone(), input, signature: None };
    Ok(respond(request, used, vec![Part::ToolCall(call)], StopReason::ToolCall))
}

/// Cuts at the first stop sequence and at `max_tokens`, whichever comes first.
fn cut(mut text: String, request: &Request) -> (String, StopReason) {
    let mut reason = StopReason::End;
    let stops = request.stop.iter().filter(|stop| !stop.is_empty());
    if let Some(at) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
        text.truncate(at);
        reason = StopReason::StopSequence;
    }
    let limit = request.max_tokens.map_or(usize::MAX, |tokens| tokens as usize * 4);
    if let Some((at, _)) = text.char_indices().nth(limit) {
        text.truncate(at);
        reason = StopReason::MaxTokens;
    }
    (text, reason)
}

fn respond(request: &Request, output_tokens: u64, parts: Vec<Part>, stop_reason: StopReason) -> Response {
    let input_tokens = request.messages.iter().map(|message| tokens(&message.joined_text())).sum();
    Response {
        message: Message { role: Role::Assistant, parts },
        stop_reason,
        model: MODEL.into(),
        usage: Some(Usage { input_tokens, output_tokens, ..free() }),
    }
}

fn free() -> Usage {
    Usage { micro_dollars: Some(0), ..Usage::default() }
}

/// Sends the answer word by word.
async fn stream(response: &Response, events: &Events) -> Result<(), ProviderError> {
    for part in &response.message.parts {
        match part {
            Part::Text(text) => {
                for word in words(text) {
                    events.send(Event::Text(word)).await?;
                }
            }
            Part::ToolCall(call) => {
                events.send(Event::ToolCallStart { id: call.id.clone(), name: call.name.clone() }).await?;
                for word in words(&call.input) {
                    events.send(Event::ToolCallDelta { id: call.id.clone(), input: word }).await?;
                }
                events.send(Event::ToolCall(call.clone())).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Words with the signs and blanks behind them.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for piece in text.split_word_bounds() {
        match out.last_mut() {
            Some(last) if !piece.chars().any(char::is_alphanumeric) => last.push_str(piece),
            _ => out.push(piece.to_owned()),
        }
    }
    out
}

#[cfg(test)]
mod tests;
