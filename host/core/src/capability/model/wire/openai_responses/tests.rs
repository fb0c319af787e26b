use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::capability::model::provider::Provider;
use crate::capability::model::types::{
    Effort, Event, Image, Message, Part, Role, StopReason, Thinking, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::capability::model::wire::stream::sse;
use crate::capability::model::wire::testing::{
    HEAD, PATIENT, both, embed_permit, endpoint, permit, pieces, raw_bytes, run, serve, streamed,
};

const TOOLS: &[u8] = include_bytes!("../fixtures/responses_tools.sse");

type Outcome = Result<(Vec<Event>, Response), ProviderError>;

fn read(bytes: &[u8], cuts: &[usize]) -> Outcome {
    run(sse(pieces(bytes, cuts)), Items::new("asked", Ids::new("t"), &[]))
}

fn stream(list: &[Value]) -> Outcome {
    let lines: String = list.iter().map(|event| format!("data: {event}\n\n")).collect();
    read(lines.as_bytes(), &[])
}

fn whole(answer: Value) -> Result<Response, ProviderError> {
    decode(&answer, "asked", Ids::new("t"))
}

fn call(id: &str, input: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "weather".into(), input: input.into(), signature: None }
}

fn text_item(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn user(text: &str) -> Request {
    Request { messages: vec![Message::text(Role::User, text)], ..Request::default() }
}

#[test]
fn usual_events_say_the_same_as_trees() {
    let known = ["type", "output_index", "delta", "item", "response", "error", "output", "status", "call_id"];
    both(&String::from_utf8_lossy(TOOLS), &known, |bytes| read(bytes, &[]));
    both(&String::from_utf8_lossy(TOOLS), &known, |bytes| {
        run(sse(pieces(bytes, &[])), Items::new("asked", Ids::new("t"), &["nach".to_owned()]))
    });
}

#[test]
fn a_recorded_stream_is_understood() {
    let (events, response) = read(TOOLS, &[]).unwrap();
    let (first, second) = (call("call_A", "{\"city\":\"Zürich\"}"), call("call_B", "{\"city\":\"Oslo\"}"));
    let [Part::Thinking(thinking), rest @ ..] = response.message.parts.as_slice() else { panic!("{response:?}") };
    assert_eq!(thinking.text, "**Looking** up\n\nTwo cities");
    let text = Part::Text("Ich sehe nach 🌧".into());
    assert_eq!(rest, [text, Part::ToolCall(first.clone()), Part::ToolCall(second.clone())]);
    assert_eq!((response.stop_reason, response.model.as_str()), (StopReason::ToolCall, "gpt-5.2-2025-12-11"));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (1117, 1024));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (52, 10));

    let start = |id: &str| Event::ToolCallStart { id: id.into(), name: "weather".into() };
    let piece = |id: &str, input: &str| Event::ToolCallDelta { id: id.into(), input: input.into() };
    let expected = [
        Event::Thinking("**Looking** up".into()),
        Event::Thinking("\n\n".into()),
        Event::Thinking("Two cities".into()),
        Event::Text("Ich sehe ".into()),
        Event::Text("nach 🌧".into()),
        start("call_A"),
        piece("call_A", "{\"city\":"),
        start("call_B"),
        piece("call_B", "{\"city\":\"Oslo\"}"),
        piece("call_A", "\"Zürich\"}"),
        Event::ToolCall(first),
        Event::ToolCall(second),
    ];
    assert_eq!(events, expected);
}

#[test]
fn reasoning_goes_back_as_it_came() {
    let (_, response) = read(TOOLS, &[]).unwrap();
    let result = ToolResult { id: "call_A".into(), content: "rain".into(), is_error: false };
    let mut request = user("?");
    request.messages.push(response.message);
    request.messages.push(Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] });
    let body = encode(&request, "gpt-5", true, true).unwrap();
    let expected = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAAwhole==", "summary": [
            {"type": "summary_text", "text": "**Looking** up"}, {"type": "summary_text", "text": "Two cities"},
        ]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ich sehe nach 🌧"}]},
        {"type": "function_call", "call_id": "call_A", "name": "weather", "arguments": "{\"city\":\"Zürich\"}"},
        {"type": "function_call", "call_id": "call_B", "name": "weather", "arguments": "{\"city\":\"Oslo\"}"},
        {"type": "function_call_output", "call_id": "call_A", "output": "rain"},
    ]);
    assert_eq!(body["input"], expected);
    assert_eq!((&body["store"], &body["include"]), (&json!(false), &json!(["reasoning.encrypted_content"])));
    // Another provider's proof is not sent to this one.
    let foreign = Thinking { text: "x".into(), signature: Some("chat:reasoning".into()) };
    request.messages[1] =
        Message { role: Role::Assistant, parts: vec![Part::Thinking(foreign), Part::Text("a".into())] };
    assert_eq!(encode(&request, "gpt-5", true, true).unwrap()["input"][1]["type"], "message");
}

#[test]
fn pieces_do_not_matter_and_every_cut_is_noticed() {
    let expected = read(TOOLS, &[]);
    let last = String::from_utf8_lossy(TOOLS).find("event: response.completed").unwrap();
    let end = TOOLS.len() - 2;
    for cut in (0..=TOOLS.len()).step_by(3).chain(last - 10..=TOOLS.len()) {
        assert_eq!(read(TOOLS, &[cut]), expected, "split at {cut}");
        if cut < end {
            let broken = read(&TOOLS[..cut], &[]);
            assert!(matches!(broken, Err(ProviderError::Garbled(_))), "cut at {cut}: {broken:?}");
        }
    }
    assert_eq!(read(TOOLS, &Vec::from_iter(1..TOOLS.len())), expected, "one byte at a time");
}

proptest! {
    #[test]
    fn any_pieces_do_not_matter(cuts in proptest::collection::vec(0..TOOLS.len(), 0..40)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(read(TOOLS, &cuts), read(TOOLS, &[]));
    }

    #[test]
    fn damage_is_survived(at in 0..TOOLS.len(), byte: u8, length in 1..40_usize) {
        let mut bytes = TOOLS.to_vec();
        let end = (at + length).min(bytes.len());
        bytes[at..end].fill(byte);
        let _ = read(&bytes, &[]);
    }
}

#[test]
fn a_whole_answer_is_the_same_as_a_streamed_one() {
    let text = String::from_utf8_lossy(TOOLS);
    let last = text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    let last: Value = serde_json::from_str(&last[6..]).unwrap();
    assert_eq!(whole(last["response"].clone()).unwrap(), read(TOOLS, &[]).unwrap().1);
}

#[test]
fn a_stream_whose_end_lacks_the_items_or_ids_is_understood() {
    let item = json!({"type": "function_call", "name": "weather", "arguments": ""});
    let (events, response) = stream(&[
        json!({"type": "response.output_item.done", "output_index": 0, "item": text_item("a")}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": item}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
    ])
    .unwrap();
    assert_eq!(response.message.parts, [Part::Text("a".into()), Part::ToolCall(call("call_t_0", "{}"))]);
    assert_eq!(events.last(), Some(&Event::ToolCall(call("call_t_0", "{}"))));
    // A call that only the end tells of is an event too.
    let (events, _) =
        stream(&[json!({"type": "response.completed", "response": {"status": "completed", "output": [item]}})])
            .unwrap();
    assert_eq!(events, [Event::ToolCall(call("call_t_0", "{}"))]);
}

#[test]
fn items_take_no_more_memory_together_than_one_answer_may() {
    let item = |at: u64| {
        // Less than a megabyte of text, and a hundred times as much in memory.
        let small = format!("[{}0]", r#"{"":0},"#.repeat(100_000));
        let item = format!(r#"{{"type":"message","x":{small}}}"#);
        format!("data: {{\"type\":\"response.output_item.done\",\"output_index\":{at},\"item\":{item}}}\n\n")
    };
    let end = json!({"type": "response.completed", "response": {"status": "completed", "output": [text_item("a")]}});
    let stream = |items: u64| {
        let items: String = (0..items).map(item).collect();
        read(format!("{items}data: {end}\n\n").as_bytes(), &[])
    };
    assert_eq!(stream(1).unwrap().1.message.joined_text(), "a");
    let error = stream(2).unwrap_err().to_string();
    assert!(error.contains("so many small parts"), "{error}");
}

#[test]
fn endings_are_told_apart() {
    let ending = |answer: Value| whole(answer).unwrap().stop_reason;
    let incomplete = |reason: &str| json!({"status": "incomplete", "incomplete_details": {"reason": reason}, "output": [text_item("a")]});
    assert_eq!(ending(json!({"status": "completed", "output": [text_item("a")]})), StopReason::End);
    assert_eq!(ending(incomplete("max_output_tokens")), StopReason::MaxTokens);
    assert_eq!(ending(incomplete("content_filter")), StopReason::Refused);
    let refusal = json!({"type": "message", "content": [{"type": "refusal", "refusal": "I will not"}]});
    let response = whole(json!({"status": "completed", "output": [refusal]})).unwrap();
    assert_eq!((response.stop_reason, response.message.joined_text().as_str()), (StopReason::Refused, "I will not"));
    let cut =
        json!({"type": "function_call", "call_id": "a", "name": "x", "arguments": "{\"n\":", "status": "incomplete"});
    let mut answer = incomplete("max_output_tokens");
    answer["output"] = json!([text_item("a"), cut]);
    assert_eq!(whole(answer).unwrap().message.parts, [Part::Text("a".into())]);
}

#[test]
fn arguments_that_are_no_json_are_for_the_model_to_correct() {
    let wrong =
        json!({"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{", "status": "completed"});
    let answer = json!({"status": "completed", "output": [wrong]});
    let expected = [Part::ToolCall(call("a", "\"{\""))];
    assert_eq!(whole(answer.clone()).unwrap().message.parts, expected);
    let item = json!({"type": "response.output_item.done", "output_index": 0, "item": wrong});
    let (_, response) = stream(&[item, json!({"type": "response.completed", "response": answer})]).unwrap();
    assert_eq!(response.message.parts, expected);
}

#[test]
fn failures_are_known_wherever_they_stand() {
    let failed = json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}});
    assert!(matches!(whole(failed.clone()), Err(ProviderError::RateLimited { .. })));
    let inside = stream(&[json!({"type": "response.failed", "response": failed})]);
    assert!(matches!(inside, Err(ProviderError::RateLimited { .. })), "{inside:?}");
    let event = stream(&[json!({"type": "error", "code": "context_length_exceeded", "message": "long"})]);
    assert!(matches!(event, Err(ProviderError::TooLong(_))), "{event:?}");
    let bare = stream(&[json!({"error": {"message": "x", "type": "server_error"}})]);
    assert!(matches!(bare, Err(ProviderError::Failed { .. })), "{bare:?}");
    assert!(matches!(whole(json!({"status": "cancelled"})), Err(ProviderError::Failed { billed: true, .. })));
    for nonsense in [json!(null), json!([]), json!({}), json!({"status": "in_progress", "output": []})] {
        assert!(matches!(whole(nonsense.clone()), Err(ProviderError::Garbled(_))), "{nonsense}");
    }
    for nonsense in [json!(null), json!({"type": "response.output_item.done"}), json!({"type": "response.completed"})] {
        assert!(matches!(stream(std::slice::from_ref(&nonsense)), Err(ProviderError::Garbled(_))), "{nonsense}");
    }
}

#[test]
fn requests_are_written_in_the_wires_words() {
    let image = Image { media_type: "image/png".into(), data: vec![1, 2, 3] };
    let request = Request {
        messages: vec![
            Message::text(Role::System, "be brief"),
            Message { role: Role::User, parts: vec![Part::Text("see".into()), Part::Image(image)] },
        ],
        tools: vec![Tool { name: "x".into(), description: "d".into(), input_schema: json!({"type": "object"}) }],
        tool_choice: ToolChoice::Named("x".into()),
        output_schema: Some(json!({"type": "object"})),
        max_tokens: Some(64),
        temperature: Some(0.7),
        top_p: Some(0.9),
        effort: Some(Effort::Low),
        cache_until: Some(0),
        provider_options: json!({"metadata": {"a": "b"}}).as_object().cloned(),
        ..Request::default()
    };
    let expected = json!({
        "model": "m", "stream": true, "store": false, "metadata": {"a": "b"},
        "max_output_tokens": 64, "temperature": 0.7, "top_p": 0.9, "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "x", "description": "d", "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": {"type": "function", "name": "x"},
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": false}},
        "input": [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "be brief"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AQID"},
            ]},
        ],
    });
    assert_eq!(encode(&request, "m", true, false).unwrap(), expected);
    let openai = encode(&request, "gpt-4o", false, true).unwrap();
    assert_eq!((openai.get("include"), openai.get("reasoning")), (None, None));
    assert_eq!(openai["temperature"], 0.7);
    let thinks =
        encode(&Request { effort: Some(Effort::None), ..request.clone() }, "gpt-6.1-sol", false, true).unwrap();
    assert_eq!((thinks.get("temperature"), thinks.get("top_p")), (None, None));
    assert_eq!(thinks["reasoning"], json!({"effort": "low"}));
    assert_eq!(openai["prompt_cache_key"].as_str().map(str::len), Some(32));
    for name in
        ["model", "input", "instructions", "previous_response_id", "store", "background", "text", "max_output_tokens"]
    {
        let options = json!({ name: 1 }).as_object().cloned();
        let result = encode(&Request { provider_options: options, ..user("a") }, "m", true, true);
        assert!(matches!(&result, Err(ProviderError::Invalid(text)) if text.contains(name)), "{name}: {result:?}");
    }
}

#[tokio::test]
async fn it_talks_to_a_server_streamed_and_whole() {
    let answer = json!({"status": "completed", "model": "m", "output": [text_item("hello")]});
    let embedded = json!({"data": [{"embedding": [1.0]}]});
    let (address, seen) = serve(vec![
        (200, "text/event-stream", TOOLS.to_vec()),
        (200, "application/json", answer.to_string().into_bytes()),
        (200, "application/json", embedded.to_string().into_bytes()),
        (200, "application/json", json!({"data": [{"id": "a"}]}).to_string().into_bytes()),
    ])
    .await;
    let provider = OpenAiResponses::new(endpoint(address, PATIENT));
    let (result, events) = streamed(&provider, "gpt", &user("a")).await;
    assert_eq!((result.unwrap().stop_reason, events.len()), (StopReason::ToolCall, 12));
    let response = provider.generate(&permit(), "gpt", &user("a"), None).await.unwrap();
    assert_eq!(response.message, Message::text(Role::Assistant, "hello"));
    assert_eq!(provider.embed(&embed_permit(), "e", &["a".into()]).await.unwrap().vectors, [[1.0]]);
    assert_eq!(provider.list().await.unwrap(), ["a"]);
    let paths: Vec<String> = seen.lock().unwrap().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(paths, ["/v1/responses", "/v1/responses", "/v1/embeddings", "/v1/models"]);
}

#[tokio::test]
async fn a_stream_that_is_cut_gives_what_came_and_an_error() {
    let cut = String::from_utf8_lossy(TOOLS).find("event: response.output_text.done").unwrap();
    let bytes = [HEAD.as_bytes(), &TOOLS[..cut]].concat();
    let provider = OpenAiResponses::new(endpoint(raw_bytes(bytes).await, PATIENT));
    let (result, events) = streamed(&provider, "m", &user("a")).await;
    assert!(matches!(result, Err(ProviderError::Garbled(_))), "{result:?}");
    assert_eq!(events.len(), 5);
}

#[test]
fn stop_sequences_are_met_here_in_any_pieces() {
    let said = "eins zwei END drei";
    let run_with = |stop: &str, size: usize| {
        let chars: Vec<char> = said.chars().collect();
        let deltas = chars.chunks(size).map(|piece| {
            json!({"type": "response.output_text.delta", "output_index": 0, "delta": piece.iter().collect::<String>()})
        });
        let call = json!({"type": "function_call", "call_id": "a", "name": "x", "arguments": "{}"});
        let last = json!({"type": "response.completed", "response": {
            "status": "completed", "output": [text_item(said), call], "usage": {"input_tokens": 1, "output_tokens": 9},
        }});
        let done = json!({"type": "response.output_item.done", "output_index": 1, "item": call});
        let lines: String = deltas.chain([done, last]).map(|event| format!("data: {event}\n\n")).collect();
        let (events, response) =
            run(sse(pieces(lines.as_bytes(), &[])), Items::new("m", Ids::new("t"), &[stop.to_owned()])).unwrap();
        let shown = events.iter().filter_map(|event| match event {
            Event::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let calls = events.iter().filter(|event| matches!(event, Event::ToolCall(_))).count();
        (shown.collect::<String>(), calls, response)
    };
    for size in 1..=said.len() {
        let (shown, calls, response) = run_with("END", size);
        assert_eq!((shown.as_str(), calls, response.stop_reason), ("eins zwei ", 0, StopReason::StopSequence));
        assert_eq!(response.message.parts, [Part::Text("eins zwei ".into())]);
        assert_eq!(response.usage.unwrap().output_tokens, 9);
        let (shown, calls, response) = run_with("dreizehn", size);
        assert_eq!((shown.as_str(), calls, response.stop_reason), (said, 1, StopReason::ToolCall));
        let (shown, _, response) = run_with("eins", size);
        assert_eq!((shown.as_str(), response.message.parts.len()), ("", 0));
    }
}
