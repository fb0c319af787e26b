//! Looking at processes from outside, and pressing keys at a terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::Home;

const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

/// Starts a program in a group of its own, with both outputs piped. [`interrupt`] does to it what Ctrl-C at its terminal would.
pub(crate) fn start(command: &mut Command) -> Child {
    use std::os::unix::process::CommandExt;
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// As a terminal does at Ctrl-C: to every process of the group.
pub(crate) fn interrupt(child: &Child) {
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
}

/// All processes below `pid` that are alive, as (process, name).
pub(crate) fn below(pid: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some((name, state, parent)) = status(process)
            && state != 'Z'
        {
            all.push((process, name, parent));
        }
    }
    let mut found = vec![(pid, String::new())];
    let mut at = 0;
    while let Some((parent, _)) = found.get(at).cloned() {
        found.extend(all.iter().filter(|(_, _, above)| *above == parent).map(|(pid, name, _)| (*pid, name.clone())));
        at += 1;
    }
    found.split_off(1)
}

/// Whether a process runs.
pub(crate) fn is_alive(pid: u32) -> bool {
    status(pid).is_some_and(|(_, state, _)| state != 'Z')
}

/// Name, state and parent.
fn status(pid: u32) -> Option<(String, char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((head.split_once('(')?.1.to_owned(), state, fields.next()?.parse().ok()?))
}

/// Hundredths of a second of processor time of a process.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields
        .get(11)
        .zip(fields.get(12))
        .map_or(0, |(user, system)| user.parse::<u64>().unwrap_or(0) + system.parse::<u64>().unwrap_or(0))
}

/// Whether a process has a file open.
pub(crate) fn has_open(pid: u32, path: &Path) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|open| open == path)
}

/// The program at a terminal, by `script` of util-linux, which every distribution has.
pub(crate) struct Terminal {
    child: Child,
    screen: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
        let line = std::iter::once(env!("CARGO_BIN_EXE_ringfence")).chain(args.iter().copied()).map(quoted);
        // Without `exec` a shell would stand between us and the program.
        let line = format!("exec {}", line.collect::<Vec<_>>().join(" "));
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-f", "-c", &line, "/dev/null"]).current_dir(home.work());
        home.environment(&mut command);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("no terminal: `script`, of util-linux: {error}"));
        let mut out = child.stdout.take().unwrap();
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                if send.send(piece[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, screen, shown: String::new() }
    }

    /// Waits until the screen has shown `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.shown.contains(text) {
            let left = until.saturating_duration_since(Instant::now());
            let piece = self.screen.recv_timeout(left);
            let piece = piece.unwrap_or_else(|_| panic!("{text:?} was never shown: {}", self.shown));
            self.shown += &String::from_utf8_lossy(&piece);
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let keyboard = self.child.stdin.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).unwrap();
    }

    /// The program itself.
    pub(crate) fn program(&self) -> u32 {
        until("the program runs", || below(self.child.id()).into_iter().find(|(_, name)| name == "ringfence")).0
    }

    /// Its exit code, and all that was shown.
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = until("the end", || self.child.try_wait().unwrap()).code().unwrap();
        while let Ok(piece) = self.screen.recv() {
            self.shown += &String::from_utf8_lossy(&piece);
        }
        (code, std::mem::take(&mut self.shown))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed in the middle leaves no prompt behind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
