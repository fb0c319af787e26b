//! A skill as callers hold it, and the generation behind it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Generation;
use super::tool::Tool;
use crate::policy::manifest::Manifest;

/// A skill that can be called. Cheap to clone.
#[derive(Clone)]
pub struct SkillRef(Arc<Slot>);

struct Slot {
    identity: String,
    current: ArcSwap<Generation>,
}

impl SkillRef {
    pub(crate) fn new(identity: String, generation: Generation) -> Self {
        Self(Arc::new(Slot { identity, current: ArcSwap::from_pointee(generation) }))
    }

    /// The same skill as it is now, whatever is put in its place later.
    pub(crate) fn pinned(&self) -> Self {
        let slot = Slot { identity: self.0.identity.clone(), current: ArcSwap::new(self.current()) };
        Self(Arc::new(slot))
    }

    pub(crate) fn current(&self) -> Arc<Generation> {
        self.0.current.load_full()
    }

    /// What grants, budgets and state belong to: the name of an installed skill, or the path of one that is run in place.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.0.identity
    }

    #[must_use]
    pub fn manifest(&self) -> Manifest {
        self.current().manifest.clone()
    }

    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        self.current().tools.clone()
    }

    #[must_use]
    pub fn digest(&self) -> String {
        self.current().digest.clone()
    }
}

impl std::fmt::Debug for SkillRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkillRef").field("identity", &self.identity()).field("digest", &self.digest()).finish()
    }
}
