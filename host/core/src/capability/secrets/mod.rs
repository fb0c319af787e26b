//! Secrets that the operator keeps for skills. A skill can ask whether it may use one, and write `{{secret:NAME}}` into a
//! header of `http`; where that is filled in is `capability/filling.rs`.

mod ask;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
mod grant;
mod host;
mod key;
#[cfg(target_os = "macos")]
mod keychain;
mod keyring;
mod name;
mod redact;
mod seal;
#[cfg(target_os = "linux")]
mod secret_service;
mod settings;
mod vault;

pub use ask::{Exists, Fill};
pub use grant::{Grant, Request};
pub use host::{View, add_to_linker};
pub use key::{KeyError, KeyReport};
#[cfg(target_os = "macos")]
pub use keychain::Keychain;
pub use keyring::{Keyring, KeyringError};
pub use name::{Binding, Name, SecretError};
pub use redact::{Redactor, Stream};
#[cfg(target_os = "linux")]
pub use secret_service::SecretService;
pub use settings::{KeyPlace, SecretsSettings};
pub use vault::{Kept, Vault};
