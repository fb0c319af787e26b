//! From the bytes of a Messages answer to a response, whole or streamed.

use serde::Deserialize;
use serde_json::Value;

use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Event, Message, Part, Response, Role, StopReason, Thinking, ToolCall, Usage};
use crate::capability::model::wire::assembly::{Assembly, Ids, MAX_CALLS, ended_early};
use crate::capability::model::wire::failure::unredacted;
use crate::capability::model::wire::quick::{Object, Text, Unusual, quick, rename, said};
use crate::capability::model::wire::stream::{Frame, lenient_json};
use crate::capability::model::wire::values::{arguments, count};

/// In front of signatures that this wire made, so that it gives back only its own: a conversation may have begun at another
/// provider.
pub(super) const MARK: &str = "messages:";

/// The same for thinking that the provider encrypted as a whole.
pub(super) const REDACTED: &str = "messages-redacted:";

/// A whole answer. It is read as a stream of whole blocks.
pub fn decode(answer: &Value, model: &str, ids: Ids) -> Result<Response, ProviderError> {
    if answer["type"] == "error" || answer["error"].is_object() {
        return Err(unredacted(answer));
    }
    let blocks = answer["content"].as_array();
    let blocks = blocks.ok_or_else(|| ProviderError::Garbled("it is not a message".into()))?;
    let mut messages = Messages::new(model, ids);
    messages.name(answer);
    let mut events = Vec::new();
    for (at, block) in (0..).zip(blocks) {
        messages.start(at, block, &mut events)?;
        messages.stop_block(at);
    }
    messages.counts.read(&answer["usage"], true);
    messages.stop_reason(answer)?;
    messages.done = true;
    messages.finish(&mut events)
}

/// A streamed answer being put together.
#[derive(Debug)]
pub struct Messages {
    ids: Ids,
    model: String,
    /// Blocks in the order in which they began; the number is the provider's.
    blocks: Vec<(u64, Block)>,
    counts: Counts,
    stop: Option<StopReason>,
    done: bool,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Thinking(Thinking),
    Call {
        id: String,
        name: String,
        input: String,
        state: State,
    },
    /// Blocks of tools that run at the provider are not asked for.
    Other,
}

#[derive(Debug)]
enum State {
    Open,
    Whole(ToolCall),
    /// It ended without being JSON, as a JSON string: no call at all where the answer was cut at its limit.
    Broken(String),
}

impl Messages {
    /// `model` is what was asked for, where the answer does not say who answers.
    pub fn new(model: &str, ids: Ids) -> Self {
        Self { ids, model: model.to_owned(), blocks: Vec::new(), counts: Counts::default(), stop: None, done: false }
    }

    fn name(&mut self, message: &Value) {
        rename(&mut self.model, message["model"].as_str());
    }

    /// An event of the usual form; false where it has to be read as a tree.
    fn usual(&mut self, data: &str, events: &mut Vec<Event>) -> Result<bool, ProviderError> {
        let piece = quick::<BlockDelta<'_>>(data).filter(|piece| piece.kind.0 == "content_block_delta");
        let Some(BlockDelta { index, delta: Object(delta), .. }) = piece else { return Ok(false) };
        let delta = Delta {
            text: said(&delta.text),
            thinking: said(&delta.thinking),
            signature: said(&delta.signature),
            partial_json: said(&delta.partial_json),
        };
        self.delta(index.unwrap_or(0), &delta, events)?;
        Ok(true)
    }

    fn event(&mut self, event: &Value, kind: &str, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let at = event["index"].as_u64().unwrap_or(0);
        match kind {
            "message_start" => {
                self.name(&event["message"]);
                self.counts.read(&event["message"]["usage"], false);
            }
            "content_block_start" => self.start(at, &event["content_block"], events)?,
            "content_block_delta" => self.delta(at, &Delta::of(&event["delta"]), events)?,
            "content_block_stop" => events.extend(self.stop_block(at)),
            "message_delta" => {
                self.counts.read(&event["usage"], true);
                self.stop_reason(&event["delta"])?;
            }
            "message_stop" => self.done = true,
            "error" => return Err(unredacted(event)),
            // `ping`, and what will be added: the API's versioning policy allows new events.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, at: u64, block: &Value, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if self.blocks.len() >= 4 * MAX_CALLS || self.blocks.iter().any(|(known, _)| *known == at) {
            return Err(ProviderError::Garbled("too many blocks, or one twice".into()));
        }
        let text = |field: &str| block[field].as_str().unwrap_or_default().to_owned();
        let begun = match block["type"].as_str() {
            Some("text") => {
                events.extend(Some(text("text")).filter(|text| !text.is_empty()).map(Event::Text));
                Block::Text(text("text"))
            }
            Some("thinking") => {
                events.extend(Some(text("thinking")).filter(|text| !text.is_empty()).map(Event::Thinking));
                let signature = Some(text("signature")).filter(|text| !text.is_empty());
                let signature = signature.map(|signature| format!("{MARK}{signature}"));
                Block::Thinking(Thinking { text: text("thinking"), signature })
            }
            Some("redacted_thinking") => {
                let signature = Some(format!("{REDACTED}{}", text("data")));
                Block::Thinking(Thinking { text: String::new(), signature })
            }
            Some("tool_use") => {
                let name = text("name");
                if name.is_empty() {
                    return Err(ProviderError::Garbled("a tool call has no name".into()));
                }
                let id = self.ids.give(block["id"].as_str());
                events.push(Event::ToolCallStart { id: id.clone(), name: name.clone() });
                // Streams begin with an empty object and send the real input after it.
                let whole = block["input"].as_object().filter(|input| !input.is_empty());
                let input = whole.map(|_| block["input"].to_string()).unwrap_or_default();
                Block::Call { id, name, input, state: State::Open }
            }
            _ => Block::Other,
        };
        self.blocks.push((at, begun));
        Ok(())
    }

    fn delta(&mut self, at: u64, delta: &Delta<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let block = self.blocks.iter_mut().find(|(known, _)| *known == at).map(|(_, block)| block);
        let block = block.ok_or_else(|| ProviderError::Garbled("a piece of a block that never began".into()))?;
        let event = match block {
            Block::Text(whole) => delta.text.map(|text| {
                whole.push_str(text);
                Event::Text(text.to_owned())
            }),
            Block::Thinking(whole) => {
                if let Some(piece) = delta.signature {
                    whole.signature.get_or_insert_with(|| MARK.to_owned()).push_str(piece);
                }
                delta.thinking.map(|text| {
                    whole.text.push_str(text);
                    Event::Thinking(text.to_owned())
                })
            }
            Block::Call { id, input, state: State::Open, .. } => delta.partial_json.map(|text| {
                input.push_str(text);
                Event::ToolCallDelta { id: id.clone(), input: text.to_owned() }
            }),
            Block::Call { .. } => return Err(ProviderError::Garbled("a piece of a tool call that had ended".into())),
            Block::Other => None,
        };
        events.extend(event);
        Ok(())
    }

    fn stop_block(&mut self, at: u64) -> Option<Event> {
        let (_, block) = self.blocks.iter_mut().find(|(known, _)| *known == at)?;
        let Block::Call { id, name, input, state } = block else { return None };
        if !matches!(state, State::Open) {
            return None;
        }
        let written = Value::from(std::mem::take(input));
        match arguments(&written) {
            Ok(input) => {
                let call = ToolCall { id: id.clone(), name: name.clone(), input, signature: None };
                *state = State::Whole(call.clone());
                Some(Event::ToolCall(call))
            }
            Err(_) => {
                *state = State::Broken(written.to_string());
                None
            }
        }
    }

    fn stop_reason(&mut self, holder: &Value) -> Result<(), ProviderError> {
        let Some(reason) = holder["stop_reason"].as_str() else { return Ok(()) };
        self.stop = Some(match reason {
            "tool_use" => StopReason::ToolCall,
            "stop_sequence" => StopReason::StopSequence,
            // A turn that was paused is as unfinished as one that was cut.
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => StopReason::MaxTokens,
            "refusal" => StopReason::Refused,
            _ => StopReason::End,
        });
        Ok(())
    }
}

impl Assembly for Messages {
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        if frame.data.trim().is_empty() || self.usual(frame.data, events)? {
            return Ok(());
        }
        let event = lenient_json(frame.data.as_bytes())?;
        // The type inside is the same as the event's name, which proxies lose.
        let kind = event["type"].as_str().unwrap_or(frame.event);
        let kind = if event["error"].is_object() { "error" } else { kind };
        self.event(&event, kind, events)
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn finish(self, events: &mut Vec<Event>) -> Result<Response, ProviderError> {
        let stop = self.stop.filter(|_| self.done).ok_or_else(ended_early)?;
        let mut parts = Vec::new();
        for (_, block) in self.blocks {
            match block {
                Block::Text(text) if text.is_empty() => {}
                Block::Text(text) => parts.push(Part::Text(text)),
                Block::Thinking(thinking) => parts.push(Part::Thinking(thinking)),
                Block::Call { state: State::Whole(call), .. } => parts.push(Part::ToolCall(call)),
                Block::Call { .. } if matches!(stop, StopReason::MaxTokens | StopReason::Refused) => {}
                // The model's mistake, and not the provider's: it is told, and can correct it.
                Block::Call { id, name, state: State::Broken(input), .. } => {
                    let call = ToolCall { id, name, input, signature: None };
                    events.push(Event::ToolCall(call.clone()));
                    parts.push(Part::ToolCall(call));
                }
                Block::Call { .. } => return Err(ProviderError::Garbled("a tool call's input is not whole".into())),
                Block::Other => {}
            }
        }
        let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let stop_reason = match stop {
            StopReason::End if calls => StopReason::ToolCall,
            stop => stop,
        };
        let message = Message { role: Role::Assistant, parts };
        Ok(Response { message, stop_reason, model: self.model, usage: self.counts.usage() })
    }
}

/// What is looked at of a usual piece of a block.
#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    index: Option<u64>,
    #[serde(borrow)]
    delta: Object<DeltaFields<'a>>,
    #[serde(rename = "error")]
    _error: Option<Unusual>,
}

#[derive(Deserialize)]
struct DeltaFields<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
}

/// A piece of a block: the block says which of the texts it is about. None is empty.
struct Delta<'a> {
    text: Option<&'a str>,
    thinking: Option<&'a str>,
    signature: Option<&'a str>,
    partial_json: Option<&'a str>,
}

impl<'a> Delta<'a> {
    fn of(delta: &'a Value) -> Self {
        let text = |field: &str| delta[field].as_str().filter(|text| !text.is_empty());
        Self {
            text: text("text"),
            thinking: text("thinking"),
            signature: text("signature"),
            partial_json: text("partial_json"),
        }
    }
}

/// What was counted so far. The numbers of a stream are running totals, so the last word counts.
#[derive(Debug, Default)]
struct Counts {
    input: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    /// `last` where the output is counted to its end: a stream's first count of it is only a beginning.
    fn read(&mut self, usage: &Value, last: bool) {
        let update = |field: &mut Option<u64>, name: &str| *field = count(usage.pointer(name)).or(*field);
        update(&mut self.input, "/input_tokens");
        update(&mut self.cached, "/cache_read_input_tokens");
        update(&mut self.written, "/cache_creation_input_tokens");
        update(&mut self.thinking, "/output_tokens_details/thinking_tokens");
        if last {
            update(&mut self.output, "/output_tokens");
        }
    }

    /// The wire's input excludes what was read from and written to the cache; ours is all of it.
    fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let (cached, written) = (self.cached.unwrap_or(0), self.written.unwrap_or(0));
        Some(Usage {
            input_tokens: input + cached + written,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: self.thinking.unwrap_or(0).min(output),
            micro_dollars: None,
        })
    }
}
