//! Ollama's own wire: lines of JSON instead of events.
//!
//! <https://github.com/ollama/ollama/blob/main/docs/api.md>. It also speaks Chat Completions, but only here are the length of the
//! context and the model's thinking within reach.

mod address;
mod answer;
mod request;

use serde_json::{Value, json};

pub use address::base_url;
pub use answer::{Lines, decode};
pub use request::encode;

use super::assembly::{Ids, assemble};
use super::http::Endpoint;
use super::port::Wire;
use super::values::{count, embeddings, names, usage};
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Embeddings, Request, Response};

/// An Ollama server.
#[derive(Debug)]
pub struct Ollama {
    endpoint: Endpoint,
}

impl Ollama {
    /// The endpoint's base URL is what [`base_url`] gives, without `/api`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: endpoint.speaking("Ollama") }
    }
}

impl Wire for Ollama {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn attempt(
        &self,
        model: &str,
        request: &Request,
        events: Option<&Events>,
    ) -> Result<Response, ProviderError> {
        let mut body = encode(request, model, events.is_some())?;
        let response = match self.endpoint.post_json("api/chat", &body).await {
            // An effort is only a wish, and a model that cannot think refuses it before it does anything.
            Err(ProviderError::Invalid(text))
                if text.contains("does not support thinking") && body["think"] != false =>
            {
                body.as_object_mut().map(|fields| fields.remove("think"));
                self.endpoint.post_json("api/chat", &body).await?
            }
            other => other?,
        };
        if events.is_none() {
            return decode(&self.endpoint.whole_json(response).await?, model, Ids::fresh());
        }
        assemble(self.endpoint.lines(response), Lines::new(model, Ids::fresh()), events).await
    }

    async fn vectors(&self, model: &str, inputs: &[String]) -> Result<Embeddings, ProviderError> {
        let response = self.endpoint.post_json("api/embed", &json!({ "model": model, "input": inputs })).await?;
        decode_embeddings(&self.endpoint.whole_json(response).await?, model, inputs.len())
    }

    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        names(self.endpoint.get_json("api/tags").await?.get("models"), "name")
    }
}

/// An answer with embeddings.
pub fn decode_embeddings(answer: &Value, model: &str, inputs: usize) -> Result<Embeddings, ProviderError> {
    let rows = answer["embeddings"].as_array().map(|rows| rows.iter().collect()).unwrap_or_default();
    let reported = usage(count(answer.get("prompt_eval_count")), Some(0), None, None);
    embeddings(rows, inputs, answer["model"].as_str().unwrap_or(model), reported)
}

#[cfg(test)]
mod tests;
