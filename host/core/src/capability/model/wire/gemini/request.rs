//! From a request to the body of a `generateContent` call.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::answer::MARK;
use super::bare;
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Effort, Message, Part, Request, Role, Tool, ToolChoice};
use crate::capability::model::wire::values::{base64, merge, misplaced, number};

/// What a skill's own options must not set at the top of the body: the conversation, tools that run at the provider, and
/// what it stored before.
const RESERVED: &[&str] = &[
    "model",
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "tool_config",
    "cachedContent",
    "cached_content",
    "serviceTier",
    "service_tier",
    "store",
    "stream",
    "generation_config",
];

/// The same inside of `generationConfig`, where the API takes either spelling of a name.
const RESERVED_CONFIG: &[&str] = &[
    "maxOutputTokens",
    "max_output_tokens",
    "candidateCount",
    "candidate_count",
    "temperature",
    "topP",
    "top_p",
    "stopSequences",
    "stop_sequences",
    "responseMimeType",
    "response_mime_type",
    "responseSchema",
    "response_schema",
    "responseJsonSchema",
    "response_json_schema",
    "_responseJsonSchema",
    "responseFormat",
    "response_format",
    "responseModalities",
    "response_modalities",
    "thinkingConfig",
    "thinking_config",
];

/// What the documentation says to send where a call of another provider's model is shown to a model that wants a signature.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The body of a call. The model and whether it streams are in the URL here. Hints for caching are not needed: the API caches
/// equal beginnings by itself.
pub fn encode(request: &Request, model: &str, _stream: bool) -> Result<Value, ProviderError> {
    let mut body = Map::new();
    let (system, contents) = conversation(request, model)?;
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({ "parts": system }));
    }
    body.insert("contents".into(), contents.into());
    tools(&mut body, request);
    let mut config = config(request, model);
    let mut options = request.provider_options.clone().unwrap_or_default();
    if let Some(own) = options.remove("generationConfig") {
        let own = own.as_object().ok_or_else(|| invalid("`generationConfig` must be an object"))?;
        merge(&mut config, Some(own), RESERVED_CONFIG)?;
    }
    if !config.is_empty() {
        body.insert("generationConfig".into(), config.into());
    }
    merge(&mut body, Some(&options), RESERVED)?;
    Ok(body.into())
}

fn config(request: &Request, model: &str) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| value.and_then(|value| config.insert(name.into(), value));
    set("maxOutputTokens", request.max_tokens.map(Value::from));
    set("temperature", request.temperature.map(number));
    set("topP", request.top_p.map(number));
    set("stopSequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    set("responseMimeType", request.output_schema.is_some().then(|| "application/json".into()));
    set("responseJsonSchema", request.output_schema.clone());
    set("thinkingConfig", request.effort.and_then(|effort| thinking(effort, model, request.max_tokens)));
    config
}

/// The generation of a Gemini model: 3 of `gemini-3-pro`. None for other families.
fn generation(model: &str) -> Option<u32> {
    let digits = bare(model).strip_prefix("gemini-")?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// From 3 on models take levels, 2.5 takes a number of tokens, and all others nothing.
/// <https://ai.google.dev/gemini-api/docs/thinking>
fn thinking(effort: Effort, model: &str, max_tokens: Option<u32>) -> Option<Value> {
    let model = bare(model);
    let shown = effort != Effort::None;
    if generation(model)? >= 3 {
        let level = match effort {
            // Pro models cannot stop thinking.
            Effort::None if model.contains("flash") => "minimal",
            Effort::None | Effort::Low => "low",
            Effort::Medium if model.starts_with("gemini-3-pro") => "high",
            Effort::Medium => "medium",
            Effort::High => "high",
        };
        return Some(json!({ "thinkingLevel": level, "includeThoughts": shown }));
    }
    if !model.starts_with("gemini-2.5") {
        return None;
    }
    let least = match model {
        _ if model.contains("flash-lite") => 512,
        _ if model.contains("pro") => 128,
        _ => 1,
    };
    let budget = match effort {
        Effort::None if model.contains("flash") => 0,
        Effort::None => least,
        // Thoughts count as output: some of it is kept for the answer.
        Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High => 24576,
    };
    let room = max_tokens.map_or(u32::MAX, |max| max / 4 * 3);
    let budget = if budget == 0 { 0 } else { budget.min(room).max(least) };
    Some(json!({ "thinkingBudget": budget, "includeThoughts": shown }))
}

fn tools(body: &mut Map<String, Value>, request: &Request) {
    if request.tools.is_empty() {
        return;
    }
    let declaration = |tool: &Tool| json!({ "name": tool.name, "description": tool.description, "parametersJsonSchema": tool.input_schema });
    let declarations: Vec<Value> = request.tools.iter().map(declaration).collect();
    body.insert("tools".into(), json!([{ "functionDeclarations": declarations }]));
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    };
    body.insert("toolConfig".into(), json!({ "functionCallingConfig": choice }));
}

/// The parts of the system instruction, and turns of user and model. Results of parallel calls belong in one turn, so messages
/// of the same side become one.
fn conversation(request: &Request, model: &str) -> Result<(Vec<Value>, Vec<Value>), ProviderError> {
    let signed = generation(model).is_some_and(|generation| generation >= 3);
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let mut parts = Vec::new();
        for part in &message.parts {
            if let Part::ToolCall(call) = part {
                names.insert(&call.id, &call.name);
            }
            parts.extend(encode_part(part, message, &names)?);
        }
        if signed {
            vouch(&mut parts);
        }
        let role = match message.role {
            Role::System => {
                system.extend(parts);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "model",
        };
        match turns.last_mut() {
            Some((last, before)) if *last == role => before.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    let turns = turns.into_iter().filter(|(_, parts)| !parts.is_empty());
    Ok((system, turns.map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()))
}

/// Of parallel calls the first is signed. Where none is, another provider's model made them.
fn vouch(parts: &mut [Value]) {
    let mut calls = parts.iter_mut().filter(|part| part.get("functionCall").is_some());
    if let Some(first) = calls.next()
        && first.get("thoughtSignature").is_none()
    {
        first["thoughtSignature"] = NO_SIGNATURE.into();
    }
}

/// None for what this wire does not take: empty text, and thinking of other providers.
fn encode_part(part: &Part, message: &Message, names: &HashMap<&str, &str>) -> Result<Option<Value>, ProviderError> {
    use Role::{Assistant, Tool, User};
    let own = |signature: &Option<String>| signature.as_deref()?.strip_prefix(MARK).map(str::to_owned);
    Ok(Some(match (part, message.role) {
        (Part::Text(text), _) if text.is_empty() => return Ok(None),
        (Part::Text(text), _) => json!({ "text": text }),
        (Part::Image(image), User | Tool) => {
            json!({ "inlineData": { "mimeType": image.media_type, "data": base64(image) } })
        }
        (Part::Thinking(thinking), Assistant) => match own(&thinking.signature) {
            // A signature that came with the answer's text is given back in a part without any.
            Some(signature) if thinking.text.is_empty() => json!({ "text": "", "thoughtSignature": signature }),
            Some(signature) => json!({ "text": thinking.text, "thought": true, "thoughtSignature": signature }),
            None => return Ok(None),
        },
        (Part::Thinking(_), _) => return Ok(None),
        (Part::ToolCall(call), Assistant) => {
            let input = serde_json::from_str::<Value>(&call.input).ok().filter(Value::is_object);
            let input = input.ok_or_else(|| invalid("the input of a tool call must be a JSON object"))?;
            let mut part = json!({ "functionCall": { "id": call.id, "name": call.name, "args": input } });
            if let Some(signature) = own(&call.signature) {
                part["thoughtSignature"] = signature.into();
            }
            part
        }
        (Part::ToolResult(result), User | Tool) => {
            let name = names.get(result.id.as_str());
            let name = name.ok_or_else(|| invalid("a tool result answers no tool call of the conversation"))?;
            // The wire wants an object; `output` and `error` are the words that it knows.
            let object = serde_json::from_str::<Value>(&result.content).ok().filter(Value::is_object);
            let response = match object {
                _ if result.is_error => json!({ "error": result.content }),
                Some(object) => object,
                None => json!({ "output": result.content }),
            };
            json!({ "functionResponse": { "id": result.id, "name": name, "response": response } })
        }
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

fn invalid(text: &str) -> ProviderError {
    ProviderError::Invalid(text.to_owned())
}
