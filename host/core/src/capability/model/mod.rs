//! Model calls.

pub mod ask;
mod breaker;
pub mod discover;
pub mod grant;
pub mod host;
pub mod limits;
mod meter;
pub mod names;
pub mod offline;
mod persist;
pub mod prices;
pub mod provider;
pub mod providers;
mod refusal;
pub mod report;
mod route;
pub mod router;
pub mod schema;
pub mod scripted;
pub mod settings;
pub mod types;
pub mod wire;

pub use grant::{Grant, Request};
pub use route::Candidate;
pub use router::Router;
pub use settings::{ModelError, ModelSettings};
