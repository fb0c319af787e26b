//! Why an invocation gave no outcome.

use std::time::Duration;

use crate::engine::limits;
use crate::engine::linker::exports;
use crate::error::{Explain, Refusal};

/// Characters of a trap's text that are told.
const TRAP_TEXT: usize = 300;

/// Why an invocation gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvokeError {
    #[error("the skill ran longer than its {} s", .0.as_secs_f64())]
    Deadline(Duration),
    #[error("the skill used more than its {} s of processor time", .0.as_secs_f64())]
    CpuLimit(Duration),
    #[error("the skill wanted more than its {} MiB of memory", .0 >> 20)]
    MemoryLimit(usize),
    #[error("the skill wanted a table larger than its {} MiB of memory allow", .0 >> 20)]
    TableLimit(usize),
    #[error("the skill used up its stack: it calls itself too deeply")]
    StackOverflow,
    #[error("the skill opened more handles than it may")]
    HandleLimit,
    #[error("the skill passed more than {} KiB to the host in one call", .0 >> 10)]
    HostcallTooLarge(usize),
    #[error("the component's export `ringfence:skill/skill` has not the form that this host calls: {0}")]
    WrongExport(String),
    #[error("the skill crashed: {0}")]
    Trap(String),
    #[error("the call was cancelled")]
    Cancelled,
    #[error("another version has taken the place of the one that ran, and its time to finish is over")]
    Withdrawn,
    #[error("no slot came free before the call's deadline")]
    Busy,
    #[error("the clock that interrupts skills has not ticked for {} s, so that nothing new is begun", .0.as_secs_f32())]
    Unticked(Duration),
    #[error("the host is busy: {concurrent} calls run and {queue} wait for their turn, which is the most")]
    Crowded { concurrent: usize, queue: usize },
    #[error("the host failed while it ran the skill")]
    HostFault,
    /// The skill's own words.
    #[error("{message}")]
    Failed { kind: &'static str, message: String, hint: Option<String> },
}

impl Explain for InvokeError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Deadline(_) | Self::CpuLimit(_) => "deadline",
            Self::MemoryLimit(_) => "memory-limit",
            Self::TableLimit(_) => "table-limit",
            Self::StackOverflow => "stack-overflow",
            Self::HandleLimit => "handle-limit",
            Self::HostcallTooLarge(_) => "hostcall-too-large",
            Self::WrongExport(_) => "missing-export",
            Self::Trap(_) => "trap",
            Self::Cancelled => "cancelled",
            Self::Withdrawn => "withdrawn",
            Self::Busy | Self::Crowded { .. } | Self::Unticked(_) => "busy",
            Self::HostFault => "host-fault",
            Self::Failed { kind, .. } => kind,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Deadline(_) => "give less work, or raise `limits.wall-seconds` (`--timeout` for one run)".into(),
            Self::CpuLimit(_) => "give less work, or raise `limits.cpu-seconds`".into(),
            Self::MemoryLimit(_) | Self::TableLimit(_) => "give less work, or raise `limits.memory-mib`".into(),
            Self::HandleLimit => "raise `limits.handles`, or tell the author".into(),
            Self::HostcallTooLarge(_) => "raise `limits.hostcall-kib`, or tell the author".into(),
            Self::StackOverflow | Self::Trap(_) => "tell the author; `-v` shows the skill's log".into(),
            Self::WrongExport(_) => "build it with the SDK: its attribute makes the export".into(),
            Self::Cancelled => "what was spent until then is settled; run it again when you like".into(),
            Self::Withdrawn => "call it again: the new version answers; `engine.drain-seconds` is the time".into(),
            Self::Busy => "try again, or raise `engine.concurrent`".into(),
            Self::Unticked(_) => "try again: it is restarted within a second or two".into(),
            Self::Crowded { .. } => {
                "try again in a moment; `engine.concurrent` and `engine.queue` say how many calls are let in".into()
            }
            Self::HostFault => "this is a bug of the host; its log says more".into(),
            Self::Failed { hint: Some(hint), .. } => hint.clone(),
            Self::Failed { kind: "unavailable", .. } => "`ringfence models` shows what answers now".into(),
            Self::Failed { .. } => "see the skill's README".into(),
        }
    }
}

/// What wasmtime's error means. Kinds come from types, never from texts.
pub(super) fn explain(error: &wasmtime::Error, limiter: &limits::Limiter, hostcall_bytes: usize) -> InvokeError {
    use wasmtime::Trap;
    use wasmtime::component::ResourceTableError;
    if let Some(Refusal::Cancelled) = error.downcast_ref::<Refusal>() {
        return InvokeError::Cancelled;
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return InvokeError::Busy;
    }
    if error.downcast_ref::<ResourceTableError>().is_some() {
        return InvokeError::HandleLimit;
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return InvokeError::StackOverflow;
    }
    let text = format!("{error:#}");
    // These three have no type that can be named outside of wasmtime 48; tests hold the texts to it.
    if text.contains(HOSTCALL_FUEL) {
        return InvokeError::HostcallTooLarge(hostcall_bytes);
    }
    if text.contains("store handle limit exceeded") {
        return InvokeError::HandleLimit;
    }
    if let Some((_, form)) = text.split_once(WRONG_EXPORT) {
        return InvokeError::WrongExport(form.trim_start_matches(": ").chars().take(TRAP_TEXT).collect());
    }
    match limiter.refused() {
        Some((limits::Kind::Memory, limit)) => InvokeError::MemoryLimit(limit),
        Some((limits::Kind::Table, limit)) => InvokeError::TableLimit(limit),
        None => InvokeError::Trap(text.lines().next().unwrap_or_default().chars().take(TRAP_TEXT).collect()),
    }
}

const HOSTCALL_FUEL: &str = "too much data";
const WRONG_EXPORT: &str = "failed to convert function to given type";

impl From<exports::Failure> for InvokeError {
    fn from(failure: exports::Failure) -> Self {
        use exports::FailureKind as Kind;
        let kind = match failure.kind {
            Kind::InvalidInput => "invalid-input",
            Kind::UnknownTool => "unknown-tool",
            Kind::Refused => "refused",
            Kind::Unavailable => "unavailable",
            Kind::Failed => "failed",
        };
        Self::Failed { kind, message: failure.message, hint: failure.hint }
    }
}
