//! The heart of Ringfence: sandbox, broker, policy, budgets, catalog and journal.
//!
//! Faces call [`Host`] and nothing else. Deliberately absent: argument parsers, servers, standard output, the environment.
//!
//! # Embedding
//!
//! `folder` keeps all that the host knows, `skill` is a component, and `program` is the `ringfence` program, which compiles components in a
//! process of its own:
//!
//! ```ignore
#![doc = include_str!("../examples/embed.rs")]
//! ```
//!
//! Nothing is granted by that: a skill that needs something is given it by [`Host::grant`].

#![deny(unsafe_code)]

mod act;
pub mod agent;
#[doc(hidden)]
pub mod bench;
pub mod broker;
pub mod budget;
pub mod capability;
pub mod catalog;
mod doctor;
pub mod engine;
pub mod error;
pub mod events;
mod files;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzz;
mod host;
mod invocation;
pub mod journal;
pub mod net;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod outage;
pub mod person;
pub mod plain;
pub mod policy;
pub mod schema;
pub mod server;
mod settings;
pub mod state;
mod step;
mod sync;
mod tls;
pub mod trace;
mod unless;

pub use catalog::tool::{Hints, Tool};
pub use catalog::toolbox::{Offer, Toolbox};
pub use catalog::{SkillRef, Standing};
pub use error::{Error, Explain, Refusal};
pub use events::Event;
pub use host::{Candidate, Finding, Health, Host, HostConfig, Permissions, ServerCandidate, Successor};
pub use invocation::{Call, Caller, Content, Finished, InvocationId, Link, Media, Outcome, RunEnded, Timings};
pub use person::{Approval, Person, Question};
pub use policy::manifest::Manifest;
pub use policy::{Grants, Missing};
pub use settings::{Settings, SkillSettings};
pub use step::{Progress, Step};
