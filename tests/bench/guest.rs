//! The skill that is measured with, and hosts to run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use ringfence_core::capability::model::settings::{Kind, ModelSettings, ProviderSettings, Timeouts};
use ringfence_core::engine::{LimitSettings, WorkerCommand};
use ringfence_core::{Call, Content, Finished, Grants, Host, HostConfig, Settings, SkillRef};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ringfence");

/// Compiled artefacts and built guests, kept from one run to the next.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures")
}

/// The real program, with directories of its own and nothing else of this machine.
pub(crate) fn program(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("RINGFENCE_CONFIG");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGFENCE_")) {
        command.env_remove(name);
    }
    command
        .env("XDG_CONFIG_HOME", state.join("config"))
        .env("RINGFENCE_STATE_DIR", state.join("state"))
        .env("RINGFENCE_DATA_DIR", state.join("data"))
        .env("RINGFENCE_CACHE_DIR", cache())
        .current_dir(state);
    command
}

static BUILT: OnceLock<PathBuf> = OnceLock::new();

/// Takes what another process of ours has built.
pub(crate) fn built(component: &Path) {
    BUILT.set(component.to_owned()).ok();
}

/// The packaged component, built by the real program where its source has changed.
pub(crate) fn component() -> &'static Path {
    BUILT.get_or_init(|| built_probe("bench"))
}

/// A probe, built by the real program where its source has changed.
pub(crate) fn built_probe(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/probes").join(name);
    let state = tempfile::tempdir().unwrap();
    let done = program(state.path(), &["build", folder.to_str().unwrap()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
}

/// As the command line and a server have it.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A host with the directories that [`program`] has for the same folder.
pub(crate) fn config(state: &Path, settings: Settings) -> HostConfig {
    HostConfig {
        state_dir: state.join("state"),
        data_dir: state.join("data"),
        cache_dir: cache(),
        ours: Vec::new(),
        home: None,
        settings,
        secrets: Default::default(),
        keyring: None,
        worker: WorkerCommand { program: PROGRAM.into(), args: vec!["compile-worker".into()] },
    }
}

/// The component under another name, with these permissions (TOML), as a file in `folder`.
pub(crate) async fn packaged(host: &Host, folder: &Path, name: &str, permissions: &str) -> PathBuf {
    let text = format!("name = \"{name}\"\nversion = \"0.1.0\"\ndescription = \"Measured.\"\n{permissions}");
    let manifest = ringfence_core::Manifest::from_toml(&text).unwrap();
    let packaged = host.package(&std::fs::read(component()).unwrap(), &manifest, None).await.unwrap();
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, packaged).unwrap();
    path
}

/// The same, installed with these grants.
pub(crate) async fn installed(host: &Host, folder: &Path, name: &str, permissions: &str, grants: &[&str]) -> SkillRef {
    let path = packaged(host, folder, name, permissions).await;
    host.add(&path, None).await.unwrap();
    host.grant(name, Grants::parse(grants.iter().copied()).unwrap()).await.unwrap();
    host.load_installed(name, None).await.unwrap()
}

/// The text that a call gave.
pub(crate) fn said(finished: &Finished) -> &str {
    match &finished.outcome.content[..] {
        [Content::Text { text }] => text,
        other => panic!("no text: {other:?}"),
    }
}

/// A host with the skill in it, and the folder that goes with it.
pub(crate) struct Ground {
    pub(crate) host: Host,
    pub(crate) skill: SkillRef,
    state: TempDir,
}

impl Ground {
    /// With `provider`, the alias `default` leads to a server at that base URL.
    pub(crate) async fn open(provider: Option<&str>, adapt: impl FnOnce(&mut Settings)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings { models: models(provider), ..Settings::default() };
        adapt(&mut settings);
        let host = Host::open(config(state.path(), settings)).await.unwrap();
        let skill = host.load_file(component(), None, None).await.unwrap();
        let grants: Grants = serde_json::from_str(r#"{"model": {"models": ["default"]}}"#).unwrap();
        host.grant(skill.identity(), grants).await.unwrap();
        Self { host, skill, state }
    }

    /// Makes the skill one that may send requests to the server at this URL.
    pub(crate) async fn reach(&mut self, url: &str) {
        use ringfence_core::capability::http;
        let mut manifest = self.skill.manifest();
        let allow = vec![http::Rule::parse(url).unwrap()];
        manifest.permissions.http = Some(http::Request { allow: allow.clone(), ..http::Request::default() });
        let packaged = self.host.package(&std::fs::read(component()).unwrap(), &manifest, None).await.unwrap();
        let path = self.state.path().join("reaching.wasm");
        std::fs::write(&path, packaged).unwrap();
        self.skill = self.host.load_file(&path, None, None).await.unwrap();
        let grants = Grants { http: Some(http::Grant { allow, ..Default::default() }), ..Grants::default() };
        self.host.grant(self.skill.identity(), grants).await.unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.state.path()
    }

    /// Loads a component that was written by hand.
    pub(crate) async fn load(&self, name: &str, component: &[u8]) -> SkillRef {
        let path = self.state.path().join(name);
        std::fs::write(&path, component).unwrap();
        self.host.load_file(&path, None, None).await.unwrap()
    }

    pub(crate) fn call(&self, tool: &str, input: &str) -> Call {
        let limits = LimitSettings { wall_seconds: Some(600), ..LimitSettings::default() };
        Call { tool: Some(tool.to_owned()), limits, ..Call::new(self.skill.clone(), input) }
    }

    pub(crate) async fn run(&self, tool: &str, input: &str) -> Finished {
        self.host.invoke(self.call(tool, input)).await.unwrap()
    }
}

pub(crate) fn models(base_url: Option<&str>) -> ModelSettings {
    let mut settings = ModelSettings::default();
    if let Some(base_url) = base_url {
        let provider = ProviderSettings {
            base_url: Some(base_url.to_owned()),
            timeouts: Timeouts { first_byte: 600, ..Timeouts::default() },
            ..ProviderSettings::new(Kind::OpenaiCompatible)
        };
        settings.providers.insert("loopback".into(), provider);
        settings.aliases.insert("default".into(), vec!["loopback/instant".into()]);
    }
    settings
}

/// Input of `echo`: 100 bytes of text.
pub(crate) fn echo_input() -> String {
    format!(r#"{{"text":"{}"}}"#, "x".repeat(100))
}

/// Calls `echo` so many times and gives how long each took.
pub(crate) async fn echoes(ground: &Ground, times: usize) -> Vec<Duration> {
    echoes_of(ground, &ground.skill, times).await
}

/// The same of another skill that has it.
pub(crate) async fn echoes_of(ground: &Ground, skill: &SkillRef, times: usize) -> Vec<Duration> {
    let input = echo_input();
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let before = std::time::Instant::now();
        ground.host.invoke(Call { skill: skill.clone(), ..ground.call("echo", &input) }).await.unwrap();
        took.push(before.elapsed());
    }
    took
}
