//! Sigstore bundles, checked offline (<https://docs.sigstore.dev/about/bundle/>): a signature of the statement's bytes, as
//! `cosign sign-blob --bundle` makes it, by a key or by an identity that Fulcio vouched for, and its entry in Rekor's log.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Bundle, DerPublicKey, HashAlgorithm, SignatureContent};
use sigstore_verify::{Error, Policy, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

use super::{Checked, Flaw, SignatureError, Signer, ring};

/// Largest trust root that is read, in bytes.
const ROOT_BYTES: u64 = 4 << 20;

/// Whose certificates and logs count: sigstore.dev's, which came with this program, or those of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots(Option<PathBuf>);

impl Roots {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    fn verifier(&self) -> Result<Verifier, SignatureError> {
        let wrong = |reason: String| SignatureError::Root {
            path: self.0.as_deref().unwrap_or(Path::new("of sigstore.dev")).display().to_string(),
            reason: crate::plain::line(&reason, 300).0,
        };
        let text = match &self.0 {
            None => SIGSTORE_PRODUCTION_TRUSTED_ROOT.to_owned(),
            Some(path) => {
                let bytes =
                    crate::catalog::read_component(path, ROOT_BYTES).map_err(|error| wrong(error.to_string()))?;
                String::from_utf8(bytes).map_err(|_| wrong("it is no text".into()))?
            }
        };
        let root = TrustedRoot::from_json(&text).map_err(|error| wrong(error.to_string()))?;
        Verifier::new(&root).map_err(|error| wrong(error.to_string()))
    }
}

/// A public key in PEM.
pub(super) fn public_key(pem: &str) -> Result<Signer, SignatureError> {
    let wrong = |reason: String| SignatureError::Key { what: "the PEM".into(), reason };
    let key = DerPublicKey::from_pem(pem).map_err(|error| wrong(error.to_string()))?;
    sigstore_verify::crypto::KeyAlgorithm::from_spki(&key).map_err(|error| wrong(error.to_string()))?;
    Ok(Signer::Key { key: STANDARD.encode(key.as_bytes()) })
}

/// Looks at a bundle. Fails only where the trust root cannot be used.
pub(super) fn check(bytes: &[u8], message: &[u8], known: &[&Signer], roots: &Roots) -> Result<Checked, SignatureError> {
    let bundle = match read(bytes) {
        Ok(bundle) => bundle,
        Err(flaw) => return Ok(Checked::Flawed(flaw)),
    };
    // It is checked again below. Said here, it is the same sentence whatever else is wrong.
    if says_another_digest(&bundle, message) {
        return Ok(Checked::Flawed(Flaw::OtherStatement));
    }
    ring::with_message(message, || {
        let verifier = roots.verifier()?;
        let verify = |policy: &dyn Policy| verifier.verify(message, &bundle, policy);
        Ok(match &bundle.verification_material.content {
            VerificationMaterialContent::PublicKey(named) => by_key(&named.hint, known, verify),
            // Who it is stands in the certificate. Whether a person trusts them is asked afterwards, of everybody.
            _ => match verify(&VerificationPolicy::any_identity()) {
                Ok(found) => by_identity(&found),
                Err(error) => Checked::Flawed(flaw(&error)),
            },
        })
    })
}

fn read(bytes: &[u8]) -> Result<Bundle, Flaw> {
    let odd = |reason: String| Flaw::Unreadable(crate::plain::line(&reason, 200).0);
    let text = std::str::from_utf8(bytes).map_err(|_| odd("it is no text".into()))?;
    let bundle = Bundle::from_json(text).map_err(|error| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let old = ["base64Signature", "rekorBundle", "SignedEntryTimestamp"].iter().any(|key| json.get(*key).is_some());
        if old { Flaw::OldBundle } else { odd(error.to_string()) }
    })?;
    match &bundle.content {
        SignatureContent::MessageSignature(_) => Ok(bundle),
        _ => Err(Flaw::Attestation),
    }
}

fn says_another_digest(bundle: &Bundle, message: &[u8]) -> bool {
    let SignatureContent::MessageSignature(signature) = &bundle.content else { return false };
    signature.message_digest.as_ref().is_some_and(|said| {
        said.algorithm == HashAlgorithm::Sha2256
            && said.digest.as_bytes() != ::ring::digest::digest(&::ring::digest::SHA256, message).as_ref()
    })
}

/// A bundle by a key does not hold the key, only a hint that nothing vouches for: each key that a person trusts is tried.
fn by_key(hint: &str, known: &[&Signer], verify: impl Fn(&dyn Policy) -> Result<VerificationResult, Error>) -> Checked {
    let mut why = None;
    for signer in known {
        let Signer::Key { key } = signer else { continue };
        let Ok(der) = STANDARD.decode(key) else { continue };
        let meant = hint == STANDARD.encode(::ring::digest::digest(&::ring::digest::SHA256, &der));
        match verify(&PublicKeyVerificationPolicy::new(DerPublicKey::new(der))) {
            Ok(found) if found.tlog_verified() => return Checked::Fits((*signer).clone()),
            Ok(_) => {}
            // Of the key that is meant, it says something that it does not fit. Of all others it was to be expected.
            Err(error) if meant => why = Some(flaw(&error)),
            Err(_) => {}
        }
    }
    match why {
        Some(flaw) => Checked::Flawed(flaw),
        None => Checked::Unknown(crate::plain::line(hint, 100).0),
    }
}

fn by_identity(found: &VerificationResult) -> Checked {
    let held = found.certificate_verified() && found.sct_verified() && found.tlog_verified();
    match (found.identity(), found.issuer()) {
        (Some(identity), Some(issuer)) if held => {
            Checked::Fits(Signer::Identity { identity: identity.as_str().to_owned(), issuer: issuer.to_owned() })
        }
        _ => Checked::Flawed(Flaw::Certificate("it names no identity with its issuer".into())),
    }
}

fn flaw(error: &Error) -> Flaw {
    // Parts of it are a stranger's words.
    let said = crate::plain::line(&error.to_string(), 300).0;
    match error {
        Error::Certificate(_) => Flaw::Certificate(said),
        Error::TransparencyLog(_) => Flaw::Log(said),
        Error::Timestamp(_) => Flaw::Time(said),
        Error::SignatureInvalid(_) => Flaw::OtherStatement,
        _ => Flaw::Bundle(said),
    }
}
