//! The port: what every provider of models can do. One file per wire under `wire/`, and two built-in ones that need no
//! network (`offline`, `scripted`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::ask::{Embed, Generate};
use super::types::{Embeddings, Event, Request, Response};
use crate::broker::Permit;

/// Where a provider puts events. Bounded: a reader that stops reading stops the provider's stream too.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<Event>,
    streamed: Streamed,
    /// Bytes above which an answer is none.
    most: u64,
}

impl Events {
    /// Events, and their reader. At most `unread` of them wait for it.
    pub fn new(unread: usize) -> (Self, mpsc::Receiver<Event>) {
        let (sender, reader) = mpsc::channel(unread);
        (Self { sender, streamed: Streamed::default(), most: u64::MAX }, reader)
    }

    /// The same reader for one attempt, which is counted and may be `most` bytes long.
    pub(super) fn counted(&self, streamed: &Streamed, most: u64) -> Self {
        Self { sender: self.sender.clone(), streamed: streamed.clone(), most }
    }

    /// Sends an event on, and waits where the reader is slow. An error ends the provider's attempt: nobody reads any more, or
    /// the answer has become far too long.
    pub async fn send(&self, event: Event) -> Result<(), ProviderError> {
        let streamed = self.streamed.count(&event);
        // Mostly there is room, and then nothing has to be waited for.
        match self.sender.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => {
                self.sender.send(event).await.map_err(|_| ProviderError::Abandoned)?;
            }
            Err(TrySendError::Closed(_)) => return Err(ProviderError::Abandoned),
        }
        if streamed > self.most {
            return Err(ProviderError::Garbled("it streams far more than the tokens that were asked for".into()));
        }
        Ok(())
    }

    /// The provider has begun to answer, though it may have said nothing yet that is an event.
    pub(super) fn heard(&self) {
        self.streamed.0.heard.store(true, Ordering::Relaxed);
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// How much of an answer an attempt has streamed. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Streamed(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    heard: AtomicBool,
}

impl Streamed {
    /// Counts more of the answer, and gives the sum. At least one byte each: that something was streamed must be seen.
    pub(super) fn count(&self, event: &Event) -> u64 {
        let bytes = match event {
            Event::Text(text) | Event::Thinking(text) => text.len(),
            Event::ToolCallDelta { input, .. } => input.len(),
            Event::ToolCallStart { name, .. } => name.len(),
            // Its pieces have been counted.
            Event::ToolCall(_) => 0,
        };
        let bytes = bytes.max(1) as u64;
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether a streamed answer has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.0.heard.load(Ordering::Relaxed) || self.bytes() > 0
    }

    pub(super) fn begin_anew(&self) {
        self.0.bytes.store(0, Ordering::Relaxed);
        self.0.heard.store(false, Ordering::Relaxed);
    }
}

/// What a wire can do by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Takes a JSON Schema for its answer and keeps to it.
    pub native_schema: bool,
    pub embeddings: bool,
    /// Answers without leaving this machine.
    pub local: bool,
}

/// One configured provider.
pub trait Provider: Send + Sync + 'static {
    fn features(&self) -> Features;

    /// Makes one attempt: no retry, no failover, no repair. `model` is the provider's own model name.
    ///
    /// With `events` the streaming form of the wire is used and events are sent as they come; without, the plain form. Both
    /// return the same whole response. Dropping the future closes the connection.
    fn generate<'a>(
        &'a self,
        permit: &'a Permit<Generate>,
        model: &'a str,
        request: &'a Request,
        events: Option<&'a Events>,
    ) -> BoxFuture<'a, Result<Response, ProviderError>>;

    /// Vectors for texts. The default is for wires that have none.
    fn embed<'a>(
        &'a self,
        permit: &'a Permit<Embed>,
        model: &'a str,
        inputs: &'a [String],
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        let _ = (permit, model, inputs);
        Box::pin(async { Err(ProviderError::Invalid("this provider has no embeddings".into())) })
    }

    /// The model names that the provider says it has, for `ringfence models`. Costs nothing.
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>, ProviderError>>;
}

/// Why one attempt failed. Never holds a key; provider texts are cut to 300 characters and stripped of control characters.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// No connection, or it broke before an answer began (connect, TLS, DNS, reset).
    #[error("the provider cannot be reached: {0}")]
    Connect(String),
    /// What answers there is not what should: a web page, a redirect, a path that is not there. The text says where, what
    /// should be there, and what came.
    #[error("{text}")]
    Foreign { status: u16, text: String },
    /// HTTP 401 or 403, or the wire's own word for it inside of an answer, which has no status of its own.
    #[error("the provider refused the key{}: {message}", in_brackets(*.status))]
    Key { status: Option<u16>, message: String },
    /// No header can hold the key, so that nothing was sent.
    #[error("the key cannot be sent: {0}")]
    Unsendable(String),
    /// HTTP 404, or the wire's own word for a model it does not know.
    #[error("the provider has no such model: {0}")]
    UnknownModel(String),
    /// HTTP 429, with Retry-After where it was sent.
    #[error("the provider is limiting requests: {message}")]
    RateLimited { message: String, retry_after: Option<Duration> },
    /// Quota or credit is used up: not worth a retry.
    #[error("the account's quota is used up: {0}")]
    Quota(String),
    /// HTTP 5xx, 529, or an error in an answer that names such a status.
    #[error("the provider failed (HTTP {status}): {message}")]
    Server { status: u16, message: String, retry_after: Option<Duration> },
    /// An error in an answer that had begun well, without a status. `billed` where the model may have worked before it.
    #[error("the provider failed inside of its answer: {message}")]
    Failed { message: String, billed: bool },
    /// HTTP 400, 413, 422: the request is wrong for this model.
    #[error("the provider rejected the request: {0}")]
    Invalid(String),
    /// The prompt does not fit the model's context.
    #[error("the prompt is too long for the model: {0}")]
    TooLong(String),
    /// Bytes that are not the wire format, or a stream that ended before its end.
    #[error("the provider's answer makes no sense: {0}")]
    Garbled(String),
    /// A phase took longer than it may: `connect`, `first byte`, `idle` or an attempt's share of the time that is left.
    #[error("the provider did not answer in time ({phase}, {after:?})")]
    TimedOut { phase: &'static str, after: Duration },
    /// The reader of the events has gone.
    #[error("nobody waits for the answer any more")]
    Abandoned,
}

/// The phase of an attempt that had to end so that something can still follow it within the invocation's time.
pub(super) const SHARE: &str = "its share of the invocation's time";

fn in_brackets(status: Option<u16>) -> String {
    status.map(|status| format!(" (HTTP {status})")).unwrap_or_default()
}

impl ProviderError {
    /// Whether the same request may succeed at the same provider a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Failed { .. }
            | Self::Garbled(_) => true,
            // There is no time for a second attempt where the first has had its share.
            Self::TimedOut { phase, .. } => *phase != SHARE,
            Self::Foreign { .. }
            | Self::Key { .. }
            | Self::Unsendable(_)
            | Self::UnknownModel(_)
            | Self::Quota(_)
            | Self::Invalid(_)
            | Self::TooLong(_)
            | Self::Abandoned => false,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
