//! Servers, as the fake has them.

use std::cell::{Cell, RefCell};

use serde::Serialize;

use super::host::{Host, with};
use crate::bindings::ringfence::skill::http::{Head, Request};
use crate::{Denial, Refusal};

/// What a server of the fake answers: a text, or what is built here.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    refusal: Option<Refusal>,
}

impl Page {
    /// Status 200 and a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::status(200).body(text.into())
    }

    /// Status 200 and JSON.
    pub fn json(value: impl Serialize) -> Self {
        match serde_json::to_vec(&value) {
            Ok(body) => Self::status(200).header("content-type", "application/json").body(body),
            Err(error) => panic!("the test's value cannot be JSON: {error}"),
        }
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), refusal: None }
    }

    /// The host refuses the request.
    pub fn refuse(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::status(0) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_lowercase(), value.to_owned()));
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl From<&str> for Page {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// Answers requests, or leaves them to the next.
pub(super) type Server = Box<dyn FnMut(&Request) -> Option<Page>>;

impl Host {
    /// Answers every request for this URL, whatever its method. A URL without a query answers every query.
    pub fn serve(self, url: &str, page: impl Into<Page>) -> Self {
        let (url, page) = (url.to_owned(), page.into());
        self.serve_with(move |request| {
            let path = request.url.split('?').next().unwrap_or_default();
            (request.url == url || path == url).then(|| page.clone())
        })
    }

    /// Answers requests by a function; `None` leaves the request to the next one. What nobody answers is denied, as by a host
    /// that granted nothing.
    pub fn serve_with(self, server: impl FnMut(&Request) -> Option<Page> + 'static) -> Self {
        self.state().borrow_mut().servers.push(Box::new(server));
        self
    }

    /// All requests to servers, in order. The body of an upload is there when it was finished.
    pub fn sent(&self) -> Vec<Request> {
        self.state().borrow().sent.clone()
    }
}

fn answer(request: &Request) -> Result<HttpResponse, Refusal> {
    let page = with("http", |state| {
        state.sent.push(request.clone());
        state.servers.iter_mut().find_map(|server| server(request))
    });
    let Some(Page { status, headers, body, refusal }) = page else {
        return Err(Refusal::Denied(Denial {
            capability: "http".into(),
            subject: format!("http {} {}", request.method, request.url),
            reason: "the fake has no answer for it".into(),
            hint: "script one with `.serve(\"https://...\", \"text\")`".into(),
        }));
    };
    match refusal {
        Some(refusal) => Err(refusal),
        None => {
            let head = Head { status, url: request.url.clone(), headers };
            Ok(HttpResponse { head, body, at: Cell::new(0) })
        }
    }
}

/// A response of the fake.
pub(crate) struct HttpResponse {
    head: Head,
    body: Vec<u8>,
    at: Cell<usize>,
}

/// A request under way at the fake.
pub(crate) struct HttpPending(RefCell<Option<Result<HttpResponse, Refusal>>>);

/// A body being written to the fake.
pub(crate) struct HttpUpload(RefCell<Request>);

pub(crate) fn http_send(request: &Request) -> Result<HttpResponse, Refusal> {
    answer(request)
}

pub(crate) fn http_start(request: &Request) -> Result<HttpPending, Refusal> {
    Ok(HttpPending(RefCell::new(Some(answer(request)))))
}

pub(crate) fn http_begin(request: &Request) -> Result<HttpUpload, Refusal> {
    Ok(HttpUpload(RefCell::new(request.clone())))
}

pub(crate) fn http_wait(pending: &HttpPending) -> Result<HttpResponse, Refusal> {
    let twice = || Refusal::Invalid("`wait` was called before".into());
    pending.0.borrow_mut().take().ok_or_else(twice)?
}

pub(crate) fn http_head(response: &HttpResponse) -> Head {
    response.head.clone()
}

pub(crate) fn http_read(response: &HttpResponse, max: u32) -> Result<Vec<u8>, Refusal> {
    let max = if max == 0 { 64 << 10 } else { usize::try_from(max).unwrap_or(usize::MAX) };
    let rest = &response.body[response.at.get()..];
    let piece = &rest[..rest.len().min(max)];
    response.at.set(response.at.get() + piece.len());
    Ok(piece.to_vec())
}

pub(crate) fn http_write(upload: &HttpUpload, chunk: &[u8]) -> Result<(), Refusal> {
    upload.0.borrow_mut().body.extend_from_slice(chunk);
    Ok(())
}

pub(crate) fn http_finish(upload: &HttpUpload) -> Result<HttpResponse, Refusal> {
    answer(&upload.0.borrow())
}
