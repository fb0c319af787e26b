//! Rust skills, built by cargo for `wasm32-wasip2`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cargo_metadata::Message;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use ringfence_core::policy::manifest::Build;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use super::process::{cancelled, kill, output, program};
use super::{Errand, Job, Shelf, Toolchain, project};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

const TARGET: &str = "wasm32-wasip2";
/// How often one looks whether another process is done with the toolchain.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Rust;

impl Toolchain for Rust {
    fn sources(&self, folder: &Path, _build: &Build) -> Vec<PathBuf> {
        let names = ["Cargo.toml", "Cargo.lock", "src", "build.rs", ".cargo"];
        let mut sources: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        sources.extend(path_dependencies(folder));
        sources
    }

    /// Shared by all skills, so that a dependency is compiled once.
    fn workplace(&self, cache: &Path, _folder: &Path) -> PathBuf {
        cache.to_owned()
    }

    fn keeps_component(&self) -> bool {
        false
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        async move {
            let manifest = job.folder.join("Cargo.toml");
            // Of one that is not there cargo tells; one without an end it would read.
            match project::open(&manifest) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Trouble::unreadable(&manifest, &error));
                }
                _ => {}
            }
            ensure_target(job.folder, job.errand).await?;
            cargo(job).await
        }
        .boxed()
    }

    fn test<'a>(&'a self, job: Job<'a>, args: &'a [OsString]) -> BoxFuture<'a, Result<Command, Error>> {
        async move {
            let mut command = program("cargo", job.folder);
            command.arg("test").args(job.errand.shelf.offline.then_some("--offline")).args(args);
            Ok(command)
        }
        .boxed()
    }

    fn check<'a>(&'a self, _shelf: &'a Shelf) -> BoxFuture<'a, Result<String, Error>> {
        check().boxed()
    }

    fn fix<'a>(&'a self, errand: Errand<'a>) -> BoxFuture<'a, Result<(), Error>> {
        ensure_target(Path::new("."), errand).boxed()
    }
}

/// Folders of dependencies that are named by path: the SDK before all. They are sources too.
fn path_dependencies(folder: &Path) -> Vec<PathBuf> {
    let manifest = project::text(&folder.join("Cargo.toml"), project::LIST_BYTES).ok();
    let table = manifest.and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
    let paths = dependencies.into_iter().flatten().filter_map(|(_, value)| value.get("path")?.as_str());
    // Only what cargo would take for one: a path may lead to all of a disk.
    let crates = paths.map(|path| folder.join(path)).filter(|path| path.join("Cargo.toml").is_file());
    let mut sources: Vec<_> = crates.collect();
    // The SDK is generated from the interface that lies beside it.
    let wit = sources.iter().map(|path| path.join("../../wit")).filter(|wit| wit.join("world.wit").is_file());
    sources.extend(wit.collect::<Vec<_>>());
    sources
}

/// What `doctor` says about it.
async fn check() -> Result<String, Error> {
    let here = Path::new(".");
    let version = output("cargo", &["--version"], here).await.map_err(|_| no_cargo())?;
    let state = match target(here).await {
        Target::Installed => "is installed",
        Target::Addable => "will be installed by the first build",
        Target::Missing => return Err(no_target()),
        Target::Unknown => "may be installed or not: neither rustup nor rustc says so",
    };
    Ok(format!("{}; {TARGET} {state}", version.trim()))
}

fn no_cargo() -> Error {
    Trouble::new(
        "toolchain-missing",
        "cargo cannot be started, and a Rust skill is built by it",
        "install Rust from https://rustup.rs, or name a built .wasm file",
    )
}

fn no_target() -> Error {
    Trouble::new(
        "toolchain-missing",
        format!("this Rust has no {TARGET}, and there is no rustup that could install it"),
        format!(
            "install Rust from https://rustup.rs, or what your distribution calls the standard library for {TARGET}"
        ),
    )
}

/// Makes sure that the standard library for the target is there.
async fn ensure_target(folder: &Path, errand: Errand<'_>) -> Result<(), Error> {
    let work = async {
        match target(folder).await {
            // Where nobody says, cargo will.
            Target::Installed | Target::Unknown => return Ok(()),
            Target::Missing => return Err(no_target()),
            Target::Addable if errand.shelf.offline => {
                return Err(errand.shelf.not_offline(&format!("the Rust target {TARGET}")));
            }
            Target::Addable => {}
        }
        let _turn = turn(folder).await;
        if matches!(target(folder).await, Target::Installed) {
            return Ok(());
        }
        errand.line.say(format!("installing the Rust target {TARGET}"));
        output("rustup", &["target", "add", TARGET], folder).await.map(drop).map_err(|said| {
            Trouble::new(
                "toolchain-missing",
                format!("`rustup target add {TARGET}` failed: {said}"),
                format!("run `rustup target add {TARGET}` yourself; the first time it needs the network"),
            )
        })
    };
    tokio::select! {
        biased;
        () = errand.cancel.cancelled() => Err(cancelled()),
        ready = work => ready,
    }
}

/// The turn of this process among those that would change the toolchain, until the answer is dropped: rustup does not wait for another
/// rustup, and fails where two work at once. The lock is on the toolchain's own folder, which is only read.
async fn turn(folder: &Path) -> Option<std::fs::File> {
    let root = output("rustc", &["--print", "sysroot"], folder).await.ok()?;
    let root = std::fs::File::open(root.trim()).ok()?;
    loop {
        match root.try_lock() {
            Ok(()) => return Some(root),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
            // No such locks on this disk: then rustup itself says what is wrong.
            Err(std::fs::TryLockError::Error(_)) => return None,
        }
    }
}

/// Whether a skill can be compiled here.
enum Target {
    Installed,
    /// rustup can install it.
    Addable,
    Missing,
    Unknown,
}

/// Asks rustup, which manages the toolchain of most people. Distributions package compilers without it: such a one is asked where
/// its standard library for the target would lie.
async fn target(folder: &Path) -> Target {
    if let Ok(installed) = output("rustup", &["target", "list", "--installed"], folder).await {
        let here = installed.lines().any(|name| name.trim() == TARGET);
        return if here { Target::Installed } else { Target::Addable };
    }
    if let Ok(library) = output("rustc", &["--print", "target-libdir", "--target", TARGET], folder).await {
        return if Path::new(library.trim()).is_dir() { Target::Installed } else { Target::Missing };
    }
    // It is too old to know the target, or is not there at all.
    match output("rustc", &["--version"], folder).await {
        Ok(_) => Target::Missing,
        Err(_) => Target::Unknown,
    }
}

async fn cargo(job: Job<'_>) -> Result<PathBuf, Error> {
    let mut command = program("cargo", job.folder);
    command
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(job.folder.join("Cargo.toml"))
        .args(job.errand.shelf.offline.then_some("--offline"))
        .env("CARGO_TARGET_DIR", job.work)
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("CARGO_TERM_COLOR", colour())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|_| no_cargo())?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else { return Err(no_cargo()) };

    let work = async {
        let (artefact, ()) = tokio::join!(messages(stdout, job), relay(stderr, job.errand.line));
        (artefact, child.wait().await)
    };
    let finished = tokio::select! {
        biased;
        () = job.errand.cancel.cancelled() => None,
        finished = work => Some(finished),
    };
    let Some((artefact, status)) = finished else {
        kill(&mut child).await;
        return Err(cancelled());
    };
    match (status, artefact) {
        (Ok(status), Some(file)) if status.success() => Ok(file),
        (Ok(status), None) if status.success() => Err(Trouble::new(
            "build-failed",
            format!("cargo built {} and gave no component", job.folder.display()),
            "the crate must be a `cdylib`: put `crate-type = [\"cdylib\"]` under `[lib]` in Cargo.toml",
        )),
        _ => Err(Trouble::new(
            "build-failed",
            format!("cargo could not build {}", job.folder.display()),
            "correct what cargo says above",
        )),
    }
}

fn colour() -> &'static str {
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => "never",
        _ => "always",
    }
}

/// Reads cargo's messages: counts crates, and finds the component of the skill's own crate.
async fn messages(stdout: impl AsyncRead + Unpin, job: Job<'_>) -> Option<PathBuf> {
    let manifest = job.folder.join("Cargo.toml");
    let mut lines = BufReader::new(stdout).lines();
    let (mut crates, mut found) = (0u64, None);
    while let Ok(Some(text)) = lines.next_line().await {
        let Ok(Message::CompilerArtifact(artefact)) = serde_json::from_str::<Message>(&text) else { continue };
        crates += 1;
        job.errand.line.count(crates, None, format!("building: {crates} crates, {}", artefact.target.name));
        if artefact.manifest_path.as_std_path() == manifest {
            let wasm = artefact.filenames.iter().find(|file| file.extension() == Some("wasm"));
            found = wasm.map(|file| file.clone().into_std_path_buf()).or(found);
        }
    }
    found
}

/// Passes on what cargo says to people: diagnostics whole, its own progress words as the spinner's text.
async fn relay(stderr: impl AsyncRead + Unpin, line: &Line) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let plain = anstream::adapter::strip_str(&text).to_string();
        let word = plain.trim_start().split(' ').next().unwrap_or_default();
        if ["Compiling", "Downloading", "Downloaded", "Updating", "Locking", "Adding", "Finished", "Blocking", "Fresh"]
            .contains(&word)
        {
            line.say(plain.trim());
        } else {
            line.suspend(|| crate::ui::note(&text));
        }
    }
}
