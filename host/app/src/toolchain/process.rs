//! Programs that toolchains run: started apart, listened to, and ended with all that they started.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;

use ringfence_core::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::Errand;
use crate::trouble::Trouble;

/// Variables of an outer cargo (`cargo run -- build ...`) and of other outer tools that would change the inner build.
const FOREIGN: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTUP_TOOLCHAIN",
    "CARGO_MAKEFLAGS",
    "PYTHONPATH",
    "NODE_OPTIONS",
];

/// Most bytes that are kept of what a program says.
const SAID: usize = 1 << 20;

/// A program that works in `folder`: a toolchain file there decides about it, as it does for the skill's author.
pub(super) fn program(name: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
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
pub(super) async fn output(name: &str, args: &[&str], folder: &Path) -> Result<String, String> {
    let done = program(name, folder).args(args).output().await;
    let done = done.map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim().to_owned())
}

/// How a program ended, and what it said.
pub(super) struct Ended {
    pub(super) good: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// All that it said, for a person.
    pub(super) fn said(&self) -> String {
        [self.stderr.trim_end(), self.stdout.trim_end()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Runs a program that may take long; each of its lines becomes the text of the progress line.
pub(super) async fn run(mut command: Command, errand: Errand<'_>) -> Result<Ended, Error> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| missing(&name, &error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::join!(listen(stdout, errand), listen(stderr, errand));
        (stdout, stderr, child.wait().await)
    };
    let ended = tokio::select! {
        biased;
        () = errand.cancel.cancelled() => None,
        ended = work => Some(ended),
    };
    let Some((stdout, stderr, status)) = ended else {
        kill(&mut child).await;
        return Err(cancelled());
    };
    Ok(Ended { good: status.is_ok_and(|status| status.success()), stdout, stderr })
}

fn missing(name: &str, error: &std::io::Error) -> Error {
    let why = if error.kind() == ErrorKind::NotFound { "it is not installed".into() } else { error.to_string() };
    Trouble::new(
        "toolchain-missing",
        format!("`{name}` cannot be started: {why}"),
        "install it, or correct the search path",
    )
}

async fn listen(stream: Option<impl AsyncRead + Unpin>, errand: Errand<'_>) -> String {
    let mut said = String::new();
    let Some(stream) = stream else { return said };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(stream.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let plain = anstream::adapter::strip_str(text.trim()).to_string();
        if !plain.is_empty() {
            errand.line.say(plain);
        }
        if said.len() + text.len() <= SAID {
            said.push_str(&text);
        }
        line.clear();
    }
    said
}

/// What a compiler said goes to the author as it is; the error only says that it failed.
pub(super) fn failed(what: &str, folder: &Path, said: &str, errand: Errand<'_>) -> Error {
    errand.line.suspend(|| crate::ui::note(said.trim_end()));
    Trouble::new(
        "build-failed",
        format!("{what} could not build {}", folder.display()),
        format!("correct what {what} says above"),
    )
}

pub(super) fn cancelled() -> Error {
    Trouble::new("cancelled", "the build was cancelled", "run it again when you like")
}

/// Ends a program and everything that it started, and waits for it.
pub(super) async fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
        // It may be gone already.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    drop(child.start_kill());
    drop(child.wait().await);
}
