//! Providers on loopback that speak Chat Completions: polite ones on a real HTTP server, hostile ones on bare sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What a request is answered with.
#[derive(Clone)]
pub(crate) enum Reply {
    /// An answer, streamed word by word where a stream is asked for.
    Text(String),
    /// A refusal of the server, with a body as providers write it.
    Status(u16, &'static str),
    /// Nothing, ever: the connection stands and is silent.
    Hang,
    /// The head of a stream and one word; then silence.
    HangInside,
    /// The head of a stream and one word; then the connection is closed.
    StopHalfWay,
    /// What is no Chat Completions at all.
    Garbage,
}

impl Reply {
    fn is_polite(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Status(..))
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) authorization: String,
    /// Of polite servers alone: the trace that it is part of.
    pub(crate) traceparent: Option<String>,
    pub(crate) body: Value,
}

/// A server that answers all requests alike until it is dropped.
pub(crate) struct Provider {
    address: SocketAddr,
    /// What came, in order.
    requests: Arc<Mutex<Vec<Request>>>,
    came: Mutex<Receiver<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

/// One runtime serves the polite providers of all tests.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

#[derive(Clone)]
struct Desk {
    reply: Reply,
    requests: Arc<Mutex<Vec<Request>>>,
    came: Sender<()>,
}

impl Desk {
    fn take(&self, authorization: &str, traceparent: Option<&str>, body: &[u8]) -> Value {
        let body: Value = serde_json::from_slice(body).unwrap();
        let (authorization, traceparent) = (authorization.into(), traceparent.map(str::to_owned));
        self.requests.lock().unwrap().push(Request { authorization, traceparent, body: body.clone() });
        self.came.send(()).ok();
        body
    }
}

impl Provider {
    pub(crate) fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (send, came) = channel();
        let desk = Desk { reply, requests: Arc::clone(&requests), came: send };
        let task = if desk.reply.is_polite() {
            listener.set_nonblocking(true).unwrap();
            let app = axum::Router::new()
                .route("/v1/chat/completions", axum::routing::post(polite))
                .route("/v1/models", axum::routing::get(|| async { axum::Json(models()) }))
                .with_state(desk);
            Some(runtime().spawn(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            }))
        } else {
            // Ends with the process: a test's own threads hold nothing but a socket.
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let desk = desk.clone();
                    std::thread::spawn(move || hostile(stream, &desk));
                }
            });
            None
        };
        Self { address, requests, came: Mutex::new(came), task }
    }

    pub(crate) fn says(text: &str) -> Self {
        Self::start(Reply::Text(text.into()))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns when a request has come that nobody waited for yet.
    pub(crate) fn wait(&self) {
        self.came.lock().unwrap().recv_timeout(Duration::from_secs(60)).expect("no request came");
    }

    /// The configuration that makes it the only model, at prices that make it cost something: a dollar for a million
    /// tokens in and two for a million out. Its key is in `FAKE_KEY`.
    pub(crate) fn config(&self) -> String {
        format!(
            r#"
            [models]
            retries = 1
            [models.providers.fake]
            type = "openai-compatible"
            base-url = "http://{}/v1"
            key-env = "FAKE_KEY"
            timeouts = {{ connect = 2, first-byte = 1, idle = 1 }}
            [models.aliases]
            default = ["fake/clever"]
            [models.prices."fake/clever"]
            input = 1000000
            output = 2000000
            "#,
            self.address
        )
    }

    /// The same, of a provider that may take its time.
    pub(crate) fn patient_config(&self) -> String {
        self.config().replace("first-byte = 1, idle = 1", "first-byte = 100, idle = 100")
    }

    /// What other programs are told in `OPENAI_BASE_URL`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn polite(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap()).unwrap_or_default();
    let traceparent = headers.get("traceparent").map(|value| value.to_str().unwrap());
    let body = desk.take(authorization, traceparent, &body);
    match &desk.reply {
        Reply::Text(text) if body["stream"] == true => {
            ([(header::CONTENT_TYPE, "text/event-stream")], streamed(text)).into_response()
        }
        Reply::Text(text) => axum::Json(whole(text)).into_response(),
        Reply::Status(code, message) => {
            let error = json!({ "error": { "message": message, "type": "invalid_request_error" } });
            (StatusCode::from_u16(*code).unwrap(), axum::Json(error)).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn models() -> Value {
    json!({ "object": "list", "data": [{ "id": "clever", "object": "model" }] })
}

fn whole(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "clever-2026",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": text },
            "finish_reason": "stop",
        }],
        "usage": usage(text),
    })
}

fn usage(text: &str) -> Value {
    let words = text.split_whitespace().count();
    json!({ "prompt_tokens": 20, "completion_tokens": words, "total_tokens": 20 + words })
}

fn streamed(text: &str) -> String {
    let mut lines = head();
    for word in text.split_inclusive(' ') {
        lines += &event(json!({ "content": word }), Value::Null);
    }
    lines += &event(json!({}), "stop".into());
    let last = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "clever-2026",
        "choices": [], "usage": usage(text),
    });
    lines + &format!("data: {last}\n\ndata: [DONE]\n\n")
}

fn head() -> String {
    event(json!({ "role": "assistant", "content": "" }), Value::Null)
}

fn event(delta: Value, finish: Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "clever-2026",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    });
    format!("data: {chunk}\n\n")
}

/// Reads one request, and answers it as badly as it was told to.
fn hostile(mut stream: TcpStream, desk: &Desk) {
    let Some((authorization, body)) = request(&mut stream) else { return };
    desk.take(&authorization, None, &body);
    let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let word = format!("{}{}", head(), event(json!({ "content": "Half " }), Value::Null));
    let said = match desk.reply {
        Reply::HangInside | Reply::StopHalfWay => format!("{begin}{}", chunk(&word)),
        Reply::Garbage => format!("{begin}{}0\r\n\r\n", chunk("data: {\"choices\": 7}\n\ndata: <html>\n\n\u{1b}[2J\n")),
        _ => String::new(),
    };
    if stream.write_all(said.as_bytes()).is_err() {
        return;
    }
    if matches!(desk.reply, Reply::Hang | Reply::HangInside) {
        // Holds the connection until the other side lets go of it.
        drop(stream.read(&mut [0; 1]));
    }
}

fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length: usize = field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if bytes.len() >= end + 4 + length {
            return Some((field("authorization").unwrap_or_default(), bytes[end + 4..end + 4 + length].to_vec()));
        }
    }
}
