//! The schema of a tool's input in the form that every model can be given.
//!
//! Providers take an object with a property for each argument and nothing that chooses between forms of it: OpenAI ("schema must have
//! type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level"), Anthropic (the same, and names of properties by
//! `^[a-zA-Z0-9_.-]{1,64}$`), MCP (`inputSchema` is of type `object`). One such tool makes a provider refuse the whole request, with
//! all the other tools in it. So it is found when the skill is built or loaded, and not in the middle of a conversation.

use serde_json::{Map, Value};

use super::{SchemaError, shorten};

/// What chooses between forms of the whole input.
const CHOICES: [&str; 6] = ["oneOf", "anyOf", "allOf", "not", "enum", "const"];
/// What may stand beside a reference at the root without changing what it means.
const BESIDE: [&str; 8] = ["$ref", "$defs", "$schema", "$comment", "title", "description", "examples", "definitions"];
/// References at the root that lead to another one.
const HOPS: usize = 16;
/// Longest name of an argument.
const NAME_BYTES: usize = 64;

/// The same schema with its root written out: `type: object` where nothing else is said, and the definition itself where the root
/// only refers to one, as the schema of a type that contains itself does. The error says what no model can be given.
pub fn arguments(schema: &Value) -> Result<Value, SchemaError> {
    let mut root = match schema {
        Value::Bool(true) => Map::new(),
        Value::Object(root) => root.clone(),
        _ => return Err(wrong("it allows nothing".into())),
    };
    for _ in 0..HOPS {
        let Some(target) = root.get("$ref").and_then(Value::as_str) else { break };
        if let Some(other) = root.keys().find(|key| !BESIDE.contains(&key.as_str())) {
            return Err(wrong(format!("at its root stands `{}` beside `$ref`", shorten(other, NAME_BYTES))));
        }
        let found = target.strip_prefix('#').and_then(|pointer| schema.pointer(pointer)).and_then(Value::as_object);
        let Some(found) = found else {
            return Err(wrong(format!("its root refers to `{}`, which is no schema in it", shorten(target, 120))));
        };
        let mut whole = found.clone();
        // What is said of this use of the definition is nearer than what is said of the definition.
        whole.extend(root.into_iter().filter(|(key, _)| key != "$ref"));
        root = whole;
    }
    if root.contains_key("$ref") {
        return Err(wrong("its root refers to itself".into()));
    }
    if let Some(choice) = CHOICES.iter().find(|choice| root.contains_key(**choice)) {
        return Err(wrong(format!("at its root stands `{choice}`")));
    }
    match root.get("type") {
        None => drop(root.insert("type".into(), "object".into())),
        Some(Value::String(word)) if word == "object" => {}
        Some(other) => return Err(wrong(format!("its root is of type {}", shorten(&other.to_string(), 60)))),
    }
    let names = root.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
    let plain = |name: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(known)
    };
    match { names }.find(|name| !plain(name)) {
        Some(name) => Err(wrong(format!(
            "the name of its argument `{}` is not 1 to {NAME_BYTES} of a-z, A-Z, 0-9, `_`, `-` and `.`",
            shorten(name, 80)
        ))),
        None => Ok(Value::Object(root)),
    }
}

fn wrong(what: String) -> SchemaError {
    SchemaError::Ungivable(what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_an_object_is_written_as_one() {
        let text = json!({ "type": "string" });
        for (schema, made) in [
            (json!(true), json!({ "type": "object" })),
            (json!({}), json!({ "type": "object" })),
            (json!({ "properties": { "a": text } }), json!({ "type": "object", "properties": { "a": text } })),
            (
                json!({ "type": "object", "properties": { "a.b-c_D": { "anyOf": [text, { "type": "null" }] } } }),
                json!({ "type": "object", "properties": { "a.b-c_D": { "anyOf": [text, { "type": "null" }] } } }),
            ),
            (
                json!({ "$ref": "#/$defs/Tree", "description": "Mine.", "$defs": {
                    "Tree": { "type": "object", "description": "A tree.", "properties": { "left": { "$ref": "#/$defs/Tree" } } },
                } }),
                json!({ "type": "object", "description": "Mine.", "properties": { "left": { "$ref": "#/$defs/Tree" } }, "$defs": {
                    "Tree": { "type": "object", "description": "A tree.", "properties": { "left": { "$ref": "#/$defs/Tree" } } },
                } }),
            ),
        ] {
            assert_eq!(arguments(&schema).unwrap(), made, "{schema}");
            assert_eq!(arguments(&made).unwrap(), made, "what is right stays as it is");
        }
    }

    #[test]
    fn what_no_model_can_be_given_is_named() {
        for (schema, word) in [
            (json!(false), "allows nothing"),
            (json!([]), "allows nothing"),
            (json!({ "type": "string" }), "of type \"string\""),
            (json!({ "type": ["object", "null"] }), "of type [\"object\",\"null\"]"),
            (json!({ "type": "object", "oneOf": [{}] }), "`oneOf`"),
            (json!({ "anyOf": [{ "type": "object" }] }), "`anyOf`"),
            (json!({ "enum": [{}] }), "`enum`"),
            (json!({ "$ref": "#" }), "refers to itself"),
            (json!({ "$ref": "#/$defs/none" }), "`#/$defs/none`"),
            (json!({ "$ref": "#/$defs/a", "required": ["x"], "$defs": { "a": {} } }), "`required` beside `$ref`"),
            (json!({ "properties": { "größe": {} } }), "`größe`"),
            (json!({ "properties": { "first name": {} } }), "`first name`"),
            (json!({ "properties": { "": {} } }), "``"),
            (json!({ "properties": { "x".repeat(65): {} } }), "xxx"),
        ] {
            let error = arguments(&schema).unwrap_err();
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
}
