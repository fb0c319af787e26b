//! Logins at registries, as `docker login` keeps them: in `config.json`, or in the helper that it names. Looked at only when a
//! registry asks for a login.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError as Trouble, DockerCredential};
use futures_util::future::BoxFuture;
use ringfence_core::catalog::source::{Credentials, Login};

use super::Environment;

/// How long a helper may take. One that asks a person has been asked before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Docker's own registry stands in its configuration under an address that it no longer has.
const DOCKER: (&[&str], &str) =
    (&["docker.io", "registry-1.docker.io", "index.docker.io"], "https://index.docker.io/v1/");

/// Longest configuration of Docker's that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What Docker's tools keep.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    /// `config.json`. Not there for those who have never logged in.
    file: Option<PathBuf>,
}

impl Docker {
    /// In `DOCKER_CONFIG`, or `.docker` of the home folder.
    pub(super) fn of(env: &Environment) -> Self {
        let folder = env.get("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(super::dirs::home(env)?.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")) }
    }

    /// Blocks: a helper is another program.
    fn look(file: &Path, registry: &str) -> Result<DockerCredential, Trouble> {
        let file = std::fs::File::open(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Trouble::ConfigNotFound,
            _ => Trouble::ConfigReadError,
        })?;
        docker_credential::get_credential_from_reader(file.take(MOST_BYTES), registry)
    }
}

impl Credentials for Docker {
    fn login<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Option<Login>, String>> {
        let kept_as = if DOCKER.0.contains(&registry) { DOCKER.1 } else { registry }.to_owned();
        let file = self.file.clone();
        Box::pin(async move {
            let Some(file) = file else { return Ok(None) };
            let look = tokio::task::spawn_blocking(move || Self::look(&file, &kept_as));
            match tokio::time::timeout(PATIENCE, look).await {
                Err(_) => Err("the helper that Docker's configuration names does not answer".into()),
                Ok(Err(_)) => Err("the helper that Docker's configuration names has failed".into()),
                Ok(Ok(found)) => login(found),
            }
        })
    }
}

fn login(found: Result<DockerCredential, Trouble>) -> Result<Option<Login>, String> {
    match found {
        Ok(DockerCredential::UsernamePassword(user, secret)) => {
            Ok(Some(Login::Password { user, secret: secret.into() }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::Token(token.into()))),
        Err(Trouble::NoCredentialConfigured | Trouble::ConfigNotFound) => Ok(None),
        // Helpers say so in words, on either output. What else stands there is not repeated: it may be a secret.
        Err(Trouble::HelperFailure { stdout, stderr, .. })
            if format!("{stdout}{stderr}").to_lowercase().contains("credentials not found") =>
        {
            Ok(None)
        }
        Err(Trouble::HelperFailure { helper, .. }) => {
            Err(format!("`{helper}`, which Docker's configuration names, has failed"))
        }
        Err(Trouble::HelperCommunicationError) => {
            Err("the helper that Docker's configuration names for it cannot be run".into())
        }
        Err(Trouble::MalformedHelperResponse) => {
            Err("the helper that Docker's configuration names for it answers with something else".into())
        }
        Err(Trouble::CredentialDecodingError | Trouble::CredentialMismatchError) => {
            Err("the login that Docker's configuration has for it cannot be read".into())
        }
        Err(Trouble::ConfigReadError) => Err("Docker's configuration (`config.json`) cannot be read".into()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_login_is_one_none_or_a_sentence_without_a_secret() {
        let password = login(Ok(DockerCredential::UsernamePassword("me".into(), "hunter2".into()))).unwrap().unwrap();
        assert!(!format!("{password:?}").contains("hunter2"));
        assert!(matches!(password, Login::Password { secret, .. } if secret.expose_secret() == "hunter2"));
        let failed = |stdout: &str| {
            let (stdout, stderr) = (stdout.to_owned(), "hunter2".to_owned());
            login(Err(Trouble::HelperFailure { helper: "docker-credential-x".into(), stdout, stderr }))
        };
        assert!(failed("credentials not found in native keychain\n").unwrap().is_none());
        let error = failed("hunter2").unwrap_err();
        assert!(error.contains("docker-credential-x") && !error.contains("hunter2"), "{error}");
        assert!(login(Err(Trouble::ConfigNotFound)).unwrap().is_none());
        assert!(login(Err(Trouble::ConfigReadError)).is_err());
    }
}
