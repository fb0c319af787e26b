//! What is told where no model has answered: one sentence about the last that was asked, with the others in a few words, and behind
//! the last semicolon what to do.

use std::time::Duration;

use super::names;
use super::persist::Stop;
use super::provider::{ProviderError, SHARE};
use super::route::Candidate;
use crate::error::Refusal;

/// A candidate that gave no answer.
pub(super) struct Failed<'c> {
    pub(super) candidate: &'c Candidate,
    pub(super) stop: Stop,
}

/// The refusal of a call for the model `asked`, after all these failures, of which there is one at least. `unasked` is the candidate
/// that was left out because too much may have been billed already.
pub(super) fn refusal(asked: &str, earlier: &[Failed<'_>], last: &Failed<'_>, unasked: Option<&Candidate>) -> Refusal {
    let mut notes: Vec<String> = earlier.iter().map(Failed::brief).collect();
    if let Some(first) = notes.first_mut() {
        first.insert_str(0, "before that, ");
    }
    notes.extend(unasked.map(|next| format!("{} was not asked, as two attempts may have been billed", next.name())));
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", and ")) };
    // What stops a call is what has to be mended; otherwise whatever is mended first.
    let mended =
        if last.is_final() { Some(last) } else { earlier.iter().chain([last]).max_by_key(|one| one.mendable()) };
    let text = format!("{}{notes}; {}", last.sentence(), mended.unwrap_or(last).advice());
    let named = names::split(asked).is_some();
    match &last.stop {
        Stop::Provider(ProviderError::Abandoned) => Refusal::Cancelled,
        Stop::Provider(ProviderError::Invalid(_) | ProviderError::TooLong(_)) => Refusal::Invalid(text),
        // Behind an alias it is the operator's mistake, which may be mended.
        Stop::Provider(ProviderError::UnknownModel(_)) if named => Refusal::Invalid(text),
        Stop::Provider(ProviderError::TimedOut { .. }) | Stop::Deadline => Refusal::TimedOut(text),
        Stop::Provider(_) | Stop::Open(_) | Stop::NoKey => Refusal::Unavailable(text),
    }
}

impl Failed<'_> {
    /// Whether no other candidate may be asked.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.stop, Stop::Deadline | Stop::Provider(ProviderError::Invalid(_) | ProviderError::Abandoned))
    }

    pub(super) fn sentence(&self) -> String {
        let what = match &self.stop {
            Stop::Provider(error) => error.to_string(),
            Stop::NoKey => "there is no key".into(),
            Stop::Open(left) => {
                format!("the provider has failed several times in a row and is left alone for {} s", seconds(*left))
            }
            Stop::Deadline => "the invocation's deadline came before the answer".into(),
        };
        format!("{}: {what}", self.candidate.name())
    }

    /// The same in a few words, none of which are the provider's.
    fn brief(&self) -> String {
        use ProviderError as E;
        let what = match &self.stop {
            Stop::NoKey => "has no key".into(),
            Stop::Open(_) => "is left alone after several failures".into(),
            Stop::Deadline => "did not answer before the deadline".into(),
            Stop::Provider(error) => match error {
                E::Connect(_) => "cannot be reached".into(),
                E::Foreign { .. } => "does not speak its API".into(),
                E::Key { status: Some(status), .. } => format!("refused the key with HTTP {status}"),
                E::Key { .. } => "refused the key".into(),
                E::Unsendable(_) => "has a key that cannot be sent".into(),
                E::UnknownModel(_) => "is no model that its provider has".into(),
                E::RateLimited { .. } => "is limiting requests".into(),
                E::Quota(_) => "has no quota left".into(),
                E::Server { status, .. } => format!("failed with HTTP {status}"),
                E::Failed { .. } => "failed inside of its answer".into(),
                E::Invalid(_) => "rejected the request".into(),
                E::TooLong(_) => "takes no prompt that long".into(),
                E::Garbled(_) => "gave an answer that makes no sense".into(),
                E::TimedOut { .. } => "did not answer in time".into(),
                E::Abandoned => "was not waited for".into(),
            },
        };
        format!("{} {what}", self.candidate.name())
    }

    /// How much whoever reads it can do about it: something that is sure to help, something that may, or nothing but to wait.
    fn mendable(&self) -> u8 {
        use ProviderError as E;
        match &self.stop {
            Stop::NoKey => 2,
            Stop::Provider(E::Foreign { .. } | E::Key { .. } | E::Unsendable(_) | E::UnknownModel(_)) => 2,
            Stop::Provider(E::Connect(_) | E::Quota(_) | E::TooLong(_)) => 1,
            Stop::Provider(_) | Stop::Open(_) | Stop::Deadline => 0,
        }
    }

    /// What to do, for the author and the operator. Names the variable of a key, never the key. Holds no semicolon.
    fn advice(&self) -> String {
        use ProviderError as E;
        let slot = &self.candidate.slot;
        let provider = &slot.name;
        let variable = slot.key_variable.as_deref();
        let error = match &self.stop {
            Stop::Provider(error) => error,
            Stop::NoKey => return format!("set the environment variable {}", variable.unwrap_or("of its key")),
            Stop::Open(_) => return "try again later".into(),
            Stop::Deadline => return "raise the time limit of the skill".into(),
        };
        match error {
            E::Key { .. } => match variable {
                Some(variable) => format!("check the key in the environment variable {variable}"),
                None => format!("name the variable of its key in `models.providers.{provider}.key-env`"),
            },
            E::Unsendable(_) => {
                format!("put nothing but the key into the environment variable {}", variable.unwrap_or("of it"))
            }
            E::Foreign { status: 404, .. } => {
                format!("check `models.providers.{provider}.base-url`, and the name of the model")
            }
            E::Foreign { .. } => format!("check `models.providers.{provider}.base-url`"),
            E::Quota(_) => format!("add credit to the account of `{provider}`, or name another model"),
            E::UnknownModel(_) => format!("name one that `{provider}` has"),
            E::TooLong(_) => "give less, or name a model with a larger context".into(),
            E::RateLimited { retry_after, .. } => {
                format!("{}, or lower `models.providers.{provider}.concurrency`", again(*retry_after))
            }
            E::Connect(_) => format!("check that it runs, and `models.providers.{provider}.base-url`"),
            E::TimedOut { phase, .. } if *phase == SHARE => "try again, or raise the time limit of the skill".into(),
            E::TimedOut { .. } => format!("try again, or raise `models.providers.{provider}.timeouts`"),
            E::Invalid(_) => "correct the request".into(),
            E::Server { retry_after, .. } => format!("{}, or name another model", again(*retry_after)),
            E::Failed { .. } | E::Garbled(_) => "try again later, or name another model".into(),
            E::Abandoned => "ask again".into(),
        }
    }
}

fn again(after: Option<Duration>) -> String {
    after.map_or("try again later".into(), |after| format!("try again in {} s", seconds(after)))
}

/// Rounded up: who comes a moment too early is sent away once more.
fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}
