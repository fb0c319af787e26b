//! From a request to the body of a Responses call.

use serde_json::{Map, Value, json};

use super::answer::MARK;
use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Message, Part, Request, Role, Tool, ToolChoice};
use crate::capability::model::wire::openai_chat::{openai_word, reasons, takes_sampling, word};
use crate::capability::model::wire::values::{cache_key, data_url, merge, misplaced, number, strict_ready};

/// What a skill's own options must not set: other prompts, state at the provider, and services that cost extra.
const RESERVED: &[&str] = &[
    "model",
    "models",
    "input",
    "instructions",
    "prompt",
    "previous_response_id",
    "conversation",
    "background",
    "store",
    "include",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "max_tool_calls",
    "text",
    "max_output_tokens",
    "service_tier",
];

/// The body of a call. `openai` is whether it goes to OpenAI itself, which alone knows some fields. The wire has no stop
/// sequences: see `stops`.
pub fn encode(request: &Request, model: &str, stream: bool, openai: bool) -> Result<Value, ProviderError> {
    let (input, cached) = input(request)?;
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    if let (true, Some(cached)) = (openai, cached) {
        body.insert("prompt_cache_key".into(), cache_key(&input[..cached]).into());
    }
    body.insert("input".into(), input.into());
    body.insert("stream".into(), stream.into());
    body.insert("store".into(), false.into());
    if openai && reasons(model) {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    sampling(&mut body, request, model, openai);
    tools(&mut body, request);
    if let Some(schema) = &request.output_schema {
        let strict = strict_ready(schema);
        let format = json!({ "type": "json_schema", "name": "answer", "schema": schema, "strict": strict });
        body.insert("text".into(), json!({ "format": format }));
    }
    merge(&mut body, request.provider_options.as_ref(), RESERVED)?;
    Ok(body.into())
}

fn sampling(body: &mut Map<String, Value>, request: &Request, model: &str, openai: bool) {
    if let Some(most) = request.max_tokens {
        body.insert("max_output_tokens".into(), most.into());
    }
    if !openai || takes_sampling(model, request.effort) {
        body.extend(request.temperature.map(|value| ("temperature".into(), number(value))));
        body.extend(request.top_p.map(|value| ("top_p".into(), number(value))));
    }
    if let Some(effort) = request.effort.filter(|_| !openai || reasons(model)) {
        let word = if openai { openai_word(model, effort) } else { word(effort) };
        body.insert("reasoning".into(), json!({ "effort": word }));
    }
}

fn tools(body: &mut Map<String, Value>, request: &Request) {
    if request.tools.is_empty() {
        return;
    }
    // Strictness is this wire's default, and refuses most schemas that people write.
    let function = |tool: &Tool| {
        json!({
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
            "strict": false,
        })
    };
    body.insert("tools".into(), request.tools.iter().map(function).collect());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
    };
    body.insert("tool_choice".into(), choice);
}

/// The conversation as items, and how many of them are worth caching.
fn input(request: &Request) -> Result<(Vec<Value>, Option<usize>), ProviderError> {
    let mut items = Vec::with_capacity(request.messages.len());
    let mut cached = None;
    for (index, message) in request.messages.iter().enumerate() {
        add(message, &mut items)?;
        if request.cache_until.is_some_and(|until| index as u64 == u64::from(until)) {
            cached = Some(items.len());
        }
    }
    Ok((items, cached))
}

/// One message becomes one item for each run of texts and images, and one for each other part, in order.
fn add(message: &Message, items: &mut Vec<Value>) -> Result<(), ProviderError> {
    let assistant = message.role == Role::Assistant;
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) if assistant => content.push(json!({ "type": "output_text", "text": text })),
            Part::Text(text) => content.push(json!({ "type": "input_text", "text": text })),
            Part::Image(image) if matches!(message.role, Role::User | Role::Tool) => {
                content.push(json!({ "type": "input_image", "detail": "auto", "image_url": data_url(image) }));
            }
            Part::Image(_) => return Err(misplaced("an image", message.role)),
            Part::Thinking(thinking) => {
                let mark = thinking.signature.as_deref().and_then(|signature| signature.strip_prefix(MARK));
                if let Some(item) = mark.and_then(|item| serde_json::from_str::<Value>(item).ok()) {
                    flush(message.role, &mut content, items);
                    items.push(item);
                }
            }
            Part::ToolCall(call) if assistant => {
                flush(message.role, &mut content, items);
                items.push(json!({
                    "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.input,
                }));
            }
            Part::ToolCall(_) => return Err(misplaced("a tool call", message.role)),
            Part::ToolResult(_) if assistant => return Err(misplaced("a tool result", message.role)),
            Part::ToolResult(result) => {
                flush(message.role, &mut content, items);
                let text = if result.is_error { format!("Error: {}", result.content) } else { result.content.clone() };
                items.push(json!({ "type": "function_call_output", "call_id": result.id, "output": text }));
            }
        }
    }
    flush(message.role, &mut content, items);
    Ok(())
}

fn flush(role: Role, content: &mut Vec<Value>, items: &mut Vec<Value>) {
    if content.is_empty() {
        return;
    }
    let role = match role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    };
    items.push(json!({ "type": "message", "role": role, "content": std::mem::take(content) }));
}
