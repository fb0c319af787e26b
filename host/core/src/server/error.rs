//! What is wrong with a server, before anything of it is called or when it is looked at.

use crate::error::Explain;
use crate::plain;

/// Why a server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    #[error("no server named `{name}` is configured")]
    Unknown { name: String, known: Vec<String> },
    #[error("the server `{name}` is not set up right: {reason}")]
    Settings { name: String, reason: String },
    #[error("the variable `{variable}`, which the server `{name}` needs, is not set")]
    Variable { name: String, variable: String },
    #[error("the server `{name}` cannot be used: {reason}")]
    Unavailable { name: String, reason: String },
    #[error("the server `{name}` went away during the call: {reason}")]
    WentAway { name: String, reason: String },
    #[error("the server `{name}`: {reason}")]
    Odd { name: String, reason: String },
    #[error("the server `{name}` has not {what} within {seconds} s")]
    TimedOut { name: String, what: &'static str, seconds: u64 },
    #[error("the server `{name}` may not be reached: {reason}")]
    Address { name: String, reason: String },
    #[error("the server `{name}` wants a sign-in: {reason}")]
    SignIn { name: String, reason: String },
    #[error("signing in at the server `{name}` came to nothing: {reason}")]
    Login { name: String, reason: String },
    #[error("the server `{name}` has no tool that could be approved")]
    NoTools { name: String },
    #[error("`{tool}` of the server `{name}` cannot be approved: {reason}")]
    Tool { name: String, tool: String, reason: String },
    #[error("a skill named `{name}` is installed, and a name leads to one thing")]
    IsSkill { name: String },
    #[error("nothing of the server `{name}`, as it is started or reached now, was approved")]
    NotApproved { name: String },
    #[error("what `{name}` is was changed since its tools were shown")]
    Overtaken { name: String },
}

impl ServerError {
    pub(super) fn settings(name: &str, reason: &str) -> Self {
        Self::Settings { name: name.to_owned(), reason: reason.to_owned() }
    }
}

impl Explain for ServerError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "not-found",
            Self::Settings { .. } | Self::Variable { .. } => "config-invalid",
            Self::Unavailable { .. } | Self::WentAway { .. } | Self::Odd { .. } => "unavailable",
            Self::TimedOut { .. } => "timeout",
            Self::Address { .. } => "address-denied",
            Self::SignIn { .. } | Self::Login { .. } => "unauthorized",
            Self::NotApproved { .. } | Self::NoTools { .. } | Self::Tool { .. } | Self::Overtaken { .. } => "denied",
            Self::IsSkill { .. } => "already-exists",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => {
                "add one: `ringfence server add NAME -- COMMAND`, or `--url URL`".into()
            }
            Self::Unknown { known, .. } => format!("configured are: {}", known.join(", ")),
            Self::Settings { name, .. } => format!("correct `mcp-servers.{}`", plain::word(name)),
            Self::Variable { variable, .. } => format!("set {variable}, or write `${{{variable}:-DEFAULT}}`"),
            Self::Unavailable { name, .. } | Self::Odd { name, .. } => {
                let name = plain::word(name);
                format!(
                    "see that it runs, and that `mcp-servers.{name}` is right; `ringfence -v server approve {name}` tries it, and \
                     shows its log where it is started here"
                )
            }
            Self::WentAway { .. } => "call it again: it is started or reached anew".into(),
            Self::TimedOut { what: "answered", name, .. } => format!("raise `mcp-servers.{name}.call-seconds`"),
            Self::TimedOut { name, .. } => format!("raise `mcp-servers.{name}.start-seconds`"),
            Self::Address { name, .. } => {
                format!("where it is yours, name its network in `mcp-servers.{name}.networks`")
            }
            Self::SignIn { name, .. } => format!(
                "sign in with `ringfence server login {name}`, or keep a token with `ringfence secret set` and name it in \
                 `mcp-servers.{name}.headers` as `{{{{secret:NAME}}}}`"
            ),
            Self::Login { name, .. } => format!(
                "try `ringfence server login {name}` again; where it registers no clients by itself, register one there and \
                 name it in `mcp-servers.{name}.client-id`"
            ),
            Self::NotApproved { name } => {
                format!("look at its tools and approve them: `ringfence server approve {name}`")
            }
            Self::NoTools { name } => format!("`ringfence server approve {name}` says why of each"),
            Self::Tool { .. } => "leave it out, and tell whoever makes the server".into(),
            Self::IsSkill { name } => format!("give the server another name, or `ringfence remove {name}`"),
            Self::Overtaken { name } => format!("look at it again: `ringfence server approve {name}`"),
        }
    }
}
