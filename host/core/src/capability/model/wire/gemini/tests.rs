use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::capability::model::provider::Provider;
use crate::capability::model::types::{Effort, Image, Message, Part, Role, StopReason, ToolCall, ToolResult, Usage};
use crate::capability::model::wire::stream::sse;
use crate::capability::model::wire::test_peer::{KEY, peer, replay, same_at_every_split};
use crate::capability::model::wire::testing::{both, pieces, run};

const TOOLS: &str = include_str!("../fixtures/gemini_tools.sse");

fn machine() -> Candidate {
    Candidate::new("asked", Ids::new("t"))
}

fn ask(messages: Vec<Message>) -> Request {
    Request { messages, max_tokens: Some(4000), ..Request::default() }
}

fn user() -> Request {
    ask(vec![Message::text(Role::User, "Hi")])
}

fn result(id: &str, content: &str, is_error: bool) -> Message {
    let result = ToolResult { id: id.into(), content: content.into(), is_error };
    Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] }
}

#[tokio::test]
async fn a_stream_is_the_same_at_every_split() {
    let (response, _) = same_at_every_split(TOOLS, machine).await;
    assert_eq!(response.stop_reason, StopReason::ToolCall);
    assert_eq!(response.model, "gemini-3-flash");
    let usage = Usage {
        input_tokens: 120,
        cached_input_tokens: 64,
        output_tokens: 48,
        reasoning_tokens: 30,
        ..Usage::default()
    };
    assert_eq!(response.usage, Some(usage));
    let calls: Vec<&ToolCall> = response
        .message
        .parts
        .iter()
        .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
        .collect();
    assert_eq!((calls[0].id.as_str(), calls[0].input.as_str()), ("fc_1", r#"{"city":"München"}"#));
    let second = calls[1].id.clone();
    // The conversation goes on: signatures and names come back, both results in one turn.
    let messages = vec![response.message, result("fc_1", r#"{"sun":1}"#, false), result(&second, "no", true)];
    let body = encode(&ask(messages), "gemini-3-flash", true).unwrap();
    let call = body["contents"][0]["parts"].as_array().unwrap().iter().find(|part| part["functionCall"].is_object());
    assert_eq!(call.unwrap()["thoughtSignature"], "CiQBVKhc7g==");
    let turns = body["contents"].as_array().unwrap();
    assert_eq!(turns.len(), 2);
    let first = &turns[1]["parts"][0]["functionResponse"];
    assert_eq!(*first, json!({ "id": "fc_1", "name": "weather", "response": { "sun": 1 } }));
    let other = &turns[1]["parts"][1]["functionResponse"];
    assert_eq!(*other, json!({ "id": second, "name": "time", "response": { "error": "no" } }));
}

#[test]
fn usual_chunks_say_the_same_as_trees() {
    let known = [
        "error",
        "modelVersion",
        "usageMetadata",
        "promptFeedback",
        "candidates",
        "index",
        "content",
        "parts",
        "finishReason",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "promptTokenCount",
        "candidatesTokenCount",
    ];
    both(TOOLS, &known, |bytes| run(sse(pieces(bytes, &[])), machine()));
}

#[tokio::test]
async fn a_stream_without_its_finish_reason_is_garbled() {
    let end = TOOLS.rfind("data:").unwrap();
    for at in (0..end).filter(|at| TOOLS.is_char_boundary(*at)) {
        let cut = vec![Bytes::copy_from_slice(&TOOLS.as_bytes()[..at])];
        assert!(matches!(replay(cut, machine()).await, Err(ProviderError::Garbled(_))), "cut at {at}");
    }
    let error = r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    let text = format!("{}data: {error}\n\n", &TOOLS[..end]);
    let failed = replay(vec![text.into()], machine()).await.unwrap_err();
    assert!(matches!(failed, ProviderError::Server { status: 503, .. }), "{failed:?}");
}

#[test]
fn refusals_and_failures() {
    let blocked = json!({ "promptFeedback": { "blockReason": "SAFETY" }, "usageMetadata": { "promptTokenCount": 5 } });
    let response = decode(&blocked, "m", Ids::new("t")).unwrap();
    assert_eq!(response.stop_reason, StopReason::Refused);
    assert_eq!(response.usage.unwrap().input_tokens, 5);
    let with = |reason: &str| decode(&json!({ "candidates": [{ "finishReason": reason }] }), "m", Ids::new("t"));
    for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT"] {
        assert_eq!(with(reason).unwrap().stop_reason, StopReason::Refused);
    }
    let wrong = json!({ "functionCall": { "name": "x", "args": [1] } });
    let wrong = json!({ "candidates": [{ "finishReason": "STOP", "content": { "parts": [wrong] } }] });
    let response = decode(&wrong, "m", Ids::new("t")).unwrap();
    let Part::ToolCall(call) = &response.message.parts[0] else { panic!("{response:?}") };
    assert_eq!(call.input, "[1]", "a mistake of the model, which it can be told");
    assert_eq!(with("MAX_TOKENS").unwrap().stop_reason, StopReason::MaxTokens);
    assert!(matches!(with("MALFORMED_FUNCTION_CALL"), Err(ProviderError::Garbled(_))));
}

#[test]
fn nonsense_is_no_usage() {
    for nonsense in [json!(-1), json!(1.5), json!("7"), json!(u64::MAX)] {
        for field in ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"] {
            let mut answer = json!({
                "candidates": [{ "finishReason": "STOP" }],
                "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1 },
            });
            answer["usageMetadata"][field] = nonsense.clone();
            assert_eq!(decode(&answer, "m", Ids::new("t")).unwrap().usage, None, "{field} {nonsense}");
        }
    }
}

#[test]
fn bodies() {
    let image = Part::Image(Image { media_type: "image/png".into(), data: vec![1, 2, 3] });
    let mut request =
        ask(vec![Message::text(Role::System, "Be short."), Message { role: Role::User, parts: vec![image] }]);
    request.output_schema = Some(json!({ "type": "object" }));
    request.effort = Some(Effort::High);
    let body = encode(&request, "gemini-2.5-flash", false).unwrap();
    assert_eq!(body["systemInstruction"], json!({ "parts": [{ "text": "Be short." }] }));
    assert_eq!(body["contents"][0]["parts"][0], json!({ "inlineData": { "mimeType": "image/png", "data": "AQID" } }));
    let config = &body["generationConfig"];
    assert_eq!(config["responseJsonSchema"], json!({ "type": "object" }));
    assert_eq!(config["thinkingConfig"]["thinkingBudget"], 3000);
    let body = encode(&request, "models/gemini-3-pro", false).unwrap();
    assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingLevel"], "high");
}

#[test]
fn options_never_override_the_host() {
    let with = |options: Value| {
        let options = options.as_object().cloned();
        encode(&Request { provider_options: options, ..user() }, "gemini-2.5-pro", false)
    };
    for name in ["contents", "tools", "systemInstruction", "system_instruction", "cachedContent", "generation_config"] {
        assert!(matches!(with(json!({ name: 1 })), Err(ProviderError::Invalid(text)) if text.contains(name)), "{name}");
    }
    for name in ["maxOutputTokens", "max_output_tokens", "candidateCount"] {
        let options = json!({ "generationConfig": { name: 1 } });
        assert!(matches!(with(options), Err(ProviderError::Invalid(text)) if text.contains(name)), "{name}");
    }
    let body = with(json!({ "generationConfig": { "topK": 4 }, "safetySettings": [] })).unwrap();
    assert_eq!(body["generationConfig"]["topK"], 4);
}

#[tokio::test]
async fn a_hostile_model_name_stays_in_its_segment() {
    let (endpoint, seen) = peer(200, "application/json", "{}").await;
    let provider = Gemini::new(endpoint);
    for name in ["../../evil", "a/b:delete", "a?key=1", "a#b", "%2e%2e", "a\\..\\b", "..%2f"] {
        let _ = provider.attempt(name, &user(), None).await;
        let (path, _, _) = seen.lock().unwrap().remove(0);
        let segment = path.strip_prefix("/v1/models/").and_then(|rest| rest.strip_suffix(":generateContent"));
        assert!(segment.is_some_and(|name| !name.contains(['/', '?', '#', ':', '\\'])), "{name} became {path}");
    }
    for name in ["", ".", "..", "models/.."] {
        assert!(matches!(provider.attempt(name, &user(), None).await, Err(ProviderError::UnknownModel(_))));
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn over_http() {
    let (endpoint, seen) = peer(200, "text/event-stream", TOOLS).await;
    let (sender, _receiver) = Events::new(100);
    let response = Gemini::new(endpoint).attempt("gemini-3-flash", &user(), Some(&sender)).await.unwrap();
    assert_eq!(response.stop_reason, StopReason::ToolCall);
    let (path, headers, _) = seen.lock().unwrap().remove(0);
    assert_eq!(path, "/v1/models/gemini-3-flash:streamGenerateContent?alt=sse");
    assert_eq!(headers["x-goog-api-key"], KEY);
    let vectors = json!({ "embeddings": [{ "values": [1.0, 2.0] }, { "values": [3.0, 4.0] }] });
    let (endpoint, seen) = peer(200, "application/json", vectors.to_string()).await;
    let found = Gemini::new(endpoint).vectors("e", &["a".into(), "b".into()]).await.unwrap();
    assert_eq!(found.vectors, [[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(seen.lock().unwrap()[0].2["requests"][1]["content"]["parts"][0]["text"], "b");
    let (endpoint, _) = peer(200, "application/json", r#"{"models":[{"name":"models/gemini-3-flash"}]}"#).await;
    assert_eq!(Gemini::new(endpoint).list().await.unwrap(), ["gemini-3-flash"]);
    let echo = json!([{ "error": { "code": 400, "message": format!("API key not valid: {KEY}") } }]);
    let (endpoint, _) = peer(400, "application/json", echo.to_string()).await;
    let error = Gemini::new(endpoint).attempt("m", &user(), None).await.unwrap_err();
    assert!(matches!(error, ProviderError::Key { .. }) && !format!("{error:?}").contains(KEY), "{error:?}");
}
