//! `ringfence mcp` over its standard streams, beside a call in the process and beside a server of the official SDK for Python, all
//! asked by the same client.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::furnished;
use crate::clock::{median, ms, percentile, ratio, us};
use crate::guest::{self, Ground};
use crate::table::Table;

const ROUNDS: usize = 15;
const CALLS: usize = 200;
const STARTS: usize = 20;
/// The official SDK for Python.
const SDK: &str = "mcp==2.3.0";
const PYTHON: &str = "from mcp.server.mcpserver import MCPServer\n\
    server = MCPServer('bench', log_level='ERROR')\n\
    @server.tool()\n\
    def bench_echo(text: str) -> str:\n    \"\"\"Gives back what it was given.\"\"\"\n    return text\n\
    server.run()\n";

/// A client with as little around it as there can be. Its server ends with it.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
}

impl Client {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, input, output, line: String::new() };
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" },
        });
        client.ask(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string());
        client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        client
    }

    fn write(&mut self, message: &str) {
        // In one piece.
        self.input.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// Sends a request, and waits for its answer.
    fn ask(&mut self, request: &str) -> &str {
        self.write(request);
        loop {
            self.line.clear();
            assert_ne!(self.output.read_line(&mut self.line).unwrap(), 0, "the server ended");
            // Notifications have no answer's members.
            if self.line.contains("\"result\"") || self.line.contains("\"error\"") {
                return &self.line;
            }
        }
    }

    fn echo(&mut self, request: &str) {
        let answer: Value = serde_json::from_str(self.ask(request)).unwrap();
        assert_eq!(answer["result"]["content"][0]["text"].as_str().map(str::len), Some(100), "{answer}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn call() -> String {
    let input: Value = serde_json::from_str(&guest::echo_input()).unwrap();
    let params = json!({ "name": "bench_echo", "arguments": input });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// Where the SDK is, fetched once for this and later runs.
fn sdk() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(SDK);
    if !place.is_dir() {
        let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target"]);
        assert!(pip.arg(draft.path()).arg(SDK).status().unwrap().success(), "pip could not fetch {SDK}");
        std::fs::rename(draft.keep(), &place).unwrap();
    }
    place
}

fn python() -> Client {
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON]).env("PYTHONPATH", sdk());
    Client::start(command)
}

pub(crate) fn measure(table: &mut Table) {
    let state = furnished("");
    let request = call();
    let mcp = || Client::start(guest::program(state.path(), &["mcp"]));
    let runtime = guest::runtime();
    let ground = runtime.block_on(Ground::open(None, |_| {}));
    let (mut ours, mut theirs) = (mcp(), python());
    let (mut over, mut inside, mut other) = (Vec::new(), Vec::new(), Vec::new());
    let time = |client: &mut Client, all: &mut Vec<Duration>| {
        for _ in 0..CALLS {
            let before = Instant::now();
            client.echo(&request);
            all.push(before.elapsed());
        }
    };
    for round in 0..=ROUNDS {
        time(&mut ours, &mut over);
        inside.extend(runtime.block_on(guest::echoes(&ground, CALLS)));
        time(&mut theirs, &mut other);
        if round == 0 {
            // The first of each warms up.
            for all in [&mut over, &mut inside, &mut other] {
                all.clear();
            }
        }
    }
    let (over_pipes, in_process, in_python) = (median(&mut over), median(&mut inside), median(&mut other));
    let say = |time| format!("{:.0} us", us(time));
    let figure = (ratio(over_pipes, in_process), 3.0, "x");
    table.goal("mcp: a call over stdio, beside in-process", say(over_pipes), say(in_process), figure);
    let p90 = |all: &mut Vec<Duration>| say(percentile(all, 0.9));
    table.note("mcp: the same, p90", p90(&mut over), p90(&mut inside), "");
    let rate = |time: Duration| format!("{:.0} calls/s", 1.0 / time.as_secs_f64());
    let sum = |all: &[Duration]| all.iter().sum::<Duration>() / all.len() as u32;
    let (ours, theirs) = (sum(&over), sum(&other));
    table.goal(
        "mcp: calls per second of a Python server, of ours",
        rate(theirs),
        rate(ours),
        (ratio(ours, theirs), 0.2, "x"),
    );
    table.note("mcp: the Python server's median", say(in_python), say(over_pipes), "");
    let (mut first, mut version) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let before = Instant::now();
        mcp().echo(&request);
        first.push(before.elapsed());
        let before = Instant::now();
        assert!(guest::program(state.path(), &["--version"]).output().unwrap().status.success());
        version.push(before.elapsed());
    }
    let say = |time| format!("{:.1} ms", ms(time));
    let middle = median(&mut first);
    let floor = say(median(&mut version));
    table.goal("mcp: process to first result", say(middle), floor, (ms(middle), 100.0, " ms"));
}
