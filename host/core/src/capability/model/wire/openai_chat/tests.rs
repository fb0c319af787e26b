use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::capability::model::provider::Provider;
use crate::capability::model::types::{
    Effort, Event, Image, Message, Part, Role, StopReason, Thinking, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::capability::model::wire::assembly::Assembly;
use crate::capability::model::wire::http::Timeouts;
use crate::capability::model::wire::stream::{Frame, sse};
use crate::capability::model::wire::testing::{
    HEAD, KEY, PATIENT, both, embed_permit, endpoint, permit, pieces, raw_bytes, raw_then_silence, run, serve, streamed,
};

const TOOLS: &[u8] = include_bytes!("../fixtures/chat_openai_tools.sse");
const LLAMA: &[u8] = include_bytes!("../fixtures/chat_llama_cpp.sse");
const REASONING: &[u8] = include_bytes!("../fixtures/chat_deepseek_reasoning.sse");

const COMPATIBLE: Dialect = Dialect { openai: false, native_schema: true };
const OPENAI: Dialect = Dialect { openai: true, native_schema: true };

type Outcome = Result<(Vec<Event>, Response), ProviderError>;

fn read(bytes: &[u8], cuts: &[usize]) -> Outcome {
    run(sse(pieces(bytes, cuts)), Chat::new("asked", Ids::new("t")))
}

/// A stream of these chunks, and `[DONE]`.
fn chunks(list: &[Value]) -> Outcome {
    let lines: String = list.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    read(format!("{lines}data: [DONE]\n\n").as_bytes(), &[])
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn whole(message: Value, reason: &str) -> Result<Response, ProviderError> {
    let answer = json!({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}]});
    decode(&answer, "asked", Ids::new("t"))
}

fn call(id: &str, name: &str, input: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), input: input.into(), signature: None }
}

fn calls(response: &Response) -> Vec<ToolCall> {
    let calls = response.message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.clone()),
        _ => None,
    });
    calls.collect()
}

#[test]
fn parallel_calls_are_put_together() {
    let (events, response) = read(TOOLS, &[]).unwrap();
    let (first, second) =
        (call("call_A", "weather", "{\"city\":\"Zürich\"}"), call("call_B", "weather", "{\"city\":\"Oslo\"}"));
    let text = "Ich sehe nach: Zürich 🌧";
    let parts = [Part::Text(text.into()), Part::ToolCall(first.clone()), Part::ToolCall(second.clone())];
    assert_eq!(response.message.parts, parts);
    assert_eq!((response.stop_reason, response.model.as_str()), (StopReason::ToolCall, "gpt-5.2-2025-12-11"));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (1117, 1024));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (52, 10));
    let start = |call: &ToolCall| Event::ToolCallStart { id: call.id.clone(), name: call.name.clone() };
    let piece = |call: &ToolCall, input: &str| Event::ToolCallDelta { id: call.id.clone(), input: input.into() };
    let expected = [
        Event::Text(text.into()),
        start(&first),
        piece(&first, "{\"city\":"),
        piece(&first, "\"Zürich\"}"),
        start(&second),
        piece(&second, "{\"city\":\"Oslo\"}"),
        Event::ToolCall(first.clone()),
        Event::ToolCall(second.clone()),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_local_servers_oddities_are_survived() {
    let (events, response) = read(LLAMA, &[]).unwrap();
    assert_eq!(response.message.joined_text(), "a\u{7}b");
    assert_eq!(calls(&response), [call("42", "search", "{ \"q\" : \"x\" }")]);
    assert_eq!((response.stop_reason, response.usage), (StopReason::ToolCall, None));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::ToolCallStart { .. })).count(), 1);
}

#[test]
fn reasoning_is_kept_and_given_back_while_the_turn_lasts() {
    let (_, response) = read(REASONING, &[]).unwrap();
    let signature = Some("chat:reasoning_content".to_owned());
    let thinking = Thinking { text: "9.11 has fewer tenths.".into(), signature };
    assert_eq!(response.message.parts, [Part::Thinking(thinking), Part::Text("9.8 is greater.".into())]);
    let usage = response.usage.unwrap();
    assert_eq!((usage.cached_input_tokens, usage.reasoning_tokens), (16, 24));

    let mut request =
        Request { messages: vec![Message::text(Role::User, "?"), response.message], ..Request::default() };
    let sent = |request: &Request| encode(request, "m", false, COMPATIBLE).unwrap()["messages"][1].clone();
    assert_eq!(sent(&request)["reasoning_content"], "9.11 has fewer tenths.");
    request.messages.push(Message::text(Role::User, "and now?"));
    assert_eq!(sent(&request).get("reasoning_content"), None);
    // Another provider's reasoning is not this one's.
    let foreign = Thinking { text: "x".into(), signature: Some("sig".into()) };
    let message = Message { role: Role::Assistant, parts: vec![Part::Thinking(foreign), Part::Text("a".into())] };
    request.messages = vec![Message::text(Role::User, "?"), message];
    assert_eq!(sent(&request), json!({"role": "assistant", "content": "a"}));
}

#[test]
fn usual_chunks_say_the_same_as_trees() {
    let known = [
        "error",
        "object",
        "model",
        "usage",
        "choices",
        "index",
        "delta",
        "message",
        "finish_reason",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "tool_calls",
        "function_call",
        "function",
        "id",
        "name",
        "arguments",
        "extra_content",
    ];
    for stream in [TOOLS, LLAMA, REASONING] {
        both(&String::from_utf8_lossy(stream), &known, |bytes| read(bytes, &[]));
    }
}

#[test]
fn pieces_do_not_matter() {
    for stream in [TOOLS, LLAMA, REASONING] {
        let expected = read(stream, &[]);
        assert!(expected.is_ok());
        for cut in 0..=stream.len() {
            assert_eq!(read(stream, &[cut]), expected, "split at {cut}");
        }
        assert_eq!(read(stream, &Vec::from_iter(1..stream.len())), expected, "one byte at a time");
    }
}

#[test]
fn a_stream_that_stops_before_its_finish_reason_is_an_error() {
    let finish = |stream: &[u8]| String::from_utf8_lossy(stream).find("\"finish_reason\":\"").unwrap();
    for stream in [TOOLS, REASONING] {
        for cut in 0..finish(stream) - 100 {
            let broken = read(&stream[..cut], &[]);
            assert!(matches!(broken, Err(ProviderError::Garbled(_))), "cut at {cut}: {broken:?}");
        }
    }
    assert_eq!(chunks(&[]), Err(ProviderError::Garbled("the stream ended before the answer did".into())));
    assert!(read(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n", &[]).is_ok());
}

proptest! {
    #[test]
    fn any_pieces_do_not_matter(cuts in proptest::collection::vec(0..TOOLS.len(), 0..40)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(read(TOOLS, &cuts), read(TOOLS, &[]));
    }

    /// What is looked at once says the same as what is read anew at each piece.
    #[test]
    fn an_input_is_whole_when_it_is_json(pieces in proptest::collection::vec(
        r#"([\[\]{},:"\\ +-]|\\u00e|null|tru|e|E|1|2\.|"a"|"":0|\n|ü){0,4}"#, 0..12,
    )) {
        let mut input = answer::Input::default();
        let mut text = String::new();
        for piece in pieces {
            input.push_str(&piece);
            text.push_str(&piece);
            prop_assert_eq!(input.is_whole(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }

    /// Damage anywhere is an error or an answer, and no panic.
    #[test]
    fn damage_is_survived(at in 0..TOOLS.len(), byte: u8, length in 1..40_usize) {
        let mut bytes = TOOLS.to_vec();
        let end = (at + length).min(bytes.len());
        bytes[at..end].fill(byte);
        let _ = read(&bytes, &[]);
    }
}

#[test]
fn a_number_that_is_cut_may_become_one() {
    for (pieces, whole) in [
        (["2.", "1"], [false, true]),
        (["\n-", "1"], [false, true]),
        (["1e", "5"], [false, true]),
        (["1e+", "5"], [false, true]),
        (["2.x", "1"], [false, false]),
        (["-", "-"], [false, false]),
    ] {
        let mut input = answer::Input::default();
        let told = pieces.map(|piece| {
            input.push_str(piece);
            input.is_whole()
        });
        assert_eq!(told, whole, "{pieces:?}");
    }
}

#[test]
fn tool_calls_of_every_shape_are_told_apart() {
    let piece = |value: Value| delta(json!({"tool_calls": [value]}));
    let f = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let table: Vec<(&str, Vec<Value>, Vec<ToolCall>)> = vec![
        (
            "all under index 0, whole",
            vec![
                piece(json!({"index": 0, "id": "a", "function": f("x", json!("{}"))})),
                piece(json!({"index": 0, "id": "b", "function": f("x", json!("{}"))})),
            ],
            vec![call("a", "x", "{}"), call("b", "x", "{}")],
        ),
        (
            "no index, told by their ids",
            vec![
                piece(json!({"id": "a", "function": f("x", json!("{"))})),
                piece(json!({"id": "b", "function": f("y", json!("[1"))})),
                piece(json!({"id": "a", "function": {"arguments": "}"}})),
                piece(json!({"id": "b", "function": {"arguments": "]"}})),
            ],
            vec![call("a", "x", "{}"), call("b", "y", "[1]")],
        ),
        (
            "a new id for each piece",
            vec![
                piece(json!({"index": 0, "id": "a", "function": f("x", json!("{"))})),
                piece(json!({"index": 0, "id": "b", "function": {"arguments": "}"}})),
            ],
            vec![call("a", "x", "{}")],
        ),
        (
            "no ids, no index, arguments as objects",
            vec![
                piece(json!({"function": f("x", json!({"n": 1}))})),
                piece(json!({"function": f("x", json!({"n": 2}))})),
            ],
            vec![call("call_t_0", "x", "{\"n\":1}"), call("call_t_1", "x", "{\"n\":2}")],
        ),
        (
            "the same id twice",
            vec![delta(json!({"tool_calls": [
                {"index": 0, "id": "a", "function": f("x", json!(""))},
                {"index": 1, "id": "a", "function": f("y", json!(null))},
            ]}))],
            vec![call("a", "x", "{}"), call("call_t_1", "y", "{}")],
        ),
        (
            "only the legacy field",
            vec![
                delta(json!({"function_call": f("x", json!("{"))})),
                delta(json!({"function_call": {"arguments": "}"}})),
            ],
            vec![call("call_t_0", "x", "{}")],
        ),
    ];
    for (what, list, expected) in table {
        let (events, response) = chunks(&list).unwrap();
        assert_eq!(calls(&response), expected, "{what}");
        assert_eq!(response.stop_reason, StopReason::ToolCall, "{what}");
        let told: Vec<_> = events.into_iter().filter(|event| matches!(event, Event::ToolCall(_))).collect();
        assert_eq!(told, expected.into_iter().map(Event::ToolCall).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn whether_a_call_is_whole_is_not_read_anew_for_each_of_its_pieces() {
    let (told, calls) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Never whole, however long: a text without end, and nothing at all.
        for (begin, piece) in [("[\"", "x"), ("", " ")] {
            for index in [json!(0), Value::Null] {
                let mut chat = Chat::new("asked", Ids::new("t"));
                for at in 0..20_000 {
                    let input = if at < 12 { format!("{begin}{}", " ".repeat(900_000)) } else { piece.to_owned() };
                    // Without an index the name alone may begin another call, and with one an id of its own.
                    let id = if index.is_null() { String::new() } else { format!("id{at}") };
                    let call = json!({"index": index, "id": id, "function": {"name": "f", "arguments": input}});
                    let data = delta(json!({"tool_calls": [call]})).to_string();
                    chat.feed(Frame { event: "message", data: &data }, &mut Vec::new()).unwrap();
                }
                chat.feed(Frame { event: "message", data: "[DONE]" }, &mut Vec::new()).unwrap();
                told.send(self::calls(&chat.finish(&mut Vec::new()).unwrap()).len()).unwrap();
            }
        }
    });
    for _ in 0..4 {
        // A second. Where each piece reads all those before it, minutes.
        assert_eq!(calls.recv_timeout(std::time::Duration::from_secs(60)), Ok(1));
    }
}

#[test]
fn calls_that_cannot_be_are_refused() {
    let one = |value: Value| whole(json!({"tool_calls": [value]}), "tool_calls");
    for value in [json!({"function": {"arguments": "{"}}), json!({"id": "a"}), json!({"function": {"arguments": "{}"}})]
    {
        assert!(matches!(one(value.clone()), Err(ProviderError::Garbled(_))), "{value}");
    }
    let many: Vec<Value> = (0..300).map(|at| json!({"index": at, "function": {"name": "x"}})).collect();
    assert!(matches!(whole(json!({ "tool_calls": many }), "tool_calls"), Err(ProviderError::Garbled(_))));
    // Arguments that are not JSON are a mistake of the model, which whoever runs its tools can tell it.
    let written =
        whole(json!({"tool_calls": [{"id": "a", "function": {"name": "x", "arguments": "{"}}]}), "tool_calls");
    assert_eq!(calls(&written.unwrap()), [call("a", "x", "\"{\"")]);
    // Cut at its limit, the last call is not one.
    let cut = json!({"content": "a", "tool_calls": [{"id": "a", "function": {"name": "x", "arguments": "{\"n\":"}}]});
    let response = whole(cut, "length").unwrap();
    assert_eq!((calls(&response), response.stop_reason), (vec![], StopReason::MaxTokens));
}

#[test]
fn endings_are_told_apart() {
    let reason = |message: Value, reason: &str| whole(message, reason).unwrap().stop_reason;
    let text = || json!({"content": [{"type": "text", "text": "a"}]});
    assert_eq!(reason(text(), "stop"), StopReason::End);
    assert_eq!(reason(text(), "eos"), StopReason::End);
    assert_eq!(reason(text(), "length"), StopReason::MaxTokens);
    assert_eq!(reason(text(), "content_filter"), StopReason::Refused);
    assert_eq!(reason(json!({"content": null, "refusal": "I will not"}), "stop"), StopReason::Refused);
    assert_eq!(whole(json!({"refusal": "I will not"}), "stop").unwrap().message.joined_text(), "I will not");
    assert!(matches!(whole(text(), "error"), Err(ProviderError::Failed { billed: true, .. })));
    let stopped = json!({"choices": [{"message": text(), "finish_reason": "stop", "stop_reason": "END"}]});
    assert_eq!(decode(&stopped, "m", Ids::new("t")).unwrap().stop_reason, StopReason::StopSequence);
    for nonsense in [json!(null), json!([]), json!({"choices": []}), json!("x")] {
        assert!(matches!(decode(&nonsense, "m", Ids::new("t")), Err(ProviderError::Garbled(_))), "{nonsense}");
    }
}

#[test]
fn usage_is_believed_only_when_it_can_be() {
    let read = |usage: Value| {
        let answer = json!({"choices": [{"message": {"content": "a"}}], "usage": usage});
        decode(&answer, "m", Ids::new("t")).unwrap().usage
    };
    for wrong in [json!(-1), json!(1.5), json!("7"), json!(u64::MAX), json!(1_u64 << 54), json!(null), json!({})] {
        assert_eq!(read(json!({"prompt_tokens": wrong, "completion_tokens": 1})), None, "{wrong}");
        assert_eq!(read(json!({"prompt_tokens": 1, "completion_tokens": wrong})), None, "{wrong}");
    }
    let more = json!({"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 50}});
    assert_eq!(read(more).unwrap().cached_input_tokens, 5);
    let beside = json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 18, "completion_tokens_details": {"reasoning_tokens": 10}});
    assert_eq!((read(beside.clone()).unwrap().output_tokens, read(beside).unwrap().reasoning_tokens), (13, 10));
}

#[test]
fn errors_inside_of_a_stream_are_known() {
    let error =
        chunks(&[delta(json!({"content": "a"})), json!({"error": {"code": 429, "message": "slow"}})]).unwrap_err();
    assert!(matches!(error, ProviderError::RateLimited { .. }), "{error:?}");
    let named = read(b"event: error\ndata: {\"message\":\"overloaded\",\"type\":\"overloaded_error\"}\n\n", &[]);
    assert!(matches!(named, Err(ProviderError::Failed { billed: false, .. })), "{named:?}");
    assert!(matches!(read(b"data: nonsense\n\n", &[]), Err(ProviderError::Garbled(_))));
}

fn full() -> Request {
    let image = Image { media_type: "image/png".into(), data: vec![1, 2, 3] };
    let result = |id: &str, is_error| Part::ToolResult(ToolResult { id: id.into(), content: "rain".into(), is_error });
    Request {
        messages: vec![
            Message::text(Role::System, "be brief"),
            Message { role: Role::User, parts: vec![Part::Text("see".into()), Part::Image(image)] },
            Message {
                role: Role::Assistant,
                parts: vec![Part::ToolCall(call("a", "x", "{}")), Part::ToolCall(call("b", "x", "{\"n\":1}"))],
            },
            Message { role: Role::Tool, parts: vec![result("a", false), result("b", true)] },
        ],
        tools: vec![Tool { name: "x".into(), description: "d".into(), input_schema: json!({"type": "object"}) }],
        tool_choice: ToolChoice::Named("x".into()),
        output_schema: Some(
            json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}),
        ),
        max_tokens: Some(64),
        temperature: Some(0.7),
        top_p: Some(0.9),
        stop: vec!["END".into()],
        effort: Some(Effort::Low),
        cache_until: Some(0),
        provider_options: json!({"seed": 7}).as_object().cloned(),
        ..Request::default()
    }
}

#[test]
fn requests_are_written_in_the_wires_words() {
    let request = full();
    let expected = json!({
        "model": "gpt-5", "stream": true, "stream_options": {"include_usage": true}, "seed": 7,
        "max_tokens": 64, "temperature": 0.7, "top_p": 0.9, "stop": ["END"], "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "x", "description": "d", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "x"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": request.output_schema}},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "x", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "x", "arguments": "{\"n\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "rain"},
            {"role": "tool", "tool_call_id": "b", "content": "Error: rain"},
        ],
    });
    assert_eq!(encode(&request, "gpt-5", true, COMPATIBLE).unwrap(), expected);

    let openai = encode(&request, "gpt-5", false, OPENAI).unwrap();
    assert_eq!((&openai["max_completion_tokens"], openai.get("max_tokens")), (&json!(64), None));
    assert_eq!(openai.get("stream_options"), None);
    let key = openai["prompt_cache_key"].as_str().unwrap();
    let mut other = full();
    other.messages[1] = Message::text(Role::User, "else");
    assert_eq!(encode(&other, "gpt-5", false, OPENAI).unwrap()["prompt_cache_key"], key);
    other.messages[0] = Message::text(Role::System, "be long");
    assert_ne!(encode(&other, "gpt-5", false, OPENAI).unwrap()["prompt_cache_key"], key);
    assert_eq!(encode(&request, "gpt-4o", false, OPENAI).unwrap().get("reasoning_effort"), None);
    let plain = Dialect { native_schema: false, ..COMPATIBLE };
    assert_eq!(encode(&request, "m", false, plain).unwrap().get("response_format"), None);
}

#[test]
fn what_a_model_of_openai_refuses_is_left_out() {
    for (model, effort, word, sampled) in [
        ("gpt-6.1-sol", None, None, false),
        ("gpt-6.1-sol", Some(Effort::None), Some("low"), false),
        ("gpt-6-astra", Some(Effort::None), Some("low"), false),
        ("gpt-6-luna", Some(Effort::None), Some("none"), false),
        ("gpt-5", Some(Effort::None), Some("minimal"), false),
        ("gpt-5-mini-2025-08-07", Some(Effort::None), Some("minimal"), false),
        ("gpt-5-codex", Some(Effort::None), Some("low"), false),
        ("o4-mini", Some(Effort::None), Some("low"), false),
        ("gpt-5.2", None, None, true),
        ("gpt-5.2", Some(Effort::None), Some("none"), true),
        ("gpt-5.2", Some(Effort::High), Some("high"), false),
        ("gpt-4o", Some(Effort::High), None, true),
    ] {
        let request = Request { effort, ..full() };
        let body = encode(&request, model, false, OPENAI).unwrap();
        assert_eq!(body["reasoning_effort"].as_str(), word, "{model} {effort:?}");
        assert_eq!(
            (body.get("temperature").is_some(), body.get("top_p").is_some()),
            (sampled, sampled),
            "{model} {effort:?}"
        );
    }
    let body = encode(&Request { effort: Some(Effort::None), ..full() }, "gpt-5", false, COMPATIBLE).unwrap();
    assert_eq!((body["reasoning_effort"].as_str(), body.get("temperature").is_some()), (Some("none"), true));
}

#[test]
fn a_schema_is_strict_only_where_openai_takes_it() {
    let strict = |schema: Value| {
        let request = Request { output_schema: Some(schema), ..full() };
        encode(&request, "m", false, OPENAI).unwrap()["response_format"]["json_schema"]["strict"].clone()
    };
    assert_eq!(strict(json!({"type": "object"})), false);
    assert_eq!(strict(json!({"type": "array", "items": {"type": "string"}})), false);
    let open = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": [], "additionalProperties": false});
    assert_eq!(strict(open), false);
    let unknown = json!({"type": "object", "properties": {"n": {"type": "string", "minLength": 1}}, "required": ["n"], "additionalProperties": false});
    assert_eq!(strict(unknown), false);
}

#[test]
fn options_do_not_reach_what_the_host_sets() {
    for name in [
        "model",
        "messages",
        "stream",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "tools",
        "temperature",
        "models",
        "seed\u{1b}[0m",
    ] {
        let options = json!({ name: 1000 }).as_object().cloned();
        let result = encode(&Request { provider_options: options, ..full() }, "m", false, COMPATIBLE);
        if name.starts_with("seed") {
            assert!(result.is_ok());
        } else {
            assert!(matches!(&result, Err(ProviderError::Invalid(text)) if text.contains(name)), "{name}: {result:?}");
        }
    }
}

#[tokio::test]
async fn it_talks_to_a_server_streamed_and_whole() {
    let answer = json!({"model": "m", "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]});
    let (address, seen) = serve(vec![
        (200, "text/event-stream", TOOLS.to_vec()),
        (200, "application/json", answer.to_string().into_bytes()),
    ])
    .await;
    let provider = OpenAiChat::new(endpoint(address, PATIENT));
    let (result, events) = streamed(&provider, "gpt", &full()).await;
    assert_eq!((calls(&result.unwrap()).len(), events.len()), (2, 8));
    let response = provider.generate(&permit(), "gpt", &full(), None).await.unwrap();
    assert_eq!(response.message, Message::text(Role::Assistant, "hello"));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].path, "/v1/chat/completions");
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!((&seen[0].body["stream"], &seen[1].body["stream"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn vectors_come_in_order_and_in_any_nesting() {
    let answers = [
        json!({"model": "e", "data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 4}}),
        json!([{"index": 0, "embedding": [[1.0], [2.0]]}, {"index": 1, "embedding": [[5.0]]}]),
        json!({"data": [{"embedding": [1.0]}]}),
        json!({"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]}),
        json!({"data": [{"embedding": [1.0]}, {"embedding": ["x"]}]}),
        json!({"data": [{"embedding": []}, {"embedding": []}]}),
        json!({"data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}),
    ];
    let answers = answers.map(|answer| (200, "application/json", answer.to_string().into_bytes()));
    let (address, _) = serve(answers.to_vec()).await;
    let provider = OpenAiChat::new(endpoint(address, PATIENT));
    let inputs = ["a".to_owned(), "b".to_owned()];
    let embedded = provider.embed(&embed_permit(), "e", &inputs).await.unwrap();
    assert_eq!((embedded.vectors, embedded.usage.unwrap().input_tokens), (vec![vec![1.0], vec![2.0]], 4));
    assert_eq!(provider.embed(&embed_permit(), "e", &inputs).await.unwrap().vectors, [[1.5], [5.0]]);
    for _ in 0..4 {
        let error = provider.embed(&embed_permit(), "e", &inputs).await.unwrap_err();
        assert!(matches!(error, ProviderError::Garbled(_)), "{error:?}");
    }
    assert_eq!(provider.list().await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_hostile_server_is_an_error_of_its_kind() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let short = std::time::Duration::from_millis(60);
    let restless = Timeouts { idle: short, ..PATIENT };
    let attempt = async |address, timeouts| streamed(&OpenAiChat::new(endpoint(address, timeouts)), "m", &full()).await;

    let (result, events) = attempt(raw_then_silence(format!("{HEAD}{chunk}")).await, restless).await;
    assert_eq!(result, Err(ProviderError::TimedOut { phase: "idle", after: short }));
    assert_eq!(events, [Event::Text("a".into())]);
    let (result, _) = attempt(raw_bytes(format!("{HEAD}{chunk}")).await, PATIENT).await;
    assert!(matches!(result, Err(ProviderError::Garbled(_))), "{result:?}");
    let (result, _) = attempt(raw_bytes(format!("{HEAD}<html>busy</html>")).await, PATIENT).await;
    assert!(matches!(result, Err(ProviderError::Foreign { status: 200, .. })), "{result:?}");
    let echo = format!("{HEAD}data: {{\"error\":{{\"message\":\"no {KEY}\",\"code\":401}}}}\n\n");
    let (result, _) = attempt(raw_bytes(echo).await, PATIENT).await;
    assert_eq!(result, Err(ProviderError::Key { status: Some(401), message: "no [key]".into() }));
}

#[tokio::test]
async fn a_reader_that_leaves_ends_a_silent_stream() {
    let provider = OpenAiChat::new(endpoint(raw_then_silence(HEAD).await, PATIENT));
    let (sender, receiver) = Events::new(1);
    drop(receiver);
    let result = provider.generate(&permit(), "m", &full(), Some(&sender)).await;
    assert_eq!(result, Err(ProviderError::Abandoned));
}
