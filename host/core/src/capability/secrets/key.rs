//! The key of the secrets: where it is, how it is made and got, and why it sometimes cannot be got. Where it was made is
//! remembered in the state, so that a key that is away is never replaced by another one while something is encrypted with it.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{OptionalExtension as _, params};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;

use super::seal::{KEY_BYTES, Sealer};
use super::{KeyPlace, Keyring, KeyringError};
use crate::error::Explain;
use crate::state::{State, StateError};

/// How long a keyring may take for one thing. Somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a keyring that did not give the key is left in peace. Each request that needs a secret would ask it otherwise.
const PEACE: Duration = Duration::from_secs(10);

/// What a host needs to get at its key.
pub(super) struct Key {
    state: State,
    file: PathBuf,
    wanted: KeyPlace,
    keyring: Option<Arc<dyn Keyring>>,
    /// How long `keyring` may take.
    patience: Duration,
    /// Held while the key is asked for, so that it is asked for once.
    held: tokio::sync::Mutex<Held>,
    /// The same as in `held`, for those who do not wait.
    sealer: RwLock<Option<Arc<Sealer>>>,
}

#[derive(Default)]
struct Held {
    /// None where no key was made yet, or by a version that knew the file only.
    made: Option<Made>,
    failed: Option<(Instant, KeyError)>,
}

/// A key that was made, as the state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    place: Place,
    /// [`Sealer::print`].
    print: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File,
    Keyring { name: String, item: String },
}

/// Where the key is, as the state has it.
async fn made(state: &State) -> Result<Option<Made>, StateError> {
    let row = state
        .read(|db| {
            db.query_row("SELECT keyring, item, print FROM secrets_key", [], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional()
        })
        .await?;
    Ok(row.map(|(keyring, item, print)| {
        let place = match (keyring, item) {
            (Some(name), Some(item)) => Place::Keyring { name, item },
            _ => Place::File,
        };
        Made { place, print }
    }))
}

type Bytes = SecretSlice<u8>;

impl Key {
    /// Reads where the key is, and asks nobody for it. `dir` is the state directory.
    pub(super) async fn open(
        state: State,
        dir: &Path,
        wanted: KeyPlace,
        keyring: Option<Arc<dyn Keyring>>,
    ) -> Result<Self, StateError> {
        let made = made(&state).await?;
        Ok(Self {
            state,
            file: dir.join("secrets.key"),
            wanted,
            keyring,
            patience: PATIENCE,
            held: tokio::sync::Mutex::new(Held { made, failed: None }),
            sealer: RwLock::new(None),
        })
    }

    /// Reads again where the key is: another host on the same state may have made it.
    pub(super) async fn reload(&self) -> Result<(), StateError> {
        let mut held = self.held.lock().await;
        let now = made(&self.state).await?;
        if held.made != now {
            *held = Held { made: now, failed: None };
            *self.sealer.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    /// The key, where it was got already.
    pub(super) fn at_hand(&self) -> Option<Arc<Sealer>> {
        self.sealer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that was made, from where it is.
    pub(super) async fn get(&self) -> Result<Arc<Sealer>, KeyError> {
        if let Some(sealer) = self.at_hand() {
            return Ok(sealer);
        }
        let mut held = self.held.lock().await;
        self.got(&mut held).await
    }

    /// The same, or a new key: where there is none, and where the old one cannot be got and `free` says that nothing is
    /// encrypted with it. What cannot be read in the place of the file is somebody's, and stays.
    pub(super) async fn get_or_make(&self, free: bool) -> Result<Arc<Sealer>, KeyError> {
        let mut held = self.held.lock().await;
        let sealer = match self.got(&mut held).await {
            Ok(sealer) => sealer,
            Err(error) if free && !matches!(error, KeyError::State(_)) => {
                tracing::debug!(%error, "a new key of the secrets is made");
                return self.make(&mut held).await;
            }
            Err(error) => return Err(error),
        };
        // A version before this one wrote nothing down.
        if held.made.is_none() {
            self.remember(&mut held, Made { place: Place::File, print: sealer.print().to_vec() }).await?;
        }
        Ok(sealer)
    }

    async fn got(&self, held: &mut Held) -> Result<Arc<Sealer>, KeyError> {
        if let Some(sealer) = self.at_hand() {
            return Ok(sealer);
        }
        if let Some((at, error)) = &held.failed
            && at.elapsed() < PEACE
        {
            return Err(error.clone());
        }
        let sealer = match self.fetch(held.made.as_ref()).await {
            Ok((_, sealer)) => Arc::new(sealer),
            Err(error) => {
                // A file costs nothing to look for again.
                if matches!(error, KeyError::Away { .. }) {
                    held.failed = Some((Instant::now(), error.clone()));
                }
                return Err(error);
            }
        };
        self.hold(Arc::clone(&sealer));
        Ok(sealer)
    }

    async fn fetch(&self, made: Option<&Made>) -> Result<(Bytes, Sealer), KeyError> {
        let place = made.map_or(&Place::File, |made| &made.place);
        let bytes = match place {
            Place::File => {
                let path = self.file.clone();
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                let closed = || StateError::Closed { path: self.file.clone() };
                read.map_err(|_| closed())??.ok_or_else(|| KeyError::Missing { path: self.file.clone() })?
            }
            Place::Keyring { name, item } => {
                let keyring = self.keyring_named(name)?;
                let away = |why| KeyError::Away { keyring: name.clone(), why };
                let found = self.in_time(keyring.get(item)).await.map_err(away)?;
                found.ok_or_else(|| KeyError::Lost { keyring: name.clone() })?
            }
        };
        let Some(sealer) = Sealer::new(bytes.expose_secret()) else {
            return Err(match place {
                Place::File => {
                    let reason = "it is not a key of 32 bytes".into();
                    StateError::Corrupt { path: self.file.clone(), reason }.into()
                }
                Place::Keyring { .. } => KeyError::Other { place: self.words(place) },
            });
        };
        if made.is_some_and(|made| made.print != sealer.print()) {
            return Err(KeyError::Other { place: self.words(place) });
        }
        Ok((bytes, sealer))
    }

    async fn make(&self, held: &mut Held) -> Result<Arc<Sealer>, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(&mut *bytes).map_err(|_| KeyError::Random)?;
        let sealer = Arc::new(Sealer::new(&*bytes).ok_or(KeyError::Random)?);
        let bytes = Bytes::from(bytes.to_vec());
        let place = match self.wanted {
            KeyPlace::File => self.put_in_file(&bytes).await?,
            KeyPlace::Keyring => self.put_in_keyring(&bytes).await?,
            KeyPlace::Auto => match self.put_in_keyring(&bytes).await {
                Ok(place) => place,
                Err(error) => {
                    tracing::info!(%error, "the key of the secrets is made in a file");
                    self.put_in_file(&bytes).await?
                }
            },
        };
        self.remember(held, Made { place, print: sealer.print().to_vec() }).await?;
        self.hold(Arc::clone(&sealer));
        Ok(sealer)
    }

    /// Puts the key that there is into another place, and removes it where it was. Says where it is now.
    pub(super) async fn move_to(&self, to: KeyPlace) -> Result<String, KeyError> {
        let mut held = self.held.lock().await;
        let (bytes, sealer) = self.fetch(held.made.as_ref()).await?;
        let from = held.made.as_ref().map_or(Place::File, |made| made.place.clone());
        let place = match (&from, to) {
            (Place::File, KeyPlace::Keyring | KeyPlace::Auto) => self.put_in_keyring(&bytes).await?,
            (Place::Keyring { .. }, KeyPlace::File) => self.put_in_file(&bytes).await?,
            _ => return Ok(self.words(&from)),
        };
        let words = self.words(&place);
        self.remember(&mut held, Made { place, print: sealer.print().to_vec() }).await?;
        // Not before what was written is safe from a power cut as well: it would otherwise name what is gone.
        self.state_on_disk().await?;
        let gone = match &from {
            Place::File => std::fs::remove_file(&self.file).map_err(|error| error.to_string()),
            Place::Keyring { name, item } => match self.keyring_named(name) {
                Ok(keyring) => self.in_time(keyring.remove(item)).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(error) = gone {
            tracing::warn!(%error, "the key is {words} now, and is still {} as well", self.words(&from));
        }
        Ok(words)
    }

    /// Where the key is or would be made, and what keeps it from being used. Asks for it.
    pub(super) async fn report(&self) -> KeyReport {
        let mut held = self.held.lock().await;
        held.failed = None;
        let made = held.made.as_ref().map(|made| made.place.clone());
        let place = match made {
            Some(place) => place,
            None if self.file.exists() => Place::File,
            None => return self.outlook().await,
        };
        KeyReport { place: self.words(&place), made: true, problem: self.got(&mut held).await.err() }
    }

    async fn outlook(&self) -> KeyReport {
        let report = |place, problem| KeyReport { place, made: false, problem };
        let in_file = || self.words(&Place::File);
        if self.wanted == KeyPlace::File {
            return report(in_file(), None);
        }
        let ready = match &self.keyring {
            Some(keyring) => self.in_time(keyring.ready()).await.map(|()| format!("in the keyring {}", keyring.name())),
            None => Err(none()),
        };
        match ready {
            Ok(place) => report(place, None),
            Err(why) if self.wanted == KeyPlace::Keyring => report("in the keyring".to_owned(), Some(self.unkept(why))),
            Err(why) => report(format!("{} (the keyring {why})", in_file()), None),
        }
    }

    async fn put_in_file(&self, bytes: &Bytes) -> Result<Place, KeyError> {
        let (path, bytes) = (self.file.clone(), bytes.clone());
        let write = tokio::task::spawn_blocking(move || {
            crate::files::write_durably(&path, bytes.expose_secret()).map_err(|error| StateError::io(&path, &error))
        });
        write.await.unwrap_or_else(|_| Err(StateError::Closed { path: self.file.clone() }))?;
        Ok(Place::File)
    }

    async fn put_in_keyring(&self, bytes: &Bytes) -> Result<Place, KeyError> {
        let Some(keyring) = &self.keyring else { return Err(self.unkept(none())) };
        // A name of its own for each key: what other hosts and older keys of this user have there stays as it is.
        let item = uuid::Uuid::now_v7().to_string();
        let put = async {
            keyring.put(&item, bytes).await?;
            match keyring.get(&item).await? {
                Some(back) if back.expose_secret() == bytes.expose_secret() => Ok(()),
                _ => Err(KeyringError::Failed("it did not give back what was put there".into())),
            }
        };
        self.in_time(put).await.map_err(|why| self.unkept(why))?;
        Ok(Place::Keyring { name: keyring.name().to_owned(), item })
    }

    fn keyring_named(&self, name: &str) -> Result<&Arc<dyn Keyring>, KeyError> {
        let found = self.keyring.as_ref().filter(|keyring| keyring.name() == name);
        found.ok_or_else(|| KeyError::Away { keyring: name.to_owned(), why: none() })
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, KeyringError>>) -> Result<T, KeyringError> {
        tokio::time::timeout(self.patience, work).await.unwrap_or(Err(KeyringError::Silent(self.patience)))
    }

    async fn remember(&self, held: &mut Held, made: Made) -> Result<(), StateError> {
        let (keyring, item) = match &made.place {
            Place::File => (None, None),
            Place::Keyring { name, item } => (Some(name.clone()), Some(item.clone())),
        };
        let print = made.print.clone();
        self.state
            .write(move |tx| {
                tx.execute(
                    "INSERT OR REPLACE INTO secrets_key (one, keyring, item, print) VALUES (1, ?1, ?2, ?3)",
                    params![keyring, item, print],
                )
            })
            .await?;
        held.made = Some(made);
        Ok(())
    }

    async fn state_on_disk(&self) -> Result<(), StateError> {
        let state = self.state.path().to_owned();
        let sync = tokio::task::spawn_blocking(move || {
            for path in [state.with_extension("db-wal"), state] {
                match std::fs::File::open(&path).and_then(|file| file.sync_all()) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(StateError::io(&path, &error));
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        sync.await.unwrap_or_else(|_| Err(StateError::Closed { path: self.state.path().to_owned() }))
    }

    fn hold(&self, sealer: Arc<Sealer>) {
        *self.sealer.write().unwrap_or_else(PoisonError::into_inner) = Some(sealer);
    }

    fn unkept(&self, why: KeyringError) -> KeyError {
        KeyError::Unkept { keyring: self.keyring.as_ref().map(|keyring| keyring.name()), why }
    }

    fn words(&self, place: &Place) -> String {
        match place {
            Place::File => format!("in the file {}", self.file.display()),
            Place::Keyring { name, .. } => format!("in the keyring {name}"),
        }
    }
}

fn none() -> KeyringError {
    KeyringError::Absent("this session has none that is known here".into())
}

/// None where there is no such file.
fn read(path: &Path) -> Result<Option<Bytes>, StateError> {
    let io = |error: std::io::Error| StateError::io(path, &error);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    // As long as it can become, for what is left behind when a text grows is not overwritten.
    let mut key = Vec::with_capacity(KEY_BYTES + 1);
    match std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => drop(file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(io)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    Ok(Some(Bytes::from(key)))
}

/// What is told of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// To be read after "it is" or "it will be made".
    pub place: String,
    /// Whether there is one, or was.
    pub made: bool,
    pub problem: Option<KeyError>,
}

/// Why the key of the secrets cannot be used. Never holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key of the secrets, {}, is missing", .path.display())]
    Missing { path: PathBuf },
    #[error("the key of the secrets is missing: it was made in the keyring {keyring}, which has none of this host now")]
    Lost { keyring: String },
    #[error("the key {place} is not the one that the secrets are encrypted with")]
    Other { place: String },
    #[error("the key of the secrets is in the keyring {keyring}, which {why}")]
    Away { keyring: String, why: KeyringError },
    #[error("the key of the secrets cannot be kept in {}, which {why}", .keyring.map_or_else(|| "a keyring".to_owned(), |name| format!("the keyring {name}")))]
    Unkept { keyring: Option<&'static str>, why: KeyringError },
    #[error("no key can be made: the system gives no random numbers")]
    Random,
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is left where a key is gone for good.
const ANEW: &str = "`ringfence secret remove` each of the secrets and set it again";

impl Explain for KeyError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::Lost { .. } => "secret-key-missing",
            Self::Other { .. } => "secret-key-wrong",
            Self::Away { .. } | Self::Unkept { .. } => "keyring-unavailable",
            Self::Random => "unavailable",
            Self::State(error) => error.kind(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Missing { path } => format!("restore {} from a backup, or {ANEW}", path.display()),
            Self::Lost { .. } => format!("restore the keyring from a backup, or {ANEW}"),
            Self::Other { .. } => format!("put the key of this state back, or {ANEW}"),
            Self::Away { why, .. } => why.hint().to_owned(),
            Self::Unkept { why, .. } => {
                format!("{}; or let a file hold it: `secrets.key-place = \"file\"`", why.hint())
            }
            Self::Random => "try again when the machine has started fully".into(),
            Self::State(error) => error.hint(),
        }
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
