//! Skills that come as Agent Skills, and components for those that are made.

use std::path::Path;

use super::{Host, Progress, package_error};
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
        let limit = self.0.component_bytes();
        let from = folder.to_owned();
        let read = tokio::task::spawn_blocking(move || agent_skill::carried(&from, limit)).await;
        let carried = read.map_err(|_| crate::invocation::InvokeError::HostFault)?;
        let about = |error: Error| error.about(folder);
        let Carried { skill, component, bytes } = carried.map_err(|error| about(error.into()))?;
        if bytes.len() as u64 > limit {
            return Err(crate::engine::LoadError::TooLarge { limit, actual: bytes.len() as u64 }.into());
        }
        if let Some(manifest) = Package::read(&bytes).map_err(package_error).map_err(about)?.manifest {
            return match agent_skill::name_of(&manifest.name) == skill.name {
                true => Ok(bytes),
                false => {
                    let (component, embedded) = (component.display().to_string(), manifest.name);
                    Err(about(AgentSkillError::OtherName { md: skill.name, component, embedded }.into()))
                }
            };
        }
        let version = skill.metadata.get(agent_skill::VERSION).and_then(|text| text.parse().ok());
        let bare = Manifest::bare(&skill.name);
        let manifest = Manifest {
            version: version.unwrap_or(bare.version),
            description: skill.description,
            license: skill.license,
            ..bare
        };
        let mut packaged = self.package(&bytes, &manifest, progress).await.map_err(about)?;
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
        let bytes = self.agent_skill(folder, progress.clone()).await?;
        let source = folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string();
        // It is packed here, so no signature beside its component is of what is installed.
        let (stem, kind, signatures) = (String::new(), SourceKind::File, Vec::new());
        self.consider_incoming(Incoming { bytes, stem, source, kind, signatures }, progress).await
    }

    /// The component of an installed skill, which is the one that was installed.
    pub async fn component(&self, name: &str) -> Result<Vec<u8>, Error> {
        let installed = self.0.find_installed(name).await?;
        let bytes = self.read(&self.0.components.path(&installed.digest))?;
        let found = digest(&bytes);
        if found != installed.digest {
            let (name, expected) = (installed.name, installed.digest);
            return Err(CatalogError::DigestMismatch { name, expected, found }.into());
        }
        Ok(bytes)
    }
}
