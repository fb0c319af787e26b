//! What a skill does with tools of other skills, and with the person.

use std::collections::BTreeMap;
use std::time::Duration;

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::{self, Value};

/// Calls a tool of another skill and gives its text.
#[tool]
pub fn relay(name: &str, input: BTreeMap<String, Value>) -> Result<String, Failure> {
    Ok(tools::call(name, &input)?.joined_text())
}

/// Calls a tool of another skill, and says what came of it instead of failing.
#[tool]
pub fn attempt(name: &str, input: BTreeMap<String, Value>) -> String {
    match tools::call(name, &input) {
        Ok(outcome) => format!("outcome: {}", outcome.joined_text()),
        Err(tools::CallError::Failed(failure)) => format!("failure: {:?}: {}", failure.kind, failure.message),
        Err(tools::CallError::Refused(refusal)) => format!("refusal: {refusal:?}"),
    }
}

/// Starts calls. `how` is `wait` (for all), `drop` (all at once) or `hold` (none is waited for, all are held). Gives the texts,
/// or the number of those that were started and the refusal of the first that was not.
#[tool]
pub fn fan_out(name: &str, input: BTreeMap<String, Value>, count: u32, how: &str) -> String {
    let mut held = Vec::new();
    for started in 0..count {
        match tools::start(name, &input) {
            Ok(pending) if how == "drop" => drop(pending),
            Ok(pending) => held.push(pending),
            Err(error) => return format!("{started} started, then: {error}"),
        }
    }
    if how == "hold" {
        return held.len().to_string();
    }
    let texts = held.into_iter().map(|pending| match pending.wait() {
        Ok(outcome) => outcome.joined_text(),
        Err(error) => error.to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The names of the tools that may be called.
#[tool(read_only)]
pub fn callable() -> String {
    tools::list().into_iter().map(|listed| listed.name).collect::<Vec<_>>().join(" ")
}

/// Reads what is kept, and then calls a tool twice.
#[tool]
pub fn read_and_relay(key: &str, name: &str, input: BTreeMap<String, Value>) -> Result<String, Failure> {
    kv::get::<String>(key)?;
    tools::call(name, &input)?;
    Ok(tools::call(name, &input)?.joined_text())
}

/// Calls a tool, asks the person something, and calls it again.
#[tool]
pub fn relay_twice(name: &str, input: BTreeMap<String, Value>) -> Result<String, Failure> {
    let first = tools::call(name, &input)?.joined_text();
    user::ask("Again?").text()?;
    Ok(format!("{first} {}", tools::call(name, &input)?.joined_text()))
}

/// Asks the person, and gives the answer as JSON.
#[tool]
pub fn question(
    text: &str,
    schema: Option<String>,
    timeout_ms: Option<u64>,
    remember: Option<String>,
) -> Result<String, Failure> {
    let mut ask = user::ask(text);
    if let Some(schema) = schema {
        ask = ask.schema(serde_json::from_str(&schema)?);
    }
    if let Some(ms) = timeout_ms {
        ask = ask.timeout(Duration::from_millis(ms));
    }
    if let Some(name) = remember {
        ask = ask.remember(name);
    }
    Ok(ask.answer::<Value>()?.to_string())
}
