//! One provider's HTTP endpoint: where it is, who we are there, how long we wait, and what we read of what it says.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

use super::failure::{failure, foreign, is_page, scrub};
use super::stream::{Frames, lenient_json, ndjson, sse};
use crate::capability::model::provider::ProviderError;

/// Largest answer that is read whole. Vectors of 256 texts with 3,072 dimensions are about 10 MiB of JSON.
pub const MAX_BODY: usize = 16 << 20;

/// Most of an error's body that is read: its message is cut to 300 characters anyway.
pub const MAX_ERROR_BODY: usize = 64 << 10;

/// How long each phase of a request may take. There is no total: an invocation's deadline ends what takes too long as a
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS.
    pub connect: Duration,
    /// From the request to the first byte of the answer's body. Without streaming that is the whole time of thinking.
    pub first_byte: Duration,
    /// Between two bytes of an answer. Bytes that only keep the connection open do for as long as a first byte may take.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(120), idle: Duration::from_secs(60) }
    }
}

/// How the key is shown to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `<name>: <key>`, for example `x-api-key`.
    Header(HeaderName),
}

/// One provider over HTTP. Its connections are kept and used again. `Debug` shows neither the key nor the headers.
pub struct Endpoint {
    base_url: Url,
    key: Option<SecretString>,
    auth: Auth,
    headers: HeaderMap,
    timeouts: Timeouts,
    /// What is said of something else that answers here, up to what came.
    strange: Arc<str>,
    /// Made on first use: a host that calls no model does not pay for reading the system's certificates.
    client: OnceLock<reqwest::Client>,
}

impl Endpoint {
    /// `base_url` is what paths are appended to, for example `https://api.openai.com/v1`.
    pub fn new(base_url: Url, key: Option<SecretString>, timeouts: Timeouts) -> Self {
        let strange = strange(&base_url, "model");
        Self {
            base_url,
            key,
            auth: Auth::Bearer,
            headers: HeaderMap::new(),
            timeouts,
            strange,
            client: OnceLock::new(),
        }
    }

    /// Says whose API should answer, for whoever finds something else there.
    #[must_use]
    pub fn speaking(mut self, api: &str) -> Self {
        self.strange = strange(&self.base_url, api);
        self
    }

    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// A header of every request, for example `OpenAI-Organization`. Fails where name or value cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ProviderError> {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = header
            .ok_or_else(|| ProviderError::Invalid(format!("the header `{}` cannot be sent", name.escape_debug())))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Whether the base URL's host is this machine.
    pub fn is_loopback(&self) -> bool {
        match self.base_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// `path` under the base URL; a query of the base URL (`?api-version=…`) stays. `path` may bring its own.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{}/{}", self.base_url.path().trim_end_matches('/'), path.trim_start_matches('/')));
        match (self.base_url.query(), query) {
            (Some(kept), Some(own)) => url.set_query(Some(&format!("{kept}&{own}"))),
            (None, Some(own)) => url.set_query(Some(own)),
            (_, None) => {}
        }
        url
    }

    /// Posts JSON and returns the answer once its head says that it worked. Everything else is an error of its own kind.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<reqwest::Response, ProviderError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|error| ProviderError::Invalid(format!("the request cannot be written as JSON: {error}")))?;
        let request = self.client()?.post(self.url(path)).header(CONTENT_TYPE, "application/json").body(bytes);
        self.send(request).await
    }

    /// Gets JSON, for lists of models.
    pub async fn get_json(&self, path: &str) -> Result<Value, ProviderError> {
        let request = self.client()?.get(self.url(path));
        let response = self.send(request).await?;
        self.whole_json(response).await
    }

    /// The whole body as JSON: at most [`MAX_BODY`] bytes and 128 levels.
    pub async fn whole_json(&self, response: reqwest::Response) -> Result<Value, ProviderError> {
        let body = whole(self.bytes(response), MAX_BODY).await?;
        if body.overflow {
            return Err(ProviderError::Garbled(format!("the answer is larger than {} MiB", MAX_BODY >> 20)));
        }
        lenient_json(&body.bytes)
    }

    /// The body as it comes, with the time limits of its first byte and of the silence between two. Breaking off is
    /// [`ProviderError::Connect`] before the first byte and [`ProviderError::Garbled`] after it.
    pub fn bytes(
        &self,
        response: reqwest::Response,
    ) -> impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + 'static {
        let head = Head { status: response.status().as_u16(), strange: Arc::clone(&self.strange) };
        timed(response.bytes_stream().boxed(), self.timeouts, Some(head))
    }

    /// The body as server-sent events.
    pub fn events(
        &self,
        response: reqwest::Response,
    ) -> Frames<impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + 'static> {
        sse(self.bytes(response)).within(self.chatter())
    }

    /// The body as lines of JSON.
    pub fn lines(
        &self,
        response: reqwest::Response,
    ) -> Frames<impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + 'static> {
        ndjson(self.bytes(response)).within(self.chatter())
    }

    /// How long a stream may say nothing but that it is there: servers do while a model thinks.
    fn chatter(&self) -> Duration {
        self.timeouts.first_byte.max(self.timeouts.idle)
    }

    /// Makes `text` fit to be shown: see [`scrub`].
    pub fn scrub(&self, text: &str) -> String {
        scrub(text, self.key.as_ref())
    }

    /// The error that a provider's error object inside a stream means.
    pub fn in_stream(&self, error: &Value) -> ProviderError {
        super::failure::in_stream(error, self.key.as_ref())
    }

    /// `error` without the key: for errors of the pure parts of a wire, which do not know it.
    pub fn redact(&self, error: ProviderError) -> ProviderError {
        use ProviderError as E;
        let scrub = |text: String| self.scrub(&text);
        match error {
            E::Connect(text) => E::Connect(scrub(text)),
            E::Foreign { status, text } => E::Foreign { status, text: scrub(text) },
            E::Unsendable(text) => E::Unsendable(scrub(text)),
            E::Failed { message, billed } => E::Failed { message: scrub(message), billed },
            E::Key { status, message } => E::Key { status, message: scrub(message) },
            E::UnknownModel(text) => E::UnknownModel(scrub(text)),
            E::RateLimited { message, retry_after } => E::RateLimited { message: scrub(message), retry_after },
            E::Quota(text) => E::Quota(scrub(text)),
            E::Server { status, message, retry_after } => E::Server { status, message: scrub(message), retry_after },
            E::Invalid(text) => E::Invalid(scrub(text)),
            E::TooLong(text) => E::TooLong(scrub(text)),
            E::Garbled(text) => E::Garbled(scrub(text)),
            E::TimedOut { .. } | E::Abandoned => error,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ProviderError> {
        let mut request = request.headers(self.headers.clone()).header(ACCEPT, "*/*");
        for (name, value) in crate::trace::carried() {
            request = request.header(name, value);
        }
        if let Some(key) = &self.key {
            let (name, value) = self.credential(key)?;
            request = request.header(name, value);
        }
        // The connection has a limit of its own, inside of the client.
        let wait = self.timeouts.connect.saturating_add(self.timeouts.first_byte);
        let response =
            within(wait, self.first_byte(), async { request.send().await.map_err(|error| self.unsent(&error)) })
                .await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    fn first_byte(&self) -> ProviderError {
        ProviderError::TimedOut { phase: "first byte", after: self.timeouts.first_byte }
    }

    /// Marked sensitive, so that neither `Debug` nor HTTP/2's header table keeps it.
    fn credential(&self, key: &SecretString) -> Result<(HeaderName, HeaderValue), ProviderError> {
        let key = key.expose_secret();
        let (name, text) = match &self.auth {
            Auth::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
            Auth::Header(name) => (name.clone(), key.to_owned()),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| ProviderError::Unsendable("it has characters that no HTTP header can hold".into()))?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    /// Why a request brought no answer. The URL stays out of it: it may hold a password.
    fn unsent(&self, error: &reqwest::Error) -> ProviderError {
        if error.is_connect() && error.is_timeout() {
            return ProviderError::TimedOut { phase: "connect", after: self.timeouts.connect };
        }
        let mut text = self.base_url.host_str().unwrap_or("the endpoint").to_owned();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        ProviderError::Connect(self.scrub(&text))
    }

    /// Reads why the provider refused. A body that hangs or breaks does not hide the status.
    async fn refused(&self, response: reqwest::Response) -> ProviderError {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = whole(timed(response.bytes_stream().boxed(), self.timeouts, None), MAX_ERROR_BODY);
        let body = within(self.timeouts.idle, ProviderError::Abandoned, body).await.map(|body| body.bytes);
        let body = body.unwrap_or_default();
        match foreign(status, &headers, &body, self.key.as_ref()) {
            Some(came) => ProviderError::Foreign { status, text: self.scrub(&format!("{}{came}", self.strange)) },
            None => failure(status, &headers, &body, self.key.as_ref()),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, ProviderError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = client(&self.timeouts)
            .map_err(|error| ProviderError::Connect(format!("no HTTP client can be made: {}", self.scrub(&error))))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = (self.base_url.scheme(), self.base_url.host_str(), self.base_url.port());
        f.debug_struct("Endpoint").field("at", &place).field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// The address without what may be secret in it, which the skill is told too: a user, a password, a query, and a path, which is a key
/// with some gateways.
fn strange(base_url: &Url, api: &str) -> Arc<str> {
    let host = base_url.host_str().unwrap_or_default();
    let port = base_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("what answers at {}://{host}{port} is no {api} API: it answered with ", base_url.scheme()).into()
}

/// A client that goes where it is told and nowhere else: no redirects (they would carry the key along) and no proxy from the
/// environment.
pub(crate) fn client(timeouts: &Timeouts) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(crate::tls::config()?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(concat!("ringfence/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .build()
        .map_err(|error| error.to_string())
}

/// A body that was read up to a limit.
struct Whole {
    bytes: Vec<u8>,
    overflow: bool,
}

/// Reads at most `limit` bytes, whatever the head promises.
async fn whole(
    mut stream: impl Stream<Item = Result<Bytes, ProviderError>> + Unpin,
    limit: usize,
) -> Result<Whole, ProviderError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Whole { bytes, overflow: true });
        }
    }
    Ok(Whole { bytes, overflow: false })
}

/// Ends `stream` with an error when it breaks, or is silent for too long, or is a web page although its `head` promised an answer.
fn timed<S>(
    stream: S,
    timeouts: Timeouts,
    head: Option<Head>,
) -> impl Stream<Item = Result<Bytes, ProviderError>> + Send + Unpin + 'static
where
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
{
    Timed { stream, timeouts, head, begun: false, over: false, silent_since: None, alarm: None }
}

/// What is said of an answer whose body is a web page.
struct Head {
    status: u16,
    strange: Arc<str>,
}

impl Head {
    fn page(self) -> ProviderError {
        let Self { status, strange } = self;
        ProviderError::Foreign { status, text: format!("{strange}a web page (HTTP {status})") }
    }
}

struct Timed<S> {
    stream: S,
    timeouts: Timeouts,
    /// Until the first bytes have come.
    head: Option<Head>,
    begun: bool,
    over: bool,
    /// Since when a reader waits for the next bytes.
    silent_since: Option<Instant>,
    /// One for the whole stream. It rings too early where bytes have come meanwhile, and then is set anew: setting it for each
    /// token would cost more than reading one.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Stream for Timed<S>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    type Item = Result<Bytes, ProviderError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        let error = match this.stream.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                this.silent_since = None;
                if !std::mem::replace(&mut this.begun, true) {
                    this.alarm = None;
                }
                match this.head.take().filter(|_| is_page(&bytes)) {
                    Some(head) => head.page(),
                    None => return Poll::Ready(Some(Ok(bytes))),
                }
            }
            Poll::Ready(None) => {
                this.over = true;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(_))) if this.begun => {
                ProviderError::Garbled("the connection broke in the middle of it".into())
            }
            Poll::Ready(Some(Err(_))) => ProviderError::Connect("the connection broke before the answer began".into()),
            Poll::Pending => ready!(this.silence(cx)),
        };
        this.over = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl<S> Timed<S> {
    /// Waits until the silence has lasted too long.
    fn silence(&mut self, cx: &mut Context<'_>) -> Poll<ProviderError> {
        let timeouts = &self.timeouts;
        let (phase, after) = if self.begun { ("idle", timeouts.idle) } else { ("first byte", timeouts.first_byte) };
        // Beyond the end of time is never.
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let Some(due) = since.checked_add(after) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= due {
                return Poll::Ready(ProviderError::TimedOut { phase, after });
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// `work`, or `error` when it takes longer than `limit`.
async fn within<T>(
    limit: Duration,
    error: ProviderError,
    work: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(error))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
