//! The key in a keyring that works, is locked, hangs, is away or has lost it; and in the file.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::*;
use crate::capability::secrets::{Binding, Name, SecretsSettings, Vault};
use crate::error::Error;
use crate::state::testing::{open, temporary};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Works,
    Locked,
    Hangs,
    Fails,
    /// Takes everything and keeps nothing.
    Forgets,
}

/// A keyring in memory.
struct Fake {
    mood: Mutex<Mood>,
    items: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: AtomicUsize,
}

impl Fake {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self { mood: Mutex::new(mood), items: Mutex::default(), asked: AtomicUsize::new(0) })
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        self.items.lock().unwrap().values().cloned().collect()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn act<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>, bool) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, KeyringError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let mood = *self.mood.lock().unwrap();
            match mood {
                Mood::Works | Mood::Forgets => Ok(act(&mut self.items.lock().unwrap(), mood == Mood::Forgets)),
                Mood::Locked => Err(KeyringError::Locked),
                Mood::Fails => Err(KeyringError::Failed("out of order".into())),
                Mood::Hangs => std::future::pending().await,
            }
        })
    }
}

impl Keyring for Fake {
    fn name(&self) -> &'static str {
        "Fake"
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        self.act(|_, _| ())
    }

    fn get<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<Option<SecretSlice<u8>>, KeyringError>> {
        self.act(move |items, _| items.get(item).cloned().map(SecretSlice::from))
    }

    fn put<'a>(&'a self, item: &'a str, key: &'a SecretSlice<u8>) -> BoxFuture<'a, Result<(), KeyringError>> {
        self.act(move |items, forgets| {
            if !forgets {
                items.insert(item.to_owned(), key.expose_secret().to_vec());
            }
        })
    }

    fn remove<'a>(&'a self, item: &'a str) -> BoxFuture<'a, Result<(), KeyringError>> {
        self.act(move |items, _| drop(items.remove(item)))
    }
}

const VALUE: &str = "sk-CANARY-0123456789";

async fn vault(state: &State, dir: &Path, place: KeyPlace, keyring: Option<&Arc<Fake>>) -> Vault {
    let keyring = keyring.map(|fake| Arc::clone(fake) as Arc<dyn Keyring>);
    Vault::open(state.clone(), dir, &SecretsSettings { key_place: place }, keyring).await.unwrap()
}

async fn set(vault: &Vault, name: &str) -> Result<(), Error> {
    let bound = vec![Binding::parse("a.test").unwrap()];
    vault.set(&Name::parse(name).unwrap(), &SecretString::from(VALUE), bound).await
}

async fn reveal(vault: &Vault) -> Result<String, Error> {
    vault.reveal("A").await.map(|value| value.expose_secret().to_owned())
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: &str, sentence: &str, hint: &str) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(sentence), "{error}");
    assert!(error.hint().contains(hint), "{error}: {}", error.hint());
    assert!(!error.to_string().contains("CANARY"));
}

#[tokio::test]
async fn a_keyring_that_works_has_the_key_and_no_file_has() {
    for place in [KeyPlace::Auto, KeyPlace::Keyring] {
        let (dir, state) = temporary();
        let fake = Fake::new(Mood::Works);
        let first = vault(&state, dir.path(), place, Some(&fake)).await;
        assert_eq!(first.key().await, KeyReport { place: "in the keyring Fake".into(), made: false, problem: None });
        set(&first, "A").await.unwrap();
        assert_eq!(reveal(&first).await.unwrap(), VALUE);
        let keys = fake.keys();
        let [key] = keys.as_slice() else { panic!("{} keys", keys.len()) };
        state.flush().await.unwrap();
        for file in
            std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file())
        {
            let bytes = std::fs::read(file).unwrap();
            assert!(!bytes.windows(key.len()).any(|part| part == key.as_slice()));
        }
        assert!(!dir.path().join("secrets.key").exists());
        drop((first, state));

        // Whatever is configured now: it stays where it is, and is asked for once and not before it is needed.
        let state = open(dir.path());
        for place in [KeyPlace::File, KeyPlace::Auto] {
            let asked = fake.asked();
            let again = vault(&state, dir.path(), place, Some(&fake)).await;
            assert!(again.has("A") && again.list().len() == 1 && again.redactor(&["B".into()]).await.is_none());
            assert_eq!(fake.asked(), asked, "no secret was needed");
            assert_eq!(reveal(&again).await.unwrap(), VALUE);
            set(&again, "B").await.unwrap();
            assert_eq!(fake.asked(), asked + 1);
            again.remove(&Name::parse("B").unwrap()).await.unwrap();
        }
        assert_eq!(fake.keys(), keys);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_keyring_that_works_the_key_is_made_in_a_file_or_not_at_all() {
    let why = [
        (None, "is not there"),
        (Some(Mood::Locked), "is locked"),
        (Some(Mood::Hangs), "does not answer within 3 s"),
        (Some(Mood::Fails), "out of order"),
        (Some(Mood::Forgets), "did not give back"),
    ];
    for (mood, sentence) in why {
        let fake = mood.map(Fake::new);
        let (dir, state) = temporary();
        let file = dir.path().join("secrets.key");
        let strict = vault(&state, dir.path(), KeyPlace::Keyring, fake.as_ref()).await;
        refused(set(&strict, "A").await, "keyring-unavailable", sentence, "secrets.key-place = \"file\"");
        assert!(strict.list().is_empty() && !file.exists(), "{sentence}");
        assert_eq!(strict.key().await.problem.is_some(), mood != Some(Mood::Forgets), "{sentence}");

        let usual = vault(&state, dir.path(), KeyPlace::Auto, fake.as_ref()).await;
        set(&usual, "A").await.unwrap();
        assert_eq!(reveal(&usual).await.unwrap(), VALUE);
        assert_eq!(std::fs::read(&file).unwrap().len(), 32, "{sentence}");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        // A keyring that comes later changes nothing, and is not asked.
        let later = Fake::new(Mood::Works);
        let again = vault(&state, dir.path(), KeyPlace::Auto, Some(&later)).await;
        assert_eq!(reveal(&again).await.unwrap(), VALUE);
        set(&again, "B").await.unwrap();
        assert_eq!(later.asked(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_keyring_that_is_away_is_an_error_and_never_a_new_key() {
    let (dir, state) = temporary();
    let fake = Fake::new(Mood::Works);
    set(&vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await, "A").await.unwrap();
    let keys = fake.keys();
    for (mood, sentence, hint) in [
        (None, "keyring Fake, which is not there", "session"),
        (Some(Mood::Locked), "keyring Fake, which is locked", "unlock"),
        (Some(Mood::Hangs), "keyring Fake, which does not answer within 3 s", "hangs"),
        (Some(Mood::Fails), "keyring Fake, which failed: out of order", "log"),
    ] {
        fake.becomes(mood.unwrap_or(Mood::Works));
        let away = vault(&state, dir.path(), KeyPlace::Auto, mood.map(|_| &fake)).await;
        let asked = fake.asked();
        for _ in 0..3 {
            refused(reveal(&away).await, "keyring-unavailable", sentence, hint);
            refused(set(&away, "B").await, "keyring-unavailable", sentence, hint);
            assert!(away.redactor(&["A".into()]).await.is_none());
        }
        assert!(fake.asked() - asked <= 1, "it is left in peace for a while");
        // What needs no key goes on.
        assert!(away.has("A") && away.list().len() == 1);
        let report = away.key().await;
        assert!(report.made && report.problem.unwrap().to_string().contains(sentence));
        // When it is back, so are the secrets.
        if mood.is_some() {
            fake.becomes(Mood::Works);
            tokio::time::advance(PEACE).await;
            assert_eq!(reveal(&away).await.unwrap(), VALUE);
        }
        assert!(fake.keys() == keys && !dir.path().join("secrets.key").exists(), "{sentence}");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_or_another_is_an_error_until_nothing_depends_on_it() {
    let (dir, state) = temporary();
    let fake = Fake::new(Mood::Works);
    let kept = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
    set(&kept, "A").await.unwrap();
    let whole = fake.items.lock().unwrap().clone();
    for (other, kind, sentence) in [
        (None, "secret-key-missing", "keyring Fake, which has none"),
        (Some(vec![7; 32]), "secret-key-wrong", "is not the one"),
        (Some(vec![7; 3]), "secret-key-wrong", "is not the one"),
    ] {
        let mut items = whole.clone();
        match other {
            Some(other) => items.values_mut().for_each(|key| key.clone_from(&other)),
            None => items.clear(),
        }
        *fake.items.lock().unwrap() = items;
        let vault = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
        refused(reveal(&vault).await, kind, sentence, "`ringfence secret remove`");
        refused(set(&vault, "B").await, kind, sentence, "`ringfence secret remove`");
        assert!(vault.list().len() == 1 && fake.keys().len() <= 1, "no new key");
    }
    let anew = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
    anew.remove(&Name::parse("A").unwrap()).await.unwrap();
    set(&anew, "A").await.unwrap();
    assert_eq!(reveal(&anew).await.unwrap(), VALUE);
}

#[tokio::test]
async fn a_file_that_is_missing_is_never_made_anew_while_secrets_are_kept() {
    let (dir, state) = temporary();
    let file = dir.path().join("secrets.key");
    set(&vault(&state, dir.path(), KeyPlace::File, None).await, "A").await.unwrap();
    let whole = std::fs::read(&file).unwrap();
    let fake = Fake::new(Mood::Works);
    for other in [None, Some(vec![7; 32])] {
        let (kind, sentence) = match &other {
            None => ("secret-key-missing", "secrets.key, is missing"),
            Some(_) => ("secret-key-wrong", "secrets.key is not the one"),
        };
        match &other {
            None => std::fs::remove_file(&file).unwrap(),
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
        }
        let vault = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
        refused(reveal(&vault).await, kind, sentence, "`ringfence secret remove`");
        refused(set(&vault, "B").await, kind, sentence, "`ringfence secret remove`");
        assert!(vault.has("A") && std::fs::read(&file).ok() == other && fake.asked() == 0);
        // It is looked for each time: put back, it is used at once.
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(reveal(&vault).await.unwrap(), VALUE);
    }
}

/// A version before this one made the file with the state and wrote nothing down.
#[tokio::test]
async fn a_file_of_an_older_version_goes_on_being_used() {
    let (dir, state) = temporary();
    std::fs::write(dir.path().join("secrets.key"), [5; 32]).unwrap();
    let fake = Fake::new(Mood::Works);
    let old = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
    assert!(old.key().await.made);
    set(&old, "A").await.unwrap();
    std::fs::write(dir.path().join("secrets.key"), [6; 32]).unwrap();
    let other = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
    refused(reveal(&other).await, "secret-key-wrong", "secrets.key is not the one", "");
    assert_eq!(fake.asked(), 0);
}

#[tokio::test]
async fn a_key_is_moved_and_gone_where_it_was() {
    let (dir, state) = temporary();
    let file = dir.path().join("secrets.key");
    let fake = Fake::new(Mood::Works);
    let vault_of = async || vault(&state, dir.path(), KeyPlace::File, Some(&fake)).await;
    let vault = vault_of().await;
    set(&vault, "A").await.unwrap();
    for _ in 0..2 {
        assert_eq!(vault.move_key(KeyPlace::Keyring).await.unwrap(), "in the keyring Fake");
        assert!(!file.exists() && fake.keys().len() == 1);
    }
    assert_eq!(reveal(&vault_of().await).await.unwrap(), VALUE);
    for _ in 0..2 {
        assert_eq!(vault.move_key(KeyPlace::File).await.unwrap(), format!("in the file {}", file.display()));
        assert!(file.exists() && fake.keys().is_empty());
    }
    assert_eq!(reveal(&vault_of().await).await.unwrap(), VALUE);
    // Where it cannot go, it stays.
    fake.becomes(Mood::Locked);
    assert_eq!(vault.move_key(KeyPlace::Keyring).await.unwrap_err().kind(), "keyring-unavailable");
    assert_eq!(reveal(&vault_of().await).await.unwrap(), VALUE);
}

#[tokio::test]
async fn t74_nothing_shows_a_key() {
    let (dir, state) = temporary();
    let fake = Fake::new(Mood::Works);
    let vault = vault(&state, dir.path(), KeyPlace::Auto, Some(&fake)).await;
    set(&vault, "A").await.unwrap();
    let hex: String = fake.keys()[0].iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers = format!("{:?}", fake.keys()[0]);
    let shown = format!("{:?} {:?}", vault.key().await, Sealer::new(&fake.keys()[0]));
    assert!(shown.contains("keyring Fake") && !shown.contains(&hex) && !shown.contains(&numbers), "{shown}");
}
