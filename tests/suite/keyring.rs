//! The key of the secrets in the keyring of a session: the real program, the real D-Bus library, and a small Secret Service.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::secret_service::{Mood, SecretService};
use crate::support::{Done, Home};

const VALUE: &str = "sk-CANARY-0123456789abcdef";

struct Session {
    home: Home,
    service: SecretService,
    bus: String,
}

impl Session {
    fn new(mood: Mood) -> Self {
        let home = Home::new();
        let socket = home.path("bus");
        let service = SecretService::at(&socket, mood);
        Self { home, service, bus: format!("unix:path={}", socket.display()) }
    }

    fn run(&self, args: &[&str]) -> Done {
        let mut command = self.home.command(args);
        let done = Done::of(command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus).env("MINE", VALUE));
        assert!(!done.out.contains("CANARY") && !done.err.contains("CANARY"), "a value was shown");
        for kept in self.service.shared.lock().unwrap().items.values() {
            let key = std::str::from_utf8(&kept.value).unwrap();
            assert!(!done.out.contains(key) && !done.err.contains(key), "the key was shown");
        }
        done
    }

    fn set(&self, name: &str, more: &[&str]) -> Done {
        self.run(&[&["secret", "set", name, "--host", "api.example.com", "--from-env", "MINE"], more].concat())
    }

    fn doctor(&self) -> (String, String) {
        let findings = self.run(&["doctor", "--format", "json"]).json();
        let finding = findings.as_array().unwrap().iter().find(|finding| finding["subject"] == "secrets").unwrap();
        (finding["state"].as_str().unwrap().to_owned(), finding["detail"].as_str().unwrap().to_owned())
    }

    fn has_file(&self) -> bool {
        self.home.path("state/secrets.key").exists()
    }

    /// The methods that were called since the last look.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.service.shared.lock().unwrap().calls)
    }

    fn keeps_its_key_in_the_service(&self) {
        let (state, detail) = self.doctor();
        assert!(
            state == "ok" && detail.contains("will be made") || detail.contains("is made in the keyring"),
            "{detail}"
        );
        self.calls();
        // What needs no secret asks for none.
        self.run(&["list"]).worked();
        self.run(&["secret", "list"]).worked();
        assert_eq!(self.calls(), [""; 0]);

        self.set("FIRST", &[]).worked();
        assert!(!self.has_file());
        {
            let shared = self.service.shared.lock().unwrap();
            let [kept] = shared.items.values().collect::<Vec<_>>()[..] else { panic!("{shared:?}") };
            assert!(kept.label.contains("Ringfence") && kept.attributes["application"] == "ringfence", "{kept:?}");
            assert!(kept.value.len() >= 32, "a key in base64");
        }
        // The next one asks for it, and another place in the configuration moves nothing.
        self.set("SECOND", &["--set", "secrets.key-place=file"]).worked();
        assert!(self.calls().contains(&"GetSecret".to_owned()));
        let (state, detail) = self.doctor();
        assert!(state == "ok" && detail == "2, encrypted; the key is in the keyring Secret Service", "{detail}");

        // Away, it is an error that says so; what needs no key goes on, and there is never a new one.
        for (mood, sentence) in [
            (Mood::Locked, "is in the keyring Secret Service, which is locked"),
            (Mood::Hangs, "is in the keyring Secret Service, which does not answer within 3 s"),
            (Mood::Nobody, "is in the keyring Secret Service, which is not there: no program"),
        ] {
            self.service.becomes(mood);
            let done = self.set("THIRD", &[]);
            done.fails("keyring-unavailable", 4, sentence, "");
            assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
            let (state, detail) = self.doctor();
            assert!(state == "problem" && detail.contains(sentence), "{detail}");
            assert!(self.run(&["secret", "list"]).worked().out.contains("SECOND"));
            assert!(!self.calls().contains(&"Prompt".to_owned()), "nobody is asked");
        }
        self.service.becomes(Mood::Works);
        let items = std::mem::take(&mut self.service.shared.lock().unwrap().items);
        self.set("THIRD", &[]).fails("secret-key-missing", 6, "has none of this host", "`ringfence secret remove`");
        self.service.shared.lock().unwrap().items = items;

        // Out of it, and back.
        self.run(&["secret", "move-key", "file"]).worked();
        assert!(self.has_file() && self.service.shared.lock().unwrap().items.is_empty());
        self.set("THIRD", &[]).worked();
        self.run(&["secret", "move-key", "keyring"]).gives("the key of the secrets is in the keyring Secret Service\n");
        assert!(!self.has_file());
        self.set("FOURTH", &[]).worked();
        let (_, detail) = self.doctor();
        assert_eq!(detail, "4, encrypted; the key is in the keyring Secret Service");
    }
}

#[test]
fn the_key_of_the_secrets_is_kept_in_the_sessions_keyring() {
    Session::new(Mood::Works).keeps_its_key_in_the_service();
}

/// The same across the reference implementation of a bus, where it is installed.
#[test]
fn the_key_is_kept_across_a_real_bus() {
    let home = Home::new();
    let socket = home.path("bus");
    let mut command = Command::new("dbus-daemon");
    command.args(["--session", "--nofork", "--print-address"]).arg(format!("--address=unix:path={}", socket.display()));
    let Ok(mut daemon) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        return eprintln!("not tried: there is no dbus-daemon");
    };
    let mut bus = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut bus).unwrap();
    let bus = bus.trim().to_owned();
    let session = Session { home, service: SecretService::on(&bus, Mood::Works), bus };
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.keeps_its_key_in_the_service()));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    done.unwrap();
}

#[test]
fn without_a_keyring_that_works_the_key_is_in_a_file_and_nobody_is_asked() {
    for (mood, sentence) in [
        (Mood::Locked, "is locked"),
        (Mood::Hangs, "does not answer within 3 s"),
        (Mood::Empty, "has no default collection"),
        (Mood::Nobody, "no program of this session serves it"),
    ] {
        let session = Session::new(mood);
        let strict = session.set("A", &["--set", "secrets.key-place=keyring"]);
        strict.fails("keyring-unavailable", 4, sentence, "secrets.key-place = \"file\"");
        assert!(!session.has_file());
        let done = session.set("A", &[]).worked();
        assert!(session.has_file() && done.took < Duration::from_secs(20), "{mood:?}: {:?}", done.took);
        // It was decided: the keyring is not asked again, though it works by now.
        session.service.becomes(Mood::Works);
        let calls = session.calls();
        assert!(!calls.contains(&"Prompt".to_owned()) && !calls.contains(&"CreateItem".to_owned()), "{calls:?}");
        session.set("B", &[]).worked();
        assert_eq!(session.calls(), [""; 0]);
        assert!(session.doctor().1.starts_with("2, encrypted; the key is in the file"));
    }
}

#[test]
fn who_wants_a_file_gets_one_and_a_bus_of_another_machine_is_none() {
    let mut session = Session::new(Mood::Works);
    session.set("A", &["--set", "secrets.key-place=file"]).worked();
    assert!(session.has_file());
    assert_eq!(session.calls(), [""; 0]);

    session = Session::new(Mood::Works);
    session.bus = "tcp:host=127.0.0.1,port=1".into();
    session.set("A", &["--set", "secrets.key-place=keyring"]).fails("keyring-unavailable", 4, "is not there", "file");
    let variable =
        session.home.command(&["config", "show"]).env("RINGFENCE_SECRETS_KEY_PLACE", "file").output().unwrap();
    assert!(String::from_utf8(variable.stdout).unwrap().contains("key-place"), "it is a setting like others");
}
