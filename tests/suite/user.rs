//! Questions to the person: through a host, and at a terminal of the real program's own.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ringfence_core::engine::LimitSettings;
use ringfence_core::{Call, Question};
use serde_json::json;

use crate::support::hosts::{said, stored};
use crate::support::people::{Patient, Script};
use crate::support::{Home, TestHost};

const ASKS: &str = "[permissions.user]\nreason = \"To know more.\"\n[permissions.kv]\n";

#[tokio::test]
async fn a_question_needs_a_grant_and_somebody_there() {
    let host = TestHost::new().await;
    let a = host.install("a", ASKS, &[]).await;
    let question = || json!({ "text": "Who?" });
    let person = Script::new([Some(json!("Ada"))]);
    let call = Call { person: Some(person.clone()), ..stored(&a, "question", question()) };
    let error = host.host.invoke(call).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint().as_str()),
        ("refused", "run `ringfence grant a user` to allow it, where the manifest requests it")
    );
    assert!(person.asked().is_empty());

    host.host.grant("a", ringfence_core::Grants::parse(["user"]).unwrap()).await.unwrap();
    let error = host.stored(&a, "question", question()).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable");
    assert!(error.to_string().contains("nobody is there"), "{error}");
    let call = Call { person: Some(person.clone()), ..stored(&a, "question", question()) };
    assert_eq!(said(&host.host.invoke(call).await.unwrap()), "\"Ada\"");
    assert!(matches!(&person.asked()[0], Question::Skill { skill, text, .. } if skill == "a" && text == "Who?"));
    host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_stands_no_longer_than_it_may() {
    let host = TestHost::new().await;
    let a = host.install("a", ASKS, &["user"]).await;
    let (silent, _desk) = Patient::new();
    let call = |input| Call { person: Some(silent.clone()), ..stored(&a, "question", input) };
    let error = host.host.invoke(call(json!({ "text": "Who?", "timeout_ms": 50 }))).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable");
    assert!(error.to_string().contains("nobody answered"), "{error}");
    let begun = Instant::now();
    let limits = LimitSettings { wall_seconds: Some(1), ..LimitSettings::default() };
    let error = host.host.invoke(Call { limits, ..call(json!({ "text": "Who?" })) }).await.unwrap_err();
    assert_eq!(error.kind(), "deadline", "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1_250), "{:?}", begun.elapsed());
    host.still_works().await;
}

#[tokio::test]
async fn a_kept_answer_lasts_until_it_is_forgotten() {
    let host = TestHost::new().await;
    let a = host.install("a", ASKS, &["user"]).await;
    let input = || json!({ "text": "Tone?", "schema": "{\"type\":\"string\"}", "remember": "tone" });
    let person = Script::new([Some(json!("formal")), Some(json!(true))]);
    let call = Call { person: Some(person.clone()), ..stored(&a, "question", input()) };
    assert_eq!(said(&host.host.invoke(call).await.unwrap()), "\"formal\"");
    assert!(matches!(&person.asked()[1], Question::Keep { name, .. } if name == "tone"));
    assert_eq!(said(&host.stored(&a, "question", input()).await.unwrap()), "\"formal\"", "nobody was there");
    let kept = host.host.answers("a").await.unwrap();
    assert_eq!((kept.len(), kept[0].name.as_str(), &kept[0].answer), (1, "tone", &json!("formal")));
    assert_eq!(host.host.forget("a", Some("other")).await.unwrap(), 0);
    assert_eq!(host.host.forget("a", Some("tone")).await.unwrap(), 1);
    assert_eq!(host.stored(&a, "question", input()).await.unwrap_err().kind(), "unavailable");
}

#[tokio::test]
async fn a_skill_that_is_called_asks_in_its_own_name_and_only_where_both_may() {
    let host = TestHost::new().await;
    host.install("b", ASKS, &["user"]).await;
    let calls = "[permissions.tools]\ntools = [\"b/*\"]\n";
    let a = host.install("a", &format!("{calls}{ASKS}"), &["tools=b/*", "user"]).await;
    let other = host.install("other", calls, &["tools=b/*"]).await;
    let input = || json!({ "name": "b/question", "input": { "text": "Who?" } });
    let person = Script::new([Some(json!("Ada"))]);
    let call = Call { person: Some(person.clone()), ..stored(&other, "relay", input()) };
    let error = host.host.invoke(call).await.unwrap_err();
    assert!(error.to_string().contains("only what both may"), "{error}");
    assert_eq!(error.hint(), "run `ringfence grant other user` to allow it, where the manifest requests it");
    let call = Call { person: Some(person.clone()), ..stored(&a, "relay", input()) };
    assert_eq!(said(&host.host.invoke(call).await.unwrap()), "\"Ada\"");
    assert!(matches!(&person.asked()[..], [Question::Skill { skill, .. }] if skill == "b"));
}

/// The real program at a terminal of its own, made by `script` of util-linux.
struct Session {
    child: Child,
    keys: ChildStdin,
    bytes: Receiver<Vec<u8>>,
    seen: String,
}

impl Session {
    /// Words may hold no quotes.
    fn start(home: &Home, args: &[&str]) -> Self {
        let words: Vec<_> =
            [env!("CARGO_BIN_EXE_ringfence")].iter().chain(args).map(|word| format!("'{word}'")).collect();
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"]);
        home.environment(&mut command);
        command.current_dir(home.work()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child =
            started.unwrap_or_else(|error| panic!("`script` of util-linux makes the terminal here: {error}"));
        let (send, bytes) = channel();
        let mut out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = child.stdin.take().unwrap();
        Self { child, keys, bytes, seen: String::new() }
    }

    /// Waits until this is shown, and forgets everything up to there.
    #[track_caller]
    fn shows(&mut self, text: &str) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                let before: String = self.seen.drain(..at + text.len()).collect();
                return before;
            }
            match self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("`{text}` was not shown ({error}): {}", self.seen),
            }
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// The exit code, and what was shown last.
    fn ends(mut self) -> (i32, String) {
        // The end of the input must not come before the program has ended: `script` would type an end of file.
        let until = Instant::now() + Duration::from_secs(60);
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            if Instant::now() > until {
                self.child.kill().unwrap();
                panic!("the program does not end: {}", self.seen);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(bytes) = self.bytes.recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (code, self.seen.replace("\r\n", "\n"))
    }
}

/// A skill that may ask, as a file, and a home to run it in.
fn asking(config: &str) -> (Home, String) {
    let home = Home::with_config(config);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let package = runtime.block_on(async {
        let host = TestHost::new().await;
        std::fs::read(host.packaged("a", ASKS).await).unwrap()
    });
    let skill = home.write("work/a.wasm", package).display().to_string();
    home.run(&["grant", &skill, "user", "kv"]).worked();
    (home, skill)
}

#[test]
fn a_person_at_a_terminal_answers() {
    let (home, skill) = asking("");
    let question = ["run", &skill, "--tool", "question", "--text", "Which\x1b[2J colour?", "--remember", "colour"];
    let mut session = Session::start(&home, &question);
    let shown = session.shows("asks you (these are the skill's words):");
    assert!(!shown.contains("[2J"), "{shown:?}");
    session.shows("| Which\u{fffd}[2J colour?");
    session.shows("> ");
    session.types("dark blue\n");
    session.shows("Keep it as `colour`");
    session.shows("[y/N] ");
    session.types("y\n");
    let (code, shown) = session.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\"dark blue\"\n"), "{shown}");
    // The same question once more: nobody is asked, and nobody is there.
    home.run(&question).gives("\"dark blue\"\n");
    home.run(&question[..6]).fails("unavailable", 4, "nobody is there", "terminal");
}

#[test]
fn a_person_at_a_terminal_corrects_and_declines() {
    let (home, skill) = asking("");
    let schema = r#"{"type":"integer","minimum":3}"#;
    let question = ["run", &skill, "--tool", "question", "--text", "How many?", "--schema", schema];
    let mut session = Session::start(&home, &question);
    for (keys, shown) in [("many\n", "Not a whole number."), ("2\n", "less than the minimum")] {
        session.shows("> ");
        session.types(keys);
        session.shows(shown);
    }
    session.shows("> ");
    session.types("5\n");
    let (code, shown) = session.ends();
    assert!(code == 0 && shown.contains("5\n"), "{code} {shown}");

    // Ctrl-D is no answer, and the skill is told.
    let mut session = Session::start(&home, &question);
    session.shows("> ");
    session.types("\x04");
    let (code, shown) = session.ends();
    assert!(code != 0 && shown.contains("cancelled"), "{code} {shown}");

    // Ctrl-C ends the run, and the terminal is as it was.
    let mut session = Session::start(&home, &question);
    session.shows("> ");
    session.types("\x03");
    let (code, shown) = session.ends();
    assert!(code == 130 && shown.contains("error[cancelled]"), "{code} {shown}");

    // A question that is over is taken back.
    let question = [&question[..6], &["--timeout-ms", "300"]].concat();
    let session = Session::start(&home, &question);
    let (code, shown) = session.ends();
    // That it is taken back is written at the same moment, and may come too late to be seen: `ui/person/talk.rs` tests it.
    assert!(code != 0 && shown.contains("nobody answered"), "{shown}");
}

#[test]
fn an_act_that_a_rule_asks_about_is_shown_and_allowed_by_hand() {
    let (home, skill) = asking("[rules.user]\nkv = \"ask\"\n");
    let put = ["run", &skill, "--tool", "put", "--key", "name", "--value", "Ada"];
    for (keys, code, shown) in [("y\n", 0, "1\n"), ("n\n", 3, "did not allow it"), ("\n", 3, "did not allow it")] {
        let mut session = Session::start(&home, &put);
        session.shows("wants to use `kv` (called by user):");
        session.shows("| kv set name");
        session.shows("[y/N] ");
        session.types(keys);
        let (ended, told) = session.ends();
        assert!(ended == code && told.contains(shown), "{keys:?}: {ended} {told}");
    }
    // Nobody is there: refused, with the reason.
    home.run(&put).fails("refused", 3, "nobody is there", "rules.user.kv");
}
