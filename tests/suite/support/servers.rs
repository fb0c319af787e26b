//! An MCP server on stdio, played by `server.py`, and hosts that use it.

use std::path::Path;

use ringfence_core::{Error, SkillRef};

use super::{Home, TestHost, hosts};

/// `[mcp-servers.NAME]` for the server in a mode, with more lines of settings.
pub(crate) fn table(name: &str, args: &[&str], more: &str) -> String {
    let args = [script().as_str()].iter().chain(args).map(|arg| format!("{arg:?}")).collect::<Vec<_>>().join(", ");
    format!("[mcp-servers.{name}]\ncommand = \"python3\"\nargs = [\"-S\", {args}]\n{more}\n")
}

pub(crate) fn script() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/suite/support/server.py").to_owned()
}

/// A host that may find programs.
pub(crate) async fn host(settings: &str) -> TestHost {
    let home = Home::new();
    let host = open(&home, settings).await;
    TestHost::of(home, host).await
}

pub(crate) async fn open(home: &Home, settings: &str) -> ringfence_core::Host {
    let path = std::env::var("PATH").unwrap();
    hosts::open_with(home, settings, &[("PATH", &path)]).await.unwrap()
}

/// Approves all that can be.
pub(crate) async fn approve(host: &TestHost, name: &str) -> Result<SkillRef, Error> {
    let candidate = host.host.consider_server(name).await?;
    host.host.approve_server(candidate, None).await?;
    host.host.load_installed(name, None).await
}

/// Whether a process is there, as more than a name that nobody has asked after.
pub(crate) fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}
