//! Why a signature, or whoever made it, is not good enough.

use semver::Version;

use super::Signer;
use crate::error::Explain;
use crate::plain;

/// What is wrong with a signature, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is not written as a signature: {0}")]
    Unreadable(String),
    #[error("it is longer than {most} KiB", most = super::SIGNATURE_BYTES >> 10)]
    TooLarge,
    #[error("{count} signatures came along, of at most {most}", count = .0, most = super::SIGNATURES)]
    TooMany(usize),
    /// Old minisign signatures are over the bytes and not over their digest, so one of 64 bytes passes for one of a file.
    #[error("it is in minisign's old form, which is not accepted")]
    OldForm,
    /// Bundles of cosign before version 3 name their own key (GHSA-fx35).
    #[error("it is a bundle in cosign's old form, which is not accepted")]
    OldBundle,
    #[error("the bundle holds an attestation, and no signature of the statement")]
    Attestation,
    #[error("its trusted comment was edited, or the signature is damaged")]
    Comment,
    #[error("it is of another file, whose digest is {0}")]
    OtherFile(String),
    #[error("it is of `{signed}`, and this is `{found}`")]
    OtherName { signed: String, found: String },
    #[error("it is not of this file with its name, version and permissions")]
    OtherStatement,
    #[error("it is by {0}, which was revoked here")]
    Revoked(Box<Signer>),
    #[error("`{skill}` is pinned to {expected}, and this is by {found}")]
    OtherPublisher { skill: String, expected: Box<Signer>, found: String },
    #[error("the certificate does not hold: {0}")]
    Certificate(String),
    #[error("the transparency log's entry does not hold: {0}")]
    Log(String),
    #[error("the time at which it was made does not hold: {0}")]
    Time(String),
    #[error("{0}")]
    Bundle(String),
}

/// Why a skill is not installed, or a key not used.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature is not valid: {0}")]
    Invalid(Flaw),
    #[error("`{skill}` is not signed{}", match pinned {
        Some(signer) => format!(", and what was installed before was, by {signer}"),
        None => String::new(),
    })]
    Unsigned { skill: String, pinned: Option<Box<Signer>> },
    #[error("the signature of `{0}` was not looked at, because the configuration asks for none")]
    NotChecked(String),
    #[error("`{skill}` is signed by {signer}, whom nobody has trusted here")]
    Untrusted { skill: String, signer: Box<Signer> },
    #[error("`{skill}` is signed by the key {number}, which is not known here")]
    UnknownKey { skill: String, number: String },
    #[error("`{skill}` {version} is older than {floor}, which was installed before")]
    Rollback { skill: String, version: Version, floor: Version },
    #[error("{what} cannot be used as a key: {reason}")]
    Key { what: String, reason: String },
    #[error("there is no key named `{0}`")]
    NoKey(String),
    #[error("there is a key named `{0}` already")]
    KeyExists(String),
    #[error("the password of `{0}` is not right")]
    Password(String),
    #[error("{} was revoked here", .0)]
    WasRevoked(Box<Signer>),
    #[error("nobody named `{0}` is trusted here")]
    NoPublisher(String),
    #[error("`{0}` cannot be the name of a publisher or a key")]
    Name(String),
    #[error("the trust root {path} cannot be used: {reason}")]
    Root { path: String, reason: String },
}

impl Explain for SignatureError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "signature-invalid",
            Self::Unsigned { .. } | Self::NotChecked(_) => "unsigned",
            Self::Untrusted { .. } | Self::UnknownKey { .. } => "untrusted-publisher",
            Self::Rollback { .. } => "rollback-refused",
            Self::Key { .. } | Self::Password(_) | Self::Name(_) => "key-invalid",
            Self::NoKey(_) | Self::NoPublisher(_) => "not-found",
            Self::KeyExists(_) => "already-exists",
            Self::WasRevoked(_) => "untrusted-publisher",
            Self::Root { .. } => "config-invalid",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Invalid(Flaw::OtherPublisher { .. }) => {
                "ask the publisher why the key changed; if you know why, `--replace-publisher` puts the new one in its place".into()
            }
            Self::Invalid(Flaw::Revoked(_)) => "do not install it; ask the publisher for one that is signed anew".into(),
            Self::Invalid(Flaw::OldForm | Flaw::OldBundle | Flaw::Attestation | Flaw::OtherStatement) => {
                "what is to be signed is what `ringfence sign --statement FILE` prints; get it from its publisher anew".into()
            }
            Self::Invalid(_) => "do not install it; get the file and its signature from the publisher anew".into(),
            Self::Unsigned { pinned: Some(_), .. } => {
                "get it with its signature; if you know why there is none, `--replace-publisher` installs it without".into()
            }
            Self::Unsigned { .. } => {
                "ask the publisher to sign it (`ringfence sign`), or lower `[signatures]` in your configuration".into()
            }
            Self::NotChecked(_) => "set `[signatures]` for this kind of source to `warn` or `require`, or leave the flag out".into(),
            Self::Untrusted { signer, .. } => format!(
                "compare it with what the publisher says of it elsewhere, then say `--trust {}`",
                plain::word(&signer.word())
            ),
            Self::UnknownKey { .. } => "get the publisher's public key, and say `ringfence trust add NAME KEY`".into(),
            Self::Rollback { .. } => "older versions can have known holes; `--allow-downgrade` installs it all the same".into(),
            Self::Key { .. } => "give the text that the publisher gives, or the path of its file".into(),
            Self::NoKey(_) => "`ringfence key list` shows those that there are, `ringfence key new` makes one".into(),
            Self::KeyExists(_) => "choose another name; a key is never overwritten".into(),
            Self::Password(_) => "try again; nobody can get a key back whose password is lost".into(),
            Self::WasRevoked(_) => "if you are sure, say `--restore`".into(),
            Self::NoPublisher(_) => "`ringfence trust list` shows whom you trust".into(),
            Self::Name(_) => "a name has 1 to 64 letters, digits, spaces and `-_.@`, and begins with a letter or digit".into(),
            Self::Root { .. } => "correct `signatures.trust-root`, or leave it out for the public one of sigstore.dev".into(),
        }
    }
}
