//! How large a request may be, and how many tokens it may have.

use super::types::{Message, Part, Request, Response, Tool};
use crate::error::{Excess, Refusal};

pub const MESSAGES: usize = 1_000;
pub const PARTS: usize = 10_000;
pub const TOOLS: usize = 128;
pub const IMAGES: usize = 20;
pub const IMAGE_BYTES: usize = 20 << 20;
pub const PROMPT_BYTES: usize = 8 << 20;
pub const SCHEMA_BYTES: usize = 256 << 10;
pub const OPTION_BYTES: usize = 64 << 10;
pub const STOPS: usize = 8;
pub const STOP_BYTES: usize = 256;
/// Inputs of one `embed`.
pub const INPUTS: usize = 256;

/// What an image is counted for, in tokens. Providers take 85 to about 1,600 for one; the largest is meant.
const IMAGE_TOKENS: u64 = 1_600;
/// What each message, tool call or tool costs beside its text.
const FRAME_TOKENS: u64 = 8;

/// Refuses what no provider should see.
pub fn check(request: &Request) -> Result<(), Refusal> {
    if request.messages.is_empty() {
        return Err(Refusal::Invalid("the request has no message; give at least one".into()));
    }
    most("messages", request.messages.len(), MESSAGES)?;
    most("parts of messages", request.messages.iter().map(|message| message.parts.len()).sum(), PARTS)?;
    most("tools", request.tools.len(), TOOLS)?;
    most("stop sequences", request.stop.len(), STOPS)?;
    let images = || {
        request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::Image(image) => Some(image),
            _ => None,
        })
    };
    most("images", images().count(), IMAGES)?;
    most("images in all, in bytes,", images().map(|image| image.data.len()).sum(), IMAGE_BYTES)?;
    for image in images() {
        if !matches!(image.media_type.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp") {
            let shown: String = image.media_type.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Refusal::Invalid(format!(
                "`{shown}` is no image type that models see; give image/png, image/jpeg, image/gif or image/webp"
            )));
        }
    }
    most("prompt", prompt_bytes(request), PROMPT_BYTES)?;
    if let Some(schema) = &request.output_schema {
        most("output schema", json_bytes(schema), SCHEMA_BYTES)?;
        if !schema.is_object() {
            return Err(Refusal::Invalid("the output schema is not a JSON object; give a JSON Schema".into()));
        }
    }
    if let Some(options) = &request.provider_options {
        most("provider options", json_bytes(options), OPTION_BYTES)?;
    }
    for stop in &request.stop {
        most("stop sequence", stop.len(), STOP_BYTES)?;
    }
    check_numbers(request)?;
    check_tools(&request.tools)
}

fn check_numbers(request: &Request) -> Result<(), Refusal> {
    let within = |what: &str, value: Option<f32>, top: f32| match value {
        // A NaN is in no range, and fails here too.
        Some(value) if !(0.0..=top).contains(&value) => {
            Err(Refusal::Invalid(format!("{what} is {value}; it must be a number from 0 to {top}")))
        }
        _ => Ok(()),
    };
    within("the temperature", request.temperature, 2.0)?;
    within("top-p", request.top_p, 1.0)?;
    if request.max_tokens == Some(0) {
        return Err(Refusal::Invalid("max-tokens is 0; ask for at least one token".into()));
    }
    match request.cache_until {
        Some(index) if index as usize >= request.messages.len() => Err(Refusal::Invalid(format!(
            "cache-until is {index}, and there are {} messages; give the index of one",
            request.messages.len()
        ))),
        _ => Ok(()),
    }
}

fn check_tools(tools: &[Tool]) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for tool in tools {
        let plain = tool.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !plain || tool.name.is_empty() || tool.name.len() > 64 {
            let shown: String = tool.name.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Refusal::Invalid(format!(
                "`{shown}` is no tool name; use 1 to 64 of a-z, A-Z, 0-9, `_` and `-`"
            )));
        }
        if !seen.insert(tool.name.as_str()) {
            return Err(Refusal::Invalid(format!("two tools are called `{}`; give each its own name", tool.name)));
        }
        if !tool.input_schema.is_object() {
            return Err(Refusal::Invalid(format!("the input schema of `{}` is not a JSON object", tool.name)));
        }
    }
    Ok(())
}

/// Refuses texts that no provider should see.
pub fn check_inputs(inputs: &[String]) -> Result<(), Refusal> {
    if inputs.is_empty() {
        return Err(Refusal::Invalid("there is nothing to embed; give at least one text".into()));
    }
    most("inputs to embed", inputs.len(), INPUTS)?;
    most("prompt", inputs.iter().map(String::len).sum(), PROMPT_BYTES)
}

fn most(what: &'static str, actual: usize, limit: usize) -> Result<(), Refusal> {
    if actual <= limit {
        return Ok(());
    }
    Err(Refusal::TooLarge(Excess { what, limit: limit as u64, actual: Some(actual as u64) }))
}

/// Tokens of this many bytes of text, rather too many than too few: tokenizers make about one of four bytes of English
/// and of three bytes of most other scripts.
pub fn text_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3)
}

/// Tokens of a prompt, rather too many than too few. What was really used is settled afterwards.
pub fn prompt_tokens(request: &Request) -> u64 {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let images = parts().filter(|part| matches!(part, Part::Image(_))).count() as u64;
    let frames = (request.messages.len() + parts().count() + request.tools.len()) as u64;
    text_tokens(prompt_bytes(request)) + images * IMAGE_TOKENS + frames * FRAME_TOKENS
}

/// Tokens of the schema for the answer, where there is one.
pub fn schema_tokens(request: &Request) -> u64 {
    request.output_schema.as_ref().map_or(0, |schema| text_tokens(json_bytes(schema)))
}

/// Tokens of texts to embed.
pub fn input_tokens(inputs: &[String]) -> u64 {
    inputs.iter().map(|input| text_tokens(input.len()) + 2).sum()
}

/// Bytes of an answer that a model had to write.
pub fn answer_bytes(response: &Response) -> usize {
    response.message.parts.iter().map(part_bytes).sum()
}

fn prompt_bytes(request: &Request) -> usize {
    let messages: usize = request.messages.iter().map(message_bytes).sum();
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + json_bytes(&tool.input_schema))
        .sum();
    let schema = request.output_schema.as_ref().map_or(0, json_bytes);
    messages + tools + schema + request.provider_options.as_ref().map_or(0, json_bytes)
}

fn message_bytes(message: &Message) -> usize {
    message.parts.iter().map(part_bytes).sum()
}

fn part_bytes(part: &Part) -> usize {
    let signature = |signature: &Option<String>| signature.as_deref().map_or(0, str::len);
    match part {
        Part::Text(text) => text.len(),
        Part::Image(_) => 0,
        Part::Thinking(thinking) => thinking.text.len() + signature(&thinking.signature),
        Part::ToolCall(call) => call.id.len() + call.name.len() + call.input.len() + signature(&call.signature),
        Part::ToolResult(result) => result.id.len() + result.content.len(),
    }
}

/// Bytes of a value as JSON text, which is not made for that.
fn json_bytes(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(0, |()| count.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::types::{Image, Role};
    use super::*;

    fn request() -> Request {
        Request { messages: vec![Message::text(Role::User, "hello")], ..Request::default() }
    }

    fn tool(name: &str) -> Tool {
        Tool { name: name.into(), description: String::new(), input_schema: json!({}) }
    }

    #[test]
    fn each_limit_holds_and_the_value_below_it_passes() {
        let image = |bytes: usize| Part::Image(Image { media_type: "image/png".into(), data: vec![0; bytes] });
        let with_parts =
            |parts: Vec<Part>| Request { messages: vec![Message { role: Role::User, parts }], ..request() };
        let text = |bytes: usize| with_parts(vec![Part::Text("x".repeat(bytes))]);
        let messages = |count: usize| Request { messages: vec![Message::text(Role::User, "x"); count], ..request() };
        let tools = |count: usize| Request { tools: (0..count).map(|i| tool(&format!("t{i}"))).collect(), ..request() };
        let pairs = [
            (messages(MESSAGES), messages(MESSAGES + 1)),
            (tools(TOOLS), tools(TOOLS + 1)),
            (with_parts(vec![image(1); IMAGES]), with_parts(vec![image(1); IMAGES + 1])),
            (with_parts(vec![image(IMAGE_BYTES)]), with_parts(vec![image(IMAGE_BYTES), image(1)])),
            (text(PROMPT_BYTES), text(PROMPT_BYTES + 1)),
            (
                Request { stop: vec!["a".into(); STOPS], ..request() },
                Request { stop: vec!["a".into(); STOPS + 1], ..request() },
            ),
            (
                Request { output_schema: Some(json!({"a": "x".repeat(SCHEMA_BYTES - 8)})), ..request() },
                Request { output_schema: Some(json!({"a": "x".repeat(SCHEMA_BYTES - 7)})), ..request() },
            ),
        ];
        for (good, bad) in pairs {
            assert_eq!(check(&good), Ok(()));
            assert!(matches!(check(&bad), Err(Refusal::TooLarge(_))));
        }
    }

    #[test]
    fn wrong_requests_are_invalid() {
        let image = Part::Image(Image { media_type: "text/html".into(), data: vec![] });
        let cases = [
            Request { messages: vec![], ..request() },
            Request { temperature: Some(f32::NAN), ..request() },
            Request { temperature: Some(f32::INFINITY), ..request() },
            Request { temperature: Some(-0.1), ..request() },
            Request { top_p: Some(1.1), ..request() },
            Request { max_tokens: Some(0), ..request() },
            Request { cache_until: Some(1), ..request() },
            Request { tools: vec![tool("a b")], ..request() },
            Request { tools: vec![tool("a"), tool("a")], ..request() },
            Request { tools: vec![Tool { input_schema: json!([]), ..tool("a") }], ..request() },
            Request { output_schema: Some(json!(true)), ..request() },
            Request { messages: vec![Message { role: Role::User, parts: vec![image] }], ..request() },
        ];
        for case in cases {
            assert!(matches!(check(&case), Err(Refusal::Invalid(_))), "{case:?}");
        }
        assert_eq!(
            check(&Request { temperature: Some(2.0), top_p: Some(0.0), cache_until: Some(0), ..request() }),
            Ok(())
        );
    }

    #[test]
    fn counts_err_on_the_high_side() {
        assert!(prompt_tokens(&request()) >= 2);
        let german = "Die Donaudampfschifffahrtsgesellschaft fährt über die Öresundbrücke.";
        assert!(text_tokens(german.len()) > 20);
        let with_tool = Request { tools: vec![tool("t")], ..request() };
        assert!(prompt_tokens(&with_tool) > prompt_tokens(&request()));
    }
}
