//! From a request to the body of a Chat Completions call.

use serde_json::{Map, Value, json};

use super::Dialect;
use super::answer::MARK;
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Effort, Message, Part, Request, Role, Tool, ToolChoice};
use crate::capability::model::wire::values::{cache_key, data_url, merge, misplaced, number, strict_ready};

/// What a skill's own options must not set, though the host may leave it out of a request: other models, more answers than
/// one, and services that cost extra.
const RESERVED: &[&str] = &[
    "model",
    "models",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "store",
    "service_tier",
    "web_search_options",
    "plugins",
    "audio",
    "modalities",
];

/// The body of a call. `model` is the server's own name for it.
pub fn encode(request: &Request, model: &str, stream: bool, dialect: Dialect) -> Result<Value, ProviderError> {
    let (messages, cached) = messages(request)?;
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    if let (true, Some(cached)) = (dialect.openai, cached) {
        body.insert("prompt_cache_key".into(), cache_key(&messages[..cached]).into());
    }
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), stream.into());
    if stream {
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    sampling(&mut body, request, model, dialect);
    tools(&mut body, request);
    if let (true, Some(schema)) = (dialect.native_schema, &request.output_schema) {
        let named = json!({ "name": "answer", "schema": schema, "strict": strict_ready(schema) });
        body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": named }));
    }
    merge(&mut body, request.provider_options.as_ref(), RESERVED)?;
    Ok(body.into())
}

fn sampling(body: &mut Map<String, Value>, request: &Request, model: &str, dialect: Dialect) {
    if let Some(most) = request.max_tokens {
        let name = if dialect.openai { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), most.into());
    }
    if !dialect.openai || takes_sampling(model, request.effort) {
        body.extend(request.temperature.map(|value| ("temperature".into(), number(value))));
        body.extend(request.top_p.map(|value| ("top_p".into(), number(value))));
    }
    if !request.stop.is_empty() {
        body.insert("stop".into(), request.stop.clone().into());
    }
    if let Some(effort) = request.effort.filter(|_| !dialect.openai || reasons(model)) {
        let word = if dialect.openai { openai_word(model, effort) } else { word(effort) };
        body.insert("reasoning_effort".into(), word.into());
    }
}

/// Whether a model of OpenAI takes an effort. The families that do not are old and closed; they refuse the field.
pub(in crate::capability::model::wire) fn reasons(model: &str) -> bool {
    !["gpt-3", "gpt-4", "chatgpt-4"].iter().any(|family| model.starts_with(family))
}

/// Whether a model of OpenAI takes `temperature` and `top_p`. Those that reason refuse them, but for three that do not reason
/// unless they are told to. <https://developers.openai.com/api/docs/guides/latest-model>
pub(in crate::capability::model::wire) fn takes_sampling(model: &str, effort: Option<Effort>) -> bool {
    let at_rest = ["gpt-5.1", "gpt-5.2", "gpt-5.4"].iter().any(|family| model.starts_with(family));
    !reasons(model) || (at_rest && matches!(effort, None | Some(Effort::None)))
}

/// The effort for a model of OpenAI. Some cannot stop thinking and refuse `none`: the least that they take is meant.
/// <https://developers.openai.com/api/docs/models/gpt-6.1-sol>, and the pages of the others beside it.
pub(in crate::capability::model::wire) fn openai_word(model: &str, effort: Effort) -> &'static str {
    let begins = |families: &[&str]| families.iter().any(|family| model.starts_with(family));
    match effort {
        Effort::None if begins(&["o1", "o3", "o4", "gpt-6-astra", "gpt-6.1-sol"]) || model.contains("codex") => "low",
        // The first GPT-5 alone, with its small siblings and dated snapshots: not 5.1 and later.
        Effort::None if begins(&["gpt-5-"]) || model == "gpt-5" => "minimal",
        effort => word(effort),
    }
}

pub(in crate::capability::model::wire) fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    }
}

fn tools(body: &mut Map<String, Value>, request: &Request) {
    if request.tools.is_empty() {
        return;
    }
    let function = |tool: &Tool| {
        let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.input_schema });
        json!({ "type": "function", "function": function })
    };
    body.insert("tools".into(), request.tools.iter().map(function).collect());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    };
    body.insert("tool_choice".into(), choice);
}

/// The conversation, and how many of its messages are worth caching.
fn messages(request: &Request) -> Result<(Vec<Value>, Option<usize>), ProviderError> {
    let last_user = request.messages.iter().rposition(|message| message.role == Role::User);
    let mut list = Vec::with_capacity(request.messages.len());
    let mut cached = None;
    for (index, message) in request.messages.iter().enumerate() {
        match message.role {
            // Reasoning is given back only while a tool loop goes on: servers refuse or ignore older one.
            Role::Assistant => list.push(assistant(message, last_user.is_none_or(|user| index > user))?),
            Role::System | Role::User | Role::Tool => others(message, &mut list)?,
        }
        if request.cache_until.is_some_and(|until| index as u64 == u64::from(until)) {
            cached = Some(list.len());
        }
    }
    Ok((list, cached))
}

/// Tool results become messages of their own; what is left is one message. An image beside a tool result goes in a user's message:
/// the wire takes images nowhere else.
fn others(message: &Message, list: &mut Vec<Value>) -> Result<(), ProviderError> {
    let role = if message.role == Role::System { "system" } else { "user" };
    let (mut texts, mut images) = (0, 0);
    for part in &message.parts {
        match part {
            Part::Text(_) => texts += 1,
            Part::Image(_) if message.role != Role::System => images += 1,
            Part::ToolResult(result) => {
                // The wire has no field for a failure.
                let text = if result.is_error { format!("Error: {}", result.content) } else { result.content.clone() };
                list.push(json!({ "role": "tool", "tool_call_id": result.id, "content": text }));
            }
            Part::Thinking(_) => {}
            Part::Image(_) => return Err(misplaced("an image", message.role)),
            Part::ToolCall(_) => return Err(misplaced("a tool call", message.role)),
        }
    }
    let content = match (texts, images) {
        (0, 0) => return Ok(()),
        (_, 0) => Value::from(message.joined_text()),
        _ => message.parts.iter().filter_map(content).collect(),
    };
    list.push(json!({ "role": role, "content": content }));
    Ok(())
}

fn content(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(json!({ "type": "text", "text": text })),
        Part::Image(image) => Some(json!({ "type": "image_url", "image_url": { "url": data_url(image) } })),
        _ => None,
    }
}

fn assistant(message: &Message, with_reasoning: bool) -> Result<Value, ProviderError> {
    let text = message.joined_text();
    let mut out = Map::from_iter([("role".to_owned(), json!("assistant")), ("content".to_owned(), Value::Null)]);
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(_) => {}
            Part::ToolCall(call) => {
                let mut value = json!({
                    "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.input },
                });
                if let Some(extra) = call.signature.as_deref().and_then(|signature| signature.strip_prefix(MARK)) {
                    value["extra_content"] = serde_json::from_str(extra).unwrap_or_default();
                }
                calls.push(value);
            }
            Part::Thinking(thinking) => {
                let field = thinking.signature.as_deref().and_then(|signature| signature.strip_prefix(MARK));
                if let (true, Some(field @ ("reasoning" | "reasoning_content"))) = (with_reasoning, field) {
                    out.insert(field.to_owned(), thinking.text.clone().into());
                }
            }
            Part::Image(_) => return Err(misplaced("an image", message.role)),
            Part::ToolResult(_) => return Err(misplaced("a tool result", message.role)),
        }
    }
    // Null is only good beside tool calls.
    if !text.is_empty() || calls.is_empty() {
        out.insert("content".into(), text.into());
    }
    if !calls.is_empty() {
        out.insert("tool_calls".into(), calls.into());
    }
    Ok(out.into())
}
