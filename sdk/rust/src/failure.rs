//! Why a call gave no outcome.

use std::any::Any;

use crate::bindings::ringfence::skill::types as wit;
use crate::tools::CallError;
use crate::{FailureKind, Refusal};

/// Why a call gave no outcome. `?` makes one of every error.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind of failure, for programs.
    pub kind: FailureKind,
    /// One sentence saying what happened, with the offending value.
    pub message: String,
    /// One sentence saying what to do about it.
    pub hint: Option<String>,
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind, message: failure.message, hint: failure.hint }
    }
}

impl Failure {
    /// A failure of kind `failed`.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Failed, message)
    }

    /// The input passes the schema and is wrong all the same.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::of(FailureKind::InvalidInput, message)
    }

    /// Something that the tool depends on does not work now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Unavailable, message)
    }

    fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Says in one sentence what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure of another skill's tool. That its input was wrong is no mistake of whoever called this skill.
    fn of_another(failure: &Self) -> Self {
        let kind = match failure.kind {
            FailureKind::InvalidInput | FailureKind::UnknownTool => FailureKind::Failed,
            kind => kind,
        };
        Self { kind, ..failure.clone() }
    }

    /// The refusal that a tool gave up on.
    fn refused(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::Unavailable(_) | Refusal::TimedOut(_) => FailureKind::Unavailable,
            Refusal::Invalid(_) => FailureKind::Failed,
            _ => FailureKind::Refused,
        };
        let (mut message, hint) = (refusal.to_string(), refusal.hint());
        // What to do is said once, in the hint.
        if let Some(hint) = &hint
            && let Some(what) = message.strip_suffix(hint.as_str()).and_then(|rest| rest.strip_suffix("; "))
        {
            let length = what.len();
            message.truncate(length);
        }
        Self { kind, message, hint }
    }
}

/// Every error can be a failure, so that `?` works on all of them. A [`Refusal`] keeps its kind and its hint, and so does the
/// failure of a tool of another skill.
///
/// `Failure` is not itself a `std::error::Error`: Rust would not allow this conversion then.
impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any = &error as &dyn Any;
        if let Some(refusal) = any.downcast_ref::<Refusal>() {
            return Self::refused(refusal);
        }
        match any.downcast_ref::<CallError>() {
            Some(CallError::Refused(refusal)) => Self::refused(refusal),
            Some(CallError::Failed(failure)) => Self::of_another(failure),
            None => Self::failed(with_causes(&error)),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Many errors already say their cause.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
