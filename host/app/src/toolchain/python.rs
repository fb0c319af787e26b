//! Python skills, made components by componentize-py, which brings CPython along.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::shelf::{Client, Kit, SAFE_PATH, nowhere, python};
use super::{Errand, Job, Shelf, Toolchain, pip, process};
use crate::trouble::Trouble;

pub(super) struct Python;

const KIT: Kit = Kit {
    name: "python",
    title: "componentize-py 0.25.1",
    mib: 17,
    client: Client::Pip { requirements: include_str!("python.txt") },
    keys: &["componentize_py/__init__.py"],
};

const PYTEST: Kit = Kit {
    name: "pytest",
    title: "pytest 9.2.0",
    mib: 2,
    client: Client::Pip { requirements: include_str!("pytest.txt") },
    keys: &["pytest/__init__.py"],
};

/// The module that componentize-py is pointed at. It imports the author's `skill`.
const ENTRY: &str = "ringfence._entry";

impl Toolchain for Python {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        vec![folder.to_owned()]
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        build(job).boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            let python = python().await?;
            let mut command = python.command(job.folder);
            // An author with an environment of his own has his packages and his pytest there.
            if !python.has("pytest", job.folder).await {
                let mut paths = vec![job.errand.shelf.get(&PYTEST, job.errand).await?];
                paths.extend(pip::packages(job, "test").await?);
                let paths = std::env::join_paths(paths);
                command.env(
                    "PYTHONPATH",
                    paths.map_err(|error| Trouble::input(error.to_string(), "use another cache folder"))?,
                );
            }
            // Tests are the author's own, and import what lies beside them.
            command.env_remove(SAFE_PATH);
            command.args(["-m", "pytest", "-p", "no:cacheprovider"]).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            let python = python().await?;
            Ok(format!("{}; {}", python.version(), shelf.tell(&KIT)?))
        }
        .boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            errand.shelf.get(&KIT, errand).await?;
            if !python().await?.has("pytest", nowhere()).await {
                errand.shelf.get(&PYTEST, errand).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    let kit = job.errand.shelf.get(&KIT, job.errand).await?;
    let python = python().await?;
    let dependencies = pip::packages(job, "build").await?;
    let component = job.work.join("component.wasm");
    // It would load the packages of the machine's own Python beside the skill's, and those are made for the machine.
    let nothing = job.work.join("nothing");
    let packages = nothing.join("lib/python3/site-packages");
    std::fs::create_dir_all(&packages).map_err(|error| Trouble::unwritable(&packages, &error))?;
    job.errand.line.say("building with componentize-py");
    let mut command = python.command(python.safe(job.folder, job.work));
    command
        .env("PYTHONPATH", &kit)
        .env("VIRTUAL_ENV", nothing)
        .env("RUST_BACKTRACE", "0")
        .args(["-c", "import componentize_py; componentize_py.script()", "--quiet", "-d"])
        .arg(job.sdk.join("wit"))
        .args(["-w", "guest", "componentize", ENTRY])
        // The author's folder comes first: messages then name it `/0`.
        .arg("-p")
        .arg(job.folder);
    if let Some(packages) = dependencies {
        command.arg("-p").arg(packages);
    }
    command.arg("-p").arg(job.sdk.join("sdk/python/src"));
    command.arg("-o").arg(&component);
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        return Err(process::failed("Python", job.folder, &own_words(&ended.stderr), job.errand));
    }
    Ok(component)
}

/// The author's own traceback out of what componentize-py says around it.
fn own_words(said: &str) -> String {
    const BEGIN: &str = "Traceback (most recent call last):";
    const FRAME: &str = "  File \"";
    let inner = match said.rfind(BEGIN) {
        Some(at) if said.find(BEGIN) != Some(at) => &said[at..],
        // A tool that cannot be listed, and what the skill prints itself, stands behind the wrapper's error without a traceback.
        _ => said.split_once("AssertionError: ").map_or(said, |(_, rest)| rest),
    };
    let inner = inner.split("\n\nCaused by:").next().unwrap_or(inner);
    let mut ours = false;
    let mut lines = Vec::new();
    for line in inner.lines() {
        if line.starts_with(FRAME) {
            ours = line.contains("/ringfence/") || line.contains("<frozen ");
        } else if !line.starts_with("    ") {
            ours = false;
        }
        if !ours {
            lines.push(line.replace("\"/0/", "\"").replace("(/0/", "("));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_own_words_are_left() {
        let said = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\nAssertionError: hello\n\
                    Traceback (most recent call last):\n  File \"/2/ringfence/_entry.py\", line 9, in <module>\n    import skill\n\
                    \x20 File \"/0/skill.py\", line 3\n    def (\n        ^\nSyntaxError: invalid syntax\n\nCaused by:\n    x\n";
        let own = own_words(said);
        assert_eq!(
            own,
            "Traceback (most recent call last):\n  File \"skill.py\", line 3\n    def (\n        ^\nSyntaxError: invalid syntax"
        );
        let said = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n\
                    AssertionError: ToolError: the tool `a` (skill.py:3) cannot be listed\n\nCaused by:\n    x\n";
        assert_eq!(own_words(said), "ToolError: the tool `a` (skill.py:3) cannot be listed");
        assert_eq!(own_words("anything else"), "anything else");
    }
}
