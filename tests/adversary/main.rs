//! The attacks: hostile guests and hostile peers, each test named after its number in the catalogue (`t16_...`). After each of
//! them the host works as before, which [`ground::Ground::survived`] looks at.
//!
//! Rows that can fail lower down are tested there under the same names: `grep -rn "fn t[0-9]" host tests` finds them all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says so by a panic"
)]

mod agents;
mod calls;
mod catalogue;
mod cpu;
mod crash;
mod distribution;
mod doors;
mod ends;
mod files;
mod ground;
mod installs;
mod keys;
mod load;
mod memory;
mod names;
mod others;
mod plain;
#[cfg(target_os = "linux")]
mod privileges;
mod reload;
mod schemas;
mod servers;
mod signatures;
mod spending;
mod stack;
mod streams;
#[allow(dead_code, unused_imports, reason = "shared with the suite, which needs more of it")]
#[path = "../suite/support/mod.rs"]
mod support;
mod teller;
mod web;
#[cfg(target_os = "linux")]
mod whole;
mod worker;
