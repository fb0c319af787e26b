//! From a request to the body of a call of `/api/chat`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::capability::model::provider::ProviderError;
use crate::capability::model::types::{Effort, Message, Part, Request, Role, Tool, ToolChoice};
use crate::capability::model::wire::openai_chat::word;
use crate::capability::model::wire::values::{base64, merge, misplaced, number};

const RESERVED: &[&str] = &["model", "messages", "stream", "tools", "format", "think", "raw", "template", "options"];

/// Tokens of context that every installation has.
const DEFAULT_CONTEXT: usize = 4096;

/// The largest context that is asked for by itself: memory grows with it.
const MAX_CONTEXT: usize = 131_072;

/// The body of a call.
///
/// The wire has no tool choice: `none` offers no tool, `named` offers only that one, `required` cannot be said. Provider options
/// may bring `options` of their own (`num_ctx`, `seed`), merged one by one.
pub fn encode(request: &Request, model: &str, stream: bool) -> Result<Value, ProviderError> {
    let messages = messages(request)?;
    let mut provider_options = request.provider_options.clone().unwrap_or_default();
    let mut options = sampling(request);
    match provider_options.remove("options") {
        None => {}
        Some(Value::Object(own)) => merge(&mut options, Some(&own), &["num_predict"])?,
        Some(_) => return Err(ProviderError::Invalid("provider options: `options` must be an object".into())),
    }
    if let Some(context) = context(&messages, request).filter(|_| !options.contains_key("num_ctx")) {
        options.insert("num_ctx".into(), context.into());
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), stream.into());
    if !options.is_empty() {
        body.insert("options".into(), options.into());
    }
    let tools = tools(request);
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    if let Some(schema) = &request.output_schema {
        body.insert("format".into(), schema.clone());
    }
    if let Some(effort) = request.effort {
        // Only gpt-oss has steps; for all other models it is on or off.
        let steps = model.rsplit('/').next().unwrap_or(model).starts_with("gpt-oss");
        let think = if steps && effort != Effort::None { json!(word(effort)) } else { json!(effort != Effort::None) };
        body.insert("think".into(), think);
    }
    merge(&mut body, Some(&provider_options), RESERVED)?;
    Ok(body.into())
}

fn sampling(request: &Request) -> Map<String, Value> {
    let mut options = Map::new();
    if let Some(most) = request.max_tokens {
        options.insert("num_predict".into(), most.into());
    }
    if let Some(temperature) = request.temperature {
        options.insert("temperature".into(), number(temperature));
    }
    if let Some(top_p) = request.top_p {
        options.insert("top_p".into(), number(top_p));
    }
    if !request.stop.is_empty() {
        options.insert("stop".into(), request.stop.clone().into());
    }
    options
}

/// Ollama cuts the beginning off what does not fit its context, and says nothing. So a prompt that may not fit asks for a longer
/// one, in steps, because a model is loaded anew for each length.
fn context(messages: &[Value], request: &Request) -> Option<usize> {
    let text: usize = messages.iter().map(|message| message["content"].as_str().map_or(0, str::len) + 16).sum();
    let images: usize = messages.iter().map(|message| message["images"].as_array().map_or(0, Vec::len)).sum();
    let tools: usize =
        request.tools.iter().map(|tool| tool.input_schema.to_string().len() + tool.description.len()).sum();
    // Three bytes for a token is careful for most languages.
    let prompt = (text + tools) / 3 + images * 1024;
    let needed = prompt + request.max_tokens.map_or(1024, |most| most as usize).min(8192);
    (needed > DEFAULT_CONTEXT).then(|| needed.next_power_of_two().min(MAX_CONTEXT))
}

fn tools(request: &Request) -> Vec<Value> {
    let offered = |tool: &&Tool| match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::Required => true,
        ToolChoice::None => false,
        ToolChoice::Named(name) => *name == tool.name,
    };
    let function = |tool: &Tool| {
        let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.input_schema });
        json!({ "type": "function", "function": function })
    };
    request.tools.iter().filter(offered).map(function).collect()
}

fn messages(request: &Request) -> Result<Vec<Value>, ProviderError> {
    let mut names = HashMap::new();
    let mut list = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        for part in &message.parts {
            if let Part::ToolCall(call) = part {
                names.insert(call.id.as_str(), call.name.as_str());
            }
        }
        add(message, &names, &mut list)?;
    }
    Ok(list)
}

/// Tool results become messages of their own, known by the tool's name as well as by the call's id.
fn add(message: &Message, names: &HashMap<&str, &str>, list: &mut Vec<Value>) -> Result<(), ProviderError> {
    let assistant = message.role == Role::Assistant;
    let mut out = Map::new();
    let mut images = Vec::new();
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(_) => {}
            Part::Image(_) if matches!(message.role, Role::System | Role::Assistant) => {
                return Err(misplaced("an image", message.role));
            }
            Part::Image(image) => images.push(json!(base64(image))),
            Part::Thinking(thinking) if assistant && !thinking.text.is_empty() => {
                out.insert("thinking".into(), thinking.text.clone().into());
            }
            Part::Thinking(_) => {}
            Part::ToolCall(call) if assistant => {
                let input: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
                calls.push(json!({ "id": call.id, "function": { "name": call.name, "arguments": input } }));
            }
            Part::ToolCall(_) => return Err(misplaced("a tool call", message.role)),
            Part::ToolResult(_) if assistant => return Err(misplaced("a tool result", message.role)),
            Part::ToolResult(result) => {
                let text = if result.is_error { format!("Error: {}", result.content) } else { result.content.clone() };
                let name = names.get(result.id.as_str()).copied().unwrap_or_default();
                list.push(json!({ "role": "tool", "content": text, "tool_name": name, "tool_call_id": result.id }));
            }
        }
    }
    let text = message.joined_text();
    if text.is_empty() && images.is_empty() && calls.is_empty() && !assistant {
        return Ok(());
    }
    let role = match message.role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    };
    out.insert("role".into(), role.into());
    out.insert("content".into(), text.into());
    if !images.is_empty() {
        out.insert("images".into(), images.into());
    }
    if !calls.is_empty() {
        out.insert("tool_calls".into(), calls.into());
    }
    list.push(out.into());
    Ok(())
}
