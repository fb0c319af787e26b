//! From the bytes of a `generateContent` answer to a response, whole or streamed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Message, Part, Response, Role, StopReason, Thinking, ToolCall, Usage};
use crate::capability::model::wire::assembly::{Assembly, Ids, MAX_CALLS, ended_early};
use crate::capability::model::wire::failure::unredacted;
use crate::capability::model::wire::quick::{Object, One, Text, Unusual, quick, rename, said};
use crate::capability::model::wire::stream::{Frame, lenient_json};
use crate::capability::model::wire::values::{count, usage};

/// In front of signatures that this wire made, so that it gives back only its own: a conversation may have begun at another
/// provider.
pub(super) const MARK: &str = "gemini:";

/// A whole answer. It is read as a stream of one chunk.
pub fn decode(answer: &Value, model: &str, ids: Ids) -> Result<Response, ProviderError> {
    let mut candidate = Candidate::new(model, ids);
    let mut events = Vec::new();
    candidate.chunk(answer, &mut events)?;
    candidate.finish(&mut events)
}

/// A streamed answer being put together. Each chunk is an answer of its own, with the next parts.
#[derive(Debug)]
pub struct Candidate {
    ids: Ids,
    model: String,
    parts: Vec<Part>,
    calls: usize,
    stop: Option<StopReason>,
    usage: Option<Usage>,
    /// The counts that came last, unread: every chunk brings them, and only the last ones are wanted.
    counts: String,
}

impl Candidate {
    /// `model` is what was asked for, where the answer does not say who answers.
    pub fn new(model: &str, ids: Ids) -> Self {
        Self {
            ids,
            model: model.to_owned(),
            parts: Vec::new(),
            calls: 0,
            stop: None,
            usage: None,
            counts: String::new(),
        }
    }

    /// A chunk of the usual form; false where it has to be read as a tree.
    fn usual(&mut self, chunk: &str, events: &mut Vec<Event>) -> Result<bool, ProviderError> {
        let Some(chunk) = quick::<Chunk<'_>>(chunk).filter(Chunk::is_usual) else { return Ok(false) };
        rename(&mut self.model, said(&chunk.model));
        if let Some(counts) = chunk.counts {
            counts.get().clone_into(&mut self.counts);
        }
        let candidate = chunk.candidates.and_then(|candidates| candidates.0);
        let parts = candidate.and_then(|candidate| candidate.0.content).and_then(|content| content.0.parts);
        let Some(Object(part)) = parts.and_then(|parts| parts.0) else { return Ok(true) };
        let text = said(&part.text).unwrap_or_default();
        self.text(text, part.thought.unwrap_or(false), None, events)?;
        Ok(true)
    }

    fn chunk(&mut self, chunk: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        // Errors come alone or in a list of one.
        if chunk.pointer("/error").or_else(|| chunk.pointer("/0/error")).is_some_and(Value::is_object) {
            return Err(unredacted(chunk));
        }
        if !chunk.is_object() {
            return Err(ProviderError::Garbled("it is not a response".into()));
        }
        rename(&mut self.model, chunk["modelVersion"].as_str());
        if chunk["usageMetadata"].is_object() {
            self.counts.clear();
            self.usage = read_usage(&chunk["usageMetadata"]);
        }
        // A refused prompt has no candidates.
        if chunk.pointer("/promptFeedback/blockReason").and_then(Value::as_str).is_some() {
            self.stop = Some(StopReason::Refused);
        }
        // Others than the first are not asked for.
        let candidates = chunk["candidates"].as_array().into_iter().flatten();
        for candidate in candidates.filter(|candidate| candidate["index"].as_u64().unwrap_or(0) == 0) {
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                self.part(part, events)?;
            }
            self.finish_reason(candidate)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let signature = part["thoughtSignature"].as_str().filter(|text| !text.is_empty());
        let signature = signature.map(|text| format!("{MARK}{text}"));
        if part["functionCall"].is_object() {
            return self.call(&part["functionCall"], signature, events);
        }
        self.text(part["text"].as_str().unwrap_or_default(), part["thought"] == true, signature, events)
    }

    fn text(
        &mut self,
        text: &str,
        thought: bool,
        signature: Option<String>,
        events: &mut Vec<Event>,
    ) -> Result<(), ProviderError> {
        if thought {
            if !text.is_empty() {
                events.push(Event::Thinking(text.to_owned()));
            }
            self.think(text, signature);
            return Ok(());
        }
        if !text.is_empty() {
            events.push(Event::Text(text.to_owned()));
            match self.parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(text),
                _ => self.parts.push(Part::Text(text.to_owned())),
            }
        }
        if signature.is_some() {
            // The signature of a text, which has no place for it.
            self.parts.push(Part::Thinking(Thinking { text: String::new(), signature }));
        }
        self.within_limit()
    }

    fn think(&mut self, text: &str, signature: Option<String>) {
        match self.parts.last_mut() {
            Some(Part::Thinking(before)) if before.signature.is_none() => {
                before.text.push_str(text);
                before.signature = signature;
            }
            _ if text.is_empty() && signature.is_none() => {}
            _ => self.parts.push(Part::Thinking(Thinking { text: text.to_owned(), signature })),
        }
    }

    /// Calls always come whole.
    fn call(&mut self, call: &Value, signature: Option<String>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let name = call["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| ProviderError::Garbled("a tool call has no name".into()))?.to_owned();
        let input = match &call["args"] {
            Value::Null => "{}".to_owned(),
            // Where it is no object, that is the model's mistake, which it can be told.
            args => args.to_string(),
        };
        self.calls += 1;
        let id = self.ids.give(call["id"].as_str());
        events.push(Event::ToolCallStart { id: id.clone(), name: name.clone() });
        events.push(Event::ToolCallDelta { id: id.clone(), input: input.clone() });
        let call = ToolCall { id, name, input, signature };
        events.push(Event::ToolCall(call.clone()));
        self.parts.push(Part::ToolCall(call));
        self.within_limit()
    }

    fn within_limit(&self) -> Result<(), ProviderError> {
        if self.calls > MAX_CALLS || self.parts.len() > 16 * MAX_CALLS {
            return Err(ProviderError::Garbled("too many parts".into()));
        }
        Ok(())
    }

    fn finish_reason(&mut self, candidate: &Value) -> Result<(), ProviderError> {
        let Some(reason) = candidate["finishReason"].as_str() else { return Ok(()) };
        self.stop = Some(match reason {
            "FINISH_REASON_UNSPECIFIED" => return Ok(()),
            "STOP" => StopReason::End,
            "MAX_TOKENS" => StopReason::MaxTokens,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => StopReason::Refused,
            // MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER, …: the model failed, and may not fail again.
            other => {
                let other: String = other.chars().take(64).collect();
                return Err(ProviderError::Garbled(format!("it stopped with `{other}`")));
            }
        });
        Ok(())
    }
}

impl Assembly for Candidate {
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if frame.data.trim().is_empty() || self.usual(frame.data, events)? {
            return Ok(());
        }
        self.chunk(&lenient_json(frame.data.as_bytes())?, events)
    }

    /// The wire has no end mark: usage and a signature may follow the finish reason.
    fn is_done(&self) -> bool {
        false
    }

    fn finish(self, _events: &mut Vec<Event>) -> Result<Response, ProviderError> {
        let stop_reason = match self.stop.ok_or_else(ended_early)? {
            StopReason::End if self.calls > 0 => StopReason::ToolCall,
            stop => stop,
        };
        let message = Message { role: Role::Assistant, parts: self.parts };
        let usage =
            if self.counts.is_empty() { self.usage } else { read_usage(&lenient_json(self.counts.as_bytes())?) };
        Ok(Response { message, stop_reason, model: self.model, usage })
    }
}

/// What is looked at of a usual chunk.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, rename = "modelVersion")]
    model: Option<Text<'a>>,
    #[serde(borrow, rename = "usageMetadata")]
    counts: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates: Option<One<Object<Choice<'a>>>>,
    #[serde(rename = "promptFeedback")]
    _feedback: Option<Unusual>,
    #[serde(rename = "error")]
    _error: Option<Unusual>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    content: Option<Object<Content<'a>>>,
    #[serde(rename = "finishReason")]
    _finish_reason: Option<Unusual>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<One<Object<TextPart<'a>>>>,
}

#[derive(Deserialize)]
struct TextPart<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    thought: Option<bool>,
    #[serde(rename = "thoughtSignature")]
    _signature: Option<Unusual>,
    #[serde(rename = "functionCall")]
    _call: Option<Unusual>,
}

impl Chunk<'_> {
    fn is_usual(&self) -> bool {
        let candidate = self.candidates.as_ref().and_then(|candidates| candidates.0.as_ref());
        candidate.is_none_or(|candidate| candidate.0.index.unwrap_or(0) == 0)
            && self.counts.is_none_or(|counts| counts.get().starts_with('{'))
    }
}

/// The wire leaves out what is zero; its candidates exclude thoughts, while our output is all of it.
fn read_usage(value: &Value) -> Option<Usage> {
    let part = |name: &str| value.get(name).map_or(Some(0), |part| count(Some(part)));
    let thoughts = part("thoughtsTokenCount")?;
    let input = count(value.get("promptTokenCount"))? + part("toolUsePromptTokenCount")?;
    let output = part("candidatesTokenCount")? + thoughts;
    usage(Some(input), Some(output), part("cachedContentTokenCount"), Some(thoughts))
}
