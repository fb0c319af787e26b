//! What an operator's collector gets of a run, by the variables that OpenTelemetry knows; and what it does not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{Done, Home, Provider, Server, TestHost, process, servers};

const KEY: &str = "sk-CANARY-0123456789abcdef";
const PROMPT: &str = "PROMPTCANARY tell me";
const ANSWER: &str = "ANSWERCANARY indeed";

/// The signal, the head and the body of each delivery.
type Got = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// A collector on loopback that keeps what it is sent.
struct Collector {
    url: String,
    got: Got,
    task: tokio::task::JoinHandle<()>,
}

impl Collector {
    async fn start(status: StatusCode) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = Got::default();
        let keep = move |State(got): State<Got>, Path(signal): Path<String>, headers: HeaderMap, body: Bytes| async move {
            let value = match headers["content-type"].as_bytes() {
                b"application/x-protobuf" if signal == "traces" => {
                    serde_json::to_value(ExportTraceServiceRequest::decode(body).unwrap()).unwrap()
                }
                b"application/x-protobuf" => Value::Null,
                _ => serde_json::from_slice(&body).unwrap(),
            };
            got.lock().unwrap().push((signal, headers, value));
            status
        };
        let app = axum::Router::new().route("/v1/{signal}", axum::routing::post(keep)).with_state(Arc::clone(&got));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, got, task }
    }

    /// All that came of one signal, in order.
    fn all(&self, signal: &str, [resources, scopes, records]: [&str; 3]) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        let all = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        let got = got.iter().filter(|(of, ..)| of == signal).flat_map(|(.., body)| all(body, resources));
        let scopes = got.flat_map(|resource| all(&resource, scopes));
        scopes.flat_map(|scope| all(&scope, records)).collect()
    }

    fn spans(&self) -> Vec<Value> {
        self.all("traces", ["resourceSpans", "scopeSpans", "spans"])
    }

    fn metrics(&self) -> Vec<Value> {
        self.all("metrics", ["resourceMetrics", "scopeMetrics", "metrics"])
    }

    fn lines(&self) -> Vec<Value> {
        self.all("logs", ["resourceLogs", "scopeLogs", "logRecords"])
    }

    fn text(&self) -> String {
        format!("{:?}", self.got.lock().unwrap())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a Value> {
    let found = span["attributes"].as_array()?.iter().find(|one| one["key"] == name)?;
    found["value"].as_object()?.values().next()
}

/// An attribute that is a number, and not the text of one. The JSON of the protocol has 64 bits as text, or as a number.
fn number(span: &Value, name: &str) -> u64 {
    let all = span["attributes"].as_array().into_iter().flatten();
    let mut values = all.filter(|one| one["key"] == name).map(|one| &one["value"]["intValue"]);
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {span}"));
    let number = value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{name} is no number in {span}"))
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let names: Vec<_> = spans.iter().map(|span| span["name"].clone()).collect();
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no span `{name}` in {names:?}"))
}

/// A home in which a skill `a` may call a skill `b`, which asks a model.
async fn two(provider: &Provider) -> TestHost {
    let host = TestHost::with("").await;
    host.home.write(".config/ringfence/config.toml", provider.config());
    host.install("b", "[permissions.model]\nmodels = [\"default\"]\n", &["model=default"]).await;
    // A skill that is called may do only what both may.
    let asks = "[permissions.tools]\ntools = [\"b/*\"]\n[permissions.model]\nmodels = [\"default\"]\n";
    host.install("a", asks, &["tools=b/*", "model=default"]).await;
    host
}

async fn relay(home: &Home, variables: &[(&str, &str)]) -> Done {
    let input = json!({ "name": "b/generate", "input": { "prompt": PROMPT } }).to_string();
    let mut command = home.command(&["run", "a", "--tool", "relay", "--input", &input]);
    command.env("FAKE_KEY", KEY).envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || Done::of(&mut command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_one_trace_from_the_command_to_the_model_and_says_nothing_of_its_content() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=mine"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let done = relay(&host.home, &variables).await.worked();
    assert!(done.out.contains(ANSWER), "{done:?}");

    let spans = collector.spans();
    let line = ["ringfence run", "execute_tool a/relay", "tools", "execute_tool b/generate", "chat default"];
    let line: Vec<&Value> = line.iter().map(|name| named(&spans, name)).collect();
    assert_eq!(line[0]["parentSpanId"].as_str().unwrap_or_default(), "");
    for two in line.windows(2) {
        assert_eq!(two[1]["traceId"], two[0]["traceId"]);
        assert_eq!(two[1]["parentSpanId"], two[0]["spanId"], "{} below {}", two[1]["name"], two[0]["name"]);
    }
    let model = line[4];
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.request.model", json!("default")),
        ("gen_ai.provider.name", json!("fake")),
        ("gen_ai.response.model", json!("fake/clever-2026")),
    ] {
        assert_eq!(attribute(model, name), Some(&value), "{name}: {model}");
    }
    for (of_call, of_run) in [
        ("gen_ai.usage.input_tokens", "ringfence.usage.input_tokens"),
        ("gen_ai.usage.output_tokens", "ringfence.usage.output_tokens"),
        ("ringfence.usage.micro_dollars", "ringfence.usage.micro_dollars"),
    ] {
        assert!(number(model, of_call) > 0, "{of_call}");
        assert_eq!(number(line[1], of_run), number(model, of_call), "a run counts what it called");
    }
    assert!(number(line[3], "ringfence.memory_peak_bytes") > 0 && number(line[3], "ringfence.cpu_us") > 0);

    let traceparent = provider.requests()[0].traceparent.clone().expect("the provider is told the trace");
    assert_eq!(traceparent.split('-').nth(1), line[0]["traceId"].as_str());
    assert_eq!(traceparent.split('-').nth(2), model["spanId"].as_str());
    let text = collector.text();
    assert!(text.contains("x-tenant") && text.contains("deployment.environment.name"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    assert!(!text.contains(&host.home.path("").display().to_string()), "no path: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_is_sent_as_protobuf_where_no_form_is_named() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_SERVICE_NAME", "mine")];
    relay(&host.home, &variables).await.worked();
    let spans = collector.spans();
    let [run, chat] = ["execute_tool a/relay", "chat default"].map(|name| named(&spans, name));
    assert_eq!(run["traceId"], chat["traceId"]);
    assert_eq!(chat["kind"], 3, "a client: {chat}");
    assert!(number(run, "ringfence.memory_peak_bytes") > 0);
    let (_, headers, sent) = collector.got.lock().unwrap().iter().find(|(of, ..)| of == "traces").unwrap().clone();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = &sent["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), Some(&json!("mine")), "{resource}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_an_event_and_its_kind_the_status() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    host.host.revoke("b", Some("model")).await.unwrap();
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    relay(&host.home, &variables).await.fails("refused", 3, "model default", "grant b model=default");
    let spans = collector.spans();
    let refused = named(&spans, "execute_tool b/generate");
    assert_eq!(refused["events"][0]["name"], "refused", "{refused}");
    assert_eq!(refused["status"]["code"], 2, "{refused}");
    assert_eq!(attribute(refused, "error.type"), Some(&json!("refused")));
    assert!(!collector.text().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_unless_an_endpoint_is_named_and_nothing_turns_it_off() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    let there = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str());
    for variables in [&[("OTEL_SERVICE_NAME", "x")][..], &[there, ("OTEL_SDK_DISABLED", "true")]] {
        relay(&host.home, variables).await.worked();
    }
    assert!(collector.got.lock().unwrap().is_empty());
    assert!(provider.requests().iter().all(|request| request.traceparent.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_refuses_or_is_away_costs_a_run_nothing_but_its_last_second() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    // Connections are taken by the system, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    let refuses = Collector::start(StatusCode::FORBIDDEN).await;
    let usual = relay(&host.home, &[]).await.worked().took;
    for (url, word) in [(hangs.as_str(), ""), (&refuses.url, "403"), ("http://127.0.0.1:9", "cannot be reached")] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
        let done = relay(&host.home, &variables).await.worked();
        assert!(done.out.contains(ANSWER) && done.err.contains(word), "{done:?}");
        // The machine may be busy with other tests; what must not be is the ten seconds that a delivery may take.
        assert!(done.took < usual + Duration::from_secs(6), "{:?} after {usual:?}", done.took);
    }
}

/// The points of a metric, whatever its kind.
#[track_caller]
fn points(metrics: &[Value], name: &str) -> Vec<Value> {
    let names: Vec<_> = metrics.iter().map(|metric| metric["name"].clone()).collect();
    let metric =
        metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    let kind = ["histogram", "sum"].into_iter().find(|kind| metric[kind].is_object()).unwrap();
    metric[kind]["dataPoints"].as_array().unwrap().clone()
}

fn amount(value: &Value) -> f64 {
    value.as_str().map_or_else(|| value.as_f64(), |text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_was_called_used_and_refused() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    relay(&host.home, &variables).await.worked();
    let metrics = collector.metrics();
    let invocations = points(&metrics, "ringfence.invocation.duration");
    let tools: std::collections::BTreeSet<_> =
        invocations.iter().map(|point| attribute(point, "gen_ai.tool.name").unwrap().as_str().unwrap()).collect();
    assert_eq!(tools, ["a/relay", "b/generate"].into());
    assert!(invocations.iter().all(|point| amount(&point["count"]) == 1.0 && amount(&point["sum"]) > 0.0));
    assert_eq!(
        points(&metrics, "ringfence.invocation.active").iter().map(|point| amount(&point["asInt"])).sum::<f64>(),
        0.0
    );
    let tokens = points(&metrics, "gen_ai.client.token.usage");
    let spans = collector.spans();
    let model = named(&spans, "chat default");
    for (kind, field) in [("input", "gen_ai.usage.input_tokens"), ("output", "gen_ai.usage.output_tokens")] {
        let point = tokens.iter().find(|point| attribute(point, "gen_ai.token.type") == Some(&json!(kind))).unwrap();
        assert_eq!(amount(&point["sum"]), amount(attribute(model, field).unwrap()), "{kind}");
        assert_eq!(attribute(point, "gen_ai.request.model"), Some(&json!("default")));
        assert_eq!(attribute(point, "gen_ai.provider.name"), Some(&json!("fake")));
    }
    let money = points(&metrics, "ringfence.usage.micro_dollars");
    assert_eq!(amount(&money[0]["asInt"]), amount(attribute(model, "ringfence.usage.micro_dollars").unwrap()));
    for name in
        ["gen_ai.client.operation.duration", "ringfence.invocation.cpu.time", "ringfence.invocation.memory.peak"]
    {
        assert!(!points(&metrics, name).is_empty());
    }
    assert!(!metrics.iter().any(|metric| metric["name"] == "ringfence.refusals"), "nothing was refused");

    host.host.revoke("b", Some("model")).await.unwrap();
    let collector = Collector::start(StatusCode::OK).await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*format!("{}/v1/metrics", collector.url)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ];
    relay(&host.home, &variables).await.fails("refused", 3, "model default", "grant b model=default");
    let metrics = collector.metrics();
    let refusals = points(&metrics, "ringfence.refusals");
    assert_eq!(attribute(&refusals[0], "ringfence.capability"), Some(&json!("model")), "{refusals:?}");
    let invocations = points(&metrics, "ringfence.invocation.duration");
    let failed = invocations.iter().filter(|point| attribute(point, "error.type") == Some(&json!("refused")));
    assert!(failed.count() >= 1, "{invocations:?}");
    assert!(
        collector.spans().is_empty() && collector.lines().is_empty(),
        "only the signal whose endpoint is named is sent"
    );
    assert!(!collector.text().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_log_are_sent_with_the_trace_that_they_belong_to_and_written_as_objects_on_request() {
    let collector = Collector::start(StatusCode::OK).await;
    let url = collector.url.clone();
    let errors = tokio::task::spawn_blocking(move || {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("RINGFENCE_LOG_FORMAT", "json"),
        ];
        let mut server = Server::within(Server::furnished(), &[], &variables);
        let said = server.post("/v1/tools/probe_note", &[], &json!({ "text": "bees\nswarm" }));
        assert_eq!(said.status, 200, "{said:?}");
        // Whichever face a call comes by.
        let meta = call_by_itself()["params"]["_meta"].take();
        let params = json!({ "name": "probe_note", "arguments": { "text": "by mcp" }, "_meta": meta });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let said = server.post("/mcp", &[MCP[0], MCP[1], MCP[2], "Mcp-Name: probe_note"], &call);
        assert_eq!(said.status, 200, "{said:?}");
        let asked = json!({ "model": "skill:probe/note", "messages": [{ "role": "user", "content": "by openai" }] });
        let said = server.post("/v1/chat/completions", &[], &asked);
        assert_eq!(said.status, 200, "{said:?}");
        // Below the level that is chosen.
        server.post("/v1/tools/probe_log_flood", &[], &json!({ "lines": 1 }));
        server.signal("-INT");
        assert_eq!(server.ended(), 0);
        server.errors()
    });
    let errors = errors.await.unwrap();
    let lines = collector.lines();
    let spans = collector.spans();
    for words in ["bees\\nswarm", "by mcp", "by openai"] {
        let line = lines.iter().find(|line| line["body"]["stringValue"] == words);
        let line = line.unwrap_or_else(|| panic!("{words}: {lines:?}"));
        assert_eq!((line["severityText"].as_str(), attribute(line, "skill")), (Some("WARN"), Some(&json!("probe"))));
        let call =
            spans.iter().find(|span| span["name"] == "execute_tool probe/note" && span["traceId"] == line["traceId"]);
        assert!(call.is_some(), "{line} {spans:?}");
    }
    assert!(!collector.text().contains("line 0") && !errors.contains("line 0"), "{errors}");
    let written = errors.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let written: Vec<_> = written.filter(|line| line["skill"] == "probe").collect();
    assert_eq!(written.len(), 3, "{errors}");
    assert_eq!((written[0]["message"].as_str(), written[0]["level"].as_str()), (Some("bees\\nswarm"), Some("WARN")));
}

#[test]
fn a_run_writes_what_its_skill_logs_as_objects_where_the_log_is_of_objects() {
    let home = Home::new();
    let probe = crate::support::probe().display().to_string();
    let run = ["run", &probe, "--tool", "note", "--text", "bees", "--allow", "kv", "-v"];
    let lines = |done: &Done| -> Vec<Result<Value, String>> {
        done.err.lines().map(|line| serde_json::from_str(line).map_err(|_| line.to_owned())).collect()
    };
    let done = home.run(&[&run[..], &["--log-format", "json"]].concat()).worked();
    let objects: Vec<Value> =
        lines(&done).into_iter().map(|line| line.unwrap_or_else(|line| panic!("{line}"))).collect();
    let said: Vec<_> = objects.iter().filter(|line| line["skill"] == "probe").collect();
    let [line] = said.as_slice() else { panic!("{objects:?}") };
    assert_eq!((line["message"].as_str(), line["level"].as_str()), (Some("bees"), Some("WARN")));
    // For people it is a line as before.
    let done = home.run(&run).worked();
    assert!(lines(&done).iter().any(|line| line.as_ref().is_err_and(|line| line == "warn bees")), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_tools_is_told_the_trace_of_a_call_where_there_is_one() {
    let home = Home::with_config(&servers::table("fake", &["meta"], ""));
    let collector = Collector::start(StatusCode::OK).await;
    let told = |variables: &[(&str, &str)]| {
        let mut command = home.command(&["run", "fake", "--tool", "echo", "--text", "x"]);
        Done::of(command.envs(variables.iter().copied())).worked().json()
    };
    tokio::task::block_in_place(|| {
        home.run(&["server", "approve", "fake", "--yes"]).worked();
        assert_eq!(told(&[]).get("traceparent"), None);
        let meta = told(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ]);
        let parts: Vec<&str> = meta["traceparent"].as_str().unwrap_or_else(|| panic!("{meta}")).split('-').collect();
        let spans = collector.spans();
        let act = spans.iter().find(|span| span["spanId"] == parts[2]).unwrap_or_else(|| panic!("{meta} {spans:?}"));
        assert_eq!(act["traceId"], parts[1]);
        assert_eq!(act["parentSpanId"], named(&spans, "execute_tool fake/echo")["spanId"], "{act}");
    });
}

/// One call of a tool by a client of `ringfence mcp`, in a trace of the client's.
fn call_by_mcp(home: &Home, variables: &[(&str, &str)], traceparent: &str) -> Value {
    let mut child = process::start(home.command(&["mcp"]).envs(variables.iter().copied()).stdin(Stdio::piped()));
    let mut input = child.stdin.take().unwrap();
    let info = json!({ "name": "by-hand", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let call = json!({
        "name": "b_generate", "arguments": { "prompt": PROMPT }, "_meta": { "traceparent": traceparent, "tracestate": "a=b" }
    });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call }),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut messages = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let answer = messages.find(|message| message["id"] == 2).expect("the call is answered");
    // It ends with its input, and sends what is left of its trace.
    drop(input);
    child.wait().unwrap();
    answer
}

/// What goes with a request to `/mcp` that needs no session.
const MCP: [&str; 4] = [
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    "Mcp-Name: b_generate",
];

fn call_by_itself() -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "by-hand", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "b_generate", "arguments": { "prompt": PROMPT }, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_client_goes_on_by_http_and_by_mcp_up_to_the_model() {
    const BY_HTTP: &str = "0af7651916cd43dd8448eb211c80319c";
    const BY_MCP: &str = "1bf7651916cd43dd8448eb211c80319c";
    const BY_BOTH: &str = "2cf7651916cd43dd8448eb211c80319c";
    const ABOVE: &str = "b7ad6b7169203331";
    let provider = Provider::says(ANSWER);
    let TestHost { home, .. } = two(&provider).await;
    let collector = Collector::start(StatusCode::OK).await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("FAKE_KEY", KEY),
    ];
    tokio::task::block_in_place(|| {
        let said = call_by_mcp(&home, &variables, &format!("00-{BY_MCP}-{ABOVE}-01"));
        assert!(said.to_string().contains(ANSWER), "{said}");
        let mut server = Server::within(home, &[], &variables);
        let header = format!("traceparent: 00-{BY_HTTP}-{ABOVE}-01");
        let said = server.post("/v1/tools/b_generate", &[&header], &json!({ "prompt": PROMPT }));
        assert!(said.status == 200 && said.body.contains(ANSWER), "{said:?}");
        let header = format!("traceparent: 00-{BY_BOTH}-{ABOVE}-01");
        let said = server.post("/mcp", &[&header, MCP[0], MCP[1], MCP[2], MCP[3]], &call_by_itself());
        assert!(said.status == 200 && said.body.contains(ANSWER), "{said:?}");
        server.signal("-INT");
        assert_eq!(server.ended(), 0);
    });
    let spans = collector.spans();
    let told: Vec<_> = provider.requests().into_iter().map(|request| request.traceparent.expect("a trace")).collect();
    assert_eq!(told.len(), 3);
    for (trace, told) in [BY_MCP, BY_HTTP, BY_BOTH].into_iter().zip(told) {
        let spans: Vec<_> = spans.iter().filter(|span| span["traceId"] == trace).cloned().collect();
        let model = named(&spans, "chat default");
        let id = model["spanId"].as_str().unwrap();
        assert_eq!(told, format!("00-{trace}-{id}-01"), "the provider is told the client's trace and our span");
        assert_eq!(model["parentSpanId"], named(&spans, "execute_tool b/generate")["spanId"]);
        let first = spans.iter().filter(|span| span["parentSpanId"] == ABOVE).count();
        assert_eq!(first, 1, "one span stands below the client's: {spans:?}");
    }
    assert!(!collector.text().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_listed_and_one_is_drawn_with_the_skill_that_it_called() {
    let provider = Provider::says(ANSWER);
    let host = two(&provider).await;
    relay(&host.home, &[]).await.worked();
    let home = &host.home;
    let list = |more: &[&str]| {
        let done = home.run(&[&["runs", "list", "--format", "json"][..], more].concat()).worked();
        done.json().as_array().unwrap().clone()
    };
    let all = list(&[]);
    let names: Vec<_> = all.iter().map(|run| (run["skill"].as_str().unwrap(), run["kind"].as_str().unwrap())).collect();
    assert_eq!(names, [("b", "ok"), ("a", "ok")], "the newest first");
    assert_eq!(list(&["--skill", "a"]), all[1..]);
    assert_eq!(list(&["--limit", "1"]), all[..1]);
    assert!(list(&["--kind", "timed-out"]).is_empty() && list(&["--kind", "unfinished"]).is_empty());
    assert_eq!(list(&["--kind", "ok"]), all);

    let id = all[1]["invocation"].as_str().unwrap();
    let drawn = home.run(&["runs", "show", id]).worked().out;
    let lines: Vec<_> = drawn.lines().map(str::trim_start).collect();
    let at = |word: &str| lines.iter().position(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{drawn}"));
    assert!(at("a/relay") < at("tools b/generate") && at("tools b/generate") < at("b/generate"), "{drawn}");
    assert!(at("b/generate") < at("model default"), "{drawn}");
    assert!(drawn.contains('█') && drawn.contains("input-tokens=") && !drawn.contains("CANARY"), "{drawn}");
    let told = home.run(&["runs", "show", id, "--format", "json"]).worked().json();
    assert_eq!(told["acts"][0]["call"]["acts"][0]["subject"], "model default");
    home.run(&["runs", "show", "nothing"]).fails("not-found", 2, "`nothing`", "runs list");
}
