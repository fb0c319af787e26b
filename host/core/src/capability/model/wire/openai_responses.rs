//! OpenAI's Responses, which is also the Open Responses specification.
//!
//! <https://platform.openai.com/docs/api-reference/responses>, <https://www.openresponses.org>. Nothing is stored at the provider
//! (`store: false`), so reasoning comes encrypted and is given back by us.

mod answer;
mod request;
mod stops;

pub use answer::{Items, decode};
pub use request::encode;

use super::assembly::{Ids, assemble};
use super::http::Endpoint;
use super::openai_chat::{self, Dialect};
use super::port::Wire;
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Embeddings, Request, Response};

/// A server that speaks Responses. Embeddings and the list of models are those of Chat Completions, at the same address.
#[derive(Debug)]
pub struct OpenAiResponses {
    endpoint: Endpoint,
    openai: bool,
}

impl OpenAiResponses {
    pub fn new(endpoint: Endpoint) -> Self {
        let openai = Dialect::of(endpoint.base_url()).openai;
        Self { endpoint: endpoint.speaking("OpenAI Responses"), openai }
    }
}

impl Wire for OpenAiResponses {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn attempt(
        &self,
        model: &str,
        request: &Request,
        events: Option<&Events>,
    ) -> Result<Response, ProviderError> {
        let body = encode(request, model, events.is_some(), self.openai)?;
        let response = self.endpoint.post_json("responses", &body).await?;
        if events.is_none() {
            let answer = self.endpoint.whole_json(response).await?;
            return Ok(stops::cut(decode(&answer, model, Ids::fresh())?, &request.stop));
        }
        assemble(self.endpoint.events(response), Items::new(model, Ids::fresh(), &request.stop), events).await
    }

    async fn vectors(&self, model: &str, inputs: &[String]) -> Result<Embeddings, ProviderError> {
        openai_chat::vectors(&self.endpoint, model, inputs).await
    }

    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        openai_chat::models(&self.endpoint).await
    }
}

#[cfg(test)]
mod tests;
