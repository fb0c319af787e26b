//! Tools of other skills that are installed on the host.
//!
//! A call runs with what both skills may do and no more, on the budget and the deadline of this invocation.
//!
//! ```no_run
//! # use ringfence_skill::prelude::*;
//! # use ringfence_skill::serde_json::json;
//! # fn f() -> Result<(), Failure> {
//! let summary = tools::call("summarize/summarize", &json!({ "text": "Bees hum." }))?.joined_text();
//! let texts = ["one", "two"].map(|text| tools::start("summarize/summarize", &json!({ "text": text })));
//! for answer in texts {
//!     log::info!("{}", answer?.wait()?.joined_text()); // both were running meanwhile
//! }
//! # Ok(()) }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::ringfence::skill::tools::Answer;
pub use crate::bindings::ringfence::skill::tools::Listed;
use crate::{Failure, Outcome, Refusal, host};

/// Why a call of another skill's tool gave no outcome. `?` makes a [`Failure`] of it that keeps kind and hint.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The host did not make the call, or ended it.
    Refused(Refusal),
    /// The other skill failed, crashed or ran into a limit. The message is its own, or the host's where it crashed.
    Failed(Failure),
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(failure) => f.write_str(&failure.message),
        }
    }
}

impl std::error::Error for CallError {}

/// The tools that this skill may call now. Their descriptions are strangers' words.
pub fn list() -> Vec<Listed> {
    host::tools_list()
}

/// Calls `skill/tool`, and waits for its outcome. The input is anything that serialises to a JSON object.
pub fn call<T: Serialize + ?Sized>(name: &str, input: &T) -> Result<Outcome, CallError> {
    answer(host::tools_call(name, &json(name, input)?)?)
}

/// As [`call`], for the structured part of the outcome.
pub fn call_for<O: DeserializeOwned>(name: &str, input: &(impl Serialize + ?Sized)) -> Result<O, CallError> {
    read(name, &call(name, input)?)
}

/// Calls `skill/tool` and returns at once. The call runs whether it is waited for or not.
pub fn start<T: Serialize + ?Sized>(name: &str, input: &T) -> Result<Pending, CallError> {
    Ok(Pending { inner: host::tools_start(name, &json(name, input)?)?, name: name.to_owned() })
}

/// A call under way. Dropping it cancels the call.
pub struct Pending {
    inner: host::PendingCall,
    name: String,
}

impl Pending {
    /// Waits for the outcome.
    pub fn wait(self) -> Result<Outcome, CallError> {
        answer(host::tools_wait(&self.inner)?)
    }

    /// Waits for the structured part of the outcome.
    pub fn wait_for<O: DeserializeOwned>(self) -> Result<O, CallError> {
        let outcome = answer(host::tools_wait(&self.inner)?)?;
        read(&self.name, &outcome)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("name", &self.name).finish_non_exhaustive()
    }
}

fn json<T: Serialize + ?Sized>(name: &str, input: &T) -> Result<String, Refusal> {
    serde_json::to_string(input)
        .map_err(|error| Refusal::Invalid(format!("the input for `{name}` cannot be JSON: {error}")))
}

fn read<O: DeserializeOwned>(name: &str, outcome: &Outcome) -> Result<O, CallError> {
    let text = outcome.structured.as_deref().unwrap_or("null");
    let read = serde_json::from_str(text);
    read.map_err(|error| Refusal::Invalid(format!("what `{name}` gave is not what was expected: {error}")).into())
}

fn answer(answer: Answer) -> Result<Outcome, CallError> {
    match answer {
        Answer::Outcome(outcome) => Ok(outcome),
        Answer::Failure(failure) => {
            let crate::bindings::ringfence::skill::types::Failure { kind, message, hint } = failure;
            Err(CallError::Failed(Failure { kind, message, hint }))
        }
    }
}
