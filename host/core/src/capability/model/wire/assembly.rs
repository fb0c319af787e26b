//! Putting an answer together from the pieces of a stream.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::{FutureExt, Stream};

use super::stream::{Frame, Frames, emit, while_heard};
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Event, Response};

/// More tool calls than this in one answer are not an answer.
pub(super) const MAX_CALLS: usize = 256;

/// A wire's stream as a machine: fed one frame at a time, it says what happened, and in the end what the answer is.
pub trait Assembly: Send {
    /// What happened is added to `events`.
    fn feed(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError>;

    /// Whether the wire's own end mark has come: nothing that follows matters.
    fn is_done(&self) -> bool;

    /// The whole answer, and the last events; [`ProviderError::Garbled`] where the stream ended before its end.
    fn finish(self, events: &mut Vec<Event>) -> Result<Response, ProviderError>;
}

/// Runs a stream through its assembly, and sends the events on as they come.
pub async fn assemble<A, S>(
    mut frames: Frames<S>,
    mut assembly: A,
    events: Option<&Events>,
) -> Result<Response, ProviderError>
where
    A: Assembly,
    S: Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin,
{
    while_heard(events, async {
        let mut batch = Vec::new();
        let mut begun = false;
        loop {
            // What was said before an error has been said.
            let fed = feed(&mut frames, &mut assembly, &mut batch);
            if let (Ok(true), false, Some(events)) = (&fed, begun, events) {
                begun = true;
                events.heard();
            }
            emit(events, &mut batch).await?;
            fed?;
            if assembly.is_done() {
                // A connection is used again only when its body was read to the end, which is mostly here already.
                let _ = frames.more().now_or_never();
                break;
            }
            if !frames.more().await? {
                break;
            }
        }
        let response = assembly.finish(&mut batch)?;
        emit(events, &mut batch).await?;
        Ok(response)
    })
    .await
}

/// Feeds what is here, and tells whether it said anything.
fn feed<A, S>(frames: &mut Frames<S>, assembly: &mut A, events: &mut Vec<Event>) -> Result<bool, ProviderError>
where
    A: Assembly,
    S: Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin,
{
    let mut said = false;
    while !assembly.is_done()
        && let Some(frame) = frames.here()?
    {
        said |= !frame.is_ping();
        assembly.feed(frame, events)?;
    }
    Ok(said)
}

pub(super) fn ended_early() -> ProviderError {
    ProviderError::Garbled("the stream ended before the answer did".into())
}

/// Gives every tool call of an answer an id of its own. Servers send none, the same one twice, or numbers.
#[derive(Debug)]
pub struct Ids {
    /// Makes ids that are made here unique in the whole conversation. None until the first is needed.
    seed: Option<String>,
    given: HashSet<String>,
}

impl Ids {
    pub fn new(seed: impl Into<String>) -> Self {
        Self { seed: Some(seed.into()), given: HashSet::new() }
    }

    /// A seed that no other answer has.
    pub fn fresh() -> Self {
        Self { seed: None, given: HashSet::new() }
    }

    /// `wanted` where it is usable, or one made up.
    pub(super) fn give(&mut self, wanted: Option<&str>) -> String {
        let wanted = wanted.filter(|id| !id.is_empty() && !self.given.contains(*id));
        let id = wanted.map_or_else(|| self.made_up(), str::to_owned);
        self.given.insert(id.clone());
        id
    }

    fn made_up(&mut self) -> String {
        let seed = self.seed.get_or_insert_with(|| {
            // Its end is the random part. Some providers take ids of at most 40 characters.
            let random = uuid::Uuid::now_v7().simple().to_string();
            random.get(16..).unwrap_or_default().to_owned()
        });
        format!("call_{seed}_{}", self.given.len())
    }
}
