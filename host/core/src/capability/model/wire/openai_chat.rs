//! OpenAI's Chat Completions, which nearly every local and hosted server speaks as well.
//!
//! <https://platform.openai.com/docs/api-reference/chat>. Compatible servers differ in small ways; what is known of them is
//! written where it is handled, in `request` and `answer`.

mod answer;
mod request;

use serde_json::{Value, json};

pub use answer::{Chat, decode};
pub use request::encode;
pub(super) use request::{openai_word, reasons, takes_sampling, word};

use super::assembly::{Ids, assemble};
use super::http::Endpoint;
use super::port::Wire;
use super::values::{count, embeddings, names, usage};
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Embeddings, Request, Response};

/// Ways in which servers of this wire differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// OpenAI itself. It wants `max_completion_tokens` (its reasoning models refuse `max_tokens`), which many others do not
    /// know and would ignore, so that they get `max_tokens`. It also takes `prompt_cache_key`, which strict servers refuse.
    pub openai: bool,
    /// Whether `response_format` takes a JSON Schema.
    pub native_schema: bool,
}

impl Dialect {
    /// What is known of the server at `url`.
    pub fn of(url: &url::Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let within = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        Self {
            openai: within("openai.com") || within("openai.azure.com"),
            // DeepSeek has JSON mode, but no schemas.
            native_schema: !within("deepseek.com"),
        }
    }
}

/// A server that speaks Chat Completions.
#[derive(Debug)]
pub struct OpenAiChat {
    endpoint: Endpoint,
    dialect: Dialect,
}

impl OpenAiChat {
    /// The dialect is taken from the endpoint's host.
    pub fn new(endpoint: Endpoint) -> Self {
        let dialect = Dialect::of(endpoint.base_url());
        Self { endpoint: endpoint.speaking("OpenAI-compatible"), dialect }
    }

    /// For an operator who knows better.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
}

impl Wire for OpenAiChat {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn attempt(
        &self,
        model: &str,
        request: &Request,
        events: Option<&Events>,
    ) -> Result<Response, ProviderError> {
        let body = encode(request, model, events.is_some(), self.dialect)?;
        let response = self.endpoint.post_json("chat/completions", &body).await?;
        if events.is_none() {
            return decode(&self.endpoint.whole_json(response).await?, model, Ids::fresh());
        }
        assemble(self.endpoint.events(response), Chat::new(model, Ids::fresh()), events).await
    }

    fn takes_schemas(&self) -> bool {
        self.dialect.native_schema
    }

    async fn vectors(&self, model: &str, inputs: &[String]) -> Result<Embeddings, ProviderError> {
        vectors(&self.endpoint, model, inputs).await
    }

    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        models(&self.endpoint).await
    }
}

/// Embeddings of any server with OpenAI's paths.
pub(super) async fn vectors(endpoint: &Endpoint, model: &str, inputs: &[String]) -> Result<Embeddings, ProviderError> {
    let body = json!({ "model": model, "input": inputs, "encoding_format": "float" });
    let response = endpoint.post_json("embeddings", &body).await?;
    decode_embeddings(&endpoint.whole_json(response).await?, model, inputs.len())
}

/// The models of any server with OpenAI's paths.
pub(super) async fn models(endpoint: &Endpoint) -> Result<Vec<String>, ProviderError> {
    names(endpoint.get_json("models").await?.get("data"), "id")
}

/// An answer with embeddings, in the order of the inputs. llama.cpp leaves `data` out and sends the list itself.
pub fn decode_embeddings(answer: &Value, model: &str, inputs: usize) -> Result<Embeddings, ProviderError> {
    let list = answer.get("data").unwrap_or(answer).as_array();
    let list = list.ok_or_else(|| ProviderError::Garbled("it has no vectors".into()))?;
    let mut rows: Vec<(u64, &Value)> = Vec::with_capacity(list.len());
    for (at, row) in list.iter().enumerate() {
        let index = count(row.get("index")).unwrap_or(at as u64);
        rows.push((index, row.get("embedding").unwrap_or(&Value::Null)));
    }
    rows.sort_by_key(|(index, _)| *index);
    let reported = answer.get("usage").and_then(|used| usage(count(used.get("prompt_tokens")), Some(0), None, None));
    let model = answer.get("model").and_then(Value::as_str).unwrap_or(model);
    embeddings(rows.into_iter().map(|(_, row)| row).collect(), inputs, model, reported)
}

#[cfg(test)]
mod tests;
