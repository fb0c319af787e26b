//! JSON Schemas from strangers: compiled under caps, checked, and their violations said in words.
//!
//! A schema comes from a skill, an operator or a model, so it is hostile until it has passed [`compile`]: no `$ref` that
//! leaves the document, at most [`MAX_BYTES`] and [`MAX_DEPTH`], and patterns only in the linear-time regex engine.

use std::fmt;

use jsonschema::{PatternOptions, ValidationError};
use serde_json::Value;

use crate::error::Refusal;

use crate::error::Explain;

#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod steps;

use steps::{Counted, One, STEPS};

/// A schema that was compiled.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator<Counted>);

/// Largest schema, as compact JSON text, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting of a schema or of a value, in levels.
pub const MAX_DEPTH: usize = 64;
/// Most violations that one check gives: a reader mends the first few and checks again.
pub const MAX_VIOLATIONS: usize = 16;
/// Memory of one compiled `pattern`, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
/// Longest value that a message repeats, in characters.
const MAX_SHOWN: usize = 60;

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("the schema has {actual} bytes; at most {MAX_BYTES} are allowed")]
    TooLarge { actual: usize },
    #[error("the schema is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the schema refers to `{0}`, which lies outside of it")]
    Remote(String),
    #[error("{path}: {message}")]
    Malformed { path: String, message: String },
}

impl Explain for SchemaError {
    fn kind(&self) -> &'static str {
        "invalid-schema"
    }

    fn hint(&self) -> String {
        match self {
            Self::TooLarge { .. } => "split the tool, or shorten descriptions and enums",
            Self::TooDeep => "flatten it with `$defs` and `$ref`",
            Self::Remote(_) => "copy the definition under `$defs` and refer to it as `#/$defs/NAME`",
            Self::Malformed { .. } => "correct it after JSON Schema 2020-12 (https://json-schema.org/draft/2020-12)",
        }
        .into()
    }
}

/// One place where a value does not match its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the value; empty for the value as a whole.
    pub path: String,
    /// What is wrong there, with the offending value cut short.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names in it come from whoever gave the value.
        let path: String =
            if self.path.is_empty() { "/".into() } else { self.path.chars().flat_map(visible).collect() };
        write!(f, "{path}: {}", self.message)
    }
}

/// Reads JSON text that nobody has looked at yet: nested at most [`MAX_DEPTH`] levels deep.
pub fn parse(text: &str) -> Result<Value, Refusal> {
    crate::capability::words::json("the text", text)
}

/// Compiles a schema that nobody has looked at yet. Draft 2020-12 unless `$schema` says otherwise. `format` is checked.
pub fn compile(schema: &Value) -> Result<Validator, SchemaError> {
    guard(schema)?;
    jsonschema::options_for::<Counted>()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .build(schema)
        .map(Validator)
        .map_err(|error| match error.kind() {
            jsonschema::error::ValidationErrorKind::Referencing(_) => {
                SchemaError::Malformed { path: "/".into(), message: shorten(&error.to_string(), 200) }
            }
            _ => {
                let violation = say(&error);
                SchemaError::Malformed { path: pointer(&violation.path), message: violation.message }
            }
        })
}

/// Refuses what is too large, too deep or refers to the outside. Never recurses deeper than [`MAX_DEPTH`].
pub fn guard(schema: &Value) -> Result<(), SchemaError> {
    if deeper_than(schema, MAX_DEPTH) {
        return Err(SchemaError::TooDeep);
    }
    let actual = schema.to_string().len();
    if actual > MAX_BYTES {
        return Err(SchemaError::TooLarge { actual });
    }
    match remote_reference(schema) {
        Some(target) => Err(SchemaError::Remote(shorten(target, 200))),
        None => Ok(()),
    }
}

/// Whether a value has more than `limit` levels of arrays and objects.
pub fn deeper_than(value: &Value, limit: usize) -> bool {
    let children: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => return false,
    };
    limit == 0 || { children }.any(|child| deeper_than(child, limit - 1))
}

/// All violations of `value`, at most [`MAX_VIOLATIONS`], in the order of the schema, or a single one
/// where the check was given up because it looked at the value too often. What a schema does without that is not counted.
pub fn check(validator: &Validator, value: &Value) -> Result<(), Vec<Violation>> {
    if deeper_than(value, MAX_DEPTH) {
        let message = format!("is nested deeper than {MAX_DEPTH} levels");
        return Err(vec![Violation { path: String::new(), message }]);
    }
    let found = steps::within(|| {
        validator.0.iter_errors(One(value)).take(MAX_VIOLATIONS).map(|error| say(&error)).collect::<Vec<_>>()
    });
    let Some(violations) = found else {
        let message =
            format!("takes more than {STEPS} steps to check: the schema refers to the same parts again and again");
        return Err(vec![Violation { path: String::new(), message }]);
    };
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// Violations as one text, a line each: `/items/2/price: "abc" is not of type "number"`.
pub fn render(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("\n")
}

/// A text cut to `limit` characters, with `...` where it was cut and control characters made visible.
pub fn shorten(text: &str, limit: usize) -> String {
    let mut out: String = text.chars().take(limit).flat_map(visible).collect();
    if text.chars().nth(limit).is_some() {
        out.push_str("...");
    }
    out
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// The first `$ref` (or kin) that is not a fragment of this document. `$id` would let a fragment name another document,
/// but with nothing to fetch from it can only fail to compile.
fn remote_reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(map) => map.iter().find_map(|(key, value)| match (key.as_str(), value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) if !target.starts_with('#') => {
                Some(target.as_str())
            }
            // These hold data, not schemas: a `$ref` inside of them refers to nothing.
            ("const" | "enum" | "default" | "examples", _) => None,
            _ => remote_reference(value),
        }),
        Value::Array(items) => items.iter().find_map(remote_reference),
        _ => None,
    }
}

fn say(error: &ValidationError<'_>) -> Violation {
    let instance = error.instance();
    let value = match instance.as_ref() {
        Value::Object(_) => "the object".into(),
        Value::Array(_) => "the array".into(),
        other => shorten(&other.to_string(), MAX_SHOWN),
    };
    Violation {
        path: error.instance_path().to_string(),
        message: shorten(&error.masked_with(value.as_str()).to_string(), 300),
    }
}

fn pointer(path: &str) -> String {
    if path.is_empty() { "/".into() } else { path.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_where_and_what() {
        let schema = json!({"type": "object", "required": ["items"], "properties": {
            "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}}}});
        let validator = compile(&schema).unwrap();
        assert_eq!(check(&validator, &json!({"items": [{"price": 1}]})), Ok(()));
        let bad = check(&validator, &json!({"items": [{}, {}, {"price": "abc"}]})).unwrap_err();
        assert_eq!(render(&bad), r#"/items/2/price: "abc" is not of type "number""#);
        let bad = check(&validator, &json!({})).unwrap_err();
        assert_eq!(render(&bad), r#"/: "items" is a required property"#);
    }

    #[test]
    fn refuses_the_outside() {
        for target in ["https://example.com/a.json", "file:///etc/passwd", "other.json#/a"] {
            let schema = json!({"properties": {"a": {"$ref": target}}});
            assert_eq!(compile(&schema).unwrap_err(), SchemaError::Remote(target.into()));
        }
        let escaped = json!({"$id": "https://example.com/x", "$ref": "#/$defs/none"});
        assert!(matches!(compile(&escaped), Err(SchemaError::Malformed { .. })));
        assert!(compile(&json!({"const": {"$ref": "https://example.com"}})).is_ok());
    }

    #[test]
    fn refuses_bombs() {
        let mut deep = json!({});
        for _ in 0..1000 {
            deep = json!({"not": deep});
        }
        assert_eq!(compile(&deep).unwrap_err(), SchemaError::TooDeep);
        let large = json!({"description": "x".repeat(MAX_BYTES)});
        assert!(matches!(compile(&large), Err(SchemaError::TooLarge { .. })));
        let pattern = json!({"pattern": "(((a{1000}){1000}){1000})"});
        assert!(matches!(compile(&pattern), Err(SchemaError::Malformed { .. })));
    }

    #[test]
    fn recursive_schemas_compile_and_check() {
        let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}});
        let validator = compile(&schema).unwrap();
        assert!(check(&validator, &json!({"n": {"n": {}}})).is_ok());
        assert_eq!(check(&validator, &json!({"n": {"n": 1}})).unwrap_err()[0].path, "/n/n");
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"n": deep});
        }
        assert!(check(&validator, &deep).unwrap_err()[0].message.contains("deeper"));
    }

    /// Definitions that each refer twice to the next, of which the last is `end`.
    fn doubling(levels: usize, end: &Value) -> Value {
        let mut defs = serde_json::Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            defs.insert(level.to_string(), json!({"allOf": [next, next]}));
        }
        defs.insert(levels.to_string(), end.clone());
        json!({"$ref": "#/$defs/0", "$defs": defs})
    }

    #[test]
    fn a_check_with_violations_without_end_is_given_up() {
        for end in [json!({"type": "string"}), json!(false)] {
            let check = |levels| check(&compile(&doubling(levels, &end)).unwrap(), &json!(1)).unwrap_err();
            assert!(!check(3)[0].message.contains("steps"), "{end}");
            assert!(check(60)[0].message.contains("steps"), "{end}: {:?}", check(60));
        }
        // What is only large is checked.
        let large = json!(vec![json!({"a": 1, "b": "x"}); 20_000]);
        let schema =
            json!({"items": {"required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}});
        assert_eq!(check(&compile(&schema).unwrap(), &large), Ok(()));
        let wrong = check(&compile(&json!({"items": {"type": "string"}})).unwrap(), &large).unwrap_err();
        assert_eq!((wrong.len(), wrong[15].path.as_str()), (MAX_VIOLATIONS, "/15"));
    }

    #[test]
    fn malformed_schemas_say_where() {
        let error = compile(&json!({"properties": {"a": {"type": "strnig"}}})).unwrap_err();
        assert!(error.to_string().contains("/properties/a/type"), "{error}");
        assert_eq!(error.kind(), "invalid-schema");
    }

    #[test]
    fn offending_values_are_cut_and_shown_safely() {
        let validator = compile(&json!({"type": "integer"})).unwrap();
        let bad = check(&validator, &json!(format!("\u{1b}[31m{}", "x".repeat(10_000)))).unwrap_err();
        let text = render(&bad);
        assert!(text.chars().count() < 200 && !text.contains('\u{1b}'), "{text}");
        let validator = compile(&json!({"additionalProperties": {"type": "integer"}})).unwrap();
        let text = render(&check(&validator, &json!({"\u{1b}[2J": "x"})).unwrap_err());
        assert_eq!(text, r#"/\u{1b}[2J: "x" is not of type "integer""#);
    }
}
