use serde_json::{Value, json};

use super::*;
use crate::capability::model::provider::Provider;
use crate::capability::model::types::{
    Effort, Event, Image, Message, Part, Role, StopReason, Thinking, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::capability::model::wire::http::Endpoint;
use crate::capability::model::wire::stream::ndjson;
use crate::capability::model::wire::testing::{PATIENT, both, embed_permit, pieces, run, serve, streamed};

const TOOLS: &[u8] = include_bytes!("../fixtures/ollama_tools.ndjson");

fn lines() -> Lines {
    Lines::new("asked", Ids::new("t"))
}

fn server(address: std::net::SocketAddr) -> Ollama {
    Ollama::new(Endpoint::new(base_url(&address.to_string()).unwrap(), None, PATIENT))
}

fn ask() -> Request {
    Request { messages: vec![Message::text(Role::User, "hi")], ..Request::default() }
}

#[test]
fn a_recorded_stream_is_understood() {
    let (events, response) = run(ndjson(pieces(TOOLS, &[])), lines()).unwrap();
    let call = |id: &str, city: &str| ToolCall {
        id: id.into(),
        name: "weather".into(),
        input: json!({ "city": city }).to_string(),
        signature: None,
    };
    let (first, second) = (call("call_A", "Zürich"), call("call_t_1", "Oslo"));
    let thinking = Thinking { text: "Two cities.".into(), signature: None };
    let parts = vec![
        Part::Thinking(thinking),
        Part::Text("Ich sehe nach 🌧".into()),
        Part::ToolCall(first.clone()),
        Part::ToolCall(second),
    ];
    assert_eq!(response.message.parts, parts);
    assert_eq!((response.stop_reason, response.model.as_str()), (StopReason::ToolCall, "qwen3:8b"));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (171, 52));
    assert_eq!(events.len(), 3 + 6);
    assert_eq!(events[5], Event::ToolCall(first));
}

#[test]
fn usual_lines_say_the_same_as_trees() {
    let known = ["error", "model", "message", "thinking", "content", "tool_calls", "done", "done_reason", "eval_count"];
    both(&String::from_utf8_lossy(TOOLS), &known, |bytes| run(ndjson(pieces(bytes, &[])), lines()));
}

#[test]
fn pieces_do_not_matter_and_every_cut_is_noticed() {
    let whole = run(ndjson(pieces(TOOLS, &[])), lines());
    let end = TOOLS.len() - 1;
    for cut in 0..=TOOLS.len() {
        assert_eq!(run(ndjson(pieces(TOOLS, &[cut])), lines()), whole, "split at {cut}");
        if cut < end {
            let broken = run(ndjson(pieces(&TOOLS[..cut], &[])), lines());
            assert!(matches!(broken, Err(ProviderError::Garbled(_))), "cut at {cut}: {broken:?}");
        }
    }
}

#[test]
fn requests_are_written_in_the_wires_words() {
    let tool =
        |name: &str| Tool { name: name.into(), description: "d".into(), input_schema: json!({"type": "object"}) };
    let call = ToolCall { id: "c1".into(), name: "a".into(), input: "{\"x\":1}".into(), signature: None };
    let result = ToolResult { id: "c1".into(), content: "no".into(), is_error: true };
    let request = Request {
        messages: vec![
            Message::text(Role::System, "be brief"),
            Message {
                role: Role::User,
                parts: vec![
                    Part::Text("see".into()),
                    Part::Image(Image { media_type: "image/png".into(), data: vec![1, 2, 3] }),
                ],
            },
            Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
        ],
        tools: vec![tool("a"), tool("b")],
        tool_choice: ToolChoice::Named("b".into()),
        output_schema: Some(json!({"type": "object"})),
        max_tokens: Some(64),
        temperature: Some(0.7),
        top_p: Some(0.9),
        stop: vec!["END".into()],
        effort: Some(Effort::Low),
        provider_options: json!({"keep_alive": "5m", "options": {"seed": 7}}).as_object().cloned(),
        ..Request::default()
    };
    let expected = json!({
        "model": "m", "stream": true, "format": {"type": "object"}, "think": true, "keep_alive": "5m",
        "options": {"num_predict": 64, "temperature": 0.7, "top_p": 0.9, "stop": ["END"], "seed": 7},
        "tools": [{"type": "function", "function": {"name": "b", "description": "d", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "see", "images": ["AQID"]},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": {"name": "a", "arguments": {"x": 1}}}]},
            {"role": "tool", "content": "Error: no", "tool_name": "a", "tool_call_id": "c1"},
        ],
    });
    assert_eq!(encode(&request, "m", true).unwrap(), expected);
    assert_eq!(encode(&request, "gpt-oss:20b", true).unwrap()["think"], "low");
    for name in ["model", "messages", "stream", "format", "raw"] {
        let options = json!({ name: 1 }).as_object().cloned();
        let error = encode(&Request { provider_options: options, ..request.clone() }, "m", true).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    for inner in ["num_predict", "temperature"] {
        let options = json!({"options": { inner: 1 }}).as_object().cloned();
        assert!(encode(&Request { provider_options: options, ..request.clone() }, "m", true).is_err(), "{inner}");
    }
}

#[test]
fn a_long_prompt_asks_for_a_context_that_holds_it() {
    let request = |bytes: usize| Request { messages: vec![Message::text(Role::User, "x".repeat(bytes))], ..ask() };
    let context = |request: &Request| encode(request, "m", false).unwrap()["options"]["num_ctx"].clone();
    assert_eq!(context(&request(100)), Value::Null);
    assert_eq!(context(&request(60_000)), 32_768);
    assert_eq!(context(&request(10_000_000)), 131_072);
    let own = json!({"options": {"num_ctx": 9}}).as_object().cloned();
    assert_eq!(context(&Request { provider_options: own, ..request(60_000) }), 9);
}

#[test]
fn strange_answers_are_survived_or_refused() {
    let line = |value: Value| decode(&value, "m", Ids::new("t"));
    let counts = json!({"message": {"content": "x"}, "done": true, "prompt_eval_count": -3, "eval_count": 2});
    assert_eq!(line(counts).unwrap().usage, None);
    let cut = json!({"message": {"content": "x"}, "done": true, "done_reason": "length"});
    assert_eq!(line(cut).unwrap().stop_reason, StopReason::MaxTokens);
    assert!(matches!(
        line(json!({"error": "model runner has unexpectedly stopped"})),
        Err(ProviderError::Failed { .. })
    ));
    let wrong = json!({"message": {"tool_calls": [{"function": {"name": "x", "arguments": "{"}}]}, "done": true});
    let Part::ToolCall(call) = &line(wrong).unwrap().message.parts[0] else { panic!("no call") };
    assert_eq!(call.input, "\"{\"", "a mistake of the model, which it can be told");
    for nonsense in
        [json!(null), json!([]), json!({"done": "true"}), json!({"message": {"tool_calls": [{}]}, "done": true})]
    {
        assert!(matches!(line(nonsense.clone()), Err(ProviderError::Garbled(_))), "{nonsense}");
    }
}

#[test]
fn addresses_are_read_like_ollama_reads_them() {
    for (text, expected) in [
        ("", "http://127.0.0.1:11434/"),
        ("example.test", "http://example.test:11434/"),
        ("example.test:80", "http://example.test/"),
        ("example.test:1234", "http://example.test:1234/"),
        (":56789", "http://127.0.0.1:56789/"),
        ("0.0.0.0", "http://127.0.0.1:11434/"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
        ("::1", "http://[::1]:11434/"),
        ("[::]:99", "http://[::1]:99/"),
        ("http://example.test", "http://example.test/"),
        ("https://example.test/ollama", "https://example.test/ollama"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434/"),
        (" \"http://10.0.0.1:1\" ", "http://10.0.0.1:1/"),
    ] {
        assert_eq!(base_url(text).unwrap().as_str(), expected, "{text}");
    }
    for bad in ["ftp://x", "http://", "a b", "host:port", "x:99999999", "http://[::1"] {
        assert!(base_url(bad).is_err() || bad == "http://", "{bad}");
    }
}

#[tokio::test]
async fn it_talks_to_a_server() {
    let embedded = json!({"model": "e", "embeddings": [[1.0, 0.5], [0.0, -1.0]], "prompt_eval_count": 4});
    let refused = json!({"error": "\"m\" does not support thinking"});
    let answers = [
        (200, embedded.to_string()),
        (200, json!({"models": [{"name": "b"}, {"name": "a"}]}).to_string()),
        (400, refused.to_string()),
    ];
    let mut answers: Vec<_> =
        answers.into_iter().map(|(status, body)| (status, "application/json", body.into_bytes())).collect();
    answers.push((200, "application/x-ndjson", TOOLS.to_vec()));
    let (address, seen) = serve(answers).await;
    let ollama = server(address);
    let vectors = ollama.embed(&embed_permit(), "e", &["x".into(), "y".into()]).await.unwrap();
    assert_eq!(vectors.vectors, [[1.0, 0.5], [0.0, -1.0]]);
    assert_eq!(vectors.usage.unwrap().input_tokens, 4);
    assert_eq!(ollama.list().await.unwrap(), ["a", "b"]);
    // A model that cannot think is asked again without.
    let (result, events) = streamed(&ollama, "m", &Request { effort: Some(Effort::High), ..ask() }).await;
    assert_eq!(result.unwrap().stop_reason, StopReason::ToolCall);
    assert_eq!(events.len(), 9);
    let seen = seen.lock().unwrap();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/api/embed", "/api/tags", "/api/chat", "/api/chat"]);
    assert_eq!((&seen[2].body["think"], seen[3].body.get("think")), (&json!(true), None));
    drop(seen);
    assert!(ollama.features().local);
}
