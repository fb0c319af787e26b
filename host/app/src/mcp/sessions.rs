//! Sessions of older clients over HTTP: how many there may be, and which one ends where there would be one more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::{Stream, StreamExt as _};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};

/// Sessions in memory, of which there are never more than so many.
pub(super) struct Sessions {
    kept: LocalSessionManager,
    most: usize,
    uses: Mutex<HashMap<SessionId, Use>>,
    /// Held by whoever makes one: two at once could both be the last.
    making: tokio::sync::Mutex<()>,
}

/// When a client last said something in a session, and what of it is being answered.
struct Use {
    last: Instant,
    answers: Arc<()>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSession {
    #[error("{}", super::BUSY)]
    Full,
    #[error(transparent)]
    Kept(#[from] LocalSessionManagerError),
}

impl Sessions {
    pub(super) fn new(most: usize) -> Self {
        let (kept, making) = (LocalSessionManager::default(), tokio::sync::Mutex::default());
        Self { kept, most, uses: Mutex::default(), making }
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<SessionId, Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that its client is there. Gives what is held for as long as it is being answered.
    fn used(&self, id: &SessionId) -> Option<Arc<()>> {
        let mut uses = self.uses();
        let found = uses.get_mut(id)?;
        found.last = Instant::now();
        Some(Arc::clone(&found.answers))
    }

    /// The one to end where there are as many as there may be: the client that was silent for the longest begins anew, as the protocol
    /// has it, should it come back.
    fn idlest(&self) -> Result<Option<SessionId>, NoSession> {
        let uses = self.uses();
        if uses.len() < self.most {
            return Ok(None);
        }
        let idle = uses.iter().filter(|(_, used)| Arc::strong_count(&used.answers) == 1);
        let longest = idle.min_by_key(|(_, used)| used.last).map(|(id, _)| id.clone());
        longest.map(Some).ok_or(NoSession::Full)
    }
}

impl SessionManager for Sessions {
    type Error = NoSession;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), NoSession> {
        let _one = self.making.lock().await;
        let alive: Vec<SessionId> = self.kept.sessions.read().await.keys().cloned().collect();
        self.uses().retain(|id, _| alive.contains(id));
        if let Some(id) = self.idlest()? {
            tracing::debug!("a session ends for another one");
            self.close_session(&id).await?;
        }
        let (id, transport) = self.kept.create_session().await?;
        self.uses().insert(id.clone(), Use { last: Instant::now(), answers: Arc::default() });
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, NoSession> {
        Ok(self.kept.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, NoSession> {
        Ok(self.kept.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), NoSession> {
        self.uses().remove(id);
        Ok(self.kept.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        let answered = self.used(id);
        Ok(held_by(self.kept.create_stream(id, message).await?, answered))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), NoSession> {
        self.used(id);
        Ok(self.kept.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        self.used(id);
        Ok(self.kept.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        after: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, NoSession> {
        let answered = self.used(id);
        Ok(held_by(self.kept.resume(id, after).await?, answered))
    }
}

/// The same stream, which holds something until it goes.
fn held_by<S>(stream: S, answered: Option<Arc<()>>) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static
where
    S: Stream<Item = ServerSseMessage> + Send + Sync + 'static,
{
    stream.inspect(move |_| {
        let _ = &answered;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_session_that_is_idle_for_the_longest_ends_for_another_and_none_that_is_answered() {
        let sessions = Sessions::new(2);
        let make = async || sessions.create_session().await;
        let (first, _first) = make().await.unwrap();
        let (second, _second) = make().await.unwrap();
        sessions.used(&first);
        let (third, _third) = make().await.unwrap();
        let there = async |id: &SessionId| sessions.has_session(id).await.unwrap();
        assert_eq!((there(&first).await, there(&second).await, there(&third).await), (true, false, true));

        let answered = (sessions.used(&first), sessions.used(&third));
        assert!(matches!(make().await, Err(NoSession::Full)));
        drop(answered.1);
        let (fourth, _fourth) = make().await.unwrap();
        assert_eq!((there(&first).await, there(&third).await, there(&fourth).await), (true, false, true));

        sessions.close_session(&first).await.unwrap();
        make().await.unwrap();
        assert!(there(&fourth).await, "what was ended leaves room");
    }
}
