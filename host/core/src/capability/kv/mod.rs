//! State that lasts between invocations, one namespace per skill.

mod ask;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod grant;
mod host;
mod key;
pub mod memory;
mod port;
pub mod sqlite;
#[cfg(test)]
mod tests;
pub(crate) mod upgrade;

pub use ask::{Delete, Get, List, Set};
pub use grant::{Grant, Quota, Request};
pub use host::{View, add_to_linker};
pub use key::Key;
pub use port::{Condition, Entry, Page, Store, Written};
