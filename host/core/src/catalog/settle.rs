//! Reading a file that somebody may be writing at this moment.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::package::Package;
use super::{CatalogError, ReloadError, read_component};
use crate::error::Error;

/// How long a file must have stayed as it is, where it does not say itself that it is whole.
const STILL: Duration = Duration::from_millis(200);
/// The same where it ends in the middle of something: whoever writes it has paused.
const STILL_BROKEN: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(40);
/// How long somebody may take to write it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a component once it is whole. `ringfence build` ends its files with a seal, so that they are taken at once; of any other file
/// a beginning could pass for the whole, so it is read when it has not changed for a while. One that is written slowly is waited for, and
/// not refused once for each pause.
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
                let is_broken = bytes.as_deref().is_ok_and(|bytes| !Package::ends_well(bytes));
                if now - since >= if is_broken { STILL_BROKEN } else { STILL } {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Reads a file that is written in these pieces, with pauses of `pause` between them. Gives what was read, and how long after the
    /// last piece.
    async fn written(pieces: &[&[u8]], pause: Duration) -> (Result<Vec<u8>, Error>, Duration) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.wasm");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(pieces[0]).unwrap();
        let write = async {
            for piece in &pieces[1..] {
                tokio::time::sleep(pause).await;
                file.write_all(piece).unwrap();
            }
            tokio::time::Instant::now()
        };
        let (read, last) = tokio::join!(read_settled(&path, 1 << 20), write);
        (read, last.elapsed())
    }

    fn component(custom: usize) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        let section = wasm_encoder::CustomSection { name: "x".into(), data: vec![7; custom].into() };
        wasm_encoder::ComponentSection::append_to_component(&section, &mut bytes);
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn t97_a_file_without_a_seal_is_taken_when_it_has_been_still() {
        let whole = component(300);
        let (read, after) = written(&[&whole], Duration::ZERO).await;
        assert_eq!(read.unwrap(), whole);
        assert!(after >= STILL && after < STILL + 3 * LOOK, "{after:?}");
        // Each piece is there before the file has been still for long.
        let mut pieces: Vec<&[u8]> = whole.chunks(40).collect();
        let (read, after) = written(&pieces, STILL - LOOK - LOOK).await;
        assert_eq!(read.unwrap(), whole);
        assert!(after >= STILL - LOOK && after < STILL + 3 * LOOK, "{after:?}");
        // Slower than that: it ends in the middle of something.
        let (read, after) = written(&pieces, STILL_BROKEN - 3 * LOOK).await;
        assert_eq!(read.unwrap(), whole);
        assert!(after < STILL + 3 * LOOK, "{after:?}");
        // And of one that stays as it is somebody has to be told.
        pieces.truncate(3);
        let (read, after) = written(&pieces, STILL).await;
        assert_eq!(read.unwrap(), pieces.concat());
        assert!(after >= STILL_BROKEN - LOOK && after < STILL_BROKEN + 3 * LOOK, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn t97_with_a_seal_it_is_taken_at_once_and_what_never_rests_is_given_up() {
        let mut sealed = component(30);
        Package::seal(&mut sealed);
        let (read, after) = written(&[&sealed], Duration::ZERO).await;
        assert_eq!((read.unwrap(), after), (sealed, Duration::ZERO));
        let pieces = vec![&[7][..]; 1 + 10 * PATIENCE.as_secs() as usize];
        let error = written(&pieces, STILL / 2).await.0.unwrap_err();
        assert_eq!(error.kind(), "unreadable", "{error}");
    }
}
