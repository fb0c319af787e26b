//! What went wrong, as others may be told: problem details (RFC 9457) with our stable kind.
//!
//! A problem says nothing of this machine: no path, no trace, no secret, and of failures of the host itself only that there was one. What
//! it keeps back stands in the log, under the correlation that it names.

use std::any::Any;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ringfence_core::Error;
use serde::Serialize;

use super::{Access, App, Peer};
use crate::render;

/// Most characters of a sentence or a hint.
const LENGTH: usize = 2_000;

/// Something that went wrong. [`tell`] makes the answer of it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: String,
    detail: String,
    hint: String,
}

/// As it is written.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Problem)]
pub(crate) struct Written {
    /// `urn:ringfence:problem:KIND`.
    #[serde(rename = "type")]
    uri: String,
    /// The kind in words.
    title: String,
    status: u16,
    /// One sentence saying what happened.
    detail: String,
    /// The stable identifier of what happened, for programs.
    kind: String,
    /// One sentence saying what to do about it.
    hint: String,
    /// What the server's log names it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: kind.into(), detail: detail.into(), hint: hint.into() }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    fn status(&self) -> StatusCode {
        let status = render::class(&self.kind).status;
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// As it may leave this machine: without a word of what is the host's own affair, and without its paths.
    pub(crate) fn outside(&self, hidden: &[String]) -> Self {
        if matches!(self.status().as_u16(), 500 | 507) {
            let hint = "try again; the server's log says more to whoever runs it";
            return Self::new(self.kind.clone(), "the host could not do it", hint);
        }
        // There the place in what the client sent is named by a pointer (RFC 6901), which looks like a path.
        // And a skill speaks of its own folders, which are none of this machine.
        let has_pointers =
            matches!(self.kind.as_str(), "invalid-input" | "invalid-output" | "invalid" | "usage" | "failed");
        let clean = |text: &str| {
            // First those that are known, with all that is in their names: what is guessed ends at the first blank.
            let text = hidden.iter().fold(text.to_owned(), |text, path| without(&text, path));
            crate::ui::printable(&without_paths(&text, has_pointers)).chars().take(LENGTH).collect::<String>()
        };
        Self { kind: self.kind.clone(), detail: clean(&self.detail), hint: clean(&self.hint) }
    }

    pub(crate) fn written(&self, correlation: Option<String>) -> Written {
        Written {
            uri: format!("urn:ringfence:problem:{}", self.kind),
            title: self.kind.replace('-', " "),
            status: self.status().as_u16(),
            detail: self.detail.clone(),
            kind: self.kind.clone(),
            hint: self.hint.clone(),
            correlation,
        }
    }
}

impl Written {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// What happened, and what to do about it.
    pub(crate) fn sentence(&self) -> String {
        if self.hint.is_empty() { self.detail.clone() } else { format!("{}; {}", self.detail, self.hint) }
    }
}

/// `text` with `...` for each path from the root. What may as well be a pointer into JSON stays where there are such, unless it begins as
/// paths of machines do.
fn without_paths(text: &str, has_pointers: bool) -> String {
    let mut clean = String::new();
    let mut rest = text;
    // Where what is no quoted path ends, looked for once for all that begin before it: a client's word may be megabytes of slashes.
    let mut end = 0;
    while let Some(at) = rest.find('/') {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        let last = clean.chars().next_back();
        let begins =
            last.is_none_or(|c| !c.is_alphanumeric() && !"/.-_~<*{}]@#?&%".contains(c)) || clean.ends_with("file://");
        // One in quotes may have blanks in it, and goes to the other quote.
        let quoted = last.filter(|c| begins && matches!(c, '`' | '"')).and_then(|quote| from.find(quote));
        let here = text.len() - from.len();
        if begins && quoted.is_none() && end <= here {
            end = here + end_of_path(from);
        }
        let path = &from[..quoted.unwrap_or(end.saturating_sub(here))];
        if begins && is_path(path, has_pointers) {
            clean.push_str("...");
            rest = &from[path.len()..];
        } else {
            clean.push('/');
            rest = &from[1..];
        }
    }
    clean.push_str(rest);
    clean
}

fn end_of_path(text: &str) -> usize {
    let end =
        text.find(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | ',' | ';' | ':' | ')' | ']' | '>'));
    end.unwrap_or(text.len())
}

fn is_path(text: &str, has_pointers: bool) -> bool {
    let mut parts = text.trim_start_matches('/').splitn(2, '/');
    // A name alone says nothing; two slashes at the start are a URL's.
    let (Some(first), Some(_)) = (parts.next().filter(|_| !text.starts_with("//")), parts.next()) else { return false };
    match first {
        // Ours, which hints name.
        "v1" => false,
        // A list and not a look: what this machine has at its root is its own affair.
        "Users" | "Volumes" | "bin" | "boot" | "dev" | "etc" | "home" | "lib" | "lib64" | "mnt" | "nix" | "opt"
        | "private" | "proc" | "root" | "run" | "sbin" | "snap" | "srv" | "sys" | "tmp" | "usr" | "var" => true,
        _ => !has_pointers,
    }
}

/// `text` with `...` for each path that begins with `folder`.
fn without(text: &str, folder: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(folder).filter(|_| folder.len() > 1) {
        clean.push_str(&rest[..at]);
        clean.push_str("...");
        let behind = &rest[at + folder.len()..];
        rest = &behind[end_of_path(behind)..];
    }
    clean.push_str(rest);
    clean
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string(), error.hint())
    }
}

impl IntoResponse for Problem {
    /// Without a body: `tell` knows who asked and writes it.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem of an answer that has one.
pub(super) async fn tell(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    app.counts.answered(response.status());
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    app.counts.failed(problem.kind());
    let correlation = format!("{:016x}", rand::random::<u64>());
    let status = problem.status();
    if status.is_server_error() {
        tracing::warn!(%correlation, kind = problem.kind, detail = problem.detail, "a request failed");
    } else {
        tracing::debug!(%correlation, kind = problem.kind, detail = problem.detail, "a request was refused");
    }
    // The user's own programs get to see what the user would.
    let told = if peer == Some(Peer::Owner) { problem } else { problem.outside(&app.hidden) };
    let headers = response.headers_mut();
    let written = told.written(Some(correlation));
    let of_others = crate::openai::of_problem(&path, status, &told).or_else(|| crate::mcp::of_problem(&path, &written));
    let form = if of_others.is_some() { "application/json" } else { "application/problem+json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ringfence\""));
    }
    if matches!(told.kind(), "busy" | "too-many-tries") {
        let seconds = if told.kind() == "busy" { "1" } else { "60" };
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    headers.remove(header::CONTENT_LENGTH);
    // Serialising our own plain structure cannot fail.
    let text = match of_others {
        Some(error) => error.to_string(),
        None => serde_json::to_string(&written).unwrap_or_default(),
    };
    *response.body_mut() = text.into();
    response
}

/// A query that a path does not take, with what is wrong about it.
pub(super) fn of_query(rejection: &QueryRejection, hint: &str) -> Problem {
    let told = rejection.body_text();
    let what = told.rsplit_once("query string: ").map_or(told.as_str(), |(_, what)| what);
    let what = ringfence_core::plain::line(what, 200).0;
    Problem::new("usage", format!("the query is not one that this path takes: {what}"), hint)
}

/// What a path says in one place, such as a name or an identifier.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        read.map(|Path(text)| Self(text))
            .map_err(|_| Problem::new("not-found", "the path is no text", "see /openapi.json"))
    }
}

pub(super) async fn no_route(access: Result<Access, Problem>, uri: Uri) -> Problem {
    let none = || {
        let known = "/openapi.json lists what there is";
        Problem::new("not-found", "there is nothing under this path", known)
    };
    match access {
        Ok(_) => crate::openai::no_route(uri.path()).unwrap_or_else(none),
        Err(problem) => problem,
    }
}

pub(super) async fn no_method() -> Problem {
    Problem::new("method-not-allowed", "this path is not for that method", "/openapi.json lists what there is")
}

/// A handler that panicked is our mistake, and the others go on.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::new("host-fault", "a handler panicked", "").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t116_nothing_of_the_machine_leaves_it() {
        let hidden = ["/home/ann/.local/state/ringfence".to_owned(), "/home/ann".to_owned()];
        let told = |kind: &str, detail: &str| Problem::new(kind, detail, detail).outside(&hidden);
        let text = "cannot read `/home/ann/.local/state/ringfence/x/y.wasm`: gone; see /home/ann/z, twice /home/ann";
        let problem = told("not-found", text);
        assert_eq!(problem.detail, "cannot read `...`: gone; see ..., twice ...");
        assert_eq!(problem.hint, problem.detail);
        for own in ["host-fault", "state-full", "digest-mismatch", "a kind of tomorrow"] {
            let problem = told(own, "/var/lib/x: SELECT secret");
            assert!(!format!("{problem:?}").contains("secret"), "{problem:?}");
        }
        for (kind, text, clean) in [
            (
                "unavailable",
                "the server `gone` cannot be used: `/work/tool.sh` cannot be started: No such file",
                "the server `gone` cannot be used: `...` cannot be started: No such file",
            ),
            (
                "not-found",
                "cannot read /srv/a/b.txt: gone (see /x/y), \"/my own/file\"",
                "cannot read ...: gone (see ...), \"...\"",
            ),
            ("failed", "cannot write /work/src/a.c: gone; see /tmp/x/y", "cannot write /work/src/a.c: gone; see ..."),
            ("unavailable", "file:///var/a unix:/run/a.sock --config=/w/c", "file://... unix:... --config=..."),
            ("invalid-input", "/items/0: lacks `a/b`; /etc/passwd", "/items/0: lacks `a/b`; ..."),
        ] {
            assert_eq!(told(kind, text).detail, clean);
        }
        // A known folder goes whole, whatever is in its name.
        let spaced =
            Problem::new("not-found", "cannot read /opt/My Own/state/x.db: gone", "").outside(&["/opt/My Own".into()]);
        assert_eq!(spaced.detail, "cannot read ...: gone");
        for kept in [
            "`GET /v1/tools` lists those that there are; /openapi.json too",
            "see https://a.example/b/c, http://[::1]/d/e and //f.example/g",
            "a/b, ./c/d, ../e/f, ~/g/h, 1/2, and / or, text/plain, </untrusted-output>, /",
        ] {
            assert_eq!(told("not-found", kept).detail, kept);
        }
        assert_eq!(told("invalid-input", "`text` is missing\u{1b}[2J").detail, "`text` is missing\u{fffd}[2J");
        assert_eq!(told("invalid-input", &"x".repeat(10_000)).detail.len(), LENGTH);
    }

    #[test]
    fn t114_a_word_of_a_client_is_cleaned_in_one_pass_whatever_it_is() {
        let (told, clean) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for piece in ["/", "=/", "`/", "=/a"] {
                let text = format!("unknown field `{}`", piece.repeat(512 << 10));
                told.send(Problem::new("invalid-input", text, "").outside(&["/home/ann".into()]).detail.len()).unwrap();
            }
        });
        for _ in 0..4 {
            // A moment. Where each slash looks for an end of its own, many minutes.
            assert_eq!(clean.recv_timeout(std::time::Duration::from_secs(60)), Ok(LENGTH));
        }
    }
}
