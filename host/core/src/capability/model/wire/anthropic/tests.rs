use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::capability::model::provider::Provider;
use crate::capability::model::types::{
    Effort, Event, Image, Message, Part, Role, StopReason, Thinking, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::capability::model::wire::stream::sse;
use crate::capability::model::wire::test_peer::{KEY, peer, replay, same_at_every_split};
use crate::capability::model::wire::testing::{both, pieces, run};

const TOOLS: &str = include_str!("../fixtures/anthropic_tools.sse");

fn machine() -> Messages {
    Messages::new("asked", Ids::new("t"))
}

fn ask(messages: Vec<Message>) -> Request {
    Request { messages, max_tokens: Some(4000), ..Request::default() }
}

fn user() -> Request {
    ask(vec![Message::text(Role::User, "Hi")])
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), input: "{}".into(), signature: None })
}

fn result(id: &str) -> Message {
    let result = ToolResult { id: id.into(), content: "ok".into(), is_error: false };
    Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] }
}

#[tokio::test]
async fn a_stream_is_the_same_at_every_split() {
    let (response, events) = same_at_every_split(TOOLS, machine).await;
    assert_eq!(response.stop_reason, StopReason::ToolCall);
    assert_eq!(response.model, "claude-sonnet-4-6");
    assert_eq!(response.message.joined_text(), "I look ☀️ up.");
    let usage = Usage {
        input_tokens: 2112,
        cached_input_tokens: 2000,
        cache_write_tokens: 100,
        output_tokens: 89,
        reasoning_tokens: 40,
        micro_dollars: None,
    };
    assert_eq!(response.usage, Some(usage));
    let calls: Vec<_> = events.iter().filter(|event| matches!(event, Event::ToolCall(_))).collect();
    assert_eq!(calls.len(), 2);
    assert!(
        matches!(calls[0], Event::ToolCall(call) if call.input == r#"{"city": "München"}"# && call.id == "toolu_01")
    );
    assert!(matches!(calls[1], Event::ToolCall(call) if call.input == "{}"));
    // Thinking goes back as it came.
    let body = encode(&ask(vec![response.message]), "claude-sonnet-4-6", false).unwrap();
    let content = &body["messages"][0]["content"];
    assert_eq!(
        content[0],
        json!({"type": "thinking", "thinking": "Zwei Städte – two calls.", "signature": "EqQBCgIYAhIM1g=="})
    );
    assert_eq!(content[1], json!({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3p"}));
    assert_eq!(content[3]["input"], json!({"city": "München"}));
}

#[test]
fn usual_events_say_the_same_as_trees() {
    let known = ["type", "index", "delta", "error", "text", "thinking", "signature", "partial_json", "content_block"];
    both(TOOLS, &known, |bytes| run(sse(pieces(bytes, &[])), machine()));
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_garbled() {
    let end = TOOLS.find("event: message_stop").unwrap();
    for at in (0..end).filter(|at| TOOLS.is_char_boundary(*at)) {
        let cut = vec![Bytes::copy_from_slice(&TOOLS.as_bytes()[..at])];
        assert!(matches!(replay(cut, machine()).await, Err(ProviderError::Garbled(_))), "cut at {at}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_for_the_model_to_correct() {
    let wrong = TOOLS.replacen("chen\\\"}", "chen", 1);
    assert_ne!(wrong, TOOLS);
    let (response, events) = same_at_every_split(&wrong, machine).await;
    let written = Value::from("{\"city\": \"München").to_string();
    let is_it = |call: &ToolCall| call.id == "toolu_01" && call.input == written;
    assert!(events.iter().any(|event| matches!(event, Event::ToolCall(call) if is_it(call))), "{events:?}");
    assert!(response.message.parts.iter().any(|part| matches!(part, Part::ToolCall(call) if is_it(call))));
    assert_eq!(response.stop_reason, StopReason::ToolCall);
}

#[tokio::test]
async fn errors_and_garbage_inside_of_a_stream() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let middle = TOOLS.find("event: content_block_stop").unwrap();
    let text = format!("{}event: error\ndata: {error}\n\n", &TOOLS[..middle]);
    let failed = replay(vec![text.into()], machine()).await.unwrap_err();
    assert!(matches!(failed, ProviderError::Failed { billed: false, .. }), "{failed:?}");
    for garbage in
        ["data: {]\n\n", "data: {\"type\":\"content_block_delta\",\"index\":9,\"delta\":{}}\n\n", "<html>\n\n"]
    {
        let failed = replay(vec![garbage.into()], machine()).await.unwrap_err();
        assert!(matches!(failed, ProviderError::Garbled(_)), "{garbage}: {failed:?}");
    }
}

#[test]
fn nonsense_is_no_usage() {
    for nonsense in [json!(-1), json!(1.5), json!("7"), json!(u64::MAX), Value::Null] {
        let answer = json!({
            "content": [], "stop_reason": "end_turn", "usage": { "input_tokens": nonsense, "output_tokens": 3 },
        });
        assert_eq!(decode(&answer, "m", Ids::new("t")).unwrap().usage, None, "{nonsense}");
    }
}

#[test]
fn stop_reasons() {
    for (word, reason) in [
        ("end_turn", StopReason::End),
        ("max_tokens", StopReason::MaxTokens),
        ("pause_turn", StopReason::MaxTokens),
        ("stop_sequence", StopReason::StopSequence),
        ("refusal", StopReason::Refused),
    ] {
        let answer = json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": word });
        assert_eq!(decode(&answer, "m", Ids::new("t")).unwrap().stop_reason, reason, "{word}");
    }
    assert!(decode(&json!({ "content": [] }), "m", Ids::new("t")).is_err());
}

#[test]
fn results_of_parallel_calls_share_a_turn() {
    let calls = Message { role: Role::Assistant, parts: vec![call("a"), call("b:1")] };
    let more = Message::text(Role::User, "go on");
    let body = encode(&ask(vec![calls, result("a"), result("b:1"), more]), "claude-opus-4-6", false).unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    let content = &body["messages"][1]["content"];
    assert_eq!(content[0]["tool_use_id"], "a");
    assert_eq!(content[1]["tool_use_id"], body["messages"][0]["content"][1]["id"]);
    assert_eq!(content[2]["text"], "go on");
}

#[test]
fn system_images_cache_and_foreign_thinking() {
    let image = Part::Image(Image { media_type: "image/png".into(), data: vec![1, 2, 3] });
    let foreign = Thinking { text: "x".into(), signature: Some("chat:reasoning".into()) };
    let mut request = ask(vec![
        Message::text(Role::System, "Be short."),
        Message { role: Role::User, parts: vec![Part::Text("See".into()), image] },
        Message { role: Role::Assistant, parts: vec![Part::Thinking(foreign), Part::Text("yes".into())] },
    ]);
    request.cache_until = Some(1);
    let body = encode(&request, "claude-opus-4-6", true).unwrap();
    assert_eq!(body["system"], json!([{ "type": "text", "text": "Be short." }]));
    let image = &body["messages"][0]["content"][1];
    assert_eq!(image["source"], json!({ "type": "base64", "media_type": "image/png", "data": "AQID" }));
    assert_eq!(image["cache_control"], json!({ "type": "ephemeral" }));
    assert_eq!(body["messages"][1]["content"], json!([{ "type": "text", "text": "yes" }]));
    request.cache_until = Some(0);
    let body = encode(&request, "claude-opus-4-6", true).unwrap();
    assert_eq!(body["system"][0]["cache_control"], json!({ "type": "ephemeral" }));
}

#[test]
fn thinking_stays_below_the_limit() {
    let mut request = Request { effort: Some(Effort::High), ..user() };
    for max in [1, 1024, 1365, 1366, 4000, 100_000] {
        request.max_tokens = Some(max);
        let body = encode(&request, "claude-sonnet-4-5", false).unwrap();
        assert_eq!(body["max_tokens"], max);
        if let Some(budget) = body["thinking"]["budget_tokens"].as_u64() {
            assert!((1024..u64::from(max)).contains(&budget), "{budget} of {max}");
        }
    }
    let body = encode(&request, "claude-opus-4-7", false).unwrap();
    assert_eq!(body["thinking"]["type"], "adaptive");
    assert_eq!(body["output_config"]["effort"], "high");
    request.tools = vec![Tool { name: "f".into(), description: String::new(), input_schema: json!({}) }];
    request.tool_choice = ToolChoice::Named("f".into());
    let body = encode(&request, "claude-opus-4-7", false).unwrap();
    assert_eq!(body["thinking"], Value::Null);
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "f" }));
}

#[test]
fn what_a_model_refuses_is_left_out() {
    let request = Request { temperature: Some(0.0), top_p: Some(0.9), ..user() };
    let of = |model: &str| {
        let body = encode(&request, model, false).unwrap();
        (body.get("temperature").is_some(), body.get("top_p").is_some())
    };
    for model in ["claude-opus-4-7", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-1"] {
        assert_eq!(of(model), (false, false), "{model}");
    }
    for model in ["claude-opus-4-6", "claude-sonnet-4-5-20250929", "claude-haiku-4-5"] {
        assert_eq!(of(model), (true, false), "{model} takes one of the two");
    }
    assert_eq!(of("claude-3-5-haiku-20241022"), (true, true));
    assert_eq!(of("another-makers-model"), (true, true));
    // What is not sent does not keep it from thinking.
    let body = encode(&Request { effort: Some(Effort::High), ..request.clone() }, "claude-opus-5-5", false).unwrap();
    assert_eq!(body["thinking"]["type"], "adaptive");
    let body = encode(&Request { effort: Some(Effort::High), ..request }, "claude-opus-4-6", false).unwrap();
    assert_eq!(body["thinking"], Value::Null);
}

#[test]
fn schemas_are_closed_or_said_in_words() {
    let number = json!({ "type": "integer", "minimum": 1 });
    let schema = json!({ "type": "object", "properties": { "n": number }, "required": ["n"] });
    let body = encode(&Request { output_schema: Some(schema), ..user() }, "claude-opus-4-6", false).unwrap();
    let format = &body["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["schema"]["additionalProperties"], false);
    assert_eq!(format["schema"]["properties"]["n"], json!({ "type": "integer" }));
    let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let body = encode(&Request { output_schema: Some(map), ..user() }, "claude-opus-4-6", false).unwrap();
    assert_eq!(body["output_config"], Value::Null);
    assert!(body["system"][0]["text"].as_str().unwrap().contains("additionalProperties"));
}

#[test]
fn options_never_override_the_host() {
    let with = |name: &str| {
        let options = serde_json::Map::from_iter([(name.to_owned(), json!(1))]);
        encode(&Request { provider_options: Some(options), ..user() }, "claude-opus-4-6", false)
    };
    for name in ["model", "messages", "system", "stream", "max_tokens", "tools", "thinking", "mcp_servers"] {
        assert!(matches!(with(name), Err(ProviderError::Invalid(text)) if text.contains(name)), "{name}");
    }
    assert_eq!(with("top_k").unwrap()["top_k"], 1);
}

#[tokio::test]
async fn over_http_streamed() {
    let (endpoint, seen) = peer(200, "text/event-stream", TOOLS).await;
    let (sender, mut receiver) = Events::new(100);
    let provider = Anthropic::new(endpoint).unwrap();
    let response = provider.attempt("claude-sonnet-4-6", &user(), Some(&sender)).await.unwrap();
    assert_eq!(response.stop_reason, StopReason::ToolCall);
    assert!(matches!(receiver.try_recv(), Ok(Event::Thinking(_))));
    let (path, headers, body) = seen.lock().unwrap().remove(0);
    assert_eq!(path, "/v1/messages");
    assert_eq!(headers["x-api-key"], KEY);
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    assert!(!headers.contains_key("authorization"));
    assert_eq!(body["stream"], true);
}

#[tokio::test]
async fn over_http_whole_and_listed() {
    let answer = json!({
        "type": "message", "model": "claude-x", "content": [{ "type": "text", "text": "Hello" }],
        "stop_reason": "end_turn", "usage": { "input_tokens": 2, "output_tokens": 3 },
    });
    let (endpoint, _) = peer(200, "application/json", answer.to_string()).await;
    let response = Anthropic::new(endpoint).unwrap().attempt("claude-x", &user(), None).await.unwrap();
    assert_eq!(response.message, Message::text(Role::Assistant, "Hello"));
    let list = json!({ "data": [{ "type": "model", "id": "b" }, { "id": "a" }], "has_more": false });
    let (endpoint, _) = peer(200, "application/json", list.to_string()).await;
    assert_eq!(Anthropic::new(endpoint).unwrap().list().await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn refusals_over_http() {
    async fn refused(status: u16, kind: &'static str, body: String) -> ProviderError {
        let provider = Anthropic::new(peer(status, kind, body).await.0).unwrap();
        provider.attempt("claude-x", &user(), None).await.unwrap_err()
    }
    let echo = json!({ "type": "error", "error": { "type": "authentication_error", "message": format!("bad {KEY}") } });
    let error = refused(401, "application/json", echo.to_string()).await;
    assert!(matches!(error, ProviderError::Key { status: Some(401), .. }));
    assert!(!format!("{error} {error:?}").contains(KEY));
    let error = refused(500, "text/html", "<html><h1>no</h1></html>".into()).await;
    assert!(matches!(error, ProviderError::Server { status: 500, .. }) && !error.to_string().contains("<h1>"));
    let busy = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let error = refused(529, "application/json", busy.to_string()).await;
    assert!(matches!(error, ProviderError::Server { status: 529, .. }));
}
