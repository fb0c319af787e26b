//! Calls of other installed skills' tools.

mod ask;
mod grant;
mod host;
mod name;
mod port;

pub use ask::{Call, DEEPEST, MOST_AT_ONCE};
pub use grant::{Grant, Request};
pub use host::{View, Waiting, add_to_linker};
pub use name::Name;
pub use port::{Answer, Found, Pending, Toolbox};
