//! The port to a keyring of the operating system, which keeps the key of the secrets where there is one.

use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretSlice;

/// A keyring of the operating system. An item is known by a name that this host chose and that no other host has.
///
/// Implementations show no prompt and open no window: where the keyring would ask a person, that is [`KeyringError::Locked`].
/// They may take long, for who calls them has a time limit; dropping a future abandons what it waits for.
pub trait Keyring: Send + Sync + 'static {
    /// What people call it, as it is written down beside the secrets. Never changes.
    fn name(&self) -> &'static str;

    /// Whether a key could be kept there now. Keeps none.
    fn ready(&self) -> BoxFuture<'_, Result<(), KeyringError>>;

    /// The key of an item; None where the keyring answers and has no such item.
    fn get<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<Option<SecretSlice<u8>>, KeyringError>>;

    /// Keeps a key, in the place of what the item held before.
    fn put<'a>(&'a self, item: &'a str, key: &'a SecretSlice<u8>) -> BoxFuture<'a, Result<(), KeyringError>>;

    /// Forgets an item. One that is not there is forgotten already.
    fn remove<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<(), KeyringError>>;
}

/// Why a keyring cannot be used now, to be read after its name. Never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("is not there: {0}")]
    Absent(String),
    #[error("is locked")]
    Locked,
    #[error("does not answer within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("failed: {0}")]
    Failed(String),
}

impl KeyringError {
    /// What to do, so that it can be used.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Absent(_) => {
                "run this in the desktop session that the keyring belongs to, or start its service there"
            }
            Self::Locked => "unlock it with the desktop's password manager; no question is shown from here",
            Self::Silent(_) => "look whether its service hangs or shows a question, or log in anew",
            Self::Failed(_) => "look into the log of its service",
        }
    }
}
