//! Questions to the person behind the call. Refused as `unavailable` where nobody is there.
//!
//! ```no_run
//! # use ringfence_skill::prelude::*;
//! # fn f() -> Result<(), Failure> {
//! let name = user::ask("What is the project called?").text()?;
//! let tone = user::choose("Which tone?", &["plain", "formal"]).remember("tone").text()?;
//! if user::confirm(format!("Write {name} in a {tone} tone?"))? {
//!     // ...
//! }
//! # Ok(()) }
//! ```

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use crate::bindings::ringfence::skill::user::Question;
use crate::{Refusal, host};

/// A question that has not been asked yet.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is asked before `text`, `json` or `number`"]
pub struct Ask {
    text: String,
    schema: Option<Value>,
    timeout: Option<Duration>,
    remember: Option<String>,
}

/// Begins a question; `text` gives the answer. At most 2,000 bytes.
pub fn ask(text: impl Into<String>) -> Ask {
    Ask { text: text.into(), schema: None, timeout: None, remember: None }
}

/// Asks for a yes or a no.
pub fn confirm(text: impl Into<String>) -> Result<bool, Refusal> {
    ask(text).schema(json!({ "type": "boolean" })).answer()
}

/// Begins a question that one of these texts answers.
pub fn choose<S: AsRef<str>>(text: impl Into<String>, choices: &[S]) -> Ask {
    let choices: Vec<&str> = choices.iter().map(AsRef::as_ref).collect();
    ask(text).schema(json!({ "type": "string", "enum": choices }))
}

impl Ask {
    /// Waits at most this long.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// The person may let the host keep the answer under this name: then the same question is answered without asking the
    /// next time. 1 to 64 characters of `a-z 0-9 _ -`.
    pub fn remember(mut self, name: impl Into<String>) -> Self {
        self.remember = Some(name.into());
        self
    }

    /// Says what the answer looks like: the JSON Schema of a boolean, a string, a number, an integer, a list of choices, or a flat
    /// object of these.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Asks for a text.
    pub fn text(self) -> Result<String, Refusal> {
        self.answer()
    }

    /// Asks for a number.
    pub fn number(self) -> Result<f64, Refusal> {
        match self.schema {
            Some(_) => self.answer(),
            None => self.schema(json!({ "type": "number" })).answer(),
        }
    }

    /// Asks for the fields of a flat struct.
    pub fn json<T: JsonSchema + DeserializeOwned>(self) -> Result<T, Refusal> {
        self.schema(crate::schema::value::<T>()).answer()
    }

    /// Asks, and reads the answer as what the schema says.
    pub fn answer<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let timeout_ms = self.timeout.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        let schema = self.schema.map(|schema| schema.to_string());
        let answer = host::user_ask(&Question { text: self.text, schema, timeout_ms, remember: self.remember })?;
        serde_json::from_str(&answer)
            .map_err(|error| Refusal::Invalid(format!("the answer is not what the skill expects: {error}")))
    }
}
