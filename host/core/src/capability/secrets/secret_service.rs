//! The keyring of Linux desktops: the Secret Service, by D-Bus. <https://specifications.freedesktop.org/secret-service/>
//!
//! The key crosses the session's bus as it is, since encrypting it for the way (the specification's other way to open a
//! session, with 1024-bit Diffie-Hellman) would keep it from nobody: who can read this user's bus can ask the service as well.
//! So the bus must be a socket of this machine.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::de::DeserializeOwned;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Type, Variant};

use super::{Keyring, KeyringError};

const NAME: &str = "org.freedesktop.secrets";
const SERVICE: &str = "/org/freedesktop/secrets";
/// The path that stands for no object.
const NOTHING: &str = "/";

/// The Secret Service of one session.
pub struct SecretService {
    bus: zbus::Address,
}

/// A secret as it crosses the bus: session, parameters of its encryption, value, type.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

impl SecretService {
    /// At a session's bus, as `DBUS_SESSION_BUS_ADDRESS` names it. None where that is no socket of this machine.
    #[must_use]
    pub fn at(addresses: &str) -> Option<Self> {
        let local = addresses.split(';').filter(|address| address.starts_with("unix:"));
        local.filter_map(|address| address.parse().ok()).map(|bus| Self { bus }).next()
    }

    async fn open(&self) -> Result<Session, KeyringError> {
        let bus = zbus::connection::Builder::address(self.bus.clone()).build().await.map_err(|error| told(&error))?;
        let mut session = Session { bus, path: OwnedObjectPath::default() };
        let plain = ("plain", Variant::from(""));
        let (_, path): (OwnedVariant, OwnedObjectPath) = session.service("OpenSession", &plain).await?;
        session.path = path;
        Ok(session)
    }
}

impl Keyring for SecretService {
    fn name(&self) -> &'static str {
        "Secret Service"
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        Box::pin(async { self.open().await?.collection().await.map(drop) })
    }

    fn get<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<Option<SecretSlice<u8>>, KeyringError>> {
        Box::pin(async move {
            let session = self.open().await?;
            let Some(item) = session.find(item).await? else { return Ok(None) };
            let (secret,): (Secret,) =
                session.call(&item, "org.freedesktop.Secret.Item", "GetSecret", &(&session.path,)).await?;
            let text = Zeroizing::new(secret.2);
            let key = STANDARD.decode(&*text).map_err(|_| KeyringError::Failed("what it keeps is no key".into()))?;
            Ok(Some(key.into()))
        })
    }

    fn put<'a>(&'a self, item: &'a str, key: &'a SecretSlice<u8>) -> BoxFuture<'a, Result<(), KeyringError>> {
        Box::pin(async move {
            let session = self.open().await?;
            let collection = session.collection().await?;
            // As text: some services show and keep nothing else.
            let text = Zeroizing::new(STANDARD.encode(key.expose_secret()));
            let properties = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", Variant::from("Ringfence: key of the secrets")),
                ("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes(item))),
            ]);
            let secret = (&session.path, &[0_u8; 0][..], text.as_bytes(), "text/plain");
            let (made, _): (OwnedObjectPath, OwnedObjectPath) = session
                .call(
                    &collection,
                    "org.freedesktop.Secret.Collection",
                    "CreateItem",
                    &(properties, secret, /* in the place of an older one */ true),
                )
                .await?;
            // What it would ask a person first is not done.
            if made.as_str() == NOTHING { Err(KeyringError::Locked) } else { Ok(()) }
        })
    }

    fn remove<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<(), KeyringError>> {
        Box::pin(async move {
            let session = self.open().await?;
            let Some(item) = session.find(item).await? else { return Ok(()) };
            let (prompt,): (OwnedObjectPath,) =
                session.call(&item, "org.freedesktop.Secret.Item", "Delete", &()).await?;
            if prompt.as_str() == NOTHING { Ok(()) } else { Err(KeyringError::Locked) }
        })
    }
}

fn attributes(item: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "ringfence"), ("item", item)])
}

struct Session {
    bus: Connection,
    path: OwnedObjectPath,
}

impl Session {
    /// The collection that new items go into, unlocked.
    async fn collection(&self) -> Result<OwnedObjectPath, KeyringError> {
        let (collection,): (OwnedObjectPath,) = self.service("ReadAlias", &("default",)).await?;
        if collection.as_str() == NOTHING {
            return Err(KeyringError::Absent("it has no default collection".into()));
        }
        let property = ("org.freedesktop.Secret.Collection", "Locked");
        let (locked,): (OwnedVariant,) =
            self.call(&collection, "org.freedesktop.DBus.Properties", "Get", &property).await?;
        if !bool::try_from(locked).unwrap_or(true) {
            return Ok(collection);
        }
        self.unlock(collection).await
    }

    async fn find(&self, item: &str) -> Result<Option<OwnedObjectPath>, KeyringError> {
        let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.service("SearchItems", &(attributes(item),)).await?;
        match (open.into_iter().next(), locked.into_iter().next()) {
            (Some(item), _) => Ok(Some(item)),
            (None, Some(locked)) => self.unlock(locked).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Unlocks what needs no password. Where the service would ask, its question is not shown.
    async fn unlock(&self, what: OwnedObjectPath) -> Result<OwnedObjectPath, KeyringError> {
        let (open, _): (Vec<OwnedObjectPath>, OwnedObjectPath) = self.service("Unlock", &(&[&what][..],)).await?;
        if open.contains(&what) { Ok(what) } else { Err(KeyringError::Locked) }
    }

    async fn service<B, R>(&self, method: &str, body: &B) -> Result<R, KeyringError>
    where
        B: serde::Serialize + Type,
        R: DeserializeOwned + Type,
    {
        let service = OwnedObjectPath::try_from(SERVICE).map_err(|error| told(&error))?;
        self.call(&service, "org.freedesktop.Secret.Service", method, body).await
    }

    async fn call<B, R>(&self, of: &OwnedObjectPath, interface: &str, method: &str, body: &B) -> Result<R, KeyringError>
    where
        B: serde::Serialize + Type,
        R: DeserializeOwned + Type,
    {
        let answer = self.bus.call_method(Some(NAME), of, Some(interface), method, body).await;
        answer.and_then(|message| message.body().deserialize()).map_err(|error| told(&error))
    }
}

/// In our words. What is quoted comes from the bus and is shown to people: cut, and made safe by who shows it.
fn told(error: &zbus::Error) -> KeyringError {
    use zbus::fdo::Error as Bus;
    let nobody = || KeyringError::Absent("no program of this session serves it".into());
    match error {
        zbus::Error::Connection(error, _) => KeyringError::Absent(format!("the session's bus is not reached: {error}")),
        zbus::Error::FDO(error) => match &**error {
            Bus::ServiceUnknown(_) | Bus::NameHasNoOwner(_) => nobody(),
            error => KeyringError::Failed(cut(&error.to_string())),
        },
        zbus::Error::MethodError(name, ..) if name.as_str() == "org.freedesktop.Secret.Error.IsLocked" => {
            KeyringError::Locked
        }
        error => KeyringError::Failed(cut(&error.to_string())),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
