//! A little sigstore: an authority that vouches for identities, a log of certificates, a log of signatures, and the root that
//! says whom to believe. And the other half of minisign: signatures of whatever a test likes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::{Format, Signature, Statement};

pub(super) const IDENTITY: &str = "ada@example.test";
pub(super) const ISSUER: &str = "https://accounts.example.test";

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A key that signs what it is given.
pub(super) struct Key {
    pair: KeyPair,
}

impl Key {
    pub(super) fn new() -> Self {
        Self { pair: KeyPair::generate().unwrap() }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    pub(super) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let der = self.pair.serialize_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random).unwrap();
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    }
}

/// How long a certificate holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Now,
    LongAgo,
}

pub(super) struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    certificates: Key,
    signatures: Key,
}

/// What a signature is by, as the bundle has it and as the log has it.
pub(super) struct Signed {
    message: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// In PEM, for the log.
    verifier: String,
    material: Value,
}

impl Sigstore {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "a little Fulcio");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2019, 1, 1), rcgen::date_time_ymd(2999, 1, 1));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, certificates: Key::new(), signatures: Key::new() }
    }

    /// What `trusted_root.json` holds.
    pub(super) fn root(&self) -> String {
        let log = |key: &Key| {
            json!({
                "baseUrl": "https://log.test", "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(key.spki()), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": "2019-01-01T00:00:00Z" },
                },
                "logId": { "keyId": base64(sha256(&key.spki())) },
            })
        };
        let certificate: &rcgen::Certificate = self.authority.as_ref();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.signatures)],
            "ctlogs": [log(&self.certificates)],
            "certificateAuthorities": [{
                "subject": { "organization": "test", "commonName": "a little Fulcio" }, "uri": "https://fulcio.test",
                "certChain": { "certificates": [{ "rawBytes": base64(certificate.der()) }] },
                "validFor": { "start": "2019-01-01T00:00:00Z" },
            }],
            "timestampAuthorities": [],
        })
        .to_string()
    }

    /// Signs as the identity, which was vouched for.
    pub(super) fn keyless(&self, message: &[u8], holds: Holds) -> Signed {
        let key = Key::new();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(vec![1, 2, 3]));
        params.subject_alt_names = vec![SanType::Rfc822Name(IDENTITY.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        (params.not_before, params.not_after) = match holds {
            Holds::Now => (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2999, 1, 1)),
            Holds::LongAgo => (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 1, 2)),
        };
        // See <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>: the issuer, version 2.
        let issuer = der(0x0c, ISSUER.as_bytes());
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer)];
        let before = params.signed_by(&key.pair, &self.authority).unwrap();
        // RFC 6962, section 3.3.
        let promise = self.promise(tbs(before.der()));
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], der(0x04, &promise)));
        let certificate = params.signed_by(&key.pair, &self.authority).unwrap();
        Signed {
            message: message.to_vec(),
            signature: key.sign(message),
            verifier: pem("CERTIFICATE", certificate.der()),
            material: json!({ "certificate": { "rawBytes": base64(certificate.der()) } }),
        }
    }

    /// Signs with a key that nobody vouches for.
    pub(super) fn keyed(message: &[u8], key: &Key) -> Signed {
        Signed {
            message: message.to_vec(),
            signature: key.sign(message),
            verifier: key.pem(),
            material: json!({ "publicKey": { "hint": base64(sha256(&key.spki())) } }),
        }
    }

    /// A list of one promise of the log of certificates to take this one in (RFC 6962, section 3.2).
    fn promise(&self, tbs: &[u8]) -> Vec<u8> {
        let time = 1_700_000_000_000_u64.to_be_bytes();
        let issuer = sha256(&self.authority.key().subject_public_key_info());
        let length = u32::try_from(tbs.len()).unwrap().to_be_bytes();
        let signed = [&[0, 0][..], &time, &[0, 1], &issuer, &length[1..], tbs, &[0, 0]].concat();
        let signature = self.certificates.sign(&signed);
        let id = sha256(&self.certificates.spki());
        let length = u16::try_from(signature.len()).unwrap().to_be_bytes();
        let promise = [&[0][..], &id, &time, &[0, 0], &[4, 3], &length, &signature].concat();
        let one = u16::try_from(promise.len()).unwrap().to_be_bytes();
        let all = u16::try_from(promise.len() + 2).unwrap().to_be_bytes();
        [&all[..], &one, &promise].concat()
    }

    /// The log's entry of a signature, as the first that it ever took in.
    pub(super) fn entry(&self, signed: &Signed) -> Value {
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&sha256(&signed.message)) } },
                "signature": { "content": base64(&signed.signature), "publicKey": { "content": base64(&signed.verifier) } },
            },
        });
        let body = body.to_string();
        let id = sha256(&self.signatures.spki());
        let time = jiff::Timestamp::now().as_second() - 60;
        let promise = json!({ "body": base64(&body), "integratedTime": time, "logID": hex(&id), "logIndex": 0 });
        let promise = serde_json_canonicalizer::to_vec(&promise).unwrap();
        let root = sha256(&[&[0], body.as_bytes()].concat());
        let note = format!("log.test - 1\n1\n{}\n", base64(&root));
        let seal = [&id[..4], &self.signatures.sign(note.as_bytes())].concat();
        json!({
            "logIndex": "0", "logId": { "keyId": base64(&id) },
            "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
            "integratedTime": time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": base64(self.signatures.sign(&promise)) },
            "inclusionProof": {
                "logIndex": "0", "rootHash": base64(&root), "treeSize": "1", "hashes": [],
                "checkpoint": { "envelope": format!("{note}\n\u{2014} log.test {}\n", base64(&seal)) },
            },
            "canonicalizedBody": base64(&body),
        })
    }

    pub(super) fn bundle(&self, signed: &Signed) -> Value {
        bundle(signed, &[self.entry(signed)])
    }
}

pub(super) fn bundle(signed: &Signed, entries: &[Value]) -> Value {
    let mut material = signed.material.clone();
    material["tlogEntries"] = json!(entries);
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": base64(sha256(&signed.message)) },
            "signature": base64(&signed.signature),
        },
    })
}

pub(super) fn sigstore(bundle: &Value) -> Signature {
    Signature { format: Format::Sigstore, bytes: bundle.to_string().into_bytes() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One value of DER (ITU-T X.690).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let head = if length < 128 { vec![tag, low] } else { vec![tag, 0x82, high, low] };
    [head, content.to_vec()].concat()
}

/// What is signed of a certificate: the first value in it, which is longer than 255 bytes as it is itself.
fn tbs(certificate: &[u8]) -> &[u8] {
    let inner = &certificate[4..];
    assert_eq!((certificate[1], inner[0], inner[1]), (0x82, 0x30, 0x82));
    &inner[..4 + usize::from(u16::from_be_bytes([inner[2], inner[3]]))]
}

/// A statement about a file that is not there.
pub(super) fn statement(name: &str, version: &str, digest: &str, permissions: Value) -> Statement {
    Statement::made(name, version, digest, permissions)
}

/// A minisign key.
pub(super) struct Minisign {
    pair: minisign::KeyPair,
}

impl Minisign {
    pub(super) fn new() -> Self {
        Self { pair: minisign::KeyPair::generate_unencrypted_keypair().unwrap() }
    }

    /// Another key that bears the number of this one.
    pub(super) fn twin(&self) -> Self {
        let other = Self::new();
        let (mut secret, number) = (other.pair.sk.to_bytes(), self.pair.sk.keynum());
        secret[54..62].copy_from_slice(number);
        let sk = minisign::SecretKey::from_bytes(&secret).unwrap();
        Self { pair: minisign::KeyPair { pk: minisign::PublicKey::from_secret_key(&sk).unwrap(), sk } }
    }

    pub(super) fn public(&self) -> String {
        self.pair.pk.to_base64()
    }

    pub(super) fn signer(&self) -> super::Signer {
        super::Signer::parse(&self.public()).unwrap()
    }

    /// With what `ringfence sign` puts into the trusted comment.
    pub(super) fn sign(&self, statement: &Statement) -> Signature {
        let comment = format!(
            "timestamp:1\tskill:{} {}\tdigest:{}\tkey:{}",
            statement.name,
            statement.version,
            statement.digest,
            self.public()
        );
        self.sign_as(statement, &comment)
    }

    pub(super) fn sign_as(&self, statement: &Statement, comment: &str) -> Signature {
        let message = std::io::Cursor::new(statement.bytes());
        let signed = minisign::sign(None, &self.pair.sk, message, Some(comment), None).unwrap();
        Signature { format: Format::Minisign, bytes: signed.into_string().into_bytes() }
    }
}
