//! The face for MCP clients: the tools of all skills, over standard streams, a socket of this machine's, and HTTP.
//!
//! Both eras of the protocol are spoken on one endpoint: sessions that begin with `initialize` (up to 2025-11-25), and requests that
//! bring everything with them (2026-07-28). <https://modelcontextprotocol.io/specification/2026-07-28>

mod call;
mod document;
mod id;
mod lines;
mod meta;
mod person;
mod refused;
mod server;
mod sessions;
mod skills;
pub(crate) mod socket;
pub(crate) mod stdio;
mod words;

use std::sync::Arc;
use std::time::Duration;

use ringfence_core::{Error, Host};
use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub(crate) use document::document;
pub(crate) use refused::of_problem;

use crate::http::Counts;
use crate::trouble::Trouble;
use lines::Lines;
use server::Server;
use sessions::Sessions;

/// Most bytes of one message of a client: what a tool may be given at most, and room for what stands around it.
const MESSAGE_BYTES: usize = 17 << 20;
/// Most sessions of older clients over HTTP at once.
const SESSIONS: usize = 1_024;
/// Most requests over HTTP at once that need no session. Connections are what there is less of.
const REQUESTS: usize = 4_096;
/// Said where there are as many of them as there may be.
const BUSY: &str = "as many clients are served as can be";
/// How long the answer to the last call has to be written.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Where it is served over HTTP.
pub(crate) const PATH: &str = "/mcp";

/// What a client is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Only one tool that finds tools and one that calls them, which never change: for clients that keep the first list for ever.
    pub(crate) meta_tools: bool,
    /// How long a client may believe a list of tools without asking again.
    pub(crate) fresh: Duration,
}

impl Options {
    /// For somebody who works on skills.
    pub(crate) const DEVELOPMENT: Self = Self { meta_tools: false, fresh: Duration::ZERO };
}

impl Options {
    /// In milliseconds.
    fn fresh(self) -> u64 {
        u64::try_from(self.fresh.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { meta_tools: false, fresh: Duration::from_secs(60) }
    }
}

/// Serves one client over a stream of lines, until it goes or `stop` is cancelled. Calls that are under way when it goes have five
/// seconds to end; then they are cancelled.
pub(crate) async fn session<S>(host: Host, options: Options, stream: S, stop: &CancellationToken) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let token = stop.child_token();
    let over = CancellationToken::new();
    // Also where this is dropped.
    let is_over = over.clone().drop_guard();
    let (transport, written) = Lines::new(stream, over);
    match serve_server_with_ct(Server::new(host, options), transport, token).await {
        Ok(running) => drop(running.waiting().await),
        // It left before it said anything, or we are to end.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {}
        Err(error) => {
            let why = match &error {
                // The library would write down all of what came.
                ServerInitializeError::ExpectedInitializeRequest(_) => "it began with something else".to_owned(),
                error => error.to_string(),
            };
            return Err(Trouble::new(
                "invalid",
                format!("the client does not speak the Model Context Protocol: {why}"),
                "it has to begin with `initialize` or with a request that names its protocol version",
            ));
        }
    }
    // What was answered last is on its way, to whoever still takes it.
    drop(is_over);
    written.await;
    Ok(())
}

/// How an endpoint that is reached by HTTP ends, and what it keeps to itself.
pub(crate) struct Outside {
    /// Paths that no answer names.
    pub(crate) hidden: Vec<String>,
    pub(crate) counts: Arc<Counts>,
    /// Cancelled when what only waits for news is to end.
    pub(crate) closing: CancellationToken,
    /// Cancelled when everything is.
    pub(crate) ending: CancellationToken,
}

/// Streamable HTTP at [`PATH`]. To be mounted behind whatever decides who may come in: it looks at neither tokens, hosts nor origins.
pub(crate) fn router(host: Host, options: Options, outside: Outside) -> axum::Router {
    let Outside { hidden, counts, closing, ending } = outside;
    let first = Server::new(host, options).outside(hidden, counts, closing.clone());
    let stop = ending.child_token();
    let config = StreamableHttpServerConfig::default()
        .with_cancellation_token(stop.clone())
        .with_max_request_body_bytes(MESSAGE_BYTES)
        .disable_allowed_hosts();
    // The streams of older clients end when the last call has, and not only when everything has to.
    let quiet = first.quiet();
    tokio::spawn(ending.run_until_cancelled_owned(async move {
        closing.cancelled().await;
        quiet.await;
        tokio::time::sleep(LAST_WORDS).await;
        stop.cancel();
    }));
    let make = move || {
        // A session holds one for as long as it lasts, and a request of the newer protocol for as long as it takes.
        if first.shared() > SESSIONS + REQUESTS { Err(std::io::Error::other(BUSY)) } else { Ok(first.another()) }
    };
    let sessions = Arc::new(Sessions::new(SESSIONS));
    let service = StreamableHttpService::new(make, Arc::clone(&sessions), config);
    let told = axum::middleware::from_fn_with_state(sessions, refused::told);
    axum::Router::new().route_service(PATH, service).layer(told)
}
