//! What an operator can say about secrets in the configuration. The secrets themselves are not there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[secrets]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretsSettings {
    /// Where the key that encrypts secrets is made with the first of them. One that was made stays where it is; `ringfence
    /// secret move-key` moves it.
    pub key_place: KeyPlace,
}

/// A place for the key of the secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// The keyring of the operating system where one works, otherwise the file.
    #[default]
    Auto,
    /// The keyring of the operating system, and no secret without it.
    Keyring,
    /// `secrets.key` in the state directory, which only its owner can read.
    File,
}
