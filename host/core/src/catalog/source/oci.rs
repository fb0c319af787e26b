//! OCI registries, spoken to by the distribution specification (<https://github.com/opencontainers/distribution-spec>): as much of
//! it as one component with its signatures needs.

mod auth;
mod config;
mod manifest;
mod pull;
mod push;

use std::sync::{Mutex, PoisonError};

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::Inner;
use super::error::SourceError;
use super::reference::Artifact;
use super::wire::{Answer, Order};
use crate::net::{Origin, Target};
use auth::Challenge;
pub(super) use pull::version_of;
pub use push::Pushed;

/// Docker's own registry answers under another name than the one that everybody writes.
const DOCKER: (&str, &str) = ("https://docker.io/", "https://registry-1.docker.io/");

/// A repository of a registry, for one errand.
pub(super) struct Registry<'a> {
    sources: &'a Inner,
    artifact: &'a Artifact,
    root: Target,
    /// Whether a person named the registry, rather than another server.
    is_named: bool,
    pushes: bool,
    /// What the last challenge was answered with.
    authorization: Mutex<Option<HeaderValue>>,
}

impl<'a> Registry<'a> {
    pub(super) fn of(
        sources: &'a Inner,
        artifact: &'a Artifact,
        is_named: bool,
        pushes: bool,
    ) -> Result<Self, SourceError> {
        let root = match artifact.registry.url().as_str() == DOCKER.0 {
            true => Target::parse(DOCKER.1).map_err(|refusal| SourceError::Reference {
                text: artifact.to_string(),
                reason: refusal.to_string(),
            })?,
            false => artifact.registry.clone(),
        };
        Ok(Self { sources, artifact, root, is_named, pushes, authorization: Mutex::default() })
    }

    fn origin(&self) -> &Origin {
        self.root.origin()
    }

    fn scope(&self) -> String {
        let acts = if self.pushes { "pull,push" } else { "pull" };
        format!("repository:{}:{acts}", self.artifact.repository)
    }

    /// An address below the repository. What is put in is of our own grammar: names, tags and digests.
    fn at(&self, below: &str) -> Result<Target, SourceError> {
        self.root
            .join(&format!("/v2/{}/{below}", self.artifact.repository))
            .map_err(|refusal| SourceError::Reference { text: self.artifact.to_string(), reason: refusal.to_string() })
    }

    /// Sends; where the registry wants to know who asks, answers that once.
    async fn send(&self, mut order: Order) -> Result<Answer, SourceError> {
        let named = self.is_named.then_some(self.origin());
        let held = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(value) = held.filter(|_| order.target.origin() == self.origin()) {
            order.headers.insert(AUTHORIZATION, value);
        }
        let answer = self.sources.wire.send(order.clone(), named).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.allowed(answer);
        }
        let challenge = answer.header(WWW_AUTHENTICATE).and_then(Challenge::parse);
        let value = match challenge {
            // Only the registry itself is told who we are.
            Some(challenge) if answer.from.origin() == self.origin() && order.target.origin() == self.origin() => {
                self.answer(&challenge).await?
            }
            _ => None,
        };
        let Some(value) = value else { return self.allowed(answer) };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
        order.headers.insert(AUTHORIZATION, value);
        let answer = self.sources.wire.send(order, named).await?;
        self.allowed(answer)
    }

    fn allowed(&self, answer: Answer) -> Result<Answer, SourceError> {
        let refused = |reason: &str| SourceError::Unauthorized {
            registry: self.origin().to_string(),
            reason: format!("{reason} `{}`", self.artifact.repository),
        };
        match answer.status() {
            StatusCode::UNAUTHORIZED => Err(refused("it wants a login that may use")),
            StatusCode::FORBIDDEN => Err(refused("your account may not use")),
            _ => Ok(answer),
        }
    }

    /// An answer that is not what was hoped for.
    fn odd(&self, what: &str, status: StatusCode) -> SourceError {
        let reason = match status {
            StatusCode::TOO_MANY_REQUESTS => format!("it answers {what} with {status}: it is asked too often"),
            _ => format!("it answers {what} with {status}"),
        };
        SourceError::Unavailable { what: self.origin().to_string(), reason }
    }
}
