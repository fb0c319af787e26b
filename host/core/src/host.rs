//! The small API that every face calls, and nothing else.

mod agent_skill;
mod agents;
mod consent;
mod loading;
mod neighbours;
mod reload;
mod servers;
mod signing;
mod sources;
mod toolbox;
mod upgrade;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::agent;
use crate::broker;
use crate::budget::{Reserved, Treasury};
use crate::capability::filling::Filling;
use crate::capability::model::report::ModelReport;
use crate::capability::model::{ModelError, ModelSettings, Router, discover};
use crate::capability::secrets::Kept;
use crate::capability::{
    self, files, http,
    kv::{self, sqlite::Sqlite},
    secrets, user,
};
use crate::catalog::Installed;
use crate::catalog::components::Components;
use crate::catalog::index::Index;
use crate::catalog::live::LiveSkills;
use crate::catalog::loaded::LoadedSkills;
use crate::catalog::signature::Roots;
use crate::catalog::signature::key::Keys;
use crate::catalog::signature::publishers::Publishers;
use crate::catalog::toolbox::Offers;
use crate::catalog::{CatalogError, SkillRef};
use crate::engine::wasi::{Machine, Sources};
use crate::engine::{Engine, EngineError, WorkerCommand};
use crate::error::Error;
use crate::invocation::{self, Call, Finished, InvocationId, RunEnded};
use crate::journal::Journal;
use crate::journal::audit::{Audit, Entry};
use crate::policy::denials::Denials;
use crate::policy::store::GrantsStore;
use crate::policy::{self, Grants};
use crate::server::{Reach, Servers};
use crate::settings::Settings;
use crate::state::State;
use crate::step::Progress;

pub use consent::{Candidate, Permissions};
pub use reload::Successor;
pub use servers::ServerCandidate;

/// Environment variables with their values.
pub(crate) type Secrets = BTreeMap<String, SecretString>;

/// What a host is started with. A face fills it from its own layers; the core reads no environment.
pub struct HostConfig {
    /// State, ledger, runs, grants: one SQLite file, and the keys.
    pub state_dir: PathBuf,
    /// Installed skills.
    pub data_dir: PathBuf,
    /// What can be made again: compiled artefacts.
    pub cache_dir: PathBuf,
    /// What else is ours, and so never within a folder that is granted: the configuration.
    pub ours: Vec<PathBuf>,
    /// The user's home, whose hidden folders are not granted by accident.
    pub home: Option<PathBuf>,
    pub settings: Settings,
    /// Environment variables that providers are found by and that MCP servers are given, with their values; keys among them.
    pub secrets: BTreeMap<String, SecretString>,
    /// The keyring of the operating system, where the face knows one. Asked only when a secret is needed.
    pub keyring: Option<Arc<dyn secrets::Keyring>>,
    pub worker: WorkerCommand,
}

impl HostConfig {
    /// Everything in one folder, made where it is missing, with the settings that hold where nothing is set. It reads no environment: no
    /// provider's key and no keyring is found by it, so fill those fields where skills need them.
    pub fn in_folder(folder: impl AsRef<Path>, worker: WorkerCommand) -> Self {
        let folder = folder.as_ref();
        Self {
            state_dir: folder.join("state"),
            data_dir: folder.join("data"),
            cache_dir: folder.join("cache"),
            ours: Vec::new(),
            home: None,
            settings: Settings::default(),
            secrets: BTreeMap::new(),
            keyring: None,
            worker,
        }
    }
}

/// The host. Cheap to clone; the last clone that goes closes it.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Shared>);

/// What lives as long as the host.
pub(crate) struct Shared {
    engine: Starting,
    /// As they are now; each generation has its part of them.
    pub(crate) settings: ArcSwap<Settings>,
    reconfiguring: tokio::sync::Mutex<()>,
    /// Held while the state of a skill is brought up to date.
    upgrading: tokio::sync::Mutex<()>,
    pub(crate) grants: GrantsStore,
    denials: Denials,
    publishers: Publishers,
    /// What this person signs with.
    keys: Keys,
    /// What sigstore bundles are checked against.
    roots: Roots,
    pub(crate) treasury: Treasury,
    pub(crate) journal: Journal,
    pub(crate) models: ArcSwap<Router>,
    pub(crate) http: Arc<http::Egress>,
    pub(crate) vault: Arc<secrets::Vault>,
    pub(crate) kv: Arc<dyn kv::Store>,
    pub(crate) disk: Arc<files::Disk>,
    /// Answers that a person let the host keep.
    pub(crate) answers: user::Answers,
    pub(crate) sources: Arc<dyn Sources>,
    /// Audit and rules, for every invocation.
    pub(crate) sessions: Arc<broker::Shared>,
    index: Index,
    /// Installed skills that other skills called.
    loaded: LoadedSkills,
    /// Skills that somebody holds.
    pub(crate) live: LiveSkills,
    /// What clients and models can call.
    offers: Offers,
    /// What was said with agents.
    pub(crate) transcripts: agent::Shelf,
    /// Told of every run that ends, where somebody listens.
    pub(crate) ended: broadcast::Sender<RunEnded>,
    /// Other MCP servers, and those of them that are skills.
    pub(crate) servers: Servers,
    server_skills: Mutex<HashMap<String, SkillRef>>,
    pub(crate) state: State,
    components: Components,
}

/// The engine, started when a skill is first loaded: listing skills needs none, and reserving a large pool takes a while.
struct Starting {
    engine: OnceLock<Engine>,
    gate: Mutex<()>,
    worker: WorkerCommand,
    cache_dir: PathBuf,
    key_file: PathBuf,
}

/// Ended runs that somebody who watches may be behind.
const RUNS: usize = 1_024;

/// How often the audit's head is signed while there is something new.
const SEAL_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// How long calls that were cancelled may take to be written down when a host closes.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(5);

/// How long a host waits for another one that is about to open the state, or has to be alone with it.
const STATE_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Host {
    /// Opens state, engine and providers. Other hosts may have the same state open, in other processes: what one of them grants, spends or
    /// installs counts for all. Must be called inside of a tokio runtime, which then does the input and output.
    pub async fn open(config: HostConfig) -> Result<Self, Error> {
        Self::open_with(config, Reach::default(), http::Egress::new).await
    }

    /// As [`open`](Self::open), over a network of a test's own.
    #[cfg(debug_assertions)]
    pub async fn open_on(config: HostConfig, network: http::TestNetwork) -> Result<Self, Error> {
        let reach = Reach::from(network.clone());
        Self::open_with(config, reach, |settings, secrets| http::Egress::on(settings, secrets, network)).await
    }

    /// Whether the clock that interrupts guests hangs from now on.
    #[cfg(debug_assertions)]
    pub fn hold_ticks(&self, held: bool) -> Result<(), Error> {
        self.0.engine()?.ticker.hold(held);
        Ok(())
    }

    async fn open_with(
        config: HostConfig,
        reach: Reach,
        egress: impl FnOnce(http::HttpSettings, Arc<dyn http::secrets::Secrets>) -> http::Egress,
    ) -> Result<Self, Error> {
        let HostConfig { state_dir, data_dir, cache_dir, ours, home, settings, secrets: environment, keyring, worker } =
            config;
        let ours = [&state_dir, &data_dir, &cache_dir].into_iter().chain(&ours).map(PathBuf::as_path);
        let places = files::Places::new(home.as_deref(), ours);
        if let Some(name) = settings.rules.unknown() {
            return Err(policy::unknown(name).into());
        }
        agent::check(&settings.agents)?;
        let durability = settings.durability;
        let state = {
            let state_dir = state_dir.clone();
            tokio::task::spawn_blocking(move || State::open(&state_dir, durability, STATE_WAIT))
                .await
                .map_err(|_| invocation::InvokeError::HostFault)??
        };
        let engine = Starting {
            engine: OnceLock::new(),
            gate: Mutex::new(()),
            worker,
            cache_dir,
            key_file: state_dir.join("artefact.key"),
        };
        let models = ArcSwap::from_pointee(router(&settings.models, &environment)?);
        let vault = Arc::new(secrets::Vault::open(state.clone(), &state_dir, &settings.secrets, keyring).await?);
        let servers =
            Servers::open(state.clone(), Arc::clone(&vault), reach, &settings.mcp_servers, &environment).await?;
        // What a killed host had set aside and not yet written down is among the reservations when the treasury looks.
        let audit = Audit::resume::<Reserved>(state.clone(), state_dir.clone()).await?;
        let treasury = Treasury::open(state.clone()).await?;
        let io = tokio::runtime::Handle::current();
        let keys = Keys::new(&state_dir);
        let transcripts = agent::Shelf::new(&state_dir);
        let disk = files::Disk::new(io.clone(), places);
        let sessions = Arc::new(broker::Shared::new(audit, settings.rules.clone(), io));
        seal_from_time_to_time(&sessions);
        let shared = Arc::new(Shared {
            sessions,
            grants: GrantsStore::open(state.clone()).await?,
            denials: Denials::open(state.clone()).await?,
            publishers: Publishers::new(state.clone()),
            keys,
            roots: Roots::new(settings.signatures.trust_root.clone()),
            journal: Journal::new(state.clone()),
            index: Index::new(state.clone()),
            loaded: LoadedSkills::default(),
            live: LiveSkills::default(),
            offers: Offers::default(),
            transcripts,
            ended: broadcast::channel(RUNS).0,
            servers,
            server_skills: Mutex::default(),
            reconfiguring: tokio::sync::Mutex::default(),
            upgrading: tokio::sync::Mutex::default(),
            http: Arc::new(egress(settings.http.clone(), Arc::new(Filling(Arc::clone(&vault))))),
            vault,
            kv: Arc::new(Sqlite::new(state.clone())),
            disk,
            answers: user::Answers::new(state.clone()),
            treasury,
            models,
            engine,
            settings: ArcSwap::from_pointee(settings),
            sources: Arc::new(Machine::default()),
            components: Components::new(&data_dir, state.clone()),
            state,
        });
        neighbours::follow(&shared).await?;
        Ok(Self(shared))
    }

    /// Ends the servers that it started, lets calls that were cancelled end, for at most five seconds, and writes what is still on its way to the disk.
    pub async fn close(self) -> Result<(), Error> {
        self.0.servers.close().await;
        let until = tokio::time::Instant::now() + CLOSING;
        while self.0.journal.open() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        self.0.sessions.audit.seal().await?;
        self.0.state.flush().await?;
        Ok(())
    }

    /// Runs one call to its outcome.
    pub async fn invoke(&self, call: Call) -> Result<Finished, Error> {
        self.invoke_as(InvocationId::timed(), call).await
    }

    /// As [`invoke`](Self::invoke), under an identifier that its caller told others before it began.
    pub async fn invoke_as(&self, id: InvocationId, mut call: Call) -> Result<Finished, Error> {
        call.allow = self.settled(call.allow).await?;
        invocation::run_as(&self.0, id, call).await
    }

    /// Removes an installed skill; with `purge` its grants and its stored data as well.
    pub async fn remove(&self, name: &str, purge: bool) -> Result<Installed, Error> {
        let installed = self.0.find_installed(name).await?;
        self.0.index.remove(name).await?;
        self.0.sessions.audit.note(Entry::admin("remove", name, if purge { "with its data" } else { "" }));
        self.0.offers.changed();
        self.0.remove_component(&installed.digest).await;
        if purge {
            self.0.grants.revoke(name, None).await?;
            self.0.denials.clear(name, None).await?;
            self.0.publishers.remove_pin(name).await?;
            capability::kv::sqlite::clear(&self.0.state, name).await?;
            self.0.answers.forget(name, None).await?;
        }
        Ok(installed)
    }

    /// All installed skills by name. Runs none of their code and compiles nothing.
    pub async fn list(&self) -> Result<Vec<Installed>, Error> {
        self.0.all_installed().await
    }

    /// The names of the skills that are installed in a state directory, without opening a host: for completions, which must be
    /// quick and are asked for while another host runs. Empty where nothing can be read.
    #[must_use]
    pub fn installed_names(state_dir: &Path) -> Vec<String> {
        Index::names(state_dir).unwrap_or_default()
    }

    /// The grants as they can be kept: what could never match is refused, and so is a folder that nobody may grant.
    async fn settled(&self, mut grants: Grants) -> Result<Grants, Error> {
        grants.check()?;
        if let Some(files) = grants.files.take() {
            grants.files = Some(self.0.disk.settle(files).await?);
        }
        Ok(grants)
    }

    /// The answers of the person that are kept for an identity, by name.
    pub async fn answers(&self, identity: &str) -> Result<Vec<user::Kept>, Error> {
        Ok(self.0.answers.of(identity).await?)
    }

    /// Forgets a kept answer, or all where none is named, and says how many there were.
    pub async fn forget(&self, identity: &str, name: Option<&str>) -> Result<usize, Error> {
        let gone = self.0.answers.forget(identity, name).await?;
        self.0.sessions.audit.note(Entry::admin("forget", identity, name.unwrap_or("every answer")));
        Ok(gone)
    }

    /// Every run of this host that ends from now on, whoever called it. Who is slow misses the oldest.
    #[must_use]
    pub fn runs_ended(&self) -> broadcast::Receiver<RunEnded> {
        self.0.ended.subscribe()
    }

    /// The aliases that skills can name, in order of name.
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        self.0.models.load().aliases()
    }

    /// The names of the providers, in order. Reaches none of them.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        self.0.models.load().providers()
    }

    /// Aliases, providers and prices, and what answers now.
    pub async fn models(&self) -> ModelReport {
        self.0.models.load_full().report().await
    }

    /// The newest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<crate::journal::Record>, Error> {
        Ok(self.0.journal.recent(limit).await?)
    }

    /// One run, where it is still on record.
    pub async fn run(&self, invocation: &str) -> Result<Option<crate::journal::Record>, Error> {
        Ok(self.0.journal.run(invocation).await?)
    }

    /// Invocations that hold a slot now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.engine.engine.get().map_or(0, |engine| engine.slots.taken())
    }

    /// Invocations that wait in line for a slot, those that skills called left out.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.engine.engine.get().map_or(0, |engine| engine.slots.waiting())
    }

    /// Keeps a secret for skills, in the place of an older one of that name. `hosts` are the servers that it may be sent to.
    /// For a person's face only.
    pub async fn set_secret(&self, name: &str, value: &SecretString, hosts: &[String]) -> Result<Kept, Error> {
        let name = secrets::Name::parse(name)?;
        let bindings = hosts.iter().map(|host| secrets::Binding::parse(host)).collect::<Result<Vec<_>, _>>()?;
        let shown: Vec<String> = bindings.iter().map(ToString::to_string).collect();
        self.0.vault.set(&name, value, bindings).await?;
        self.0.sessions.audit.note(Entry::admin("secret-set", name.as_str(), shown.join(" ")));
        Ok(self.secrets().into_iter().find(|kept| kept.name == name).ok_or(secrets::SecretError::Missing(name))?)
    }

    /// Forgets a secret. Requests that begin later go without it.
    pub async fn remove_secret(&self, name: &str) -> Result<(), Error> {
        let name = secrets::Name::parse(name)?;
        self.0.vault.remove(&name).await?;
        self.0.sessions.audit.note(Entry::admin("secret-remove", name.as_str(), ""));
        Ok(())
    }

    /// The secrets that are kept, without their values.
    #[must_use]
    pub fn secrets(&self) -> Vec<Kept> {
        self.0.vault.list()
    }

    /// Moves the key that encrypts the secrets into the keyring or into the file, and says where it is. For a person's face
    /// only.
    pub async fn move_secrets_key(&self, to: secrets::KeyPlace) -> Result<String, Error> {
        // A host that holds the key where it was would look for it there.
        let _alone = self.0.state.alone()?;
        let place = self.0.vault.move_key(to).await?;
        self.0.sessions.audit.note(Entry::admin("secret-key", "key", &*place));
        Ok(place)
    }

    /// What was asked, allowed, refused and done.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.0.sessions.audit
    }

    /// What this machine and this host are able to do.
    pub async fn doctor(&self) -> Result<Vec<Finding>, Error> {
        Ok(crate::doctor::examine(&self.0, self.0.engine()?).await)
    }
}

/// One finding of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    pub subject: &'static str,
    pub state: Health,
    pub detail: String,
    /// What to do, where something can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Ok,
    /// Works, but not as well as it could.
    Note,
    Problem,
}

impl Shared {
    /// The one engine of this host.
    pub(crate) fn engine(&self) -> Result<&Engine, EngineError> {
        let starting = &self.engine;
        if let Some(engine) = starting.engine.get() {
            return Ok(engine);
        }
        // Two engines must never be made: artefacts and instances of one are poison to the other.
        let _gate = starting.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = starting.engine.get() {
            return Ok(engine);
        }
        let settings = self.settings.load().engine.clone();
        let engine = Engine::start(
            settings,
            starting.worker.clone(),
            &starting.cache_dir,
            &starting.key_file,
            crate::state::hand_over,
        )?;
        Ok(starting.engine.get_or_init(|| engine))
    }

    /// What the index says of an installed skill.
    pub(crate) async fn find_installed(&self, name: &str) -> Result<Installed, Error> {
        match self.index.get(name).await? {
            Some(entry) => Ok(entry.try_into()?),
            None => {
                let installed = self.index.all().await?.into_iter().map(|skill| skill.name).collect();
                Err(CatalogError::NotInstalled { name: name.to_owned(), installed }.into())
            }
        }
    }

    pub(crate) async fn all_installed(&self) -> Result<Vec<Installed>, Error> {
        self.index.all().await?.into_iter().map(Installed::try_from).collect::<Result<_, _>>().map_err(Error::from)
    }

    /// Tells those who listen that a run has ended.
    pub(crate) fn tell_ended(&self, run: impl FnOnce() -> RunEnded) {
        if self.ended.receiver_count() > 0 {
            // Whoever listened may have gone just now.
            let _ = self.ended.send(run());
        }
    }

    /// Removes a component that no installed skill uses any more.
    async fn remove_component(&self, digest: &str) {
        self.loaded.forget(digest);
        // Another host may be about to install the same.
        let _turn = match self.state.turn().await {
            Ok(turn) => turn,
            Err(error) => return tracing::warn!(%error, digest, "an old component is not removed"),
        };
        self.components.remove_unused(&self.index, digest).await;
    }
}

/// Signs the audit's head once in a while, as long as the host lives.
fn seal_from_time_to_time(sessions: &Arc<broker::Shared>) {
    let (weak, io) = (Arc::downgrade(sessions), sessions.io.clone());
    io.spawn(async move {
        loop {
            tokio::time::sleep(SEAL_EVERY).await;
            let Some(sessions) = weak.upgrade() else { break };
            if let Err(error) = sessions.audit.seal().await {
                tracing::error!(%error, "the audit's head could not be signed");
            }
        }
    });
}

/// Providers from the configuration and from what the environment names.
fn router(configured: &ModelSettings, secrets: &BTreeMap<String, SecretString>) -> Result<Router, ModelError> {
    let env = |name: &str| secrets.get(name).map(|value| value.expose_secret().to_owned());
    let found = discover::discover(&env, None, configured);
    let keys = discover::secrets(&env, &found.settings);
    Router::new(found.settings, &keys, found.hopeful)
}
