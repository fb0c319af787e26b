//! What every wire does alike at the port: the permit is held while it works, and no error that leaves it holds the key.

use futures_util::future::BoxFuture;

use super::http::Endpoint;
use crate::broker::Permit;
use crate::capability::model::ask::{Embed, Generate};
use crate::capability::model::provider::{Events, Features, Provider, ProviderError};
use crate::capability::model::types::{Embeddings, Request, Response};

/// What differs from wire to wire.
pub(super) trait Wire: Send + Sync + 'static {
    fn endpoint(&self) -> &Endpoint;

    /// Whether the wire takes a JSON Schema for its answer.
    fn takes_schemas(&self) -> bool {
        true
    }

    /// Whether the wire has embeddings.
    const EMBEDS: bool = true;

    /// One attempt, streamed where there are events.
    fn attempt(
        &self,
        model: &str,
        request: &Request,
        events: Option<&Events>,
    ) -> impl Future<Output = Result<Response, ProviderError>> + Send;

    /// Vectors, where the wire has them.
    fn vectors(
        &self,
        _model: &str,
        _inputs: &[String],
    ) -> impl Future<Output = Result<Embeddings, ProviderError>> + Send {
        std::future::ready(Err(ProviderError::Invalid("this provider has no embeddings".into())))
    }

    fn models(&self) -> impl Future<Output = Result<Vec<String>, ProviderError>> + Send;
}

impl<W: Wire> Provider for W {
    fn features(&self) -> Features {
        Features { native_schema: self.takes_schemas(), embeddings: W::EMBEDS, local: self.endpoint().is_loopback() }
    }

    fn generate<'a>(
        &'a self,
        _permit: &'a Permit<Generate>,
        model: &'a str,
        request: &'a Request,
        events: Option<&'a Events>,
    ) -> BoxFuture<'a, Result<Response, ProviderError>> {
        Box::pin(async move {
            let done = match self.attempt(model, request, events).await {
                Err(ProviderError::Invalid(text)) if minds_sampling(request, &text) => {
                    let plain = Request { temperature: None, top_p: None, ..request.clone() };
                    self.attempt(model, &plain, events).await
                }
                done => done,
            };
            done.map_err(|error| self.endpoint().redact(error))
        })
    }

    fn embed<'a>(
        &'a self,
        _permit: &'a Permit<Embed>,
        model: &'a str,
        inputs: &'a [String],
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        Box::pin(async move { self.vectors(model, inputs).await.map_err(|error| self.endpoint().redact(error)) })
    }

    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>, ProviderError>> {
        Box::pin(async move { self.models().await.map_err(|error| self.endpoint().redact(error)) })
    }
}

/// Whether a request was refused for its temperature or `top_p`. Both are only wishes. Each provider's newest models take neither,
/// and refuse before they do anything; the wires know the families of today, and this is for those of tomorrow and for what
/// stands behind servers of other makers.
fn minds_sampling(request: &Request, refusal: &str) -> bool {
    let named = |words: &[&str]| words.iter().any(|word| refusal.contains(word));
    (request.temperature.is_some() && named(&["temperature"]))
        || (request.top_p.is_some() && named(&["top_p", "topP", "top-p"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::capability::model::types::{Message, Role};
    use crate::capability::model::wire::openai_chat::OpenAiChat;
    use crate::capability::model::wire::testing::{KEY, PATIENT, endpoint, permit, serve};

    fn refusal(text: &str) -> (u16, &'static str, Vec<u8>) {
        (400, "application/json", json!({ "error": { "message": text } }).to_string().into_bytes())
    }

    fn answer() -> (u16, &'static str, Vec<u8>) {
        let message = json!({ "role": "assistant", "content": "fine" });
        let whole = json!({ "choices": [{ "message": message, "finish_reason": "stop" }] });
        (200, "application/json", whole.to_string().into_bytes())
    }

    fn asked(temperature: Option<f32>) -> Request {
        Request { messages: vec![Message::text(Role::User, "x")], temperature, ..Request::default() }
    }

    #[tokio::test]
    async fn a_model_that_takes_no_temperature_is_asked_without() {
        let (address, seen) = serve(vec![refusal("`temperature` is deprecated for this model."), answer()]).await;
        let chat = OpenAiChat::new(endpoint(address, PATIENT));
        let response = chat.generate(&permit(), "m", &asked(Some(0.5)), None).await.unwrap();
        assert_eq!(response.message.joined_text(), "fine");
        let temperatures: Vec<_> =
            seen.lock().unwrap().iter().map(|seen| seen.body.get("temperature").cloned()).collect();
        assert_eq!(temperatures, [Some(json!(0.5)), None]);
    }

    #[tokio::test]
    async fn other_refusals_are_refusals_and_hold_no_key() {
        for (text, temperature, asks) in [
            (format!("`max_tokens` is too large, {KEY}"), Some(0.5), 1),
            (format!("`temperature` is too odd, {KEY}"), None, 1),
            (format!("`temperature` is too odd, {KEY}"), Some(0.5), 2),
        ] {
            let (address, seen) = serve(vec![refusal(&text)]).await;
            let chat = OpenAiChat::new(endpoint(address, PATIENT));
            let error = chat.generate(&permit(), "m", &asked(temperature), None).await.unwrap_err();
            assert!(matches!(&error, ProviderError::Invalid(_)) && !error.to_string().contains(KEY), "{error}");
            assert_eq!(seen.lock().unwrap().len(), asks, "{text}");
        }
    }
}
