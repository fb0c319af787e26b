//! `[mcp-servers.NAME]`: how a server is started or reached, as a person wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::ServerError;
use crate::engine::digest;
use crate::net::{Network, url};
use crate::policy::manifest::is_name;

/// `[mcp-servers.NAME]`: an MCP server whose tools are brokered as those of a skill. Either `command` or `url`.
///
/// `${NAME}` and `${NAME:-default}` stand for variables of the environment, in `args`, `env` and `headers`; no other variable reaches
/// the server. Nothing of a server can be called before `ringfence server approve NAME`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerSettings {
    /// The program of a server that is started here and spoken to on its standard input and output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment, beside PATH, HOME and LANG.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The folder that it works in. Default: the root of the file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// The address of a server that is reached by HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers of every request to it. `{{secret:NAME}}` stands for a secret that is bound to its address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The client that this host is where a person signs in to it (`ringfence server login`). Default: the host registers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The secret (`ringfence secret set`) that shows that this host is that client, for a service that wants one. It has to be bound to the
    /// address at which the service gives tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Networks that are not public and that its name, and what it names for signing in, may lead to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Seconds that it may take until its tools are listed. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_seconds: Option<u32>,
    /// Seconds that one call may take, within those of the invocation. Default: 120.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_seconds: Option<u32>,
    /// Seconds without a call after which it is ended. Default: 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u32>,
}

/// Values may be keys: their names are shown, and nothing else.
impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("command", &self.command)
            .field("server", &self.url.as_deref().map(url::server))
            .field("env", &self.env.keys())
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

/// How a server is reached.
pub(crate) enum Way<'a> {
    Command(&'a str),
    Url(&'a str),
}

impl ServerSettings {
    pub(crate) fn way(&self, name: &str) -> Result<Way<'_>, ServerError> {
        let wrong = |reason: &str| ServerError::settings(name, reason);
        if !is_name(name) {
            return Err(wrong("its name must be 1 to 64 of `a-z`, `0-9` and `-`, and begin with a letter or digit"));
        }
        match (&self.command, &self.url) {
            (Some(command), None)
                if !self.headers.is_empty()
                    || !self.networks.is_empty()
                    || self.client_id.is_some()
                    || self.client_secret.is_some() =>
            {
                Err(wrong(&format!(
                    "`headers`, `networks`, `client-id` and `client-secret` are for a server with a `url`, and it has `{command}`"
                )))
            }
            (_, Some(_)) if self.client_id.is_none() && self.client_secret.is_some() => {
                Err(wrong("its `client-secret` is that of no client: name the `client-id` that belongs to it"))
            }
            (Some(command), None) if !command.is_empty() => Ok(Way::Command(command)),
            (None, Some(_)) if !self.args.is_empty() || !self.env.is_empty() || self.cwd.is_some() => {
                Err(wrong("`args`, `env` and `cwd` are for a server with a `command`, and it has a `url`"))
            }
            (None, Some(url)) => Ok(Way::Url(url)),
            _ => Err(wrong("it must have either a `command` or a `url`")),
        }
    }

    /// Whether it can be started or reached under this name at all.
    pub fn check(&self, name: &str) -> Result<(), ServerError> {
        match self.way(name)? {
            Way::Command(_) => Ok(()),
            Way::Url(url) => match crate::net::Target::parse(url) {
                Ok(_) => Ok(()),
                Err(refusal) => Err(ServerError::settings(name, &refusal.to_string())),
            },
        }
    }

    /// What an approval belongs to: what is started or reached, and not how long one waits for it.
    pub(crate) fn digest(&self) -> String {
        let plain = Self {
            client_id: None,
            client_secret: None,
            start_seconds: None,
            call_seconds: None,
            idle_seconds: None,
            ..self.clone()
        };
        // Serialising our own plain structure cannot fail.
        digest(serde_json_canonicalizer::to_string(&plain).unwrap_or_default().as_bytes())
    }

    pub(crate) fn start(&self) -> Duration {
        Duration::from_secs(u64::from(self.start_seconds.unwrap_or(30).max(1)))
    }

    pub(crate) fn call(&self) -> Duration {
        Duration::from_secs(u64::from(self.call_seconds.unwrap_or(120).max(1)))
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(u64::from(self.idle_seconds.unwrap_or(300).max(1)))
    }

    /// The names of the variables that it mentions: what a face has to look up.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        let texts = self.args.iter().chain(self.env.values()).chain(self.headers.values());
        texts.flat_map(|text| mentions(text)).collect()
    }

    /// How it is started or reached, in one line: variables and secrets by their names.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.command, &self.url) {
            (Some(command), _) => {
                let words = std::iter::once(command).chain(&self.args).map(|word| crate::plain::word(word));
                words.collect::<Vec<_>>().join(" ")
            }
            (None, Some(url)) => url.clone(),
            (None, None) => String::new(),
        }
    }
}

/// A text with its variables filled in, by `look_up`. The error is the name of one that is not set.
pub(super) fn filled<'a>(
    text: &str,
    look_up: &impl Fn(&str) -> Option<&'a SecretString>,
) -> Result<SecretString, String> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable { name, default } => match (look_up(name), default) {
                (Some(value), _) => out.push_str(value.expose_secret()),
                (None, Some(default)) => out.push_str(default),
                (None, None) => return Err(name.to_owned()),
            },
        }
    }
    Ok(out.into())
}

pub(super) fn mentions(text: &str) -> Vec<String> {
    let names = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Variable { name, .. } => Some(name.to_owned()),
        Piece::Text(_) => None,
    });
    names.collect()
}

enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str> },
}

/// What is no variable stays as it is written.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    while let Some((before, after)) = text.split_once("${") {
        let Some((inside, behind)) = after.split_once('}') else { break };
        let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
        let is_variable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_variable {
            all.extend([Piece::Text(before), Piece::Variable { name, default }]);
        } else {
            all.push(Piece::Text(&text[..before.len() + inside.len() + 3]));
        }
        text = behind;
    }
    all.push(Piece::Text(text));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_are_named_are_filled_in() {
        let key = SecretString::from("k3y");
        let look_up = |name: &str| (name == "KEY").then_some(&key);
        for (text, expected) in [
            ("plain $KEY {KEY}", Ok("plain $KEY {KEY}")),
            ("Bearer ${KEY}", Ok("Bearer k3y")),
            ("${KEY}${KEY}", Ok("k3yk3y")),
            ("${NONE:-else}/${KEY:-x}", Ok("else/k3y")),
            ("${NONE:-}", Ok("")),
            ("${NONE}", Err("NONE")),
            ("${KEY", Ok("${KEY")),
            ("${a b} ${KEY}", Ok("${a b} k3y")),
            ("$(id) `id`", Ok("$(id) `id`")),
        ] {
            let got = filled(text, &look_up).map(|text| text.expose_secret().to_owned());
            assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        let settings = ServerSettings {
            args: vec!["${A}".into()],
            env: [("X".to_owned(), "${B:-1}".to_owned())].into(),
            ..ServerSettings::default()
        };
        assert_eq!(settings.variables().into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_server_is_started_or_reached_and_not_both() {
        let of = |text: &str| toml::from_str::<ServerSettings>(text).unwrap().way("a").map(|_| ());
        for good in ["command = \"x\"\nargs = [\"y\"]", "url = \"https://a.test/\"\nheaders = { a = \"b\" }"] {
            of(good).unwrap();
        }
        for bad in [
            "",
            "command = \"\"",
            "command = \"x\"\nurl = \"https://a.test/\"",
            "url = \"https://a.test/\"\nenv = { A = \"b\" }",
            "command = \"x\"\nnetworks = [\"10.0.0.0/8\"]",
        ] {
            assert_eq!(crate::error::Explain::kind(&of(bad).unwrap_err()), "config-invalid", "{bad}");
        }
        let settings = toml::from_str::<ServerSettings>("command = \"x\"").unwrap();
        for name in ["", "A", "a_b", "a/b", "a\u{200b}"] {
            assert!(settings.way(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_approval_is_for_what_is_started_and_not_for_how_long_one_waits() {
        let of = |text: &str| toml::from_str::<ServerSettings>(text).unwrap();
        let digest = of("command = \"x\"").digest();
        assert_eq!(of("command = \"x\"\ncall-seconds = 5").digest(), digest);
        for other in ["command = \"y\"", "command = \"x\"\nargs = [\"a\"]", "command = \"x\"\nenv = { A = \"b\" }"] {
            assert_ne!(of(other).digest(), digest, "{other}");
        }
        let secret = of("command = \"x\"\nenv = { KEY = \"sk-live\" }");
        assert!(!format!("{secret:?}").contains("sk-live"));
    }
}
