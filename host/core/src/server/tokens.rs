//! What is kept of a sign-in: tokens, for whom they are, and where they are refreshed. In the vault, and nowhere else.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, CredentialRefreshGuard, CredentialStore, OAuthClientConfig,
    StoredCredentials, VendorExtraTokenFields,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::ServerError;
use super::connection::Redaction;
use super::http::Reach;
use super::passage::Passage;
use crate::capability::secrets::{Binding, Vault};
use crate::error::Error;
use crate::net::{Network, Target};

/// A sign-in. Has no Debug: nearly all of it is secret.
///
/// Where tokens are refreshed stands here as it was when a person signed in. A server that names another place later gets nothing there.
#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    /// The server's address then. Tokens go to no other, not even on the same host.
    pub(super) url: String,
    /// What the tokens were asked for (RFC 8707).
    pub(super) resource: String,
    pub(super) metadata: AuthorizationMetadata,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) credentials: StoredCredentials,
}

impl Login {
    /// Reads what is kept for a server at this address.
    pub(super) async fn load(vault: &Vault, name: &str, url: &str, binding: &Binding) -> Result<Option<Self>, Error> {
        let Some(text) = vault.login(name, binding).await? else { return Ok(None) };
        // Whoever wrote it was us, so what cannot be read is of another version.
        let bytes = BASE64.decode(text.expose_secret()).unwrap_or_default();
        let login: Option<Self> = serde_json::from_slice(&bytes).ok();
        if login.is_none() {
            tracing::error!(server = name, "what is kept of the sign-in cannot be read and is not used");
        }
        Ok(login.filter(|login| login.url == url))
    }

    pub(super) async fn keep(&mut self, vault: &Vault, name: &str, binding: Binding) -> Result<(), Error> {
        // Whatever else came with the tokens is not needed, and may say who the person is.
        if let Some(tokens) = &mut self.credentials.token_response {
            tokens.set_extra_fields(VendorExtraTokenFields::default());
        }
        // Serialising our own plain structure cannot fail.
        let text = BASE64.encode(serde_json::to_vec(self).unwrap_or_default());
        vault.keep_login(name, &text.into(), binding).await
    }

    fn secrets(&self) -> Vec<SecretString> {
        of(&self.credentials).into_iter().chain(self.client_secret.clone().map(SecretString::from)).collect()
    }
}

/// The token of requests, and behind it the one that others are got by, where there is one.
pub(super) fn of(credentials: &StoredCredentials) -> Vec<SecretString> {
    // Their own types tell them by a trait of a crate that is not ours.
    let tokens = serde_json::to_value(&credentials.token_response).unwrap_or_default();
    let named = ["access_token", "refresh_token"].into_iter().filter_map(|name| tokens[name].as_str());
    named.map(|token| token.to_owned().into()).collect()
}

/// Where tokens for this address may go: TLS, or this machine by its address.
pub(super) fn binding(name: &str, target: &Target) -> Result<Binding, ServerError> {
    let origin = target.origin();
    Binding::parse(&origin.to_string()).map_err(|_| {
        ServerError::settings(
            name,
            &format!("`{origin}` can be sent no token: write https, or 127.0.0.1 for this machine"),
        )
    })
}

/// Whether a sign-in is kept for the place of this address.
pub(super) fn are_kept(vault: &Vault, name: &str, url: &str) -> bool {
    let binding = Target::parse(url).ok().and_then(|target| binding(name, &target).ok());
    binding.is_some_and(|binding| vault.has_login(name, &binding))
}

/// What puts a token into each request to a server, where a person has signed in there; with what keeps it, and what is secret of it.
pub(super) async fn kept(
    reach: &Reach,
    name: &str,
    target: &Target,
    networks: &[Network],
    vault: &Arc<Vault>,
) -> Result<Option<(AuthorizationManager, Arc<Keeper>, Vec<SecretString>)>, ServerError> {
    let Ok(binding) = binding(name, target) else { return Ok(None) };
    let url = target.url().as_str();
    let unusable = |error: &dyn std::fmt::Display| {
        tracing::error!(server = name, %error, "what is kept of the sign-in cannot be used");
        ServerError::SignIn { name: name.to_owned(), reason: "what was kept of the last one cannot be used".into() }
    };
    let login = Login::load(vault, name, url, &binding).await.map_err(|error| unusable(&error))?;
    let Some(login) = login else { return Ok(None) };
    let secrets = login.secrets();
    let passage = Passage::new(name, target.origin(), networks, reach, Some(login.resource.clone()));
    let mut manager = AuthorizationManager::new_with_oauth_http_client(url, Arc::new(passage))
        .await
        .map_err(|error| unusable(&error))?;
    manager.set_metadata(login.metadata);
    let mut client = OAuthClientConfig::new(login.client_id, url);
    client.client_secret = login.client_secret;
    manager.configure_client(client).map_err(|error| unusable(&error))?;
    let keeper = Arc::new(Keeper {
        name: name.to_owned(),
        url: url.to_owned(),
        binding,
        vault: Arc::downgrade(vault),
        redaction: OnceLock::new(),
    });
    manager.set_credential_store(Shared(Arc::clone(&keeper)));
    Ok(Some((manager, keeper, secrets)))
}

/// Keeps the tokens of a connection: where they are refreshed, the vault has the new ones before they are used.
pub(super) struct Keeper {
    name: String,
    url: String,
    binding: Binding,
    /// Not its own: a connection must not keep the state of a host that is closed.
    vault: Weak<Vault>,
    redaction: OnceLock<(Redaction, Vec<SecretString>)>,
}

impl Keeper {
    /// Takes new tokens out of what the server says as well, beside these secrets.
    pub(super) fn tell(&self, redaction: Redaction, secrets: Vec<SecretString>) {
        drop(self.redaction.set((redaction, secrets)));
    }

    async fn login(&self, vault: &Vault) -> Result<Option<Login>, AuthError> {
        Login::load(vault, &self.name, &self.url, &self.binding).await.map_err(|error| unkept(&error))
    }

    fn vault(&self) -> Result<Arc<Vault>, AuthError> {
        self.vault.upgrade().ok_or_else(|| unkept(&"this host is closed"))
    }
}

fn unkept(error: &dyn std::fmt::Display) -> AuthError {
    AuthError::CredentialStoreError(error.to_string())
}

/// The keeper, as the library wants it.
struct Shared(Arc<Keeper>);

#[async_trait]
impl CredentialStore for Shared {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let vault = self.0.vault()?;
        Ok(self.0.login(&vault).await?.map(|login| login.credentials))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let vault = self.0.vault()?;
        // Signed out meanwhile: then nothing is kept.
        let mut login = self.0.login(&vault).await?.ok_or(AuthError::AuthorizationRequired)?;
        login.credentials = credentials;
        if let Some((redaction, secrets)) = self.0.redaction.get() {
            redaction.set(secrets.iter().cloned().chain(of(&login.credentials)).collect());
        }
        login.keep(&vault, &self.0.name, self.0.binding.clone()).await.map_err(|error| unkept(&error))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.0.vault()?.forget_login(&self.0.name).await.map(|_| ()).map_err(|error| unkept(&error))
    }

    async fn acquire_refresh_guard(&self) -> Result<Option<CredentialRefreshGuard>, AuthError> {
        let turn = self.0.vault()?.turn_for_logins().await.map_err(|error| unkept(&error))?;
        Ok(Some(CredentialRefreshGuard::new(turn)))
    }
}
