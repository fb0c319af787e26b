//! Tokens that are given back at a sign-out (RFC 7009), where whoever gave them takes them back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use secrecy::ExposeSecret as _;
use url::form_urlencoded::{self, byte_serialize};

use super::passage::{FORM, Passage};
use super::tokens::{self, Login};
use super::{Server, ServerError};
use crate::capability::secrets::Vault;
use crate::error::Error;
use crate::net::Target;

/// What an issuer publishes of it (RFC 8414).
pub(super) const ENDPOINT: &str = "revocation_endpoint";
/// How a client shows there who it is (RFC 8414).
pub(super) const ENDPOINT_AUTH: &str = "revocation_endpoint_auth_methods_supported";
pub(super) const TOKEN_AUTH: &str = "token_endpoint_auth_methods_supported";

/// What a sign-out came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedOut {
    /// Nothing was kept.
    NobodyWas,
    /// Nothing is kept any more. Where the tokens came from they hold until they expire.
    Forgotten,
    /// Nor do they hold there.
    Revoked,
}

impl SignedOut {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NobodyWas => "nobody-was",
            Self::Forgotten => "forgotten",
            Self::Revoked => "revoked",
        }
    }
}

/// Tokens that can be given back.
pub(crate) struct Revocation {
    name: String,
    passage: Passage,
    request: http::Request<Vec<u8>>,
}

impl Revocation {
    /// Of what is kept for this server. None where nothing is, or where its issuer takes nothing back.
    pub(crate) async fn of(server: &Server, vault: &Vault) -> Result<Option<Self>, Error> {
        let Some(url) = &server.settings.url else { return Ok(None) };
        let Ok(target) = Target::parse(url) else { return Ok(None) };
        let Ok(binding) = tokens::binding(&server.name, &target) else { return Ok(None) };
        let Some(login) = Login::load(vault, &server.name, target.url().as_str(), &binding).await? else {
            return Ok(None);
        };
        let networks = &server.settings.networks;
        let passage =
            Passage::new(&server.name, target.origin(), networks, &server.reach, Some(login.resource.clone()));
        Ok(request(&server.name, &login).map(|request| Self { name: server.name.clone(), passage, request }))
    }

    /// Gives them back. A token that is not known there is no failure: then it is good for nothing already.
    pub(crate) async fn send(self) -> Result<(), ServerError> {
        let status = self.passage.pass(self.request).await?.status();
        if status.is_success() {
            return Ok(());
        }
        Err(ServerError::Unavailable {
            name: self.name,
            reason: format!("its issuer answered HTTP {}", status.as_u16()),
        })
    }
}

/// The request that gives the longest-lived token back; those that were made of it end with it.
fn request(name: &str, login: &Login) -> Option<http::Request<Vec<u8>>> {
    let fields = &login.metadata.additional_fields;
    let endpoint = fields.get(ENDPOINT)?.as_str()?;
    let place = Target::parse(endpoint).ok()?;
    // As for every token: by TLS, or not off this machine.
    tokens::binding(name, &place).ok()?;
    let given = tokens::of(&login.credentials);
    let hint = if given.len() > 1 { "refresh_token" } else { "access_token" };
    let token = given.last()?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token.expose_secret()).append_pair("token_type_hint", hint);
    let mut request =
        http::Request::post(place.url().as_str()).header(CONTENT_TYPE, FORM).header(ACCEPT, "application/json");
    let methods = fields.get(ENDPOINT_AUTH).or_else(|| fields.get(TOKEN_AUTH)).and_then(|all| all.as_array());
    let knows = |method: &str| methods.is_some_and(|all| all.iter().any(|known| known == method));
    match &login.client_secret {
        Some(secret) if knows("client_secret_basic") && !knows("client_secret_post") => {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = BASE64.encode(format!("{}:{}", encoded(&login.client_id), encoded(secret)));
            request = request.header(AUTHORIZATION, format!("Basic {pair}"));
        }
        secret => {
            form.append_pair("client_id", &login.client_id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret);
            }
        }
    }
    request.body(form.finish().into_bytes()).ok()
}
