//! Components that something else has built: skills in languages that no toolchain here knows.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::{Errand, Job, Shelf, Toolchain};
use crate::trouble::Trouble;

pub(super) struct Prebuilt;

impl Toolchain for Prebuilt {
    fn sources(&self, folder: &Path, build: &Build) -> Vec<PathBuf> {
        build.component.iter().map(|path| folder.join(path)).collect()
    }

    fn keeps_component(&self) -> bool {
        false
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        async move { locate(job.folder, job.build.component.as_deref().unwrap_or_default()) }.boxed()
    }

    fn test<'a>(&'a self, _job: Job<'a>, _args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async { Err(Trouble::input("a component that something else builds is tested by that", "run its tests there")) }
            .boxed()
    }

    fn check<'a>(&'a self, _shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async { Ok(String::new()) }.boxed()
    }

    fn fix<'a>(&'a self, _errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
}

/// The file that the manifest names. A stranger's manifest must not name a file of somebody else's.
fn locate(folder: &Path, named: &str) -> Result<PathBuf, Error> {
    let path = Path::new(named);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let whole = folder.join(path);
    if !inside {
        return Err(Trouble::new(
            "manifest-invalid",
            format!("skill.toml names the component `{named}`, which is not in the skill's folder"),
            "give a path from the folder of skill.toml, without `..`",
        ));
    }
    if !whole.is_file() {
        return Err(Trouble::new(
            "build-failed",
            format!("the component {} is not there", whole.display()),
            "build it first; skill.toml says under `[build]` that something else does",
        ));
    }
    // It is read as the person who builds: a link in a stranger's folder must not lead to a file of theirs.
    let real = |path: &Path| std::fs::canonicalize(path).map_err(|error| Trouble::unreadable(path, &error));
    let (real, home) = (real(&whole)?, real(folder)?);
    if !real.starts_with(&home) {
        return Err(Trouble::new(
            "manifest-invalid",
            format!("the component `{named}` is a link that leads out of the skill's folder, to {}", real.display()),
            "copy the component into the folder of skill.toml",
        ));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_lies_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        assert!(locate(folder.path(), "./a.wasm").is_ok());
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("out")).unwrap();
        std::fs::write(outside.path().join("out/b.wasm"), "").unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        link(Path::new("a.wasm"), "near.wasm");
        assert!(locate(folder.path(), "near.wasm").is_ok_and(|path| path.ends_with("a.wasm")));
        link(&outside.path().join("out/b.wasm"), "far.wasm");
        link(&outside.path().join("out"), "far");
        for named in ["far.wasm", "far/b.wasm"] {
            let error = locate(folder.path(), named).unwrap_err();
            assert_eq!(error.kind(), "manifest-invalid", "{named}");
            assert!(error.to_string().contains("leads out of the skill's folder"), "{error}");
        }
        for (named, kind) in
            [("../a.wasm", "manifest-invalid"), ("/etc/passwd", "manifest-invalid"), ("b.wasm", "build-failed")]
        {
            assert_eq!(locate(folder.path(), named).unwrap_err().kind(), kind, "{named}");
        }
    }
}
