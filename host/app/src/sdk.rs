//! The SDK that travels inside of this program, for skills that are made where there is no checkout of it: unpacked into
//! the skill's own `.ringfence/`, in the same places relative to each other as in the repository.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use ringfence_core::Error;

use crate::trouble::Trouble;

/// `sdk/rust` and `wit`, without what builds leave there. `build.rs` gathers them.
static EMBEDDED: Dir<'static> = include_dir!("$OUT_DIR/embedded");

/// The digest of what is embedded, as `build.rs` computed it.
const VERSION: &str = env!("EMBEDDED_VERSION");

/// Where a skill's own copy lies, below its folder.
pub(crate) const OWN: &str = ".ringfence";

/// A folder of the SDK that every checkout has.
const RUST: &str = "sdk/rust";

/// The files of the template for a Rust skill, as (path, content).
pub(crate) fn template() -> Result<Vec<(PathBuf, String)>, Error> {
    let folder = EMBEDDED.get_dir(Path::new(RUST).join("template"));
    let mut files = Vec::new();
    if let Some(folder) = folder {
        gather(folder, folder.path(), &mut files);
    }
    match files.is_empty() {
        true => Err(Trouble::new("host-fault", "this program was built without its template", "build it again")),
        false => Ok(files),
    }
}

fn gather(folder: &Dir<'static>, root: &Path, files: &mut Vec<(PathBuf, String)>) {
    for file in folder.files() {
        let name = file.path().strip_prefix(root).unwrap_or(file.path());
        files.push((name.to_owned(), String::from_utf8_lossy(file.contents()).into_owned()));
    }
    for below in folder.dirs() {
        gather(below, root, files);
    }
}

/// The SDK of the checkout that `folder` lies in, relative to `folder`; none outside of one.
pub(crate) fn in_checkout(folder: &Path) -> Option<PathBuf> {
    let mut up = PathBuf::from("..");
    for above in folder.ancestors().skip(1) {
        if above.join(RUST).join("Cargo.toml").is_file() && above.join("wit/world.wit").is_file() {
            return Some(up.join(RUST));
        }
        up.push("..");
    }
    None
}

/// Where the skill in a folder with a copy of its own finds the SDK.
pub(crate) fn own_path() -> PathBuf {
    Path::new(OWN).join(RUST)
}

/// Unpacks the SDK below `folder`, in place of an older copy.
pub(crate) fn unpack(folder: &Path) -> Result<(), Error> {
    let own = folder.join(OWN);
    for part in ["sdk", "wit"] {
        let old = own.join(part);
        match std::fs::remove_dir_all(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Trouble::unwritable(&old, &error));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(&own).map_err(|error| Trouble::unwritable(&own, &error))?;
    EMBEDDED.extract(&own).map_err(|error| Trouble::unwritable(&own, &error))?;
    let stamp = own.join("version");
    // Last, so that a copy that was broken off is made again.
    std::fs::write(&stamp, VERSION).map_err(|error| Trouble::unwritable(&stamp, &error))
}

/// Brings the skill's own copy to this program's version, where the skill has one; says whether it did.
pub(crate) fn refresh(folder: &Path) -> Result<bool, Error> {
    let own = folder.join(OWN);
    if !own.is_dir() && !uses_own(folder) {
        return Ok(false);
    }
    if std::fs::read_to_string(own.join("version")).is_ok_and(|version| version == VERSION) {
        return Ok(false);
    }
    unpack(folder).map(|()| true)
}

/// Whether the skill's Cargo.toml names a copy of its own: `.ringfence/` is not checked in, so a fresh clone lacks it.
fn uses_own(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains(".ringfence/sdk/rust"))
}
