//! What the invocations of one call have in common: the outermost one and all that it calls, however deep.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::SkillRef;
use crate::sync::{Mutex, PoisonError};

/// What an invocation that no skill called has in common with all that it calls, however deep.
pub(super) struct Family {
    /// The invocation that no skill called.
    pub(super) root: Arc<str>,
    /// The generations that were called, so that each skill stays the same to the end: also where it is installed anew or
    /// removed meanwhile.
    pinned: Mutex<HashMap<String, SkillRef>>,
}

impl Family {
    pub(super) fn of(root: Arc<str>) -> Self {
        Self { root, pinned: Mutex::default() }
    }

    pub(super) fn get(&self, skill: &str) -> Option<SkillRef> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).get(skill).cloned()
    }

    /// Keeps a generation, or gives the one that another call kept first.
    pub(super) fn pin(&self, loaded: &SkillRef) -> SkillRef {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        pinned.entry(loaded.identity().to_owned()).or_insert_with(|| loaded.pinned()).clone()
    }
}
