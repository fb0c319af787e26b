//! The lock of the project that is worked in: read before anything else happens, and changed as it is by then after everything has.

use std::path::{Path, PathBuf};

use ringfence_core::catalog::lock::{LOCK_FILE, Lock, Locked};
use ringfence_core::catalog::source::Reference;
use ringfence_core::{Error, SkillRef};

use super::Context;
use crate::trouble::Trouble;

/// How a verb treats the lock.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Refuse whatever would change ringfence.lock
    #[arg(long)]
    pub(super) locked: bool,
    /// The same, and fetch nothing
    #[arg(long)]
    pub(super) frozen: bool,
}

/// A project with a lock.
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) lock: Lock,
    is_fixed: bool,
}

impl Project {
    /// The lock of this project; None where it has none and `make` does not say to make one. One that cannot be read is an error, for
    /// every verb.
    pub(super) fn open(args: Args, make: bool, context: &Context) -> Result<Option<Self>, Error> {
        let here = || std::env::current_dir().map_err(|error| Trouble::unreadable(Path::new("."), &error));
        let folder = match &context.config.project {
            Some(folder) => folder.clone(),
            None => here()?,
        };
        let is_fixed = args.locked || args.frozen;
        match Lock::read(&folder)? {
            Some(lock) => Ok(Some(Self { folder, lock, is_fixed })),
            None if make && !is_fixed => Ok(Some(Self { folder, lock: Lock::default(), is_fixed })),
            None if is_fixed => Err(missing(&folder)),
            None => Ok(None),
        }
    }

    /// Whether a skill may be installed as things stand: one that a fixed lock does not name just so may not.
    pub(super) fn admits(&self, skill: &SkillRef) -> Result<(), Error> {
        if !self.is_fixed {
            return Ok(());
        }
        let manifest = skill.manifest();
        let what = format!("{} {}", manifest.name, manifest.version);
        let reason = match self.lock.get(&manifest.name) {
            None => "does not name it".to_owned(),
            Some(held) if held.digest.as_str() == skill.digest() && held.version == manifest.version => return Ok(()),
            Some(held) => format!("has {} with {}", held.version, held.digest),
        };
        Err(Trouble::new(
            "lock-changed",
            format!("{what} was not installed: {} {reason}", self.folder.join(LOCK_FILE).display()),
            "leave `--locked` and `--frozen` out to change the lock, or install what it names with `ringfence sync`",
        ))
    }

    /// Writes an entry, where anything is different in it.
    pub(super) fn put(&mut self, mut entry: Locked) -> Result<(), Error> {
        entry.reference = portable(&entry.reference, &self.folder);
        entry.exact = entry.exact.map(|exact| portable(&exact, &self.folder)).filter(|exact| *exact != entry.reference);
        if !self.is_fixed {
            self.lock = Lock::change(&self.folder, |lock| lock.put(entry))?;
        }
        Ok(())
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.lock = Lock::change(&self.folder, |lock| lock.remove(name))?;
        Ok(())
    }

    /// Where an entry's skill is: a path is relative to the project.
    pub(super) fn reference(&self, text: &str) -> Result<Reference, Error> {
        Ok(match Reference::parse(text, |_| false)? {
            Reference::Path(path) => Reference::Path(self.folder.join(path)),
            other => other,
        })
    }
}

/// For a verb that needs a lock.
pub(super) fn missing(folder: &Path) -> Error {
    Trouble::new(
        "not-found",
        format!("there is no {LOCK_FILE} in {}", folder.display()),
        "`ringfence add --lock SKILL` makes one",
    )
}

/// A path within the project is written relative to it, so that the lock means the same elsewhere.
fn portable(reference: &str, folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    match Path::new(reference).strip_prefix(&folder) {
        Ok(inside) => format!("./{}", inside.display()),
        Err(_) => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_project_are_relative_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().canonicalize().unwrap().join("a/b.wasm");
        assert_eq!(portable(&inside.display().to_string(), dir.path()), "./a/b.wasm");
        for other in ["oci://a.test/x:1", "https://a.test/x.wasm", "/elsewhere/x.wasm", "hello@^1"] {
            assert_eq!(portable(other, dir.path()), other);
        }
    }
}
