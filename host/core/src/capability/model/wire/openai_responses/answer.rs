//! From the bytes of a Responses answer to a response, whole or streamed.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::stops::{self, Stops};
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Message, Part, Response, Role, StopReason, Thinking, ToolCall, Usage};
use crate::capability::model::wire::assembly::{Assembly, Ids, MAX_CALLS, ended_early};
use crate::capability::model::wire::failure::unredacted;
use crate::capability::model::wire::quick::{Text, quick, said};
use crate::capability::model::wire::stream::{Frame, MAX_TREE, lenient_json, too_heavy};
use crate::capability::model::wire::values::{arguments, as_written, count, usage};
use crate::schema::Weight;

/// In front of signatures that this wire made. Behind it is the reasoning item as the provider wants it back.
pub(super) const MARK: &str = "responses:";

/// A whole answer.
pub fn decode(answer: &Value, model: &str, mut ids: Ids) -> Result<Response, ProviderError> {
    let mut items = answer["output"].as_array().cloned().unwrap_or_default();
    for item in items.iter_mut().filter(|item| item["type"] == "function_call") {
        item["call_id"] = ids.give(item["call_id"].as_str()).into();
    }
    whole(answer, &items, model)
}

/// `answer` is the response object; `items` are its output, every call with an id of its own.
fn whole(answer: &Value, items: &[Value], model: &str) -> Result<Response, ProviderError> {
    if answer["error"].is_object() {
        return Err(unredacted(answer));
    }
    let reason = answer["incomplete_details"]["reason"].as_str();
    let stop = match answer["status"].as_str() {
        Some("incomplete") if reason == Some("content_filter") => StopReason::Refused,
        Some("incomplete") => StopReason::MaxTokens,
        // Some servers leave the status out of what is complete.
        Some("completed") => StopReason::End,
        None if answer["output"].is_array() => StopReason::End,
        Some(other @ ("failed" | "cancelled")) => {
            let message = format!("it answered with the status `{other}`");
            return Err(ProviderError::Failed { message, billed: true });
        }
        _ => return Err(ProviderError::Garbled("it is not a finished response".into())),
    };
    let mut refused = false;
    let mut parts = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match item["type"].as_str() {
            Some("message") => content(item, &mut parts, &mut refused),
            Some("reasoning") => parts.push(Part::Thinking(thinking(item))),
            Some("function_call") => match arguments(&item["arguments"]) {
                _ if parts.len() >= MAX_CALLS => return Err(too_many()),
                // What was cut at the limit is no call.
                Ok(_) if stop == StopReason::MaxTokens && item["status"] == "incomplete" => {}
                Ok(input) => parts.push(Part::ToolCall(call(item, input)?)),
                Err(_) if stop == StopReason::MaxTokens && at + 1 == items.len() => {}
                Err(_) => parts.push(Part::ToolCall(call(item, as_written(&item["arguments"]))?)),
            },
            // Tools of the provider's own are not asked for.
            _ => {}
        }
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let stop_reason = match stop {
        _ if refused => StopReason::Refused,
        StopReason::End if calls => StopReason::ToolCall,
        stop => stop,
    };
    let model = answer["model"].as_str().filter(|name| !name.is_empty()).unwrap_or(model).to_owned();
    let message = Message { role: Role::Assistant, parts };
    Ok(Response { message, stop_reason, model, usage: read_usage(&answer["usage"]) })
}

fn content(item: &Value, parts: &mut Vec<Part>, refused: &mut bool) {
    for part in item["content"].as_array().into_iter().flatten() {
        let refusal = part["refusal"].as_str();
        *refused |= refusal.is_some();
        if let Some(text) = refusal.or_else(|| part["text"].as_str()).filter(|text| !text.is_empty()) {
            match parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(text),
                _ => parts.push(Part::Text(text.to_owned())),
            }
        }
    }
}

/// The summary where there is one, the reasoning itself from open models.
fn thinking(item: &Value) -> Thinking {
    let list = |name: &str| {
        let texts = item[name].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        texts.collect::<Vec<_>>().join("\n\n")
    };
    let summary = list("summary");
    let text = if summary.is_empty() { list("content") } else { summary };
    // Without the encrypted content a provider that stores nothing cannot take it back.
    let signature = item["encrypted_content"].is_string().then(|| {
        let summary = if item["summary"].is_array() { item["summary"].clone() } else { json!([]) };
        let mut back =
            json!({ "type": "reasoning", "summary": summary, "encrypted_content": item["encrypted_content"] });
        if item["id"].is_string() {
            back["id"] = item["id"].clone();
        }
        format!("{MARK}{back}")
    });
    Thinking { text, signature }
}

fn call(item: &Value, input: String) -> Result<ToolCall, ProviderError> {
    let name = item["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ProviderError::Garbled("a tool call has no name".into()))?.to_owned();
    let id = item["call_id"].as_str().unwrap_or_default().to_owned();
    Ok(ToolCall { id, name, input, signature: None })
}

fn too_many() -> ProviderError {
    ProviderError::Garbled(format!("more than {MAX_CALLS} parts"))
}

fn read_usage(value: &Value) -> Option<Usage> {
    usage(
        count(value.get("input_tokens")),
        count(value.get("output_tokens")),
        count(value.pointer("/input_tokens_details/cached_tokens")),
        count(value.pointer("/output_tokens_details/reasoning_tokens")),
    )
}

/// A streamed answer being put together: items by their place in the output.
#[derive(Debug)]
pub struct Items {
    ids: Ids,
    stops: Stops,
    model: String,
    /// The id that a call at a place was announced with.
    announced: HashMap<u64, String>,
    /// Finished items.
    items: BTreeMap<u64, Value>,
    /// What they take of memory: each is small enough, and all of a stream need not be.
    weight: usize,
    /// Calls whose end was told.
    told: HashSet<String>,
    thought: bool,
    last: Option<Value>,
}

impl Items {
    /// `stops` are the request's stop sequences.
    pub fn new(model: &str, ids: Ids, stops: &[String]) -> Self {
        Self {
            ids,
            stops: Stops::new(stops),
            model: model.to_owned(),
            announced: HashMap::new(),
            items: BTreeMap::new(),
            weight: 0,
            told: HashSet::new(),
            thought: false,
            last: None,
        }
    }

    fn added(&mut self, at: u64, item: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if item["type"] != "function_call" || self.announced.contains_key(&at) {
            return Ok(());
        }
        if self.announced.len() >= MAX_CALLS {
            return Err(too_many());
        }
        let id = self.ids.give(item["call_id"].as_str());
        self.announced.insert(at, id.clone());
        let name = item["name"].as_str().unwrap_or_default().to_owned();
        events.push(Event::ToolCallStart { id, name });
        Ok(())
    }

    fn done(&mut self, at: u64, mut item: Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if !item.is_object() || self.items.len() > 2 * MAX_CALLS {
            return Err(ProviderError::Garbled("its stream has items that are none, or too many".into()));
        }
        events.extend(self.stops.rest().map(Event::Text));
        self.added(at, &item, events)?;
        if let Some(id) = self.announced.get(&at).filter(|_| item["status"] != "incomplete") {
            item["call_id"] = id.clone().into();
            let call = call(&item, as_written(&item["arguments"]))?;
            if self.told.insert(call.id.clone()) {
                events.push(Event::ToolCall(call));
            }
        }
        self.items.insert(at, item);
        Ok(())
    }

    /// An event of the usual form; false where it has to be read as a tree.
    fn usual(&mut self, data: &str, events: &mut Vec<Event>) -> bool {
        let Some(Piece { kind, output_index, delta }) = quick(data) else { return false };
        // Behind a stop sequence only the end is heard, and no piece is one.
        let delta = said(&delta).filter(|_| !self.stops.met);
        delta.is_some_and(|delta| self.delta(&kind.0, output_index.unwrap_or(0), delta, events))
    }

    /// A piece of a text; false where the event is no such thing.
    fn delta(&mut self, kind: &str, at: u64, delta: &str, events: &mut Vec<Event>) -> bool {
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                events.extend(self.stops.pass(delta).map(Event::Text));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" | "response.reasoning.delta" => {
                self.thought = true;
                events.push(Event::Thinking(delta.to_owned()));
            }
            "response.function_call_arguments.delta" => {
                let id = self.announced.get(&at).cloned();
                events.extend(id.map(|id| Event::ToolCallDelta { id, input: delta.to_owned() }));
            }
            _ => return false,
        }
        true
    }

    /// `weight` is that of the event.
    fn event(
        &mut self,
        event: &Value,
        weight: usize,
        kind: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), ProviderError> {
        // Behind a stop sequence only the end is heard.
        if self.stops.met
            && !matches!(
                kind,
                "response.completed" | "response.incomplete" | "response.done" | "response.failed" | "error"
            )
        {
            return Ok(());
        }
        let at = event["output_index"].as_u64().unwrap_or(0);
        if let Some(delta) = event["delta"].as_str().filter(|delta| !delta.is_empty())
            && self.delta(kind, at, delta, events)
        {
            return Ok(());
        }
        match kind {
            "response.reasoning_summary_part.added" if self.thought => events.push(Event::Thinking("\n\n".into())),
            "response.output_item.added" => self.added(at, &event["item"], events)?,
            "response.output_item.done" => {
                self.weight += weight;
                if self.weight > MAX_TREE {
                    return Err(too_heavy());
                }
                self.done(at, event["item"].clone(), events)?;
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                self.last = Some(event["response"].clone());
            }
            "response.failed" => return Err(unredacted(&event["response"])),
            "error" => return Err(unredacted(event)),
            _ => {}
        }
        Ok(())
    }
}

impl Assembly for Items {
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" || frame.event != "error" && self.usual(data, events) {
            return Ok(());
        }
        let (event, weight) = (lenient_json(data.as_bytes())?, Weight::of(data.as_bytes()));
        // The name is in the data; the SSE field is the same, or missing.
        match event["type"].as_str() {
            Some(kind) if frame.event != "error" => self.event(&event, weight, kind, events),
            None if frame.event != "error" && event.get("error").is_none() => {
                self.event(&event, weight, frame.event, events)
            }
            _ => Err(unredacted(&event)),
        }
    }

    fn is_done(&self) -> bool {
        self.last.is_some()
    }

    fn finish(mut self, events: &mut Vec<Event>) -> Result<Response, ProviderError> {
        let Some(last) = self.last.take() else { return Err(ended_early()) };
        // Some servers send the items only once.
        let mut output: Vec<(u64, Value)> = match last["output"].as_array() {
            Some(list) if !list.is_empty() => (0..).zip(list.iter().cloned()).collect(),
            _ => std::mem::take(&mut self.items).into_iter().collect(),
        };
        for (at, item) in output.iter_mut().filter(|(_, item)| item["type"] == "function_call") {
            let known = self.announced.remove(at);
            item["call_id"] = known.unwrap_or_else(|| self.ids.give(item["call_id"].as_str())).into();
        }
        let items: Vec<Value> = output.into_iter().map(|(_, item)| item).collect();
        let response = stops::cut(whole(&last, &items, &self.model)?, &self.stops.stops);
        let untold = response.message.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) if !self.told.contains(&call.id) => Some(Event::ToolCall(call.clone())),
            _ => None,
        });
        events.extend(self.stops.rest().map(Event::Text).into_iter().chain(untold));
        Ok(response)
    }
}

/// What is looked at of a piece of a text.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    output_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
}
