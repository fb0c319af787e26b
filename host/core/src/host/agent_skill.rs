//! Skills that come as Agent Skills, and components for those that are made.

use std::path::Path;

use super::{Host, Progress};
use crate::catalog::agent_skill::{self, AgentSkillError, Carried};
use crate::catalog::package::Package;
use crate::catalog::signature::SourceKind;
use crate::catalog::{CatalogError, Incoming, SkillRef, Texts};
use crate::engine::digest;
use crate::error::Error;
use crate::host::Candidate;
use crate::policy::manifest::Manifest;

impl Host {
    /// The component that an Agent Skill carries, checked against what its `SKILL.md` says. One without a manifest is packaged with
    /// what stands there; one that has a manifest is what it is.
    pub async fn agent_skill(&self, folder: &Path, progress: Option<Progress>) -> Result<Vec<u8>, Error> {
        let (carried, is_whole) = self.carried(folder).await?;
        self.whole(folder, carried, is_whole, progress).await
    }

    /// The same for somebody who may want to install it, with the signatures that lie beside the component. One that does not fit is refused
    /// here where it is of a component that is packaged with what `SKILL.md` says: it says nothing of that, so what is packaged counts as
    /// unsigned.
    pub async fn incoming_agent_skill(&self, folder: &Path, progress: Option<Progress>) -> Result<Incoming, Error> {
        let (mut carried, is_whole) = self.carried(folder).await?;
        let source = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string();
        let (kind, mut signatures) = (SourceKind::File, std::mem::take(&mut carried.signatures));
        if !is_whole && !signatures.is_empty() {
            let stem = carried.component.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let (bytes, stem, source) = (carried.bytes.clone(), stem.unwrap_or_default(), source.clone());
            let signatures = std::mem::take(&mut signatures);
            self.judged(&Incoming { bytes, stem, source, kind, signatures }).await?;
        }
        let bytes = self.whole(folder, carried, is_whole, progress).await?;
        Ok(Incoming { bytes, stem: String::new(), source, kind, signatures })
    }

    /// What a folder carries, and whether that has a manifest, which names what `SKILL.md` names then.
    async fn carried(&self, folder: &Path) -> Result<(Carried, bool), Error> {
        let limit = self.0.component_bytes();
        let from = folder.to_owned();
        let read = tokio::task::spawn_blocking(move || agent_skill::carried(&from, limit)).await;
        let carried = read.map_err(|_| crate::invocation::InvokeError::HostFault)?;
        let about = |error: Error| error.about(folder);
        let carried = carried.map_err(|error| about(error.into()))?;
        let actual = carried.bytes.len() as u64;
        if actual > limit {
            return Err(crate::engine::LoadError::TooLarge { limit }.into());
        }
        let Some(manifest) = Package::read(&carried.bytes).map_err(Error::from).map_err(about)?.manifest else {
            return Ok((carried, false));
        };
        if agent_skill::name_of(&manifest.name) != carried.skill.name {
            let (md, component) = (carried.skill.name, carried.component.display().to_string());
            return Err(about(AgentSkillError::OtherName { md, component, embedded: manifest.name }.into()));
        }
        Ok((carried, true))
    }

    async fn whole(
        &self,
        folder: &Path,
        carried: Carried,
        is_whole: bool,
        progress: Option<Progress>,
    ) -> Result<Vec<u8>, Error> {
        let Carried { skill, bytes, .. } = carried;
        if is_whole {
            return Ok(bytes);
        }
        let version = skill.metadata.get(agent_skill::VERSION).and_then(|text| text.parse().ok());
        let bare = Manifest::bare(&skill.name);
        let manifest = Manifest {
            version: version.unwrap_or(bare.version),
            description: skill.description,
            license: skill.license,
            ..bare
        };
        let mut packaged = self.package(&bytes, &manifest, progress).await.map_err(|error| error.about(folder))?;
        let instructions = Some(skill.instructions).filter(|text| !text.is_empty());
        Texts { instructions, ..Texts::default() }.append(&mut packaged);
        Ok(packaged)
    }

    /// Loads an Agent Skill without installing it. Grants, budgets and state belong to its folder.
    pub async fn load_agent_skill(&self, folder: &Path, progress: Option<Progress>) -> Result<SkillRef, Error> {
        let bytes = self.agent_skill(folder, progress.clone()).await?;
        let identity = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string();
        let generation = self.0.generation(&bytes, "", Some(&identity), progress.as_ref()).await;
        let skill = SkillRef::new(identity, generation.map_err(|error| error.about(folder))?);
        Ok(self.0.live.enter(skill))
    }

    /// Looks at an Agent Skill that somebody may want to install. Changes nothing.
    pub async fn consider_agent_skill(&self, folder: &Path, progress: Option<Progress>) -> Result<Candidate, Error> {
        let incoming = self.incoming_agent_skill(folder, progress.clone()).await?;
        self.consider_incoming(incoming, progress).await
    }

    /// The component of an installed skill, which is the one that was installed.
    pub async fn component(&self, name: &str) -> Result<Vec<u8>, Error> {
        let installed = self.0.find_installed(name).await?;
        let bytes = self.0.read(&self.0.components.path(&installed.digest))?;
        let found = digest(&bytes);
        if found != installed.digest {
            let (name, expected) = (installed.name, installed.digest);
            return Err(CatalogError::DigestMismatch { name, expected, found }.into());
        }
        Ok(bytes)
    }
}
