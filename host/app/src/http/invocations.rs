//! `/v1/invocations`: calls that are started, watched, and asked about later.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream::{self, Stream, StreamExt as _};
use ringfence_core::{Error, Event, Finished, Offer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};
use tracing::{Instrument as _, Span};
use utoipa::ToSchema;

use super::feed::{Line, Next};
use super::problem::Written;
use super::shelf::{Begun, Key, Started};
use super::{Access, App, Held, Problem, Segment, tools};

/// Events that wait between an invocation and its feed.
const AHEAD: usize = 256;
/// How often a stream on which nothing happens says that it is there.
const ALIVE: Duration = Duration::from_secs(15);
/// Bytes of an event that is sent in one piece.
const SMALL: usize = 4 << 10;
/// Most characters of an `Idempotency-Key`.
const KEY: usize = 255;

/// What is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The tool's name, as `GET /v1/tools` lists it.
    tool: String,
    /// What it is given: an object by its input schema.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    input: Option<Box<RawValue>>,
}

/// How an invocation stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Invocation)]
pub(super) struct View {
    invocation: String,
    tool: String,
    skill: String,
    status: Status,
    /// RFC 3339.
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// What it gave, where it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::tools::FinishedView>)]
    finished: Option<Box<RawValue>>,
    /// Why it gave nothing, where it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Written>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Running,
    Done,
    Failed,
    Cancelled,
}

impl View {
    fn new(started: &Started, app: &App) -> Self {
        let end = started.end.get();
        let result = end.map(|end| &end.result);
        Self {
            invocation: started.id.to_string(),
            tool: started.tool.clone(),
            skill: started.skill.clone(),
            status: match result {
                None => Status::Running,
                Some(Ok(_)) => Status::Done,
                Some(Err(problem)) if problem.kind() == "cancelled" => Status::Cancelled,
                Some(Err(_)) => Status::Failed,
            },
            started: started.at.to_string(),
            ended: end.map(|end| end.at.to_string()),
            finished: result.and_then(|result| result.as_ref().ok()).cloned(),
            problem: result.and_then(|result| result.as_ref().err()).map(|problem| written(problem, app)),
        }
    }
}

fn written(problem: &Problem, app: &App) -> Written {
    problem.outside(&app.hidden).written(None)
}

/// Start a call without waiting for it
///
/// With an `Idempotency-Key` the same request gives the same invocation, for as long as that is kept: a quarter of an hour after its end.
#[utoipa::path(post, path = "/v1/invocations", tag = "invocations", operation_id = "invocation_start",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = Start,
    responses((status = 202, body = View, headers(("Location" = String))),
        (status = 409, body = Written), (status = "default", body = Written)))]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    access: Access,
    held: Option<Extension<Held>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let key = key(&headers, &[&body])?;
    let asked: Start = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(
            "invalid-input",
            format!("the body is not what is needed: {error}"),
            "send {\"tool\": NAME, \"input\": {}}",
        )
    })?;
    let offer = tools::find(&app, &asked.tool).await?;
    let input = asked.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned());
    let started = begin(&app, &offer, access, key, input, held)?;
    let place = format!("/v1/invocations/{}", started.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(View::new(&started, &app))).into_response())
}

/// Begins an invocation of its own, unless the same request did so before.
pub(super) fn begin(
    app: &Arc<App>,
    offer: &Arc<Offer>,
    access: Access,
    key: Option<Key>,
    input: String,
    held: Option<Extension<Held>>,
) -> Result<Arc<Started>, Problem> {
    let started = match app.invocations.begin(offer, access.rights, key, app.ending.child_token())? {
        Begun::Before(started) => return Ok(started),
        Begun::New(started) => started,
    };
    let running = Running { started: Arc::clone(&started), app: Arc::clone(app) };
    let offer = Arc::clone(offer);
    let work = async move {
        // The room of the body is taken until the input is used up.
        let _held = held;
        running.work(&offer, input).await;
    };
    tokio::spawn(work.instrument(Span::current()));
    Ok(started)
}

/// What repeats a request: its key, and all of what it asked.
pub(super) fn key(headers: &HeaderMap, asked: &[&[u8]]) -> Result<Option<Key>, Problem> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    let mut all = headers.get_all(NAME).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| (1..=KEY).contains(&text.len()));
    match (text, all.next()) {
        (Some(text), None) => {
            let mut digest = Sha256::new();
            for part in asked {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            Ok(Some(Key { key: text.to_owned(), request: digest.finalize().into() }))
        }
        _ => Err(Problem::new(
            "invalid-input",
            format!("an `Idempotency-Key` is one header of 1 to {KEY} characters"),
            "take a random one, such as a UUID",
        )),
    }
}

/// An invocation that works. However this ends, the invocation has an end.
struct Running {
    started: Arc<Started>,
    app: Arc<App>,
}

impl Running {
    async fn work(self, offer: &Offer, input: String) {
        let (events, mut told) = mpsc::channel(AHEAD);
        let started = &self.started;
        let call = tools::invoke(&self.app, offer, started.id.clone(), input, Some(events), started.cancel.clone());
        let listen = async {
            while let Some(event) = told.recv().await {
                if let Event::Log(line) = &event {
                    line.write(&started.skill);
                }
                started.feed.tell(&event);
            }
        };
        let (done, ()) = tokio::join!(call, listen);
        self.end(done);
    }

    fn end(&self, done: Result<Finished, Error>) {
        let result = done.map_err(Problem::from).and_then(|finished| {
            serde_json::value::to_raw_value(&finished)
                .map_err(|error| Problem::new("host-fault", format!("an outcome cannot be written: {error}"), ""))
        });
        let last = match &result {
            Ok(outcome) => ("finished", outcome.get().to_owned()),
            Err(problem) => ("failed", serde_json::to_string(&written(problem, &self.app)).unwrap_or_default()),
        };
        // In this order: whoever reads the last event finds the end.
        self.app.invocations.end(&self.started, result);
        self.started.feed.end(last.0, last.1);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.started.end.get().is_none() {
            self.end(Err(crate::trouble::Trouble::new("host-fault", "the host failed while it ran the skill", "")));
        }
    }
}

/// How an invocation stands, and its outcome once it has one
#[utoipa::path(get, path = "/v1/invocations/{id}", tag = "invocations", operation_id = "invocation_show",
    params(("id" = String, Path)),
    responses((status = 200, body = View), (status = 404, body = Written)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    access: Access,
    Segment(id): Segment,
) -> Result<Json<View>, Problem> {
    Ok(Json(View::new(&*find(&app, &id, access)?, &app)))
}

/// Cancel an invocation
///
/// Answers at once. What it has spent is settled; one that has ended stays as it is.
#[utoipa::path(post, path = "/v1/invocations/{id}/cancel", tag = "invocations", operation_id = "invocation_cancel",
    params(("id" = String, Path)),
    responses((status = 202, body = View), (status = 404, body = Written)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    access: Access,
    Segment(id): Segment,
) -> Result<(StatusCode, Json<View>), Problem> {
    let started = find(&app, &id, access)?;
    started.cancel.cancel();
    Ok((StatusCode::ACCEPTED, Json(View::new(&started, &app))))
}

fn find(app: &App, id: &str, access: Access) -> Result<Arc<Started>, Problem> {
    app.invocations.get(id, access.rights).ok_or_else(|| {
        let hint = "invocations are kept for a quarter of an hour after their end; `GET /v1/runs` has older ones";
        Problem::new("not-found", "there is no invocation of this identifier", hint)
    })
}

/// What an invocation tells, as server-sent events
///
/// `progress`, `text`, `log`, and at the end `finished` or `failed`. A client that was cut off goes on behind the event that it names in
/// `Last-Event-ID`; what is no longer kept it is told of by `lost`. A client that reads too slowly is cut off.
#[utoipa::path(get, path = "/v1/invocations/{id}/events", tag = "invocations", operation_id = "invocation_events",
    params(("id" = String, Path), ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404, body = Written)))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    access: Access,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const NAME: HeaderName = HeaderName::from_static("last-event-id");
    let started = find(&app, &id, access)?;
    let seen = match headers.get(NAME) {
        None => 0,
        Some(seen) => seen.to_str().ok().and_then(|seen| seen.parse().ok()).ok_or_else(|| {
            Problem::new(
                "invalid-input",
                "`Last-Event-ID` is no number of an event",
                "send the `id` of the last event that came",
            )
        })?,
    };
    let reader = Reader { news: started.feed.news(), started, seen, has_begun: false };
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(reader.stream())).into_response())
}

/// Somebody who reads the events of an invocation.
struct Reader {
    started: Arc<Started>,
    news: watch::Receiver<()>,
    seen: u64,
    has_begun: bool,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let batches = stream::unfold(self, |mut reader| async {
            let pieces = match tokio::time::timeout(ALIVE, reader.next()).await {
                Ok(line) => pieces(line?),
                // A comment, which clients pass over.
                Err(_) => vec![Bytes::from_static(b":\n\n")],
            };
            Some((stream::iter(pieces.into_iter().map(Ok)), reader))
        });
        batches.flatten()
    }

    /// Loses nothing where it is dropped in the middle.
    async fn next(&mut self) -> Option<Line> {
        loop {
            // Before the look: what comes after it is news.
            self.news.mark_unchanged();
            match self.started.feed.after(self.seen) {
                Next::Line(line) => {
                    (self.seen, self.has_begun) = (line.number, true);
                    return Some(line);
                }
                // It was too slow, and may come back and learn what it missed.
                Next::Lost(_) if self.has_begun => return None,
                Next::Lost(until) => {
                    let data = json!({ "after": self.seen, "until": until }).to_string().into();
                    (self.seen, self.has_begun) = (until, true);
                    return Some(Line { number: until, name: "lost", data });
                }
                Next::End => return None,
                Next::Nothing => self.news.changed().await.ok()?,
            }
        }
    }
}

/// An event as it is sent. What is large in it is not copied for each who reads it.
fn pieces(Line { number, name, data }: Line) -> Vec<Bytes> {
    let head = format!("id: {number}\nevent: {name}\ndata: ");
    match data.len() <= SMALL {
        true => vec![[head.as_bytes(), &data, b"\n\n"].concat().into()],
        false => vec![head.into(), data, Bytes::from_static(b"\n\n")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_whole_however_it_is_sent_and_what_is_large_is_shared() {
        for size in [1, SMALL, SMALL + 1] {
            let data = Bytes::from("x".repeat(size));
            let sent = pieces(Line { number: 7, name: "text", data: data.clone() });
            assert_eq!(sent.concat(), format!("id: 7\nevent: text\ndata: {}\n\n", "x".repeat(size)).into_bytes());
            let is_shared = sent.iter().any(|piece| piece.as_ptr() == data.as_ptr());
            assert_eq!(is_shared, size > SMALL, "{size}");
        }
    }
}
