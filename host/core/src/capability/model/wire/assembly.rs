//! Putting an answer together from the pieces of a stream.

use std::collections::HashSet;

use futures_util::{FutureExt, Stream, StreamExt};

use super::stream::{emit, while_heard};
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Event, Response};

/// More tool calls than this in one answer are not an answer.
pub(super) const MAX_CALLS: usize = 256;

/// A wire's stream as a machine: fed one item at a time, it says what happened, and in the end what the answer is.
pub trait Assembly: Send {
    /// What the wire's stream is made of.
    type Item: Send;

    fn feed(&mut self, item: Self::Item) -> Result<Vec<Event>, ProviderError>;

    /// Whether the wire's own end mark has come: nothing that follows matters.
    fn is_done(&self) -> bool;

    /// The last events and the whole answer; [`ProviderError::Garbled`] where the stream ended before its end.
    fn finish(self) -> Result<(Vec<Event>, Response), ProviderError>;
}

/// Runs a stream through its assembly, and sends the events on as they come.
pub async fn assemble<A: Assembly>(
    mut stream: impl Stream<Item = Result<A::Item, ProviderError>> + Send + Unpin,
    mut assembly: A,
    events: Option<&Events>,
) -> Result<Response, ProviderError> {
    while_heard(events, async {
        while let Some(item) = stream.next().await {
            emit(events, assembly.feed(item?)?).await?;
            if assembly.is_done() {
                // A connection is used again only when its body was read to the end, which is mostly here already.
                let _ = stream.next().now_or_never();
                break;
            }
        }
        let (last, response) = assembly.finish()?;
        emit(events, last).await?;
        Ok(response)
    })
    .await
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
