//! Secrets that the operator keeps for skills. A skill can ask whether it may use one, and write `{{secret:NAME}}` into a
//! header of `http`; where that is filled in is `capability/filling.rs`.

mod ask;
mod grant;
mod host;
mod name;
mod redact;
mod seal;
mod vault;

pub use ask::{Exists, Fill};
pub use grant::{Grant, Request};
pub use host::{View, add_to_linker};
pub use name::{Binding, Name, SecretError};
pub use redact::{Redactor, Stream};
pub use vault::{Kept, Vault};
