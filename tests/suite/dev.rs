//! `ringfence dev`: the real program, files that are saved, and what it tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::support::process;
use crate::support::terminal::{CTRL_C, Terminal};
use crate::support::{self, Home};

/// The program at work, told about as JSON.
struct Dev {
    child: Child,
    input: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Dev {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut all = vec!["dev", "--format", "json"];
        all.extend(args);
        let mut command = home.command(&all);
        let mut child = process::start(command.stdin(Stdio::piped()));
        let input = child.stdin.take().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, told }
    }

    /// The next thing that is told, which must be `event`.
    #[track_caller]
    fn next(&mut self, event: &str) -> Value {
        let mut line = String::new();
        if self.told.read_line(&mut line).unwrap() == 0 {
            let mut errors = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("it ended before it told `{event}`: {errors}");
        }
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["event"], event, "{told}");
        told
    }

    /// The next thing that is told, which must be one of `events`.
    #[track_caller]
    fn next_of(&mut self, events: &[&str]) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        assert!(events.iter().any(|event| told["event"] == *event), "{told}");
        told
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn end(mut self) {
        process::interrupt(&self.child);
        assert!(self.child.wait().unwrap().success());
    }
}

/// A skill in a folder whose component something else builds: fast, and as whoever brings a compiler of his own works.
struct Folder {
    home: Home,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let home = Home::new();
        let path = home.path("work/live");
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self { home, path };
        folder.manifest("0.1.0", "");
        folder.component("first");
        folder
    }

    fn manifest(&self, version: &str, more: &str) {
        self.save("skill.toml", &format!("name = \"live\"\nversion = \"{version}\"\ndescription = \"Says a word.\"\n{more}\n[build]\ncomponent = \"out.wasm\"\n"));
    }

    /// A component whose function says `word`, of at most 16 letters.
    fn component(&self, word: &str) {
        let bytes = wat::parse_str(format!(
            r#"(component
                (core module $m (memory (export "memory") 1)
                    (data (i32.const 0) "\10\00\00\00\{:02x}\00\00\00") (data (i32.const 16) "{word}")
                    (func (export "say") (result i32) (i32.const 0)))
                (core instance $m (instantiate $m))
                (func (export "say") (result string)
                    (canon lift (core func $m "say") (memory (core memory $m "memory")))))"#,
            word.len()
        ));
        self.save("out.wasm", &bytes.unwrap());
    }

    /// A component whose function never ends.
    fn endless(&self) {
        let bytes = wat::parse_str(
            r#"(component
                (core module $m (memory (export "memory") 1)
                    (func (export "say") (result i32) (loop $again (br $again)) (unreachable)))
                (core instance $m (instantiate $m))
                (func (export "say") (result string)
                    (canon lift (core func $m "say") (memory (core memory $m "memory")))))"#,
        );
        self.save("out.wasm", &bytes.unwrap());
    }

    /// As editors save.
    fn save(&self, name: &str, bytes: impl AsRef<[u8]> + Copy) {
        let new = self.path.join(".new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, self.path.join(name)).unwrap();
    }

    fn dev(&self, more: &[&str]) -> Dev {
        let mut args = vec![self.path.to_str().unwrap()];
        args.extend(more);
        Dev::start(&self.home, &args)
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// What another process lists as behind.
#[track_caller]
fn behind(home: &Home) -> Vec<Value> {
    let list = home.run(&["list", "--format", "json"]).worked().json();
    list.as_array().unwrap().iter().flat_map(|skill| skill["behind"].as_array().unwrap().clone()).collect()
}

#[test]
fn t100_another_process_lists_what_waits_and_what_failed_until_it_serves_or_its_host_ends() {
    let folder = Folder::new();
    let home = &folder.home;
    let mut dev = folder.dev(&[]);
    dev.next("serving");
    assert_eq!(behind(home), [] as [Value; 0]);
    let dev_id = dev.child.id();
    let of = |state: &str, kind: &str, word: &str| {
        let found = behind(home);
        assert_eq!(found.len(), 1, "{found:?}");
        let one = &found[0];
        assert_eq!((&one["state"], &one["kind"]), (&state.into(), &kind.into()), "{one}");
        assert_eq!((&one["name"], &one["serves"]), (&"live".into(), &"0.1.0".into()), "{one}");
        assert_eq!(one["process"], dev_id, "{one}");
        assert_eq!(one["skill"], path(&folder.path.canonicalize().unwrap()), "{one}");
        let text = home.run(&["list"]).worked().out;
        assert!(one["message"].as_str().unwrap().contains(word), "{one}");
        assert!(text.contains(word) && text.contains(state) && text.contains("serves 0.1.0 still"), "{text}");
    };
    folder.manifest("0.2.0", "[permissions.kv]\nreason = \"To count.\"\n");
    dev.next("pending-consent");
    of("pending-consent", "permission-widened", "0.2.0");
    // What does not load.
    folder.manifest("0.2.0", "");
    folder.save("out.wasm", "no component");
    let told = dev.next("failed");
    of("failed", told["kind"].as_str().unwrap(), told["message"].as_str().unwrap());
    // What does not even build.
    folder.save("skill.toml", "name = ");
    let told = dev.next("failed");
    of("failed", told["kind"].as_str().unwrap(), "skill.toml");
    folder.manifest("0.2.0", "");
    folder.component("second");
    while dev.next_of(&["serving", "failed"])["event"] != "serving" {}
    assert_eq!(behind(home), [] as [Value; 0]);
    // A host that is gone is behind in nothing, however it went.
    folder.save("out.wasm", "no component");
    dev.next("failed");
    assert_eq!(behind(home).len(), 1);
    dev.kill();
    assert_eq!(behind(home), [] as [Value; 0]);
    home.run(&["list", "--format", "json"]).gives("[]\n");
}

#[test]
fn a_save_serves_the_next_call_and_its_output_is_compared() {
    let folder = Folder::new();
    let mut dev = folder.dev(&["--call", "say"]);
    let first = dev.next("serving");
    assert_eq!(
        (&first["skill"], &first["version"], &first["tools"][0]),
        (&"live".into(), &"0.1.0".into(), &"say".into())
    );
    let called = dev.next("called");
    assert_eq!(called["result"]["outcome"]["content"][0]["text"], "first");
    assert_eq!(called["result"]["digest"], first["digest"]);
    folder.component("second");
    let second = dev.next("serving");
    assert_ne!(second["digest"], first["digest"]);
    let called = dev.next("called");
    assert_eq!(called["diff"], "- first\n+ second\n");
    // The same output, of another version.
    folder.manifest("0.2.0", "");
    assert_eq!(dev.next("serving")["version"], "0.2.0");
    assert_eq!(dev.next("called")["changed"], false);
    // Typed.
    dev.type_line("say {}");
    assert_eq!(dev.next("called")["result"]["outcome"]["content"][0]["text"], "second");
    dev.type_line("sing {}");
    assert_eq!(dev.next("failed")["kind"], "unknown-tool");
    dev.type_line("say nonsense");
    assert_eq!(dev.next("failed")["kind"], "invalid-input");
    dev.end();
}

#[test]
fn a_call_that_never_ends_does_not_hold_up_what_corrects_it() {
    let folder = Folder::new();
    let mut dev = folder.dev(&["--call", "say"]);
    dev.next("serving");
    dev.next("called");
    folder.endless();
    dev.next("serving");
    // Neither that call nor one that is typed beside it.
    dev.type_line("say");
    dev.type_line("nonsense [");
    assert_eq!(dev.next("failed")["kind"], "invalid-input");
    folder.component("second");
    dev.next("serving");
    let (one, other) = (dev.next_of(&["failed", "called"]), dev.next_of(&["failed", "called"]));
    let (failed, called) = if one["event"] == "failed" { (one, other) } else { (other, one) };
    assert_eq!(failed["kind"], "cancelled", "{failed}");
    assert_eq!(called["result"]["outcome"]["content"][0]["text"], "second", "{called}");
    dev.end();
}

#[test]
fn what_fails_leaves_the_version_before_it_and_recovers() {
    let folder = Folder::new();
    let mut dev = folder.dev(&[]);
    let first = dev.next("serving");
    folder.save("skill.toml", "name = \"live\"\nversion = ");
    let failed = dev.next("failed");
    assert_eq!(failed["kind"], "manifest-invalid");
    assert!(failed["message"].as_str().unwrap().contains("line 2"), "{failed}");
    dev.type_line("say");
    assert_eq!(dev.next("called")["result"]["digest"], first["digest"]);
    folder.save("out.wasm", "half of it");
    // Both are wrong now: one is told at a time.
    dev.next("failed");
    folder.manifest("0.1.0", "");
    let failed = dev.next("failed");
    assert!(["invalid-component", "build-failed"].contains(&failed["kind"].as_str().unwrap()), "{failed}");
    folder.component("first");
    assert_eq!(dev.next("serving")["digest"], first["digest"], "as it was");
    // Deleted and made again.
    let aside = folder.home.path("aside");
    std::fs::rename(&folder.path, &aside).unwrap();
    dev.next("failed");
    std::fs::rename(&aside, &folder.path).unwrap();
    dev.next("serving");
    dev.end();
}

#[test]
fn a_skill_that_is_broken_at_first_serves_once_it_is_right() {
    let folder = Folder::new();
    folder.save("skill.toml", "name = ");
    let mut dev = folder.dev(&["--call", "say"]);
    assert_eq!(dev.next("failed")["kind"], "manifest-invalid");
    dev.type_line("say");
    assert_eq!(dev.next("failed")["message"], "nothing serves yet");
    folder.manifest("0.1.0", "");
    dev.next("serving");
    dev.next("called");
    dev.end();
}

#[test]
fn a_version_that_asks_for_more_waits() {
    let folder = Folder::new();
    let kv = "[permissions.kv]\nreason = \"To count.\"\n";
    let mut dev = folder.dev(&[]);
    let first = dev.next("serving");
    folder.manifest("0.2.0", kv);
    let waits = dev.next("pending-consent");
    assert_eq!((&waits["version"], &waits["more"][0]["grant"]), (&"0.2.0".into(), &"kv".into()));
    dev.type_line("say");
    assert_eq!(dev.next("called")["result"]["digest"], first["digest"]);
    // A pipe is nobody who could consent.
    dev.type_line("allow");
    assert_eq!(dev.next("failed")["kind"], "denied");
    // Taken back.
    folder.manifest("0.1.0", "");
    assert_eq!(dev.next("serving")["digest"], first["digest"]);
    dev.end();
    // Who said so before need not be asked.
    let mut dev = folder.dev(&["--allow", "kv"]);
    dev.next("serving");
    folder.manifest("0.2.0", kv);
    assert_eq!(dev.next("serving")["version"], "0.2.0");
    dev.end();
    let granted = folder.home.run(&["permissions", &path(&folder.path), "--format", "json"]);
    assert_eq!(granted.json()["granted"]["always"].as_array().unwrap().len(), 0, "it was for as long as that ran");
}

#[test]
fn a_version_that_asks_for_more_than_it_needs_serves_without_it() {
    let folder = Folder::new();
    let mut dev = folder.dev(&[]);
    dev.next("serving");
    folder.manifest("0.2.0", "[permissions.kv]\noptional = true\n");
    assert_eq!(dev.next("serving")["version"], "0.2.0");
    // To need it is no wish for more, and grants nothing either.
    folder.manifest("0.3.0", "[permissions.kv]\n[permissions.files.folders.docs]\noptional = true\n");
    assert_eq!(dev.next("serving")["version"], "0.3.0");
    // What is new and needed waits, and is told with what is new and not needed.
    folder
        .manifest("0.4.0", "[permissions.kv]\n[permissions.user]\n[permissions.files.folders.out]\noptional = true\n");
    let waits = dev.next("pending-consent");
    let more = waits["more"].as_array().unwrap().iter().map(|one| (&one["grant"], &one["optional"]));
    let more: Vec<_> = more.map(|(grant, optional)| (grant.as_str().unwrap(), optional.as_bool().unwrap())).collect();
    assert_eq!(more, [("files=out:FOLDER", true), ("user", false)]);
    dev.end();
    let granted = folder.home.run(&["permissions", &path(&folder.path), "--format", "json"]);
    assert_eq!(granted.json()["granted"], serde_json::json!({ "always": [], "session": [] }));
}

#[test]
fn a_person_at_the_terminal_lets_it_serve() {
    let folder = Folder::new();
    let mut terminal = Terminal::start(&folder.home, &["dev", &path(&folder.path)]);
    terminal.expect("live 0.1.0 serves");
    folder.manifest("0.2.0", "[permissions.kv]\nreason = \"To count.\"\n");
    terminal.expect("live 0.2.0 waits").expect("type `allow`");
    terminal.press("allow\r");
    terminal.expect("live 0.2.0 serves");
    terminal.press("say\r").expect("first");
    terminal.press(CTRL_C);
    let (code, _) = terminal.end();
    assert_eq!(code, 0);
    let granted = folder.home.run(&["permissions", &path(&folder.path), "--format", "json"]);
    assert_eq!(granted.json()["granted"]["always"][0], "kv");
}

#[test]
fn a_folder_that_is_left_open_is_named_by_a_flag() {
    let folder = Folder::new();
    let mut dev = folder.dev(&["--yes"]);
    dev.next("serving");
    folder.manifest("0.2.0", "[permissions.files.folders.docs]\nmode = \"read\"\nreason = \"To read.\"\n");
    let failed = dev.next("failed");
    assert_eq!(failed["kind"], "denied", "{failed}");
    assert!(failed["hint"].as_str().unwrap().contains("--allow files=docs:./notes"), "{failed}");
    dev.end();
    folder.manifest("0.1.0", "");
    let mut dev = folder.dev(&["--allow", "files=docs:."]);
    dev.next("serving");
    folder.manifest("0.2.0", "[permissions.files.folders.docs]\nmode = \"read\"\nreason = \"To read.\"\n");
    assert_eq!(dev.next("serving")["version"], "0.2.0");
    dev.end();
}

#[test]
fn the_configuration_is_read_anew() {
    let folder = Folder::new();
    folder.manifest("0.1.0", "[config]\ntype = \"object\"\nproperties = { word = { type = \"string\" } }\n");
    let mut dev = folder.dev(&[]);
    dev.next("serving");
    let config = ".config/ringfence/config.toml";
    folder.home.write(config, "[skills.live.config]\nword = \"x\"\n[engine]\nqueue = 7\n");
    assert_eq!(dev.next("configured")["later"][0], "engine");
    folder.home.write(config, "[skills.live.config]\nword = 7\n");
    assert_eq!(dev.next("failed")["kind"], "config-invalid");
    dev.type_line("say");
    dev.next("called");
    dev.end();
}

#[test]
fn a_file_that_something_else_builds_is_followed_too() {
    let home = Home::new();
    let bytes = std::fs::read(support::probe()).unwrap();
    let file = home.write("work/probe.wasm", &bytes);
    let mut dev = Dev::start(&home, &[file.to_str().unwrap(), "--yes"]);
    let first = dev.next("serving");
    // Written in place, and without a seal at its end: it is taken once it stays as it is.
    let mut other = bytes.clone();
    other.extend([0, 4, 1]);
    other.extend(*b"xyz");
    std::fs::write(&file, &other).unwrap();
    assert_ne!(dev.next("serving")["digest"], first["digest"]);
    dev.type_line("quit");
    assert!(dev.child.wait().unwrap().success());
    // What is no path is told at once.
    home.run(&["dev", "nothing"]).fails(
        "not-found",
        2,
        "`nothing` is no folder and no .wasm file",
        "folder with skill.toml",
    );
}
