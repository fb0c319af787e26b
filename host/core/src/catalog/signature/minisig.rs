//! Signatures as minisign makes them (<https://jedisct1.github.io/minisign/>), of the statement's bytes.
//!
//! Such a signature names its key by eight bytes that whoever made the key chose. So one that is trusted decides for its
//! number. Where none is, the key that the signature carries in its own trusted comment is what a person may come to trust.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};

use super::{Checked, Flaw, Signer, Statement};

/// Begins the word of the trusted comment that holds the public key.
pub(super) const KEY_WORD: &str = "key:";
/// Begins the word that holds the file's digest.
pub(super) const DIGEST_WORD: &str = "digest:";
/// Begins the word that holds name and version.
pub(super) const SKILL_WORD: &str = "skill:";

/// Algorithm, number, key.
const KEY_BYTES: usize = 2 + 8 + 32;
/// Algorithm, number, signature.
const SIGNATURE_BYTES: usize = 2 + 8 + 64;
/// Algorithms: `Ed` stands in keys and in signatures of the old form, `ED` in signatures of a digest.
const OF_KEY: &[u8] = b"Ed";
const PREHASHED: &[u8] = b"ED";

/// A public key in the one form in which it is kept and compared.
pub(super) fn public_key(text: &str) -> Option<Signer> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
    bytes.starts_with(OF_KEY).then(|| Signer::Minisign { key: STANDARD.encode(bytes) })
}

/// The number of a key as minisign shows it: 16 hexadecimal digits.
pub(super) fn number_of(key: &str) -> String {
    let bytes = STANDARD.decode(key).unwrap_or_default();
    bytes.get(2..10).map(shown).unwrap_or_default()
}

/// Numbers are little-endian.
fn shown(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// A signature taken apart.
struct Parts {
    signature: Signature,
    number: Vec<u8>,
    raw: Vec<u8>,
    comment_signature: Vec<u8>,
}

fn parts(bytes: &[u8]) -> Result<Parts, Flaw> {
    let odd = |reason: &str| Flaw::Unreadable(reason.into());
    let text = std::str::from_utf8(bytes).map_err(|_| odd("it is no text"))?;
    let mut lines = text.lines().skip(1);
    let decoded = lines.next().and_then(|line| STANDARD.decode(line).ok());
    let head =
        decoded.filter(|head| head.len() == SIGNATURE_BYTES).ok_or_else(|| odd("its second line is no signature"))?;
    if head.starts_with(OF_KEY) {
        return Err(Flaw::OldForm);
    }
    if !head.starts_with(PREHASHED) {
        return Err(odd("its algorithm is none of minisign's"));
    }
    let comment_signature = lines.nth(1).and_then(|line| STANDARD.decode(line).ok());
    let comment_signature = comment_signature.ok_or_else(|| odd("its fourth line is no signature"))?;
    let signature = Signature::decode(text).map_err(|error| odd(&error.to_string()))?;
    let (number, raw) = (head.get(2..10), head.get(10..));
    Ok(Parts {
        signature,
        number: number.unwrap_or_default().to_vec(),
        raw: raw.unwrap_or_default().to_vec(),
        comment_signature,
    })
}

pub(super) fn check(bytes: &[u8], statement: &Statement, known: &[&Signer]) -> Checked {
    let parts = match parts(bytes) {
        Ok(parts) => parts,
        Err(flaw) => return Checked::Flawed(flaw),
    };
    let mut keys: Vec<Signer> =
        known.iter().filter(|signer| parts.is_by(signer)).map(|signer| (*signer).clone()).collect();
    if keys.is_empty() {
        // Nobody trusts this number. What the signature says of its own key is at least what its maker says.
        keys.extend(parts.word(KEY_WORD).and_then(public_key).filter(|signer| parts.is_by(signer)));
    }
    let Some(first) = keys.first() else { return Checked::Unknown(shown(&parts.number)) };
    match keys.iter().find(|key| parts.verifies(key, &statement.bytes())) {
        Some(key) => Checked::Fits(key.clone()),
        None => Checked::Flawed(parts.flaw(first, statement)),
    }
}

/// Whether `signature` is one of this key, of these bytes.
pub(crate) fn check_bytes(signature: &[u8], bytes: &[u8], signer: &Signer) -> Result<(), Flaw> {
    let parts = parts(signature)?;
    match parts.is_by(signer) && parts.verifies(signer, bytes) {
        true => Ok(()),
        false => Err(Flaw::Unreadable("it is of other bytes, or by another key".into())),
    }
}

impl Parts {
    /// Whether the signature bears the number of this key.
    fn is_by(&self, signer: &Signer) -> bool {
        matches!(signer, Signer::Minisign { key }
            if STANDARD.decode(key).is_ok_and(|bytes| bytes.get(2..10) == Some(&*self.number)))
    }

    fn verifies(&self, signer: &Signer, message: &[u8]) -> bool {
        let Signer::Minisign { key } = signer else { return false };
        PublicKey::from_base64(key).is_ok_and(|key| key.verify(message, &self.signature, false).is_ok())
    }

    /// The rest of the word of the trusted comment that begins so.
    fn word(&self, begin: &str) -> Option<&str> {
        self.signature.trusted_comment().split('\t').find_map(|word| word.strip_prefix(begin))
    }

    /// Why it does not verify. The trusted comment may be believed only where the key signed it.
    fn flaw(&self, signer: &Signer, statement: &Statement) -> Flaw {
        let key = STANDARD.decode(signer.word()).unwrap_or_default();
        let signed = [&*self.raw, self.signature.trusted_comment().as_bytes()].concat();
        let comment =
            ::ring::signature::UnparsedPublicKey::new(&::ring::signature::ED25519, key.get(10..).unwrap_or_default());
        if comment.verify(&signed, &self.comment_signature).is_err() {
            return Flaw::Comment;
        }
        let shown = |text: &str| crate::plain::line(text, 150).0;
        let found = format!("{} {}", statement.name, statement.version);
        match (self.word(DIGEST_WORD), self.word(SKILL_WORD)) {
            (Some(digest), _) if digest != statement.digest => Flaw::OtherFile(shown(digest)),
            (_, Some(signed)) if signed != found => Flaw::OtherName { signed: shown(signed), found },
            _ => Flaw::OtherStatement,
        }
    }
}
