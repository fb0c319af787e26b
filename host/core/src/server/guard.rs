//! What comes from a server, before it is read as messages: how long a line may be, and how many there may be.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::Sse;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Most bytes of one message.
pub(super) const LINE_BYTES: usize = 4 << 20;
/// Most messages within [`WINDOW`]. No server has so much to say: each is read, and wakes somebody.
const MESSAGES: u32 = 5_000;
/// Most requests of a server within [`WINDOW`]: each has to be answered, and it may take the answers slowly.
const ASKS: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Why a server was given up, told to whoever waits for it. The first reason counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<Mutex<Option<String>>>);

impl Ending {
    pub(super) fn tell(&self, reason: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.into());
    }

    pub(super) fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Messages of a stranger, of the last [`WINDOW`].
#[derive(Debug)]
struct Count {
    since: Instant,
    messages: u32,
    asks: u32,
}

impl Default for Count {
    fn default() -> Self {
        Self { since: Instant::now(), messages: 0, asks: 0 }
    }
}

impl Count {
    fn one_more(&mut self) -> Result<(), String> {
        if self.since.elapsed() > WINDOW {
            *self = Self::default();
        }
        self.messages += 1;
        match self.messages > MESSAGES {
            true => Err(format!("it sent more than {MESSAGES} messages within {} s", WINDOW.as_secs())),
            false => Ok(()),
        }
    }

    /// One more, which is JSON of its own and has not been counted.
    fn one_more_of(&mut self, message: &str) -> Result<(), String> {
        self.one_more()?;
        if serde_json::from_str::<Head>(message).is_ok_and(|head| head.id.is_some() && head.method.is_some()) {
            self.asks += 1;
        }
        match self.asks > ASKS {
            true => Err(format!("it asked for something more than {ASKS} times within {} s", WINDOW.as_secs())),
            false => Ok(()),
        }
    }
}

/// What tells a request from everything else (JSON-RPC 2.0, 4).
#[derive(serde::Deserialize)]
struct Head {
    id: Option<serde::de::IgnoredAny>,
    method: Option<serde::de::IgnoredAny>,
}

/// Lines from a stranger. Ends with an error where there is too much of them, before it is in memory.
pub(super) struct Lines<R> {
    inner: R,
    ending: Ending,
    length: usize,
    count: Count,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R, ending: Ending) -> Self {
        Self { inner, ending, length: 0, count: Count::default() }
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.lengthen(end)?;
            self.length = 0;
            rest = &rest[end + 1..];
            self.count.one_more()?;
        }
        self.lengthen(rest.len())
    }

    fn lengthen(&mut self, by: usize) -> Result<(), String> {
        self.length = self.length.saturating_add(by);
        if self.length > LINE_BYTES {
            return Err(format!("it sent a line of more than {} MiB", LINE_BYTES >> 20));
        }
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let counted = this.count(&buf.filled()[before..]);
        Poll::Ready(counted.map_err(|reason| {
            buf.set_filled(before);
            this.ending.tell(reason.clone());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        }))
    }
}

/// A client for HTTP whose streams end where they hold too many messages, as [`Lines`] does: all streams of a connection count together.
/// How long one may be is a limit of the client below.
#[derive(Clone)]
pub(super) struct Counted<C> {
    client: C,
    count: Arc<Mutex<Count>>,
    ending: Ending,
    stop: CancellationToken,
}

type Headers = HashMap<HeaderName, HeaderValue>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

impl<C> Counted<C> {
    /// `stop` is cancelled where there is too much.
    pub(super) fn new(client: C, ending: Ending, stop: CancellationToken) -> Self {
        Self { client, count: Arc::default(), ending, stop }
    }

    fn events(&self, events: Events) -> Events {
        let Self { count, ending, stop, .. } = self;
        let (count, ending, stop) = (Arc::clone(count), ending.clone(), stop.clone());
        let stopped = stop.clone().cancelled_owned();
        let counted = events.take_until(stopped).take_while(move |event| {
            // A remark that keeps the stream open is none, and wakes nobody.
            let message = event.as_ref().ok().and_then(|event| event.data.as_deref());
            let counted = match message {
                Some(message) => count.lock().unwrap_or_else(PoisonError::into_inner).one_more_of(message),
                None => Ok(()),
            };
            if let Err(reason) = &counted {
                ending.tell(reason.clone());
                stop.cancel();
            }
            std::future::ready(counted.is_ok())
        });
        counted.boxed()
    }

    /// What is sent, until there was too much: who floods us may take it slowly, and what waits behind it has to end.
    async fn unless_stopped<T, E: std::error::Error + Send + Sync + 'static>(
        &self,
        work: impl Future<Output = Result<T, StreamableHttpError<E>>>,
    ) -> Result<T, StreamableHttpError<E>> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StreamableHttpError::TransportChannelClosed),
            done = work => done,
        }
    }

    fn answer(&self, answer: StreamableHttpPostResponse) -> StreamableHttpPostResponse {
        match answer {
            StreamableHttpPostResponse::Sse(events, session) => {
                StreamableHttpPostResponse::Sse(self.events(events), session)
            }
            other => other,
        }
    }
}

impl<C: StreamableHttpClient + Send + Sync> StreamableHttpClient for Counted<C> {
    type Error = C::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, StreamableHttpError<C::Error>> {
        let answer = self.unless_stopped(self.client.post_message(uri, message, session, token, headers)).await?;
        Ok(self.answer(answer))
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, StreamableHttpError<C::Error>> {
        let client = &self.client;
        let work = client.post_message_with_response_limits(uri, message, session, token, headers, limits);
        let answer = self.unless_stopped(work).await?;
        Ok(self.answer(answer))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), StreamableHttpError<C::Error>> {
        self.client.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        after: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<Events, StreamableHttpError<C::Error>> {
        let events = self.client.get_stream(uri, session, after, token, headers).await?;
        Ok(self.events(events))
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        after: Option<String>,
        token: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<Events, StreamableHttpError<C::Error>> {
        let client = &self.client;
        let events = client.get_stream_with_max_sse_event_size(uri, session, after, token, headers, most).await?;
        Ok(self.events(events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn read(bytes: &[u8]) -> (usize, Option<String>) {
        let ending = Ending::default();
        let mut lines = Lines::new(bytes, ending.clone());
        let (mut all, mut piece) = (0, [0; 8192]);
        while let Ok(count @ 1..) = lines.read(&mut piece).await {
            all += count;
        }
        (all, ending.told())
    }

    #[tokio::test]
    async fn t90_a_line_without_end_and_a_flood_of_lines_are_cut_off() {
        let longest = [vec![b'x'; LINE_BYTES], b"\n".to_vec()].concat();
        assert_eq!(read(&longest.repeat(2)).await, (2 * longest.len(), None));
        let (read_of, why) = read(&vec![b'x'; 4 * LINE_BYTES]).await;
        assert!(read_of <= LINE_BYTES && why.unwrap().contains("a line of more than 4 MiB"));
        let most = b"{}\n".repeat(MESSAGES as usize);
        assert_eq!(read(&most).await, (most.len(), None));
        assert!(read(&b"\n".repeat(100_000)).await.1.unwrap().contains("messages within 10 s"));
    }
}
