//! A sign-in at a server: OAuth 2.1 as the MCP specification has it. Where to sign in is the server's word (RFC 9728), what is there
//! its issuer's (RFC 8414); the answer is bound to this attempt by `state`, PKCE and, where it is told, `iss` (RFC 9207).
//!
//! A person does the rest in their browser: the face shows them the address, and hands over what comes back.

use std::sync::Arc;

use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource, CredentialStore as _,
    InMemoryCredentialStore, OAuthClientConfig,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use super::passage::Passage;
use super::tokens::{self, Login};
use super::{Server, ServerError};
use crate::capability::secrets::{Redactor, Vault};
use crate::net::Target;
use crate::plain;

/// What this host calls itself where it registers (RFC 7591).
const CLIENT: &str = "Ringfence";
/// Bytes of a server's own words in an error.
const WORDS: usize = 300;

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

    /// Finds out where to sign in, and makes this host known there. `redirect` is where the browser comes back to, on this machine.
    pub(crate) async fn begin(server: Arc<Server>, redirect: &str) -> Result<Self, ServerError> {
        let name = server.name.clone();
        let settings = &server.settings;
        let Some(url) = &settings.url else {
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
        let failed = |error| failure(&name, &passage, &error, None);
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
                let client = OAuthClientConfig::new(id, redirect);
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
            let words = only(query, "error_description").map(|words| format!(": {words}")).unwrap_or_default();
            return Err(wrong(format!("it was refused there ({})", plain::line(&format!("{error}{words}"), WORDS).0)));
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
        exchanged.map_err(|error| failure(&name, &self.passage, &error, Some(&code)))?;
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

/// What tokens are refreshed by.
fn needed(all: &AuthorizationMetadata) -> AuthorizationMetadata {
    let mut metadata = AuthorizationMetadata::default();
    metadata.issuer.clone_from(&all.issuer);
    metadata.authorization_endpoint.clone_from(&all.authorization_endpoint);
    metadata.token_endpoint.clone_from(&all.token_endpoint);
    let methods = "token_endpoint_auth_methods_supported";
    let methods = all.additional_fields.get(methods).map(|value| (methods.to_owned(), value.clone()));
    metadata.additional_fields.extend(methods);
    metadata
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// What went wrong, in words without the code.
fn failure(name: &str, passage: &Passage, error: &AuthError, code: Option<&str>) -> ServerError {
    if let Some(refused) = passage.refused() {
        return refused;
    }
    let mut text = chain(error);
    if let Some(redactor) = code.and_then(|code| Redactor::new(&[code.to_owned().into()])) {
        text = redactor.text(&text);
    }
    ServerError::Login { name: name.to_owned(), reason: plain::line(&text, WORDS).0 }
}
