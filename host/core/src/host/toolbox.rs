//! What clients and models can call, and what they call it by.

use std::sync::Arc;

use tokio::sync::watch;

use super::Host;
use crate::catalog::SkillRef;
use crate::catalog::toolbox::{From, Offer, Toolbox};
use crate::error::Error;
use crate::policy::Grants;

impl Host {
    /// The tools of everything that is installed, of approved servers, and of what is [offered](Self::offer) beside it. Kept until something changes.
    pub async fn toolbox(&self) -> Result<Arc<Toolbox>, Error> {
        let offers = &self.0.offers;
        if let Some(toolbox) = offers.last() {
            return Ok(toolbox);
        }
        let when = offers.count();
        let installed = self.0.all_installed().await?;
        let mut held = self.0.server_skills();
        held.retain(|name, _| !installed.iter().any(|skill| skill.name == *name));
        held.extend(offers.held());
        let toolbox = Toolbox::of(installed, &held);
        Ok(offers.keep(when, toolbox))
    }

    /// Changes whenever the toolbox may be another one than before: somebody installed, removed, replaced or offered a skill.
    #[must_use]
    pub fn toolbox_changes(&self) -> watch::Receiver<u64> {
        self.0.offers.changes()
    }

    /// Offers a skill that is not installed, such as one that somebody works on, until this host ends. Takes the place of an installed one
    /// of the same name.
    pub fn offer(&self, skill: SkillRef) {
        self.0.offers.hold(skill);
    }

    /// Whether the skill of a tool lacks a grant without which it cannot work.
    pub(crate) async fn lacks(&self, offer: &Offer) -> bool {
        let missing = match &offer.from {
            From::Held(skill) => self.missing(skill, &Grants::default()).await,
            From::Installed(installed) => {
                let held = self.0.grants.of(&installed.name);
                self.open_wishes(&installed.manifest.permissions, &[&*held]).await
            }
        };
        missing.iter().any(|one| !one.optional)
    }

    /// The skill of a tool, made ready once: the first that asks waits until it is read and compiled.
    pub async fn skill_of(&self, offer: &Offer) -> Result<SkillRef, Error> {
        match &offer.from {
            From::Held(skill) => Ok(skill.clone()),
            From::Installed(installed) => match self.0.installed_skill(installed).await {
                Ok(skill) => Ok(skill),
                // Another host may have replaced it in this moment.
                Err(error) => match self.0.find_installed(&installed.name).await {
                    Ok(now) if now.digest != installed.digest => self.0.installed_skill(&now).await,
                    _ => Err(error),
                },
            },
        }
    }
}
