//! Why the host did not do what it was asked.

use std::fmt;

use crate::bindings::ringfence::skill::types as wit;
pub use crate::bindings::ringfence::skill::types::{Denial, Excess, Overrun};

/// Why the host did not do what it was asked. One type for every capability: most skills handle it by `?`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Policy does not allow it.
    Denied(Denial),
    /// A budget (tokens, money, host calls, bytes) would be exceeded.
    OverBudget(Overrun),
    /// The thing behind the capability does not work now; later it may.
    Unavailable(String),
    /// The request is wrong and would be wrong again, or the answer does not have the form that was asked for.
    Invalid(String),
    /// A value is larger than its limit.
    TooLarge(Excess),
    /// It took longer than it may, or the invocation's deadline has come.
    TimedOut(String),
    /// The person or program behind the call has cancelled it.
    Cancelled,
}

impl Refusal {
    /// What `wit/types.wit` calls this case, for programs and logs: `denied`, `over-budget`, and so on.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::OverBudget(_) => "over-budget",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too-large",
            Self::TimedOut(_) => "timed-out",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether waiting may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_))
    }

    /// One sentence saying what to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Denied(denial) => return Some(denial.hint.clone()).filter(|hint| !hint.is_empty()),
            Self::OverBudget(over) => {
                format!("raise `budget.{}.{}` of the host, or give the tool less to do", over.scope, over.unit)
            }
            // The host says what happened and, behind the last semicolon, what to do.
            Self::Unavailable(why) | Self::TimedOut(why) => {
                return why.rsplit_once("; ").map(|(_, advice)| advice.into());
            }
            Self::TooLarge(excess) => format!("give at most {} of {}", excess.limit, excess.what),
            Self::Invalid(_) | Self::Cancelled => return None,
        };
        Some(hint)
    }
}

impl From<wit::Refusal> for Refusal {
    fn from(refusal: wit::Refusal) -> Self {
        match refusal {
            wit::Refusal::Denied(denial) => Self::Denied(denial),
            wit::Refusal::OverBudget(overrun) => Self::OverBudget(overrun),
            wit::Refusal::Unavailable(why) => Self::Unavailable(why),
            wit::Refusal::Invalid(why) => Self::Invalid(why),
            wit::Refusal::TooLarge(excess) => Self::TooLarge(excess),
            wit::Refusal::TimedOut(why) => Self::TimedOut(why),
            wit::Refusal::Cancelled => Self::Cancelled,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => write!(f, "the host refused `{}`: {}", denial.subject, denial.reason),
            Self::OverBudget(over) => write!(
                f,
                "the {} budget of {} {} is used up: {} used or reserved, {} needed",
                over.scope, over.limit, over.unit, over.used, over.needed
            ),
            Self::Unavailable(why) | Self::Invalid(why) | Self::TimedOut(why) => f.write_str(why),
            Self::TooLarge(excess) => {
                write!(f, "the {} is too large: at most {}", excess.what, excess.limit)?;
                excess.actual.map_or(Ok(()), |actual| write!(f, ", this has {actual}"))
            }
            Self::Cancelled => f.write_str("the call was cancelled"),
        }
    }
}

impl std::error::Error for Refusal {}
