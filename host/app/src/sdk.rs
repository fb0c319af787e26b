//! The SDKs that travel inside of this program, for skills that are made where there is no checkout of them: one is unpacked into
//! the skill's own `.ringfence/`, in the same places relative to each other as in the repository.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use ringfence_core::Error;

use crate::toolchain::{Lang, project};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// `sdk` and `wit`, without what builds leave there. `build.rs` gathers them.
static EMBEDDED: Dir<'static> = include_dir!("$OUT_DIR/embedded");

/// This program's version, and the digest of each part of what is embedded, as `build.rs` computed it.
const EMBEDDED_PARTS: &str = env!("EMBEDDED");

/// Where a skill's own copy lies, below its folder.
const OWN: &str = ".ringfence";

/// The files of the template for a skill in this language, as (path, content).
pub(crate) fn template(lang: &Lang) -> Result<Vec<(PathBuf, String)>, Error> {
    let folder = EMBEDDED.get_dir(place(lang).join(lang.template));
    let mut files = Vec::new();
    if let Some(folder) = folder {
        gather(folder, folder.path(), &mut files);
    }
    match files.is_empty() {
        true => Err(Trouble::new("host-fault", "this program was built without its template", "build it again")),
        false => Ok(files),
    }
}

/// The files of the interface, as (name, text).
pub(crate) fn interface() -> impl Iterator<Item = (String, &'static str)> {
    let files = EMBEDDED.get_dir("wit").into_iter().flat_map(Dir::files);
    files.filter_map(|file| Some((file.path().display().to_string(), file.contents_utf8()?)))
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

/// Where an SDK lies below the root of all.
fn place(lang: &Lang) -> PathBuf {
    Path::new("sdk").join(lang.sdk)
}

/// The root of the checkout that `folder` lies in, relative to `folder`; none outside of one.
pub(crate) fn in_checkout(folder: &Path, lang: &Lang) -> Option<PathBuf> {
    let mut up = PathBuf::from("..");
    for above in folder.ancestors().skip(1) {
        if above.join(place(lang)).join("README.md").is_file() && above.join("wit/world.wit").is_file() {
            return Some(up);
        }
        up.push("..");
    }
    None
}

/// Where the skill in `folder` finds its SDK, relative to `folder`.
pub(crate) fn path(folder: &Path, lang: &Lang) -> PathBuf {
    // With `./` in front: Go takes a path without it for the name of a module.
    in_checkout(folder, lang).unwrap_or_else(|| Path::new(".").join(OWN)).join(place(lang))
}

/// Unpacks the SDK below `folder`, in place of an older copy.
pub(crate) fn unpack(folder: &Path, lang: &Lang) -> Result<(), Error> {
    let own = folder.join(OWN);
    // What is removed and written behind a link in a stranger's folder would be somebody else's.
    if own.is_symlink() {
        return Err(Trouble::new(
            "build-failed",
            format!("{} is a link, and the SDK would be unpacked behind it", own.display()),
            "remove the link; a folder is made in its place",
        ));
    }
    for part in ["sdk", "wit"] {
        let old = own.join(part);
        match std::fs::remove_dir_all(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Trouble::unwritable(&old, &error));
            }
            _ => {}
        }
    }
    for part in [place(lang), "wit".into()] {
        let into = own.join(&part);
        std::fs::create_dir_all(&into).map_err(|error| Trouble::unwritable(&into, &error))?;
        if let Some(folder) = EMBEDDED.get_dir(&part) {
            folder.extract(&own).map_err(|error| Trouble::unwritable(&own, &error))?;
        }
    }
    // It is made again from the program wherever it is missing, and no part of the skill's history.
    let ignore = own.join(".gitignore");
    put(&ignore, "*\n").map_err(|error| Trouble::unwritable(&ignore, &error))?;
    let stamp = own.join("version");
    // Last, so that a copy that was broken off is made again.
    put(&stamp, &version(lang)).map_err(|error| Trouble::unwritable(&stamp, &error))
}

/// Writes a file in the place of what is there, and not behind it where that is a link.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::File::create_new(file)?.write_all(text.as_bytes())
}

/// What the SDK of a language is told by: a skill that was built with another one is built again.
pub(crate) fn version(lang: &Lang) -> String {
    let counts = |part: &&str| part.split_once('=').is_none_or(|(name, _)| name == lang.sdk || name == "wit");
    EMBEDDED_PARTS.split(' ').filter(counts).collect::<Vec<_>>().join(" ")
}

/// The SDK that builds are made with, unpacked in the cache: a skill's folder comes from a stranger, and its own copy might be
/// anything. What that copy is for are editors and tests, and languages whose own files say where it lies.
pub(crate) fn trusted(cache: &Path, lang: &Lang) -> Result<PathBuf, Error> {
    let place = cache.join("sdk").join(version(lang).replace([' ', '='], "-"));
    if place.join(OWN).join("version").is_file() {
        return Ok(place.join(OWN));
    }
    let above = place.parent().unwrap_or(cache);
    std::fs::create_dir_all(above).map_err(|error| Trouble::unwritable(above, &error))?;
    let draft = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(above)
        .map_err(|error| Trouble::unwritable(above, &error))?;
    unpack(draft.path(), lang)?;
    match std::fs::rename(draft.path(), &place) {
        // Another build was faster.
        Err(_) if place.join(OWN).join("version").is_file() => {}
        Err(error) => return Err(Trouble::unwritable(&place, &error)),
        Ok(()) => {}
    }
    Ok(place.join(OWN))
}

/// The folder with `sdk/` and `wit/` that the skill in `folder` is built with. A copy of the skill's own is brought to this program's
/// version first: it is not checked in, so a fresh clone lacks it.
pub(crate) fn ready(folder: &Path, lang: &Lang, line: &Line) -> Result<PathBuf, Error> {
    let own = folder.join(OWN);
    if !own.is_dir() {
        if let Some(root) = in_checkout(folder, lang) {
            return Ok(folder.join(root));
        }
        // Cargo finds a Rust skill's SDK where Cargo.toml says, which need not be a copy of its own.
        if lang.name == "rust" && !names_own(folder) {
            return Ok(own);
        }
    }
    if !project::text(&own.join("version"), project::STAMP_BYTES).is_ok_and(|found| found == version(lang)) {
        line.say("unpacking the SDK");
        unpack(folder, lang)?;
    }
    Ok(own)
}

fn names_own(folder: &Path) -> bool {
    let manifest = project::text(&folder.join("Cargo.toml"), project::LIST_BYTES);
    manifest.is_ok_and(|text| text.contains(".ringfence/sdk/rust"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_a_link_is_removed_or_written() {
        let (outside, skill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = outside.path().join("sdk/theirs");
        std::fs::create_dir(outside.path().join("sdk")).unwrap();
        std::fs::write(&theirs, "theirs").unwrap();
        let lang = crate::toolchain::named("c").unwrap();
        let own = skill.path().join(OWN);
        std::os::unix::fs::symlink(outside.path(), &own).unwrap();
        assert_eq!(unpack(skill.path(), lang).unwrap_err().kind(), "build-failed");
        std::fs::remove_file(&own).unwrap();
        std::fs::create_dir(&own).unwrap();
        for name in [".gitignore", "version", "sdk"] {
            std::os::unix::fs::symlink(if name == "sdk" { outside.path() } else { &theirs }, own.join(name)).unwrap();
        }
        unpack(skill.path(), lang).unwrap();
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(own.join("version")).unwrap(), version(lang));
    }
}
