//! Compiled machine code on disk: found by what it was made from, believed only when this host's key signed it.
//!
//! Loading machine code is the one thing here that the compiler cannot check, so everything about it is in this file. An
//! artefact is loaded only if its authentication code verifies under a key that never leaves the state directory. What does not
//! verify is removed and compiled again.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::LoadError;
use crate::files::{make_private_dir, write_durably, write_unsynced};

type Code = Hmac<Sha256>;

pub(crate) struct Artefacts {
    dir: PathBuf,
    key: [u8; 32],
    /// Engine version and configuration, as part of each name.
    compatibility: String,
}

/// What the cache has of a component.
pub(crate) enum Cached {
    Ours(Box<Component>),
    Nothing,
    /// There was something that this host did not make, and why it knows. It is gone.
    Rejected(String),
}

impl Artefacts {
    /// `dir` is made where it is missing. The key is made once, in `key_file`.
    pub(crate) fn open(dir: PathBuf, key_file: &Path, engine: &Engine) -> std::io::Result<Self> {
        make_private_dir(&dir)?;
        let key = key(key_file)?;
        let compatibility = format!("{}-{}", compatibility(engine), fingerprint(&key));
        Ok(Self { dir, key, compatibility })
    }

    /// The component with this digest, if an artefact of it is here and verifies.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Cached {
        let path = self.path(digest);
        match self.verified(&path, digest) {
            Ok(Some(file)) => match deserialize(engine, &file, &path) {
                Ok(component) => Cached::Ours(Box::new(component)),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a cached artefact does not load; compiling again");
                    self.discard(digest);
                    Cached::Nothing
                }
            },
            Ok(None) => Cached::Nothing,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, kind = "cache-rejected", "a cached artefact is not ours; compiling again");
                self.discard(digest);
                Cached::Rejected(error.to_string())
            }
        }
    }

    /// Keeps an artefact. Failing to is no failure of the load: the next start compiles again.
    pub(crate) fn store(&self, digest: &str, artefact: &[u8]) -> std::io::Result<()> {
        let path = self.path(digest);
        let mut code = self.code(digest);
        code.update(artefact);
        // The code first: an artefact without one is never looked at.
        write_unsynced(&path.with_extension("mac"), &code.finalize().into_bytes())?;
        write_unsynced(&path, artefact)
    }

    /// Loads an artefact straight from memory: what the worker has just made.
    pub(crate) fn load_fresh(&self, engine: &Engine, artefact: &[u8]) -> Result<Component, LoadError> {
        deserialize_bytes(engine, artefact).map_err(|error| {
            let reason = format!("{error:#}");
            match reason.split_once(" does not fit in pooling allocator requirements: ") {
                Some((what, reason)) => {
                    let kind = if what.ends_with("table") { "table-limit" } else { "memory-limit" };
                    LoadError::DoesNotFit { kind, reason: reason.to_owned() }
                }
                None if reason.contains("in the pooling allocator") => {
                    let kind = if reason.contains("tables") { "table-limit" } else { "memory-limit" };
                    LoadError::DoesNotFit { kind, reason }
                }
                None => LoadError::Worker(format!("what it made does not load: {reason}")),
            }
        })
    }

    /// None where there is no artefact; an error where there is one that must not be believed.
    fn verified(&self, path: &Path, digest: &str) -> std::io::Result<Option<File>> {
        let Ok(mut file) = open_no_follow(path) else { return Ok(None) };
        let mut expected = Vec::new();
        open_no_follow(&path.with_extension("mac"))?.take(64).read_to_end(&mut expected)?;
        let mut code = self.code(digest);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => code.update(buffer.get(..n).unwrap_or_default()),
            }
        }
        code.verify_slice(&expected).map_err(|_| std::io::Error::other("its authentication code is wrong"))?;
        Ok(Some(file))
    }

    fn discard(&self, digest: &str) {
        let path = self.path(digest);
        drop(std::fs::remove_file(path.with_extension("mac")));
        drop(std::fs::remove_file(path));
    }

    fn code(&self, digest: &str) -> Code {
        // Any length of key is valid for HMAC (RFC 2104), so the fallback is never taken.
        let mut code = Code::new_from_slice(&self.key).unwrap_or_else(|_| Code::new(&Default::default()));
        code.update(digest.as_bytes());
        code.update(b"\n");
        code.update(self.compatibility.as_bytes());
        code.update(b"\n");
        code
    }

    fn path(&self, digest: &str) -> PathBuf {
        let digest = digest.trim_start_matches("sha256:");
        self.dir.join(format!("{digest}-{}.cwasm", self.compatibility))
    }
}

fn key(file: &Path) -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    match open_no_follow(file) {
        Ok(mut open) => open.read_exact(&mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Another process may be about to make it, or have made it in this moment.
            let _turn = crate::files::turn(file.parent().unwrap_or(file))?;
            if file.symlink_metadata().is_ok() {
                return key(file);
            }
            rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut bytes).map_err(std::io::Error::other)?;
            write_durably(file, &bytes)?;
        }
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Tells the artefacts of hosts apart that share a cache and no key, so that neither takes the other's for a forgery.
fn fingerprint(key: &[u8]) -> String {
    let mut code = Code::new_from_slice(key).unwrap_or_else(|_| Code::new(&Default::default()));
    code.update(b"fingerprint");
    code.finalize().into_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn compatibility(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn open_no_follow(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

/// Maps the file that was verified, by its descriptor: another file put at its path meanwhile is not what is loaded.
#[allow(unsafe_code, reason = "wasmtime cannot know that we made the file; `verified` has checked that we did")]
fn deserialize(engine: &Engine, file: &File, path: &Path) -> Result<Component, wasmtime::Error> {
    use std::os::fd::AsRawFd;
    let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = if by_descriptor.exists() { &by_descriptor } else { path };
    // SAFETY: the bytes were made by our own worker from a component with the digest in question, and their authentication
    // code, under a key that only this user can read, was verified just now. They can change under the mapping only by the
    // hand of the same user, who could replace this program as well (SECURITY.md, what is not promised).
    unsafe { Component::deserialize_file(engine, path) }
}

#[allow(unsafe_code, reason = "the bytes come from our own worker process through a pipe")]
fn deserialize_bytes(engine: &Engine, bytes: &[u8]) -> Result<Component, wasmtime::Error> {
    // SAFETY: the bytes were written by the worker process that this host started from its own program.
    unsafe { Component::deserialize(engine, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Cached {
        fn is_ours(&self) -> bool {
            matches!(self, Self::Ours(_))
        }
    }

    const DIGEST: &str = "sha256:0123";

    fn setup(dir: &Path) -> (Engine, Artefacts, Vec<u8>) {
        let engine = Engine::new(&crate::engine::config::on_demand()).unwrap();
        let artefacts = Artefacts::open(dir.join("cache"), &dir.join("key"), &engine).unwrap();
        let component = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        let artefact = engine.precompile_component(&component).unwrap();
        (engine, artefacts, artefact)
    }

    #[test]
    fn an_artefact_of_ours_loads_again_and_by_a_second_host_with_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, artefacts, artefact) = setup(dir.path());
        assert!(matches!(artefacts.load(&engine, DIGEST), Cached::Nothing));
        artefacts.store(DIGEST, &artefact).unwrap();
        assert!(artefacts.load(&engine, DIGEST).is_ours());
        let again = Artefacts::open(dir.path().join("cache"), &dir.path().join("key"), &engine).unwrap();
        assert!(again.load(&engine, DIGEST).is_ours());
    }

    #[test]
    fn a_changed_byte_another_digest_and_another_key_are_refused_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, artefacts, artefact) = setup(dir.path());
        artefacts.store(DIGEST, &artefact).unwrap();
        let path = artefacts.path(DIGEST);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(artefacts.load(&engine, DIGEST), Cached::Rejected(_)));
        assert!(!path.exists(), "what does not verify is removed");

        artefacts.store(DIGEST, &artefact).unwrap();
        std::fs::copy(&path, artefacts.path("sha256:4567")).unwrap();
        std::fs::copy(path.with_extension("mac"), artefacts.path("sha256:4567").with_extension("mac")).unwrap();
        assert!(
            matches!(artefacts.load(&engine, "sha256:4567"), Cached::Rejected(_)),
            "an artefact of another component"
        );

        let stranger = Artefacts::open(dir.path().join("cache"), &dir.path().join("key2"), &engine).unwrap();
        assert!(matches!(stranger.load(&engine, DIGEST), Cached::Nothing), "each has files of its own");
        assert!(artefacts.load(&engine, DIGEST).is_ours());
        std::fs::copy(&path, stranger.path(DIGEST)).unwrap();
        std::fs::copy(path.with_extension("mac"), stranger.path(DIGEST).with_extension("mac")).unwrap();
        assert!(matches!(stranger.load(&engine, DIGEST), Cached::Rejected(_)));
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, artefacts, artefact) = setup(dir.path());
        artefacts.store(DIGEST, &artefact).unwrap();
        let path = artefacts.path(DIGEST);
        let elsewhere = dir.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(matches!(artefacts.load(&engine, DIGEST), Cached::Rejected(_) | Cached::Nothing));
    }
}
