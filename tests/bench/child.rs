//! The real program as a server beside this process: where it is reached, and what it holds.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clock::cpu_of;
use crate::guest;
use crate::memory::Memory;

/// A folder for the program's state, with the measured skill installed and granted what it asks for.
pub(crate) fn furnished(config: &str) -> TempDir {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("config/ringfence");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let file = guest::component().to_str().unwrap();
    for args in [&["add", file, "--grant-nothing"][..], &["grant", "bench", "model=default"]] {
        let done = guest::program(state.path(), args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    state
}

/// `ringfence serve`. Ends with this value.
pub(crate) struct Served {
    child: Child,
    pub(crate) at: SocketAddr,
    pub(crate) token: String,
}

impl Served {
    pub(crate) fn start(state: &Path, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut args = vec!["serve", "--format", "json", "--listen", "127.0.0.1:0"];
        args.extend(more);
        let mut command = guest::program(state, &args);
        let mut child = command.envs(variables.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        while !told.ends_with("}\n") {
            assert_ne!(out.read_line(&mut told).unwrap(), 0, "the server did not start: {told}");
        }
        let told: Value = serde_json::from_str(&told).unwrap();
        let token = std::fs::read_to_string(told["token-file"].as_str().unwrap()).unwrap().trim().to_owned();
        let at = told["url"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Self { child, at, token }
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.child.id())
    }

    /// What its threads have used of the processor.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.child.id(), |_| true)
    }

    /// A whole request, for a connection that is kept.
    pub(crate) fn request(&self, line: &str, body: &str) -> Vec<u8> {
        let (at, token, length) = (self.at, &self.token, body.len());
        format!(
            "{line} HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
