//! One matrix for all languages: what the interface offers, tried by a probe in each of them. A language that cannot do a row fails.
//!
//! `cargo test --test languages python` runs one language, `cargo test --test languages kv` one part of the interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says so by a panic"
)]

#[macro_use]
mod stage;

mod bad;
mod config;
mod ends;
mod files;
mod http;
mod kv;
mod log;
mod model;
mod new;
mod own;
mod progress;
mod refusal;
mod secrets;
mod skill;
#[allow(dead_code, unused_imports, reason = "shared with the suite, which needs more of it")]
#[path = "../suite/support/mod.rs"]
mod support;
mod tools;
mod user;
mod values;
mod wasi;
