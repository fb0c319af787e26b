//! Google's Gemini API (`generateContent`).
//!
//! <https://ai.google.dev/api/generate-content>. The key goes in a header, never in the URL, which ends up in logs.

mod answer;
mod request;

use reqwest::header::HeaderName;
use serde_json::{Value, json};

pub use answer::{Candidate, decode};
pub use request::encode;

use super::assembly::{Ids, assemble};
use super::http::{Auth, Endpoint};
use super::port::Wire;
use super::values::embeddings;
use crate::capability::model::provider::{Events, ProviderError};
use crate::capability::model::types::{Embeddings, Request, Response};

/// Most texts in one `batchEmbedContents`.
const BATCH: usize = 100;

/// Gemini, or a server that speaks its wire.
#[derive(Debug)]
pub struct Gemini {
    endpoint: Endpoint,
}

impl Gemini {
    /// The base URL ends with the version, for example `https://generativelanguage.googleapis.com/v1beta`. How the key is shown
    /// is set here.
    pub fn new(endpoint: Endpoint) -> Self {
        let endpoint = endpoint.speaking("Gemini");
        Self { endpoint: endpoint.with_auth(Auth::Header(HeaderName::from_static("x-goog-api-key"))) }
    }
}

impl Wire for Gemini {
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
        if events.is_none() {
            let response = self.endpoint.post_json(&path(model, "generateContent")?, &body).await?;
            return decode(&self.endpoint.whole_json(response).await?, model, Ids::fresh());
        }
        let path = path(model, "streamGenerateContent?alt=sse")?;
        let response = self.endpoint.post_json(&path, &body).await?;
        assemble(self.endpoint.events(response), Candidate::new(model, Ids::fresh()), events).await
    }

    async fn vectors(&self, model: &str, inputs: &[String]) -> Result<Embeddings, ProviderError> {
        let path = path(model, "batchEmbedContents")?;
        let name = format!("models/{}", bare(model));
        let mut answers = Vec::new();
        for batch in inputs.chunks(BATCH) {
            let one = |text: &String| json!({ "model": name, "content": { "parts": [{ "text": text }] } });
            let body = json!({ "requests": batch.iter().map(one).collect::<Vec<_>>() });
            let response = self.endpoint.post_json(&path, &body).await?;
            answers.push(self.endpoint.whole_json(response).await?);
        }
        decode_embeddings(&answers, model, inputs.len())
    }

    /// One page: 1,000 is the largest that the API gives, and there are a few dozen models.
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let answer = self.endpoint.get_json("models?pageSize=1000").await?;
        let names = super::values::names(answer.get("models"), "name")?;
        Ok(names.iter().map(|name| bare(name).to_owned()).collect())
    }
}

/// Vectors in the order of the inputs. The wire says nothing of tokens.
pub fn decode_embeddings(answers: &[Value], model: &str, inputs: usize) -> Result<Embeddings, ProviderError> {
    let rows = answers.iter().flat_map(|answer| answer["embeddings"].as_array().into_iter().flatten());
    embeddings(rows.map(|row| &row["values"]).collect(), inputs, model, None)
}

/// `models/gemini-…` is what lists show; both forms are taken.
fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// The path of a method. The name of a model is a skill's to choose: whatever is in it, it stays one segment of the path.
fn path(model: &str, method: &str) -> Result<String, ProviderError> {
    let name = bare(model);
    // Dots survive encoding, and URL parsers walk up on them.
    if name.chars().all(|c| c == '.') {
        return Err(ProviderError::UnknownModel(format!("`{name}`")));
    }
    let mut path = "models/".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(format!("{path}:{method}"))
}

#[cfg(test)]
mod tests;
