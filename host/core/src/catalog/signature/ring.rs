//! The cryptography below sigstore's rules: all of it is *ring*'s, as everywhere in this program.
//!
//! *ring* verifies signatures of messages only, and sigstore's rules ask about the signature of a digest. There is one message
//! per check, the statement, so it lies at hand ([`with_message`]): a digest is believed to be its when it is.

use std::cell::RefCell;

use ring::{digest, signature};
use sigstore_verify::crypto::{self, CryptoProvider, Error, HashContext, SigningScheme};
use sigstore_verify::types::HashAlgorithm;

#[derive(Debug)]
struct Ring;

thread_local! {
    /// What is checked on this thread.
    static MESSAGE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs a check of signatures of `message`. Everything of it happens on this thread.
pub(super) fn with_message<T>(message: &[u8], check: impl FnOnce() -> T) -> T {
    // One that is there already is this one: nobody else sets it.
    let _already_there = crypto::install_default_provider(&Ring);
    MESSAGE.set(Some(message.to_vec()));
    let done = check();
    MESSAGE.set(None);
    done
}

struct Hash(digest::Context);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

fn hash(algorithm: HashAlgorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        HashAlgorithm::Sha2256 => Some(&digest::SHA256),
        HashAlgorithm::Sha2384 => Some(&digest::SHA384),
        HashAlgorithm::Sha2512 => Some(&digest::SHA512),
        _ => None,
    }
}

fn scheme(scheme: SigningScheme) -> Option<&'static dyn signature::VerificationAlgorithm> {
    Some(match scheme {
        SigningScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &signature::ED25519,
        SigningScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        let found = hash(algorithm).ok_or_else(|| Error::UnsupportedAlgorithm(format!("the digest {algorithm}")))?;
        Ok(Box::new(Hash(digest::Context::new(found))))
    }

    fn verify_raw(&self, of: SigningScheme, key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let algorithm = scheme(of).ok_or_else(|| Error::UnsupportedAlgorithm(of.name().into()))?;
        signature::UnparsedPublicKey::new(algorithm, key)
            .verify(data, signature)
            .map_err(|_| Error::Verification(format!("the {} signature does not verify", of.name())))
    }

    fn verify_prehashed(&self, of: SigningScheme, key: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        let algorithm =
            of.hash_algorithm().and_then(hash).ok_or_else(|| Error::UnsupportedAlgorithm(of.name().into()))?;
        let message = MESSAGE.with_borrow(Clone::clone).unwrap_or_default();
        if digest::digest(algorithm, &message).as_ref() != digest {
            return Err(Error::Verification("the digest is not that of the statement".into()));
        }
        self.verify_raw(of, key, &message, signature)
    }
}
