//! Answers that last, such as streams of events: they end when the token is taken back that opened them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::token::Given;
use super::{App, Rights};

/// How often it is looked whether a token still holds. With the age that what is known of it may have, less than a second.
const LOOK: Duration = Duration::from_millis(250);

/// Lets an answer go on for as long as the token gives the rights that it gave. One that is there as a whole is left as it is.
pub(super) fn while_it_holds(app: &Arc<App>, given: Given, rights: Rights, response: Response) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    response.map(|body| Body::new(Lasting { body, looks, app: Arc::clone(app), given, rights }))
}

struct Lasting {
    body: Body,
    looks: Interval,
    app: Arc<App>,
    given: Given,
    rights: Rights,
}

impl hyper::body::Body for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Before the body: one that always has more would never be looked at.
        while self.looks.poll_tick(cx).is_ready() {
            if self.app.tokens.rights_of(&self.given) != Some(self.rights) {
                tracing::info!("an answer is broken off, since its token was taken back");
                // And not its end: nobody is to take what came for all of it.
                return Poll::Ready(Some(Err(axum::Error::new("the token was taken back"))));
            }
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
