//! The port to whoever knows a person's logins at registries. The core asks only when a registry wants one.

use futures_util::future::BoxFuture;
use secrecy::SecretString;

/// How somebody logs in at a registry.
#[derive(Clone, Debug)]
pub enum Login {
    Password {
        user: String,
        secret: SecretString,
    },
    /// A token that a registry's own service changes into a short-lived one (OAuth 2.0 refresh token).
    Token(SecretString),
}

/// Where logins are kept.
pub trait Credentials: Send + Sync + 'static {
    /// The login for a registry, named as in `docker login`; None where there is none. The error says why one that there should
    /// be could not be had, and holds no secret.
    fn login<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Option<Login>, String>>;
}

/// Nobody's: everything is asked for anonymously.
pub struct Anonymous;

impl Credentials for Anonymous {
    fn login<'a>(&'a self, _registry: &'a str) -> BoxFuture<'a, Result<Option<Login>, String>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
