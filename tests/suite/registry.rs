//! Publishing and installing through a registry that others wrote: Debian's `docker-registry`, on loopback. It has no API for
//! referrers, so signatures travel under the tag that stands in for it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use ringfence_core::catalog::source::Digest;
use serde_json::{Value, json};

use crate::support::{Home, wat};

/// The package, fixed: name, version, and what its file has to be.
const PACKAGE: (&str, &str) =
    ("docker-registry=2.8.2+ds1-1", "sha256:a9bd06c0e006854608f8469b4371743f40604ad90975532bb3b7ceeb72fe2913");

/// The registry's program: fetched once by the system's package client, without installing it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker-registry");
        let program = kept.join("usr/bin/docker-registry");
        if program.is_file() {
            return program;
        }
        let need = "this test needs a Debian system with `apt-get` and `dpkg`, and its package docker-registry";
        let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let said = |command: &mut Command| {
            let done = command.current_dir(fresh.path()).stdin(Stdio::null()).output();
            let done = done.unwrap_or_else(|error| panic!("{need}: {error}"));
            assert!(done.status.success(), "{need}: {}", String::from_utf8_lossy(&done.stderr));
        };
        // With lists of its own: those of the system may be missing or old, and only root may renew them.
        let client = || {
            let mut client = Command::new("apt-get");
            client.arg("-q").args(["-o", "APT::Sandbox::User=root"]);
            for (what, folder) in [("Dir::State", "state"), ("Dir::Cache", "cache")] {
                std::fs::create_dir_all(fresh.path().join(folder).join("lists/partial")).unwrap();
                std::fs::create_dir_all(fresh.path().join(folder).join("archives/partial")).unwrap();
                client.arg("-o").arg(format!("{what}={}", fresh.path().join(folder).display()));
            }
            client
        };
        said(client().arg("update"));
        said(client().args(["download", PACKAGE.0]));
        let mut files = std::fs::read_dir(fresh.path()).unwrap().map(|entry| entry.unwrap().path());
        let package = files.find(|path| path.extension().is_some_and(|end| end == "deb")).expect(need);
        assert_eq!(Digest::of(&std::fs::read(&package).unwrap()).as_str(), PACKAGE.1, "{need}: it is another one");
        said(Command::new("dpkg").arg("-x").arg(&package).arg("x"));
        match std::fs::rename(fresh.path().join("x"), &kept) {
            Ok(()) => {}
            // Another process was first.
            Err(_) => assert!(program.is_file(), "{need}"),
        }
        program
    })
}

struct Registry {
    child: Child,
    at: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        Self::with("")
    }

    /// With one user, `me`, whose password is `hunter2`.
    fn closed() -> Self {
        Self::with("auth:\n  htpasswd:\n    realm: closed\n    path: USERS\n")
    }

    fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let users = dir.path().join("users");
        std::fs::write(&users, "me:$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm\n").unwrap();
        let root = dir.path().join("store");
        let config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{}",
            root.display(),
            more.replace("USERS", &users.display().to_string())
        );
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program());
        command.arg("serve").arg(&file).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let at = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the registry has not begun: {said:?}"));
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ',']).next().unwrap_or_default().to_owned();
            }
            said.push(line);
        };
        // Nobody reads what it says from now on, and it must not wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, at, _dir: dir }
    }

    fn name(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.at)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn hello(version: &str, permissions: Value) -> Vec<u8> {
    wat::named("hello", version, permissions)
}

#[test]
fn what_is_pushed_is_pulled_and_installed_as_it_was() {
    let registry = Registry::start();
    let home = Home::unsigned();
    let bytes = hello("1.0.0", json!({}));
    home.write("work/hello.wasm", &bytes);
    home.write("work/hello.wasm.minisig", "a signature");
    home.write("work/hello.wasm.sigstore.json", "{\"a\":\"bundle\"}");
    let to = registry.name("team/hello:1.0.0");
    let pushed = home.run(&["push", "./hello.wasm", &to]).worked();
    let exact = pushed.out.trim().to_owned();
    assert!(exact.starts_with(&registry.name("team/hello@sha256:")), "{exact}");
    assert!(pushed.err.contains("2 signatures"), "{pushed:?}");
    // The same again is nothing new, and does not double what refers to it.
    let again = home.run(&["push", "./hello.wasm", &to, "--format", "json"]).worked().json();
    assert_eq!(again["component"], Digest::of(&bytes).as_str());

    for name in [&to, &exact] {
        std::fs::create_dir_all(home.path("work/there")).unwrap();
        let pulled = home.run(&["pull", name, "-o", "there/x.wasm", "--force"]).worked();
        assert_eq!(pulled.out.trim(), Digest::of(&bytes).as_str());
        let read = |file: &str| std::fs::read(home.path("work/there").join(file)).unwrap();
        assert_eq!(read("x.wasm"), bytes);
        assert_eq!(read("x.wasm.minisig"), b"a signature");
        assert_eq!(read("x.wasm.sigstore.json"), b"{\"a\":\"bundle\"}");
        std::fs::remove_dir_all(home.path("work/there")).unwrap();
    }
    home.run(&["pull", &to]).fails("already-exists", 2, "hello.wasm", "--force");

    home.run(&["add", &to]).worked();
    let list = home.run(&["list", "--format", "json"]).worked().json();
    assert_eq!((&list[0]["source"], &list[0]["digest"]), (&json!(to), &json!(Digest::of(&bytes))));
    home.run(&["run", "hello", "--tool", "act"]).worked();

    home.run(&["add", &registry.name("team/nothing:1")]).fails("not-found", 2, "team/nothing:1", "spelling");
    home.run(&["push", "./hello.wasm", &exact]).fails("reference-invalid", 2, "name a tag", "oci://");
    home.run(&["add", &to, "--offline"]).fails("unavailable", 4, "--offline", "name a file");
}

#[test]
fn newer_tags_and_moved_ones_are_updates_and_digests_are_not() {
    let registry = Registry::start();
    let home = Home::unsigned();
    let push = |version: &str, tag: &str, permissions: Value| {
        home.write("work/hello.wasm", hello(version, permissions));
        let pushed = home.run(&["push", "./hello.wasm", &registry.name(&format!("hello:{tag}"))]).worked();
        pushed.out.trim().to_owned()
    };
    let row = |home: &Home| home.run(&["outdated", "--format", "json"]).worked().json()[0].clone();
    let exact = push("1.0.0", "1.0.0", json!({}));
    home.run(&["add", &registry.name("hello:1.0.0")]).worked();
    assert_eq!(row(&home)["state"], "current");
    push("1.10.0", "1.10.0", json!({}));
    push("1.9.0", "1.9.0", json!({}));
    push("2.0.0-rc.1", "2.0.0-rc.1", json!({}));
    assert_eq!((&row(&home)["state"], &row(&home)["available"]), (&json!("newer"), &json!("1.10.0")));
    home.run(&["update", "hello"]).worked();
    assert_eq!((&row(&home)["state"], &row(&home)["installed"]), (&json!("current"), &json!("1.10.0")));
    push("1.11.0", "1.11.0", json!({ "kv": {} }));
    home.run(&["update"]).fails("permission-widened", 3, "keep data", "--yes");
    home.run(&["update", "--yes"]).worked();
    let held = home.run(&["permissions", "hello", "--format", "json"]).worked().json();
    assert_eq!(held["granted"]["always"], json!(["kv"]));

    // A digest is one thing for ever.
    home.run(&["add", &exact, "--allow-downgrade"]).worked();
    assert_eq!((&row(&home)["state"], &row(&home)["installed"]), (&json!("pinned"), &json!("1.0.0")));
    // A tag that is no version is followed where it goes, but not back.
    push("3.0.0", "stable", json!({}));
    home.run(&["add", &registry.name("hello:stable")]).worked();
    assert_eq!(row(&home)["state"], "current");
    push("3.1.0", "stable", json!({}));
    home.run(&["update"]).worked();
    assert_eq!(row(&home)["installed"], "3.1.0");
    push("3.0.0", "stable", json!({}));
    home.run(&["update"]).fails("rollback-refused", 3, "3.0.0", "--allow-downgrade");
}

#[test]
fn a_lock_brings_the_same_bytes_after_the_tag_has_moved() {
    let registry = Registry::start();
    let home = Home::unsigned();
    home.write("work/ringfence.toml", "");
    let to = registry.name("hello:stable");
    home.write("work/hello.wasm", hello("1.0.0", json!({})));
    home.run(&["push", "./hello.wasm", &to]).worked();
    home.run(&["add", &to, "--lock"]).worked();
    let lock = std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap();
    assert!(lock.contains(&to) && lock.contains("exact = \"oci://") && lock.contains("wit = \"0.1.0\""), "{lock}");
    home.write("work/hello.wasm", hello("1.1.0", json!({})));
    home.run(&["push", "./hello.wasm", &to]).worked();

    // Somebody else's clone of the project.
    let clone = Home::unsigned();
    clone.write("work/ringfence.toml", "");
    clone.write("work/ringfence.lock", &lock);
    assert_eq!(clone.run(&["sync"]).worked().out, "hello 1.0.0 installed\n");
    assert_eq!(clone.run(&["sync", "--frozen"]).worked().out, "hello 1.0.0 was there\n");
    clone.run(&["add", &to, "--locked"]).fails("lock-changed", 3, "1.1.0", "ringfence sync");
    // What was locked is still what an update begins from.
    clone.run(&["update"]).worked();
    let now = std::fs::read_to_string(clone.path("work/ringfence.lock")).unwrap();
    assert!(now.contains("version = \"1.1.0\""), "{now}");
    assert_eq!(std::fs::read_to_string(home.path("work/ringfence.lock")).unwrap(), lock);
}

#[test]
fn logins_are_those_of_docker() {
    let registry = Registry::closed();
    let home = Home::unsigned();
    home.write("work/hello.wasm", hello("1.0.0", json!({})));
    let to = registry.name("hello:1");
    let push = || home.run(&["push", "./hello.wasm", &to]);
    push().fails("unauthorized", 3, "wants a login", "docker login 127.0.0.1:");
    let keep = |user: &str, secret: &str| {
        use std::io::Write as _;
        let mut encode = Command::new("base64").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        encode.stdin.take().unwrap().write_all(format!("{user}:{secret}").as_bytes()).unwrap();
        let auth = String::from_utf8(encode.wait_with_output().unwrap().stdout).unwrap();
        let config = json!({ "auths": { registry.at.as_str(): { "auth": auth.trim() } } });
        home.write(".docker/config.json", config.to_string());
    };
    keep("me", "wrong-secret");
    let refused = push();
    refused.fails("unauthorized", 3, "wants a login", "docker login");
    assert!(!refused.err.contains("wrong-secret"));
    keep("me", "hunter2");
    push().worked();
    home.run(&["add", &to, "-vv"]).worked();

    // Helpers, as desktops have them: one that works, and one that does not. Both are written before anything is started: what another
    // thread's child still has open for writing cannot be run.
    for (name, does) in [
        ("fake", "cat > /dev/null\necho '{\"Username\":\"me\",\"Secret\":\"hunter2\"}'\n"),
        ("broken", "cat > /dev/null\necho hunter2 >&2\nexit 1\n"),
    ] {
        let helper = home.write(&format!("bin/docker-credential-{name}"), format!("#!/bin/sh\n{does}"));
        std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let with_helper = |name: &str| {
        home.write(".docker/config.json", json!({ "credsStore": name }).to_string());
        let mut command = home.command(&["pull", &to, "-o", "y.wasm", "--force"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", home.path("bin").display()));
        crate::support::Done::of(&mut command)
    };
    with_helper("fake").worked();
    let failed = with_helper("broken");
    failed.fails("unauthorized", 3, "docker-credential-broken", "docker login");
    assert!(!failed.err.contains("hunter2"));
}

#[test]
fn a_fetch_that_is_stopped_leaves_what_was_there() {
    use crate::support::peer::{Peer, Said};
    use crate::support::terminal::CTRL_C;

    let home = Home::unsigned();
    home.write("work/hello.wasm", hello("1.0.0", json!({})));
    home.run(&["add", "./hello.wasm"]).worked();
    let peer = Peer::says(|_| Said::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n\0asm".to_vec()));
    let url = peer.url("/hello.wasm");
    let mut terminal = crate::support::Terminal::start(&home, &["add", &url]);
    terminal.expect("hello.wasm");
    // The state is free while something is fetched.
    let list = home.run(&["list", "--format", "json"]).worked().json();
    terminal.press(CTRL_C);
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert_eq!(home.run(&["list", "--format", "json"]).worked().json(), list);
}
