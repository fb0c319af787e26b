//! Why an agent cannot run, or ended before it had an answer.

use crate::budget::Amount;
use crate::error::{Explain, Overrun};

/// Why an agent cannot run, or ended before it had an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    #[error("there is no agent `{name}`")]
    Unknown { name: String, known: Vec<String> },
    #[error("the agent `{agent}` cannot be used: {reason}")]
    Settings { agent: String, key: &'static str, reason: String },
    #[error("the agent `{agent}` works with `{wanted}`, which is not installed")]
    NotInstalled { agent: String, wanted: String },
    #[error("the agent `{agent}` would have {count} tools, and a model is given at most {most}")]
    TooManyTools { agent: String, count: usize, most: usize },
    #[error("the agent `{agent}` used all of its {steps} steps and has no answer yet")]
    TooManySteps {
        agent: String,
        steps: u32,
        spent: Amount,
        /// Whether there is a transcript to go on with.
        is_kept: bool,
    },
    #[error("the agent `{agent}` has no answer after the {seconds} s that it has for one run")]
    TimedOut { agent: String, seconds: u64 },
    #[error("the agent `{agent}` has used up its budget for one run: {} of {} {} used or reserved, {} needed", .over.used, .over.limit, .over.unit, .over.needed)]
    BudgetExhausted { agent: String, over: Overrun },
    #[error("there is no transcript `{id}`")]
    NoTranscript { id: String },
    #[error("the transcript `{id}` cannot be read: {reason}")]
    Transcript { id: String, reason: String },
    #[error("the transcript `{id}` cannot be kept: {reason}")]
    Unwritable { id: String, reason: String },
    #[error("the message is {actual} bytes long, of at most {most}")]
    TooLarge { actual: usize, most: usize },
    #[error("the message is empty")]
    Empty,
}

impl Explain for AgentError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::NotInstalled { .. } | Self::NoTranscript { .. } => "not-found",
            Self::Settings { .. } | Self::TooManyTools { .. } => "config-invalid",
            Self::TooManySteps { .. } => "too-many-steps",
            Self::TimedOut { .. } => "timeout",
            Self::BudgetExhausted { .. } => "budget-exhausted",
            Self::Transcript { .. } => "transcript-invalid",
            Self::Unwritable { .. } => "unwritable",
            Self::TooLarge { .. } => "too-large",
            Self::Empty => "invalid-input",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unknown { known, .. } => {
                format!("name one of them: {}; or write `[agents.NAME]` in the configuration", known.join(", "))
            }
            Self::Settings { agent, key: "", .. } => format!("rename `[agents.{agent}]` in the configuration"),
            Self::Settings { agent, key, .. } => format!("correct `agents.{agent}.{key}` in the configuration"),
            Self::NotInstalled { agent, .. } => {
                format!(
                    "install it with `ringfence add`, or take it out of `[agents.{agent}]`; `ringfence list` shows what there is"
                )
            }
            Self::TooManyTools { agent, .. } => {
                format!("list the skills that it needs: `agents.{agent}.skills` in the configuration")
            }
            Self::TooManySteps { agent, is_kept: false, .. } => {
                format!("raise `agents.{agent}.max-steps` in the configuration, or give a smaller task")
            }
            Self::TimedOut { agent, .. } => {
                format!("raise `agents.{agent}.max-seconds` in the configuration, or give a smaller task")
            }
            Self::TooManySteps { agent, is_kept: true, .. } => {
                format!("say `go on`, or raise `agents.{agent}.max-steps`; what was done so far is in the transcript")
            }
            Self::BudgetExhausted { agent, over } => {
                let key = match over.unit {
                    "micro-dollars" => format!("agents.{agent}.max-dollars"),
                    "output-tokens" => format!("agents.{agent}.max-tokens"),
                    unit => format!("budget.invocation.{unit}"),
                };
                format!("raise `{key}` in the configuration, or give a smaller task")
            }
            Self::NoTranscript { .. } => "`ringfence chat --list` shows those that there are".into(),
            Self::Transcript { .. } => "begin a new one; `ringfence chat --remove ID` removes this one".into(),
            Self::Unwritable { .. } => "check the permissions and the free space of the state directory".into(),
            Self::TooLarge { .. } => "give less; a skill can read a large document for the agent".into(),
            Self::Empty => "say something".into(),
        }
    }
}
