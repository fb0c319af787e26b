//! Anthropic's Messages API, and the servers that speak it as well.
//!
//! <https://platform.claude.com/docs/en/api/messages>. It has no embeddings.

mod answer;
mod request;

use reqwest::header::HeaderName;
use serde_json::Value;

pub use answer::{Messages, decode};
pub use request::encode;

use super::assembly::{Ids, assemble};
use super::http::{Auth, Endpoint};
use super::port::Wire;
use super::values::names;
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Request, Response};

/// The version of the wire that is spoken here.
const VERSION: &str = "2023-06-01";

/// A server that speaks Messages.
#[derive(Debug)]
pub struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
    /// The base URL ends with the version, for example `https://api.anthropic.com/v1`. How the key is shown is set here.
    pub fn new(endpoint: Endpoint) -> Result<Self, ProviderError> {
        let auth = Auth::Header(HeaderName::from_static("x-api-key"));
        let endpoint = endpoint.speaking("Anthropic");
        Ok(Self { endpoint: endpoint.with_auth(auth).with_header("anthropic-version", VERSION)? })
    }
}

impl Wire for Anthropic {
    const EMBEDS: bool = false;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn attempt(
        &self,
        model: &str,
        request: &Request,
        events: Option<&Events>,
    ) -> Result<Response, ProviderError> {
        let body = encode(request, model, events.is_some())?;
        let response = self.endpoint.post_json("messages", &body).await?;
        if events.is_none() {
            return decode(&self.endpoint.whole_json(response).await?, model, Ids::fresh());
        }
        assemble(self.endpoint.events(response), Messages::new(model, Ids::fresh()), events).await
    }

    /// One page: 1,000 is the largest that the API gives, and there are a few dozen models.
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let answer: Value = self.endpoint.get_json("models?limit=1000").await?;
        names(answer.get("data"), "id")
    }
}

#[cfg(test)]
mod tests;
