//! Structured output: instruct a model that has no native schema, find the JSON in its answer, check it, ask once more.

use serde_json::Value;

use super::types::{Message, Request, Role};
use crate::schema::{self, Validator, Violation};

/// Longest answer in which JSON is looked for, in bytes.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// How many places of an answer are tried as the beginning of JSON: prose full of braces must stay cheap.
const MAX_STARTS: usize = 64;
/// Violations that a message names.
const MAX_SHOWN: usize = 3;
/// How much of a bad answer goes back to the model, in characters.
const MAX_REPEATED: usize = 16_000;

const INSTRUCTION: &str = "Answer with one JSON value that matches the JSON Schema below, and nothing else: no prose before or \
                           after it, no code fence.";

/// Adds the schema as an instruction, for wires that cannot take one natively. Goes into the last system message, or a new
/// one in front, so that the conversation's turns stay as they are.
pub fn instruct(request: &mut Request, schema: &Value) {
    let text = format!("{INSTRUCTION}\n\nJSON Schema:\n{schema}");
    match request.messages.iter_mut().rfind(|message| message.role == Role::System) {
        Some(system) => system.parts.push(super::types::Part::Text(format!("\n\n{text}"))),
        None => {
            request.messages.insert(0, Message::text(Role::System, text));
            request.cache_until = request.cache_until.map(|index| index.saturating_add(1));
        }
    }
}

/// The JSON value in an answer: the whole of it, else what stands in a code fence, else the first object or array in the
/// prose. None where there is none, or where it is nested deeper than [`schema::MAX_DEPTH`].
pub fn extract_json(answer: &str) -> Option<Value> {
    let answer = answer.trim().trim_start_matches('\u{feff}');
    if answer.len() > MAX_ANSWER_BYTES {
        return None;
    }
    let found = parse(answer).or_else(|| fences(answer).find_map(|fenced| parse(fenced.trim()))).or_else(|| {
        answer
            .char_indices()
            .filter(|(_, c)| matches!(c, '{' | '['))
            .take(MAX_STARTS)
            .find_map(|(at, _)| parse_prefix(&answer[at..]))
    })?;
    (!schema::deeper_than(&found, schema::MAX_DEPTH)).then_some(found)
}

/// The value of an answer, checked.
pub fn check(validator: &Validator, answer: &str) -> Result<Value, Vec<Violation>> {
    let Some(value) = extract_json(answer) else {
        let start = schema::shorten(answer.trim(), 60);
        let message = format!("there is no JSON in the answer, which begins with `{start}`");
        return Err(vec![Violation { path: String::new(), message }]);
    };
    schema::check(validator, &value).map(|()| value)
}

/// Whether a provider refused a request because of the schema for its answer: servers differ in which of them they take, if any.
pub fn is_refused(refusal: &str) -> bool {
    let refusal = refusal.to_ascii_lowercase();
    [
        "response_format",
        "response format",
        "json_schema",
        "json schema",
        "jsonschema",
        "structured output",
        "output_format",
        "output_config",
        "text.format",
        "response_schema",
        "responseschema",
    ]
    .iter()
    .any(|word| refusal.contains(word))
}

/// Whether such a refusal says that no schema is taken at all. Not where it may be about what is in this one, or in the skill's tools: one
/// skill must not decide for all others, and a provider repeats a skill's own words.
pub fn is_refused_for_good(refusal: &str) -> bool {
    let refusal = refusal.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| refusal.contains(word));
    let of_this_one = [
        "invalid schema",
        "invalid json schema",
        "schema conversion",
        "in context=",
        "grammar",
        "too complex",
        "keyword",
        "tools",
        "function",
        "parameters",
        "properties",
    ];
    let of_all = [
        "not supported",
        "unsupported",
        "not support",
        "n't support",
        "unavailable",
        "not available",
        "unknown",
        "unrecognized",
        "not permitted",
        "not allowed",
        "unexpected",
        "must be",
        "should be",
    ];
    !says(&of_this_one) && says(&of_all)
}

/// The same request once more, with the bad answer and what is wrong with it as two further turns, and the schema in words where
/// the model may never have been told of it. No tools: what is missing now is form, not knowledge.
pub fn repair_request(request: &Request, bad_answer: &str, violations: &[Violation], untold: bool) -> Request {
    let mut repair = request.clone();
    let answer: String = bad_answer.chars().take(MAX_REPEATED).collect();
    // Wires refuse an empty turn.
    let answer = if answer.trim().is_empty() { "(no answer)".into() } else { answer };
    repair.messages.push(Message::text(Role::Assistant, answer));
    let wrong = format!("That answer does not match the JSON Schema:\n{}", schema::render(violations));
    let again = match &request.output_schema {
        Some(schema) if untold => format!("{INSTRUCTION}\n\nJSON Schema:\n{schema}"),
        _ => "Answer again with the corrected JSON value and nothing else.".into(),
    };
    repair.messages.push(Message::text(Role::User, format!("{wrong}\n\n{again}")));
    repair.tools.clear();
    repair.tool_choice = super::types::ToolChoice::Auto;
    repair
}

/// The first violations, for a message of one line.
pub fn in_a_line(violations: &[Violation]) -> String {
    let shown: Vec<String> = violations.iter().take(MAX_SHOWN).map(Violation::to_string).collect();
    let more = violations.len().saturating_sub(MAX_SHOWN);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    format!("{}{more}", shown.join(", "))
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// A value at the beginning of `text`, whatever follows it.
fn parse_prefix(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}

/// The contents of code fences, without their language word.
fn fences(answer: &str) -> impl Iterator<Item = &str> {
    answer.split("```").skip(1).step_by(2).map(|fenced| match fenced.split_once('\n') {
        Some((language, content)) if !language.trim_start().starts_with(['{', '[']) => content,
        _ => fenced,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_json_bare_fenced_and_in_prose() {
        let value = json!({"a": [1, 2]});
        for answer in [
            r#"{"a":[1,2]}"#,
            "  \u{feff}{\"a\":[1,2]}\n",
            "Here:\n```json\n{\"a\": [1, 2]}\n```\nBye {",
            "```\n{\"a\": [1,2]}```",
            "```{\"a\": [1,2]}```",
            r#"Sure {not json}: {"a": [1,2]} is it. {"b": 1}"#,
        ] {
            assert_eq!(extract_json(answer), Some(value.clone()), "{answer}");
        }
        assert_eq!(extract_json("42"), Some(json!(42)));
        assert_eq!(extract_json("no json"), None);
        assert_eq!(extract_json(""), None);
    }

    #[test]
    fn bombs_are_not_json() {
        assert_eq!(extract_json(&"[".repeat(1_000_000)), None);
        assert_eq!(extract_json(&"{\"a\":".repeat(100_000)), None);
        assert_eq!(extract_json(&format!("{}{}", "[".repeat(100), "]".repeat(100))), None);
        assert_eq!(extract_json(&"[1]".repeat(MAX_ANSWER_BYTES)), None);
    }

    #[test]
    fn checks_and_repairs() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let validator = schema::compile(&schema).unwrap();
        assert_eq!(check(&validator, "it is {\"n\": 3}"), Ok(json!({"n": 3})));
        let violations = check(&validator, "{\"n\": \"x\"}").unwrap_err();
        assert_eq!(violations[0].path, "/n");
        assert!(check(&validator, "sorry").unwrap_err()[0].message.contains("`sorry`"));

        let mut request = Request { messages: vec![Message::text(Role::User, "count")], ..Request::default() };
        request.cache_until = Some(0);
        instruct(&mut request, &schema);
        assert_eq!(request.messages[0].role, Role::System);
        assert!(request.messages[0].joined_text().contains(&schema.to_string()));
        assert_eq!(request.cache_until, Some(1));
        instruct(&mut request, &schema);
        assert_eq!(request.messages.len(), 2, "an existing system message is extended");

        let repair = repair_request(&request, "", &violations, false);
        assert_eq!(repair.messages.len(), 4);
        assert_eq!(repair.messages[2].joined_text(), "(no answer)");
        assert!(repair.messages[3].joined_text().contains("/n: "));
        assert!(!repair.messages[3].joined_text().contains("required"), "the first message holds it");
        request.output_schema = Some(schema.clone());
        let repair = repair_request(&request, "", &violations, true);
        assert!(repair.messages[3].joined_text().contains(&schema.to_string()));
    }

    #[test]
    fn violations_fit_in_a_line() {
        let of = |count: usize| {
            let one = |n| Violation { path: format!("/{n}"), message: "is odd".into() };
            in_a_line(&(0..count).map(one).collect::<Vec<_>>())
        };
        assert_eq!(of(1), "/0: is odd");
        assert_eq!(of(3), "/0: is odd, /1: is odd, /2: is odd");
        assert_eq!(of(16), "/0: is odd, /1: is odd, /2: is odd, and 13 more");
    }

    #[test]
    fn a_refusal_of_all_schemas_is_told_from_that_of_one() {
        for (refusal, refused, for_good) in [
            ("This response_format type is unavailable now", true, true),
            ("'response_format.type' must be 'json_object' or 'text'", true, true),
            ("This model does not support response format `json_schema`.", true, true),
            ("body.response_format.type: Input should be 'text'", true, true),
            ("Invalid schema for response_format 'answer': In context=(), 'required' is missing", true, false),
            ("JSON schema conversion failed: unknown type", true, false),
            ("tools[0].function_declarations[0].parameters.properties[json_schema].items: unknown field", true, false),
            ("response_format: the schema is too deep", true, false),
            ("max_tokens is too large", false, false),
        ] {
            assert_eq!(is_refused(refusal), refused, "{refusal}");
            assert_eq!(is_refused(refusal) && is_refused_for_good(refusal), for_good, "{refusal}");
        }
    }
}
