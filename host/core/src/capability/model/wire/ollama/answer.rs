//! From the lines of an Ollama answer to a response, whole or streamed.

use serde::Deserialize;
use serde_json::Value;

use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Message, Part, Response, Role, StopReason, Thinking, ToolCall, Usage};
use crate::capability::model::wire::assembly::{Assembly, Ids, MAX_CALLS, ended_early};
use crate::capability::model::wire::failure::unredacted;
use crate::capability::model::wire::quick::{Object, Text, Unusual, quick, rename, said};
use crate::capability::model::wire::stream::{Frame, lenient_json};
use crate::capability::model::wire::values::{as_written, count, usage};

/// A whole answer: a stream of one line.
pub fn decode(answer: &Value, model: &str, ids: Ids) -> Result<Response, ProviderError> {
    let mut lines = Lines::new(model, ids);
    let mut events = Vec::new();
    lines.line(answer, &mut events)?;
    lines.finish(&mut events)
}

/// A streamed answer being put together.
#[derive(Debug)]
pub struct Lines {
    ids: Ids,
    model: String,
    text: String,
    thinking: String,
    calls: Vec<ToolCall>,
    stop: Option<StopReason>,
    usage: Option<Usage>,
}

impl Lines {
    pub fn new(model: &str, ids: Ids) -> Self {
        Self {
            ids,
            model: model.to_owned(),
            text: String::new(),
            thinking: String::new(),
            calls: Vec::new(),
            stop: None,
            usage: None,
        }
    }

    /// A line of the usual form; false where it has to be read as a tree.
    fn usual(&mut self, line: &str, events: &mut Vec<Event>) -> bool {
        let Some(line) = quick::<Line<'_>>(line).filter(|line| line.done != Some(true)) else { return false };
        rename(&mut self.model, said(&line.model));
        if let Some(Object(message)) = line.message {
            self.say(said(&message.thinking), said(&message.content), events);
        }
        true
    }

    fn say(&mut self, thinking: Option<&str>, content: Option<&str>, events: &mut Vec<Event>) {
        if let Some(text) = thinking {
            self.thinking.push_str(text);
            events.push(Event::Thinking(text.to_owned()));
        }
        if let Some(text) = content {
            self.text.push_str(text);
            events.push(Event::Text(text.to_owned()));
        }
    }

    fn line(&mut self, line: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if line.get("error").is_some_and(|error| !error.is_null()) {
            return Err(unredacted(line));
        }
        rename(&mut self.model, line["model"].as_str());
        let message = &line["message"];
        let text = |field: &str| message[field].as_str().filter(|text| !text.is_empty());
        self.say(text("thinking"), text("content"), events);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            self.call(call, events)?;
        }
        if line["done"] == true {
            self.stop = Some(if line["done_reason"] == "length" { StopReason::MaxTokens } else { StopReason::End });
            self.usage = usage(count(line.get("prompt_eval_count")), count(line.get("eval_count")), None, None);
        }
        Ok(())
    }

    /// A call comes whole.
    fn call(&mut self, call: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if self.calls.len() >= MAX_CALLS {
            return Err(ProviderError::Garbled(format!("more than {MAX_CALLS} tool calls")));
        }
        let name = call["function"]["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| ProviderError::Garbled("a tool call has no name".into()))?.to_owned();
        let input = as_written(&call["function"]["arguments"]);
        let id = self.ids.give(call["id"].as_str());
        let call = ToolCall { id: id.clone(), name: name.clone(), input: input.clone(), signature: None };
        self.calls.push(call.clone());
        events.push(Event::ToolCallStart { id: id.clone(), name });
        events.push(Event::ToolCallDelta { id, input });
        events.push(Event::ToolCall(call));
        Ok(())
    }
}

impl Assembly for Lines {
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if self.usual(frame.data, events) { Ok(()) } else { self.line(&lenient_json(frame.data.as_bytes())?, events) }
    }

    fn is_done(&self) -> bool {
        self.stop.is_some()
    }

    fn finish(self, _events: &mut Vec<Event>) -> Result<Response, ProviderError> {
        let stop_reason = match self.stop.ok_or_else(ended_early)? {
            StopReason::End if !self.calls.is_empty() => StopReason::ToolCall,
            stop => stop,
        };
        let mut parts = Vec::new();
        if !self.thinking.is_empty() {
            parts.push(Part::Thinking(Thinking { text: self.thinking, signature: None }));
        }
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text));
        }
        parts.extend(self.calls.into_iter().map(Part::ToolCall));
        let message = Message { role: Role::Assistant, parts };
        Ok(Response { message, stop_reason, model: self.model, usage: self.usage })
    }
}

/// What is looked at of a usual line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Object<Texts<'a>>>,
    done: Option<bool>,
    #[serde(rename = "error")]
    _error: Option<Unusual>,
}

#[derive(Deserialize)]
struct Texts<'a> {
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(rename = "tool_calls")]
    _calls: Option<Unusual>,
}
