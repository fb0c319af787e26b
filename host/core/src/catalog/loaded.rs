//! Installed skills that were loaded, so that each is made ready once per host.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::SkillRef;
use crate::sync::{Mutex, PoisonError};

/// Skills by the digest of their file. Those that wait for the same one wait for one load.
#[derive(Default)]
pub(crate) struct LoadedSkills(Mutex<HashMap<String, Arc<OnceCell<SkillRef>>>>);

impl LoadedSkills {
    /// The skill of this digest; `load` makes it where it is not there. A load that failed is tried again the next time.
    pub(crate) async fn get<E, F>(&self, digest: &str, load: impl FnOnce() -> F) -> Result<SkillRef, E>
    where
        F: Future<Output = Result<SkillRef, E>>,
    {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(digest.to_owned()).or_default())
        };
        // Nearly always it is there: whoever calls it must not hold all that a load would need, for as long as the call lasts.
        cell.get_or_try_init(|| Box::pin(load())).await.cloned()
    }

    /// Forgets a skill that is no longer installed. Calls that run keep what they have.
    pub(crate) fn forget(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}
