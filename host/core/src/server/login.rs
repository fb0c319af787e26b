//! A sign-in at a server: OAuth 2.1 as the MCP specification has it. Where to sign in is the server's word (RFC 9728), what is there
//! its issuer's (RFC 8414); the answer is bound to this attempt by `state`, PKCE and, where it is told, `iss` (RFC 9207).
//!
//! A person does the rest in their browser: the face shows them the address, and hands over what comes back.

use std::sync::Arc;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource, CredentialStore as _,
    InMemoryCredentialStore, OAuthClientConfig, ProtectedResourceMetadataInvalidReason,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use super::passage::Passage;
use super::settings::Way;
use super::tokens::{self, Login};
use super::{Server, ServerError, revocation};
use crate::capability::secrets::{Binding, Vault};
use crate::net::Target;
use crate::plain;

/// What this host calls itself where it registers (RFC 7591).
const CLIENT: &str = "Ringfence";
/// Bytes of what a server calls itself or another in an error.
const WORDS: usize = 300;
/// Why an issuer gives no token, in the words that there are for it (RFC 6749, RFC 8707).
const REFUSALS: [&str; 7] = [
    "invalid_grant",
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// A sign-in that was begun. Dropped, it leaves nothing behind.
pub struct ServerLogin {
    pub(crate) server: Arc<Server>,
    target: Target,
    manager: AuthorizationManager,
    passage: Arc<Passage>,
    metadata: AuthorizationMetadata,
    client: OAuthClientConfig,
    tokens: InMemoryCredentialStore,
    address: String,
    resource: String,
    state: SecretString,
}

impl ServerLogin {
    /// Where a person signs in, for their browser. Of the server's choosing.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who signs the person in.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.metadata.issuer.as_deref().unwrap_or_default()
    }

    /// Whether what came back (the query of a URL) belongs to this attempt. What does not was sent by somebody else, and is best not
    /// answered at all.
    #[must_use]
    pub fn is_answer(&self, query: &str) -> bool {
        only(query, "state").is_some_and(|state| state == self.state.expose_secret())
    }

    /// Finds out where to sign in, and makes this host known there. `redirect` is where the browser comes back to, on this machine; `vault`
    /// has the secret of the client that was registered by hand, where it has one.
    pub(crate) async fn begin(server: Arc<Server>, redirect: &str, vault: &Vault) -> Result<Self, ServerError> {
        let name = server.name.clone();
        let settings = &server.settings;
        let Way::Url(url) = settings.way(&name)? else {
            return Err(ServerError::settings(&name, "it is started here, and signs nobody in"));
        };
        if settings.headers.keys().any(|header| header.eq_ignore_ascii_case("authorization")) {
            return Err(ServerError::settings(
                &name,
                "its `headers` have an `Authorization`, which holds instead of a sign-in",
            ));
        }
        let target = Target::parse(url).map_err(|refusal| ServerError::settings(&name, &refusal.to_string()))?;
        tokens::binding(&name, &target)?;
        let passage = Arc::new(Passage::new(&name, target.origin(), &settings.networks, &server.reach, None));
        let failed = |error| failure(&name, &passage, &error);
        let http: Arc<dyn rmcp::transport::auth::OAuthHttpClient> = passage.clone();
        let manager = AuthorizationManager::new_with_oauth_http_client(target.url().as_str(), http).await;
        let mut manager = manager.map_err(failed)?;
        let found = manager.resolve_metadata().await.map_err(failed)?;
        let metadata = checked(&name, found.source, found.metadata)?;
        manager.set_metadata(metadata.clone());
        let tokens = InMemoryCredentialStore::new();
        manager.set_credential_store(tokens.clone());
        let scopes = manager.select_initial_scopes(&[]).await;
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let client = match &settings.client_id {
            Some(id) => {
                let mut client = OAuthClientConfig::new(id, redirect);
                if let Some(secret) = &settings.client_secret {
                    client.client_secret = Some(client_secret(&name, secret, &metadata, vault).await?);
                }
                manager.configure_client(client.clone()).map(|()| client)
            }
            None => manager.register_client(CLIENT, redirect, &scopes).await,
        };
        let client = client.map_err(failed)?;
        let address = manager.get_authorization_url(&scopes).await.map_err(failed)?;
        let query = address.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let (Some(state), Some(resource)) = (only(query, "state"), only(query, "resource")) else {
            return Err(ServerError::Login {
                name,
                reason: "its address for signing in has parameters of ours already".into(),
            });
        };
        let state = state.into();
        Ok(Self { server, target, manager, passage, metadata, client, tokens, address, resource, state })
    }

    /// Takes what the browser came back with (the query of the URL), gets tokens for it, and keeps them.
    pub(crate) async fn finish(&self, query: &str, vault: &Vault) -> Result<(), ServerError> {
        let name = self.server.name.clone();
        let wrong = |reason: String| ServerError::Login { name: name.clone(), reason };
        if !self.is_answer(query) {
            return Err(wrong("what came back belongs to another attempt, or to nobody's".into()));
        }
        if let Some(error) = only(query, "error") {
            // What stands beside it is for developers, and anybody's words.
            let is_code =
                (1..=40).contains(&error.len()) && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let code = if is_code { format!(" (`{error}`)") } else { String::new() };
            return Err(wrong(format!("it was refused there{code}")));
        }
        let Some(code) = only(query, "code") else {
            return Err(wrong("what came back holds no code".into()));
        };
        let issuer = only(query, "iss");
        if issuer.is_none() && form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "iss") {
            return Err(wrong("what came back names two issuers".into()));
        }
        let exchanged = self
            .manager
            .exchange_code_for_token_with_issuer(&code, self.state.expose_secret(), issuer.as_deref())
            .await;
        exchanged.map_err(|error| failure(&name, &self.passage, &error))?;
        let kept = self.tokens.load().await.ok().flatten().filter(|kept| kept.token_response.is_some());
        let credentials = kept.ok_or_else(|| wrong("no token came of it".into()))?;
        let binding = tokens::binding(&name, &self.target)?;
        let mut login = Login {
            url: self.target.url().as_str().to_owned(),
            resource: self.resource.clone(),
            metadata: needed(&self.metadata),
            client_id: self.client.client_id.clone(),
            client_secret: self.client.client_secret.clone(),
            credentials,
        };
        login.keep(vault, &name, binding).await.map_err(|error| wrong(format!("its tokens cannot be kept: {error}")))
    }
}

/// The secret of a client, for the place where its issuer gives tokens, and for no other.
async fn client_secret(
    name: &str,
    secret: &str,
    metadata: &AuthorizationMetadata,
    vault: &Vault,
) -> Result<String, ServerError> {
    let place = Target::parse(&metadata.token_endpoint).map(|target| target.origin().clone());
    let place = place.map_err(|refusal| ServerError::Login {
        name: name.to_owned(),
        reason: format!("the address at which its issuer gives tokens cannot be used: {refusal}"),
    })?;
    let to = Binding::of(place.scheme(), &place.host.to_string(), place.port);
    if !vault.is_bound(secret, &to) {
        let secret = plain::line(secret, WORDS).0;
        let reason = format!(
            "its `client-secret` needs the secret `{secret}`, which is not kept, or not for {place}, which gives tokens"
        );
        return Err(ServerError::settings(name, &reason));
    }
    let found = vault.reveal(secret).await.map_err(|error| {
        tracing::error!(%error, help = error.hint(), "a secret cannot be used");
        ServerError::settings(name, &format!("the secret `{secret}` cannot be read; see the host's log"))
    })?;
    Ok(found.expose_secret().to_owned())
}

/// The value of a parameter that stands there once.
fn only(query: &str, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = all.next()?.1.into_owned();
    all.next().is_none().then_some(value)
}

/// Metadata that was published, and is good enough.
fn checked(
    name: &str,
    source: AuthorizationMetadataSource,
    metadata: AuthorizationMetadata,
) -> Result<AuthorizationMetadata, ServerError> {
    let wrong = |reason: String| Err(ServerError::Login { name: name.to_owned(), reason });
    if !source.is_discovered() {
        return wrong("it does not say where to sign in (RFC 9728, RFC 8414)".into());
    }
    // Whoever does not say so may ignore the challenge, and then a code that was stolen is as good as ours.
    if metadata.code_challenge_methods_supported.is_none() {
        return wrong("its issuer does not say that it knows PKCE with S256".into());
    }
    let page = Target::parse(&metadata.authorization_endpoint);
    if !page.is_ok_and(|page| page.origin().tls || page.origin().host.is_this_machine()) {
        let page = plain::line(&metadata.authorization_endpoint, WORDS).0;
        return wrong(format!("the page for signing in, `{page}`, is not reached by https"));
    }
    Ok(metadata)
}

/// What tokens are refreshed by, and given back.
fn needed(all: &AuthorizationMetadata) -> AuthorizationMetadata {
    let mut metadata = AuthorizationMetadata::default();
    metadata.issuer.clone_from(&all.issuer);
    metadata.authorization_endpoint.clone_from(&all.authorization_endpoint);
    metadata.token_endpoint.clone_from(&all.token_endpoint);
    for field in [revocation::TOKEN_AUTH, revocation::ENDPOINT_AUTH, revocation::ENDPOINT] {
        let value = all.additional_fields.get(field).map(|value| (field.to_owned(), value.clone()));
        metadata.additional_fields.extend(value);
    }
    metadata
}

/// What went wrong, in words of ours.
fn failure(name: &str, passage: &Passage, error: &AuthError) -> ServerError {
    passage.refused().unwrap_or_else(|| ServerError::Login { name: name.to_owned(), reason: reason(error) })
}

/// The library's own words are for whoever writes programs with it, and repeat what a server sent, which can be the code.
fn reason(error: &AuthError) -> String {
    let shown = |text: &str| plain::line(text, WORDS).0;
    match error {
        AuthError::NoAuthorizationSupport | AuthError::AuthorizationRequired => {
            "it does not say where to sign in (RFC 9728, RFC 8414)".into()
        }
        AuthError::ProtectedResourceMetadataInvalid { reason, .. } => match &**reason {
            ProtectedResourceMetadataInvalidReason::ResourceMismatch { permitted, .. } => {
                format!(
                    "it says of itself that it is `{}`, which is another server (RFC 9728)",
                    shown(permitted.as_str())
                )
            }
            _ => "what it says of itself (RFC 9728) does not name it".into(),
        },
        AuthError::AuthorizationServersUnavailable { authorization_servers, .. } => {
            let issuers = authorization_servers.join("`, `");
            format!("of the issuers that it names, `{}`, none says how to sign in there (RFC 8414)", shown(&issuers))
        }
        AuthError::DiscoveryRequestFailed { source, .. } => match source.downcast_ref::<ServerError>() {
            Some(ServerError::Unavailable { reason, .. }) => reason.clone(),
            _ => "where to sign in could not be asked".into(),
        },
        AuthError::PkceUnsupported => "its issuer does not know PKCE with S256".into(),
        AuthError::AuthorizationServerMismatch { expected_issuer, received_issuer } => {
            let (expected, received) = (shown(expected_issuer), shown(received_issuer));
            format!("the issuer should be `{expected}`, and calls itself `{received}`")
        }
        AuthError::AuthorizationServerMissingIssuer { expected_issuer } => format!(
            "what came back does not name the issuer `{}`, which says that it always does (RFC 9207)",
            shown(expected_issuer)
        ),
        AuthError::RegistrationFailed(said) => match said.strip_prefix("HTTP ").and_then(|said| said.get(..3)) {
            Some(status) if status.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("the registration of this host was answered with HTTP {status}")
            }
            _ if said.contains("not supported") => "its issuer offers no registration of clients".into(),
            _ => "the registration of this host came to nothing".into(),
        },
        AuthError::TokenExchangeFailed(said) => match REFUSALS.iter().find(|code| said.contains(*code)) {
            Some(code) => format!("its issuer gives no token for what came back (`{code}`)"),
            None => "its issuer gives no token for what came back".into(),
        },
        AuthError::CredentialStoreError(_) => "its tokens cannot be kept".into(),
        AuthError::InternalError(_) => "this attempt has come to its end before".into(),
        _ => "what it and its issuer say of signing in cannot be used".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_issuer_sent_is_not_in_what_is_said_of_it() {
        let unreached =
            ServerError::Unavailable { name: "far".into(), reason: "`https://a.test`: no way leads to it".into() };
        let discovery = |source| AuthError::DiscoveryRequestFailed { url: "https://a.test/".parse().unwrap(), source };
        for (error, said) in [
            (AuthError::RegistrationFailed("HTTP 403 Forbidden: secret".into()), "HTTP 403"),
            (AuthError::RegistrationFailed("analyze response error: secret".into()), "came to nothing"),
            (AuthError::RegistrationFailed("HTTP \u{e4}\u{e4}\u{e4}: secret".into()), "came to nothing"),
            (
                AuthError::TokenExchangeFailed("Server returned error response: invalid_grant: secret".into()),
                "`invalid_grant`",
            ),
            (AuthError::TokenExchangeFailed("secret".into()), "no token for what came back"),
            (AuthError::OAuthError("Invalid token URL: secret".into()), "cannot be used"),
            (AuthError::MetadataError("secret".into()), "cannot be used"),
            (AuthError::CredentialStoreError("secret".into()), "cannot be kept"),
            (discovery(Box::new(unreached)), "`https://a.test`: no way leads to it"),
            (discovery("secret".into()), "could not be asked"),
        ] {
            let reason = reason(&error);
            assert!(reason.contains(said) && !reason.contains("secret"), "{error:?}: {reason}");
        }
    }
}
