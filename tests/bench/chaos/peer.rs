//! The provider that does everything wrong, each attempt in a way that a seed decides. By hand, since no library for servers
//! breaks off as some do.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Tried;
use crate::options::Random;

/// The argument that makes this program the provider.
pub(crate) const VERB: &str = "chaos-peer";

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Answer,
    RateLimited,
    Failed,
    Overloaded,
    /// Not a byte comes.
    Silent,
    /// It begins, and then no more comes.
    Stall,
    /// A byte from time to time, for ever.
    Drip,
    ResetBefore,
    ResetAmid,
    /// Broken JSON, an end before the end, an error in the middle, or no HTTP at all.
    Malformed,
}

impl Fate {
    pub(super) const ALL: [(Self, u64); 10] = [
        (Self::RateLimited, 25),
        (Self::Failed, 10),
        (Self::Overloaded, 5),
        (Self::Silent, 5),
        (Self::Stall, 4),
        (Self::Drip, 3),
        (Self::ResetBefore, 5),
        (Self::ResetAmid, 6),
        (Self::Malformed, 6),
        (Self::Answer, 31),
    ];

    fn of(random: &mut Random) -> Self {
        let mut at = random.below(100);
        for (fate, share) in Self::ALL {
            if at < share {
                return fate;
            }
            at -= share;
        }
        Self::Answer
    }

    /// How a call ends whose last attempt this was.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Answer => "answered",
            Self::Silent | Self::Stall => "timed-out",
            Self::Drip => "timed-out",
            _ => "unavailable",
        }
    }

    /// Whether the host knows what was served: it was told, or a provider never bills such an attempt.
    pub(super) fn is_known(self) -> bool {
        matches!(self, Self::Answer | Self::RateLimited | Self::Failed | Self::Overloaded | Self::ResetBefore)
    }
}

/// What the provider says at `/calls`: a line for each call, with the fates of its attempts and the tokens that were served.
pub(super) fn tried(text: &str) -> Tried {
    let fate = |name: &str| Fate::ALL.iter().map(|(fate, _)| *fate).find(|fate| format!("{fate:?}") == name).unwrap();
    text.lines()
        .map(|line| {
            let (call, attempts) = line.split_once(' ').unwrap();
            let attempts = attempts.split(' ').map(|attempt| {
                let (name, served) = attempt.split_once('=').unwrap();
                (fate(name), served.parse().unwrap())
            });
            (call.parse().unwrap(), attempts.collect())
        })
        .collect()
}

/// A connection that waits for longer than this is closed.
const IDLE: Duration = Duration::from_secs(2);
/// Between two pieces of an answer, so that each is read by itself.
const PAUSE: Duration = Duration::from_millis(5);
const DRIP: Duration = Duration::from_millis(150);

/// Each attempt of a call: what became of it, and the tokens that were served.
type Attempts = Vec<(Fate, Arc<AtomicU64>)>;

#[derive(Default)]
struct Desk {
    seed: u64,
    calls: Mutex<BTreeMap<u64, Attempts>>,
    open: AtomicUsize,
    circuit: AtomicU64,
    mended: AtomicBool,
}

/// The provider's whole life.
pub(crate) fn serve() {
    let seed = std::env::args().nth(2).and_then(|seed| seed.parse().ok()).unwrap();
    let desk = Arc::new(Desk { seed, ..Desk::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                desk.open.fetch_add(1, Ordering::SeqCst);
                // A caller that goes is what it is about.
                drop(talk(socket, &desk).await);
                desk.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

/// One request after the other, until one side has had enough.
async fn talk(mut socket: TcpStream, desk: &Desk) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    while let Some((path, body)) = request(&mut socket).await? {
        let goes_on = match path.as_str() {
            "/chat/completions" => attempt(&mut socket, desk, &body).await?,
            _ => {
                plain(&mut socket, "200 OK", "text/plain", &ask(desk, &path)).await?;
                true
            }
        };
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

/// Path and body of the next request.
async fn request(socket: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match tokio::time::timeout(IDLE, socket.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            _ => return Ok(None),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Some((path, String::from_utf8_lossy(&bytes[head..]).into_owned())))
}

/// What the measuring side wants to know.
fn ask(desk: &Desk, path: &str) -> String {
    match path {
        // One of them is the one that asks.
        "/open" => (desk.open.load(Ordering::SeqCst) - 1).to_string(),
        "/circuit" => desk.circuit.load(Ordering::SeqCst).to_string(),
        "/mend" => {
            desk.mended.store(true, Ordering::SeqCst);
            String::new()
        }
        _ => {
            let calls = desk.calls.lock().unwrap();
            let line = |(call, attempts): (&u64, &Vec<(Fate, Arc<AtomicU64>)>)| {
                let all: Vec<String> = attempts
                    .iter()
                    .map(|(fate, served)| format!("{fate:?}={}", served.load(Ordering::SeqCst)))
                    .collect();
                format!("{call} {}\n", all.join(" "))
            };
            calls.iter().map(line).collect()
        }
    }
}

/// One attempt. Whether the connection goes on.
async fn attempt(socket: &mut TcpStream, desk: &Desk, body: &str) -> std::io::Result<bool> {
    let Some(call) = body.split_once("call ").and_then(|(_, rest)| rest.split_once('.')?.0.parse::<u64>().ok()) else {
        desk.circuit.fetch_add(1, Ordering::SeqCst);
        let status = if desk.mended.load(Ordering::SeqCst) { "200 OK" } else { "500 Internal Server Error" };
        let body = if desk.mended.load(Ordering::SeqCst) { whole(4) } else { String::new() };
        plain(socket, status, "application/json", &body).await?;
        return Ok(true);
    };
    let streamed = body.contains("\"stream\":true");
    let (mut random, fate, served) = {
        let mut calls = desk.calls.lock().unwrap();
        let attempts = calls.entry(call).or_default();
        let mut random = Random::new(desk.seed ^ (call << 8) ^ attempts.len() as u64);
        let fate = Fate::of(&mut random);
        let served = Arc::new(AtomicU64::new(0));
        attempts.push((fate, Arc::clone(&served)));
        (random, fate, served)
    };
    let tokens = 8 + random.below(33);
    match fate {
        Fate::RateLimited => {
            let after = if random.below(4) == 0 { "retry-after: 1\r\n" } else { "" };
            let head = format!("HTTP/1.1 429 Too Many Requests\r\n{after}content-length: 0\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            return Ok(true);
        }
        Fate::Failed => plain(socket, "500 Internal Server Error", "text/plain", "it fell over").await?,
        Fate::Overloaded => plain(socket, "529 Overloaded", "text/plain", "too much").await?,
        Fate::Answer if !streamed => {
            served.store(tokens, Ordering::SeqCst);
            plain(socket, "200 OK", "application/json", &whole(tokens)).await?;
        }
        Fate::Answer => {
            begin(socket).await?;
            words(socket, tokens, &served).await?;
            chunk(socket, &end(tokens)).await?;
            socket.write_all(b"0\r\n\r\n").await?;
        }
        Fate::Silent => return left(socket).await,
        Fate::Stall => {
            half(socket, streamed, tokens / 2, &served).await?;
            return left(socket).await;
        }
        Fate::Drip => {
            half(socket, streamed, 0, &served).await?;
            loop {
                tokio::time::sleep(DRIP).await;
                if streamed { chunk(socket, ":").await? } else { socket.write_all(b" ").await? }
            }
        }
        Fate::ResetBefore => {
            socket.set_zero_linger()?;
            return Ok(false);
        }
        Fate::ResetAmid => {
            half(socket, streamed, tokens / 2, &served).await?;
            tokio::time::sleep(4 * PAUSE).await;
            socket.set_zero_linger()?;
            return Ok(false);
        }
        Fate::Malformed => {
            malformed(socket, streamed, &mut random, &served).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// The beginning of an answer of which no end comes.
async fn half(socket: &mut TcpStream, streamed: bool, tokens: u64, served: &AtomicU64) -> std::io::Result<()> {
    if streamed {
        begin(socket).await?;
        return words(socket, tokens, served).await;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n ";
    socket.write_all(head.as_bytes()).await
}

async fn malformed(
    socket: &mut TcpStream,
    streamed: bool,
    random: &mut Random,
    served: &AtomicU64,
) -> std::io::Result<()> {
    let way = random.below(4);
    if way == 0 {
        return socket.write_all(b"HTTP/9 what?\r\n\r\n").await;
    }
    if !streamed {
        let body = ["{\"choices\":[{", "<html>busy</html>", "[]"][way as usize - 1];
        return plain(socket, "200 OK", "application/json", body).await;
    }
    begin(socket).await?;
    words(socket, 3, served).await?;
    let last =
        ["data: {\"id\":\"c1\",\"choi\n\n", "", "data: {\"error\":{\"message\":\"it fell over\",\"code\":500}}\n\n"]
            [way as usize - 1];
    if !last.is_empty() {
        chunk(socket, last).await?;
    }
    socket.write_all(b"0\r\n\r\n").await
}

async fn begin(socket: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await
}

async fn chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

async fn words(socket: &mut TcpStream, tokens: u64, served: &AtomicU64) -> std::io::Result<()> {
    for _ in 0..tokens {
        chunk(socket, "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n")
            .await?;
        served.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn end(tokens: u64) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{\"id\":\"c1\",\"choices\":[],\"usage\":{{\"prompt_tokens\":12,\"completion_tokens\":{tokens}}}}}\n\n\
         data: [DONE]\n\n"
    )
}

fn whole(tokens: u64) -> String {
    let text = " word".repeat(tokens as usize);
    format!(
        "{{\"id\":\"c1\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":12,\"completion_tokens\":{tokens}}}}}"
    )
}

async fn plain(socket: &mut TcpStream, status: &str, kind: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(answer.as_bytes()).await
}

/// Waits until the other side goes.
async fn left(socket: &mut TcpStream) -> std::io::Result<bool> {
    let mut rest = Vec::new();
    while socket.read_buf(&mut rest).await? > 0 {}
    Ok(false)
}
