//! How a registry wants to be asked: the challenge of a refusal, and the token that answers it
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Registry;
use crate::catalog::source::credentials::Login;
use crate::catalog::source::error::SourceError;
use crate::catalog::source::fetch::{self, Told};
use crate::catalog::source::wire::Order;
use crate::net::{Origin, Target};

/// Largest answer of a service of tokens.
const MOST_BYTES: u64 = 256 << 10;

/// What `WWW-Authenticate` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads the header. A scheme that is not known is none.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest;
        while let Some((name, behind)) = rest.split_once('=') {
            let (value, behind) = match behind.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => behind.split_once(',').unwrap_or((behind, "")),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = behind.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

impl Registry<'_> {
    /// What to put into `Authorization` after this challenge. None where nobody has a login that it asks for.
    pub(super) async fn answer(&self, challenge: &Challenge) -> Result<Option<HeaderValue>, SourceError> {
        let refused = |reason: String| SourceError::Unauthorized { registry: self.origin().to_string(), reason };
        let login = self.sources.credentials.login(&self.artifact.authority()).await.map_err(refused)?;
        match challenge {
            Challenge::Basic => match login {
                Some(Login::Password { user, secret }) => Ok(Some(basic(&user, &secret)?)),
                Some(Login::Token(_)) => {
                    Err(refused("it wants a name and a password, and a token is kept for it".into()))
                }
                None => Ok(None),
            },
            Challenge::Bearer { realm, service } => {
                let token = self.token(realm, service.as_deref(), login).await?;
                header("Bearer ", &token).map(Some)
            }
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<Login>,
    ) -> Result<SecretString, SourceError> {
        #[derive(Deserialize)]
        struct Given {
            token: Option<String>,
            access_token: Option<String>,
        }
        let refused = |reason: String| SourceError::Unauthorized { registry: self.origin().to_string(), reason };
        let target = Target::parse(realm).map_err(|refusal| refused(format!("its service of tokens: {refusal}")))?;
        let order = order(target, service, &self.scope(), login.as_ref())?;
        // The registry points there, so it is trusted no further than a redirect is.
        let named: Option<&Origin> = Some(self.origin());
        let answer = self.sources.wire.send(order, named).await?;
        let status = answer.status();
        if !status.is_success() {
            let whose = if login.is_some() { "your login" } else { "access without a login" };
            return Err(refused(format!("its service of tokens does not take {whose} ({status})")));
        }
        let bytes = fetch::read(answer, &self.sources.bounds(MOST_BYTES), &Told::default()).await?;
        let given: Given =
            serde_json::from_slice(&bytes).map_err(|_| refused("its service of tokens gave none".into()))?;
        let token = given.token.or(given.access_token).map(SecretString::from);
        token.ok_or_else(|| refused("its service of tokens gave none".into()))
    }
}

/// The request for a token: a form for what Docker keeps as an identity token, a query otherwise.
fn order(mut target: Target, service: Option<&str>, scope: &str, login: Option<&Login>) -> Result<Order, SourceError> {
    let mut headers = HeaderMap::new();
    if let Some(Login::Token(token)) = login {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "ringfence");
        form.append_pair("refresh_token", token.expose_secret()).append_pair("scope", scope);
        form.append_pair("service", service.unwrap_or_default());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let body = Bytes::from(form.finish());
        return Ok(Order { method: Method::POST, headers, body, ..Order::get(target) });
    }
    let mut url = target.url().clone();
    let mut query = url.query_pairs_mut();
    query.append_pair("scope", scope);
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    drop(query);
    target = Target::parse(url.as_str())
        .map_err(|refusal| SourceError::Unavailable { what: target.place(), reason: refusal.to_string() })?;
    if let Some(Login::Password { user, secret }) = login {
        headers.insert(AUTHORIZATION, basic(user, secret)?);
    }
    Ok(Order { headers, ..Order::get(target) })
}

fn basic(user: &str, secret: &SecretString) -> Result<HeaderValue, SourceError> {
    let both = SecretString::from(format!("{user}:{}", secret.expose_secret()));
    header("Basic ", &SecretString::from(STANDARD.encode(both.expose_secret())))
}

fn header(scheme: &str, secret: &SecretString) -> Result<HeaderValue, SourceError> {
    let mut value = HeaderValue::from_str(&format!("{scheme}{}", secret.expose_secret())).map_err(|_| {
        SourceError::Unauthorized { registry: "the registry".into(), reason: "its token fits into no header".into() }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
        };
        for (header, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.test/token\",service=\"reg, istry\",scope=\"repository:a/b:pull,push\"",
                bearer("https://auth.test/token", Some("reg, istry")),
            ),
            ("bearer realm=https://auth.test/token", bearer("https://auth.test/token", None)),
            ("Bearer service=\"x\" , realm=\"y\"", bearer("y", Some("x"))),
            ("Bearer", None),
            ("Bearer realm=\"open", None),
            ("Negotiate x", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_login_is_in_a_header_or_in_a_form_and_in_no_address() {
        let target = || Target::parse("https://auth.test/token?x=y").unwrap();
        let secret = || SecretString::from("hunter2");
        let password = Login::Password { user: "me".into(), secret: secret() };
        let asked = order(target(), Some("reg"), "repository:a:pull", Some(&password)).unwrap();
        let url = asked.target.url().as_str();
        assert_eq!(url, "https://auth.test/token?x=y&scope=repository%3Aa%3Apull&service=reg");
        assert_eq!(asked.headers[AUTHORIZATION], "Basic bWU6aHVudGVyMg==");
        assert!(!format!("{:?}", asked.headers).contains("bWU6"), "it is not shown");
        let asked = order(target(), None, "repository:a:pull", Some(&Login::Token(secret()))).unwrap();
        assert_eq!((asked.method, asked.target.url().query()), (Method::POST, Some("x=y")));
        assert!(asked.headers.get(AUTHORIZATION).is_none());
        assert!(String::from_utf8(asked.body.to_vec()).unwrap().contains("refresh_token=hunter2"));
    }
}
