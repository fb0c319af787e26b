//! The skills that somebody holds now, so that what is installed or configured meanwhile reaches their next call.

use std::collections::HashMap;

use super::SkillRef;
use super::skill::WeakSkill;
use crate::sync::{Mutex, PoisonError};

/// Skills by identity. Holds none of them: one that nobody holds any more is forgotten.
#[derive(Default)]
pub(crate) struct LiveSkills(Mutex<HashMap<String, Vec<WeakSkill>>>);

impl LiveSkills {
    /// Remembers a skill as long as somebody holds it, and gives it back.
    pub(crate) fn enter(&self, skill: SkillRef) -> SkillRef {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, skills| {
            skills.retain(|one| one.upgrade().is_some());
            !skills.is_empty()
        });
        live.entry(skill.identity().to_owned()).or_default().push(skill.downgrade());
        skill
    }

    /// Those of one identity.
    pub(crate) fn of(&self, identity: &str) -> Vec<SkillRef> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(identity).into_iter().flatten().filter_map(WeakSkill::upgrade).collect()
    }

    pub(crate) fn all(&self) -> Vec<SkillRef> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.values().flatten().filter_map(WeakSkill::upgrade).collect()
    }
}
