//! From the bytes of a Chat Completions answer to a response, whole or streamed.

use serde::Deserialize;
use serde_json::Value;

use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Message, Part, Response, Role, StopReason, Thinking, ToolCall, Usage};
use crate::capability::model::wire::assembly::{Assembly, Ids, MAX_CALLS, ended_early};
use crate::capability::model::wire::failure::unredacted;
use crate::capability::model::wire::quick::{Object, One, Text, Unusual, quick, rename, said};
use crate::capability::model::wire::stream::{Frame, lenient_json};
use crate::capability::model::wire::values::{arguments, count, usage};

/// In front of signatures that this wire made, so that it gives back only its own: a conversation may have begun at another
/// provider. Behind it is the field that the reasoning came in, or a tool call's `extra_content`.
pub(super) const MARK: &str = "chat:";

/// A whole answer. It is read as a stream of one chunk.
pub fn decode(answer: &Value, model: &str, ids: Ids) -> Result<Response, ProviderError> {
    let mut chat = Chat::new(model, ids);
    let mut events = Vec::new();
    chat.chunk(answer, &mut events)?;
    if !chat.begun {
        return Err(ProviderError::Garbled("it has no choice with an answer".into()));
    }
    chat.ended = true;
    chat.finish(&mut events)
}

/// A streamed answer being put together.
#[derive(Debug)]
pub struct Chat {
    ids: Ids,
    model: String,
    text: String,
    thinking: String,
    /// The field that the reasoning comes in.
    field: Option<&'static str>,
    calls: Vec<Call>,
    /// `function_call`, which older servers send beside `tool_calls` or instead of them.
    legacy: Option<Call>,
    refused: bool,
    begun: bool,
    ended: bool,
    stop: Option<StopReason>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    /// The id as the server wrote it.
    wire_id: String,
    id: String,
    name: String,
    input: Input,
    signature: Option<String>,
}

/// A call's input as it comes. Whether it is whole is asked at each piece, so that it must not be read anew for each: a call of a
/// megabyte in pieces of a word would be read for minutes.
#[derive(Debug, Default)]
pub(super) struct Input {
    text: String,
    depth: usize,
    in_string: bool,
    escaped: bool,
    has_begun: bool,
    /// Whatever follows, it is no JSON.
    is_wrong: bool,
    /// Bytes that were read in vain.
    unfinished: usize,
}

impl Input {
    pub(super) fn push_str(&mut self, piece: &str) {
        self.text.push_str(piece);
        for byte in piece.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.has_begun |= !byte.is_ascii_whitespace();
        }
    }

    /// Whether it is JSON, as far as it has come. Read only where its brackets and quotes are closed: then it is, or never will be, but
    /// for a number or a word that is cut.
    pub(super) fn is_whole(&mut self) -> bool {
        let is_open = self.depth > 0 || self.in_string || !self.has_begun;
        if is_open || self.is_wrong || self.unfinished == self.text.len() {
            return false;
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(&self.text) {
            Ok(_) => return true,
            // Of a number that is cut behind its point it says no more than that it is wrong there.
            Err(error) if error.is_eof() || self.is_at_end(&error) => self.unfinished = self.text.len(),
            Err(_) => self.is_wrong = true,
        }
        false
    }

    fn is_at_end(&self, error: &serde_json::Error) -> bool {
        let (lines, last) = self.text.split('\n').fold((0, 0), |(lines, _), line| (lines + 1, line.len()));
        error.line() == lines && error.column() >= last
    }
}

impl Chat {
    /// `model` is what was asked for, where the answer does not say who answers.
    pub fn new(model: &str, ids: Ids) -> Self {
        Self {
            ids,
            model: model.to_owned(),
            text: String::new(),
            thinking: String::new(),
            field: None,
            calls: Vec::new(),
            legacy: None,
            refused: false,
            begun: false,
            ended: false,
            stop: None,
            usage: None,
        }
    }

    /// A chunk of the usual form; false where it has to be read as a tree.
    fn usual(&mut self, chunk: &str, events: &mut Vec<Event>) -> Result<bool, ProviderError> {
        let Some(chunk) = quick::<Chunk<'_>>(chunk).filter(Chunk::is_usual) else { return Ok(false) };
        rename(&mut self.model, said(&chunk.model));
        let choice = chunk.choices.and_then(|choices| choices.0);
        let Some(Object(Choice { delta: Object(delta), .. })) = choice else { return Ok(true) };
        self.begun = true;
        let reasoning = [("reasoning_content", &delta.reasoning_content), ("reasoning", &delta.reasoning)];
        self.think(reasoning.into_iter().find_map(|(field, text)| Some((field, said(text)?))), events);
        self.say(said(&delta.content), events);
        if let Some(Object(piece)) = delta.tool_calls.and_then(|calls| calls.0) {
            let function = piece.function.as_ref().map(|function| &function.0);
            let piece = Piece {
                index: piece.index,
                wire_id: said(&piece.id).unwrap_or_default().to_owned(),
                name: function.and_then(|function| said(&function.name)).unwrap_or_default(),
                signature: None,
                input: function.and_then(|function| said(&function.arguments)).unwrap_or_default().to_owned(),
            };
            self.call(piece, events)?;
        }
        Ok(true)
    }

    fn chunk(&mut self, chunk: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if chunk.get("error").is_some_and(|error| !error.is_null()) || chunk["object"] == "error" {
            return Err(unredacted(chunk));
        }
        rename(&mut self.model, chunk["model"].as_str());
        if chunk["usage"].is_object() {
            self.usage = read_usage(&chunk["usage"]);
        }
        // Others than the first are not asked for.
        let choices = chunk["choices"].as_array().into_iter().flatten();
        for choice in choices.filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            self.begun = true;
            let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
            self.delta(delta, events)?;
            self.finish_reason(choice)?;
        }
        Ok(())
    }

    fn think(&mut self, reasoning: Option<(&'static str, &str)>, events: &mut Vec<Event>) {
        if let Some((field, text)) = reasoning {
            self.field.get_or_insert(field);
            self.thinking.push_str(text);
            events.push(Event::Thinking(text.to_owned()));
        }
    }

    fn say<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>, events: &mut Vec<Event>) {
        for text in texts {
            self.text.push_str(text);
            events.push(Event::Text(text.to_owned()));
        }
    }

    fn delta(&mut self, delta: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let reasoning = ["reasoning_content", "reasoning"]
            .into_iter()
            .find_map(|field| Some((field, delta[field].as_str().filter(|text| !text.is_empty())?)));
        self.think(reasoning, events);
        let refusal = delta["refusal"].as_str().filter(|text| !text.is_empty());
        self.refused |= refusal.is_some();
        self.say(texts(&delta["content"]).into_iter().chain(refusal), events);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(piece(call), events)?;
        }
        if delta["function_call"].is_object() {
            let function = &delta["function_call"];
            let legacy = self.legacy.get_or_insert_default();
            if let (true, Some(name)) = (legacy.name.is_empty(), function["name"].as_str()) {
                legacy.name = name.to_owned();
            }
            legacy.input.push_str(&input(&function["arguments"]));
        }
        Ok(())
    }

    /// One piece of a tool call.
    fn call(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let Piece { index, wire_id, name, signature, input } = piece;
        let at = match self.place(index, &wire_id, name) {
            Some(at) => at,
            None if self.calls.len() >= MAX_CALLS => {
                return Err(ProviderError::Garbled(format!("more than {MAX_CALLS} tool calls")));
            }
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if call.wire_id.is_empty() {
            call.wire_id = wire_id;
        }
        // llama.cpp repeats the name in every piece.
        if call.name.is_empty() && !name.is_empty() {
            call.name = name.to_owned();
            call.id = self.ids.give(Some(&call.wire_id));
            events.push(Event::ToolCallStart { id: call.id.clone(), name: call.name.clone() });
            if !call.input.text.is_empty() {
                events.push(Event::ToolCallDelta { id: call.id.clone(), input: call.input.text.clone() });
            }
        }
        if signature.is_some() {
            call.signature = signature;
        }
        if !input.is_empty() {
            call.input.push_str(&input);
            if !call.id.is_empty() {
                events.push(Event::ToolCallDelta { id: call.id.clone(), input });
            }
        }
        Ok(())
    }

    /// The call that a piece belongs to; None when it begins a new one.
    ///
    /// Some servers leave the index out, some send every parallel call under index 0, and some make up a new id for each piece. So
    /// an id of its own begins a call only together with a name, and under a known index only when the call there is complete.
    fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let differs = |call: &Call| !id.is_empty() && !name.is_empty() && id != call.wire_id;
        if index.is_some() {
            let at = self.calls.iter().rposition(|call| call.index == index)?;
            let call = &mut self.calls[at];
            return (!(differs(call) && call.input.is_whole())).then_some(at);
        }
        if let Some(at) = self.calls.iter().position(|call| !id.is_empty() && call.wire_id == id) {
            return Some(at);
        }
        let last = self.calls.last_mut()?;
        let another = differs(last) || !name.is_empty() && (name != last.name || last.input.is_whole());
        (!another).then(|| self.calls.len() - 1)
    }

    fn finish_reason(&mut self, choice: &Value) -> Result<(), ProviderError> {
        let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) else { return Ok(()) };
        self.stop = Some(match reason {
            "length" | "max_tokens" | "model_length" => StopReason::MaxTokens,
            "content_filter" | "refusal" | "safety" => StopReason::Refused,
            "stop_sequence" => StopReason::StopSequence,
            // vLLM names the stop sequence that it met.
            "stop" if choice["stop_reason"].is_string() => StopReason::StopSequence,
            "error" | "abort" | "insufficient_system_resource" => {
                let message = format!("it stopped with `{reason}`");
                return Err(ProviderError::Failed { message, billed: true });
            }
            _ => StopReason::End,
        });
        Ok(())
    }

    /// Complete calls. Where the answer was cut at its limit the last one may not be, and is left out.
    fn complete(&mut self, cut: bool) -> Result<Vec<ToolCall>, ProviderError> {
        if self.calls.is_empty() {
            self.calls.extend(self.legacy.take());
        }
        let mut complete = Vec::new();
        let last = self.calls.len().saturating_sub(1);
        for (at, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            if cut && at == last && call.input.text.trim().is_empty() {
                continue;
            }
            let written = Value::from(call.input.text);
            let input = match arguments(&written) {
                Ok(input) if !call.name.is_empty() => input,
                _ if cut && at == last => continue,
                _ if call.name.is_empty() => return Err(ProviderError::Garbled("a tool call has no name".into())),
                // The model's mistake, and not the provider's. As a JSON string it is no tool's input, so the model is told and can correct it.
                _ => written.to_string(),
            };
            let id = if call.id.is_empty() { self.ids.give(Some(&call.wire_id)) } else { call.id };
            complete.push(ToolCall { id, name: call.name, input, signature: call.signature });
        }
        Ok(complete)
    }
}

impl Assembly for Chat {
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let data = frame.data.trim();
        if data == "[DONE]" {
            self.ended = true;
            return Ok(());
        }
        if data.is_empty() || frame.event != "error" && self.usual(data, events)? {
            return Ok(());
        }
        let chunk = lenient_json(data.as_bytes())?;
        if frame.event == "error" { Err(unredacted(&chunk)) } else { self.chunk(&chunk, events) }
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn finish(mut self, events: &mut Vec<Event>) -> Result<Response, ProviderError> {
        // Compatible servers leave `[DONE]` out; a finish reason is as good.
        if !self.begun || !(self.ended || self.stop.is_some()) {
            return Err(ended_early());
        }
        let stop = self.stop.unwrap_or(StopReason::End);
        let calls = self.complete(stop == StopReason::MaxTokens)?;
        let stop_reason = match stop {
            _ if self.refused => StopReason::Refused,
            // Whatever word it used, it waits for results.
            StopReason::End if !calls.is_empty() => StopReason::ToolCall,
            stop => stop,
        };
        events.extend(calls.iter().cloned().map(Event::ToolCall));
        let mut parts = Vec::new();
        if !self.thinking.is_empty() {
            let signature = self.field.map(|field| format!("{MARK}{field}"));
            parts.push(Part::Thinking(Thinking { text: self.thinking, signature }));
        }
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text));
        }
        parts.extend(calls.into_iter().map(Part::ToolCall));
        let message = Message { role: Role::Assistant, parts };
        Ok(Response { message, stop_reason, model: self.model, usage: self.usage })
    }
}

/// What is looked at of a usual chunk.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Option<One<Object<Choice<'a>>>>,
    #[serde(rename = "usage")]
    _usage: Option<Unusual>,
    #[serde(rename = "error")]
    _error: Option<Unusual>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Object<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<One<Object<CallPiece<'a>>>>,
    #[serde(rename = "refusal")]
    _refusal: Option<Unusual>,
    #[serde(rename = "function_call")]
    _function_call: Option<Unusual>,
}

#[derive(Deserialize)]
struct CallPiece<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Object<Function<'a>>>,
    #[serde(rename = "extra_content")]
    _extra_content: Option<Unusual>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

impl Chunk<'_> {
    fn is_usual(&self) -> bool {
        let choice = self.choices.as_ref().and_then(|choices| choices.0.as_ref());
        let usual = |choice: &Choice<'_>| choice.index.unwrap_or(0) == 0 && said(&choice.finish_reason).is_none();
        choice.is_none_or(|choice| usual(&choice.0)) && said(&self.object) != Some("error")
    }
}

/// A piece of a tool call.
struct Piece<'a> {
    index: Option<u64>,
    /// The id as the server wrote it.
    wire_id: String,
    name: &'a str,
    signature: Option<String>,
    input: String,
}

fn piece(piece: &Value) -> Piece<'_> {
    let function = &piece["function"];
    let extra = &piece["extra_content"];
    Piece {
        index: piece["index"].as_u64(),
        wire_id: match &piece["id"] {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => String::new(),
        },
        name: function["name"].as_str().unwrap_or_default(),
        signature: extra.is_object().then(|| format!("{MARK}{extra}")),
        input: input(&function["arguments"]),
    }
}

/// Arguments are text; some servers send them as the object itself.
fn input(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Content is text, or a list of parts of which some are text.
fn texts(content: &Value) -> Vec<&str> {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    content.as_str().into_iter().chain(parts).filter(|text| !text.is_empty()).collect()
}

fn read_usage(value: &Value) -> Option<Usage> {
    let (input, output) = (count(value.get("prompt_tokens"))?, count(value.get("completion_tokens"))?);
    let cached = count(value.pointer("/prompt_tokens_details/cached_tokens"));
    // DeepSeek's word for the same.
    let cached = cached.or_else(|| count(value.get("prompt_cache_hit_tokens")));
    let reasoning = count(value.pointer("/completion_tokens_details/reasoning_tokens"));
    // Some count reasoning beside the answer and not in it; the total tells.
    let beside = reasoning.filter(|n| *n > 0).zip(count(value.get("total_tokens")));
    let output = match beside {
        Some((n, total)) if total == input + output + n => output + n,
        _ => output,
    };
    usage(Some(input), Some(output), cached, reasoning)
}
