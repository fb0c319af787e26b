//! The real program in a terminal of its own: what a person sees, and the keys that a person presses.
//!
//! The terminal is made by `script` of util-linux: opening one by ourselves would need unsafe code or a crate that turns on
//! features of libc under everything else.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::Home;

/// How long a text may take to come. A guest may have to be built meanwhile.
const PATIENCE: Duration = Duration::from_secs(600);

/// Keys as a terminal sends them.
pub(crate) const DOWN: &str = "\x1b[B";
pub(crate) const ENTER: &str = "\r";
pub(crate) const CTRL_C: &str = "\x03";

/// A program in a terminal of 100 columns.
pub(crate) struct Terminal {
    keys: ChildStdin,
    child: Child,
    came: Receiver<Vec<u8>>,
    /// All that came, as it would be read: without what moves the cursor and colours.
    raw: Vec<u8>,
    seen: String,
    /// Up to where `expect` has read.
    at: usize,
}

impl Terminal {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        // `-e` gives the program's own exit code, `-f` shows each byte as it comes.
        let words = [env!("CARGO_BIN_EXE_ringfence")].into_iter().chain(args.iter().copied());
        let line = format!("stty cols 100 rows 50 && exec {}", words.map(quoted).collect::<Vec<_>>().join(" "));
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-f", "-c", &line, "/dev/null"]).current_dir(home.work());
        home.environment(&mut command);
        command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("`script` of util-linux is needed: {error}"));
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, came) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = screen.read(&mut bytes)
                && count > 0
                && send.send(bytes[..count].to_vec()).is_ok()
            {}
        });
        Self { keys, child, came, raw: Vec::new(), seen: String::new(), at: 0 }
    }

    /// Returns when `text` has come, after what was expected before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.seen[self.at..].find(text) {
                self.at += found + text.len();
                return self;
            }
            match self.came.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{error}: {text:?} did not come: {}", self.seen),
            }
        }
    }

    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).unwrap();
        self
    }

    /// Waits for the program's end. Its exit code, and all that was seen.
    pub(crate) fn end(mut self) -> (i32, String) {
        let until = Instant::now() + PATIENCE;
        while let Ok(bytes) = self.came.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.take(&bytes);
        }
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), std::mem::take(&mut self.seen))
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        // A sequence may arrive in two pieces, so all of it is read again. `at` stays right: what came before reads the same.
        let text = String::from_utf8_lossy(&self.raw).into_owned();
        self.seen = anstream::adapter::strip_str(&text).to_string().replace('\r', "");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where a test has failed the program may still wait for keys.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
