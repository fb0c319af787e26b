//! Whole programs, run as people run them, and whole hosts: real guests, real sockets on loopback, real disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says so by a panic"
)]

mod agent_skill;
mod agents;
mod audit;
mod budgets;
mod cli;
mod completions;
mod conformance;
mod consent;
mod dev;
mod docs;
mod embed;
mod files;
#[cfg(debug_assertions)]
mod fuzz;
mod grants;
mod house;
mod http;
mod input;
mod interrupt;
#[cfg(target_os = "linux")]
mod keyring;
mod logins;
mod mcp;
mod mcp_http;
mod models;
mod openai;
mod packages;
mod plain;
mod providers;
mod registry;
mod sandbox;
mod secrets;
mod servers;
mod signatures;
mod skills;
mod start;
mod state;
mod supply;
#[allow(dead_code, reason = "shared with tests/adversary, which needs more of it")]
mod support;
mod toolchain;
mod tools;
mod top;
mod traces;
mod user;

/// A file that nobody lists is a test that nobody runs.
#[test]
fn every_file_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/suite");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        assert!(name == "main" || listed.contains(&format!("\nmod {name};\n")), "tests/suite/{name} is no module");
    }
}
