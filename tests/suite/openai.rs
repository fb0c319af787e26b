//! The interface of OpenAI as its own clients use it, against the program itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::server::Server;
use crate::support::{Done, probe};

/// A server with the probe, and an agent whose model says one thing.
fn server() -> Server {
    let home = Server::home();
    let script = home.write(
        "script.toml",
        "[[answers]]\ntimes = 0\ncontains = [\"[image/png, 3 bytes]\"]\ntext = \"A picture.\"\n\
         [[answers]]\ntimes = 0\ntext = \"Hello there.\"\nchunk = 5\nusage = { input-tokens = 7, output-tokens = 5 }\n",
    );
    home.write(
        ".config/ringfence/config.toml",
        format!(
            "[engine]\nconcurrent = 64\n[agents.a]\ndescription = \"Says hello.\"\n[models.providers.s]\ntype = \"scripted\"\nscript = {script:?}\n\
             [models.aliases]\ndefault = [\"s/m\"]\n"
        ),
    );
    home.run(&["add", &probe().display().to_string(), "--grant-nothing"]).worked();
    Server::with(home, &[])
}

/// Where a client is, fetched once for this and later runs.
fn client(name: &str, fetch: impl Fn(&Path) -> Command) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !place.is_dir() {
        let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let done = Done::of(&mut fetch(draft.path()));
        assert_eq!(done.code, 0, "{done:?}");
        // Another run may have been faster.
        drop(std::fs::rename(draft.path(), &place));
    }
    place
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/suite/openai").join(name)
}

#[test]
fn the_official_client_for_python_works_with_agents_and_skills() {
    let packages = client("openai-python-3.57.0", |place| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        pip.arg("--target").arg(place).arg("openai==3.57.0");
        pip
    });
    let server = server();
    let mut python = Command::new("python3");
    python.arg(script("client.py")).args([&format!("{}/v1", server.url), &server.client]);
    let done = Done::of(python.env("PYTHONPATH", packages).env_remove("OPENAI_BASE_URL"));
    done.gives("as expected\n");
    server.still_works();
}

#[test]
fn the_official_client_for_javascript_works_with_agents_and_skills() {
    let packages = client("openai-node-6.49.0", |place| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-fund", "--no-audit", "--prefix"]);
        npm.arg(place).arg("openai@6.49.0");
        npm
    });
    let server = server();
    // Node looks for packages above the file.
    let program = server.home.path("client.mjs");
    std::fs::copy(script("client.mjs"), &program).unwrap();
    std::os::unix::fs::symlink(packages.join("node_modules"), server.home.path("node_modules")).unwrap();
    let mut node = Command::new("node");
    node.arg(program).args([&format!("{}/v1", server.url), &server.client]);
    Done::of(node.env_remove("OPENAI_BASE_URL")).gives("as expected\n");
    server.still_works();
}

#[test]
fn nothing_is_answered_without_a_token_and_no_answer_names_a_path_of_the_host() {
    let server = server();
    let body = json!({ "model": "skill:probe/put", "messages": [{ "role": "user", "content": "{\"key\":\"k\",\"value\":\"v\"}" }] });
    for path in ["/v1/chat/completions", "/v1/responses"] {
        let lines = ["Content-Type: application/json"];
        assert_eq!(server.ask(&format!("POST {path}"), &lines, &body.to_string()).status, 401, "{path}");
    }
    assert_eq!(server.ask("GET /v1/models", &[], "").status, 401);
    // A skill that has been granted nothing is refused in the interface's own form.
    let refused = server.post("/v1/chat/completions", &[], &body);
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (403, &json!("permission_error")), "{refused:?}");
    assert!(!refused.body.contains(&server.home.path("").display().to_string()), "{refused:?}");
    assert!(server.get("/v1/models").body.contains("skill:probe/echo"));
    // What a skill would not see is not taken.
    let user = json!({ "role": "user", "content": "Hi" });
    for role in ["system", "developer"] {
        let order = json!({ "role": role, "content": "Be brief." });
        let asked = json!({ "model": "skill:probe/echo", "messages": [order, user] });
        let refused = server.post("/v1/chat/completions", &[], &asked);
        let error = refused.json()["error"].take();
        assert_eq!((refused.status, &error["param"]), (400, &json!("messages")), "{refused:?}");
        assert!(error["message"].as_str().unwrap().contains("there is a system message before it"), "{error}");
    }
    let earlier = json!([{ "role": "user", "content": "Earlier." }, { "role": "assistant", "content": "Yes." }, user]);
    let last = server.post("/v1/chat/completions", &[], &json!({ "model": "skill:probe/echo", "messages": earlier }));
    assert_eq!((last.status, &last.json()["choices"][0]["message"]["content"]), (200, &json!("Hi")), "{last:?}");
    let instructed = json!({ "model": "skill:probe/echo", "input": "Hi", "instructions": "Be brief." });
    assert_eq!(server.post("/v1/responses", &[], &instructed).json()["error"]["param"], "input");
    let blank = json!({ "model": "skill:probe/echo", "messages": [{ "role": "system", "content": "" }, user] });
    assert_eq!(server.post("/v1/chat/completions", &[], &blank).status, 200, "nothing is lost of nothing");
    for path in ["/v1/embeddings", "/v1/completions", "/v1/files"] {
        let missing = server.post(path, &[], &json!({ "model": "skill:probe/echo" }));
        let error = missing.json()["error"].take();
        assert_eq!((missing.status, &error["type"]), (404, &json!("invalid_request_error")), "{missing:?}");
        assert!(error["message"].as_str().unwrap().contains(&format!("`{path}` is not served here")), "{error}");
    }
    server.still_works();
}
