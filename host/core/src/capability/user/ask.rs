//! The ask of `user`: the only policy code of the capability.

use std::time::Duration;

use serde_json::Value;

use super::{Grant, Shape};
use crate::broker::{self, Verdict};
use crate::budget::Amount;
use crate::capability::words;
use crate::error::{Excess, Refusal};
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// Most bytes of a question.
const MAX_TEXT: usize = 2_000;
/// Most questions of one invocation and all that it calls: a person must not be worn down.
pub const MOST_QUESTIONS: u32 = 20;

/// "Ask the person this."
#[derive(Clone, Debug)]
pub struct Ask {
    pub text: String,
    /// JSON Schema of the answer, of one of the shapes that a person can answer.
    pub schema: Value,
    pub shape: Shape,
    pub timeout: Option<Duration>,
    /// The name under which the answer may be kept.
    pub remember: Option<String>,
}

impl Ask {
    /// Checks a question as a guest gives it.
    pub fn new(
        text: String,
        schema: Option<&str>,
        timeout_ms: Option<u32>,
        remember: Option<String>,
    ) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::Invalid("the question is empty".into()));
        }
        if text.len() > MAX_TEXT {
            let (limit, actual) = (MAX_TEXT as u64, Some(text.len() as u64));
            return Err(Refusal::TooLarge(Excess { what: "question", limit, actual }));
        }
        if let Some(name) = remember.as_deref().filter(|name| !is_name(name)) {
            return Err(Refusal::Invalid(format!(
                "{} cannot be the name of an answer: it must be 1 to 64 of a-z, 0-9, _ and -",
                crate::schema::shorten(&format!("{name:?}"), 80)
            )));
        }
        let schema = match schema {
            Some(text) => words::json("the schema of the answer", text)?,
            None => serde_json::json!({ "type": "string" }),
        };
        let shape = Shape::read(&schema)?;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        Ok(Self { text, schema, shape, timeout, remember })
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

impl broker::Ask for Ask {
    const CAPABILITY: &'static str = "user";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.user
    }

    /// The text of the question is the skill's, and is not put on record.
    fn subject(&self) -> String {
        match &self.remember {
            Some(name) => format!("user ask {name}"),
            None => "user ask".into(),
        }
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        match grant {
            Some(_) => Verdict::Yes,
            None => Verdict::No {
                reason: "the operator has not granted it to ask questions".into(),
                hint: "run `ringfence grant {skill} user` to allow it, where the manifest requests it".into(),
            },
        }
    }

    fn estimate(&self) -> Amount {
        Amount::default()
    }

    /// A person sees it.
    fn leaves(&self) -> bool {
        true
    }

    /// What a person answers is theirs.
    fn touches(&self) -> Touch {
        Touch::PRIVATE
    }

    fn arguments(&self) -> String {
        format!("{}\n{}", self.text, self.schema)
    }
}
