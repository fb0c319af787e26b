//! What bytes are named by, so that whoever serves them has no say in what they are.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, as OCI writes it: `sha256:` and 64 hexadecimal digits in lower case.
///
/// Other algorithms that OCI knows are not taken: a component's digest is its SHA-256 everywhere here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(crate::engine::digest(bytes))
    }

    /// The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(hex) = text.strip_prefix("sha256:") else {
            return Err("a digest begins with `sha256:`".into());
        };
        match hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            true => Ok(Self(text.to_owned())),
            false => Err("a digest is `sha256:` and 64 hexadecimal digits in lower case".into()),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.trim_start_matches("sha256:")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|reason| format!("`{}`: {reason}", crate::plain::line(&text, 80).0))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// A digest of what comes piece by piece.
#[derive(Clone, Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        use std::fmt::Write as _;
        let text = self.0.finalize().iter().fold(String::from("sha256:"), |mut text, byte| {
            // Writing to a string cannot fail.
            let _: fmt::Result = write!(text, "{byte:02x}");
            text
        });
        Digest(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_one_form() {
        let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), of_nothing);
        assert_eq!(Hasher::default().finish().as_str(), of_nothing);
        let mut pieces = Hasher::default();
        pieces.update(b"a");
        pieces.update(b"b");
        assert_eq!(pieces.finish(), Digest::of(b"ab"));
        assert_eq!(Digest::parse(of_nothing).unwrap().hex().len(), 64);
        let (upper, short) = (of_nothing.to_uppercase(), &of_nothing[..70]);
        for wrong in ["", "sha256:", "sha512:00", "e3b0", short, &upper, &format!("{of_nothing}0"), "sha256:../../x"] {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
    }
}
