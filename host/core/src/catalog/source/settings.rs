//! What an operator says about where skills come from: `[catalog]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::Network;

/// `[catalog]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CatalogSettings {
    /// The index in which names of skills are looked up: an https URL, or the path of a file.
    pub index: Option<String>,
    /// The public key of whoever publishes the index, as minisign writes it (`RW...`). Where it is set, the index counts only with a
    /// signature of that key beside it, under its name with `.minisig` at the end.
    pub index_key: Option<String>,
    /// Networks that are not public and in which registries and other servers of skills may be, `10.0.0.0/8`. A server that a
    /// person names by its address needs none.
    pub networks: Vec<Network>,
    /// Seconds of silence of a server, before and inside of an answer. Default 30.
    pub stall_seconds: u32,
    /// Seconds that one file may take altogether. Default 1,800.
    pub fetch_seconds: u32,
}

impl Default for CatalogSettings {
    fn default() -> Self {
        Self { index: None, index_key: None, networks: Vec::new(), stall_seconds: 30, fetch_seconds: 1_800 }
    }
}

impl CatalogSettings {
    pub(super) fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds.into())
    }

    pub(super) fn whole(&self) -> Duration {
        Duration::from_secs(self.fetch_seconds.into())
    }
}
