//! Questions to the person behind a call.

mod ask;
mod grant;
mod host;
mod kept;
mod shape;
#[cfg(test)]
mod tests;

pub use ask::{Ask, MOST_QUESTIONS};
pub use grant::{Grant, Request};
pub use host::{Asked, View, add_to_linker};
pub use kept::{Answers, Kept};
pub use shape::{Choice, Field, Kind, Shape};
