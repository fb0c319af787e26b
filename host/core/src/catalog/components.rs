//! The files of installed skills, each named by its digest.

use std::path::{Path, PathBuf};

use super::CatalogError;
use super::index::Index;
use crate::files;
use crate::state::{State, StateError};

/// The component files of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Components {
    dir: PathBuf,
    state: State,
}

impl Components {
    /// In `skills` of `data_dir`, which is made with the first file.
    pub(crate) fn new(data_dir: &Path, state: State) -> Self {
        Self { dir: data_dir.join("skills"), state }
    }

    /// Where the component with this digest is, or would be.
    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{}.wasm", digest.trim_start_matches("sha256:")))
    }

    /// Keeps a component, in the turn of the state, until the index names it. Once this returns it survives a power cut, so that the index may name it. Blocks.
    pub(crate) fn write(&self, digest: &str, bytes: &[u8]) -> Result<(), CatalogError> {
        let path = self.path(digest);
        let unwritable = |error: std::io::Error| CatalogError::writing(path.clone(), &error);
        files::make_private_dir(&self.dir).map_err(unwritable)?;
        files::write_durably(&path, bytes).map_err(unwritable)
    }

    /// Removes every component that neither the index nor `keep` names, and what a host that was killed has left half written. Says how
    /// many bytes they had. Whoever calls this has the turn of the state, so that no other host is about to name a file that it wrote.
    pub(crate) async fn clean(&self, index: &Index, keep: &[String]) -> Result<u64, StateError> {
        let mut used: Vec<PathBuf> = keep.iter().map(|digest| self.path(digest)).collect();
        used.extend(index.all().await?.iter().map(|skill| self.path(&skill.digest)));
        // First the index: one that a power cut takes back must not name a file that is gone.
        self.state.sync().await?;
        let mut freed = 0;
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.ends_with(".wasm") || name.starts_with(".tmp");
            let length = entry.metadata().map(|found| found.len()).unwrap_or_default();
            if is_ours && !used.contains(&path) && std::fs::remove_file(&path).is_ok() {
                freed += length;
            }
        }
        Ok(freed)
    }

    /// Removes a component that no installed skill uses any more, in the turn of the state. One that cannot be removed harms nobody.
    pub(crate) async fn remove_unused(&self, index: &Index, digest: &str) {
        // What cannot be looked up may be used.
        let used = index.all().await.map_or(true, |all| all.iter().any(|skill| skill.digest == digest));
        if used {
            return;
        }
        // First the index: one that a power cut takes back must not name a file that is gone.
        if let Err(error) = self.state.sync().await {
            tracing::warn!(%error, digest, "an old component is not removed");
            return;
        }
        if let Err(error) = std::fs::remove_file(self.path(digest)) {
            tracing::warn!(%error, digest, "an old component could not be removed");
        }
    }
}
