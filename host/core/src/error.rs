//! What a face may see: one error for everything that a caller, an operator or an author can cause.
//!
//! Each module has its own small error type; this one only gathers them. Every error has three things: a *kind*, stable
//! between versions and meant for scripts; a sentence saying what happened with the offending value (its `Display`); and a
//! *hint*, one sentence saying what to do. Exit codes and HTTP statuses are a face's business.

use std::fmt;
use std::path::{Path, PathBuf};

/// A failure in the words of its module. Implemented by every error type of the core.
pub trait Explain: std::error::Error {
    /// The stable identifier, for example `invalid-component`.
    fn kind(&self) -> &'static str;
    /// One sentence saying what to do about it.
    fn hint(&self) -> String;
}

/// Anything that the core can fail with.
pub struct Error(Box<dyn Explain + Send + Sync>);

impl Error {
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }

    pub fn hint(&self) -> String {
        self.0.hint()
    }

    /// The error as its module made it.
    pub(crate) fn of<E: Explain + 'static>(&self) -> Option<&E> {
        let error: &(dyn std::error::Error + 'static) = &*self.0;
        error.downcast_ref()
    }

    /// The same about a file, with its path before the sentence.
    #[must_use]
    pub fn about(self, path: &Path) -> Self {
        Self(Box::new(About { path: path.to_owned(), error: self }))
    }
}

struct About {
    path: PathBuf,
    error: Error,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for About {}

impl Explain for About {
    fn kind(&self) -> &'static str {
        self.error.kind()
    }

    fn hint(&self) -> String {
        self.error.hint()
    }
}

impl<E: Explain + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.0)
    }
}

/// Why the host did not do what a skill asked: the WIT's `refusal` in plain Rust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{} may not use `{}`: {}", .0.capability, .0.subject, .0.reason)]
    Denied(Denial),
    #[error("the {} budget of {} {} is used up: {} used or reserved, {} needed", .0.scope, .0.limit, .0.unit, .0.used, .0.needed)]
    OverBudget(Overrun),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the {} is too large: at most {}{}", .0.what, .0.limit, .0.actual.map(|n| format!(", this has {n}")).unwrap_or_default())]
    TooLarge(Excess),
    #[error("{0}")]
    TimedOut(String),
    /// A server, which is for whoever runs this host to see to.
    #[error("{0}")]
    Server(Box<crate::server::ServerError>),
    #[error("the call was cancelled")]
    Cancelled,
}

/// An act that policy refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub capability: &'static str,
    /// What was asked for, for example `model smart`.
    pub subject: String,
    pub reason: String,
    /// What the operator can do to allow it.
    pub hint: String,
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// `invocation`, `skill-day` or `host-day`.
    pub scope: &'static str,
    /// `input-tokens`, `output-tokens`, `micro-dollars`, `host-calls` or `wall-ms`.
    pub unit: &'static str,
    pub limit: u64,
    pub used: u64,
    pub needed: u64,
}

/// A value above its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    pub what: &'static str,
    pub limit: u64,
    pub actual: Option<u64>,
}

impl Explain for Refusal {
    fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::OverBudget(_) => "budget-exhausted",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too-large",
            Self::TimedOut(_) => "timeout",
            // What is wrong with it in the configuration is nothing that a caller did.
            Self::Server(error) if error.kind() == "timeout" => "timeout",
            Self::Server(_) => "unavailable",
            Self::Cancelled => "cancelled",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Denied(denial) => denial.hint.clone(),
            Self::OverBudget(over) => format!(
                "raise `budget.{}.{}` in the configuration, or wait where the budget is a day's",
                over.scope, over.unit
            ),
            Self::Unavailable(_) => "try again later; where it is a model's answer, another model can be named".into(),
            Self::Server(error) => error.hint(),
            Self::Invalid(_) => "correct the request; repeating it will not help".into(),
            Self::TooLarge(_) => "give less, or raise the limit in the configuration".into(),
            Self::TimedOut(_) => "try again, or raise the time limit of the skill".into(),
            Self::Cancelled => "run it again when you like".into(),
        }
    }
}
