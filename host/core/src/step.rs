//! What long work tells while it goes on.

use std::sync::Arc;

/// One step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A component is compiled because no artefact of it is cached. Takes seconds for large ones.
    Compiling { skill: String, bytes: u64 },
    /// Bytes come from a server. `total` where it has told how many there will be.
    Fetching { what: String, done: u64, total: Option<u64> },
    /// Bytes go to a server.
    Sending { what: String, done: u64, total: u64 },
    /// It is ready.
    Ready,
}

/// Where steps are told.
pub type Progress = Arc<dyn Fn(Step) + Send + Sync>;
