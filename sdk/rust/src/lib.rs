//! Write skills for Ringfence: functions become tools, and the host brokers what they need.
//!
//! ```
//! use ringfence_skill::prelude::*;
//!
//! /// Greets someone in a language of their choice.
//! #[tool(read_only)]
//! fn greet(
//!     /// Whom to greet.
//!     name: &str,
//!     /// A language, in English.
//!     #[default("French")]
//!     language: String,
//! ) -> Result<String, Failure> {
//!     let answer = model::ask(format!("Greet {name} in {language}, in one line.")).max_tokens(60).send()?;
//!     Ok(answer.text())
//! }
//!
//! ringfence_skill::export!(greet);
//! # fn main() {}
//! ```
//!
//! The doc comment becomes the tool's description, the arguments become its input schema, what it returns becomes its
//! outcome: see [`macro@tool`]. The modules have the names of the interfaces in `wit/`: [`model`], [`http`], [`kv`], [`config`],
//! [`log`], [`progress`], [`secrets`], [`tools`], [`user`]; [`text`] splits long texts for models. Every call of an interface can be refused, and a refusal is a value: `?` hands it to the caller.
//!
//! Files need no module: `std::fs::read_to_string("/docs/a.md")` works where the manifest requests the folder `docs` and the
//! operator has granted it.
//!
//! A component imports only the interfaces that it uses, and reaches none that its operator has not granted.
//!
//! Tests run on the host with plain `cargo test`: [`fake`] stands in for the imports.

// The macro names this crate by its own name, also inside this crate's tests.
extern crate self as ringfence_skill;

#[allow(missing_docs, unreachable_pub, clippy::all)]
#[doc(hidden)]
pub mod bindings;

pub mod config;
mod failure;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod host;
pub mod http;
pub mod kv;
pub mod log;
pub mod model;
mod outcome;
mod panics;
pub mod progress;
mod refusal;
mod schema;
pub mod secrets;
mod skill;
pub mod text;
pub mod tools;
pub mod user;

pub use bindings::exports::ringfence::skill::skill::{Caller, Context};
pub use bindings::ringfence::skill::types::{
    Content, FailureKind, Link, Media, Outcome, Tool as ToolDescription, ToolHints,
};
pub use failure::Failure;
pub use refusal::{Denial, Excess, Overrun, Refusal};
pub use skill::Tool;

/// Turns a function into a tool.
///
/// | Of the function | becomes of the tool |
/// | --- | --- |
/// | its name | the name; `#[tool(name = "...")]` gives another |
/// | its doc comment | the description, which a model reads to choose the tool; required |
/// | an argument | a property of the input object, described by its doc comment |
/// | `Option<T>` | an optional property |
/// | `#[default(value)]` or `#[default]` | an optional property with that value, or the type's own default |
/// | `&str`, `&[T]`, `&T` | the same as `String`, `Vec<T>`, `T` |
/// | an argument of type [`Context`] or `&Context` | nothing: it is given the invocation's context |
/// | `#[input] all: T` | the whole input object is a `T`, which has a schema of its own |
/// | `String`, `&str` or `()` returned | text |
/// | [`Outcome`] returned | itself; `#[tool(output = T)]` says what its structured part looks like |
/// | any other type returned | structured output with an output schema, and the same as JSON text |
/// | `Result<T, E>` | any error type goes through [`Failure`]'s `From` |
///
/// Types of arguments implement `serde::Deserialize` and `schemars::JsonSchema`, types of results `serde::Serialize` and
/// `schemars::JsonSchema`; attributes `serde`, `schemars` and `validate` on arguments are passed on. Input with a property
/// that no argument has is refused.
///
/// A tool may use Rust's own functions for what the host gives through WASI: time, random numbers, and files of granted folders
/// (`std::fs::read_to_string("/docs/a.md")?`).
///
/// Hints to callers: `read_only`, `destructive`, `idempotent`, `open_world`, and `title = "..."` for people.
///
/// Beside the function there comes a type of the same name, which [`export!`] and [`fake::call`] take. A module of the same
/// name in the same place would collide with it: name one of them differently.
pub use ringfence_skill_macros::tool;

/// What nearly every skill uses.
pub mod prelude {
    pub use crate::{
        Context, Failure, Outcome, Refusal, config, http, kv, log, model, progress, secrets, text, tool, tools, user,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

pub use {schemars, serde, serde_json};

/// What the macros write into a skill. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::panics::report as report_panics;
    pub use crate::schema::{input_schema, output_schema};
    pub use crate::skill::{distinct, input, outcome, structured, unknown_tool};
    pub use crate::{Context, Failure, Outcome, Tool, ToolDescription, ToolHints};
    pub use {schemars, serde};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
