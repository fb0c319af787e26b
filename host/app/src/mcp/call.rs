//! One call of a client: begun, followed, and answered, also where its client has to answer something first.
//!
//! The call runs in a task of its own, because in the newer protocol a question to the person ends the request: the client asks, and
//! comes back with another request that brings the answer. Meanwhile the call is parked here, under a name that nobody can guess.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use ringfence_core::trace::TARGET;
use ringfence_core::{Call, Caller, Error, Event, Finished, Host, Offer, Person};
use rmcp::Peer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, InputRequest, InputRequiredResult, JsonObject,
    ProgressNotificationParam, ProgressToken, ProtocolVersion,
};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument as _, Span};

use super::person::{Asked, Client};
use super::words;
use crate::telemetry;
use crate::trouble::Trouble;

/// Events that wait for a client that reads slowly.
const EVENTS: usize = 256;
/// Most calls of an endpoint that wait for an answer of their client.
const PARKED: usize = 64;
/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(600);

/// How the person behind a client can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The client shows no questions.
    Nobody,
    /// By a request of ours, while theirs goes on.
    Request,
    /// By an answer that asks for another request.
    Retry,
}

impl Way {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        let asks = context.client_capabilities().and_then(|can| can.elicitation);
        // A client that names no kind shows forms, as before there were kinds.
        if !asks.is_some_and(|can| can.form.is_some() || can.url.is_none()) {
            return Self::Nobody;
        }
        let version = context.protocol_version();
        if version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
            Self::Retry
        } else {
            Self::Request
        }
    }
}

/// Answers a request to call a tool: with what came of it, or with an error that is the tool's or the protocol's.
pub(super) async fn answer(
    host: &Host,
    offer: &Offer,
    arguments: JsonObject,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    parked: &Parked,
) -> Result<Result<CallToolResponse, Error>, ErrorData> {
    let wanted = Wanted { tool: offer.name.clone(), arguments };
    let running = match &request.request_state {
        None => match Running::begin(host, offer, &wanted, context).await {
            Ok(running) => running,
            Err(error) => return Ok(Err(error)),
        },
        Some(state) => {
            let Waiting { running, asked, .. } = parked.take(state, &wanted)?;
            match request.input_responses.as_ref().and_then(|answers| answers.get(asked.name())) {
                Some(answer) => asked.answered(answer),
                None => return Ok(Ok(parked.put(Waiting::new(wanted, running, asked)).into())),
            }
            running
        }
    };
    Ok(running.follow(wanted, context, parked).await)
}

/// What a request asks for. One that comes back has to ask for the same.
#[derive(Debug, PartialEq)]
struct Wanted {
    tool: String,
    arguments: JsonObject,
}

/// A call under way. Cancelled when this is dropped; it settles by itself.
struct Running {
    finished: JoinHandle<Result<Finished, Error>>,
    events: mpsc::Receiver<Event>,
    questions: mpsc::Receiver<Asked>,
    /// Whose lines of the log come, and where the call is in a trace.
    skill: String,
    span: Span,
    cancel: CancellationToken,
    _cancel: DropGuard,
}

impl Running {
    async fn begin(
        host: &Host,
        offer: &Offer,
        wanted: &Wanted,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, Error> {
        // The first call of a skill may have to wait until it is compiled.
        let skill = context.ct.run_until_cancelled(host.skill_of(offer)).await.ok_or_else(cancelled)??;
        let (sender, events) = mpsc::channel(EVENTS);
        let (client, questions) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let person = (Way::of(context) != Way::Nobody).then(|| Client::new(client) as std::sync::Arc<dyn Person>);
        let call = Call {
            tool: Some(offer.tool.name.clone()),
            caller: Caller::Client,
            events: Some(sender),
            cancel: cancel.clone(),
            person,
            ..Call::new(skill, serde_json::Value::Object(wanted.arguments.clone()).to_string())
        };
        let host = host.clone();
        let span = span(context);
        let finished = tokio::spawn(async move { host.invoke(call).await }.instrument(span.clone()));
        let skill = offer.skill.clone();
        Ok(Self { finished, events, questions, skill, span, _cancel: cancel.clone().drop_guard(), cancel })
    }

    /// Until it ends, or has a question that only another request can answer.
    async fn follow(
        mut self,
        wanted: Wanted,
        context: &RequestContext<RoleServer>,
        parked: &Parked,
    ) -> Result<CallToolResponse, Error> {
        let way = Way::of(context);
        let mut progress = Progress::new(context);
        let mut asking: Option<BoxFuture<'static, ()>> = None;
        loop {
            tokio::select! {
                // What was shown comes before what was given.
                biased;
                () = context.ct.cancelled(), if !self.cancel.is_cancelled() => self.cancel.cancel(),
                Some(event) = self.events.recv() => match event {
                    // The operator's, and nothing for the client.
                    Event::Log(line) => self.span.in_scope(|| line.write(&self.skill)),
                    event => progress.tell(event).await,
                },
                () = async { if let Some(asking) = asking.as_mut() { asking.await } }, if asking.is_some() => asking = None,
                Some(asked) = self.questions.recv(), if asking.is_none() => match way {
                    Way::Nobody => {}
                    // Polled in this task: over HTTP it goes the way of the request that it belongs to.
                    Way::Request => asking = Some(Box::pin(asked.ask(context.peer.clone()))),
                    Way::Retry if asked.is_form() && parked.has_room() => {
                        return Ok(parked.put(Waiting::new(wanted, self, asked)).into());
                    }
                    Way::Retry => {}
                },
                done = &mut self.finished => {
                    // A question that still stands is withdrawn: nobody waits for its answer.
                    if let Some(asking) = asking {
                        asking.await;
                    }
                    let broken = |_| Trouble::new("host-fault", "the call ended in an unexpected way", "see the host's log");
                    let finished = done.map_err(broken)??;
                    return Ok(words::result(finished.outcome).into());
                }
            }
        }
    }
}

/// Where a client's call begins in a trace: below what the client names in its message, or else below its request, where there is one.
fn span(context: &RequestContext<RoleServer>) -> Span {
    let request = context.extensions.get::<axum::http::request::Parts>();
    let request = request.and_then(|parts| parts.extensions.get::<telemetry::RequestSpan>());
    // What is current here is the session's, whoever asks.
    let above = request.map_or_else(Span::current, |request| request.0.clone());
    let span = tracing::info_span!(
        target: TARGET,
        parent: &above,
        "mcp",
        otel.name = "tools/call",
        otel.kind = "server",
        mcp.method.name = "tools/call",
    );
    telemetry::from_meta(&span, &context.meta);
    span
}

fn cancelled() -> Error {
    Trouble::new("cancelled", "the call was cancelled", "")
}

/// What a client sees meanwhile, where it gave a token for it.
struct Progress<'a> {
    peer: &'a Peer<RoleServer>,
    gone: &'a CancellationToken,
    token: Option<ProgressToken>,
    /// The last value: the protocol wants each to be larger than the one before.
    last: f64,
    total: Option<f64>,
}

impl<'a> Progress<'a> {
    fn new(context: &'a RequestContext<RoleServer>) -> Self {
        let token = context.meta.get_progress_token();
        Self { peer: &context.peer, gone: &context.ct, token, last: -1.0, total: None }
    }

    async fn tell(&mut self, event: Event) {
        let (done, message) = match event {
            Event::Log(_) => return,
            Event::Progress { done, total, message } => {
                self.total = total.map(|total| total as f64);
                (Some(done as f64), message)
            }
            Event::Text(text) => (None, Some(text)),
        };
        let Some(token) = self.token.clone() else { return };
        // A text is a step where nothing else is counted, and next to none where something is.
        let step = if self.total.is_some() { 1e-6 } else { 1.0 };
        self.last = done.filter(|done| *done > self.last).unwrap_or(self.last.max(0.0) + step);
        let mut param = ProgressNotificationParam::new(token, self.last);
        (param.total, param.message) = (self.total, message);
        // A client that went away, or gave up, is told by its token.
        drop(self.gone.run_until_cancelled(self.peer.notify_progress(param)).await);
    }
}

/// A call that waits for its client.
struct Waiting {
    wanted: Wanted,
    running: Running,
    asked: Asked,
    since: Instant,
}

impl Waiting {
    fn new(wanted: Wanted, running: Running, asked: Asked) -> Self {
        Self { wanted, running, asked, since: Instant::now() }
    }

    fn is_over(&self) -> bool {
        self.running.finished.is_finished() || self.since.elapsed() > PATIENCE
    }
}

/// The calls that wait for their clients. Whoever knows the name of one may answer it.
#[derive(Default)]
pub(super) struct Parked(Mutex<HashMap<String, Waiting>>);

impl Parked {
    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more can wait. Lets go of those that nobody came back for.
    fn has_room(&self) -> bool {
        let mut calls = self.calls();
        calls.retain(|_, waiting| !waiting.is_over());
        calls.len() < PARKED
    }

    fn put(&self, waiting: Waiting) -> InputRequiredResult {
        let name = format!("{:032x}", rand::random::<u128>());
        let question =
            waiting.asked.form().map(|form| (waiting.asked.name().to_owned(), InputRequest::Elicitation(form)));
        self.calls().insert(name.clone(), waiting);
        InputRequiredResult::new(Some(question.into_iter().collect()), Some(name))
    }

    fn take(&self, name: &str, wanted: &Wanted) -> Result<Waiting, ErrorData> {
        let mut calls = self.calls();
        let of_another = match calls.get(name) {
            None => {
                let words = "no call waits under this `requestState`: it has ended; call the tool again without it";
                return Err(ErrorData::invalid_params(words, None));
            }
            Some(waiting) => waiting.wanted != *wanted,
        };
        if of_another {
            let words = "this `requestState` belongs to a call of another tool, or with other arguments";
            return Err(ErrorData::invalid_params(words, None));
        }
        calls.remove(name).ok_or_else(|| ErrorData::invalid_params("no call waits under this `requestState`", None))
    }
}
