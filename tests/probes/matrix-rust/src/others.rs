//! Tools of other skills, and the person.

use ringfence_skill::prelude::*;
use ringfence_skill::serde_json::{self, Map, Value};

use crate::models::{Names, Texts};

/// The tools of other skills that may be called.
#[tool(read_only)]
pub fn list_tools() -> Names {
    Names { names: tools::list().into_iter().map(|listed| listed.name).collect() }
}

/// What another skill gave.
#[derive(Serialize, JsonSchema)]
pub struct Given {
    text: String,
    structured: Value,
}

/// Calls a tool of another skill.
#[tool]
pub fn call_tool(name: &str, input: Map<String, Value>) -> Result<Given, Failure> {
    let outcome = tools::call(name, &input)?;
    let structured = outcome.structured.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
    Ok(Given { text: outcome.joined_text(), structured })
}

/// Calls a tool of another skill many times at once.
#[tool]
pub fn call_many(name: &str, inputs: Vec<Map<String, Value>>) -> Result<Texts, Failure> {
    let pending = inputs.iter().map(|input| tools::start(name, input)).collect::<Result<Vec<_>, _>>()?;
    let texts = pending.into_iter().map(|call| Ok(call.wait()?.joined_text()));
    Ok(Texts { texts: texts.collect::<Result<_, tools::CallError>>()? })
}

/// What the person said.
#[derive(Serialize, JsonSchema)]
pub struct Said<T> {
    answer: T,
}

/// Asks the person for a text.
#[tool]
pub fn ask_person(question: &str) -> Result<Said<String>, Failure> {
    Ok(Said { answer: user::ask(question).text()? })
}

/// Asks the person for a yes or a no.
#[tool]
pub fn confirm_person(question: &str) -> Result<Said<bool>, Failure> {
    Ok(Said { answer: user::confirm(question)? })
}
