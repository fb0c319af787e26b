//! The tools that the conformance suite of the Model Context Protocol calls, each as it wants it. A client sees them as `test_NAME`.

use std::thread::sleep;
use std::time::Duration;

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::{Value, json};
use ringfence_skill::{Content, Media};

/// A PNG of one red pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90,
    0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T', 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0,
    0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A WAV without samples.
const SILENCE: &[u8] = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";

/// Gives a text.
#[tool(read_only)]
fn simple_text() -> String {
    "This is a simple text response for testing.".to_owned()
}

/// Gives an image.
#[tool(read_only)]
fn image_content() -> Outcome {
    Outcome::default().with_image("image/png", PIXEL.to_vec())
}

/// Gives a sound.
#[tool(read_only)]
fn audio_content() -> Outcome {
    let silence = Media { media_type: "audio/wav".to_owned(), data: SILENCE.to_vec() };
    Outcome::default().with(Content::Audio(silence))
}

/// Fails.
#[tool(read_only)]
fn error_handling() -> Result<String, Failure> {
    Err(Failure::failed("This tool intentionally returns an error for testing"))
}

/// Tells how far it is.
#[tool(read_only)]
fn tool_with_progress() -> String {
    for done in [0, 50, 100] {
        progress::report(done, Some(100), None);
        sleep(Duration::from_millis(20));
    }
    "done".to_owned()
}

/// Writes a line into the operator's log.
#[tool(read_only)]
fn logging_tool() -> String {
    log::info!("a line");
    "logged".to_owned()
}

fn form(question: &str, properties: Value) -> user::Ask {
    let required: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    user::ask(question).schema(json!({ "type": "object", "properties": properties, "required": required }))
}

fn asked(question: &str, properties: Value) -> Result<String, Failure> {
    answered(form(question, properties))
}

fn answered(question: user::Ask) -> Result<String, Failure> {
    let answer: Value = question.answer()?;
    Ok(format!("Elicitation completed: action=accept, content={answer}"))
}

/// Asks for two texts.
#[tool]
fn elicitation(message: &str) -> Result<String, Failure> {
    asked(message, json!({ "username": { "type": "string" }, "email": { "type": "string" } }))
}

/// Asks for one of each kind, with what it proposes.
#[tool]
fn elicitation_sep1034_defaults() -> Result<String, Failure> {
    asked(
        "Is this right?",
        json!({
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        }),
    )
}

/// Asks for one or several of what it lists, in every way in which that can be said.
#[tool]
fn elicitation_sep1330_enums() -> Result<String, Failure> {
    let titled = json!([
        { "const": "value1", "title": "First Option" },
        { "const": "value2", "title": "Second Option" },
        { "const": "value3", "title": "Third Option" },
    ]);
    let plain = ["option1", "option2", "option3"];
    asked(
        "Which of these?",
        json!({
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled } },
        }),
    )
}

/// Asks while its answer is a stream.
#[tool]
fn streaming_elicitation() -> Result<String, Failure> {
    asked("What is your name?", json!({ "name": { "type": "string" } }))
}

/// Asks once, for what it calls the user's name.
#[tool]
fn input_required_result_elicitation() -> Result<String, Failure> {
    answered(form("What is your name?", json!({ "name": { "type": "string" } })).remember("user_name"))
}

/// Asks once, and says that it was the same call.
#[tool]
fn input_required_result_request_state() -> Result<String, Failure> {
    asked("Please confirm", json!({ "ok": { "type": "boolean" } })).map(|answer| format!("state-ok {answer}"))
}

/// Asks once, for somebody who comes back under another name.
#[tool]
fn input_required_result_tampered_state() -> Result<String, Failure> {
    asked("Please confirm", json!({ "ok": { "type": "boolean" } }))
}

/// Asks twice.
#[tool]
fn input_required_result_multi_round() -> Result<String, Failure> {
    let name = asked("Step 1: What is your name?", json!({ "name": { "type": "string" } }))?;
    let color = asked("Step 2: What is your favorite color?", json!({ "color": { "type": "string" } }))?;
    Ok(format!("{name} {color}"))
}

ringfence_skill::export!(
    simple_text,
    image_content,
    audio_content,
    error_handling,
    tool_with_progress,
    logging_tool,
    elicitation,
    elicitation_sep1034_defaults,
    elicitation_sep1330_enums,
    streaming_elicitation,
    input_required_result_elicitation,
    input_required_result_request_state,
    input_required_result_tampered_state,
    input_required_result_multi_round,
);
