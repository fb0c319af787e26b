//! The seam for secrets: who fills `{{secret:NAME}}` in, and who takes them out of what comes back. `http` itself knows none.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderValue};

use super::url::Origin;
use crate::broker::Session;
use crate::error::{Denial, Refusal};

/// How a placeholder begins.
const OPENS: &str = "{{secret:";

/// Whether a header's value asks for a secret.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.values().any(is_placed)
}

pub(super) fn is_placed(value: &HeaderValue) -> bool {
    value.as_bytes().windows(OPENS.len()).any(|part| part == OPENS.as_bytes())
}

/// Keeps secrets for skills.
pub trait Secrets: Send + Sync + 'static {
    /// Puts secrets in the place of the placeholders in `headers` and marks those values sensitive. Called for each hop, after
    /// grant and addresses are checked, only where there is a placeholder, and only where the origin is reached by TLS or is
    /// this machine.
    ///
    /// Refuses where a secret is not there, not granted to the session's skill, or not bound to the origin.
    fn fill<'a>(
        &'a self,
        session: &'a Session,
        origin: &'a Origin,
        headers: &'a mut HeaderMap,
    ) -> BoxFuture<'a, Result<(), Refusal>>;

    /// What takes secrets out of one response of `origin`: those that this invocation may use, and all that may be sent there, for
    /// whatever skill and whether the request had a placeholder or not: a server may give back what it saw earlier. None where
    /// there are none.
    fn redactor<'a>(&'a self, session: &'a Session, origin: &'a Origin) -> BoxFuture<'a, Option<Box<dyn Redact>>>;
}

/// Takes secrets and their usual encodings out of what a server says.
pub trait Redact: Send {
    /// A piece that stands for itself: a header's value.
    fn text(&self, text: &str) -> String;

    /// The next bytes of a body. What might be the beginning of a secret is held back until more is there or `last` says that
    /// nothing comes any more.
    fn bytes(&mut self, chunk: Bytes, last: bool) -> Bytes;
}

/// Knows no secret.
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn fill<'a>(&'a self, _: &'a Session, _: &'a Origin, _: &'a mut HeaderMap) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::Denied(Denial {
            capability: "secrets",
            subject: "secret".into(),
            reason: "this host keeps no secrets for skills".into(),
            hint: "leave `{{secret:NAME}}` out of the headers".into(),
        }))))
    }

    fn redactor<'a>(&'a self, _: &'a Session, _: &'a Origin) -> BoxFuture<'a, Option<Box<dyn Redact>>> {
        Box::pin(std::future::ready(None))
    }
}

/// The refusal of a secret for a server that anybody in between can read along with.
pub(super) fn in_the_clear(origin: &Origin) -> Refusal {
    Refusal::Denied(Denial {
        capability: "http",
        subject: format!("http {origin}"),
        reason: "a secret is sent to no other machine without TLS".into(),
        hint: "use https, or leave the secret out".into(),
    })
}
