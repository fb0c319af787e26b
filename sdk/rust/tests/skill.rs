//! Functions as tools: names, schemas, arguments, outcomes.

use ringfence_skill::prelude::*;
use ringfence_skill::{FailureKind, Tool, ToolHints, fake};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Tone {
    Kind,
    VeryKind,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    /// How many words there are.
    words: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Point {
    x: i32,
    #[serde(default)]
    y: i32,
}

/// Greets someone.
///
/// Politely.
#[tool(read_only, idempotent, title = "Greet")]
fn greet(
    /// Whom to greet.
    name: &str,
    /// How kind to be.
    #[default(Tone::Kind)]
    tone: Tone,
    /// Said after the greeting.
    suffix: Option<String>,
    #[default("en")] language: String,
    context: &Context,
) -> String {
    format!("{tone:?} {name} {} {language} {}", suffix.unwrap_or_default(), context.invocation)
}

/// Counts words.
#[tool]
fn count(lines: &[String]) -> Result<Counted, Failure> {
    Ok(Counted { words: lines.iter().map(|line| line.split_whitespace().count()).sum() })
}

/// Takes numbers that have defaults.
#[tool]
fn numbers(
    #[default(5)] few: u32,
    #[default(-1)] less: i64,
    #[default(0.5)] half: f32,
    #[default(2)] whole: f64,
    #[default(7u8)] own: u8,
) -> String {
    format!("{few} {less} {half} {whole} {own}")
}

/// Does nothing.
#[tool(destructive, open_world)]
fn nothing() {}

/// Fails.
#[tool]
fn fail(how: String) -> Result<(), Failure> {
    match how.as_str() {
        "input" => Err(Failure::invalid_input("no such way").hint("name another")),
        "number" => "x".parse::<u8>().map(drop).map_err(Failure::from),
        _ => Err(Refusal::Unavailable("the provider is down".into()).into()),
    }
}

/// Where a point is.
#[tool]
fn locate(#[input] point: Point) -> Outcome {
    Outcome::text(format!("{} {}", point.x, point.y))
}

/// Has a name of its own and reserved words.
#[tool(name = "odd-one", output = Counted)]
fn odd(r#type: u8, mut seen: u8) -> Result<Outcome, Failure> {
    seen += r#type;
    Outcome::text("seen").with_structured(&Counted { words: seen.into() })
}

ringfence_skill::export!(greet, count, nothing, fail, locate, odd);

fn schema<T: Tool>() -> Value {
    serde_json::from_str(&T::describe().input_schema).unwrap()
}

#[test]
fn a_function_describes_itself() {
    let tool = fake::describe::<greet>();
    assert_eq!((tool.name.as_str(), tool.title.as_deref()), ("greet", Some("Greet")));
    assert_eq!(tool.description, "Greets someone.\n\nPolitely.");
    assert_eq!(tool.hints, ToolHints::READ_ONLY | ToolHints::IDEMPOTENT);
    assert_eq!(tool.output_schema, None);
    assert_eq!(
        schema::<greet>(),
        json!({
            "type": "object",
            "properties": {
                "name": { "description": "Whom to greet.", "type": "string" },
                "tone": { "description": "How kind to be.", "type": "string", "enum": ["kind", "very-kind"], "default": "kind" },
                "suffix": { "description": "Said after the greeting.", "type": ["string", "null"] },
                "language": { "type": "string", "default": "en" },
            },
            "required": ["name"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn arguments_are_given_by_name_and_defaults_fill_in() {
    let outcome = fake::call::<greet>(json!({ "name": "Ada" })).unwrap();
    assert_eq!(outcome.joined_text(), "Kind Ada  en test");
    let input = json!({ "name": "Ada", "tone": "very-kind", "suffix": "!", "language": "fr" });
    assert_eq!(fake::call::<greet>(input).unwrap().joined_text(), "VeryKind Ada ! fr test");
    assert_eq!(greet("Eve", Tone::Kind, None, "de".into(), &fake::context()), "Kind Eve  de test");
}

#[test]
fn input_that_does_not_fit_is_invalid() {
    for input in [json!({}), json!({ "name": 3 }), json!({ "name": "Ada", "nam": "Eve" })] {
        assert_eq!(fake::call::<greet>(input).unwrap_err().kind, FailureKind::InvalidInput);
    }
}

#[test]
fn a_value_is_structured_output() {
    let tool = fake::describe::<count>();
    let output: Value = serde_json::from_str(&tool.output_schema.unwrap()).unwrap();
    assert_eq!(output["properties"]["words"]["description"], "How many words there are.");
    assert_eq!(output["required"], json!(["words"]));
    let outcome = fake::call::<count>(json!({ "lines": ["a b", "c"] })).unwrap();
    assert_eq!(outcome.structured.as_deref(), Some(r#"{"words":3}"#));
    assert!(outcome.joined_text().contains("\"words\": 3"));
}

#[test]
fn a_tool_without_arguments_takes_an_empty_object() {
    assert_eq!(schema::<nothing>(), json!({ "type": "object", "properties": {}, "additionalProperties": false }));
    assert_eq!(fake::call::<nothing>(json!({})).unwrap(), Outcome::default());
    assert!(fake::call::<nothing>(json!({ "some": 1 })).is_err());
}

#[test]
fn errors_become_failures() {
    let failure = fake::call::<fail>(json!({ "how": "input" })).unwrap_err();
    assert_eq!((failure.kind, failure.hint.as_deref()), (FailureKind::InvalidInput, Some("name another")));
    let failure = fake::call::<fail>(json!({ "how": "number" })).unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Failed, "invalid digit found in string"));
    let failure = fake::call::<fail>(json!({ "how": "refusal" })).unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Unavailable, "the provider is down"));
    assert_eq!(failure.hint, None, "the message says what to do");
}

#[test]
fn a_type_can_be_the_whole_input() {
    assert_eq!(fake::call::<locate>(json!({ "x": 1 })).unwrap().joined_text(), "1 0");
    assert_eq!(schema::<locate>()["required"], json!(["x"]));
}

#[test]
fn names_outputs_and_raw_identifiers_can_be_given() {
    let tool = fake::describe::<odd>();
    assert_eq!(tool.name, "odd-one");
    assert!(tool.output_schema.unwrap().contains("words"));
    let outcome = fake::call::<odd>(json!({ "type": 2, "seen": 3 })).unwrap();
    assert_eq!(outcome.structured.as_deref(), Some(r#"{"words":5}"#));
}

#[test]
fn a_default_is_a_number_of_the_arguments_type() {
    assert_eq!(fake::call::<numbers>(json!({})).unwrap().joined_text(), "5 -1 0.5 2 7");
    let schema: serde_json::Value = serde_json::from_str(&fake::describe::<numbers>().input_schema).unwrap();
    assert_eq!(schema["properties"]["few"]["default"], 5);
}
