//! A host for unit tests: `cargo test` runs a skill's code natively, and this stands in for the imports.
//!
//! ```
//! use ringfence_skill::fake;
//! use ringfence_skill::prelude::*;
//!
//! fn title(text: &str) -> Result<String, Failure> {
//!     Ok(model::ask(format!("A title for: {text}")).send()?.text())
//! }
//!
//! let host = fake::Host::new().answer("On Bees");
//! assert_eq!(title("Bees hum.").unwrap(), "On Bees");
//! assert!(host.prompts()[0].contains("Bees hum."));
//! ```
//!
//! A fake belongs to the thread that made it, so that tests run in parallel, and is gone when it is dropped. An import that
//! is called without one panics and says so.

mod host;
pub(crate) mod imports;
mod reply;
mod web;

pub use host::{Host, Line, Report};
pub use reply::Reply;
pub use web::Page;

use serde::Serialize;

use crate::{Caller, Context, Failure, Outcome, Tool, ToolDescription};

/// Calls a tool as the host does: with JSON. `fake::call::<greet>(json!({"name": "Ada"}))`.
pub fn call<T: Tool>(input: impl Serialize) -> Result<Outcome, Failure> {
    call_with::<T>(input, context())
}

/// Calls a tool with a context of the test's own.
pub fn call_with<T: Tool>(input: impl Serialize, context: Context) -> Result<Outcome, Failure> {
    T::run(&serde_json::to_string(&input)?, context)
}

/// What a tool says of itself.
pub fn describe<T: Tool>() -> ToolDescription {
    T::describe()
}

/// A context for tests: a person at the command line with a minute to wait.
pub fn context() -> Context {
    Context { invocation: "test".into(), caller: Caller::User, deadline_ms: 60_000, locale: None }
}
