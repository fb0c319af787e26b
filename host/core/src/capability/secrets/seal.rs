//! Encryption of what is kept: ChaCha20-Poly1305 (RFC 8439) under a key of this host. Name and bindings are authenticated with
//! the value, so that nobody who writes into the state can bind a secret to a server of theirs.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretSlice;
use secrecy::zeroize::Zeroize as _;

use super::{Binding, Name};
use crate::state::StateError;

const KEY_BYTES: usize = 32;

pub(super) struct Sealer(LessSafeKey);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// With the key in this file, which is made where it is not there, readable by its owner alone.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let io = |error: std::io::Error| StateError::io(path, &error);
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut key = Vec::with_capacity(KEY_BYTES + 1);
        match std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
            Ok(file) => drop(file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(io)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                key.resize(KEY_BYTES, 0);
                SystemRandom::new()
                    .fill(&mut key)
                    .map_err(|_| io(std::io::Error::other("there are no random numbers")))?;
                crate::files::write_durably(path, &key).map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        let sealer = UnboundKey::new(&CHACHA20_POLY1305, &key).map(|key| Self(LessSafeKey::new(key)));
        key.zeroize();
        sealer.map_err(|_| StateError::Corrupt { path: path.to_owned(), reason: "it is not a key of 32 bytes".into() })
    }

    /// Nonce, ciphertext and tag. None where the system gives no random numbers.
    pub(super) fn seal(&self, name: &Name, bindings: &[Binding], value: &str) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = value.as_bytes().to_vec();
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(name, bindings), &mut sealed).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// None where it was changed, bound elsewhere or sealed with another key.
    pub(super) fn open_sealed(&self, name: &Name, bindings: &[Binding], sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let mut value = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.0.open_in_place(nonce, aad(name, bindings), &mut value).ok()?.len();
        // The tag goes; what is left is the value.
        value.truncate(length);
        Some(SecretSlice::from(value))
    }
}

fn aad(name: &Name, bindings: &[Binding]) -> Aad<Vec<u8>> {
    let bindings: Vec<String> = bindings.iter().cloned().map(String::from).collect();
    // No name and no binding holds a line feed.
    Aad::from(format!("ringfence secret 1\n{name}\n{}", bindings.join("\n")).into_bytes())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_sealed_value_opens_only_as_it_was_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let sealer = Sealer::open(&path).unwrap();
        let (name, other) = (Name::parse("A").unwrap(), Name::parse("B").unwrap());
        let here = [Binding::parse("a.test").unwrap()];
        let there = [Binding::parse("evil.test").unwrap()];
        let sealed = sealer.seal(&name, &here, "the value").unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("value"));
        let again = Sealer::open(&path).unwrap();
        assert_eq!(again.open_sealed(&name, &here, &sealed).unwrap().expose_secret(), b"the value");
        assert!(sealer.open_sealed(&other, &here, &sealed).is_none());
        assert!(sealer.open_sealed(&name, &there, &sealed).is_none(), "bound to another server");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open_sealed(&name, &here, &changed).is_none(), "{at}");
        }
        assert!(sealer.open_sealed(&name, &here, &sealed[..5]).is_none());
        let stranger = Sealer::open(&dir.path().join("another.key")).unwrap();
        assert!(stranger.open_sealed(&name, &here, &sealed).is_none());
        assert_ne!(sealed, sealer.seal(&name, &here, "the value").unwrap(), "a nonce is used once");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
