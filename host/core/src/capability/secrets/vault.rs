//! Where secrets are kept: encrypted in the state, known by name and binding in memory.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rusqlite::params;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::key::{Key, KeyReport};
use super::seal::Sealer;
use super::{Binding, KeyError, KeyPlace, Keyring, Name, Redactor, SecretError, SecretsSettings};
use crate::error::Error;
use crate::state::{State, StateError};

/// Shorter values cannot be told from ordinary text, and so could not be taken out of what a server says.
const SHORTEST: usize = 8;
const LONGEST: usize = 8 << 10;
/// Two tokens and where they are refreshed.
const LONGEST_LOGIN: usize = 64 << 10;
/// Sets of secrets of which the redactor is kept.
const REDACTORS: usize = 64;

/// Secrets of a host.
pub struct Vault {
    state: State,
    key: Key,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    secrets: BTreeMap<Name, Entry>,
    /// By the names of the secrets that they take out. Emptied when a secret changes.
    redactors: HashMap<Vec<String>, Arc<Redactor>>,
    /// How often this host changed any.
    changes: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    bindings: Vec<Binding>,
    sealed: Vec<u8>,
    changed: Timestamp,
}

/// What is told of a secret: everything but the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    pub name: Name,
    /// The servers that it may be sent to.
    pub hosts: Vec<String>,
    #[serde(serialize_with = "rfc3339")]
    pub changed: Timestamp,
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

impl Vault {
    /// The secrets in `state`. Their key, in the state directory `dir` or in a `keyring`, is asked for when the first of them
    /// is needed.
    pub async fn open(
        state: State,
        dir: &Path,
        settings: &SecretsSettings,
        keyring: Option<Arc<dyn Keyring>>,
    ) -> Result<Self, StateError> {
        let key = Key::open(state.clone(), dir, settings.key_place, keyring).await?;
        let vault = Self { state, key, known: RwLock::default() };
        vault.refresh().await?;
        Ok(vault)
    }

    /// Reads again which there are: another host on the same state may have changed them.
    pub async fn refresh(&self) -> Result<(), StateError> {
        self.key.reload().await?;
        loop {
            let before = self.known.read().unwrap_or_else(PoisonError::into_inner).changes;
            let secrets = self.all().await?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // What this host has changed meanwhile is newer than what was read.
            if known.changes == before {
                known.secrets = secrets;
                known.redactors.clear();
                return Ok(());
            }
        }
    }

    async fn all(&self) -> Result<BTreeMap<Name, Entry>, StateError> {
        let rows: Vec<(String, String, Vec<u8>, i64)> = self
            .state
            .read(|db| {
                db.prepare("SELECT name, hosts, sealed, changed_us FROM secrets")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                    .collect()
            })
            .await?;
        let mut secrets = BTreeMap::new();
        for (name, hosts, sealed, changed) in rows {
            match (Name::kept(&name), serde_json::from_str(&hosts)) {
                (Ok(name), Ok(bindings)) => {
                    let changed = Timestamp::from_microsecond(changed).unwrap_or_default();
                    secrets.insert(name, Entry { bindings, sealed, changed });
                }
                _ => tracing::error!(name = %name.escape_debug(), "a secret cannot be read and is not used"),
            }
        }
        Ok(secrets)
    }

    /// Keeps a secret, in the place of an older one of that name. The next request uses it.
    pub async fn set(&self, name: &Name, value: &SecretString, bindings: Vec<Binding>) -> Result<(), Error> {
        if bindings.is_empty() {
            return Err(SecretError::Unbound(name.clone()).into());
        }
        let unfit = |reason| SecretError::Value { name: name.clone(), reason };
        check(value.expose_secret()).map_err(unfit)?;
        self.keep(name, value, bindings).await
    }

    async fn keep(&self, name: &Name, value: &SecretString, bindings: Vec<Binding>) -> Result<(), Error> {
        let unfit = |reason| SecretError::Value { name: name.clone(), reason };
        let text = value.expose_secret();
        // Another host may make the key in this moment, or have made it.
        let _turn = self.state.turn().await?;
        self.refresh().await?;
        let sealer = self.key.get_or_make(self.is_empty()).await?;
        let sealed = sealer.seal(name, &bindings, text).ok_or_else(|| unfit("the system gives no random numbers"))?;
        let entry = Entry { bindings, sealed, changed: Timestamp::now() };
        let hosts: Vec<String> = entry.bindings.iter().cloned().map(String::from).collect();
        let hosts = serde_json::Value::from(hosts).to_string();
        let (row, of) = (entry.clone(), name.as_str().to_owned());
        self.state
            .write(move |tx| {
                tx.execute(
                    "INSERT OR REPLACE INTO secrets (name, hosts, sealed, changed_us) VALUES (?1, ?2, ?3, ?4)",
                    params![of, hosts, row.sealed, row.changed.as_microsecond()],
                )
            })
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.secrets.insert(name.clone(), entry);
        known.redactors.clear();
        known.changes += 1;
        Ok(())
    }

    /// Forgets a secret. No request that begins later uses it.
    pub async fn remove(&self, name: &Name) -> Result<(), Error> {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.secrets.remove(name).is_none() {
                return Err(SecretError::Missing(name.clone()).into());
            }
            known.redactors.clear();
            known.changes += 1;
        }
        let of = name.as_str().to_owned();
        self.state.write(move |tx| tx.execute("DELETE FROM secrets WHERE name = ?1", [&of])).await?;
        Ok(())
    }

    /// All that are kept, by name. Sign-ins at servers are not among them.
    #[must_use]
    pub fn list(&self) -> Vec<Kept> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let named = known.secrets.iter().filter(|(name, _)| !name.is_login());
        let kept = named.map(|(name, entry)| Kept {
            name: name.clone(),
            hosts: entry.bindings.iter().map(ToString::to_string).collect(),
            changed: entry.changed,
        });
        kept.collect()
    }

    /// Whether there is a secret of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Whether the secret may be sent there. No secret, no.
    pub fn is_bound(&self, name: &str, to: &Binding) -> bool {
        self.entry(name).is_some_and(|(_, entry)| entry.bindings.contains(to))
    }

    /// The names of those that may be sent there. Sign-ins at servers are not among them.
    pub fn bound_to(&self, to: &Binding) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let bound = known.secrets.iter().filter(|(name, entry)| !name.is_login() && entry.bindings.contains(to));
        bound.map(|(name, _)| name.as_str().to_owned()).collect()
    }

    /// The value, for the moment in which it is sent.
    pub async fn reveal(&self, name: &str) -> Result<SecretString, Error> {
        let (name, entry) = match self.entry(name) {
            Some(found) => found,
            None => return Err(Name::parse(name).map_or_else(|error| error, SecretError::Missing).into()),
        };
        let sealer = self.key.get().await?;
        Ok(opened(&sealer, &name, &entry).ok_or(SecretError::Sealed(name))?)
    }

    /// Keeps what signs this host in at a server: for that server alone, and under a name that nothing else can ask for.
    pub(crate) async fn keep_login(&self, server: &str, value: &SecretString, to: Binding) -> Result<(), Error> {
        let name = Name::of_login(server);
        if value.expose_secret().len() > LONGEST_LOGIN {
            return Err(SecretError::Value { name, reason: "its tokens are longer than 64 KiB" }.into());
        }
        self.keep(&name, value, vec![to]).await
    }

    /// Whether a sign-in at a server is kept, and for this place.
    pub(crate) fn has_login(&self, server: &str, to: &Binding) -> bool {
        self.login_entry(server, to).is_some()
    }

    /// What signs this host in at a server; None where nothing is kept, or for another place.
    pub(crate) async fn login(&self, server: &str, to: &Binding) -> Result<Option<SecretString>, Error> {
        let Some((name, entry)) = self.login_entry(server, to) else { return Ok(None) };
        let sealer = self.key.get().await?;
        Ok(Some(opened(&sealer, &name, &entry).ok_or(SecretError::Sealed(name))?))
    }

    /// Forgets a sign-in, for whatever place. Says whether there was one.
    pub(crate) async fn forget_login(&self, server: &str) -> Result<bool, Error> {
        match self.remove(&Name::of_login(server)).await {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.of(), Some(SecretError::Missing(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps every other host on this state from refreshing tokens until the answer is dropped, and reads what they left: a
    /// refresh token that two of them use is taken for a stolen one.
    pub(crate) async fn turn_for_logins(&self) -> Result<std::fs::File, StateError> {
        let turn = self.state.turn_in("logins").await?;
        self.refresh().await?;
        Ok(turn)
    }

    fn login_entry(&self, server: &str, to: &Binding) -> Option<(Name, Entry)> {
        let name = Name::of_login(server);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let entry = known.secrets.get(&name)?.clone();
        entry.bindings.contains(to).then_some((name, entry))
    }

    /// What takes these secrets out of a text. None where none of them is kept, or where they cannot be decrypted: then this
    /// host does not know what to look for.
    pub async fn redactor(&self, names: &[String]) -> Option<Arc<Redactor>> {
        let entries: Vec<(Name, Entry)> = names.iter().filter_map(|name| self.entry(name)).collect();
        if entries.is_empty() {
            return None;
        }
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(redactor) = known.redactors.get(names) {
                return Some(Arc::clone(redactor));
            }
        }
        let sealer =
            self.key.get().await.inspect_err(|error| tracing::warn!(%error, "nothing can be redacted")).ok()?;
        let values: Vec<SecretString> =
            entries.iter().filter_map(|(name, entry)| opened(&sealer, name, entry)).collect();
        if values.is_empty() {
            return None;
        }
        let redactor = Arc::new(Redactor::new(&values)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.redactors.len() >= REDACTORS {
            known.redactors.clear();
        }
        known.redactors.insert(names.to_vec(), Arc::clone(&redactor));
        Some(redactor)
    }

    /// Where the key is or would be made, and what keeps it from being used. Asks for it.
    pub async fn key(&self) -> KeyReport {
        self.key.report().await
    }

    /// Moves the key to another place, and says where it is.
    pub async fn move_key(&self, to: KeyPlace) -> Result<String, KeyError> {
        self.key.move_to(to).await
    }

    fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).secrets.is_empty()
    }

    fn entry(&self, name: &str) -> Option<(Name, Entry)> {
        let name = Name::parse(name).ok()?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let entry = known.secrets.get(&name)?.clone();
        drop(known);
        Some((name, entry))
    }
}

fn opened(sealer: &Sealer, name: &Name, entry: &Entry) -> Option<SecretString> {
    let value = sealer.open_sealed(name, &entry.bindings, &entry.sealed)?;
    String::from_utf8(value.expose_secret().to_vec()).ok().map(SecretString::from)
}

/// What can be sent in a header and found again in an answer.
pub(super) fn check(value: &str) -> Result<(), &'static str> {
    match value {
        "" => Err("it is empty"),
        value if value.len() > LONGEST => Err("it is longer than 8 KiB"),
        value if !value.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Err("it holds a line break, another control character or one beyond ASCII")
        }
        value if value.contains('"') => Err("it holds a quotation mark"),
        value if value.trim() != value => Err("it begins or ends with a space"),
        value if value.len() < SHORTEST => {
            Err("it is shorter than 8 characters, and could not be told from other text in a server's answer")
        }
        value if value.bytes().all(|b| Some(b) == value.bytes().next()) => Err("it is one character again and again"),
        value if is_word(value) => {
            Err("it looks like an ordinary word, and every such word in a server's answer would be taken for it")
        }
        _ => Ok(()),
    }
}

/// Letters alone, fewer than any generated key has, perhaps with a number behind them.
fn is_word(value: &str) -> bool {
    let letters = value.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = value.len() - letters.len();
    let rest = letters.get(1..).unwrap_or_default();
    let one_case = rest.bytes().all(|b| b.is_ascii_lowercase()) || letters.bytes().all(|b| b.is_ascii_uppercase());
    digits <= 4 && letters.len() < 16 && letters.bytes().all(|b| b.is_ascii_alphabetic()) && one_case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::{open, temporary};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    async fn opened(state: &State, dir: &Path) -> Result<Vault, StateError> {
        Vault::open(state.clone(), dir, &SecretsSettings::default(), None).await
    }

    fn bound(text: &str) -> Vec<Binding> {
        vec![Binding::parse(text).unwrap()]
    }

    #[tokio::test]
    async fn what_is_kept_is_encrypted_and_found_again() {
        let (dir, state) = temporary();
        let vault = opened(&state, dir.path()).await.unwrap();
        let value = SecretString::from("sk-CANARY-0123456789");
        vault.set(&name("A"), &value, bound("a.test")).await.unwrap();
        assert_eq!(vault.reveal("A").await.unwrap().expose_secret(), value.expose_secret());
        assert!(vault.is_bound("A", &bound("a.test")[0]) && !vault.is_bound("A", &bound("b.test")[0]));
        assert!(!vault.has("a") && !vault.has("B") && vault.reveal("B").await.is_err());
        assert_eq!(vault.list()[0].hosts, ["https://a.test"]);
        state.flush().await.unwrap();
        drop((vault, state));
        for file in
            std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file())
        {
            let bytes = std::fs::read(file).unwrap();
            assert!(!bytes.windows(6).any(|part| part == b"CANARY"));
        }
        let again = opened(&open(dir.path()), dir.path()).await.unwrap();
        assert_eq!(again.reveal("A").await.unwrap().expose_secret(), value.expose_secret());
    }

    #[tokio::test]
    async fn t75_a_new_value_holds_at_once_and_a_removed_one_is_gone() {
        let (dir, state) = temporary();
        let vault = opened(&state, dir.path()).await.unwrap();
        vault.set(&name("A"), &"first-value".into(), bound("a.test")).await.unwrap();
        let names = ["A".to_owned()];
        assert_eq!(vault.redactor(&names).await.unwrap().text("x first-value"), "x [redacted]");
        vault.set(&name("A"), &"second-value".into(), bound("a.test")).await.unwrap();
        assert_eq!(vault.reveal("A").await.unwrap().expose_secret(), "second-value");
        assert_eq!(vault.redactor(&names).await.unwrap().text("second-value"), "[redacted]");
        vault.remove(&name("A")).await.unwrap();
        assert!(vault.reveal("A").await.is_err() && vault.redactor(&names).await.is_none());
        assert_eq!(vault.remove(&name("A")).await.unwrap_err().kind(), "not-found");
    }

    #[tokio::test]
    async fn t77_values_that_could_not_be_sent_or_found_again_are_refused() {
        let (dir, state) = temporary();
        let vault = opened(&state, dir.path()).await.unwrap();
        let long = "x1".repeat(LONGEST);
        for bad in [
            "",
            "tiny-1",
            "line\r\nbreak-in-it",
            "nul\0in-the-middle",
            "quo\"tation-mark",
            &long,
            " padded-value",
            "xxxxxxxxxxxx",
            "schlüsselwort",
            "authorization",
            "Password1",
            "APPLICATION2024",
        ] {
            let error = vault.set(&name("A"), &SecretString::from(bad), bound("a.test")).await.unwrap_err();
            assert_eq!(error.kind(), "secret-invalid", "{bad:?}");
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
        }
        // What looks like letters to some and is what programs generate.
        for good in ["abcdefghijklmnop", "deadbeefcafe0123456789", "kJxQzRtY", "hunter2-hunter2", "word 12345"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let error = vault.set(&name("A"), &"good-enough-value".into(), Vec::new()).await.unwrap_err();
        assert!(error.hint().contains("--host"), "{}", error.hint());
        assert!(vault.list().is_empty());
    }

    #[test]
    fn t74_nothing_shows_a_value() {
        let text = format!("{:?}", SecretString::from("sk-CANARY-1"));
        assert!(!text.contains("CANARY"), "{text}");
    }
}
