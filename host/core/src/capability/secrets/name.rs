//! What a secret is called, and where it may go.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Explain;

/// The name of a secret: 1 to 64 of `A-Z a-z 0-9 _ -`. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let right =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if right { Ok(Self(text.to_owned())) } else { Err(SecretError::Name(text.chars().take(80).collect())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a sign-in at a server is kept under. No person and no skill can write it: `:` is in no name that is read.
    pub(super) fn of_login(server: &str) -> Self {
        Self(format!("{LOGIN}{server}"))
    }

    pub(super) fn is_login(&self) -> bool {
        self.0.starts_with(LOGIN)
    }

    /// Reads a name from the state, where those of sign-ins stand as well.
    pub(super) fn kept(text: &str) -> Result<Self, SecretError> {
        match text.strip_prefix(LOGIN) {
            Some(server) => Self::parse(server).map(|server| Self::of_login(&server.0)),
            None => Self::parse(text),
        }
    }
}

const LOGIN: &str = "server:";

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// One server that a secret may be sent to: scheme, host and port, all exactly. `https` unless it is this machine by its
/// address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Binding(String);

impl Binding {
    /// Reads `api.example.com`, `api.example.com:8443`, `https://api.example.com` or `http://127.0.0.1:8080`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let wrong = |reason: &'static str| SecretError::Binding { text: text.chars().take(200).collect(), reason };
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        if whole.chars().any(|c| c.is_control() || c.is_whitespace() || c == '*' || c == '\\') {
            return Err(wrong("it must name one server, without patterns and spaces"));
        }
        let url = url::Url::parse(&whole).map_err(|_| wrong("it is no server's name"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must be a server and not a page of it"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it must not hold a user name or a password"));
        }
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(_)) => false,
            None => return Err(wrong("it names no server")),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(wrong("a secret is sent to no other machine without TLS: it must be https")),
            _ => return Err(wrong("its scheme is neither https nor http")),
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(wrong("it names no server"));
        };
        Ok(Self(format!("{}://{}:{port}", url.scheme(), host.trim_end_matches('.'))))
    }

    /// The binding that covers this server and no other. `host` is as a parsed URL has it: lower case, in punycode.
    pub fn of(scheme: &str, host: &str, port: u16) -> Self {
        Self(format!("{scheme}://{host}:{port}"))
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = [("https://", ":443"), ("http://", ":80")];
        let short =
            usual.iter().find(|(scheme, _)| self.0.starts_with(scheme)).and_then(|(_, port)| self.0.strip_suffix(port));
        f.write_str(short.unwrap_or(&self.0))
    }
}

impl TryFrom<String> for Binding {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::parse(&text)
    }
}

impl From<Binding> for String {
    fn from(binding: Binding) -> Self {
        binding.0
    }
}

/// Why a secret could not be kept or used. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{0:?} is not a secret's name: 1 to 64 of A-Z, a-z, 0-9, _ and -")]
    Name(String),
    #[error("a secret cannot be bound to `{}`: {reason}", text.escape_debug())]
    Binding { text: String, reason: &'static str },
    #[error("`{0}` is bound to no server")]
    Unbound(Name),
    #[error("the value of `{name}` cannot be kept: {reason}")]
    Value { name: Name, reason: &'static str },
    #[error("there is no secret `{0}`")]
    Missing(Name),
    #[error("the secret `{0}` cannot be decrypted: it was changed, or the key is another")]
    Sealed(Name),
}

impl Explain for SecretError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Missing(_) => "not-found",
            Self::Sealed(_) => "secret-unreadable",
            _ => "secret-invalid",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Name(_) => "write for example GITHUB_TOKEN".into(),
            Self::Binding { .. } | Self::Unbound(_) => {
                "name each server that may get it, for example `--host api.github.com`".into()
            }
            Self::Value { .. } => "give the token as the service gave it, on one line".into(),
            Self::Missing(_) => "`ringfence secret list` shows what is kept".into(),
            Self::Sealed(name) => format!("set it again with `ringfence secret set {name} --host HOST`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_one_server() {
        for (text, shown) in [
            ("api.example.com", "https://api.example.com"),
            ("API.Example.com.", "https://api.example.com"),
            ("api.example.com:8443", "https://api.example.com:8443"),
            ("https://api.example.com/", "https://api.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            let binding = Binding::parse(text).unwrap();
            assert_eq!(binding.to_string(), shown, "{text}");
            assert_eq!(Binding::parse(&String::from(binding.clone())).unwrap(), binding);
        }
        for bad in [
            "",
            "*",
            "*.example.com",
            "http://api.example.com",
            "http://10.0.0.1",
            "http://localhost",
            "ftp://x.test",
            "api.example.com/v1",
            "https://user@api.example.com",
            "https://api.example.com?x",
            "a b",
            "x\r\ny",
            "https://api.example.com\\@evil.test",
        ] {
            assert!(Binding::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Binding::of("https", "api.example.com", 443), Binding::parse("api.example.com").unwrap());
    }
}
