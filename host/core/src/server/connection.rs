//! One connection to a server: its messages, its tools as it lists them now, and calls.

#![allow(deprecated, reason = "what servers may no longer ask for is refused under its old names")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig,
    CreateMessageRequestParams, CreateMessageResult, CustomRequest, CustomResult, ElicitRequestParams, ElicitResult,
    ErrorCode, ErrorData, Implementation, JsonObject, ListRootsResult, PaginatedRequestParams, ProtocolVersion,
    RequestMetaObject,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, NotificationContext, Peer, RequestContext,
    RoleClient, RunningService, ServiceError, serve_client_with_lifecycle_and_ct,
};
use rmcp::transport::IntoTransport;
use secrecy::SecretString;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ServerError;
use super::failure;
use super::guard::{Ending, TREE_BYTES};
use super::process::Process;
use super::tools::TOOLS;
use crate::capability::secrets::Redactor;
use crate::plain;
use crate::schema::Weight;

/// Most pages of a list of tools: a server could go on for ever.
const PAGES: usize = 16;
/// How long what was listed is taken for what is there. A server that says nothing of a change is found out that soon.
const LISTED: Duration = Duration::from_secs(30);
/// Characters of a server's own words in an error.
const WORDS: usize = 300;

/// A connection. Dropping it ends it, and what was started for it.
pub(super) struct Connection {
    name: String,
    peer: Peer<RoleClient>,
    service: Mutex<Option<RunningService<RoleClient, Handler>>>,
    process: Mutex<Option<Process>>,
    ending: Ending,
    stop: CancellationToken,
    redaction: Redaction,
    stale: Arc<AtomicBool>,
    listed: tokio::sync::Mutex<Option<(Instant, Arc<Vec<rmcp::model::Tool>>)>>,
    used: Mutex<Instant>,
    busy: AtomicUsize,
    /// Tells when it is no more.
    life: DropGuard,
}

/// What a connection is made of, beside the stream itself.
pub(super) struct Means {
    pub(super) name: String,
    pub(super) process: Option<Process>,
    pub(super) ending: Ending,
    /// Ends it when cancelled.
    pub(super) stop: CancellationToken,
    pub(super) redaction: Redaction,
}

/// Takes the secrets that a server was given out of what it says. A token that was refreshed is another secret.
#[derive(Clone, Default)]
pub(super) struct Redaction(Arc<ArcSwapOption<Redactor>>);

impl Redaction {
    pub(super) fn of(secrets: Vec<SecretString>) -> Self {
        let redaction = Self::default();
        redaction.set(secrets);
        redaction
    }

    pub(super) fn set(&self, mut secrets: Vec<SecretString>) {
        secrets.retain(|secret| secrecy::ExposeSecret::expose_secret(secret).len() >= SHORTEST);
        self.0.store(if secrets.is_empty() { None } else { Redactor::new(&secrets).map(Arc::new) });
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.0.load().as_ref().map_or_else(|| text.to_owned(), |redactor| redactor.text(text))
    }
}

/// Shorter values cannot be told from ordinary text.
const SHORTEST: usize = 8;

/// What came of a call.
pub(super) enum Called {
    Done(CallToolResult),
    /// The server's own error, in its words.
    Failed(String),
}

/// Why a call gave nothing.
pub(super) enum Broken {
    /// The connection is gone.
    Lost(String),
    TimedOut,
    /// It wants a token, or another one.
    SignIn,
    /// It could not be asked, or what came is no answer to anything.
    Silent(String),
    /// It goes on, and this is no answer to the call.
    Odd(String),
}

impl Connection {
    /// Greets a server, in the newest way that it knows.
    pub(super) async fn open<T, E, A>(means: Means, transport: T, within: Duration) -> Result<Self, ServerError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let Means { name, process, ending, stop, redaction } = means;
        let stale = Arc::new(AtomicBool::new(false));
        let handler = Handler { stale: Arc::clone(&stale) };
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        let greeted =
            timeout(within, serve_client_with_lifecycle_and_ct(handler, transport, lifecycle, stop.clone())).await;
        let service = match greeted {
            Ok(Ok(service)) => service,
            Ok(Err(error)) => return Err(ungreeted(name, &error, &ending, process.as_ref(), &redaction).await),
            Err(_) => return Err(ServerError::TimedOut { name, what: "greeted", seconds: within.as_secs() }),
        };
        let peer = service.peer().clone();
        // What a server says of how long its list holds is none of its business.
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        Ok(Self {
            name,
            peer,
            service: Mutex::new(Some(service)),
            process: Mutex::new(process),
            ending,
            stop,
            redaction,
            stale,
            listed: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            busy: AtomicUsize::new(0),
            life: CancellationToken::new().drop_guard(),
        })
    }

    /// What it says it is.
    pub(super) fn version(&self) -> String {
        let said = self.peer.peer_info().and_then(|info| info.server_info.clone());
        let said = said.map(|info| format!("{} {}", info.name, info.version)).unwrap_or_default();
        plain::line(&said, WORDS).0
    }

    /// Cancelled when nobody has it any more. Does not prolong it.
    pub(super) fn gone(&self) -> CancellationToken {
        self.life.token().clone()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.stop.is_cancelled() || self.peer.is_transport_closed()
    }

    /// Whether nobody has used it for so long.
    pub(super) fn is_idle(&self, idle: Duration) -> bool {
        self.busy.load(Ordering::Acquire) == 0
            && self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= idle
    }

    /// Its tools as it lists them now.
    pub(super) async fn tools_now(&self, within: Duration) -> Result<Arc<Vec<rmcp::model::Tool>>, Broken> {
        self.stale.store(true, Ordering::Release);
        self.tools(within).await
    }

    /// Its tools as it lists them now, or a moment ago where it has not said that they changed.
    pub(super) async fn tools(&self, within: Duration) -> Result<Arc<Vec<rmcp::model::Tool>>, Broken> {
        let mut listed = self.listed.lock().await;
        let fresh = !self.stale.swap(false, Ordering::AcqRel);
        if let Some((at, tools)) = &*listed
            && fresh
            && at.elapsed() < LISTED
        {
            return Ok(Arc::clone(tools));
        }
        *listed = None;
        let tools = Arc::new(self.unless_stopped(within, self.list()).await??);
        *listed = Some((Instant::now(), Arc::clone(&tools)));
        Ok(tools)
    }

    async fn list(&self) -> Result<Vec<rmcp::model::Tool>, Broken> {
        let (mut tools, mut cursor, mut weight) = (Vec::new(), None, 0_usize);
        for _ in 0..PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = match self.peer.list_tools(Some(page)).await {
                Ok(page) => page,
                Err(error) => return Err(self.broken(&error).await),
            };
            weight = weight.saturating_add(weight_of(&page.tools));
            if weight > TREE_BYTES {
                let most = TREE_BYTES >> 20;
                return Err(Broken::Odd(format!("its list of tools is so large that it takes more than {most} MiB")));
            }
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || tools.len() > TOOLS {
                break;
            }
        }
        Ok(tools)
    }

    /// Calls a tool. Dropping the future tells the server that nobody waits any more.
    pub(super) async fn call(&self, wire: &str, input: JsonObject, within: Duration) -> Result<Called, Broken> {
        let _busy = Busy::new(self);
        let mut params = CallToolRequestParams::new(wire.to_owned()).with_arguments(input);
        params.meta = carried();
        match self.unless_stopped(within, self.peer.call_tool_once(params)).await? {
            Ok(CallToolResponse::Complete(result)) => Ok(Called::Done(result)),
            Ok(_) => Err(Broken::Odd(
                "it wants an answer of a person or a model before it goes on, or wants to be asked later: neither is done".into(),
            )),
            Err(ServiceError::McpError(error)) => Ok(Called::Failed(self.words(&error.message))),
            Err(error) => Err(self.broken(&error).await),
        }
    }

    /// Waits for what a server has to do, for so long, and until it is given up: who floods us may keep its answer for ever.
    async fn unless_stopped<T>(&self, within: Duration, work: impl Future<Output = T>) -> Result<T, Broken> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Broken::Lost(self.last_words().await)),
            done = timeout(within, work) => done.map_err(|_| Broken::TimedOut),
        }
    }

    /// A server's words, without secrets and on one line.
    pub(super) fn words(&self, text: &str) -> String {
        words(text, &self.redaction)
    }

    /// A text of the server without the secrets that it was given.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.redaction.text(text)
    }

    async fn broken(&self, error: &ServiceError) -> Broken {
        if error.is_authorization_required() || failure::is_unauthorized_request(error) {
            return Broken::SignIn;
        }
        if self.is_lost() || matches!(error, ServiceError::TransportClosed) {
            return Broken::Lost(self.last_words().await);
        }
        match error {
            ServiceError::Timeout { .. } => Broken::TimedOut,
            ServiceError::TransportSend(_) => Broken::Silent(failure::of_request(error, |text| self.words(text))),
            error => Broken::Odd(failure::of_request(error, |text| self.words(text))),
        }
    }

    /// Why it is gone, once its process has ended as well: its streams may be closed a moment before.
    async fn last_words(&self) -> String {
        let ended = || {
            let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            process.as_ref().is_none_or(Process::has_ended)
        };
        soon(ended).await;
        self.epitaph()
    }

    /// Why it is gone.
    pub(super) fn epitaph(&self) -> String {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let of_process = process.as_ref().map(Process::epitaph).unwrap_or_default();
        match self.ending.told() {
            Some(told) => told,
            None if of_process.is_empty() => "it has closed the connection".into(),
            None => of_process,
        }
    }

    /// Ends it in good order, whoever still waits for something.
    pub(super) async fn end(&self) {
        self.ending.tell("it was ended here");
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut service) = service {
            // Closes its standard input, or its session.
            drop(service.close_with_timeout(Duration::from_secs(1)).await);
        }
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(process) = process {
            process.end().await;
        }
        tracing::debug!(server = self.name, "ended");
    }
}

/// Waits until something is so that will be in a moment, if at all; and for what was said with it.
async fn soon(is_so: impl Fn() -> bool) {
    for _ in 0..30 {
        if is_so() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn words(text: &str, redaction: &Redaction) -> String {
    plain::line(&redaction.text(text), WORDS).0
}

/// The trace that a call belongs to, where there is one: under the names of its headers, as MCP has it (SEP-414).
fn carried() -> Option<RequestMetaObject> {
    let carried = crate::trace::carried();
    let fields: JsonObject = carried.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    (!fields.is_empty()).then(|| fields.into())
}

/// Memory that tools take. Each page is small enough, and all of them need not be: they are kept.
fn weight_of(tools: &[rmcp::model::Tool]) -> usize {
    // Serialising what was read as JSON cannot fail.
    Weight::of(&serde_json::to_vec(tools).unwrap_or_default())
}

/// Counts a call under way.
struct Busy<'a>(&'a Connection);

impl<'a> Busy<'a> {
    fn new(connection: &'a Connection) -> Self {
        connection.busy.fetch_add(1, Ordering::AcqRel);
        Self(connection)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a greeting came to nothing.
async fn ungreeted(
    name: String,
    error: &ClientInitializeError,
    ending: &Ending,
    process: Option<&Process>,
    redaction: &Redaction,
) -> ServerError {
    if error.is_authorization_required() || error.auth_challenge().is_some() {
        return ServerError::SignIn { name, reason: "it refuses requests without one".into() };
    }
    if failure::is_unauthorized(error) {
        return ServerError::SignIn { name, reason: "it answered HTTP 401".into() };
    }
    if let Some(process) = process {
        soon(|| process.has_ended()).await;
    }
    let epitaph = process.map(Process::epitaph).filter(|epitaph| !epitaph.is_empty());
    let reason =
        ending.told().or(epitaph).unwrap_or_else(|| failure::of_greeting(error, |text| words(text, redaction)));
    ServerError::Unavailable { name, reason }
}

/// What a server may ask of us: nothing. What it tells us: that its list changed. How often is counted where it comes in.
struct Handler {
    stale: Arc<AtomicBool>,
}

impl Handler {
    fn refused<T>(&self, what: &str) -> std::future::Ready<Result<T, ErrorData>> {
        let text = format!("this host gives servers no {what}");
        std::future::ready(Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, text, None)))
    }
}

impl rmcp::ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let ours = Implementation::new("ringfence", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), ours)
    }

    fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<CustomResult, ErrorData>> + Send + '_ {
        self.refused(&format!("answer to `{}`", plain::line(&request.method, WORDS).0))
    }

    fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<CreateMessageResult, ErrorData>> + Send + '_ {
        self.refused("model")
    }

    fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<ListRootsResult, ErrorData>> + Send + '_ {
        self.refused("list of folders")
    }

    fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> impl Future<Output = Result<ElicitResult, ErrorData>> + Send + '_ {
        self.refused("person to ask")
    }

    fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) -> impl Future<Output = ()> + Send + '_ {
        self.stale.store(true, Ordering::Release);
        std::future::ready(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, split};

    use super::*;

    /// A server with a list of so many pages, each with one tool of which the schema holds so many small objects.
    async fn serve(stream: DuplexStream, pages: u64, parts: usize) {
        let (read, mut write) = split(stream);
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let asked: Value = serde_json::from_str(&line).unwrap();
            let result = match asked["method"].as_str().unwrap_or_default() {
                "initialize" => {
                    let info = json!({ "name": "s", "version": "1" });
                    json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} }, "serverInfo": info })
                }
                "tools/list" => {
                    let page = asked["params"]["cursor"].as_str().map_or(0, |cursor| cursor.parse::<u64>().unwrap());
                    let schema = json!({ "type": "object", "examples": vec![json!({ "": 0 }); parts] });
                    let next = (page + 1 < pages).then(|| (page + 1).to_string());
                    json!({ "tools": [{ "name": format!("t{page}"), "inputSchema": schema }], "nextCursor": next })
                }
                _ => Value::Null,
            };
            let answer = match (asked.get("id"), result) {
                (None, _) => continue,
                (id, Value::Null) => {
                    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no" } })
                }
                (id, result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            };
            if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn listed(pages: u64, parts: usize) -> Result<usize, String> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let server = tokio::spawn(serve(far, pages, parts));
        let (stop, redaction) = (CancellationToken::new(), Redaction::default());
        let means = Means { name: "s".into(), process: None, ending: Ending::default(), stop, redaction };
        let long = Duration::from_secs(120);
        let connection = Connection::open(means, split(near), long).await.unwrap();
        let tools = connection.tools_now(long).await;
        connection.end().await;
        drop(connection);
        server.await.unwrap();
        match tools {
            Ok(tools) => Ok(tools.len()),
            Err(Broken::Odd(reason)) => Err(reason),
            Err(_) => Err("another reason".into()),
        }
    }

    #[tokio::test]
    async fn t90_a_list_is_no_larger_in_all_its_pages_than_one_message_may_be() {
        assert_eq!(listed(3, 10).await, Ok(3));
        assert_eq!(listed(1, 100_000).await, Ok(1), "of less than a megabyte, and a hundred times as much in memory");
        let reason = listed(PAGES as u64, 100_000).await.unwrap_err();
        assert!(reason.contains("takes more than 128 MiB"), "{reason}");
        assert_eq!(listed(u64::MAX, 0).await, Ok(PAGES), "a list without end has one");
    }
}
