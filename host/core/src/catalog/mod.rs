//! Which skills exist now.
//!
//! A caller holds a [`SkillRef`]. Behind it is the **generation** that serves. Another one is prepared beside it and put in its
//! place in one step: the next call runs it, and calls that run keep theirs.

pub mod agent_skill;
pub(crate) mod behind;
pub(crate) mod components;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
pub(crate) mod index;
pub(crate) mod live;
pub(crate) mod loaded;
pub mod lock;
pub(crate) mod package;
pub(crate) mod reflect;
pub(crate) mod settle;
pub mod signature;
mod skill;
pub mod source;
mod standing;
mod texts;
pub mod tool;
pub mod toolbox;
pub mod watch;
pub(crate) mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::linker::Pre;
use crate::error::Explain;
use crate::policy::manifest::Manifest;
use crate::policy::rights::Rights;
use crate::schema;
use crate::server::Server;
use crate::settings::{Configured, Settings};
pub use behind::Behind;
pub use reflect::LeftOut;
pub use skill::SkillRef;
pub use standing::{ReloadError, Standing};
pub use texts::{TEXT_BYTES, Texts};
use tool::{CallError, Callable, Tool};
pub use world::Imports;

/// One loaded version of a skill: component, manifest and what is configured for it, which change together or not at all.
#[derive(Clone)]
pub(crate) struct Generation {
    /// Of the whole file: what an operator pins.
    pub(crate) digest: Arc<str>,
    pub(crate) manifest: Manifest,
    /// What the manifest's requests come to.
    pub(crate) rights: Arc<Rights>,
    pub(crate) tools: Arc<[Tool]>,
    pub(crate) callables: Arc<[Callable]>,
    /// The step that brings what the skill keeps up to date, where it has one. No caller can call it.
    pub(crate) upgrade: Arc<[Callable]>,
    /// Whether that is done, or needs not be.
    pub(crate) state_ready: Arc<AtomicBool>,
    /// Functions of a plain component that are no tools.
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) runs: Runs,
    /// The operator's settings, validated against the manifest's schema.
    pub(crate) settings: Arc<serde_json::Map<String, Value>>,
    /// What is configured for the skill, over what is for all.
    pub(crate) configured: Configured,
    /// Cancelled when another one serves in its place and the time for what still ran is over.
    pub(crate) withdrawn: CancellationToken,
    /// Goes with the last that holds this version, however it is configured.
    pub(crate) life: Arc<Life>,
}

/// Where the code of a skill runs.
#[derive(Clone)]
pub(crate) enum Runs {
    /// In a sandbox of this host.
    Here(Pre),
    /// In a server that a person approved: there is no instance, and nothing of it is ours.
    Elsewhere(Arc<Server>),
}

/// Tells when a version is freed.
pub(crate) struct Life(DropGuard);

impl Default for Life {
    fn default() -> Self {
        Self(CancellationToken::new().drop_guard())
    }
}

impl Life {
    /// Cancelled when it is over. Does not prolong it.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.0.token().clone()
    }
}

impl Generation {
    /// Takes what is configured for it. The operator's settings must be what the manifest's schema says.
    pub(crate) fn configure(&mut self, settings: &Settings, identity: &str) -> Result<(), CatalogError> {
        let own = settings.of_skill(identity, &self.manifest.name);
        let wrong = |reason: String| CatalogError::Settings { skill: self.manifest.name.clone(), reason };
        if let Some(schema) = &self.manifest.config {
            let validator = schema::compile(schema).map_err(|error| wrong(error.to_string()))?;
            schema::check(&validator, &Value::Object(own.config.clone()))
                .map_err(|found| wrong(schema::render(&found)))?;
        }
        self.configured = Configured::of(&own, settings);
        self.settings = Arc::new(own.config);
        Ok(())
    }

    /// The same for an identity of nobody, which keeps nothing that could be older.
    pub(crate) fn apart(&self) -> Self {
        Self { state_ready: Arc::new(AtomicBool::new(true)), ..self.clone() }
    }

    /// The same with nothing but its upgrade step, for a copy of what the skill keeps.
    pub(crate) fn step(&self) -> Self {
        let tools = self.upgrade.iter().map(|callable| callable.tool.clone()).collect();
        Self { tools, callables: Arc::clone(&self.upgrade), ..self.apart() }
    }

    /// The tool of this name, or the only one where none is named.
    pub(crate) fn tool(&self, name: Option<&str>) -> Result<&Callable, CallError> {
        let known = || self.tools.iter().map(|tool| tool.name.clone()).collect();
        match name {
            Some(name) => self.callables.iter().find(|callable| callable.tool.name == name).ok_or_else(|| {
                CallError::UnknownTool { skill: self.manifest.name.clone(), tool: name.to_owned(), known: known() }
            }),
            None => match &*self.callables {
                [only] => Ok(only),
                _ => Err(CallError::NoTool { skill: self.manifest.name.clone(), known: known() }),
            },
        }
    }
}

impl SkillRef {
    /// The version of our interface that it is written for; None for a plain component.
    #[must_use]
    pub fn wit(&self) -> Option<semver::Version> {
        match &self.current().runs {
            Runs::Here(Pre::Skill(_)) => semver::Version::parse(crate::engine::linker::VERSION).ok(),
            Runs::Here(Pre::Plain(_)) | Runs::Elsewhere(_) => None,
        }
    }

    /// Whether it is a server's: what its tools are given leaves this host.
    pub(crate) fn runs_elsewhere(&self) -> bool {
        matches!(self.current().runs, Runs::Elsewhere(_))
    }

    /// Functions of a plain component that are no tools, with the reason.
    #[must_use]
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.current().left_out.clone()
    }
}

/// A component that somebody may want to install: its bytes, and what came with them.
pub struct Incoming {
    pub bytes: Vec<u8>,
    /// Names it where its package does not.
    pub stem: String,
    /// Where it came from: a path, a URL, a registry's name.
    pub source: String,
    /// What kind of place that is.
    pub kind: signature::SourceKind,
    /// What travelled beside it. Nothing of it is checked yet.
    pub signatures: Vec<signature::Signature>,
}

/// An installed skill as it is listed: read from the index, without a look at its code.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Installed {
    pub name: String,
    /// Of the file.
    pub digest: String,
    /// Where it came from.
    pub source: String,
    #[serde(serialize_with = "rfc3339")]
    pub added_at: jiff::Timestamp,
    /// Who signed it and is trusted. None where it was installed without.
    pub signer: Option<signature::Signer>,
    pub manifest: Manifest,
    pub tools: Vec<Tool>,
}

fn rfc3339<S: serde::Serializer>(at: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl From<&Installed> for index::Entry {
    fn from(skill: &Installed) -> Self {
        // Serialising our own plain structures cannot fail.
        Self {
            name: skill.name.clone(),
            version: skill.manifest.version.to_string(),
            digest: skill.digest.clone(),
            manifest: serde_json::to_string(&skill.manifest).unwrap_or_default(),
            tools: serde_json::to_string(&skill.tools).unwrap_or_default(),
            source: skill.source.clone(),
            added_at: skill.added_at,
            signer: skill.signer.as_ref().map(signature::publishers::to_json),
        }
    }
}

impl TryFrom<index::Entry> for Installed {
    type Error = CatalogError;

    fn try_from(entry: index::Entry) -> Result<Self, CatalogError> {
        let broken = |reason: String| CatalogError::Index { name: entry.name.clone(), reason };
        Ok(Self {
            manifest: Manifest::from_json(entry.manifest.as_bytes()).map_err(|error| broken(error.to_string()))?,
            signer: entry
                .signer
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(|error| broken(error.to_string()))?,
            tools: serde_json::from_str(&entry.tools).map_err(|error| broken(error.to_string()))?,
            name: entry.name.clone(),
            digest: entry.digest,
            source: entry.source,
            added_at: entry.added_at,
        })
    }
}

/// Reads a component, at most `limit` bytes of it, so that a file that grows or never ends is no danger.
///
/// The last part of the path is never a link: the file that a caller looked at could be changed for another one unseen. What is
/// read is hashed, checked and compiled as it lies in memory.
pub(crate) fn read_component(path: &Path, limit: u64) -> Result<Vec<u8>, CatalogError> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => CatalogError::NotFound(path.display().to_string()),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            CatalogError::Unreadable { path: path.to_owned(), reason: "it is a symbolic link".into() }
        }
        _ => CatalogError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    };
    // Nor does a pipe keep us waiting for somebody who writes.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(CatalogError::Unreadable { path: path.to_owned(), reason: "it is not a file".into() });
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Ends the file of a component, once everything is in it: whoever watches it then need not wait to see whether more is coming.
pub fn seal(component: &mut Vec<u8>) {
    package::Package::seal(component);
}

/// Why a skill was not found, read or installed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("no skill named `{name}` is installed")]
    NotInstalled { name: String, installed: Vec<String> },
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "the installed file of `{name}` is not the one that was installed: its digest is {found} instead of {expected}"
    )]
    DigestMismatch { name: String, expected: String, found: String },
    #[error("the settings of `{skill}` are not right: {reason}")]
    Settings { skill: String, reason: String },
    #[error("the record of `{name}` cannot be read: {reason}")]
    Index { name: String, reason: String },
    #[error("another version of `{name}` was installed or removed while this one was looked at")]
    Overtaken { name: String },
    #[error("the installed file of `{name}` is {there} by now, and not `{seen}`")]
    Replaced { name: String, seen: String, there: String },
    #[error("{} cannot be written: {reason}", path.display())]
    Unwritable { path: PathBuf, reason: String },
    #[error("there is no room left to write {}", path.display())]
    Full { path: PathBuf },
}

impl CatalogError {
    /// A file that could not be written.
    pub(crate) fn writing(path: PathBuf, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Unwritable { path, reason: error.to_string() },
        }
    }
}

impl Explain for CatalogError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NotFound(_) | Self::NotInstalled { .. } => "not-found",
            Self::Unreadable { .. } => "unreadable",
            Self::DigestMismatch { .. } => "digest-mismatch",
            Self::Settings { .. } => "config-invalid",
            Self::Index { .. } => "state-corrupt",
            Self::Overtaken { .. } => "busy",
            Self::Replaced { .. } => "conflict",
            Self::Unwritable { .. } => "state-unwritable",
            Self::Full { .. } => "state-full",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotFound(_) => {
                "check the path; a skill is a folder with skill.toml or SKILL.md, or a .wasm file".into()
            }
            Self::NotInstalled { installed, .. } if installed.is_empty() => {
                "install one with `ringfence add PATH`; a path must contain a `/`".into()
            }
            Self::NotInstalled { installed, .. } => format!("installed are: {}", installed.join(", ")),
            Self::Unreadable { .. } => "check that it is a file and that you may read it".into(),
            Self::DigestMismatch { .. } => "install it again with `ringfence add`".into(),
            Self::Settings { skill, .. } => format!("correct `skills.{skill}.config` in the configuration"),
            Self::Index { name, .. } => format!("remove it with `ringfence remove {name}` and add it again"),
            Self::Overtaken { .. } => "install it again: it is compared with what is there now".into(),
            Self::Replaced { .. } => "look at what it asks for now, and grant that".into(),
            Self::Unwritable { .. } => "make the directory writable, or name another one".into(),
            Self::Full { path } => format!("free space on the disk that holds {}, and try again", path.display()),
        }
    }
}
