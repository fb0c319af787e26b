//! Hosts in this process, through the same small API that every face uses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringfence_core::capability::http;
use ringfence_core::catalog::signature;
use ringfence_core::engine::{LimitSettings, WorkerCommand};
use ringfence_core::policy::Grants;
use ringfence_core::{Call, Error, Finished, Host, HostConfig, Settings, SkillRef};
use serde_json::Value;

use super::Home;

/// A host with a home, and the probe loaded.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) probe: SkillRef,
    pub(crate) home: Home,
}

impl TestHost {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With settings as in a configuration file.
    pub(crate) async fn with(settings: &str) -> Self {
        let home = Home::new();
        let host = open(&home, settings).await.unwrap();
        Self::of(home, host).await
    }

    /// Over a network of the test's own.
    #[cfg(debug_assertions)]
    pub(crate) async fn on(network: http::TestNetwork) -> Self {
        let home = Home::new();
        let host = open_on(&home, "", network).await.unwrap();
        Self::of(home, host).await
    }

    /// A host that was opened in some other way.
    pub(crate) async fn of(home: Home, host: Host) -> Self {
        let probe = tokio::task::spawn_blocking(super::probe).await.unwrap();
        let probe = host.load_file(probe, None, None).await.unwrap();
        Self { host, probe, home }
    }

    pub(crate) async fn call(&self, tool: &str, input: Value) -> Result<Finished, Error> {
        self.host.invoke(call(&self.probe, tool, input)).await
    }

    /// Calls with limits of the test's own.
    pub(crate) async fn limited(&self, tool: &str, input: Value, limits: LimitSettings) -> Result<Finished, Error> {
        self.host.invoke(Call { limits, ..call(&self.probe, tool, input) }).await
    }

    /// The probe as another skill, which requests what `rules` say of servers.
    pub(crate) async fn web(&self, rules: &[&str]) -> SkillRef {
        let mut manifest = self.probe.manifest();
        let allow = rules.iter().map(|rule| http::Rule::parse(rule).unwrap()).collect();
        manifest.permissions.http =
            Some(http::Request { allow, reason: "To try requests.".into(), ..http::Request::default() });
        manifest.build = None;
        let bytes = std::fs::read(tokio::task::spawn_blocking(super::probe).await.unwrap()).unwrap();
        let packaged = self.host.package(&bytes, &manifest, None).await.unwrap();
        let path = self.home.write(&format!("work/web-{}.wasm", uuid()), packaged);
        self.host.load_file(&path, None, None).await.unwrap()
    }

    /// The probe under another name, requesting `permissions` (TOML), as a file of this home.
    pub(crate) async fn packaged(&self, name: &str, permissions: &str) -> PathBuf {
        let manifest = format!("name = \"{name}\"\nversion = \"0.1.0\"\ndescription = \"A probe.\"\n{permissions}");
        let manifest = ringfence_core::Manifest::from_toml(&manifest).unwrap();
        let component = std::fs::read(super::probe()).unwrap();
        let package = self.host.package(&component, &manifest, None).await.unwrap();
        self.home.write(&format!("{name}.wasm"), package)
    }

    /// The same, installed and granted `grants` (words).
    pub(crate) async fn install(&self, name: &str, permissions: &str, grants: &[&str]) -> SkillRef {
        let path = self.packaged(name, permissions).await;
        let mut candidate = self.host.consider(&path, None).await.unwrap();
        // A test may install what is older than what was there.
        let terms = signature::Terms { allow_downgrade: true, ..Default::default() };
        self.host.accept(&mut candidate, terms).unwrap();
        self.host.install(candidate).await.unwrap();
        self.host.grant(name, Grants::parse(grants.iter().copied()).unwrap()).await.unwrap();
        self.host.load_installed(name, None).await.unwrap()
    }

    /// Calls with what is stored, and nothing allowed on top.
    pub(crate) async fn stored(&self, skill: &SkillRef, tool: &str, input: Value) -> Result<Finished, Error> {
        self.host.invoke(stored(skill, tool, input)).await
    }

    /// The host is as it was before: an echo comes back.
    #[track_caller]
    pub(crate) fn still_works(&self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let text = "a".repeat(100);
            let done = self.call("echo", serde_json::json!({ "text": text })).await;
            assert_eq!(done.map(|done| said(&done)).ok(), Some(text), "echo after {at}");
        }
    }
}

pub(crate) async fn open(home: &Home, settings: &str) -> Result<Host, Error> {
    open_with(home, settings, &[]).await
}

/// `secrets` are variables as the environment would have them.
pub(crate) async fn open_with(home: &Home, settings: &str, secrets: &[(&str, &str)]) -> Result<Host, Error> {
    Host::open(config(home, settings, secrets)).await
}

/// Over a network of the test's own, in which names lead where the test says.
#[cfg(debug_assertions)]
pub(crate) async fn open_on(home: &Home, settings: &str, network: http::TestNetwork) -> Result<Host, Error> {
    Host::open_on(config(home, settings, &[]), network).await
}

/// What a host of a test is opened with.
pub(crate) fn config(home: &Home, settings: &str, secrets: &[(&str, &str)]) -> HostConfig {
    let mut settings: Settings = toml::from_str(settings).unwrap();
    // No pool for ten thousand: tests run beside each other.
    settings.engine.concurrent = settings.engine.concurrent.min(64);
    let secrets: BTreeMap<_, _> =
        secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into())).collect();
    HostConfig {
        state_dir: home.state(),
        data_dir: home.path("data"),
        cache_dir: super::guests::cache(),
        ours: vec![],
        home: Some(home.path("")),
        settings,
        secrets,
        keyring: None,
        worker: WorkerCommand { program: env!("CARGO_BIN_EXE_ringfence").into(), args: vec!["compile-worker".into()] },
    }
}

/// A call with everything that the probe requests allowed.
pub(crate) fn call(skill: &SkillRef, tool: &str, input: Value) -> Call {
    Call { tool: Some(tool.to_owned()), allow: everything(), ..Call::new(skill.clone(), input.to_string()) }
}

pub(crate) fn everything() -> Grants {
    toml::from_str("[model]\nmodels = [\"default\"]\n[kv]\n").unwrap()
}

/// The text of an outcome.
pub(crate) fn said(finished: &Finished) -> String {
    let texts = finished.outcome.content.iter().filter_map(|content| match content {
        ringfence_core::Content::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A call of a tool with these grants of `http` beside everything else.
pub(crate) fn web_call(skill: &SkillRef, tool: &str, input: Value, grant: &str) -> Call {
    use ringfence_core::policy::Grantable as _;
    let mut call = call(skill, tool, input);
    call.allow.http = Some(http::Grant::parse(Some(grant)).unwrap());
    call
}

/// A number that no other file of this process has.
pub(crate) fn uuid() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A call with what is stored for the skill, and nothing allowed on top.
pub(crate) fn stored(skill: &SkillRef, tool: &str, input: Value) -> Call {
    Call { tool: Some(tool.to_owned()), ..Call::new(skill.clone(), input.to_string()) }
}
