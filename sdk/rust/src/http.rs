//! Requests to servers that the operator granted.
//!
//! ```no_run
//! use ringfence_skill::http;
//! # use ringfence_skill::Refusal;
//! # fn f() -> Result<(), Refusal> {
//! let page = http::get("https://example.com/")?.error_for_status()?.text()?;
//! let made: serde_json::Value = http::request("POST", "https://api.example.com/notes")
//!     .header("authorization", "Bearer {{secret:NOTES_TOKEN}}") // the host puts the secret there; a skill never sees it
//!     .json(&serde_json::json!({ "text": page }))
//!     .send()?
//!     .json()?;
//! # Ok(()) }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::ringfence::skill::http::Head;
use crate::bindings::ringfence::skill::http::Request as Wire;
use crate::{Refusal, host};

/// Gets a URL and waits for the response's head. Redirects are followed as far as their targets are granted. A status of 400 or
/// above is a response: see [`Response::error_for_status`].
pub fn get(url: &str) -> Result<Response, Refusal> {
    request("GET", url).send()
}

/// A request to be built: `request("POST", url).json(&value).send()?`.
pub fn request(method: &str, url: &str) -> Request {
    let request = Wire {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        follow: true,
        timeout_ms: None,
    };
    Request { request, wrong: None }
}

/// A request being built. Begins with [`request`], ends with [`send`](Self::send), [`start`](Self::start) or
/// [`begin`](Self::begin).
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is sent before `send`, `start` or `begin`"]
pub struct Request {
    request: Wire,
    wrong: Option<Refusal>,
}

impl Request {
    /// Adds a header. Its value may hold `{{secret:NAME}}`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The whole body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// The whole body as JSON, with its `content-type`.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.request.body = body,
            Err(error) => self.wrong = Some(Refusal::Invalid(format!("the request's body cannot be JSON: {error}"))),
        }
        self.header("content-type", "application/json")
    }

    /// Whether redirects are followed. They are, unless this says otherwise.
    pub fn follow(mut self, follow: bool) -> Self {
        self.request.follow = follow;
        self
    }

    /// How long to wait for the response's head.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it and waits for the response's head.
    pub fn send(self) -> Result<Response, Refusal> {
        host::http_send(&self.ready()?).map(Response::new)
    }

    /// Sends it and returns at once, so that several run at the same time.
    pub fn start(self) -> Result<Pending, Refusal> {
        host::http_start(&self.ready()?).map(Pending)
    }

    /// Begins a request whose body is written piece by piece. Redirects are not followed.
    pub fn begin(self) -> Result<Upload, Refusal> {
        host::http_begin(&self.ready()?).map(Upload)
    }

    fn ready(self) -> Result<Wire, Refusal> {
        match self.wrong {
            Some(refusal) => Err(refusal),
            None => Ok(self.request),
        }
    }
}

/// A response whose head is there. Its body is read as it comes; dropping it closes the connection.
pub struct Response {
    inner: host::HttpResponse,
    head: Head,
}

impl Response {
    fn new(inner: host::HttpResponse) -> Self {
        let head = host::http_head(&inner);
        Self { inner, head }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Whether the status is one of success: 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.head.status)
    }

    /// Where it came from in the end.
    pub fn url(&self) -> &str {
        &self.head.url
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.head.headers
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Makes a refusal of a status of 400 or above: `unavailable` where trying again later may help.
    pub fn error_for_status(self) -> Result<Self, Refusal> {
        let status = self.head.status;
        let place = self.head.url.split('?').next().unwrap_or_default();
        match status {
            0..400 => Ok(self),
            408 | 425 | 429 | 500.. => Err(Refusal::Unavailable(format!("`{place}` answered with status {status}"))),
            _ => Err(Refusal::Invalid(format!("`{place}` answered with status {status}"))),
        }
    }

    /// The next bytes of the body, at most `max` (0 means 64 KiB); empty at the end. Waits for them.
    pub fn read(&mut self, max: u32) -> Result<Vec<u8>, Refusal> {
        host::http_read(&self.inner, max)
    }

    /// The rest of the body.
    pub fn bytes(mut self) -> Result<Vec<u8>, Refusal> {
        let mut all = Vec::new();
        loop {
            let piece = self.read(0)?;
            if piece.is_empty() {
                return Ok(all);
            }
            if all.is_empty() {
                all = piece;
            } else {
                all.extend_from_slice(&piece);
            }
        }
    }

    /// The rest of the body as text. What is no UTF-8 becomes the replacement character.
    pub fn text(self) -> Result<String, Refusal> {
        let bytes = self.bytes()?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The rest of the body, read as JSON.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let place = self.head.url.split('?').next().unwrap_or_default().to_owned();
        serde_json::from_slice(&self.bytes()?)
            .map_err(|error| Refusal::Invalid(format!("what `{place}` answered is not what was expected: {error}")))
    }
}

impl io::Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let max = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let piece = Response::read(self, max).map_err(io::Error::other)?;
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("head", &self.head).finish_non_exhaustive()
    }
}

/// A request under way. Dropping it cancels the request; it may have reached the server all the same.
pub struct Pending(host::HttpPending);

impl Pending {
    /// Waits for the response's head.
    pub fn wait(self) -> Result<Response, Refusal> {
        host::http_wait(&self.0).map(Response::new)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// A request whose body is being written. Dropping it breaks the request off.
pub struct Upload(host::HttpUpload);

impl Upload {
    /// Gives bytes to the request. Waits while the server does not take them.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        host::http_write(&self.0, chunk)
    }

    /// Ends the body and waits for the response's head.
    pub fn finish(self) -> Result<Response, Refusal> {
        host::http_finish(&self.0).map(Response::new)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

/// Sends many requests with at most `in_flight` at once, and gives the responses in the order of the requests.
///
/// Nothing is sent before the first response is wanted. A response counts until its body is read or dropped. Dropping the
/// iterator cancels what is under way.
pub fn parallel<I: IntoIterator<Item = Request>>(requests: I, in_flight: usize) -> Parallel<I::IntoIter> {
    Parallel { requests: requests.into_iter(), open: VecDeque::new(), in_flight: in_flight.max(1) }
}

/// Responses in the order of their requests. Made by [`parallel`].
#[derive(Debug)]
pub struct Parallel<I> {
    requests: I,
    open: VecDeque<Result<Pending, Refusal>>,
    in_flight: usize,
}

impl<I: Iterator<Item = Request>> Iterator for Parallel<I> {
    type Item = Result<Response, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.open.len() < self.in_flight {
            match self.requests.next() {
                Some(request) => self.open.push_back(request.start()),
                None => break,
            }
        }
        Some(self.open.pop_front()?.and_then(Pending::wait))
    }
}
