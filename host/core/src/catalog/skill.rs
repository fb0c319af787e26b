//! A skill as callers hold it, and the generation behind it.

use std::sync::Arc;
use std::sync::Weak;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::tool::Tool;
use super::{Generation, Standing};
use crate::policy::manifest::Manifest;
use crate::sync::{Mutex, PoisonError};

/// A skill that can be called. Cheap to clone; clones see the same generation.
#[derive(Clone)]
pub struct SkillRef(Arc<Slot>);

struct Slot {
    identity: Arc<str>,
    current: ArcSwap<Generation>,
    /// What became of the newest attempt to put another generation here.
    standing: Mutex<Standing>,
    /// Held while that goes on, so that two attempts cannot overtake each other.
    changing: Semaphore,
}

/// A skill that is held by others. It keeps none of it.
pub(crate) struct WeakSkill(Weak<Slot>);

impl WeakSkill {
    pub(crate) fn upgrade(&self) -> Option<SkillRef> {
        self.0.upgrade().map(SkillRef)
    }
}

impl SkillRef {
    pub(crate) fn new(identity: impl Into<Arc<str>>, generation: Generation) -> Self {
        Self::of(identity.into(), Arc::new(generation))
    }

    fn of(identity: Arc<str>, generation: Arc<Generation>) -> Self {
        Self(Arc::new(Slot {
            identity,
            current: ArcSwap::new(generation),
            standing: Mutex::default(),
            changing: Semaphore::new(1),
        }))
    }

    /// The same skill as it is now, whatever is put in its place later.
    pub(crate) fn pinned(&self) -> Self {
        Self::of(Arc::clone(&self.0.identity), self.current())
    }

    pub(crate) fn downgrade(&self) -> WeakSkill {
        WeakSkill(Arc::downgrade(&self.0))
    }

    pub(crate) fn current(&self) -> Arc<Generation> {
        self.0.current.load_full()
    }

    /// Puts another generation in the place of this one, in one step, and gives the old one: calls that run have it still.
    pub(crate) fn replace(&self, next: Arc<Generation>) -> Arc<Generation> {
        self.0.current.swap(next)
    }

    /// Waits until nobody else changes this skill.
    pub(crate) async fn change(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so always there.
        self.0.changing.acquire().await.ok()
    }

    pub(crate) fn set_standing(&self, standing: Standing) {
        *self.0.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Whether it serves what was offered last, or something older, and why.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What grants, budgets and state belong to: the name of an installed skill, or the path of one that is run in place.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.0.identity
    }

    /// The same, for whoever keeps it.
    pub(crate) fn shared_identity(&self) -> Arc<str> {
        Arc::clone(&self.0.identity)
    }

    #[must_use]
    pub fn manifest(&self) -> Manifest {
        self.current().manifest.clone()
    }

    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        self.current().tools.to_vec()
    }

    #[must_use]
    pub fn digest(&self) -> String {
        self.current().digest.as_ref().to_owned()
    }
}

impl std::fmt::Debug for SkillRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkillRef").field("identity", &self.identity()).field("digest", &self.digest()).finish()
    }
}
