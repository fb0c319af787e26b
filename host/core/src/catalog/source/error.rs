//! Why something could not be fetched or published.

use std::path::PathBuf;

use super::digest::Digest;
use crate::error::Explain;

/// Why a component could not be brought here or sent away.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("`{text}` names no skill: {reason}")]
    Reference { text: String, reason: String },
    #[error("{what} is not connected to: {reason}")]
    Address { what: String, reason: String },
    #[error("{what} is not what was asked for: its digest is {found} instead of {expected}")]
    Digest { what: String, expected: Digest, found: Digest },
    #[error("{what} is too large: at most {limit} bytes{}", actual.map(|n| format!(", this has {n}")).unwrap_or_default())]
    TooLarge { what: String, limit: u64, actual: Option<u64> },
    #[error("{what} is not there")]
    Missing { what: String },
    #[error("{what} cannot be reached: {reason}")]
    Unavailable { what: String, reason: String },
    #[error("{what}: {reason}")]
    TimedOut { what: String, reason: String },
    #[error("{registry} refuses: {reason}")]
    Unauthorized { registry: String, reason: String },
    #[error("{what} is no skill as registries keep them: {reason}")]
    Layout { what: String, reason: String },
    #[error("{what} is {kind}, and archives are never unpacked here")]
    Archive { what: String, kind: &'static str },
    #[error("{what} cannot be written: {reason}")]
    Unwritable { what: String, reason: String },
    #[error("there is no room left to write {}", path.display())]
    Full { path: PathBuf },
    /// `name` is empty where everything was looked for.
    #[error("{} looked for in an index, and none is configured", looked(name))]
    NoIndex { name: String },
}

fn looked(name: &str) -> String {
    if name.is_empty() { "skills are".into() } else { format!("`{name}` is") }
}

impl Explain for SourceError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "reference-invalid",
            Self::Address { .. } => "address-denied",
            Self::Digest { .. } => "digest-mismatch",
            Self::TooLarge { .. } => "too-large",
            Self::Missing { .. } => "not-found",
            Self::Unavailable { .. } => "unavailable",
            Self::TimedOut { .. } => "timeout",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Layout { .. } => "artifact-invalid",
            Self::Archive { .. } => "invalid-component",
            Self::Unwritable { .. } => "unwritable",
            Self::Full { .. } => "state-full",
            Self::NoIndex { .. } => "no-index",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Reference { .. } => {
                "name a folder, a .wasm file, `https://HOST/PATH.wasm`, `oci://REGISTRY/NAME:TAG` or `NAME@VERSION`".into()
            }
            Self::Address { .. } => {
                "where the server is yours, name its address itself, or put its network into `catalog.networks` of your own \
                 configuration"
                    .into()
            }
            Self::Digest { .. } => {
                "it was damaged or exchanged on its way; nothing was installed. Try again, and tell its publisher if it stays so"
                    .into()
            }
            Self::TooLarge { .. } => "a larger component is let in by `engine.component-mib`; other limits are fixed".into(),
            Self::Missing { .. } => "check its spelling, and whether you may see it".into(),
            Self::Unavailable { .. } => "check the network and the server's name, and try again".into(),
            Self::TimedOut { .. } => "try again; `catalog.stall-seconds` is how long a silence may last".into(),
            Self::Unauthorized { registry, .. } => {
                format!("log in with `docker login {}`, or check what your account may do there", bare(registry))
            }
            Self::Layout { .. } => "`ringfence push` and `wkg oci push` publish skills in the layout that is read here".into(),
            Self::Archive { .. } => "unpack it yourself and name the .wasm file inside".into(),
            Self::Unwritable { .. } => "check the permissions of the folder".into(),
            Self::Full { path } => format!("free space on the disk that holds {}, and try again", path.display()),
            Self::NoIndex { name } if name.is_empty() => "set `catalog.index` in your own configuration".into(),
            Self::NoIndex { .. } => {
                "set `catalog.index` in your own configuration; a path contains a `/`, so write `./NAME` for a folder".into()
            }
        }
    }
}

/// An origin as `docker login` takes it.
fn bare(registry: &str) -> &str {
    registry.split_once("://").map_or(registry, |(_, rest)| rest)
}
