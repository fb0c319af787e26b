//! From a request to the body of a Messages call.

use serde_json::{Map, Value, json};

use super::answer::{MARK, REDACTED};
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Effort, Message, Part, Request, Role, Tool, ToolChoice};
use crate::capability::model::wire::values::{base64, merge, misplaced, number};

/// What a skill's own options must not set, though the host may leave it out of a request: tools that run at the provider,
/// code and memory that it keeps, and services with another price.
const RESERVED: &[&str] = &[
    "model",
    "messages",
    "system",
    "stream",
    "max_tokens",
    "max_tokens_to_sample",
    "prompt",
    "tools",
    "tool_choice",
    "output_config",
    "output_format",
    "thinking",
    "stop_sequences",
    "temperature",
    "top_p",
    "service_tier",
    "speed",
    "inference_geo",
    "mcp_servers",
    "container",
    "context_management",
    "fallbacks",
    "betas",
];

/// The wire wants a limit; policy has always set one before.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// Least budget for thinking that the API takes.
const MIN_THINKING: u32 = 1024;

/// The body of a call. `model` is the provider's own name for it.
pub fn encode(request: &Request, model: &str, stream: bool) -> Result<Value, ProviderError> {
    let max_tokens = request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), max_tokens.into());
    body.insert("stream".into(), stream.into());
    let (mut system, messages) = conversation(request)?;
    let mut output = Map::new();
    if let Some(schema) = &request.output_schema {
        match narrowed(schema) {
            Some(schema) => {
                output.insert("format".into(), json!({ "type": "json_schema", "schema": schema }));
            }
            // What the API's grammar cannot say is at least said to the model; the host checks the answer in both cases.
            None => {
                system.push(text_block(&format!("Answer with JSON alone that matches this JSON Schema:\n{schema}")))
            }
        }
    }
    if !system.is_empty() {
        body.insert("system".into(), system.into());
    }
    body.insert("messages".into(), messages.into());
    sampling(&mut body, request, model);
    tools(&mut body, request);
    effort(&mut body, &mut output, request, model, max_tokens);
    if !output.is_empty() {
        body.insert("output_config".into(), output.into());
    }
    merge(&mut body, request.provider_options.as_ref(), RESERVED)?;
    Ok(body.into())
}

/// From Opus 4.7 on models refuse `temperature` and `top_p` ("`temperature` is deprecated for this model"); those from 4.1 on
/// refuse the two together. <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
fn sampling(body: &mut Map<String, Value>, request: &Request, model: &str) {
    const ADAPTIVE_BEFORE: &[&str] = &["claude-opus-4-6", "claude-sonnet-4-6"];
    let takes_any = thinks(model) != Thinks::Adaptive || ADAPTIVE_BEFORE.iter().any(|name| model.starts_with(name));
    if let Some(temperature) = request.temperature.filter(|_| takes_any) {
        body.insert("temperature".into(), number(temperature));
    }
    let takes_both = thinks(model) == Thinks::Never || !model.starts_with("claude-");
    if let Some(top_p) = request.top_p.filter(|_| takes_any && (takes_both || request.temperature.is_none())) {
        body.insert("top_p".into(), number(top_p));
    }
    if !request.stop.is_empty() {
        body.insert("stop_sequences".into(), request.stop.clone().into());
    }
}

fn tools(body: &mut Map<String, Value>, request: &Request) {
    if request.tools.is_empty() {
        return;
    }
    let tool =
        |tool: &Tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input_schema });
    body.insert("tools".into(), request.tools.iter().map(tool).collect());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!({ "type": "none" }),
        ToolChoice::Required => json!({ "type": "any" }),
        ToolChoice::Named(name) => json!({ "type": "tool", "name": name }),
    };
    body.insert("tool_choice".into(), choice);
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinks {
    Never,
    /// Within a number of tokens.
    Budget,
    /// As it sees fit, guided by `output_config.effort`.
    Adaptive,
}

/// <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>: from 4.6 on models decide themselves, and the
/// newest refuse a budget. Other names are other makers' models; their servers know the older form.
fn thinks(model: &str) -> Thinks {
    const NEVER: &[&str] =
        &["claude-2", "claude-instant", "claude-3-5", "claude-3-haiku", "claude-3-opus", "claude-3-sonnet"];
    const BUDGET: &[&str] = &[
        "claude-3-7",
        "claude-4-",
        "claude-haiku-4-5",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-2025",
        "claude-opus-4-5",
        "claude-sonnet-4-0",
        "claude-sonnet-4-2025",
        "claude-sonnet-4-5",
    ];
    let begins = |list: &[&str]| list.iter().any(|name| model.starts_with(name));
    match model {
        _ if begins(NEVER) => Thinks::Never,
        _ if begins(BUDGET) || !model.starts_with("claude-") => Thinks::Budget,
        _ => Thinks::Adaptive,
    }
}

/// Effort is a hint. The API refuses thinking beside a forced tool or a temperature, so there it is left out.
fn effort(
    body: &mut Map<String, Value>,
    output: &mut Map<String, Value>,
    request: &Request,
    model: &str,
    max_tokens: u32,
) {
    let Some(effort) = request.effort else { return };
    let forced =
        !request.tools.is_empty() && matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    let sampled = body.contains_key("temperature") || body.contains_key("top_p");
    let may_think = effort != Effort::None && !forced && !sampled;
    let (word, wanted) = match effort {
        Effort::None | Effort::Low => ("low", 2048),
        Effort::Medium => ("medium", 8192),
        Effort::High => ("high", 24576),
    };
    match thinks(model) {
        Thinks::Never => {}
        Thinks::Budget => {
            // Thinking counts as output, and the limit of output is a promise about money: the budget gives way, not the
            // limit.
            let budget = wanted.min(max_tokens / 4 * 3);
            if may_think && budget >= MIN_THINKING {
                body.insert("thinking".into(), json!({ "type": "enabled", "budget_tokens": budget }));
            }
        }
        Thinks::Adaptive => {
            output.insert("effort".into(), word.into());
            if may_think {
                body.insert("thinking".into(), json!({ "type": "adaptive", "display": "summarized" }));
            }
        }
    }
}

/// A schema as the API's grammar takes it: objects closed, limits of numbers, lengths and patterns left out (the host still
/// checks them). None where that would change what is asked for.
/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>
fn narrowed(schema: &Value) -> Option<Value> {
    let object = schema.as_object()?;
    let mut out = Map::new();
    for (word, value) in object {
        let value = match word.as_str() {
            "type" | "description" | "title" | "enum" | "const" | "required" | "default" | "format" => value.clone(),
            // Only references within the schema; recursion is refused by the API itself.
            "$ref" if value.as_str().is_some_and(|name| name.starts_with('#')) => value.clone(),
            "properties" | "$defs" | "definitions" => {
                let inner = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), narrowed(value)?)));
                Value::Object(inner.collect::<Option<_>>()?)
            }
            "items" => narrowed(value)?,
            "anyOf" | "allOf" => Value::Array(value.as_array()?.iter().map(narrowed).collect::<Option<_>>()?),
            "additionalProperties" if value != &Value::Bool(false) => return None,
            "additionalProperties"
            | "$schema"
            | "$id"
            | "$comment"
            | "examples"
            | "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "multipleOf"
            | "minLength"
            | "maxLength"
            | "pattern"
            | "minItems"
            | "maxItems"
            | "uniqueItems" => continue,
            _ => return None,
        };
        out.insert(word.clone(), value);
    }
    let types = object.get("type");
    if types
        .is_some_and(|types| types == "object" || types.as_array().is_some_and(|list| list.contains(&json!("object"))))
    {
        // An object without named properties is a free map, which a closed one is not.
        object.get("properties")?;
        out.insert("additionalProperties".into(), false.into());
    }
    Some(out.into())
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// System blocks, and turns of user and assistant. The wire wants all results of one turn's calls in the one turn that
/// follows, so messages of the same side become one turn.
fn conversation(request: &Request) -> Result<(Vec<Value>, Vec<Value>), ProviderError> {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let blocks = message.parts.iter().map(|part| block(part, message)).collect::<Result<Vec<_>, _>>()?;
        let blocks = blocks.into_iter().flatten();
        let target = match message.role {
            Role::System => &mut system,
            Role::User | Role::Tool => turn(&mut turns, "user"),
            Role::Assistant => turn(&mut turns, "assistant"),
        };
        target.extend(blocks);
        if request.cache_until.is_some_and(|until| index as u64 == u64::from(until)) {
            mark_cached(target);
        }
    }
    for (_, blocks) in &mut turns {
        // Results come first in their turn, or the API refuses it. A stable sort keeps the rest in order.
        blocks.sort_by_key(|block| block["type"] != "tool_result");
    }
    let turns = turns.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    Ok((system, turns.map(|(role, content)| json!({ "role": role, "content": content })).collect()))
}

fn turn<'a>(turns: &'a mut Vec<(&'static str, Vec<Value>)>, role: &'static str) -> &'a mut Vec<Value> {
    let at = match turns.last() {
        Some((last, _)) if *last == role => turns.len() - 1,
        _ => {
            turns.push((role, Vec::new()));
            turns.len() - 1
        }
    };
    &mut turns[at].1
}

/// Everything up to the last of these blocks is worth caching. Thinking cannot be marked.
fn mark_cached(blocks: &mut [Value]) {
    let takes_it = |block: &&mut Value| block["type"] != "thinking" && block["type"] != "redacted_thinking";
    if let Some(block) = blocks.iter_mut().rev().find(takes_it) {
        block["cache_control"] = json!({ "type": "ephemeral" });
    }
}

/// None for what this wire does not take: empty text, and thinking of other providers.
fn block(part: &Part, message: &Message) -> Result<Option<Value>, ProviderError> {
    use Role::{Assistant, Tool, User};
    Ok(Some(match (part, message.role) {
        (Part::Text(text), _) if text.is_empty() => return Ok(None),
        (Part::Text(text), _) => text_block(text),
        (Part::Image(image), User | Tool) => {
            let source = json!({ "type": "base64", "media_type": image.media_type, "data": base64(image) });
            json!({ "type": "image", "source": source })
        }
        (Part::Thinking(thinking), Assistant) => {
            let signature = thinking.signature.as_deref().unwrap_or_default();
            if let Some(data) = signature.strip_prefix(REDACTED) {
                json!({ "type": "redacted_thinking", "data": data })
            } else if let Some(signature) = signature.strip_prefix(MARK) {
                json!({ "type": "thinking", "thinking": thinking.text, "signature": signature })
            } else {
                return Ok(None);
            }
        }
        (Part::Thinking(_), _) => return Ok(None),
        (Part::ToolCall(call), Assistant) => {
            let input = serde_json::from_str::<Value>(&call.input).ok().filter(Value::is_object);
            let input = input.ok_or_else(|| invalid("the input of a tool call must be a JSON object"))?;
            json!({ "type": "tool_use", "id": tool_id(&call.id), "name": call.name, "input": input })
        }
        (Part::ToolResult(result), User | Tool) => json!({
            "type": "tool_result", "tool_use_id": tool_id(&result.id), "content": result.content,
            "is_error": result.is_error,
        }),
        (part, role) => {
            let what = match part {
                Part::Image(_) => "an image",
                Part::ToolCall(_) => "a tool call",
                _ => "a tool result",
            };
            return Err(misplaced(what, role));
        }
    }))
}

/// The API takes letters, digits, `_` and `-` in ids; other providers' ids may hold anything. What is replaced is spelt out in
/// hex, so that different ids stay different.
fn tool_id(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.bytes().all(plain) {
        return id.to_owned();
    }
    let spelt = id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("_{byte:02x}") });
    format!("id_{}", spelt.collect::<String>())
}

fn invalid(text: &str) -> ProviderError {
    ProviderError::Invalid(text.to_owned())
}
