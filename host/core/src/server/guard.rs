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
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use rmcp::transport::{StreamableHttpClientTransport, Transport};
use sse_stream::Sse;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::schema::Weight;

/// Most bytes of one message.
pub(super) const LINE_BYTES: usize = 4 << 20;
/// Most memory of what one message is read into: of 4 MiB of text it can be a hundred times as much.
pub(super) const TREE_BYTES: usize = 128 << 20;
/// Most messages within [`WINDOW`]. No server has so much to say: each is read, and wakes somebody.
const MESSAGES: u32 = 5_000;
/// Most requests of a server within [`WINDOW`]: each has to be answered, and it may take the answers slowly.
const ASKS: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);
/// How long a connection that was ended may take for its last words.
const CLOSE: Duration = Duration::from_secs(1);

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
        bearable(Weight::of(message.as_bytes()))?;
        if serde_json::from_str::<Head>(message).is_ok_and(|head| head.id.is_some() && head.method.is_some()) {
            self.asks += 1;
        }
        match self.asks > ASKS {
            true => Err(format!("it asked for something more than {ASKS} times within {} s", WINDOW.as_secs())),
            false => Ok(()),
        }
    }
}

fn bearable(weight: usize) -> Result<(), String> {
    let most = TREE_BYTES >> 20;
    match weight > TREE_BYTES {
        true => Err(format!("it sent a message of so many small parts that reading it takes more than {most} MiB")),
        false => Ok(()),
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
    weight: Weight,
    count: Count,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R, ending: Ending) -> Self {
        Self { inner, ending, length: 0, weight: Weight::default(), count: Count::default() }
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.lengthen(&rest[..end])?;
            (self.length, self.weight) = (0, Weight::default());
            rest = &rest[end + 1..];
            self.count.one_more()?;
        }
        self.lengthen(rest)
    }

    fn lengthen(&mut self, by: &[u8]) -> Result<(), String> {
        self.length = self.length.saturating_add(by.len());
        if self.length > LINE_BYTES {
            return Err(format!("it sent a line of more than {} MiB", LINE_BYTES >> 20));
        }
        self.weight.feed(by);
        bearable(self.weight.bytes())
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

type Inner<C> = StreamableHttpClientTransport<C>;

/// Messages over HTTP that end when they are stopped. By itself the library waits for its worker there, and the worker for somebody
/// who takes what it has read: where a server has said more than fits between the two, neither would ever end.
pub(super) struct Stoppable<C: StreamableHttpClient + Send + Sync> {
    /// None once it is closed.
    inner: Option<Inner<C>>,
    stop: CancellationToken,
}

impl<C: StreamableHttpClient + Send + Sync> Stoppable<C> {
    pub(super) fn new(inner: Inner<C>, stop: CancellationToken) -> Self {
        Self { inner: Some(inner), stop }
    }
}

impl<C: StreamableHttpClient + Send + Sync> Transport<RoleClient> for Stoppable<C> {
    type Error = StreamableHttpError<C::Error>;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let sent = self.inner.as_mut().map(|inner| inner.send(message));
        let stop = self.stop.clone();
        async move {
            let Some(sent) = sent else { return Err(StreamableHttpError::TransportChannelClosed) };
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(StreamableHttpError::TransportChannelClosed),
                sent = sent => sent,
            }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        self.inner.as_mut()?.receive().await
    }

    /// Gives the worker a moment, in which it tells the server that its session is over. What it still waits for goes with the rest.
    async fn close(&mut self) -> Result<(), Self::Error> {
        let Some(mut inner) = self.inner.take() else { return Ok(()) };
        timeout(CLOSE, inner.close()).await.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
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
        let heavy = |parts: usize| format!("[{}0]\n", r#"{"":0},"#.repeat(parts)).into_bytes();
        let (light, too_heavy) = (heavy(TREE_BYTES / 2 / 711), heavy(TREE_BYTES / 711 + 1));
        assert!(too_heavy.len() < LINE_BYTES / 2, "it is short");
        assert_eq!(read(&light.repeat(3)).await, (3 * light.len(), None), "each line by itself");
        assert!(read(&too_heavy).await.1.unwrap().contains("so many small parts"));
        let text = String::from_utf8(too_heavy).unwrap();
        assert!(Count::default().one_more_of(&text).unwrap_err().contains("so many small parts"));
    }

    /// A server over HTTP that answers a call with a stream of requests without end.
    #[derive(Clone)]
    struct Flood;

    #[derive(Debug, thiserror::Error)]
    #[error("never")]
    struct Never;

    impl StreamableHttpClient for Flood {
        type Error = Never;

        async fn post_message(
            &self,
            _: Arc<str>,
            message: ClientJsonRpcMessage,
            _: Option<Arc<str>>,
            _: Option<String>,
            _: Headers,
        ) -> Result<StreamableHttpPostResponse, StreamableHttpError<Never>> {
            let message = serde_json::to_value(&message).unwrap();
            Ok(match message["method"].as_str().unwrap() {
                "initialize" => {
                    let result = serde_json::json!({
                        "protocolVersion": "2025-06-18", "capabilities": {},
                        "serverInfo": { "name": "flood", "version": "1" },
                    });
                    let answer = serde_json::json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                    StreamableHttpPostResponse::Json(serde_json::from_value(answer).unwrap(), None)
                }
                "ping" => {
                    let ping = Sse::default().data(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
                    let pings = futures_util::stream::repeat_with(move || Ok(ping.clone()));
                    StreamableHttpPostResponse::Sse(pings.boxed(), None)
                }
                _ => StreamableHttpPostResponse::Accepted,
            })
        }

        async fn delete_session(
            &self,
            _: Arc<str>,
            _: Arc<str>,
            _: Option<String>,
            _: Headers,
        ) -> Result<(), StreamableHttpError<Never>> {
            Ok(())
        }

        async fn get_stream(
            &self,
            _: Arc<str>,
            _: Option<Arc<str>>,
            _: Option<String>,
            _: Option<String>,
            _: Headers,
        ) -> Result<Events, StreamableHttpError<Never>> {
            Err(StreamableHttpError::ServerDoesNotSupportSse)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t90_a_connection_that_nobody_reads_any_more_ends_with_all_that_waits_in_it() {
        let message = |message| serde_json::from_value::<ClientJsonRpcMessage>(message).unwrap();
        let stop = CancellationToken::new();
        let inner =
            StreamableHttpClientTransport::with_client(Flood, StreamableHttpClientTransportConfig::with_uri("x"));
        let mut flooded = Stoppable::new(inner, stop.clone());
        let (params, info) = (serde_json::json!({}), serde_json::json!({ "name": "test", "version": "1" }));
        let greeting =
            serde_json::json!({ "protocolVersion": "2025-06-18", "capabilities": params, "clientInfo": info });
        let greeting = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": greeting });
        flooded.send(message(greeting)).await.unwrap();
        flooded.receive().await.unwrap();
        let begun = serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        flooded.send(message(begun)).await.unwrap();
        let ping = |id: u32| message(serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }));
        flooded.send(ping(2)).await.unwrap();
        let more = tokio::spawn(flooded.send(ping(3)));
        // The clock stands until nobody has anything to do: the way to us is full, and whoever fills it waits for us.
        tokio::time::sleep(Duration::from_millis(1)).await;
        stop.cancel();
        more.await.unwrap().unwrap_err();
        flooded.send(ping(4)).await.unwrap_err();
        timeout(CLOSE * 2, flooded.close()).await.unwrap().unwrap();
        assert!(flooded.receive().await.is_none());
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        timeout(CLOSE, async {
            while alive() > 0 {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
    }
}
