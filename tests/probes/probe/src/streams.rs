//! Answers as they come, broken ones included.

use std::time::Duration;

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::json;

/// Reads an answer event by event, and says what came and how it ended: `done`, `left` after `leave_after` events, `over`
/// where it ended without a word, or the refusal. The prompt is repeated `times`.
#[tool(output = Came)]
pub fn stream(
    prompt: &str,
    times: Option<u32>,
    max_tokens: Option<u32>,
    leave_after: Option<u32>,
) -> Result<Outcome, Failure> {
    let mut ask = model::ask(prompt.repeat(times.unwrap_or(1) as usize)).model("default");
    if let Some(most) = max_tokens {
        ask = ask.max_tokens(most);
    }
    let (mut text, mut events, mut end) = (String::new(), 0, "over".to_owned());
    match ask.open() {
        Err(refusal) => end = refusal.to_string(),
        Ok(generation) => {
            for event in generation {
                events += 1;
                match event {
                    Ok(model::Event::Text(piece)) => text.push_str(&piece),
                    Ok(model::Event::Done(_)) => end = "done".into(),
                    Ok(_) => {}
                    Err(refusal) => end = refusal.to_string(),
                }
                if leave_after == Some(events) {
                    end = "left".into();
                    break;
                }
            }
        }
    }
    let text: String = text.chars().take(1_000).collect();
    Outcome::structured(&json!({ "text": text, "events": events, "end": end }))
}

/// What came of an answer.
#[derive(Serialize, JsonSchema)]
struct Came {
    text: String,
    events: u32,
    end: String,
}

/// Opens an answer, never reads it, and sleeps.
#[tool]
pub fn hold(prompt: &str, seconds: u32) -> Result<String, Failure> {
    let generation = model::ask(prompt).model("default").open()?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    drop(generation);
    Ok("slept".into())
}
