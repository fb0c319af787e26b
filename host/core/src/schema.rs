//! JSON Schemas from strangers: compiled under caps, checked, and their violations said in words.
//!
//! A schema comes from a skill, an operator or a model, so it is hostile until it has passed [`compile`]: no `$ref` that
//! leaves the document, at most [`MAX_BYTES`] and [`MAX_DEPTH`], nothing that stands for thousands of schemas or leads back to
//! itself, and patterns only in the linear-time regex engine.

use std::fmt;

use jsonschema::{PatternOptions, ValidationError};
use serde_json::Value;

use crate::error::Refusal;

use crate::error::Explain;

mod arguments;
mod cost;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod steps;
mod weight;

pub use arguments::arguments;
use cost::Cost;
use steps::{Counted, One};
pub use weight::Weight;

/// A schema that was compiled.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator<Counted>,
    cost: Cost,
}

/// Largest schema, as compact JSON text, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting of a schema or of a value, in levels.
pub const MAX_DEPTH: usize = 64;
/// Most violations that one check gives: a reader mends the first few and checks again.
pub const MAX_VIOLATIONS: usize = 16;
/// Memory of one compiled `pattern`, and of all of them, in bytes; and as much again while they match.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
const MAX_PATTERNS_BYTES: usize = 64 * MAX_PATTERN_BYTES;
/// Schemas inside of each other that are compiled on the stack of whoever asks, which may be a guest's.
const SHALLOW: usize = 64;
/// Stack for what is deeper: a level takes a few KiB.
const STACK_BYTES: usize = 32 << 20;
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
    #[error("the schema takes too long to check: {0}")]
    Costly(String),
    #[error("{path}: {message}")]
    Malformed { path: String, message: String },
    #[error("no model can be given it: {0}")]
    Ungivable(String),
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
            Self::Costly(_) => {
                "refer to each definition from fewer places, and to none from itself except for parts of the value"
            }
            Self::Ungivable(_) => {
                "make it an object with a property for each argument; what may take several forms goes into one of them"
            }
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
    let cost = guard(schema)?;
    let pattern = MAX_PATTERN_BYTES.min(MAX_PATTERNS_BYTES / cost.patterns.max(1));
    let build = || {
        jsonschema::options_for::<Counted>()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(pattern).dfa_size_limit(pattern))
            .build(schema)
            .map_err(|error| match error.kind() {
                jsonschema::error::ValidationErrorKind::Referencing(_) => {
                    SchemaError::Malformed { path: "/".into(), message: shorten(&error.to_string(), 200) }
                }
                _ => {
                    let violation = say(&error);
                    SchemaError::Malformed { path: pointer(&violation.path), message: violation.message }
                }
            })
    };
    let compiled = if cost.nested <= SHALLOW { build() } else { on_a_large_stack(build) }?;
    Ok(Validator { compiled, cost })
}

fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, SchemaError> + Send) -> Result<T, SchemaError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema".into()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(SchemaError::Costly(format!("there is no thread to compile it on ({error})"))),
        }
    })
}

/// Refuses what is too large, too deep, too costly or refers to the outside. Never recurses deeper than [`MAX_DEPTH`].
fn guard(schema: &Value) -> Result<Cost, SchemaError> {
    if deeper_than(schema, MAX_DEPTH) {
        return Err(SchemaError::TooDeep);
    }
    let actual = schema.to_string().len();
    if actual > MAX_BYTES {
        return Err(SchemaError::TooLarge { actual });
    }
    if let Some(target) = remote_reference(schema) {
        return Err(SchemaError::Remote(shorten(target, 200)));
    }
    cost::cost(schema)
}

/// Whether a value has more than `limit` levels of arrays and objects.
pub fn deeper_than(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|child| deeper_than(child, limit - 1)),
        Value::Object(map) => limit == 0 || map.values().any(|child| deeper_than(child, limit - 1)),
        _ => false,
    }
}

/// All violations of `value`, at most [`MAX_VIOLATIONS`], in the order of the schema, or a single one where the value is
/// nested too deep for the schema or the check was given up because it took too many steps.
pub fn check(validator: &Validator, value: &Value) -> Result<(), Vec<Violation>> {
    let whole = |message| Err(vec![Violation { path: String::new(), message }]);
    let deepest = validator.cost.deepest();
    if deeper_than(value, deepest) {
        return whole(format!("is nested deeper than {deepest} levels"));
    }
    let steps = validator.cost.steps();
    let found = steps::within(steps, validator.cost.matching, || {
        // Nearly all that is checked is right, which is found out without making anything.
        if validator.compiled.is_valid(One(value)) {
            return Vec::new();
        }
        validator.compiled.iter_errors(One(value)).take(MAX_VIOLATIONS).map(|error| say(&error)).collect::<Vec<_>>()
    });
    match found {
        Some(violations) if violations.is_empty() => Ok(()),
        Some(violations) => Err(violations),
        None => whole(format!("takes more than {steps} steps to check: there is too much of it for its schema")),
    }
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

    /// Definitions of which each is made of a reference to the next, and the last is a string.
    fn definitions(count: usize, make: impl Fn(Value) -> Value) -> Value {
        let mut defs: serde_json::Map<_, _> =
            (0..count).map(|at| (at.to_string(), make(json!({"$ref": format!("#/$defs/{}", at + 1)})))).collect();
        defs.insert(count.to_string(), json!({"type": "string"}));
        json!({"$ref": "#/$defs/0", "$defs": defs})
    }

    fn costly(schema: &Value) -> String {
        match compile(schema) {
            Err(SchemaError::Costly(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stands_for_thousands_of_schemas_is_refused() {
        for make in [
            |next: Value| json!({"allOf": [next, next]}),
            |next: Value| json!({"anyOf": [next, {"not": next}]}),
            |next: Value| json!({"if": next, "then": next, "else": false}),
            |next: Value| json!({"dependentSchemas": {"a": next, "b": next}}),
            |next: Value| json!({"dependencies": {"a": next, "const": next}}),
            |next: Value| json!({"unevaluatedProperties": false, "allOf": [next]}),
            |next: Value| json!({"unevaluatedItems": false, "$ref": next["$ref"]}),
        ] {
            assert!(compile(&definitions(2, make)).is_ok());
            let why = costly(&definitions(40, make));
            assert!(why.contains("for one value") || why.contains("lead to each other"), "{why}");
        }
        // By other names for the same.
        let mut anchors = definitions(25, |next| json!({"allOf": [next, next]})).to_string();
        for at in 0..=25 {
            anchors = anchors
                .replace(&format!("\"#/$defs/{at}\""), &format!("\"#d{at}\""))
                .replace(&format!("\"{at}\":{{"), &format!("\"{at}\":{{\"$anchor\":\"d{at}\","));
        }
        assert!(costly(&serde_json::from_str(&anchors).unwrap()).contains("for one value"), "{anchors}");
        let encoded = definitions(25, |next| json!({"allOf": [next, next]})).to_string().replace("$defs/", "%24defs/");
        assert!(costly(&serde_json::from_str(&encoded).unwrap()).contains("for one value"));
        let inner = json!({"allOf": [{"$id": "https://a.example/", "$defs": definitions(25, |next| json!({"allOf": [next, next]}))["$defs"], "$ref": "#/$defs/0"}]});
        assert!(costly(&inner).contains("for one value"));
        // Parts of the value end it.
        assert!(compile(&definitions(40, |next| json!({"properties": {"a": next, "b": next}, "items": next}))).is_ok());
    }

    #[test]
    fn what_leads_on_and_on_is_refused() {
        for make in [|next: Value| next, |next: Value| json!({"allOf": [next]}), |next: Value| json!({"not": next})] {
            assert!(compile(&definitions(20, make)).is_ok());
            assert!(costly(&definitions(3_000, make)).contains("lead to each other"));
        }
        for ring in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
            json!({"$dynamicAnchor": "a", "not": {"$dynamicRef": "#a"}}),
            json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "anyOf": [{"$recursiveRef": "#"}]}),
            json!({"properties": {"p": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        ] {
            assert!(costly(&ring).contains("leads back to itself"), "{ring}");
        }
    }

    #[test]
    fn what_is_no_schema_by_its_place_is_not_made_one() {
        let doubling = definitions(25, |next| json!({"allOf": [next, next]}));
        let holds = |keyword: &str, target: &str| {
            let bomb = doubling.to_string().replace("#/$defs/", &format!("{target}/properties/a/$defs/"));
            let bomb = json!({"properties": {"a": serde_json::from_str::<Value>(&bomb).unwrap()}});
            let mut schema = json!({"properties": {"b": {"$ref": target}}});
            schema[keyword] = if target.ends_with("/0") { json!([bomb]) } else { bomb };
            compile(&schema).map(|_| ())
        };
        for (keyword, target) in
            [("default", "#/default"), ("const", "#/const"), ("enum", "#/enum/0"), ("examples", "#/examples/0")]
        {
            assert!(matches!(holds(keyword, target), Err(SchemaError::Malformed { .. })), "{keyword}");
        }
        let names = json!({"properties": {"properties": {"const": {"$ref": "#"}}, "a": {"$ref": "#/properties"}}});
        assert!(matches!(compile(&names), Err(SchemaError::Malformed { .. })));
        // Named by other words than ours, a schema is one.
        let grouped = json!({"definitions": {"group": {"a": {"type": "string"}}}, "$ref": "#/definitions/group/a"});
        assert!(check(&compile(&grouped).unwrap(), &json!(1)).is_err());
    }

    #[test]
    fn schemas_in_use_are_cheap() {
        // The schema of schemas.
        let draft_7 = include_str!("../../../tests/fuzz/seeds/json_in/draft_07").split('\0').next().unwrap();
        let cost = cost::cost(&serde_json::from_str(draft_7).unwrap()).unwrap();
        assert!(
            cost.visits < 20 && cost.chain < 5 && cost.steps() > 1_000_000 && cost.deepest() == MAX_DEPTH,
            "{cost:?}"
        );
        // A hundred kinds of records, in a tree.
        let kinds: Vec<_> = (0..100).map(|at| json!({"$ref": format!("#/$defs/{at}")})).collect();
        let defs: serde_json::Map<_, _> = (0..100)
            .map(|at| (at.to_string(), json!({"properties": {"kind": {"const": at}, "next": {"$ref": "#/$defs/any"}}, "required": ["kind"]})))
            .chain([("any".into(), json!({"anyOf": kinds}))])
            .collect();
        let schema = compile(&json!({"items": {"$ref": "#/$defs/any"}, "$defs": defs})).unwrap();
        let many = json!(vec![json!({"kind": 99, "next": {"kind": 50, "next": {"kind": 7}}}); 100]);
        assert_eq!(check(&schema, &many), Ok(()));
        let large = json!(vec![json!({"a": 1, "b": "x"}); 20_000]);
        let schema =
            json!({"items": {"required": ["a"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}});
        assert_eq!(check(&compile(&schema).unwrap(), &large), Ok(()));
        let wrong = check(&compile(&json!({"items": {"type": "string"}})).unwrap(), &large).unwrap_err();
        assert_eq!((wrong.len(), wrong[15].path.as_str()), (MAX_VIOLATIONS, "/15"));
    }

    fn nested(levels: usize, inmost: Value) -> Value {
        (0..levels).fold(inmost, |inner, _| json!({"aa": inner}))
    }

    #[test]
    fn a_check_that_takes_too_many_steps_is_given_up() {
        let twice = json!({"type": "object", "patternProperties": {"^a": {"$ref": "#"}, "a$": {"$ref": "#"}}});
        let schema = compile(&twice).unwrap();
        assert_eq!(check(&schema, &nested(5, json!({}))), Ok(()));
        // What is right is found out at once; what is wrong is told once for every way that leads to it.
        assert_eq!(check(&schema, &nested(60, json!({}))), Ok(()));
        assert_eq!(check(&schema, &nested(3, json!(1))).unwrap_err().len(), 8);
        assert!(check(&schema, &nested(60, json!(1))).unwrap_err()[0].message.contains("steps"));
        // Violations count for more than looks: they take memory.
        let schema = compile(
            &json!({"anyOf": [{"patternProperties": {"^a": {"$ref": "#"}, "a$": {"$ref": "#"}}, "required": ["b"]}]}),
        )
        .unwrap();
        assert!(check(&schema, &nested(40, json!({}))).unwrap_err()[0].message.contains("steps"));
    }

    #[test]
    fn a_pattern_costs_what_its_text_may_take() {
        let text = |count: usize| json!("ab".repeat(count / 2));
        let spent = |schema: &Value, value: &Value| {
            let found = check(&compile(schema).unwrap(), value);
            found.is_err_and(|violations| violations[0].message.contains("steps"))
        };
        for pattern in ["[ab]*a[ab]{900}c", "^.*(?:a[ab]{9}){100}c$", "(?:a[ab]{2}){90}c", "^(?:x|.)*a[^a\\]]{900,}c"] {
            let schema = json!({ "pattern": pattern });
            assert!(spent(&schema, &text(4 << 20)), "{pattern}");
            assert!(!spent(&schema, &text(1_000)), "{pattern}");
            let names = json!({"patternProperties": {pattern: true}});
            assert!(spent(&names, &json!({ "ab".repeat(1 << 20): 1 })), "{pattern}");
        }
        // What people write. Beside it there may be a long text that it is not about.
        for pattern in [
            "^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$",
            "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
            "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$",
            "^.{1,900}$",
            "^https?://[^\\s/]+(/[^\\s]*)?$",
        ] {
            let schema = json!({"properties": {"a": {"pattern": pattern}, "text": {"type": "string"}}});
            assert!(!spent(&schema, &json!({"a": text(500), "text": text(2 << 20)})), "{pattern}");
        }
        // Many patterns, of which each is held against every name.
        let patterns: serde_json::Map<_, _> = (0..1_000).map(|at| (format!("a.{at}"), json!(true))).collect();
        let names: serde_json::Map<_, _> = (0..20_000).map(|at| (format!("b{at}"), json!(1))).collect();
        for more in [json!(true), json!(false), json!({"type": "integer"})] {
            let schema = json!({"patternProperties": patterns, "additionalProperties": more});
            assert!(spent(&schema, &Value::Object(names.clone())), "{more}");
        }
        // Lists that are alike to their ends are looked at to their ends.
        let unique = json!({"allOf": vec![json!({"uniqueItems": true}); 1_000]});
        let mut alike = vec![vec![1; 10_000]; 10];
        alike.iter_mut().enumerate().for_each(|(at, items)| items.push(at));
        assert!(spent(&unique, &json!(alike)));
    }

    /// The longest chains and the deepest values that are let through, on a stack as small as a guest leaves to the host.
    #[test]
    fn the_stack_of_a_guest_is_enough() {
        let chain = |count: usize, make: &dyn Fn(Value) -> Value| {
            let mut schema = definitions(count, make);
            schema["$defs"][count.to_string()] = json!({"properties": {"aa": {"$ref": "#/$defs/0"}}});
            schema
        };
        for schema in [
            chain(61, &|next| next),
            chain(30, &|next| json!({"allOf": [next]})),
            chain(30, &|next| json!({"anyOf": [{"type": "null"}, next]})),
            chain(12, &|next| json!({"oneOf": [{"type": "null"}, next]})),
            chain(3, &|next| json!({"unevaluatedProperties": false, "allOf": [next]})),
            json!({"properties": {"aa": {"$ref": "#"}}}),
            json!({"unevaluatedProperties": false, "anyOf": [{"properties": {"aa": {"$ref": "#"}}}]}),
            // As deep as the text of nine can be.
            definitions(9, |next| (0..28).fold(next, |inner, _| json!({"properties": {"aa": inner}}))),
        ] {
            let small = std::thread::Builder::new().stack_size(1 << 20);
            let run = move || {
                let schema = compile(&schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
                for levels in 0..MAX_DEPTH {
                    let _ = check(&schema, &nested(levels, json!({})));
                }
            };
            small.spawn(run).unwrap().join().unwrap();
        }
    }

    #[test]
    fn patterns_share_their_memory() {
        let patterns = |count: usize| {
            let of = |at: usize| (format!("p{at}"), json!({"pattern": format!("^(a{{{}}}){{5}}$", 900 + at)}));
            compile(&json!({"properties": (0..count).map(of).collect::<serde_json::Map<_, _>>()}))
        };
        assert!(patterns(3).is_ok());
        assert!(matches!(patterns(1_000), Err(SchemaError::Malformed { .. })));
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
