//! The process of a server: started with an environment of its own, listened to, and ended with all that it started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::connection::Redaction;
use crate::plain;

/// How long a server has for ending by itself before it is killed.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes of a line on stderr that are kept.
const STDERR_LINE: usize = 500;
/// Bytes of stderr that become lines of the log. What comes behind is read and thrown away, so that nobody waits for us.
const STDERR_BYTES: usize = 256 << 10;

/// What is started.
pub(super) struct Program<'a> {
    pub(super) name: &'a str,
    pub(super) command: &'a str,
    pub(super) args: Vec<SecretString>,
    /// All of its environment.
    pub(super) env: BTreeMap<String, SecretString>,
    pub(super) cwd: &'a Path,
    /// Takes secrets out of what it logs.
    pub(super) redaction: Redaction,
}

/// A process that leads a group of its own. Dropping it kills the group.
pub(super) struct Process {
    child: Option<Child>,
    group: Option<Pid>,
    last_words: LastWords,
}

/// The last line on stderr that says something.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<String>>);

impl Process {
    /// Starts a program. Nothing of this process's environment reaches it but what is listed.
    pub(super) fn start(program: Program<'_>) -> std::io::Result<(Self, ChildStdout, ChildStdin)> {
        let mut command = Command::new(program.command);
        command
            .args(program.args.iter().map(|arg| OsString::from(arg.expose_secret())))
            .env_clear()
            .envs(program.env.iter().map(|(name, value)| (name, value.expose_secret())))
            .current_dir(program.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // A name is found by the PATH that the server has: that of this process is none of the core's business.
        let mut child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let last_words = LastWords::default();
        let process = Self { child: Some(child), group, last_words: last_words.clone() };
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(std::io::Error::other("it has no standard streams"));
        };
        // Ends with the last process that holds the stream. One that left the group would hold a task, and nothing else.
        tokio::spawn(listen(stderr, program.name.to_owned(), last_words, program.redaction));
        Ok((process, stdout, stdin))
    }

    /// Whether it has ended. Does not reap it: its number stays its own, so that a signal to the group reaches nobody else.
    pub(super) fn has_ended(&self) -> bool {
        self.group.is_none_or(|group| !matches!(status(group), Ok(None)))
    }

    /// What it said last on stderr, and how it ended where it has.
    pub(super) fn epitaph(&self) -> String {
        let said = self.last_words.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = self.group.and_then(|group| status(group).ok().flatten());
        let how = ended.map(|status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("it ended with exit code {code}"),
            (_, Some(signal)) => format!("it was ended by signal {signal}"),
            _ => "it ended".to_owned(),
        });
        match (how, said.is_empty()) {
            (Some(how), true) => how,
            (Some(how), false) => format!("{how}; its last words: {said}"),
            (None, true) => String::new(),
            (None, false) => format!("its last words: {said}"),
        }
    }

    /// Ends it and everything that it started, and waits for it. Its standard input must be closed by now.
    pub(super) async fn end(mut self) {
        let Some(group) = self.group else { return };
        let until = Instant::now() + GRACE;
        // It may be gone already.
        let _ = kill_process_group(group, Signal::TERM);
        while !self.has_ended() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let child = self.child.take();
        self.kill();
        if let Some(mut child) = child {
            drop(child.wait().await);
        }
    }

    /// Before it is reaped: as long as it is not, no other group has its number.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // The runtime reaps it.
        drop(self.child.take());
    }
}

/// How the leader of a group ended; None while it runs.
fn status(group: Pid) -> rustix::io::Result<Option<WaitIdStatus>> {
    waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

async fn listen(mut stream: impl AsyncRead + Unpin, name: String, last: LastWords, redaction: Redaction) {
    let (mut piece, mut line, mut left) = ([0; 4096], Vec::new(), STDERR_BYTES);
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        if left == 0 {
            continue;
        }
        for part in piece[..count].split_inclusive(|byte| *byte == b'\n') {
            let room = STDERR_LINE.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                tell(&name, &line, &last, &redaction);
                line.clear();
            }
        }
        left = left.saturating_sub(count);
        if left == 0 {
            tracing::info!(server = name, "it says too much on stderr; the rest is not shown");
        }
    }
    tell(&name, &line, &last, &redaction);
}

fn tell(name: &str, line: &[u8], last: &LastWords, redaction: &Redaction) {
    let text = redaction.text(&String::from_utf8_lossy(line));
    let (text, _) = plain::line(text.trim(), STDERR_LINE);
    if text.is_empty() {
        return;
    }
    tracing::info!(server = name, "{text}");
    *last.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
}
