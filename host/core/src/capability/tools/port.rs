//! What runs the calls: the host, which knows skills and invocations. Nothing here does.

use futures_util::future::BoxFuture;
use tokio_util::sync::DropGuard;

use super::{Call, Name};
use crate::broker::Permit;
use crate::capability::words::types;
use crate::error::Refusal;

/// A tool of an installed skill as it describes itself: a stranger's words.
pub struct Found {
    pub name: Name,
    pub tool: types::Tool,
    /// Whether what it is given leaves this host, whatever it says of itself.
    pub leaves: bool,
}

/// What the other skill gave.
pub enum Answer {
    Outcome(types::Outcome),
    /// Its own failure, its crash, or a limit that it ran into.
    Failure(types::Failure),
}

/// A call under way. It runs whether it is waited for or not; dropping it cancels it.
pub struct Pending {
    pub answer: BoxFuture<'static, Result<Answer, Refusal>>,
    pub cancel: DropGuard,
}

/// The tools that are installed here, as one invocation may call them.
pub trait Toolbox: Send + Sync + 'static {
    /// All tools of all installed skills, by name.
    fn all(&self) -> BoxFuture<'static, Result<Vec<Found>, Refusal>>;

    /// One of them. A refusal where it is not there.
    fn find(&self, name: &Name) -> BoxFuture<'static, Result<Found, Refusal>>;

    /// Calls of this invocation that have not ended.
    fn under_way(&self) -> usize;

    /// Begins a call.
    fn start(&self, permit: Permit<Call>) -> Pending;
}
