//! Signatures of components: who says that these bytes, with these rights, are theirs.
//!
//! What is signed is not the file but a *statement* about it ([`Statement`]), made again from the file by whoever checks. A
//! signature that fits is worth as much as whoever made it: keys and identities that a person trusts are kept
//! ([`Publisher`]), a skill is pinned to the one that signed it first, and [`Verdict`] is the one place where all of it meets.

mod bundle;
mod error;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
pub(crate) mod key;
mod minisig;
pub(crate) mod publishers;
mod ring;
mod statement;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CatalogError;
pub(crate) use bundle::Roots;
pub use error::{Flaw, SignatureError};
pub use key::KeyInfo;
pub(crate) use minisig::check_bytes;
pub use publishers::{Pin, Publisher};
pub use statement::Statement;
pub(crate) use verdict::{Facts, judge};
pub use verdict::{Standing, Terms, Trusting, Verdict};

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A detached minisign signature. Beside a file it is named as the file and `.minisig`.
    Minisign,
    /// A sigstore bundle. Beside a file it is named as the file and `.sigstore.json`.
    Sigstore,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Minisign, Self::Sigstore];

    /// What its file is named beside the component's: that name and this.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Minisign => ".minisig",
            Self::Sigstore => ".sigstore.json",
        }
    }

    /// The file of such a signature beside `file`.
    #[must_use]
    pub fn beside(self, file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(self.suffix());
        name.into()
    }
}

/// Largest signature, in bytes: a bundle with its proofs has some thousand.
pub const SIGNATURE_BYTES: usize = 256 << 10;
/// Most signatures of one component that are looked at.
pub const SIGNATURES: usize = 16;

/// A signature as it travels beside a component: a stranger's bytes, of which nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Those that lie beside a file on this machine.
    pub(crate) fn beside(file: &Path) -> Result<Vec<Self>, CatalogError> {
        let mut found = Vec::new();
        for format in Format::ALL {
            match super::read_component(&format.beside(file), SIGNATURE_BYTES as u64) {
                Ok(bytes) => found.push(Self { format, bytes }),
                Err(CatalogError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Where a component came from, as far as it matters for what is asked of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Built here, from a folder that the person named: it was never on its way.
    Folder,
    /// A file on this machine.
    File,
    /// Fetched from a URL.
    Https,
    /// Fetched from an OCI registry.
    Oci,
    /// Found by its name in an index.
    Index,
}

/// What is asked of signatures of skills. From the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Nothing: they are not looked at, except of a skill that has been pinned to its publisher.
    Off,
    /// One that does not fit is refused; one that is missing, or is by a publisher whom nobody trusts, is said.
    Warn,
    /// One that fits, by a publisher whom you trust, or nothing is installed.
    #[default]
    Require,
}

/// `[signatures]`: what is asked of the signatures of skills, by where these come from. A skill that you build from a folder
/// needs none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SignatureSettings {
    /// Files on this machine.
    pub file: Demand,
    /// What is fetched from a URL.
    pub https: Demand,
    /// What is fetched from an OCI registry.
    pub oci: Demand,
    /// What is found by its name in an index.
    pub index: Demand,
    /// A `trusted_root.json` that sigstore bundles are checked against, in the place of the public one of sigstore.dev that is
    /// part of this program.
    pub trust_root: Option<PathBuf>,
}

impl Default for SignatureSettings {
    fn default() -> Self {
        let (file, fetched) = (Demand::Warn, Demand::Require);
        Self { file, https: fetched, oci: fetched, index: fetched, trust_root: None }
    }
}

impl SignatureSettings {
    /// What is asked of a component from such a place.
    #[must_use]
    pub fn demand(&self, kind: SourceKind) -> Demand {
        match kind {
            SourceKind::Folder => Demand::Off,
            SourceKind::File => self.file,
            SourceKind::Https => self.https,
            SourceKind::Oci => self.oci,
            SourceKind::Index => self.index,
        }
    }
}

/// Who signed. Two are the same only where all of the key is, or both of the texts: a key's short number is the choice of
/// whoever made the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Signer {
    /// A minisign public key, as minisign writes it: base64 of 42 bytes.
    Minisign { key: String },
    /// A public key of a sigstore bundle: base64 of its `SubjectPublicKeyInfo` (RFC 5280).
    Key { key: String },
    /// An identity that an issuer vouched for when the signature was made, as in a certificate of Fulcio.
    Identity { identity: String, issuer: String },
}

impl Signer {
    /// A minisign key as its author publishes it (its second line, or the whole file), or the PEM of a public key.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
            return bundle::public_key(text);
        }
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        minisig::public_key(line).ok_or_else(|| SignatureError::Key {
            what: format!("`{}`", crate::plain::line(text, 80).0),
            reason: "it is neither a minisign public key (`RW...`) nor a public key in PEM".into(),
        })
    }

    /// All of it as one word: what `--trust` takes.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Minisign { key } | Self::Key { key } => key.clone(),
            Self::Identity { identity, issuer } => format!("{identity},{issuer}"),
        }
    }

    /// The short number of a key, for people who compare it with what they were told; two different keys may have the same. None for identities.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        match self {
            Self::Minisign { key } => Some(minisig::number_of(key)),
            Self::Key { key } => {
                let der = STANDARD.decode(key).unwrap_or_default();
                Some(crate::engine::digest(&der))
            }
            Self::Identity { .. } => None,
        }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| crate::plain::line(text, 300).0;
        match self {
            Self::Minisign { key } => write!(f, "the minisign key {} ({})", minisig::number_of(key), shown(key)),
            Self::Key { .. } => write!(f, "the key {}", self.number().unwrap_or_default()),
            Self::Identity { identity, issuer } => write!(f, "{}, vouched for by {}", shown(identity), shown(issuer)),
        }
    }
}

/// Who signed an installed skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SignedBy {
    pub signer: Signer,
    /// What the person calls them, where they were given a name.
    pub name: Option<String>,
    /// Whether they were revoked since.
    pub revoked: bool,
}

/// What came of looking at one signature.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It fits the statement, and this is whose it is. Nobody needs to trust them.
    Fits(Signer),
    /// It is by a key that is not known here and that did not come along, so nothing can be said of it. The key as far as it is named.
    Unknown(String),
    /// It does not fit.
    Flawed(Flaw),
}

/// Looks at all signatures of a component. `known` are the keys that can be told by a signature that names its key only.
pub(crate) fn check_all(
    signatures: &[Signature],
    statement: &Statement,
    known: &[&Signer],
    roots: &Roots,
) -> Result<Vec<Checked>, SignatureError> {
    if signatures.len() > SIGNATURES {
        return Err(SignatureError::Invalid(Flaw::TooMany(signatures.len())));
    }
    let check = |signature: &Signature| {
        if signature.bytes.len() > SIGNATURE_BYTES {
            return Ok(Checked::Flawed(Flaw::TooLarge));
        }
        match signature.format {
            Format::Minisign => Ok(minisig::check(&signature.bytes, statement, known)),
            Format::Sigstore => bundle::check(&signature.bytes, &statement.bytes(), known, roots),
        }
    };
    signatures.iter().map(check).collect()
}
