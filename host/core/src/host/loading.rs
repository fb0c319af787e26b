//! A skill out of a file: read, checked, compiled and made ready to be called.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Host, Shared};
use crate::catalog::package::{Package, PackageError};
use crate::catalog::reflect::{self, Docs, Reflection};
use crate::catalog::tool::{self, Callable, Tool};
use crate::catalog::{self, CatalogError, Generation, Installed, Runs, SkillRef};
use crate::engine::linker::Pre;
use crate::engine::{LoadError, Loaded, digest};
use crate::error::Error;
use crate::invocation;
use crate::journal::audit::Entry;
use crate::policy::manifest::{Manifest, ManifestError};
use crate::schema;
use crate::server::ServerError;
use crate::settings::Configured;
use crate::step::{Progress, Step};

impl Host {
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
        let bytes = self.0.read(path)?;
        self.0.warm_up();
        let identity = identity.unwrap_or(path);
        let identity = identity.canonicalize().unwrap_or_else(|_| identity.to_owned()).display().to_string();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let generation = self.0.generation(&bytes, &stem, Some(&identity), progress.as_ref()).await;
        let skill = SkillRef::new(identity, generation.map_err(|error| error.about(path))?);
        Ok(self.0.live.enter(skill))
    }

    /// Loads an installed skill. Its file must be the one that was installed. Where none has this name, an approved server of this name
    /// is a skill as well.
    pub async fn load_installed(&self, name: &str, progress: Option<Progress>) -> Result<SkillRef, Error> {
        let installed = match self.0.find_installed(name).await {
            Ok(installed) => installed,
            Err(error) => match self.0.server_skill(name) {
                Err(ServerError::Unknown { .. }) => return Err(error),
                other => return Ok(other?),
            },
        };
        self.0.load_installed(&installed, progress.as_ref()).await
    }

    /// The bytes of a component's file: of a plain file alone, and no more of them than `engine.component-mib` allows.
    pub fn read_component(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let (bytes, limit) = (self.0.read(path)?, self.0.component_bytes());
        if bytes.len() as u64 > limit {
            return Err(Error::from(LoadError::TooLarge { limit }).about(path));
        }
        Ok(bytes)
    }

    /// Puts manifest and tools into a component. The tools are asked for once, here, with no grants.
    pub async fn package(
        &self,
        component: &[u8],
        manifest: &Manifest,
        progress: Option<Progress>,
    ) -> Result<Vec<u8>, Error> {
        let apart = Package::read(component)?;
        let loaded = self.0.load(&apart.code, &manifest.name, progress.as_ref()).await?;
        let offered = self.0.offered(&loaded.pre, None, apart.docs).await?;
        offered.step(manifest)?;
        if let Some(schema) = &manifest.config {
            schema::compile(schema)
                .map_err(|error| ManifestError::new(format!("`config` is not a JSON Schema: {error}")))?;
        }
        Ok(Package::write(&apart.code, manifest, &offered.tools()))
    }
}

impl Shared {
    /// Begins to start the engine, beside checking the first skill that was read. Why it cannot be started is told by who needs it next.
    pub(super) fn warm_up(self: &Arc<Self>) {
        if self.engine.engine.get().is_none() {
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || drop(shared.engine()));
        }
    }

    /// Largest file of a component.
    pub(crate) fn component_bytes(&self) -> u64 {
        u64::from(self.settings.load().engine.component_mib) << 20
    }

    /// The bytes of a component's file, within the same limit.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, CatalogError> {
        catalog::read_component(path, self.component_bytes())
    }

    /// An installed skill for a skill that calls it: read, checked and made ready once.
    pub(crate) async fn installed_skill(self: &Arc<Self>, installed: &Installed) -> Result<SkillRef, Error> {
        self.loaded.get(&installed.digest, || self.load_installed(installed, None)).await
    }

    async fn load_installed(
        self: &Arc<Self>,
        installed: &Installed,
        progress: Option<&Progress>,
    ) -> Result<SkillRef, Error> {
        let name = &installed.name;
        let bytes = self.read(&self.components.path(&installed.digest))?;
        self.warm_up();
        let found = digest(&bytes);
        if found != installed.digest {
            let expected = installed.digest.clone();
            return Err(CatalogError::DigestMismatch { name: name.clone(), expected, found }.into());
        }
        let generation = self.generation(&bytes, name, Some(name), progress).await?;
        Ok(self.live.enter(SkillRef::new(name.clone(), generation)))
    }

    async fn load(&self, code: &[u8], name: &str, progress: Option<&Progress>) -> Result<Loaded, Error> {
        let tell = |step| {
            if let Some(progress) = progress {
                progress(step);
            }
        };
        let notice = || tell(Step::Compiling { skill: name.to_owned(), bytes: code.len() as u64 });
        let loaded = self.engine()?.load(code, notice).await?;
        if let Some(why) = &loaded.rejected {
            self.sessions.audit.note(Entry::admin("cache-rejected", digest(code), why.as_str()));
        }
        tell(Step::Ready);
        Ok(loaded)
    }

    /// Makes a generation out of a file's bytes: the same buffer is hashed, checked and compiled. `identity` is the manifest's
    /// name where none is given.
    pub(super) async fn generation(
        self: &Arc<Self>,
        bytes: &[u8],
        stem: &str,
        identity: Option<&str>,
        progress: Option<&Progress>,
    ) -> Result<Generation, Error> {
        let limit = self.component_bytes();
        if bytes.len() as u64 > limit {
            return Err(LoadError::TooLarge { limit }.into());
        }
        let package = Package::read(bytes)?;
        let manifest = package.manifest.unwrap_or_else(|| Manifest::bare(stem));
        let listed = package.tools.map(Listed::new);
        let loaded = self.load(&package.code, &manifest.name, progress).await?;
        let offered = self.offered(&loaded.pre, listed, package.docs).await?;
        let step = offered.step(&manifest)?;
        let (upgrade, callables): (Vec<_>, Vec<_>) =
            offered.callables.into_iter().partition(|callable| Some(&*callable.tool.name) == step.as_deref());
        let mut generation = Generation {
            digest: digest(bytes).into(),
            rights: Arc::default(),
            tools: callables.iter().map(|callable| callable.tool.clone()).collect(),
            callables: callables.into(),
            upgrade: upgrade.into(),
            // What keeps nothing has nothing to bring up to date.
            state_ready: Arc::new(AtomicBool::new(manifest.permissions.kv.is_none())),
            left_out: offered.left_out,
            runs: Runs::Here(loaded.pre),
            settings: Arc::default(),
            configured: Configured::default(),
            withdrawn: CancellationToken::new(),
            life: Arc::default(),
            manifest,
        };
        let identity = identity.unwrap_or(&generation.manifest.name).to_owned();
        generation.configure(&self.settings.load(), &identity)?;
        Ok(generation)
    }

    /// The tools of a component. `listed` are those that its package lists.
    ///
    /// What a skill's package lists is taken as it is: checking it would mean to run the skill. The tools of a plain component are always
    /// made of its functions, so that a list that tells something else cannot bring a schema of its own in; it only describes them.
    async fn offered(self: &Arc<Self>, pre: &Pre, listed: Option<Listed>, docs: Docs) -> Result<Reflection, Error> {
        match pre {
            Pre::Skill(skill) => {
                let callables = match listed {
                    Some(listed) => listed.callables.await.map_err(|_| invocation::InvokeError::HostFault)??,
                    None => tool::callables(&invocation::ask_tools(self, &skill.pre).await?)?,
                };
                Ok(Reflection { callables, left_out: Vec::new() })
            }
            Pre::Plain(pre) => {
                let docs = listed.map_or(docs, |listed| Docs::stored(listed.tools.to_vec()));
                Ok(reflect::reflect(&self.engine()?.wasmtime, pre.component(), &docs)?)
            }
        }
    }
}

/// The tools that a package lists.
struct Listed {
    tools: Arc<[Tool]>,
    /// The same with their schemas compiled. That takes a part of each start that a person waits for, and is done beside the rest of it.
    callables: JoinHandle<Result<Vec<Callable>, LoadError>>,
}

impl Listed {
    fn new(tools: Vec<Tool>) -> Self {
        let tools: Arc<[Tool]> = tools.into();
        let listed = Arc::clone(&tools);
        Self { tools, callables: tokio::task::spawn_blocking(move || tool::callables(&listed)) }
    }
}

impl From<PackageError> for Error {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Load(error) => error.into(),
            PackageError::Manifest(error) => error.into(),
        }
    }
}
