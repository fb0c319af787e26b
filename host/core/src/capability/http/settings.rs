//! What an operator says about requests of skills: `[http]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpSettings {
    /// Most requests of one invocation, redirects counted. Default 32.
    pub requests: u32,
    /// Most of them at once, until their bodies are read or dropped. Default 16.
    pub concurrent: u32,
    /// Most requests of one skill in a minute, however many invocations make them; those of skills that it calls count.
    /// Default 600.
    pub per_minute: u32,
    /// Largest body of a request in KiB. Default 16,384.
    pub request_kib: u32,
    /// Largest body of a response in KiB, after decompression. Default 16,384.
    pub response_kib: u32,
    /// Seconds for name look-up, and for TCP and TLS. Default 10.
    pub connect_seconds: u32,
    /// Seconds until a response's head is there, where the skill asks for no other time. Default 60.
    pub head_seconds: u32,
    /// Seconds of silence inside of a body. Default 30.
    pub idle_seconds: u32,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            requests: 32,
            concurrent: 16,
            per_minute: 600,
            request_kib: 16 << 10,
            response_kib: 16 << 10,
            connect_seconds: 10,
            head_seconds: 60,
            idle_seconds: 30,
        }
    }
}

impl HttpSettings {
    pub(super) fn request_bytes(&self) -> usize {
        (self.request_kib as usize) << 10
    }

    pub(super) fn response_bytes(&self) -> u64 {
        u64::from(self.response_kib) << 10
    }

    pub(super) fn connect(&self) -> Duration {
        Duration::from_secs(self.connect_seconds.into())
    }

    pub(super) fn head(&self) -> Duration {
        Duration::from_secs(self.head_seconds.into())
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.into())
    }
}
