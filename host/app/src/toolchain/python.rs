//! Python skills, made components by componentize-py, which brings CPython along.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::process::Command;

use super::shelf::{Client, Kit, python};
use super::{Errand, Job, Shelf, Toolchain, process, stale};
use crate::trouble::Trouble;

pub(super) struct Python;

const KIT: Kit = Kit {
    name: "python",
    title: "componentize-py 0.25.1",
    mib: 17,
    client: Client::Pip { requirements: include_str!("python.txt") },
};

const PYTEST: Kit = Kit {
    name: "pytest",
    title: "pytest 9.2.0",
    mib: 2,
    client: Client::Pip { requirements: include_str!("pytest.txt") },
};

/// The Python that runs in the component.
const GUEST: &str = "3.14";

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
                command.env("PYTHONPATH", job.errand.shelf.get(&PYTEST, job.errand).await?);
            }
            command.args(["-m", "pytest", "-p", "no:cacheprovider"]).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        async move {
            let python = python().await?;
            Ok(format!("{}; {}", python.version(), shelf.state(&KIT)))
        }
        .boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        errand.shelf.get(&KIT, errand).map(|got| got.map(drop)).boxed()
    }
}

async fn build(job: Job<'_>) -> Result<PathBuf, Error> {
    let kit = job.errand.shelf.get(&KIT, job.errand).await?;
    let python = python().await?;
    let dependencies = dependencies(job).await?;
    let component = job.work.join("component.wasm");
    // It would load the packages of the machine's own Python beside the skill's, and those are made for the machine.
    let nothing = job.work.join("nothing");
    let packages = nothing.join("lib/python3/site-packages");
    std::fs::create_dir_all(&packages).map_err(|error| Trouble::unwritable(&packages, &error))?;
    job.errand.line.say("building with componentize-py");
    let mut command = python.command(job.folder);
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

/// The author's own packages, by pip, in a folder that is named after what is asked for: the same list fetches nothing again.
async fn dependencies(job: Job<'_>) -> Result<Option<PathBuf>, Error> {
    let Some(list) = Requirements::of(job.folder)? else { return Ok(None) };
    let place = job.work.join(format!("packages-{}", stale::short(format!("{GUEST}\n{}", list.text).as_bytes())));
    if place.is_dir() {
        return Ok(Some(place));
    }
    if job.errand.shelf.offline {
        return Err(job.errand.shelf.not_offline(&format!("what {} depends on", job.folder.display())));
    }
    let draft = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(job.work)
        .map_err(|error| Trouble::unwritable(job.work, &error))?;
    let note = format!("fetching the packages of {}, with pip", job.folder.display());
    job.errand.line.suspend(|| crate::ui::note(&note));
    let mut command = python().await?.command(job.folder);
    command
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"])
        // Whatever is compiled for a machine cannot run in WebAssembly.
        .args(["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"])
        .args(["--python-version", GUEST, "--target"])
        .arg(draft.path())
        .args(list.arguments);
    let ended = process::run(command, job.errand).await?;
    if !ended.good {
        job.errand.line.suspend(|| crate::ui::note(&ended.said()));
        return Err(unusable(&ended.stderr, job.folder));
    }
    std::fs::rename(draft.path(), &place).map_err(|error| Trouble::unwritable(&place, &error))?;
    Ok(Some(place))
}

/// What the author asks for.
struct Requirements {
    /// All of it, to be compared.
    text: String,
    /// The same as pip takes it.
    arguments: Vec<OsString>,
}

impl Requirements {
    /// What `requirements.txt` lists, or else `pyproject.toml`; none where that is nothing.
    fn of(folder: &Path) -> Result<Option<Self>, Error> {
        let file = folder.join("requirements.txt");
        if file.is_file() {
            let text = std::fs::read_to_string(&file).map_err(|error| Trouble::unreadable(&file, &error))?;
            for line in text.lines() {
                named(line, &file)?;
            }
            let nothing = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
            return Ok((!nothing).then(|| Self { text, arguments: vec!["-r".into(), file.into()] }));
        }
        let file = folder.join("pyproject.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { return Ok(None) };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Trouble::new("build-failed", format!("{} is not TOML: {}", file.display(), error.message()), "correct it")
        })?;
        let listed = table.get("project").and_then(|project| project.get("dependencies")?.as_array());
        let names: Vec<_> = listed.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect();
        for name in &names {
            named(name, &file)?;
        }
        let text = names.join("\n");
        Ok((!names.is_empty()).then(|| Self { text, arguments: names.into_iter().map(OsString::from).collect() }))
    }
}

/// Refuses what is no package by name. An option (`--no-binary`), a path or an address would have pip build a source, and that runs
/// its author's code outside of the sandbox.
fn named(line: &str, file: &Path) -> Result<(), Error> {
    let line = line.split(" #").next().unwrap_or(line).trim();
    let harmless = line.is_empty() || line.starts_with('#') || line.starts_with("--hash=sha256:");
    let by_name = line.starts_with(|c: char| c.is_ascii_alphanumeric()) && !line.contains(['@', '/', '\\'].as_slice());
    // A line that goes on in the next, as pip-compile writes those with digests.
    let goes_on = line.strip_suffix('\\').is_some_and(|rest| !rest.contains(['@', '/', '\\'].as_slice()));
    let begins = line.starts_with(|c: char| c.is_ascii_alphanumeric()) || line.starts_with("--hash=sha256:");
    if harmless || by_name || (goes_on && begins) {
        return Ok(());
    }
    Err(Trouble::new(
        "build-failed",
        format!("{} asks for `{}`, which names no package", file.display(), crate::ui::printable(line)),
        "name packages and their versions alone; options, paths and addresses could run code outside of the sandbox",
    ))
}

/// Why pip found no package that can run in the guest.
fn unusable(said: &str, folder: &Path) -> Error {
    let after = |words: &str| said.lines().find_map(|line| line.split_once(words)).map(|(_, name)| name.trim());
    // One that the author named, or else one that such a package needs.
    let indirect = || after(" depends on ").filter(|_| said.contains("ResolutionImpossible"));
    let named = after("No matching distribution found for ").or_else(indirect);
    match named {
        Some(name) => Trouble::new(
            "build-failed",
            format!(
                "`{}` has no version that runs in WebAssembly: there is none in pure Python for Python {GUEST}",
                crate::ui::printable(name)
            ),
            "use a package without compiled parts, or leave that work to a tool of another skill or to a service",
        ),
        None => Trouble::new(
            "build-failed",
            format!("pip could not fetch the packages of {}", folder.display()),
            "see what pip says above; it needs the network where a package is new",
        ),
    }
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

    #[test]
    fn packages_are_asked_for_by_name_alone() {
        let file = Path::new("requirements.txt");
        for good in
            ["", "# all", "a==1.0", "a[b] >= 1 ; python_version > '3.9'  # why", "a==1 \\", "    --hash=sha256:00 \\"]
        {
            assert!(named(good, file).is_ok(), "{good}");
        }
        let bad = [
            "--no-binary :all:",
            "-r /etc/passwd",
            "-e .",
            "./evil",
            "a @ file:///evil",
            "git+https://x",
            "a @ x \\",
            "../a\\",
        ];
        for bad in bad {
            assert_eq!(named(bad, file).unwrap_err().kind(), "build-failed", "{bad}");
        }
    }

    #[test]
    fn a_package_without_a_version_for_the_guest_is_named() {
        let of = |said: &str| unusable(said, Path::new("x")).to_string();
        assert!(of("ERROR: No matching distribution found for numpy==2").contains("`numpy==2`"));
        let both = "    jinja2 3.0.1 depends on MarkupSafe>=2.0\n    jinja2 3.0.0 depends on MarkupSafe>=2.0\nERROR: ResolutionImpossible: x";
        assert!(of(both).contains("`MarkupSafe>=2.0`"), "{}", of(both));
        assert!(of("no route").contains("pip could not fetch"));
    }
}
