//! TypeScript and JavaScript skills: bundled by esbuild, and wrapped around an engine by what the SDK brings along.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::shelf::{Client, Kit, node};
use super::{Errand, Job, Shelf, Toolchain, process};
use crate::trouble::Trouble;

pub(super) struct JavaScript;

const KIT: Kit = Kit {
    name: "javascript",
    title: "componentize-qjs 0.4.5 with esbuild 0.28.2",
    mib: 30,
    client: Client::Npm {
        package: include_str!("javascript/package.json"),
        lock: include_str!("javascript/package-lock.json"),
    },
};

impl Toolchain for JavaScript {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            node().await?;
            packages(job, For::Tests).await?;
            let mut command = process::program("npm", job.folder);
            command.args(["test", "--silent", "--"]).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move { Ok(format!("Node.js {}; {}", node().await?, shelf.state(&KIT))) }.boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        errand.shelf.get(&KIT, errand).map(|got| got.map(drop)).boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    node().await?;
    let kit = job.errand.shelf.get(&KIT, job.errand).await?;
    packages(job, For::Build).await?;
    let component = job.work.join("component.wasm");
    job.errand.line.say("building with esbuild and componentize-qjs");
    let mut command = process::program("node", job.folder);
    command.arg(job.sdk.join("sdk/typescript/builder/build.mjs")).arg(job.folder).arg("--out").arg(&component);
    command.arg("--tools").arg(kit);
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("the bundler", job.folder, &ended.stderr, job.errand));
    }
    job.errand.line.warn(&ended.stderr);
    Ok(component)
}

/// What packages are fetched for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// The SDK is none of them: the bundler finds it by itself, so that a skill without others needs no npm at all.
    Build,
    Tests,
}

/// The author's own packages, by npm, where `package.json` names some and they are not there yet.
async fn packages(job: Job<'_>, wanted: For) -> Result<(), Error> {
    let file = job.folder.join("package.json");
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
    let package: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Trouble::new("build-failed", format!("{} is not JSON: {error}", file.display()), "correct it")
    })?;
    let keys: &[&str] = if wanted == For::Tests { &["dependencies", "devDependencies"] } else { &["dependencies"] };
    let listed = keys.iter().filter_map(|key| package[key].as_object()).flatten();
    let missing: Vec<_> = listed
        .map(|(name, _)| name.as_str())
        .filter(|name| wanted == For::Tests || *name != "ringfence")
        .filter(|name| !job.folder.join("node_modules").join(name).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    settings(job.folder)?;
    if job.errand.shelf.offline {
        return Err(job.errand.shelf.not_offline(&format!("npm's `{}`", crate::ui::printable(&missing.join("`, `")))));
    }
    let note = format!("fetching the packages of {}, with npm", job.folder.display());
    job.errand.line.suspend(|| crate::ui::note(&note));
    let mut command = process::program("npm", job.folder);
    let verb = if job.folder.join("package-lock.json").is_file() { "ci" } else { "install" };
    // A stranger's package must not run its scripts here: neither a bundle nor a test runner needs them.
    // Nor may anything name a program to be run in place of git.
    command.args([verb, "--ignore-scripts", "--git=git", "--no-audit", "--no-fund", "--fetch-retries", "2"]);
    command.args((wanted == For::Build).then_some("--omit=dev"));
    let ended = process::run(command, job.errand).await?;
    if ended.good {
        return Ok(());
    }
    job.errand.line.suspend(|| crate::ui::note(&ended.said()));
    Err(Trouble::new(
        "build-failed",
        format!("npm could not fetch the packages of {}", job.folder.display()),
        "see what npm says above; it needs the network where a package is new",
    ))
}

/// Refuses settings for npm in a stranger's folder but those that say where packages come from. Others name programs to be run (`git`,
/// `script-shell`) or places to be written to (`cache`, `prefix`), and `${NAME}` would put a variable of the person who builds into an
/// address of the stranger's.
fn settings(folder: &Path) -> Result<(), Error> {
    let file = folder.join(".npmrc");
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&file).map_err(|error| Trouble::unreadable(&file, &error))?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = key.trim();
        let registry = key == "registry" || (key.starts_with('@') && key.ends_with(":registry"));
        if !registry || line.contains('$') || value.is_empty() {
            let key: String = crate::ui::printable(key).chars().take(80).collect();
            return Err(Trouble::new(
                "build-failed",
                format!("{} sets `{key}`, which may be more than an address of packages", file.display()),
                "a skill's .npmrc may say `registry=ADDRESS` and `@SCOPE:registry=ADDRESS`; all else belongs into your own ~/.npmrc",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_strangers_settings_for_npm_name_registries_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(super::settings(folder.path()).is_ok());
        let said = |text: &str| {
            std::fs::write(folder.path().join(".npmrc"), text).unwrap();
            super::settings(folder.path())
        };
        for good in ["", "# a remark\n; another\n\n", "registry=https://a.test\n @mine:registry = https://b.test/\n"] {
            assert!(said(good).is_ok(), "{good:?}");
        }
        for (bad, word) in [
            ("git=./evil.sh", "`git`"),
            ("registry=https://a.test\n  git = ./evil.sh", "`git`"),
            ("ignore-scripts=false", "`ignore-scripts`"),
            ("script-shell=./evil.sh", "`script-shell`"),
            ("cache=../../x", "`cache`"),
            ("global", "`global`"),
            ("registry=https://evil.test/${SECRET}/", "`registry`"),
            ("//evil.test/:_authToken=x", "`//evil.test/:_authToken`"),
            ("[section]", "`[section]`"),
            ("@${X}:registry=https://evil.test", "`@${X}:registry`"),
        ] {
            let error = said(bad).unwrap_err();
            assert!(error.to_string().contains(word), "{bad}: {error}");
        }
    }
}
