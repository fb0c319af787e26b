//! The routes over a host of this process, whose model follows a script. Skills need the program itself: those are in `tests/suite/`.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use ringfence_core::engine::WorkerCommand;
use ringfence_core::{Host, HostConfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

struct Stage {
    _dir: tempfile::TempDir,
    host: Host,
    app: Router,
}

impl Stage {
    async fn new(answers: &str, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script.toml");
        std::fs::write(&script, answers).unwrap();
        let settings = format!(
            "[agents.a]\n{settings}\n[models]\nretries = 1\n[models.providers.s]\ntype = \"scripted\"\nscript = {script:?}\n\
             [models.aliases]\ndefault = [\"s/m\"]\n"
        );
        let worker = WorkerCommand { program: "/no/worker/is/needed".into(), args: Vec::new() };
        let config =
            HostConfig { settings: toml::from_str(&settings).unwrap(), ..HostConfig::in_folder(dir.path(), worker) };
        let host = Host::open(config).await.unwrap();
        let counts = std::sync::Arc::new(crate::http::Counts::new(&host));
        let hidden = vec![dir.path().display().to_string()];
        let app = super::router(host.clone(), hidden, counts, CancellationToken::new());
        Self { _dir: dir, host, app }
    }

    async fn ask(&self, path: &str, body: &Value) -> Response {
        let request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string()));
        self.app.clone().oneshot(request.unwrap()).await.unwrap()
    }

    async fn json(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.ask(path, body).await;
        let status = response.status();
        (status, serde_json::from_str(&text(response).await).unwrap())
    }
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The JSON of all events of a stream, and their names.
async fn events(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = text(response).await;
    let event = |block: &str| {
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let data = line("data: ").unwrap();
        let value = if data == "[DONE]" { json!("[DONE]") } else { serde_json::from_str(&data).unwrap() };
        (line("event: ").unwrap_or_default(), value)
    };
    text.split("\n\n").filter(|block| !block.is_empty()).map(event).collect()
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const HELLO: &str =
    "[[answers]]\ntimes = 0\ntext = \"Hello there.\"\nchunk = 5\nusage = { input-tokens = 7, output-tokens = 5 }\n";

fn hi(more: Value) -> Value {
    let mut body = json!({ "model": "agent:a", "messages": [{ "role": "user", "content": "Hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn models_are_the_agents_and_the_skills() {
    let stage = Stage::new("", "").await;
    let get = |path: &'static str| stage.app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let listed: Value = serde_json::from_str(&text(get("/v1/models").await.unwrap()).await).unwrap();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((listed["object"].as_str(), ids), (Some("list"), vec!["agent:a", "agent:chat"]));
    let one: Value = serde_json::from_str(&text(get("/v1/models/agent:a").await.unwrap()).await).unwrap();
    assert_eq!((&one["id"], &one["object"]), (&json!("agent:a"), &json!("model")));
    let none = get("/v1/models/skill:none/tool").await.unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_completion_comes_whole_or_in_chunks_with_what_it_used() {
    let stage = Stage::new(HELLO, "").await;
    let (status, done) = stage.json(CHAT, &hi(json!({}))).await;
    assert_eq!(
        (status, &done["object"], &done["model"]),
        (StatusCode::OK, &json!("chat.completion"), &json!("agent:a"))
    );
    let choice = &done["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("Hello there."), &json!("stop")));
    assert_eq!(done["usage"], json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12 }));

    let streamed = hi(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let chunks = events(stage.ask(CHAT, &streamed).await).await;
    let chunks: Vec<Value> = chunks.into_iter().map(|(_, chunk)| chunk).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Hello there.");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., finish, usage, last] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!((&finish["choices"][0]["finish_reason"], &finish["usage"]), (&json!("stop"), &Value::Null));
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(12)));
    assert_eq!(last, "[DONE]");
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["id"] == chunks[0]["id"]));

    let chunks = events(stage.ask(CHAT, &hi(json!({ "stream": true }))).await).await;
    assert!(chunks.iter().all(|(_, chunk)| chunk.get("usage").is_none()), "{chunks:?}");
}

#[tokio::test]
async fn a_response_comes_whole_or_in_events_that_are_numbered() {
    let stage = Stage::new(HELLO, "").await;
    let body = json!({ "model": "agent:a", "input": "Hi", "instructions": "Be kind." });
    let (status, done) = stage.json(RESPONSES, &body).await;
    assert_eq!((status, &done["status"], &done["object"]), (StatusCode::OK, &json!("completed"), &json!("response")));
    assert_eq!(done["output"][0]["content"][0]["text"], "Hello there.");
    assert_eq!((&done["usage"]["input_tokens"], &done["usage"]["total_tokens"]), (&json!(7), &json!(12)));
    let items = json!([{ "role": "user", "content": [{ "type": "input_text", "text": "Hi" }] }]);
    let all = events(stage.ask(RESPONSES, &json!({ "model": "agent:a", "input": items, "stream": true })).await).await;
    let kinds: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    for (at, (kind, event)) in all.iter().enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(kind), &json!(at)));
    }
    assert_eq!(all[7].1["text"], "Hello there.");
    assert_eq!(all[10].1["response"]["output"][0]["content"][0]["text"], "Hello there.");
}

#[tokio::test]
async fn what_is_not_done_here_is_refused_in_the_form_of_the_interface() {
    let stage = Stage::new(HELLO, "").await;
    for (path, body, status, param, word) in [
        (CHAT, json!("x"), 400, "body", "not what this interface takes"),
        (CHAT, json!({ "model": "agent:a" }), 400, "body", "messages"),
        (CHAT, hi(json!({ "model": "gpt-6" })), 404, "model", "`gpt-6`"),
        (CHAT, hi(json!({ "model": "agent:none" })), 404, "model", "`none`"),
        (CHAT, hi(json!({ "model": "skill:none" })), 404, "model", "`none`"),
        (CHAT, hi(json!({ "n": 2 })), 400, "n", "one answer"),
        (CHAT, hi(json!({ "tools": [{}] })), 400, "tools", "`tools` is not supported"),
        (CHAT, hi(json!({ "response_format": { "type": "json_object" } })), 400, "response_format", "response_format"),
        (CHAT, hi(json!({ "tool_choice": "required" })), 400, "tool_choice", "bring their own tools"),
        (CHAT, hi(json!({ "stop": ["."] })), 400, "stop", "not supported"),
        (CHAT, hi(json!({ "logprobs": true })), 400, "logprobs", "not supported"),
        (CHAT, hi(json!({ "top_logprobs": 3 })), 400, "top_logprobs", "not supported"),
        (CHAT, hi(json!({ "modalities": ["text", "audio"] })), 400, "modalities", "answers in text"),
        (CHAT, hi(json!({ "audio": { "voice": "alloy" } })), 400, "audio", "answers in text"),
        (CHAT, hi(json!({ "logit_bias": { "50256": -100 } })), 400, "logit_bias", "not supported"),
        (CHAT, hi(json!({ "store": true })), 400, "store", "nothing is kept"),
        (CHAT, hi(json!({ "function_call": { "name": "f" } })), 400, "function_call", "not supported"),
        (CHAT, hi(json!({ "web_search_options": {} })), 400, "web_search_options", "not supported"),
        (CHAT, hi(json!({ "max_tokens": 0 })), 400, "max_tokens", "at least 1"),
        (CHAT, hi(json!({ "max_completion_tokens": 0, "max_tokens": 9 })), 400, "max_completion_tokens", "at least 1"),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "max_output_tokens": 0 }),
            400,
            "max_output_tokens",
            "at least 1",
        ),
        (RESPONSES, json!({ "model": "agent:a", "input": "x", "store": true }), 400, "store", "nothing is kept"),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "max_tool_calls": 1 }),
            400,
            "max_tool_calls",
            "not supported",
        ),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "text": { "format": { "type": "json_schema" } } }),
            400,
            "text.format",
            "not supported",
        ),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "prompt": { "id": "p" } }),
            400,
            "prompt",
            "not supported",
        ),
        (CHAT, hi(json!({ "messages": [] })), 400, "messages", "not a user's"),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "previous_response_id": "resp_1" }),
            400,
            "previous_response_id",
            "not supported",
        ),
        (
            RESPONSES,
            json!({ "model": "agent:a", "input": "x", "background": true }),
            400,
            "background",
            "not supported",
        ),
    ] {
        let (got, error) = stage.json(path, &body).await;
        assert_eq!((got.as_u16(), &error["error"]["param"]), (status, &json!(param)), "{body}: {error}");
        assert_eq!(error["error"]["type"], "invalid_request_error");
        assert!(error["error"]["message"].as_str().unwrap().contains(word), "{word}: {error}");
    }
    let named = Request::get("/v1/models/%ff").body(Body::empty()).unwrap();
    let error = text(stage.app.clone().oneshot(named).await.unwrap()).await;
    assert!(error.contains("model_not_found"), "{error}");
    // What changes nothing is let through.
    for nothing in [
        json!({ "tools": [], "n": 1, "temperature": 0.2, "seed": 1 }),
        json!({ "modalities": ["text"], "audio": null, "logit_bias": {}, "store": false, "top_logprobs": 0 }),
        json!({ "metadata": { "a": "b" }, "user": "ann", "service_tier": "auto", "function_call": "none" }),
    ] {
        let (status, done) = stage.json(CHAT, &hi(nothing.clone())).await;
        assert_eq!(status, StatusCode::OK, "{nothing}: {done}");
    }
}

#[tokio::test]
async fn a_client_lowers_the_tokens_of_an_agent_and_never_raises_them() {
    let answers = "[[answers]]\ntimes = 0\ntext = \"Hello there.\"\nusage = { input-tokens = 7, output-tokens = 5 }\n\
                   tool-calls = [{ name = \"fly\" }]\n";
    let stage = Stage::new(answers, "max-tokens = 100\nmax-steps = 50").await;
    // Each answer costs 5: one fits, and is cut as a model's would be; or else the agent's own limit holds.
    for (wish, spent) in [(5, 5), (100_000, 100)] {
        for (path, body) in [
            (CHAT, hi(json!({ "max_tokens": wish }))),
            (CHAT, hi(json!({ "max_completion_tokens": wish, "max_tokens": 1_000_000 }))),
            (RESPONSES, json!({ "model": "agent:a", "input": "Hi", "max_output_tokens": wish })),
        ] {
            let (status, done) = stage.json(path, &body).await;
            if wish == 5 {
                assert_eq!(status, StatusCode::OK, "{body}: {done}");
                let (finish, reason) = (&done["choices"][0]["finish_reason"], &done["incomplete_details"]["reason"]);
                assert!(*finish == "length" || *reason == "max_output_tokens", "{body}: {done}");
                assert!(done.to_string().contains("Hello there."), "what was said is there: {done}");
            } else {
                assert_eq!(
                    (status.as_u16(), &done["error"]["code"]),
                    (429, &json!("budget-exhausted")),
                    "{body}: {done}"
                );
                assert!(done["error"]["message"].as_str().unwrap().contains("agents.a.max-tokens"), "{done}");
            }
            assert_eq!(stage.host.runs(1).await.unwrap()[0].usage.output_tokens, spent, "{body}");
        }
    }
}

#[tokio::test]
async fn a_failure_has_its_status_and_is_not_to_be_repeated() {
    let stage = Stage::new("[[answers]]\ntimes = 0\ntool-calls = [{ name = \"fly\" }]\n", "max-steps = 2").await;
    for more in [json!({}), json!({ "stream": true })] {
        let response = stage.ask(CHAT, &hi(more)).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-should-retry"]),
            (502, &"false".parse().unwrap())
        );
        let error: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            (&error["error"]["code"], &error["error"]["type"]),
            (&json!("too-many-steps"), &json!("server_error"))
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("agents.a.max-steps") && !message.contains("transcript"), "none is kept: {message}");
    }
    // After the first word there is no status any more.
    let broken =
        "[[answers]]\ntimes = 0\ntext = \"Hello there.\"\nchunk = 5\nafter = 1\nerror = { kind = \"server\" }\n";
    let stage = Stage::new(broken, "").await;
    let chunks = events(stage.ask(CHAT, &hi(json!({ "stream": true }))).await).await;
    let (_, last) = chunks.last().unwrap();
    assert_eq!(last["error"]["code"], "unavailable", "{chunks:?}");
    let all = events(stage.ask(RESPONSES, &json!({ "model": "agent:a", "input": "Hi", "stream": true })).await).await;
    let (kind, last) = all.last().unwrap();
    assert_eq!((kind.as_str(), &last["response"]["status"]), ("response.failed", &json!("failed")));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_what_it_asked_for() {
    let stage = Stage::new("[[answers]]\ntext = \"abcd\"\nchunk = 2\nafter = 1\ngate = \"shut\"\n", "").await;
    let response = stage.ask(CHAT, &hi(json!({ "stream": true }))).await;
    let mut body = response.into_body().into_data_stream();
    let mut seen = String::new();
    while !seen.contains("ab") {
        seen.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    drop(body);
    let kind = loop {
        let runs = stage.host.runs(1).await.unwrap();
        if let Some(run) = runs.first().filter(|run| run.ended.is_some()) {
            break run.kind.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(kind, "cancelled");
}

#[test]
fn what_this_interface_has_elsewhere_is_refused_in_its_form() {
    use crate::http::Problem;
    for (path, word) in [
        ("/v1/embeddings", Some("`/v1/embeddings` is not served here")),
        ("/v1/completions", Some("`/v1/completions` is not served here")),
        ("/v1/files/file-1/content", Some("nothing is served below `/v1/files`")),
        ("/v1/responses/resp_1", Some("nothing is served below `/v1/responses`")),
        ("/v1/chat/completions/x", Some("nothing is served below `/v1/chat/completions`")),
        ("/v1/filesystem", None),
        ("/v1/skills", None),
        ("/", None),
    ] {
        let told = super::no_route(path).map(|problem| problem.detail().to_owned());
        assert_eq!(told.as_deref(), word, "{path}");
        let problem = Problem::new("not-found", "x", "y");
        let form = super::of_problem(path, StatusCode::NOT_FOUND, &problem);
        assert_eq!(
            form.map(|error| error["error"]["type"].clone()),
            word.map(|_| json!("invalid_request_error")),
            "{path}"
        );
    }
}
