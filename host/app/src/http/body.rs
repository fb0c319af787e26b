//! Bodies of requests: read whole before a handler sees any of them, with a cap, in time, and only where they are JSON.
//!
//! So no handler waits for a slow client, and nothing of a face can forget a cap.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use ringfence_core::schema::Weight;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Access, App, Problem};

/// How long a body may take to arrive.
const TIME: Duration = Duration::from_secs(30);
/// Where a tool's input comes in: the core allows 16 MiB of it, and something stands around it.
const CALL: usize = 17 << 20;
const CALLS: &[&str] = &["/v1/tools/", "/v1/invocations", "/v1/chat/", "/v1/responses", "/mcp"];
/// Everywhere else.
const OTHER: usize = 64 << 10;
/// Most bytes of a body that is refused which are read for nothing, and how long that may take.
const LEFT: usize = 64 << 20;
const LEFT_TIME: Duration = Duration::from_secs(5);
/// KiB of all bodies that are held at once, and of what they are read into.
const ROOM: usize = 256 << 10;

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    fn take(&self, kib: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let taken = u32::try_from(kib).ok().and_then(|kib| Arc::clone(&self.0).try_acquire_many_owned(kib).ok());
        taken.ok_or_else(|| {
            Problem::new("busy", "the server holds as much of requests as it may", "try again in a moment")
        })
    }
}

/// The room that a body takes. Whoever keeps the body beyond its request keeps this with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(#[allow(dead_code, reason = "held for its end")] Option<Arc<OwnedSemaphorePermit>>);

/// Reads the body of a request that was let in.
pub(super) async fn read(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Without one there is nothing to read, and hyper says so at once. Of whoever needs no token nothing is taken: no such path wants any.
    if request.body().is_end_stream() || request.extensions().get::<Access>().is_none() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let cap = cap(parts.uri.path());
    let mut coming = Coming::new(body);
    match whole(&app.bodies, &parts.headers, &mut coming, cap).await {
        Ok((bytes, held)) => {
            parts.extensions.insert(held);
            next.run(Request::from_parts(parts, Body::from(bytes))).await
        }
        Err(problem) => match coming.passed_over(&parts.headers).await {
            true => problem.into_response(),
            // What is left of the body would be read as the next request's beginning or for nothing.
            false => ([(header::CONNECTION, "close")], problem.into_response()).into_response(),
        },
    }
}

/// A body on its way.
struct Coming {
    /// Its length, where the request says it.
    said: Option<u64>,
    pieces: BodyDataStream,
    /// Nothing more comes, or not in time.
    is_broken: bool,
}

impl Coming {
    fn new(body: Body) -> Self {
        Self { said: body.size_hint().exact(), pieces: body.into_data_stream(), is_broken: false }
    }

    /// Reads what is left for nothing, and gives whether that was all of it. Most clients send a request whole before they look at its
    /// answer, and would never see one that comes with the end of the connection.
    async fn passed_over(mut self, headers: &HeaderMap) -> bool {
        // Who asks first has sent nothing yet.
        let is_much = self.said.is_some_and(|said| said > LEFT as u64) || headers.contains_key(header::EXPECT);
        if is_much || self.is_broken {
            return false;
        }
        let reading = async {
            let mut left = LEFT;
            while let Some(piece) = self.pieces.next().await {
                match piece.ok().and_then(|piece| left.checked_sub(piece.len())) {
                    Some(less) => left = less,
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(LEFT_TIME, reading).await.unwrap_or(false)
    }
}

fn cap(path: &str) -> usize {
    if CALLS.iter().any(|begin| path.starts_with(begin)) { CALL } else { OTHER }
}

async fn whole(room: &Room, headers: &HeaderMap, coming: &mut Coming, cap: usize) -> Result<(Vec<u8>, Held), Problem> {
    if !is_json(headers) {
        return Err(Problem::new(
            "unsupported-media-type",
            "a body has to be JSON",
            "send it with `Content-Type: application/json`",
        ));
    }
    let too_large = || {
        let cap = cap >> 10;
        Problem::new("too-large", format!("the body is larger than {cap} KiB"), "send less in one request")
    };
    let said = usize::try_from(coming.said.unwrap_or(cap as u64)).unwrap_or(usize::MAX);
    if said > cap {
        return Err(too_large());
    }
    let kib = said.div_ceil(1024);
    let mut held = room.take(kib)?;
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(piece) = coming.pieces.next().await {
            let piece = piece.map_err(|_| {
                coming.is_broken = true;
                Problem::new("invalid", "the body is broken off or malformed", "send it again")
            })?;
            if bytes.len() + piece.len() > cap {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let read = tokio::time::timeout(TIME, reading).await;
    let bytes = read.map_err(|_| {
        coming.is_broken = true;
        let seconds = TIME.as_secs();
        Problem::new(
            "request-timeout",
            format!("the body did not arrive within {seconds} s"),
            "send it faster, or less",
        )
    })??;
    // Of little text much can be read: a hundred times as much, where all of it is small objects.
    let weight = Weight::of(&bytes).div_ceil(1024);
    if weight > ROOM {
        let detail = format!("the body has so many small parts that reading it takes more than {} MiB", ROOM >> 10);
        return Err(Problem::new("too-large", detail, "send less in one request"));
    }
    held.merge(room.take(weight.saturating_sub(kib))?);
    Ok((bytes, Held(Some(Arc::new(held)))))
}

/// Which a form of a web page cannot send, whatever its script does, without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return false };
    let essence = only.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(types: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in types {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        headers
    }

    async fn read(types: &[&str], body: Body, cap: usize) -> Result<Vec<u8>, String> {
        let read = whole(&Room::default(), &headers(types), &mut Coming::new(body), cap).await;
        read.map(|(bytes, _)| bytes).map_err(|problem| problem.kind().to_owned())
    }

    #[tokio::test]
    async fn t111_only_json_is_read() {
        for good in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(read(&[good], Body::from("{}"), 10).await, Ok(b"{}".to_vec()), "{good}");
        }
        let bad: [&[&str]; 5] = [
            &[],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["text/plain; application/json"],
            &["application/json", "text/plain"],
        ];
        for types in bad {
            assert_eq!(read(types, Body::from("{}"), 10).await, Err("unsupported-media-type".into()), "{types:?}");
        }
    }

    #[tokio::test]
    async fn t114_a_body_has_a_cap_whether_it_says_its_length_or_not() {
        let pieces =
            |n: usize| Body::from_stream(futures_util::stream::iter((0..n).map(|_| Ok::<_, std::io::Error>("12345"))));
        assert_eq!(read(&["application/json"], Body::from("1234567890"), 10).await.unwrap().len(), 10);
        assert_eq!(read(&["application/json"], pieces(2), 10).await.unwrap().len(), 10);
        assert_eq!(read(&["application/json"], Body::from("12345678901"), 10).await, Err("too-large".into()));
        assert_eq!(read(&["application/json"], pieces(3), 10).await, Err("too-large".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn t114_a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
        let begun = tokio::time::Instant::now();
        assert_eq!(read(&["application/json"], never, 10).await, Err("request-timeout".into()));
        assert_eq!(begun.elapsed(), TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_body_passed_over_where_that_is_little_and_comes() {
        let passed = async |body: Body, more: &[(&'static str, &str)]| {
            let mut headers = headers(&["application/json"]);
            for (name, value) in more {
                headers.append(*name, value.parse().unwrap());
            }
            let mut coming = Coming::new(body);
            let refused = whole(&Room::default(), &headers, &mut coming, 10).await.err().unwrap();
            (refused.kind().to_owned(), coming.passed_over(&headers).await)
        };
        let pieces = |n: usize| {
            let piece = axum::body::Bytes::from(vec![b' '; 1 << 20]);
            Body::from_stream(futures_util::stream::iter((0..n).map(move |_| Ok::<_, std::io::Error>(piece.clone()))))
        };
        assert_eq!(passed(Body::from("x".repeat(100)), &[]).await, ("too-large".into(), true));
        assert_eq!(
            passed(Body::from("x".repeat(100)), &[("expect", "100-continue")]).await,
            ("too-large".into(), false)
        );
        assert_eq!(passed(pieces(20), &[]).await, ("too-large".into(), true));
        assert_eq!(passed(pieces(100), &[]).await, ("too-large".into(), false));
        let stops = futures_util::StreamExt::chain(
            futures_util::stream::iter([Ok::<_, std::io::Error>("12345678901")]),
            futures_util::stream::pending(),
        );
        assert_eq!(passed(Body::from_stream(stops), &[]).await, ("too-large".into(), false));
        let late = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
        assert_eq!(passed(late, &[]).await, ("request-timeout".into(), false));
    }

    #[tokio::test]
    async fn t114_a_body_takes_the_room_of_what_it_is_read_into() {
        let room = Room::default();
        let taken = async |part: &str, parts: usize| {
            let body = format!("[{}0]", part.repeat(parts));
            let read = whole(&room, &headers(&["application/json"]), &mut Coming::new(Body::from(body)), CALL).await;
            read.map(|(_, held)| held).map_err(|problem| problem.kind().to_owned())
        };
        // Of seven bytes each, and of two thirds of a KiB in memory.
        let small = r#"{"":0},"#;
        assert_eq!(taken(small, 400_000).await.unwrap_err(), "too-large", "of less than 3 MiB");
        let half = taken(small, 200_000).await.unwrap();
        assert_eq!(taken(small, 200_000).await.unwrap_err(), "busy");
        assert_eq!(taken(r#""a text that is as long as that","#, 200_000).await.err(), None, "a text is what it is");
        drop(half);
        assert_eq!(taken(small, 200_000).await.err(), None);
        assert_eq!(room.0.available_permits(), ROOM, "what was taken is given back");
    }

    #[tokio::test]
    async fn bodies_that_are_held_have_a_bound_together() {
        let room = Room::default();
        let headers = headers(&["application/json"]);
        let mut held = Vec::new();
        let refused = loop {
            let unsized_body = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]));
            match whole(&room, &headers, &mut Coming::new(unsized_body), CALL).await {
                Ok((_, one)) => held.push(one),
                Err(problem) => break problem,
            }
        };
        assert_eq!((refused.kind(), held.len()), ("busy", ROOM / (CALL >> 10)));
        held.pop();
        assert!(whole(&room, &headers, &mut Coming::new(Body::from("{}")), CALL).await.is_ok());
    }
}
