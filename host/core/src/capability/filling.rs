//! Secrets in the headers of `http`: the one place where two capabilities meet, so that neither knows the other.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use super::http;
use super::http::secrets::Redact;
use super::secrets::{Binding, Fill, Stream, Vault};
use crate::broker::Session;
use crate::error::{Denial, Refusal};

const OPENS: &str = "{{secret:";
const CLOSES: &str = "}}";

/// Fills in what a vault keeps.
pub(crate) struct Filling(pub(crate) Arc<Vault>);

impl http::secrets::Secrets for Filling {
    fn fill<'a>(
        &'a self,
        session: &'a Session,
        origin: &'a http::Origin,
        headers: &'a mut HeaderMap,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let to = Binding::of(origin.scheme(), &origin.host.to_string(), origin.port);
            for value in headers.values_mut() {
                if let Some(filled) = self.filled(session, &to, value).await? {
                    *value = filled;
                }
            }
            Ok(())
        })
    }

    fn redactor<'a>(
        &'a self,
        session: &'a Session,
        origin: &'a http::Origin,
    ) -> BoxFuture<'a, Option<Box<dyn Redact>>> {
        Box::pin(async {
            let to = Binding::of(origin.scheme(), &origin.host.to_string(), origin.port);
            let mut names = self.0.bound_to(&to);
            names.extend(session.grants().secrets.iter().flat_map(|grant| grant.names.iter().cloned()));
            names.sort_unstable();
            names.dedup();
            let redactor = self.0.redactor(&names).await?;
            Some(Box::new(Taking(redactor.stream())) as Box<dyn Redact>)
        })
    }
}

impl Filling {
    /// The value with every placeholder filled in; None where it has none.
    async fn filled(
        &self,
        session: &Session,
        to: &Binding,
        value: &HeaderValue,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Ok(text) = value.to_str() else { return Ok(None) };
        if !text.contains(OPENS) {
            return Ok(None);
        }
        let mut filled = Zeroizing::new(String::with_capacity(text.len() + 64));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPENS) {
            let Some((name, behind)) = after.split_once(CLOSES) else {
                return Err(Refusal::Invalid("a header has `{{secret:` without the `}}` that ends it".into()));
            };
            let bound = self.0.is_bound(name, to);
            let permit = session.permit(Fill { name: name.to_owned(), to: to.clone(), bound }).await?;
            let receipt = permit.receipt();
            let secret = self.0.reveal(name).await.map_err(|error| {
                tracing::error!(%error, help = error.hint(), "a secret cannot be used");
                receipt.close("unavailable", error.to_string());
                Refusal::Unavailable(format!("the secret `{}` cannot be read; see the host's log", permit.ask().name))
            })?;
            receipt.close("ok", String::new());
            filled.push_str(before);
            filled.push_str(secret.expose_secret());
            rest = behind;
        }
        filled.push_str(rest);
        let mut value = HeaderValue::from_str(&filled).map_err(|_| {
            Refusal::Denied(Denial {
                capability: "secrets",
                subject: "secrets fill".into(),
                reason: "the header cannot hold what the placeholder stands for".into(),
                hint: "set the secret again, without characters that a header cannot hold".into(),
            })
        })?;
        // Neither `Debug` nor HTTP/2's header table keeps it.
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

struct Taking(Stream);

impl Redact for Taking {
    fn text(&self, text: &str) -> String {
        self.0.redactor().text(text)
    }

    fn bytes(&mut self, chunk: Bytes, last: bool) -> Bytes {
        self.0.push(chunk, last)
    }
}
