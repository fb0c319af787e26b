//! What every attack stands on, and what must be so after it.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_core::journal::audit::{Event, Filter};
use ringfence_core::{Call, Error, Finished, SkillRef};
use serde_json::json;

use crate::support::hosts::said;
use crate::support::{TestHost, call};

/// Panics of this process outside of tests' own threads: there must be none that a guest causes.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Echoes after an attack.
const ECHOES: usize = 20;

/// A host that is attacked.
pub(crate) struct Ground {
    pub(crate) host: TestHost,
    tasks: usize,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With settings as in a configuration file.
    pub(crate) async fn with(settings: &str) -> Self {
        Self::on(TestHost::with(settings).await).await
    }

    /// With a host that the test has opened in its own way.
    pub(crate) async fn on(host: TestHost) -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // Tests' threads are named after the tests; a failed assertion there is no panic of the host's.
                let of_a_test = std::thread::current().name().is_some_and(|name| name.contains("::"));
                if !of_a_test {
                    PANICS.fetch_add(1, Ordering::SeqCst);
                }
                before(panic);
            }));
        });
        host.still_works().await;
        Self { host, tasks: alive() }
    }

    /// Loads a component that was written for the attack.
    pub(crate) async fn load(&self, component: &[u8]) -> Result<SkillRef, Error> {
        let path = self.host.home.write(&format!("attack-{}.wasm", uuid()), component);
        self.host.host.load_file(&path, None, None).await
    }

    /// Calls its one tool.
    pub(crate) async fn act(&self, skill: &SkillRef) -> Result<Finished, Error> {
        self.host.host.invoke(call(skill, "act", json!({}))).await
    }

    /// Runs the attack while echoes go on beside it.
    pub(crate) async fn beside_echoes(&self, attack: Call) -> Result<Finished, Error> {
        let host = self.host.host.clone();
        let attack = tokio::spawn(async move { host.invoke(attack).await });
        for _ in 0..ECHOES {
            self.host.still_works().await;
        }
        attack.await.unwrap()
    }

    /// The host works as before: echoes come back, nothing of the attack runs on, nothing panicked, and the audit holds and
    /// has one record of the attack's run with `kind`, printable and on one line. `kind` is None where it never ran.
    pub(crate) async fn survived(&self, attack: Option<&SkillRef>, kind: &str) {
        for _ in 0..ECHOES {
            self.host.still_works().await;
        }
        let mut patience = 500;
        while (alive() > self.tasks || self.host.host.running() > 0) && patience > 0 {
            patience -= 1;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(alive() <= self.tasks, "{} tasks before, {} after", self.tasks, alive());
        assert_eq!(self.host.host.running(), 0, "slots that are still taken");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the host panicked");
        let audit = self.host.host.audit();
        let found = audit.verify().await.unwrap();
        assert_eq!(found.fault, None);
        if let Some(skill) = attack {
            let wanted =
                Filter { skill: Some(skill.identity().to_owned()), event: Some(Event::Run), ..Filter::default() };
            let runs = audit.list(wanted, 100).await.unwrap();
            assert_eq!(runs.iter().map(|run| run.kind.as_str()).collect::<Vec<_>>(), [kind]);
            let text = format!("{}{}", runs[0].subject, runs[0].detail);
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }

    /// The same where the attack was a tool of the probe, which has run more than once.
    pub(crate) async fn survived_probe(&self) {
        self.survived(None, "").await;
    }
}

/// Tasks of this test's own runtime.
fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn uuid() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The text of an outcome that must be there.
#[track_caller]
pub(crate) fn text(done: Result<Finished, Error>) -> String {
    said(&done.unwrap())
}

/// The kind of an error that must be there.
#[track_caller]
pub(crate) fn kind(done: Result<Finished, Error>) -> &'static str {
    done.map(|done| said(&done)).unwrap_err().kind()
}
