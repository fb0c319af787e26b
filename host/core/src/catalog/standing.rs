//! How a skill stands: whether the newest version that was offered serves, and if not, why.

use semver::Version;
use serde::Serialize;

use crate::error::{Error, Explain};
use crate::policy::Missing;

/// What became of the newest attempt to put another generation in a skill's place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Standing {
    /// What was offered last serves.
    #[default]
    Serving,
    /// The new version asks for more than the old one, which serves until a person has decided.
    PendingConsent { version: Version, missing: Vec<Missing> },
    /// The new version cannot serve, so the old one does.
    Failed { kind: String, message: String, hint: String },
}

impl Standing {
    pub(crate) fn failed(error: &Error) -> Self {
        Self::Failed { kind: error.kind().to_owned(), message: error.to_string(), hint: error.hint() }
    }
}

/// Why another version was not put in a skill's place.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("version {found} of `{name}` is older than {serving}, which serves")]
    Rollback { name: String, serving: Version, found: Version },
    #[error("the new version calls itself `{found}`, and `{name}` serves")]
    Renamed { name: String, found: String },
    #[error("the new version of `{name}` asks for more than the one that serves: {}", words(missing))]
    Widened { name: String, missing: Vec<Missing> },
    #[error("the new version of `{name}` failed its own test {number}, a call of `{tool}`: {reason}")]
    SelfTest { name: String, number: usize, tool: String, reason: String },
    #[error("`{name}` could not bring what it keeps from version {from} to {to}: {reason}")]
    Upgrade { name: String, from: u32, to: u32, reason: String },
    #[error("what `{name}` keeps is of version {found}, and this version of it knows {known}")]
    StateNewer { name: String, found: u32, known: u32 },
    #[error("{path} was still being written after {seconds} s")]
    Unsettled { path: String, seconds: u64 },
    #[error("another version has taken the place of `{name}` meanwhile")]
    Overtaken { name: String },
}

fn words(missing: &[Missing]) -> String {
    missing.iter().map(|one| one.words.as_str()).collect::<Vec<_>>().join("; ")
}

impl Explain for ReloadError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Rollback { .. } => "rollback-refused",
            Self::Renamed { .. } => "manifest-invalid",
            Self::Widened { .. } => "permission-widened",
            Self::SelfTest { .. } => "self-test-failed",
            Self::Upgrade { .. } => "upgrade-failed",
            Self::StateNewer { .. } => "skill-state-newer",
            Self::Unsettled { .. } => "unreadable",
            Self::Overtaken { .. } => "busy",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Rollback { .. } => "raise its `version`; the older one serves only where you say so".into(),
            Self::Renamed { name, .. } => format!("keep `name = \"{name}\"`, or load it as another skill"),
            Self::Widened { missing, .. } => {
                let grants: Vec<_> = missing.iter().map(|one| crate::plain::word(&one.grant)).collect();
                format!("grant `{}` to let it serve; until then the old version does", grants.join(" "))
            }
            Self::SelfTest { .. } => "correct the skill, or its `[[self-test]]` in skill.toml".into(),
            Self::Upgrade { .. } => {
                "nothing of it was changed; correct the step that `state.upgrade` names in skill.toml".into()
            }
            Self::StateNewer { name, .. } => {
                format!("install the newer version again, or begin anew after `ringfence remove {name} --purge`")
            }
            Self::Unsettled { .. } => "write it under another name and rename it when it is whole".into(),
            Self::Overtaken { .. } => "nothing has to be done: the newest one serves".into(),
        }
    }
}
