//! How a skill's source becomes a component: one file per language, and what they share.

mod c;
pub(crate) mod comments;
mod encode;
mod go;
mod javascript;
mod npm;
mod pip;
mod prebuilt;
mod process;
pub(crate) mod project;
mod python;
mod rust;
mod shelf;
mod stale;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use ringfence_core::policy::manifest::{Build, Manifest};
use ringfence_core::{Error, Finding, Health};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;
use crate::ui::progress::Line;

pub(crate) use process::watch;
pub(crate) use shelf::Shelf;
pub(crate) use stale::{digest, digest_without, is_source_path, lock};

/// What builds skills of one language, or of a few that are built alike.
pub(crate) trait Toolchain: Send + Sync {
    /// Files and folders whose content decides what is built, besides those of the host's own SDK.
    fn sources(&self, folder: &Path, build: &Build) -> Vec<PathBuf>;

    /// Where it keeps what it makes on the way, below `cache`. One build at a time uses it.
    fn workplace(&self, cache: &Path, folder: &Path) -> PathBuf {
        let digest = stale::short(folder.as_os_str().as_encoded_bytes());
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        cache.join(format!("{name}-{digest}"))
    }

    /// Whether a component stays as it was built until its own skill is built again. Else the toolchain itself knows what has changed.
    fn keeps_component(&self) -> bool {
        true
    }

    /// Builds the component of the skill in the folder; gives its file.
    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>>;

    /// The program that runs the skill's own tests, with `args` of its own behind ours. Fetches what it needs.
    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>>;

    /// What is there to build with, in words; an error says what is missing and what to do.
    fn check<'a>(&'a self, shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>>;

    /// Fetches what a build would fetch by itself.
    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>>;
}

/// Something that may take long, fetch things, and be interrupted.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) shelf: &'a Shelf,
    pub(crate) line: &'a Line,
    pub(crate) cancel: &'a CancellationToken,
}

/// One build.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) build: &'a Build,
    /// Where the SDKs and the interface lie: `sdk/` and `wit/` are below it.
    pub(crate) sdk: &'a Path,
    /// What [`Toolchain::workplace`] said.
    pub(crate) work: &'a Path,
    pub(crate) errand: Errand<'a>,
}

/// One language, as `ringfence new --lang` and `[build] lang` name it.
pub(crate) struct Lang {
    pub(crate) name: &'static str,
    /// Its SDK, a folder below `sdk/`.
    pub(crate) sdk: &'static str,
    /// Its template, a folder below that of the SDK.
    pub(crate) template: &'static str,
    /// Files by which a skill that names no language is told.
    marks: &'static [&'static str],
    toolchain: &'static dyn Toolchain,
}

/// The languages.
pub(crate) const LANGS: [Lang; 6] = [
    Lang { name: "c", sdk: "c", template: "template", marks: &["src/skill.c"], toolchain: &c::C },
    Lang { name: "go", sdk: "go", template: "template", marks: &["go.mod"], toolchain: &go::Go },
    Lang {
        name: "javascript",
        sdk: "typescript",
        template: "template/javascript",
        marks: &["src/skill.js"],
        toolchain: &javascript::JavaScript,
    },
    Lang { name: "python", sdk: "python", template: "template", marks: &["skill.py"], toolchain: &python::Python },
    Lang { name: "rust", sdk: "rust", template: "template", marks: &["Cargo.toml"], toolchain: &rust::Rust },
    Lang {
        name: "typescript",
        sdk: "typescript",
        template: "template/typescript",
        marks: &["src/skill.ts"],
        toolchain: &javascript::JavaScript,
    },
];

/// Their names.
pub(crate) fn names() -> Vec<&'static str> {
    LANGS.iter().map(|lang| lang.name).collect()
}

/// The language of this name.
pub(crate) fn named(name: &str) -> Option<&'static Lang> {
    LANGS.iter().find(|lang| lang.name == name)
}

/// How one skill is built.
pub(crate) struct Way {
    /// None where something else has built the component.
    pub(crate) lang: Option<&'static Lang>,
    pub(crate) build: Build,
}

impl Way {
    /// What the manifest says, or else what the files in the folder show.
    pub(crate) fn of(manifest: &Manifest, folder: &Path) -> Result<Self, Error> {
        let build = manifest.build.clone().unwrap_or_default();
        if build.component.is_some() {
            return Ok(Self { lang: None, build });
        }
        let lang = match &build.lang {
            Some(name) => named(name).ok_or_else(|| unknown(name))?,
            None => LANGS
                .iter()
                .find(|lang| lang.marks.iter().any(|mark| folder.join(mark).is_file()))
                .ok_or_else(|| no_source(folder))?,
        };
        Ok(Self { lang: Some(lang), build })
    }

    pub(crate) fn toolchain(&self) -> &'static dyn Toolchain {
        self.lang.map_or(&prebuilt::Prebuilt, |lang| lang.toolchain)
    }

    /// A word for it.
    pub(crate) fn name(&self) -> &'static str {
        self.lang.map_or("component", |lang| lang.name)
    }
}

fn unknown(name: &str) -> Error {
    let known = names();
    let help = match crate::config::nearest(name, known.iter().map(|&known| known.to_owned())) {
        Some(near) => format!("did you mean `lang = \"{near}\"`?"),
        None => format!(
            "choose one of {}; for a component that something else builds, write `component = \"PATH\"` instead",
            known.join(", ")
        ),
    };
    Trouble::new("build-failed", format!("skill.toml says `lang = \"{name}\"`, which no toolchain here builds"), help)
}

fn no_source(folder: &Path) -> Error {
    Trouble::new(
        "build-failed",
        format!("{} holds no source that this program can build", folder.display()),
        format!(
            "name the language in skill.toml, `lang = \"...\"` under `[build]`: {}; a component that something else builds is named by `component = \"PATH\"`",
            names().join(", ")
        ),
    )
}

/// What is there to build with, for `doctor`.
pub(crate) async fn findings(shelf: &Shelf) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (subject, toolchain) in toolchains() {
        findings.push(finding(subject, toolchain.check(shelf).await, shelf.recall(subject)));
    }
    findings
}

/// What is there of one toolchain, and why it could not be fetched where somebody asked for it.
fn finding(subject: &'static str, found: Result<String, Error>, failed: Option<Error>) -> Finding {
    let told = |state, error: &Error| Finding { subject, state, detail: error.to_string(), hint: Some(error.hint()) };
    match (found, failed) {
        // Skills run without any toolchain: only writing them needs one. Nor can a machine without a language's own programs be fixed here.
        (Err(error), None) => told(Health::Note, &error),
        (Err(error), Some(failed)) if error.to_string() == failed.to_string() => told(Health::Note, &error),
        (_, Some(failed)) => told(Health::Problem, &failed),
        (Ok(detail), None) => Finding { subject, state: Health::Ok, detail, hint: None },
    }
}

/// Fetches what the toolchains of all languages lack. One that cannot be had does not keep the others from it; the findings tell.
pub(crate) async fn fix(errand: Errand<'_>) -> Result<(), Error> {
    for (subject, toolchain) in toolchains() {
        match toolchain.fix(errand).await {
            Err(error) if error.kind() == "cancelled" => return Err(error),
            Err(error) => errand.shelf.remember(subject, error),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Each toolchain once, with its name in `doctor`.
fn toolchains() -> Vec<(&'static str, &'static dyn Toolchain)> {
    vec![
        ("rust toolchain", &rust::Rust),
        ("python toolchain", &python::Python),
        ("javascript toolchain", &javascript::JavaScript),
        ("go toolchain", &go::Go),
        ("c toolchain", &c::C),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_asked_to_be_fetched_and_is_not_there_is_a_problem() {
        let error = |what: &str| Trouble::new("toolchain-missing", what, "do it");
        let state = |found, failed| finding("odd", found, failed).state;
        assert_eq!(state(Ok("here".into()), None), Health::Ok);
        assert_eq!(state(Err(error("broken")), None), Health::Note);
        // Neither was there anything to begin with: a machine without Node.js is no fault of this program's.
        assert_eq!(state(Err(error("no Node.js")), Some(error("no Node.js"))), Health::Note);
        assert_eq!(state(Err(error("broken")), Some(error("no network"))), Health::Problem);
        let told = finding("odd", Ok("will be fetched".into()), Some(error("no network")));
        assert_eq!((told.state, &*told.detail, told.hint.as_deref()), (Health::Problem, "no network", Some("do it")));
    }
}
