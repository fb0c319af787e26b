//! Rust skills, built by cargo for `wasm32-wasip2`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cargo_metadata::Message;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ringfence_core::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::{Job, Toolchain};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

const TARGET: &str = "wasm32-wasip2";

/// Variables of an outer cargo (`cargo run -- build ...`) that would change the inner build.
const FOREIGN: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTUP_TOOLCHAIN",
    "CARGO_MAKEFLAGS",
];

pub(super) struct Rust;

impl Toolchain for Rust {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn detect(&self, folder: &Path) -> bool {
        folder.join("Cargo.toml").is_file()
    }

    fn sources(&self, folder: &Path) -> Vec<PathBuf> {
        let mut sources: Vec<_> = ["Cargo.toml", "Cargo.lock", "src", "build.rs", ".cargo", "wit"]
            .iter()
            .map(|name| folder.join(name))
            .collect();
        sources.extend(path_dependencies(folder));
        sources
    }

    fn build<'a>(&'a self, job: Job<'a>) -> BoxFuture<'a, Result<PathBuf, Error>> {
        async move {
            tokio::select! {
                biased;
                () = job.cancel.cancelled() => return Err(cancelled()),
                ready = ensure_target(job) => ready?,
            }
            cargo(job).await
        }
        .boxed()
    }
}

/// Folders of dependencies that are named by path: the SDK before all. They are sources too.
fn path_dependencies(folder: &Path) -> Vec<PathBuf> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok();
    let table = manifest.and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
    let paths = dependencies.into_iter().flatten().filter_map(|(_, value)| value.get("path")?.as_str());
    let mut sources: Vec<_> = paths.map(|path| folder.join(path)).collect();
    // The SDK is generated from the interface that lies beside it.
    let wit = sources.iter().map(|path| path.join("../../wit")).filter(|wit| wit.join("world.wit").is_file());
    sources.extend(wit.collect::<Vec<_>>());
    sources
}

/// What `doctor` says about it.
pub(super) async fn check() -> Result<String, Error> {
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
async fn ensure_target(job: Job<'_>) -> Result<(), Error> {
    match target(job.folder).await {
        // Where nobody says, cargo will.
        Target::Installed | Target::Unknown => return Ok(()),
        Target::Missing => return Err(no_target()),
        Target::Addable => {}
    }
    job.line.say(format!("installing the Rust target {TARGET}"));
    output("rustup", &["target", "add", TARGET], job.folder).await.map(drop).map_err(|said| {
        Trouble::new(
            "toolchain-missing",
            format!("`rustup target add {TARGET}` failed: {said}"),
            format!("run `rustup target add {TARGET}` yourself; the first time it needs the network"),
        )
    })
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

/// A program of the toolchain that `folder` decides about, as it does for the skill's author: by its toolchain file.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    // A group of its own: Ctrl-C reaches us alone, and we end it with all that it started. Else its end by the same Ctrl-C could be
    // taken for a failure of its own.
    #[cfg(unix)]
    command.process_group(0);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command
}

/// Runs a short program to its end; the last line of its stderr where it fails.
async fn output(name: &str, args: &[&str], folder: &Path) -> Result<String, String> {
    let done = program(name, folder).args(args).output().await;
    let done = done.map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim().to_owned())
}

async fn cargo(job: Job<'_>) -> Result<PathBuf, Error> {
    let mut command = program("cargo", job.folder);
    command
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(job.folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", job.target_dir)
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .env("CARGO_TERM_COLOR", colour())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|_| no_cargo())?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else { return Err(no_cargo()) };

    let work = async {
        let (artefact, ()) = tokio::join!(messages(stdout, job), relay(stderr, job.line));
        (artefact, child.wait().await)
    };
    let finished = tokio::select! {
        biased;
        () = job.cancel.cancelled() => None,
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

fn cancelled() -> Error {
    Trouble::new("cancelled", "the build was cancelled", "run it again when you like")
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
        job.line.count(crates, None, format!("building: {crates} crates, {}", artefact.target.name));
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

/// Ends cargo and everything that it started, and waits for cargo.
async fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
        // It may be gone already.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    drop(child.start_kill());
    drop(child.wait().await);
}
