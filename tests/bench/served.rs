//! `ringfence serve`, with the program that asks on the same cores: calls per second, what those cost who only listen, what tracing
//! costs, and ten thousand that wait.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::{Served, furnished};
use crate::clock::{median, ms, percentile, us};
use crate::guest::{self, Ground};
use crate::options;
use crate::server::{self, Mode, Server};
use crate::table::Table;

/// Connections that ask at once, and calls of one measurement.
const CLIENTS: usize = 32;
const CALLS: usize = 12_800;
/// Who only listens.
const LISTENERS: usize = 1_000;
const WAITING: usize = 10_000;
/// Measurements with traces, and without.
const TRACED: usize = 15;
const PATIENCE: Duration = Duration::from_secs(180);

/// A connection that is asked one thing after the other, with as little around it as there can be.
struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    async fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(4096) }
    }

    /// Sends a request, and waits for the whole answer, which has to have this status. Gives its body.
    async fn ask(&mut self, request: &[u8], status: &str) -> &[u8] {
        self.stream.write_all(request).await.unwrap();
        self.read.clear();
        loop {
            assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "the connection was closed");
            let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.read[..end]).unwrap();
            assert_eq!(head.split(' ').nth(1), Some(status), "{head} {}", String::from_utf8_lossy(&self.read[end..]));
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if self.read.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return &self.read[end + 4..];
            }
        }
    }
}

/// So many calls of `echo` over all connections: what they took together, and each of them.
async fn echoes(served: &Served) -> (Duration, Vec<Duration>) {
    let request = served.request("POST /v1/tools/bench_echo", &guest::echo_input());
    let mut all = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..CLIENTS {
        let (at, request) = (served.at, request.clone());
        all.spawn(async move {
            let mut line = Line::open(at).await;
            let mut took = Vec::with_capacity(CALLS / CLIENTS);
            for _ in 0..CALLS / CLIENTS {
                let before = Instant::now();
                line.ask(&request, "200").await;
                took.push(before.elapsed());
            }
            took
        });
    }
    let took = all.join_all().await.concat();
    (begun.elapsed(), took)
}

fn rate(time: Duration) -> f64 {
    CALLS as f64 / time.as_secs_f64()
}

pub(crate) fn measure(table: &mut Table) {
    server::files();
    let state = furnished("");
    let served = Served::start(state.path(), &["--max-connections", "4000"], &[]);
    let runtime = guest::runtime();
    runtime.block_on(async {
        echoes(&served).await;
        let ground = Ground::open(None, |_| {}).await;
        let (mut walls, mut each, mut inside) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..7 {
            inside.push(median(&mut guest::echoes(&ground, 400).await));
            let (wall, took) = echoes(&served).await;
            walls.push(wall);
            each.extend(took);
        }
        let wall = median(&mut walls);
        // Less is better in this table: how long 5,000 calls take.
        let seconds = 5_000.0 / rate(wall);
        let all = format!("{:.0} calls/s", rate(wall));
        table.goal(format!("serve: 5,000 echo calls, {CLIENTS} clients"), all, "-", (seconds, 1.0, " s"));
        let say = |time| format!("{:.2} ms", ms(time));
        table.note("serve: each of them, median and p99", say(median(&mut each)), say(percentile(&mut each, 0.99)), "");
        let mut line = Line::open(served.at).await;
        let request = served.request("POST /v1/tools/bench_echo", &guest::echo_input());
        let mut alone = Vec::new();
        for _ in 0..2_000 {
            let before = Instant::now();
            line.ask(&request, "200").await;
            alone.push(before.elapsed());
        }
        let (ours, floor) = (median(&mut alone), median(&mut inside));
        let figure = format!("{:.2}x", crate::clock::ratio(ours, floor));
        table.note(
            "serve: one after the other, beside in-process",
            format!("{:.0} us", us(ours)),
            format!("{:.0} us", us(floor)),
            figure,
        );
        listeners(table, &served).await;
    });
}

/// Who listens to an invocation that tells nothing.
async fn listeners(table: &mut Table, served: &Served) {
    let mut line = Line::open(served.at).await;
    let limits = json!({ "tool": "bench_spin", "input": {} }).to_string();
    let started = line.ask(&served.request("POST /v1/invocations", &limits), "202").await;
    let started: serde_json::Value = serde_json::from_slice(started).unwrap();
    let id = started["invocation"].as_str().unwrap();
    let path = format!("GET /v1/invocations/{id}/events");
    let (request, before) = (served.request(&path, ""), served.memory());
    let mut all = Vec::with_capacity(LISTENERS);
    for _ in 0..LISTENERS {
        let mut stream = TcpStream::connect(served.at).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        all.push(stream);
    }
    let now = served.memory();
    let grown = now.resident.saturating_sub(before.resident) as f64 / 1024.0;
    let mib = |kib: u64| format!("{} MiB", kib >> 10);
    let what = format!("serve: {LISTENERS} idle listeners");
    table.goal(what, mib(now.resident), mib(before.resident), (grown, 50.0, " MiB"));
    line.ask(&served.request(&format!("POST /v1/invocations/{id}/cancel"), ""), "202").await;
}

/// The same calls with every span sent to a collector, and without.
pub(crate) fn traces(table: &mut Table) {
    let collector = Server::start();
    let (plain_state, traced_state) = (furnished(""), furnished(""));
    let plain = Served::start(plain_state.path(), &[], &[]);
    let endpoint = format!("{}/v1/traces", collector.base_url);
    let variables = [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*endpoint)];
    let traced = Served::start(traced_state.path(), &[], &variables);
    guest::runtime().block_on(async {
        echoes(&plain).await;
        echoes(&traced).await;
        let (mut with, mut without, mut adds) = (Vec::new(), Vec::new(), Vec::new());
        let cpu = || [traced.cpu(), plain.cpu(), collector.cpu()];
        let before = cpu();
        for _ in 0..TRACED {
            let (one, other) = (echoes(&traced).await.0, echoes(&plain).await.0);
            // Beside each other: what the machine does for others lasts longer than both.
            adds.push((crate::clock::ratio(one, other) - 1.0) * 100.0);
            with.push(one);
            without.push(other);
        }
        let used = cpu();
        let [of_traced, of_plain, of_collector] =
            std::array::from_fn(|which| (used[which] - before[which]) / (TRACED * CALLS) as u32);
        // One caller, who waits for each answer, of the two in turns.
        let mut lines = Vec::new();
        for served in [&traced, &plain] {
            let request = served.request("POST /v1/tools/bench_echo", &guest::echo_input());
            lines.push((Line::open(served.at).await, request));
        }
        let mut alone = [Vec::new(), Vec::new()];
        for _ in 0..options::rounds(5_000) {
            for ((line, request), took) in lines.iter_mut().zip(&mut alone) {
                let before = Instant::now();
                line.ask(request, "200").await;
                took.push(before.elapsed());
            }
        }
        let [one_with, one_without] = &mut alone;
        let (one_with, one_without) = (median(one_with), median(one_without));
        let sent: usize = collector.text("/spans").await.parse().unwrap();
        assert!(sent > 0, "nothing was traced");
        let (with, without) = (median(&mut with), median(&mut without));
        let say = |time| format!("{:.1} us", us(time));
        let more = (crate::clock::ratio(one_with, one_without) - 1.0) * 100.0;
        table.goal(
            "traces: what they add to an echo call over HTTP",
            say(one_with),
            say(one_without),
            (more, 10.0, " %"),
        );
        // Three programs share the cores here: what the collector takes is not ours, and is not told apart.
        let rates = |time| format!("{:.0} calls/s", rate(time));
        adds.sort_unstable_by(f64::total_cmp);
        let what = "traces: on full cores, their collector on the same ones";
        table.goal(what, rates(with), rates(without), (adds[adds.len() / 2], 10.0, " %"));
        let collects = format!("{} for the collector", say(of_collector));
        table.note("traces: processor of such a call, the host's", say(of_traced), say(of_plain), collects);
    });
}

/// Ten thousand that were started over HTTP and all wait for a model.
pub(crate) fn suspended(table: &mut Table) {
    server::files();
    let provider = Server::start();
    let config = format!(
        "[engine]\nconcurrent = {}\n[limits]\nwall-seconds = 600\n\
         [models.providers.loopback]\ntype = \"openai-compatible\"\nbase-url = {:?}\nconcurrency = 16000\n\
         [models.providers.loopback.timeouts]\nfirst-byte = 600\n[models.aliases]\ndefault = [\"loopback/instant\"]\n",
        WAITING + 100,
        provider.base_url
    );
    let state = furnished(&config);
    let served = Served::start(state.path(), &[], &[]);
    guest::runtime().block_on(async {
        let mut line = Line::open(served.at).await;
        let echo = served.request("POST /v1/tools/bench_echo", &guest::echo_input());
        let mut calm = Vec::new();
        for _ in 0..300 {
            let before = Instant::now();
            line.ask(&echo, "200").await;
            calm.push(before.elapsed());
        }
        provider.mode(Mode::Hold).await;
        let before = served.memory();
        let ask = json!({ "tool": "bench_ask", "input": { "times": 1 } }).to_string();
        let ask = served.request("POST /v1/invocations", &ask);
        for _ in 0..WAITING {
            line.ask(&ask, "202").await;
        }
        let began = Instant::now();
        while provider.held().await < WAITING {
            assert!(began.elapsed() < PATIENCE, "only {} wait", provider.held().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What has been put off is done.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = served.memory();
        let mib = |kib: u64| format!("{} MiB", kib >> 10);
        let figure = (now.proportional as f64 / 1024.0, 1024.0, " MiB");
        table.goal("suspended: 10,000 started over HTTP", mib(now.proportional), mib(before.proportional), figure);
        table.note("suspended: the same as `ps` counts it", mib(now.resident), mib(before.resident), "");
        let mut beside = Vec::new();
        for _ in 0..300 {
            let before = Instant::now();
            line.ask(&echo, "200").await;
            beside.push(before.elapsed());
        }
        let say = |time| format!("{:.2} ms", ms(time));
        let p99 = percentile(&mut beside, 0.99);
        let floor = say(percentile(&mut calm, 0.99));
        table.goal("suspended: an echo call beside them, p99", say(p99), floor, (ms(p99), 5.0, " ms"));
        provider.mode(Mode::Fast).await;
    });
}
