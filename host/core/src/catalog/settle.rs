//! Reading a file that somebody may be writing at this moment.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::package::Package;
use super::{CatalogError, ReloadError, read_component};
use crate::error::Error;

/// How long a file must have stayed as it is, where it does not say itself that it is whole.
const STILL: Duration = Duration::from_millis(200);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(40);
/// How long somebody may take to write it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a component once it is whole. `ringfence build` ends its files with a seal, so that they are taken at once; of any other file
/// a beginning could pass for the whole, so it is read when it has not changed for a while.
pub(crate) async fn read_settled(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let (begun, shown) = (tokio::time::Instant::now(), path.to_owned());
    let mut seen: Option<(Mark, tokio::time::Instant)> = None;
    loop {
        let (before, bytes, after) = {
            let path = path.to_owned();
            let read = move || (Mark::of(&path), read_component(&path, limit), Mark::of(&path));
            let failed =
                |_| CatalogError::Unreadable { path: shown.clone(), reason: "the look at it broke off".into() };
            tokio::task::spawn_blocking(read).await.map_err(failed)?
        };
        let whole = bytes.as_deref().is_ok_and(Package::is_sealed);
        if whole {
            return Ok(bytes?);
        }
        let now = tokio::time::Instant::now();
        match seen {
            Some((mark, since)) if before == after && mark == after => {
                if now - since >= STILL {
                    return Ok(bytes?);
                }
            }
            _ => seen = Some((after, now)),
        }
        // A file that is gone may be about to come back: editors and compilers write so.
        if now - begun > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(ReloadError::Unsettled { path: path.display().to_string(), seconds }.into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What changes of a file when it is written or exchanged. None where it is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark(Option<(u64, u64, u64, Option<SystemTime>)>);

impl Mark {
    fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let found = path.symlink_metadata().ok();
        Self(found.map(|meta| (meta.dev(), meta.ino(), meta.len(), meta.modified().ok())))
    }
}
