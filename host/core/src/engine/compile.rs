//! Compiling in a process of its own, because compiling a stranger's component may take any memory and any time.
//!
//! The parent writes the component to the worker's standard input and reads the artefact from its standard output. The worker
//! limits its own address space and gives up files, sockets and most system calls (`confine.rs`) before it looks at the first
//! byte, and the parent kills it when its time is over.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::confine::{Confinement, confine};
use super::{EngineSettings, LoadError, config, precheck};

/// How to start the process that compiles: a program that calls [`worker_main`] when given these arguments.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl WorkerCommand {
    /// Ringfence's own program as the worker, by its path. A program that embeds a host can be its own worker instead: it calls
    /// [`worker_main`] when it is started with `args` of its choice.
    pub fn ringfence(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: vec!["compile-worker".into()] }
    }
}

/// The limit that a compilation came to, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    #[error("compiling took longer than {0} s (`engine.compile-seconds`)")]
    Seconds(u32),
    #[error("compiling needs more than {0} MiB of memory (`engine.compile-mib`)")]
    Mib(u32),
}

/// Largest artefact that is taken from a worker.
const ARTEFACT_BYTES: u64 = 1 << 30;

/// The worker's words for the parent, as exit codes.
const INVALID: u8 = 65;
const FAILED: u8 = 70;

/// Compiles `component` in a fresh process.
pub(crate) async fn compile(
    worker: &WorkerCommand,
    component: &[u8],
    settings: &EngineSettings,
) -> Result<Vec<u8>, LoadError> {
    let (mib, seconds) = (settings.compile_mib, settings.compile_seconds);
    let mut child = tokio::process::Command::new(&worker.program)
        .args(&worker.args)
        .arg(mib.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at a terminal goes to a whole group of processes. It is the host's to end the worker, or else the worker's end
        // could be taken for a failure of its own.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| LoadError::Worker(format!("{} could not be started: {error}", worker.program.display())))?;
    let (Some(mut input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(LoadError::Worker("its pipes could not be opened".into()));
    };
    let mut artefact = Vec::new();
    let mut message = Vec::new();
    let (mut output, mut errors) = (output.take(ARTEFACT_BYTES), errors.take(16 << 10));
    let work = async {
        let write = async {
            // A worker that dies early breaks the pipe; its exit status says why.
            drop(input.write_all(component).await);
            drop(input);
        };
        let (_, read, _) = tokio::join!(write, output.read_to_end(&mut artefact), errors.read_to_end(&mut message));
        read?;
        child.wait().await
    };
    let status = match tokio::time::timeout(Duration::from_secs(seconds.into()), work).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(LoadError::Worker(error.to_string())),
        Err(_) => return Err(LoadError::Spent { spent: Spent::Seconds(seconds), known: false }),
    };
    let message = String::from_utf8_lossy(&message).trim().to_owned();
    if status.success() && artefact.len() as u64 != ARTEFACT_BYTES {
        return Ok(artefact);
    }
    Err(failure(status, message, mib))
}

/// What processes say that have used up their address space. An allocation that fails aborts; an engine that is made says so in an
/// error; and a thread gets no stack, which is told as `EAGAIN` and ends in a panic.
const STARVED: [&str; 4] =
    ["memory allocation", "Cannot allocate memory", "out of memory", "Resource temporarily unavailable"];

/// Why a worker made nothing. What it says by itself goes into the sentence only where that is no fault of its own limit.
fn failure(status: ExitStatus, message: String, mib: u32) -> LoadError {
    if status.code() == Some(i32::from(INVALID)) {
        return LoadError::Invalid(message);
    }
    if STARVED.iter().any(|words| message.contains(words)) {
        return LoadError::Spent { spent: Spent::Mib(mib), known: false };
    }
    match status.signal() {
        Some(signal) => LoadError::Worker(format!("it was ended by signal {signal}")),
        None => LoadError::Worker(format!("it failed: {message}")),
    }
}

/// The argument in the place of the limit that makes a worker say what holds it, and what it then still reaches.
const CONFINEMENT: &str = "confinement";

/// What holds a worker, asked of one.
pub(crate) fn confinement(worker: &WorkerCommand) -> Result<Confinement, String> {
    let output = std::process::Command::new(&worker.program)
        .args(&worker.args)
        .arg(CONFINEMENT)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} could not be started: {error}", worker.program.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Confines itself, tries what a hole in the compiler would try, and says what it found.
fn examine() -> Result<Confinement, String> {
    let mut held = confine();
    // Whoever says that it holds must not be able to do this.
    if held.landlock.is_none() && std::fs::File::open("/").is_ok() {
        held.landlock = Some("it is in force, and a directory could be opened all the same".into());
    }
    if held.seccomp.is_none() && std::net::TcpListener::bind("127.0.0.1:0").is_ok() {
        held.seccomp = Some("it is in force, and a socket could be made all the same".into());
    }
    Ok(held)
}

/// The worker's whole life: limit itself, read a component, compile it, write the artefact.
///
/// To be called by a binary that was started as a [`WorkerCommand`] says; `args` are the arguments after the command's own.
pub fn worker_main(args: &[OsString]) -> ExitCode {
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            // The parent reads this.
            use std::io::Write;
            drop(writeln!(std::io::stderr(), "{message}"));
            ExitCode::from(code)
        }
    }
}

fn work(args: &[OsString]) -> Result<(), (u8, String)> {
    use std::io::{Read, Write};
    let failed = |error: &dyn std::fmt::Display| (FAILED, error.to_string());
    if args.first().is_some_and(|arg| arg == CONFINEMENT) {
        let held = examine().map_err(|error| failed(&error))?;
        let text = serde_json::to_vec(&held).map_err(|error| failed(&error))?;
        return std::io::stdout().lock().write_all(&text).map_err(|error| failed(&error));
    }
    let mib: u64 = args
        .first()
        .and_then(|arg| arg.to_str())
        .and_then(|arg| arg.parse().ok())
        .ok_or((64, "usage: the limit of address space in MiB".to_owned()))?;
    let limit = Some(mib << 20);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).map_err(|error| failed(&error))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(|error| failed(&error))?;
    // What does not hold here is told by `doctor`; the limits hold everywhere.
    let _ = confine();
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component).map_err(|error| failed(&error))?;
    validate(&component)?;
    let engine = wasmtime::Engine::new(&config::compiling()).map_err(|error| failed(&error))?;
    let artefact = engine.precompile_component(&component).map_err(|error| {
        // The component is not to blame for the limit.
        let code = if error.is::<wasmtime::error::OutOfMemory>() { FAILED } else { INVALID };
        (code, format!("{error:#}"))
    })?;
    std::io::stdout().lock().write_all(&artefact).map_err(|error| failed(&error))
}

/// Says in words of ours why a component is not valid. The host itself does not look: see `precheck.rs`.
fn validate(component: &[u8]) -> Result<(), (u8, String)> {
    // Where the validator panics, that is the component's doing, and what is said of it is said below.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let valid = precheck::validate(component);
    std::panic::set_hook(hook);
    valid.map_err(|error| match error {
        LoadError::Invalid(why) => (INVALID, why),
        other => (FAILED, other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain as _;

    fn exited(code: u8, message: &str) -> LoadError {
        failure(ExitStatus::from_raw(i32::from(code) << 8), message.into(), 100)
    }

    fn killed(signal: i32, message: &str) -> LoadError {
        failure(ExitStatus::from_raw(signal), message.into(), 100)
    }

    #[test]
    fn a_worker_without_memory_is_its_limits_doing_whatever_it_says() {
        let no_thread = "thread 'main' panicked at rayon-core/src/registry.rs:171:10:\nThe global thread pool has not been \
                         initialized.: ThreadPoolBuildError { kind: IOError(Os { code: 11, kind: WouldBlock, message: \
                         \"Resource temporarily unavailable\" }) }";
        for error in [
            killed(6, "memory allocation of 444 bytes failed"),
            exited(70, "out of memory"),
            exited(70, "mmap failed: Cannot allocate memory (os error 12)"),
            exited(101, no_thread),
        ] {
            assert_eq!(error.kind(), "compile-limit");
            let LoadError::Spent { spent, known: false } = error else { panic!("{error:?}") };
            assert_eq!(spent, Spent::Mib(100));
            assert_eq!(spent.to_string(), "compiling needs more than 100 MiB of memory (`engine.compile-mib`)");
        }
    }

    #[test]
    fn other_failures_of_a_worker_are_its_own() {
        assert!(matches!(exited(INVALID, "it says: out of memory"), LoadError::Invalid(_)), "the component's own text");
        assert!(matches!(exited(101, "thread 'main' panicked at x.rs:1:1"), LoadError::Worker(_)));
        assert_eq!(killed(9, "").to_string(), "the process that compiles failed: it was ended by signal 9");
    }
}
