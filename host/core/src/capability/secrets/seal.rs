//! Encryption of what is kept: ChaCha20-Poly1305 (RFC 8439) under a key of this host. Name and bindings are authenticated with
//! the value, so that nobody who writes into the state can bind a secret to a server of theirs.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretSlice;

use super::{Binding, Name};

/// Length of a key.
pub(super) const KEY_BYTES: usize = 32;

pub(super) struct Sealer {
    key: LessSafeKey,
    print: Vec<u8>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// None where it is no key of [`KEY_BYTES`].
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let print = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"ringfence secrets key 1").as_ref().to_vec();
        Some(Self { key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?), print })
    }

    /// What tells this key from another one and says nothing else of it: an authentication code by it over a fixed text.
    pub(super) fn print(&self) -> &[u8] {
        &self.print
    }

    /// Nonce, ciphertext and tag. None where the system gives no random numbers.
    pub(super) fn seal(&self, name: &Name, bindings: &[Binding], value: &str) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = value.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(name, bindings), &mut sealed)
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// None where it was changed, bound elsewhere or sealed with another key.
    pub(super) fn open_sealed(&self, name: &Name, bindings: &[Binding], sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let mut value = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.key.open_in_place(nonce, aad(name, bindings), &mut value).ok()?.len();
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
        let sealer = Sealer::new(&[7; KEY_BYTES]).unwrap();
        let (name, other) = (Name::parse("A").unwrap(), Name::parse("B").unwrap());
        let here = [Binding::parse("a.test").unwrap()];
        let there = [Binding::parse("evil.test").unwrap()];
        let sealed = sealer.seal(&name, &here, "the value").unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("value"));
        let again = Sealer::new(&[7; KEY_BYTES]).unwrap();
        assert_eq!(again.open_sealed(&name, &here, &sealed).unwrap().expose_secret(), b"the value");
        assert!(sealer.open_sealed(&other, &here, &sealed).is_none());
        assert!(sealer.open_sealed(&name, &there, &sealed).is_none(), "bound to another server");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open_sealed(&name, &here, &changed).is_none(), "{at}");
        }
        assert!(sealer.open_sealed(&name, &here, &sealed[..5]).is_none());
        let stranger = Sealer::new(&[8; KEY_BYTES]).unwrap();
        assert!(stranger.open_sealed(&name, &here, &sealed).is_none());
        assert_ne!(sealed, sealer.seal(&name, &here, "the value").unwrap(), "a nonce is used once");
        assert!(again.print() == sealer.print() && stranger.print() != sealer.print());
        for length in [0, KEY_BYTES - 1, KEY_BYTES + 1] {
            assert!(Sealer::new(&vec![7; length]).is_none(), "{length}");
        }
    }
}
