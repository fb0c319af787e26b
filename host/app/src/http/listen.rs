//! The doors: a TCP port, with TLS where it is not of this machine alone, and the control socket.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfence_core::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::trouble::Trouble;

/// The socket in the state directory by which the user's own programs reach the host that runs.
pub(crate) const CONTROL: &str = "control.sock";

/// Where connections come in.
pub(crate) enum Listener {
    Tcp(TcpListener, Option<TlsAcceptor>),
    /// Only for programs of the user whose host this is.
    Control(UnixListener, #[allow(dead_code, reason = "held for its end")] Removed),
}

/// Files in PEM: the certificate with those above it, and its private key.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A socket's file, which goes with its listener.
pub(crate) struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Whoever finds it afterwards finds nobody behind it, and says so.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Listener {
    /// Takes a TCP port. One that other machines can reach is taken with TLS only: a token that travels in the clear is everybody's.
    pub(crate) async fn tcp(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, Error> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(Trouble::new(
                "tls-required",
                format!(
                    "{address} can be reached from other machines, and without TLS its tokens could be read on the way"
                ),
                "give `--tls-cert FILE --tls-key FILE`, or listen on 127.0.0.1 behind a proxy that has a certificate",
            ));
        }
        let tls = tls.map(acceptor).transpose()?;
        let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Trouble::new(
                "address-in-use",
                format!("another program listens on {address}"),
                "end it, or choose another port with `--listen`; port 0 takes a free one",
            ),
            _ => Trouble::new(
                "address-unusable",
                format!("cannot listen on {address}: {error}"),
                "choose another address with `--listen`",
            ),
        })?;
        Ok(Self::Tcp(listener, tls))
    }

    /// Makes the control socket, in a directory that is this user's alone. One that nobody answers at was left behind and is removed; where
    /// another server answers it stays that one's, which is `AddrInUse`.
    pub(crate) fn control(state: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        let path = state.join(CONTROL);
        if std::fs::symlink_metadata(&path).is_ok_and(|about| about.file_type().is_socket()) {
            match std::os::unix::net::UnixStream::connect(&path) {
                Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(_) => std::fs::remove_file(&path)?,
            }
        }
        let listener = UnixListener::bind(&path)?;
        let removed = Removed(path);
        std::fs::set_permissions(&removed.0, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self::Control(listener, removed))
    }

    /// Where it listens, with the port that the system chose where it was to.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Tcp(listener, tls) => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                Some(format!("{scheme}://{}", listener.local_addr().ok()?))
            }
            Self::Control(..) => None,
        }
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let wrong = |path: &Path, what: &str| {
        Trouble::new(
            "tls-invalid",
            format!("{}: {what}", path.display()),
            "give a certificate and its key in PEM files",
        )
    };
    // Of a private key nothing is told but that it is none.
    let told = |error: pem::Error| match error {
        pem::Error::Io(error) => error.to_string(),
        _ => "it holds nothing of the kind".into(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| wrong(&files.certificate, &told(error)))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &told(error)))?;
    let unusable = |error: tokio_rustls::rustls::Error| wrong(&files.certificate, &error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn t113_what_others_can_reach_is_not_opened_without_tls() {
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let error = Listener::tcp(open.parse().unwrap(), None).await.err().unwrap();
            assert_eq!(error.kind(), "tls-required", "{open}");
        }
        let own = Listener::tcp("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let url = own.url().unwrap();
        assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{url}");
        let taken = url.trim_start_matches("http://").parse().unwrap();
        assert_eq!(Listener::tcp(taken, None).await.err().unwrap().kind(), "address-in-use");
    }

    #[tokio::test]
    async fn files_that_are_no_certificate_are_named_and_a_key_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = TlsFiles { certificate: certificate.clone(), key: key.clone() };
        let error = Listener::tcp("127.0.0.1:0".parse().unwrap(), Some(&files)).await.err().unwrap();
        assert!(error.kind() == "tls-invalid" && error.to_string().contains("cert.pem"), "{error}");
        std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        std::fs::write(&key, "a secret").unwrap();
        let error = Listener::tcp("127.0.0.1:0".parse().unwrap(), Some(&files)).await.err().unwrap();
        assert!(error.to_string().contains("key.pem") && !error.to_string().contains("a secret"), "{error}");
    }

    #[tokio::test]
    async fn t113_the_control_socket_is_the_users_alone_and_goes_with_its_listener() {
        use std::os::unix::fs::PermissionsExt as _;
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(CONTROL);
        // As one that was killed leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let control = Listener::control(state.path()).unwrap();
        let second = Listener::control(state.path()).err().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse, "another server's is not taken from it");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(control);
        assert!(!path.exists());
        std::fs::write(&path, "not a socket").unwrap();
        assert!(Listener::control(state.path()).is_err(), "what is no socket is not removed");
    }
}
