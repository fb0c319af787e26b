//! The chain itself: how a record is written down, hashed and signed.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Entry, Record, store};
use crate::plain;
use crate::state::{StateError, int};

pub(super) type Hash = [u8; 32];

/// The hash before the first record.
pub(super) const GENESIS: Hash = [0; 32];
/// Most bytes of a text in a record; what is longer is cut and followed by the digest of the whole.
const TEXT: usize = 512;

/// Writes one record at the end of the chain.
pub(crate) fn append(tx: &Transaction<'_>, at: Timestamp, entry: &Entry) -> rusqlite::Result<()> {
    add(tx, &mut record(at, entry))
}

/// A record as it is written down, without its place in the chain.
pub(super) fn record(at: Timestamp, entry: &Entry) -> Record {
    Record {
        seq: 0,
        at_us: at.as_microsecond(),
        event: entry.event,
        invocation: fit(&entry.invocation),
        act: entry.act,
        skill: fit(&entry.skill),
        caller: fit(&entry.caller),
        capability: fit(entry.capability),
        subject: fit(&entry.subject),
        kind: fit(entry.kind),
        detail: fit(&entry.detail),
        hash: String::new(),
    }
}

/// Writes a record at the end of the chain, and numbers it.
pub(super) fn add(tx: &Transaction<'_>, record: &mut Record) -> rusqlite::Result<()> {
    let (seq, before) = match store::last(tx)? {
        Some((seq, hash)) => (seq + 1, hash),
        None => store::mark(tx, "base")?.map_or((1, GENESIS), |base| (base.seq + 1, base.hash)),
    };
    record.seq = seq;
    let hash = hash(&before, record);
    tx.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?.execute(
        params![
            int(record.seq),
            record.at_us,
            record.event.as_str(),
            record.invocation,
            int(record.act),
            record.skill,
            record.caller,
            record.capability,
            record.subject,
            record.kind,
            record.detail,
            &hash[..],
        ],
    )?;
    Ok(())
}

/// Printable, on one line, and short.
fn fit(text: &str) -> String {
    let (clean, whole) = plain::line(text, TEXT);
    if whole { clean } else { format!("{clean}... sha256:{}", hex(&Sha256::digest(text.as_bytes()))) }
}

/// SHA-256 over the hash before and the record as a JSON array of its fields in the order of the table, without the hash.
pub(super) fn hash(before: &Hash, record: &Record) -> Hash {
    let fields = (
        record.seq,
        record.at_us,
        record.event.as_str(),
        &record.invocation,
        record.act,
        &record.skill,
        &record.caller,
        &record.capability,
        &record.subject,
        &record.kind,
        &record.detail,
    );
    let mut digest = Sha256::new();
    digest.update(before);
    // Writing numbers and texts to memory cannot fail; if it ever does, the hash is one that never verifies.
    digest.update(serde_json::to_vec(&fields).unwrap_or_default());
    digest.finalize().into()
}

/// A signed place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) seq: u64,
    #[serde(with = "hex_bytes")]
    pub(super) hash: Hash,
    #[serde(with = "hex_bytes")]
    pub(super) signature: Vec<u8>,
}

impl Mark {
    pub(super) fn sign(key: &Key, name: &str, seq: u64, hash: Hash) -> Self {
        Self { seq, hash, signature: key.0.sign(&statement(name, seq, &hash)).as_ref().to_vec() }
    }

    pub(super) fn verifies(&self, key: &Key, name: &str) -> bool {
        let public = UnparsedPublicKey::new(&ED25519, key.0.public_key().as_ref());
        public.verify(&statement(name, self.seq, &self.hash), &self.signature).is_ok()
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), StateError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        crate::files::write_atomically(path, &text).map_err(|error| StateError::io(path, &error))
    }

    /// None where there is no file, or a link in its place; what cannot be read is a mark that never verifies.
    pub(super) fn load(path: &Path) -> Option<Self> {
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path);
        let mut text = Vec::new();
        match opened.and_then(|file| file.take(4096).read_to_end(&mut text)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => None,
            _ => Some(Self::read(&text)),
        }
    }

    /// What cannot be read is a mark that never verifies.
    pub(super) fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or(Self { seq: 0, hash: GENESIS, signature: Vec::new() })
    }
}

/// What is signed.
fn statement(name: &str, seq: u64, hash: &Hash) -> Vec<u8> {
    format!("ringfence audit {name} {seq} {}", hex(hash)).into_bytes()
}

/// The key that signs. It never leaves the state directory.
pub(super) struct Key(Ed25519KeyPair);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads the key, and makes it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let io = |error: std::io::Error| StateError::io(path, &error);
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut bytes = Vec::new();
        match std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
            Ok(file) => drop(file.take(4096).read_to_end(&mut bytes).map_err(io)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let _turn = crate::files::turn(path.parent().unwrap_or(path)).map_err(io)?;
                if path.symlink_metadata().is_ok() {
                    return Self::open(path);
                }
                let fresh = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| io(std::io::Error::other("the system gives no random numbers")))?;
                bytes.extend_from_slice(fresh.as_ref());
                crate::files::write_durably(path, &bytes).map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        let key = Ed25519KeyPair::from_pkcs8(&bytes)
            .map_err(|_| StateError::Corrupt { path: path.to_owned(), reason: "it is not an Ed25519 key".into() })?;
        Ok(Self(key))
    }

    /// A key of a fuzzer's own.
    #[cfg(debug_assertions)]
    pub(super) fn of_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    pub(super) fn public_hex(&self) -> String {
        hex(self.0.public_key().as_ref())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

mod hex_bytes {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::hex(bytes.as_ref()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        // Only what we write ourselves: `from_str_radix` takes a plus sign as well.
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| D::Error::custom("not hexadecimal digits"))
    }
}
