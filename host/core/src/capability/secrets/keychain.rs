//! The keyring of macOS: the login keychain.

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretSlice};
use security_framework::base::Error;
use security_framework::os::macos::keychain::SecKeychain;
use security_framework::passwords;

use super::{Keyring, KeyringError};

const SERVICE: &str = "ringfence";

/// What `SecItem` functions say; the numbers are those of Apple's `SecBase.h`.
const NOT_FOUND: i32 = -25300;
const INTERACTION_NOT_ALLOWED: i32 = -25308;
const NO_DEFAULT: i32 = -25307;

/// The login keychain.
#[derive(Default)]
pub struct Keychain(());

impl Keychain {
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl Keyring for Keychain {
    fn name(&self) -> &'static str {
        "macOS keychain"
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        Box::pin(aside(|| SecKeychain::default().map(drop)))
    }

    fn get<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<Option<SecretSlice<u8>>, KeyringError>> {
        let item = item.to_owned();
        Box::pin(aside(move || match passwords::get_generic_password(SERVICE, &item) {
            Ok(key) => Ok(Some(SecretSlice::from(key))),
            Err(error) if error.code() == NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }))
    }

    fn put<'a>(&'a self, item: &'a str, key: &'a SecretSlice<u8>) -> BoxFuture<'a, Result<(), KeyringError>> {
        let (item, key) = (item.to_owned(), key.clone());
        Box::pin(aside(move || passwords::set_generic_password(SERVICE, &item, key.expose_secret())))
    }

    fn remove<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<(), KeyringError>> {
        let item = item.to_owned();
        Box::pin(aside(move || match passwords::delete_generic_password(SERVICE, &item) {
            Err(error) if error.code() != NOT_FOUND => Err(error),
            _ => Ok(()),
        }))
    }
}

/// Runs a call of the system's, which blocks, on a thread that nobody waits for: it may hang for ever, and a runtime that goes
/// would wait for one of its own.
async fn aside<T: Send + 'static>(call: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, KeyringError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let work = move || {
        // As long as `quiet` lives no window is opened: what would need one fails.
        let done = SecKeychain::disable_user_interaction().and_then(|quiet| {
            let done = call();
            drop(quiet);
            done
        });
        drop(tell.send(done));
    };
    std::thread::Builder::new()
        .name("keychain".into())
        .spawn(work)
        .map_err(|error| KeyringError::Failed(error.to_string()))?;
    let done = told.await.map_err(|_| KeyringError::Failed("it ended without an answer".into()))?;
    done.map_err(|error| match error.code() {
        INTERACTION_NOT_ALLOWED => KeyringError::Locked,
        NO_DEFAULT => KeyringError::Absent("there is no default keychain".into()),
        _ => KeyringError::Failed(error.to_string()),
    })
}
