//! Answers as a stream of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;

use super::App;
use super::error::Wrong;
use super::job::{Done, Job};

/// How often a silent stream shows that it is alive: proxies end those that are not.
const ALIVE: Duration = Duration::from_secs(15);

/// What one of the interfaces writes around the text.
pub(super) trait Frames: Send + 'static {
    fn begin(&mut self) -> Vec<Event>;
    fn piece(&mut self, text: &str) -> Vec<Event>;
    fn end(&mut self, done: &Done) -> Vec<Event>;
    fn failed(&mut self, wrong: &Wrong) -> Vec<Event>;
}

/// An event of this JSON.
pub(super) fn data(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

/// Streams a job. One that fails before it has said anything is answered with its status.
pub(super) async fn stream(app: &App, mut job: Job, frames: impl Frames) -> Response {
    let app = app.clone();
    let Some(first) = job.next().await else {
        return match job.done().await {
            Ok(done) => respond(State { app, job: None, frames, first: None, last: Some(done), begun: false }),
            Err(error) => Wrong::from(error).into_response(),
        };
    };
    respond(State { app, job: Some(job), frames, first: Some(first), last: None, begun: false })
}

struct State<F> {
    app: App,
    /// Dropped with the stream, where the client goes away.
    job: Option<Job>,
    frames: F,
    first: Option<String>,
    last: Option<Done>,
    begun: bool,
}

impl<F: Frames> State<F> {
    /// The next events; empty at the end.
    async fn next(&mut self) -> Vec<Event> {
        if !std::mem::replace(&mut self.begun, true) {
            return self.frames.begin();
        }
        if let Some(first) = self.first.take() {
            return self.frames.piece(&first);
        }
        if let Some(done) = self.last.take() {
            return self.frames.end(&done);
        }
        let Some(job) = &mut self.job else { return Vec::new() };
        if let Some(text) = job.next().await {
            return self.frames.piece(&text);
        }
        let Some(job) = self.job.take() else { return Vec::new() };
        match job.done().await {
            Ok(done) => self.frames.end(&done),
            Err(error) => {
                let wrong = self.app.told(&Wrong::from(error));
                self.frames.failed(&wrong)
            }
        }
    }
}

fn respond<F: Frames>(state: State<F>) -> Response {
    let batches = stream::unfold(state, |mut state| async move {
        let events = state.next().await;
        (!events.is_empty()).then(|| (stream::iter(events.into_iter().map(Ok::<_, Infallible>)), state))
    });
    Sse::new(futures_util::StreamExt::flatten(batches)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
