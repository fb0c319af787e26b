//! A provider on loopback that answers at once, streams, or holds its answer. A process of its own, so that neither its time
//! nor its memory counts as ours.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;

/// The argument that makes this program the server.
pub(crate) const VERB: &str = "serve";

/// Pieces of text of a streamed answer.
pub(crate) const TOKENS: usize = 2_000;
/// Bytes of a page.
pub(crate) const PAGE: usize = 10 << 10;
/// How long a slow stream waits before each piece.
const PAUSE: Duration = Duration::from_millis(1);

/// What it does with a call. The rest of the request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers, or streams as fast as it can.
    Fast,
    /// Streams one token after the other, each in a packet of its own.
    Slow,
    /// Answers when it is told to do something else.
    Hold,
    /// Thinks for [`THOUGHT`] before it answers.
    Think,
}

/// How long one that thinks does so.
pub(crate) const THOUGHT: Duration = Duration::from_millis(50);

/// The server as its parent sees it. Ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) base_url: String,
    http: reqwest::Client,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::of(&[VERB])
    }

    /// This program with other arguments. The first line that it says is where it listens.
    pub(crate) fn of(args: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, base_url: line.trim().to_owned(), http: ringfence_core::bench::http().unwrap() }
    }

    pub(crate) async fn mode(&self, mode: Mode) {
        self.http.post(format!("{}/mode/{mode:?}", self.base_url)).send().await.unwrap().error_for_status().unwrap();
    }

    /// What its threads have used of the processor.
    pub(crate) fn cpu(&self) -> Duration {
        crate::clock::cpu_of(self.child.id(), |_| true)
    }

    /// Calls that it holds.
    pub(crate) async fn held(&self) -> usize {
        self.text("/held").await.parse().unwrap()
    }

    /// What it was told below `/kept/GROUP/`, in that order, each a path's rest.
    pub(crate) async fn kept(&self, group: u64) -> Vec<String> {
        self.text(&format!("/kept/{group}")).await.lines().map(str::to_owned).collect()
    }

    /// What it says there.
    pub(crate) async fn text(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.base_url)).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Desk {
    mode: watch::Sender<Mode>,
    held: AtomicUsize,
    kept: Mutex<HashMap<u64, Vec<String>>>,
    /// Bytes of spans that were sent.
    spans: AtomicUsize,
}

/// The server's whole life.
pub(crate) fn serve() {
    files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = Arc::new(Desk {
            mode: watch::Sender::new(Mode::Fast),
            held: AtomicUsize::new(0),
            kept: Mutex::default(),
            spans: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/chat/completions", post(answer))
            .route("/mode/{mode}", post(set))
            .route("/page", get(async || vec![b'x'; PAGE]))
            .route("/kept/{group}/{*rest}", get(keep))
            .route("/kept/{group}", get(told))
            .route("/v1/traces", post(spans))
            .route("/spans", get(async |State(desk): State<Arc<Desk>>| desk.spans.load(Ordering::SeqCst).to_string()))
            .route("/held", get(async |State(desk): State<Arc<Desk>>| desk.held.load(Ordering::SeqCst).to_string()))
            .with_state(desk);
        // A long line of callers: ten thousand come at once.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16_384).unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

/// Takes as many open files as this process may have.
pub(crate) fn files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Fewer files are told by what then fails.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).ok();
}

async fn set(State(desk): State<Arc<Desk>>, Path(mode): Path<String>) {
    let all = [Mode::Fast, Mode::Slow, Mode::Hold, Mode::Think];
    desk.mode.send_replace(*all.iter().find(|known| format!("{known:?}") == mode).unwrap());
}

async fn spans(State(desk): State<Arc<Desk>>, body: Bytes) {
    desk.spans.fetch_add(body.len(), Ordering::SeqCst);
}

async fn keep(State(desk): State<Arc<Desk>>, Path((group, rest)): Path<(u64, String)>) {
    desk.kept.lock().unwrap().entry(group).or_default().push(rest);
}

async fn told(State(desk): State<Arc<Desk>>, Path(group): Path<u64>) -> String {
    desk.kept.lock().unwrap().get(&group).map(|all| all.join("\n")).unwrap_or_default()
}

async fn answer(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let streams = std::str::from_utf8(&body).is_ok_and(|text| text.contains("\"stream\":true"));
    let mode = *desk.mode.borrow();
    if mode == Mode::Hold {
        desk.held.fetch_add(1, Ordering::SeqCst);
        drop(desk.mode.subscribe().wait_for(|mode| *mode != Mode::Hold).await);
    }
    if mode == Mode::Think {
        tokio::time::sleep(THOUGHT).await;
    }
    if streams { stream(mode) } else { ([(CONTENT_TYPE, "application/json")], WHOLE).into_response() }
}

const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"instant","choices":[{"index":0,"message":{"role":"assistant","content":"It is said."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16}}"#;
const TOKEN: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"instant\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const END: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"instant\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"instant\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":2000,\"total_tokens\":2012}}\n\ndata: [DONE]\n\n";

fn stream(mode: Mode) -> Response {
    let pieces = futures_util::stream::unfold(0, move |sent| async move {
        match mode {
            Mode::Slow => tokio::time::sleep(PAUSE).await,
            // What has been written so far goes out before more comes.
            _ if sent % 16 == 0 => tokio::task::yield_now().await,
            _ => {}
        }
        let piece = match sent {
            n if n < TOKENS => TOKEN,
            n if n == TOKENS => END,
            _ => return None,
        };
        Some((Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())), sent + 1))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces)).into_response()
}
