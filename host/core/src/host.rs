//! The small API that every face calls, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::budget::Treasury;
use crate::capability::model::report::ModelReport;
use crate::capability::model::{ModelError, ModelSettings, Router, discover};
use crate::capability::{
    self,
    kv::{self, sqlite::Sqlite},
};
use crate::catalog::Installed;
use crate::catalog::index::{Entry, Index};
use crate::catalog::package::{Package, PackageError};
use crate::catalog::tool::{self, Tool};
use crate::catalog::{self, CatalogError, Generation, SkillRef};
use crate::engine::wasi::{Machine, Sources};
use crate::engine::{Engine, EngineError, WorkerCommand, digest};
use crate::error::Error;
use crate::invocation::{self, Call, Finished};
use crate::journal::Journal;
use crate::policy::manifest::Manifest;
use crate::policy::store::GrantsStore;
use crate::policy::{self, GrantError, Grants, Missing};
use crate::schema;
use crate::settings::{Settings, SkillSettings};
use crate::state::State;

/// What a host is started with. A face fills it from its own layers; the core reads no environment.
pub struct HostConfig {
    /// State, ledger, runs, grants: one SQLite file, and the keys.
    pub state_dir: PathBuf,
    /// Installed skills.
    pub data_dir: PathBuf,
    /// What can be made again: compiled artefacts.
    pub cache_dir: PathBuf,
    pub settings: Settings,
    /// Environment variables that providers are found by, with their values; keys among them.
    pub secrets: BTreeMap<String, SecretString>,
    pub worker: WorkerCommand,
}

/// What long work tells while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A component is compiled because no artefact of it is cached. Takes seconds for large ones.
    Compiling { skill: String, bytes: u64 },
    /// It is ready.
    Ready,
}

/// Where steps are told.
pub type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// The host. Cheap to clone; the last clone that goes closes it.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

/// What lives as long as the host.
pub(crate) struct Shared {
    engine: Starting,
    pub(crate) settings: Settings,
    pub(crate) grants: GrantsStore,
    pub(crate) treasury: Treasury,
    pub(crate) journal: Journal,
    pub(crate) models: Arc<Router>,
    pub(crate) kv: Arc<dyn kv::Store>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) io: tokio::runtime::Handle,
    index: Index,
    pub(crate) state: State,
    data_dir: PathBuf,
}

/// The engine, started when a skill is first loaded: listing skills needs none, and reserving a large pool takes a while.
struct Starting {
    engine: OnceLock<Engine>,
    gate: Mutex<()>,
    worker: WorkerCommand,
    cache_dir: PathBuf,
    key_file: PathBuf,
}

/// How long a second host waits for the first to leave the state directory.
const STATE_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Host {
    /// Opens state, engine and providers. Must be called inside of a tokio runtime, which then does the input and output.
    pub async fn open(config: HostConfig) -> Result<Self, Error> {
        let HostConfig { state_dir, data_dir, cache_dir, settings, secrets, worker } = config;
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
        let models = Arc::new(router(&settings.models, &secrets)?);
        let treasury = Treasury::open(state.clone()).await?;
        Ok(Self(Arc::new(Shared {
            grants: GrantsStore::open(state.clone()).await?,
            journal: Journal::new(state.clone()),
            index: Index::new(state.clone()),
            kv: Arc::new(Sqlite::new(state.clone())),
            treasury,
            models,
            engine,
            settings,
            sources: Arc::new(Machine::default()),
            io: tokio::runtime::Handle::current(),
            state,
            data_dir,
        })))
    }

    /// Writes what is still on its way to the disk.
    pub async fn close(self) -> Result<(), Error> {
        self.0.state.flush().await?;
        Ok(())
    }

    /// Loads a component from a file without installing it.
    ///
    /// `identity` is what grants, budgets and state belong to, where it is not the file itself: the folder that it was built
    /// from.
    pub async fn load_file(
        &self,
        path: &Path,
        identity: Option<&Path>,
        progress: Option<Progress>,
    ) -> Result<SkillRef, Error> {
        let bytes = self.read(path)?;
        let identity = identity.unwrap_or(path);
        let identity = identity.canonicalize().unwrap_or_else(|_| identity.to_owned()).display().to_string();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let generation =
            self.0.generation(&bytes, &stem, progress.as_ref()).await.map_err(|error| error.about(path))?;
        Ok(SkillRef::new(identity, generation))
    }

    /// Loads an installed skill. Its file must be the one that was installed.
    pub async fn load_installed(&self, name: &str, progress: Option<Progress>) -> Result<SkillRef, Error> {
        let installed = self.installed(name).await?;
        let bytes = self.read(&self.0.component_path(&installed.digest))?;
        let found = digest(&bytes);
        if found != installed.digest {
            return Err(CatalogError::DigestMismatch { name: name.into(), expected: installed.digest, found }.into());
        }
        let generation = self.0.generation(&bytes, name, progress.as_ref()).await?;
        Ok(SkillRef::new(name.to_owned(), generation))
    }

    /// Runs one call to its outcome.
    pub async fn invoke(&self, call: Call) -> Result<Finished, Error> {
        invocation::run(&self.0, call).await
    }

    /// Puts manifest and tools into a component. The tools are asked for once, here, with no grants.
    pub async fn package(
        &self,
        component: &[u8],
        manifest: &Manifest,
        progress: Option<Progress>,
    ) -> Result<Vec<u8>, Error> {
        let apart = Package::read(component).map_err(package_error)?;
        let loaded = self.0.load(&apart.code, &manifest.name, progress.as_ref()).await?;
        let tools = invocation::ask_tools(&self.0, &loaded.pre).await?;
        tool::callables(&tools)?;
        if let Some(schema) = &manifest.config {
            schema::compile(schema).map_err(|error| {
                policy::manifest::ManifestError::new(format!("`config` is not a JSON Schema: {error}"))
            })?;
        }
        Ok(Package::write(&apart.code, manifest, &tools))
    }

    /// Installs a component under the name in its manifest, in place of an older one. Grants nothing.
    pub async fn add(&self, path: &Path, progress: Option<Progress>) -> Result<Installed, Error> {
        let bytes = self.read(path)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let generation =
            self.0.generation(&bytes, &stem, progress.as_ref()).await.map_err(|error| error.about(path))?;
        let name = generation.manifest.name.clone();
        let before = self.0.index.get(&name).await?;
        self.0.write_component(&generation.digest, &bytes)?;
        let installed = Installed {
            name: name.clone(),
            digest: generation.digest,
            source: path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string(),
            added_at: jiff::Timestamp::now(),
            manifest: generation.manifest,
            tools: generation.tools,
        };
        self.0.index.put(Entry::from(&installed)).await?;
        if let Some(before) = before.filter(|before| before.digest != installed.digest) {
            self.0.remove_component(&before.digest).await;
        }
        Ok(installed)
    }

    /// Removes an installed skill; with `purge` its grants and its stored data as well.
    pub async fn remove(&self, name: &str, purge: bool) -> Result<Installed, Error> {
        let installed = self.installed(name).await?;
        self.0.index.remove(name).await?;
        self.0.remove_component(&installed.digest).await;
        if purge {
            self.0.grants.revoke(name, None).await?;
            capability::kv::sqlite::clear(&self.0.state, name).await?;
        }
        Ok(installed)
    }

    /// All installed skills by name. Runs none of their code and compiles nothing.
    pub async fn list(&self) -> Result<Vec<Installed>, Error> {
        self.0.index.all().await?.into_iter().map(Installed::try_from).collect::<Result<_, _>>().map_err(Error::from)
    }

    /// The names of the skills that are installed in a state directory, without opening a host: for completions, which must be
    /// quick and are asked for while another host runs. Empty where nothing can be read.
    #[must_use]
    pub fn installed_names(state_dir: &Path) -> Vec<String> {
        Index::names(state_dir).unwrap_or_default()
    }

    /// What is stored for an identity: the name of an installed skill, or a path.
    #[must_use]
    pub fn grants(&self, identity: &str) -> Grants {
        (*self.0.grants.of(identity)).clone()
    }

    /// Adds to what an identity may do, and gives what it may do then. For a person's face only.
    pub async fn grant(&self, identity: &str, grants: Grants) -> Result<Grants, Error> {
        grants.check()?;
        Ok(self.0.grants.merge(identity, grants).await?)
    }

    /// Takes a capability, or everything, from an identity.
    pub async fn revoke(&self, identity: &str, capability: Option<&str>) -> Result<Grants, Error> {
        if let Some(name) = capability
            && !crate::capability::GRANTABLE.contains(&name)
        {
            return Err(GrantError::UnknownCapability(name.to_owned()).into());
        }
        self.0.grants.revoke(identity, capability).await?;
        Ok(self.grants(identity))
    }

    /// What the skill requests and neither the stored grants nor `allow` hold.
    pub async fn missing(&self, skill: &SkillRef, allow: &Grants) -> Vec<Missing> {
        let generation = skill.current();
        let requests = &generation.manifest.permissions;
        // What a name leads to must be known before a person is asked about it.
        for model in requests.model.iter().flat_map(|request| &request.models) {
            self.0.models.ready(model).await;
        }
        let stored = self.0.grants.of(skill.identity());
        policy::missing(requests, &[&*stored, allow], |model| self.0.models.is_free(model))
    }

    /// The aliases that skills can name, in order of name.
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        self.0.models.aliases()
    }

    /// The names of the providers, in order. Reaches none of them.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        self.0.models.providers()
    }

    /// Aliases, providers and prices, and what answers now.
    pub async fn models(&self) -> ModelReport {
        self.0.models.report().await
    }

    /// The newest runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<crate::journal::Record>, Error> {
        Ok(self.0.journal.recent(limit).await?)
    }

    /// What this machine and this host are able to do.
    pub async fn doctor(&self) -> Result<Vec<Finding>, Error> {
        Ok(crate::doctor::examine(&self.0, self.0.engine()?).await)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, CatalogError> {
        catalog::read_component(path, u64::from(self.0.settings.engine.component_mib) << 20)
    }

    async fn installed(&self, name: &str) -> Result<Installed, Error> {
        match self.0.index.get(name).await? {
            Some(entry) => Ok(entry.try_into()?),
            None => {
                let installed = self.0.index.all().await?.into_iter().map(|skill| skill.name).collect();
                Err(CatalogError::NotInstalled { name: name.to_owned(), installed }.into())
            }
        }
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
        let settings = self.settings.engine.clone();
        let engine = Engine::start(settings, starting.worker.clone(), &starting.cache_dir, &starting.key_file)?;
        Ok(starting.engine.get_or_init(|| engine))
    }

    /// What is set for a skill, by identity or by the manifest's name.
    ///
    /// A stranger's folder may carry any name, so limits and budgets of a name hold only for the installed skill of that
    /// name (or for the path that is written). Settings hold for the name: they are no place for secrets.
    pub(crate) fn skill_settings(&self, identity: &str, name: &str) -> SkillSettings {
        let skills = &self.settings.skills;
        match (skills.get(identity), skills.get(name)) {
            (Some(settings), _) => settings.clone(),
            (None, Some(named)) => SkillSettings { config: named.config.clone(), ..SkillSettings::default() },
            (None, None) => SkillSettings::default(),
        }
    }

    async fn load(&self, code: &[u8], name: &str, progress: Option<&Progress>) -> Result<crate::engine::Loaded, Error> {
        let tell = |step| {
            if let Some(progress) = progress {
                progress(step);
            }
        };
        let notice = || tell(Step::Compiling { skill: name.to_owned(), bytes: code.len() as u64 });
        let loaded = self.engine()?.load(code, notice).await?;
        tell(Step::Ready);
        Ok(loaded)
    }

    /// Makes a generation out of a file's bytes: the same buffer is hashed, checked and compiled.
    async fn generation(&self, bytes: &[u8], stem: &str, progress: Option<&Progress>) -> Result<Generation, Error> {
        let limit = u64::from(self.settings.engine.component_mib) << 20;
        if bytes.len() as u64 > limit {
            return Err(crate::engine::LoadError::TooLarge { limit, actual: bytes.len() as u64 }.into());
        }
        let package = Package::read(bytes).map_err(package_error)?;
        let manifest = package.manifest.unwrap_or_else(|| Manifest::bare(stem));
        let loaded = self.load(&package.code, &manifest.name, progress).await?;
        let tools: Vec<Tool> = match package.tools {
            Some(tools) => tools,
            None => invocation::ask_tools(self, &loaded.pre).await?,
        };
        let settings = self.checked_settings(&manifest)?;
        Ok(Generation {
            digest: digest(bytes),
            callables: tool::callables(&tools)?,
            tools,
            pre: loaded.pre,
            settings: Arc::new(settings),
            manifest,
        })
    }

    fn checked_settings(&self, manifest: &Manifest) -> Result<serde_json::Map<String, Value>, CatalogError> {
        let settings = self.skill_settings(&manifest.name, &manifest.name).config;
        let wrong = |reason: String| CatalogError::Settings { skill: manifest.name.clone(), reason };
        if let Some(schema) = &manifest.config {
            let validator = schema::compile(schema).map_err(|error| wrong(error.to_string()))?;
            schema::check(&validator, &Value::Object(settings.clone()))
                .map_err(|found| wrong(schema::render(&found)))?;
        }
        Ok(settings)
    }

    fn component_path(&self, digest: &str) -> PathBuf {
        self.data_dir.join("skills").join(format!("{}.wasm", digest.trim_start_matches("sha256:")))
    }

    fn write_component(&self, digest: &str, bytes: &[u8]) -> Result<(), CatalogError> {
        let path = self.component_path(digest);
        let unwritable =
            |error: std::io::Error| CatalogError::Unwritable { path: path.clone(), reason: error.to_string() };
        crate::files::make_private_dir(&self.data_dir.join("skills")).map_err(unwritable)?;
        crate::files::write_durably(&path, bytes).map_err(unwritable)
    }

    /// Removes a component that no installed skill uses any more.
    async fn remove_component(&self, digest: &str) {
        let used = self.index.all().await.is_ok_and(|all| all.iter().any(|skill| skill.digest == digest));
        if !used && let Err(error) = std::fs::remove_file(self.component_path(digest)) {
            tracing::warn!(%error, digest, "an old component could not be removed");
        }
    }
}

/// Providers from the configuration and from what the environment names.
fn router(configured: &ModelSettings, secrets: &BTreeMap<String, SecretString>) -> Result<Router, ModelError> {
    let env = |name: &str| secrets.get(name).map(|value| value.expose_secret().to_owned());
    let found = discover::discover(&env, None, configured);
    let keys = discover::secrets(&env, &found.settings);
    Router::new(found.settings, &keys, found.hopeful)
}

fn package_error(error: PackageError) -> Error {
    match error {
        PackageError::Load(error) => error.into(),
        PackageError::Manifest(error) => error.into(),
    }
}
