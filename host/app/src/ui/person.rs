//! The person at the terminal, as somebody whom a running skill and the host can ask.
//!
//! Lines are read as the terminal gives them, without taking it over: what a person typed can be seen and corrected, Ctrl-C
//! still ends the run, and a terminal is never left in a strange state. Questions come one after the other, and what the
//! run prints waits for its turn.

mod talk;

pub(crate) use talk::about;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use ringfence_core::{Person, Question};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{QueueSelector, tcflush};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::progress::Line;

/// How soon a question is gone that was withdrawn.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Bytes of one line, as a terminal limits it.
const MAX_LINE: usize = 4096;

/// Who has the terminal: a question, or what the run prints meanwhile. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    pub(crate) async fn take(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0).lock_owned().await
    }
}

/// The person at this terminal.
pub(crate) struct Terminal {
    turn: Turn,
    line: Line,
}

impl Terminal {
    /// `line` is the line of progress that must not move while a question stands.
    pub(crate) fn new(turn: Turn, line: Line) -> Self {
        Self { turn, line }
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terminal")
    }
}

impl Person for Terminal {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        Box::pin(async move {
            let turn = self.turn.take().await;
            let line = self.line.clone();
            let withdrawn = Withdrawn::default();
            let gone = Arc::clone(&withdrawn.0);
            let asking = tokio::task::spawn_blocking(move || {
                // Kept until the terminal is free, also where nobody waits for the answer any more.
                let _turn = turn;
                line.hold();
                let answer = converse(&question, &gone);
                line.release();
                answer
            });
            asking.await.ok().flatten()
        })
    }

    fn word(&self) -> &'static str {
        "the person at the terminal"
    }
}

/// The next line that the person types after `prompt`, without its end. None at the end of the input.
pub(crate) async fn line(prompt: &str, turn: &Turn) -> Option<String> {
    let _turn = turn.take().await;
    let withdrawn = Withdrawn::default();
    let gone = Arc::clone(&withdrawn.0);
    super::say(prompt);
    tokio::task::spawn_blocking(move || read_line(&gone)).await.ok().flatten()
}

/// Tells the thread that reads when the question is dropped.
#[derive(Default)]
struct Withdrawn(Arc<AtomicBool>);

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn converse(question: &Question, gone: &AtomicBool) -> Option<Value> {
    // What was typed before the question was there is no answer to it.
    _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
    let mut out = anstream::stderr();
    let answer = talk::about(question, &mut out, &mut || read_line(gone));
    if answer.is_none() && gone.load(Ordering::Relaxed) {
        super::note("\n(the question is withdrawn)");
    }
    answer
}

/// The next line, without its end. None at the end of the input, and where the question was withdrawn.
fn read_line(gone: &AtomicBool) -> Option<String> {
    let stdin = std::io::stdin();
    let mut line = Vec::new();
    while line.len() < MAX_LINE {
        if gone.load(Ordering::Relaxed) {
            return None;
        }
        let mut ready = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        match poll(&mut ready, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        // Unbuffered: what is behind this line belongs to the next question, or to nobody.
        let mut bytes = [0; MAX_LINE];
        match rustix::io::read(stdin.as_fd(), &mut bytes[..]) {
            Ok(0) => return None,
            Ok(read) => line.extend_from_slice(&bytes[..read]),
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
        }
        if line.ends_with(b"\n") {
            break;
        }
    }
    Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned())
}
