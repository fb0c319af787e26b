//! Where skills come from, and where they are published: files, servers, OCI registries, and an index of names.
//!
//! What is fetched is kept in memory until somebody decides about it; on disk there is at most a partial file, named by what it has to
//! become or by where it comes from, which nothing else reads. Deliberately absent: state, grants, and a decision about what was fetched. So a download holds
//! nobody up who uses the state meanwhile.

mod credentials;
mod digest;
mod error;
mod fetch;
mod https;
mod index;
mod known;
mod likeness;
mod newer;
mod oci;
mod reference;
mod settings;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Incoming;
use super::signature::{Signature, SourceKind};
use crate::error::Error;
use crate::net::Origin;
use crate::step::Progress;
pub use credentials::{Anonymous, Credentials, Login};
pub use digest::Digest;
pub use error::SourceError;
use fetch::{Bounds, Told};
pub use index::{Age, Index, IndexError, Listed, Release, Seen};
use known::Shelf;
pub use likeness::alike;
pub use newer::{Held, Newer, Other};
pub use oci::Pushed;
use oci::Registry;
pub use reference::{Artifact, At, Named, Reference, WebFile};
pub use settings::CatalogSettings;
use wire::Wire;

/// What sources are opened with. A face fills it from its own layers; the core reads no environment.
pub struct SourcesConfig {
    /// What can be made again: where partial files are.
    pub cache_dir: PathBuf,
    /// Largest component in bytes.
    pub component_bytes: u64,
    pub settings: CatalogSettings,
    pub credentials: Arc<dyn Credentials>,
}

/// Where skills come from. Cheap to clone.
#[derive(Clone)]
pub struct Sources(Arc<Inner>);

struct Inner {
    wire: Wire,
    settings: CatalogSettings,
    credentials: Arc<dyn Credentials>,
    cache_dir: PathBuf,
    /// What servers call what they gave.
    known: Shelf,
    /// Largest component in bytes.
    limit: u64,
}

/// What was fetched: nothing of it is installed, and nobody has looked inside.
pub struct Fetched {
    pub incoming: Incoming,
    /// Of its bytes.
    pub digest: Digest,
    /// What names exactly this: by digest, where its source knows such a name.
    pub exact: String,
}

impl Sources {
    #[must_use]
    pub fn new(config: SourcesConfig) -> Self {
        let wire = Wire::new(&config.settings);
        Self::over(config, wire)
    }

    /// Over a network of a test's own.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn on(config: SourcesConfig, network: crate::net::TestNetwork) -> Self {
        let wire = Wire::on(&config.settings, network);
        Self::over(config, wire)
    }

    fn over(config: SourcesConfig, wire: Wire) -> Self {
        let SourcesConfig { cache_dir, component_bytes, settings, credentials } = config;
        let known = Shelf::new(&cache_dir);
        Self(Arc::new(Inner { wire, settings, credentials, cache_dir, known, limit: component_bytes }))
    }

    /// Fetches what a person named. Installs nothing, and leaves nothing behind when it is dropped but a partial file. A name is
    /// looked up in an index first, with [`Index::find`].
    pub async fn fetch(&self, reference: &Reference, progress: Option<Progress>) -> Result<Fetched, Error> {
        self.fetch_for(reference, true, progress).await
    }

    /// Fetches what an index lists, which has to be the bytes that it lists. `heard` is the index: what it says about servers is a
    /// person's word where it lies on this machine, and another server's otherwise.
    pub async fn fetch_listed(
        &self,
        release: &Release,
        heard: &Index,
        progress: Option<Progress>,
    ) -> Result<Fetched, Error> {
        let mut fetched = self.fetch_for(&release.reference, heard.is_local(), progress).await?;
        if fetched.digest != release.digest {
            let (what, expected) = (release.reference.to_string(), release.digest.clone());
            return Err(SourceError::Digest { what, expected, found: fetched.digest }.into());
        }
        fetched.incoming.kind = SourceKind::Index;
        Ok(fetched)
    }

    async fn fetch_for(
        &self,
        reference: &Reference,
        is_named: bool,
        progress: Option<Progress>,
    ) -> Result<Fetched, Error> {
        let told = Told { what: reference.to_string(), progress };
        match reference {
            Reference::Path(path) => self.0.file(path),
            Reference::Https(file) => {
                let named = is_named.then(|| file.target.origin().clone());
                Ok(self.0.web_file(file, named.as_ref(), &told).await?)
            }
            Reference::Oci(artifact) => Ok(self.0.artifact(artifact, is_named, &told).await?),
            Reference::Named(named) => Err(SourceError::NoIndex { name: named.name.clone() }.into()),
        }
    }

    /// Publishes a component under a tag, with the signatures that lie beside its file.
    pub async fn push(&self, file: &Path, to: &Artifact, progress: Option<Progress>) -> Result<Pushed, Error> {
        let bytes = super::read_component(file, self.0.limit)?;
        self.0.no_larger(&file.display().to_string(), bytes.len() as u64)?;
        if !bytes.get(..8).is_some_and(wasmparser::Parser::is_component) {
            fetch::no_archive(&file.display().to_string(), &bytes)?;
            crate::engine::precheck::check(&bytes)?;
        }
        let signatures = Signature::beside(file)?;
        Ok(Registry::of(&self.0, to, true, true)?.push(bytes, &signatures, progress).await?)
    }

    /// The index that is configured.
    pub async fn index(&self, progress: Option<Progress>) -> Result<Option<Index>, Error> {
        match &self.0.settings.index {
            Some(place) => Ok(Some(self.0.index(place, progress).await?)),
            None => Ok(None),
        }
    }

    /// What is there in place of an installed component, for what need not be looked up in an index. Fetches no component where its
    /// source can tell without.
    pub async fn newer(
        &self,
        source: &Reference,
        installed: &Held<'_>,
        progress: Option<Progress>,
    ) -> Result<Newer, Error> {
        self.0.newer(source, installed, progress).await
    }

    /// Removes partial files that no fetch is working on, and what was known of servers long ago. Says how many bytes they had.
    #[must_use]
    pub fn clean(&self) -> u64 {
        let mut freed = self.0.known.clean();
        for entry in std::fs::read_dir(self.0.partial_dir()).into_iter().flatten().flatten() {
            let open = std::fs::OpenOptions::new().read(true).write(true).open(entry.path());
            let is_free = open.as_ref().is_ok_and(|file| file.try_lock().is_ok());
            let length = entry.metadata().map(|found| found.len()).unwrap_or_default();
            if is_free && std::fs::remove_file(entry.path()).is_ok() {
                freed += length;
            }
        }
        freed
    }
}

impl Inner {
    fn bounds(&self, bytes: u64) -> Bounds {
        Bounds { bytes, stall: self.settings.stall(), whole: self.settings.whole() }
    }

    fn partial_dir(&self) -> PathBuf {
        self.cache_dir.join("fetching")
    }

    fn no_larger(&self, what: &str, actual: u64) -> Result<(), SourceError> {
        match actual > self.limit {
            true => Err(SourceError::TooLarge { what: what.to_owned(), limit: self.limit, actual: Some(actual) }),
            false => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> Result<Fetched, Error> {
        let bytes = super::read_component(path, self.limit)?;
        let what = path.display().to_string();
        self.no_larger(&what, bytes.len() as u64)?;
        fetch::no_archive(&what, &bytes)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let source = path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string();
        let signatures = Signature::beside(path)?;
        let digest = Digest::of(&bytes);
        let incoming = Incoming { bytes, stem, source: source.clone(), kind: SourceKind::File, signatures };
        Ok(Fetched { incoming, digest, exact: source })
    }

    async fn artifact(&self, artifact: &Artifact, is_named: bool, told: &Told) -> Result<Fetched, SourceError> {
        let registry = Registry::of(self, artifact, is_named, false)?;
        let found = registry.find().await?;
        let bytes = registry.component(&found, told).await?;
        fetch::no_archive(&artifact.to_string(), &bytes)?;
        let signatures = registry.signatures(&found).await?;
        let incoming =
            Incoming { bytes, stem: artifact.stem(), source: artifact.to_string(), kind: SourceKind::Oci, signatures };
        let exact = artifact.with(At::Digest(found.manifest.clone())).to_string();
        Ok(Fetched { incoming, digest: found.component().clone(), exact })
    }
}

/// The server that a place names, where it is one.
fn origin_of(place: &Reference) -> Option<&Origin> {
    match place {
        Reference::Https(file) => Some(file.target.origin()),
        Reference::Oci(artifact) => Some(artifact.registry.origin()),
        Reference::Path(_) | Reference::Named(_) => None,
    }
}
