//! A host with the probe of one language, granted everything that it requests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use ringfence_core::capability::http::Rule;
use ringfence_core::policy::Grants;
use ringfence_core::{Call, Error, Event, Finished, SkillRef};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::hosts::{said, stored};
use crate::support::{TestHost, guests};

/// Makes a test of each function in each language: `kv::python::state_lasts`.
macro_rules! in_every_language {
    ($($row:ident),+ $(,)?) => {
        in_every_language!(@ c $($row)+);
        in_every_language!(@ go $($row)+);
        in_every_language!(@ javascript $($row)+);
        in_every_language!(@ python $($row)+);
        in_every_language!(@ rust $($row)+);
        in_every_language!(@ typescript $($row)+);
    };
    (@ $lang:ident $($row:ident)+) => {
        mod $lang {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $row() {
                    super::$row(stringify!($lang)).await;
                }
            )+
        }
    };
}

/// Where the probe of each language is, once it is built.
type Built = Mutex<HashMap<&'static str, Arc<OnceLock<PathBuf>>>>;

/// The probe of a language, built once for all tests of a run.
fn probe(lang: &'static str) -> PathBuf {
    static BUILT: OnceLock<Built> = OnceLock::new();
    let built = Arc::clone(BUILT.get_or_init(Built::default).lock().unwrap().entry(lang).or_default());
    built.get_or_init(|| guests::build(&format!("tests/probes/matrix-{lang}"))).clone()
}

pub(crate) struct Stage {
    pub(crate) host: TestHost,
    pub(crate) skill: SkillRef,
    pub(crate) lang: &'static str,
}

impl Stage {
    /// With what needs nobody outside.
    pub(crate) async fn new(lang: &'static str) -> Self {
        Self::with(lang, "", &[]).await
    }

    /// With a model that gives these answers, entries of a script in TOML.
    pub(crate) async fn scripted(lang: &'static str, answers: &str) -> Self {
        Self::prepared(lang, answers, "", &[]).await
    }

    /// With settings, and servers that may be reached.
    pub(crate) async fn with(lang: &'static str, settings: &str, servers: &[&str]) -> Self {
        Self::prepared(lang, "", settings, servers).await
    }

    async fn prepared(lang: &'static str, answers: &str, settings: &str, servers: &[&str]) -> Self {
        let component = tokio::task::spawn_blocking(move || probe(lang)).await.unwrap();
        let home = crate::support::Home::new();
        let script = home.write("script.toml", answers);
        let models = format!(
            "[models.providers.s]\ntype = \"scripted\"\nscript = {script:?}\n\
             [models.aliases]\ndefault = [\"s/script\"]\nembed = [\"s/script\"]\n"
        );
        let host = crate::support::hosts::open(&home, &format!("{settings}\n{models}")).await.unwrap();
        for folder in ["docs", "out"] {
            std::fs::create_dir(home.path(folder)).unwrap();
        }
        let host = TestHost::of(home, host).await;

        // The probe cannot know on which port a test listens.
        let mut manifest = host.host.load_file(&component, None, None).await.unwrap().manifest();
        let rules = servers.iter().map(|server| Rule::parse(server).unwrap()).collect();
        manifest.permissions.http.as_mut().unwrap().allow = rules;
        let bytes = tokio::fs::read(&component).await.unwrap();
        let package = host.host.package(&bytes, &manifest, None).await.unwrap();
        let file = host.home.write("probe.wasm", package);
        host.host.add(&file, None).await.unwrap();

        let mut grants: Vec<String> = ["model=default,embed", "kv", "secrets=token", "tools=echo/*,probe/*", "user"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        grants.push(format!("files=docs:{}", host.home.path("docs").display()));
        grants.push(format!("files=out:{}:write", host.home.path("out").display()));
        grants.extend(servers.iter().map(|server| format!("http={server}")));
        host.host.grant(&manifest.name, Grants::parse(grants.iter().map(String::as_str)).unwrap()).await.unwrap();
        let skill = host.host.load_installed(&manifest.name, None).await.unwrap();
        Self { host, skill, lang }
    }

    /// A call as a person makes it.
    pub(crate) fn call(&self, tool: &str, input: Value) -> Call {
        stored(&self.skill, tool, input)
    }

    pub(crate) async fn run(&self, call: Call) -> Result<Finished, Error> {
        self.host.host.invoke(call).await
    }

    /// What a tool says.
    #[track_caller]
    pub(crate) fn text(&self, tool: &'static str, input: Value) -> impl Future<Output = String> {
        let running = self.run(self.call(tool, input));
        let lang = self.lang;
        async move { said(&running.await.unwrap_or_else(|error| panic!("{tool} in {lang}: {error:?}"))) }
    }

    /// The value that a tool gives.
    pub(crate) async fn value(&self, tool: &str, input: Value) -> Value {
        let done = self.run(self.call(tool, input)).await;
        let done = done.unwrap_or_else(|error| panic!("{tool} in {}: {error:?}", self.lang));
        done.outcome
            .structured
            .clone()
            .unwrap_or_else(|| panic!("{tool} in {} gave no value: {}", self.lang, said(&done)))
    }

    /// Its failure.
    pub(crate) async fn failure(&self, tool: &str, input: Value) -> Error {
        match self.run(self.call(tool, input)).await {
            Ok(done) => panic!("{tool} in {} gave {}", self.lang, said(&done)),
            Err(error) => error,
        }
    }

    /// What a tool gives, and all that was seen meanwhile.
    pub(crate) async fn watched(&self, tool: &str, input: Value) -> (Result<Finished, Error>, Vec<Event>) {
        let (send, mut receive) = mpsc::channel(4096);
        let done = self.run(Call { events: Some(send), ..self.call(tool, input) }).await;
        let mut events = Vec::new();
        while let Ok(event) = receive.try_recv() {
            events.push(event);
        }
        (done, events)
    }

    /// A tool with its schemas, as callers see it.
    pub(crate) fn schema(&self, tool: &str) -> Value {
        let tools = self.skill.tools();
        let tool = tools.iter().find(|known| known.name == tool);
        json!(tool.unwrap_or_else(|| panic!("no {tool:?} in {}", self.lang)))
    }
}
