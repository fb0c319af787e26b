//! Each way in which a signature is not good enough, and beside it the one that is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semver::Version;
use serde_json::json;

use super::testing::{Holds, IDENTITY, ISSUER, Key, Minisign, Sigstore, bundle, sigstore, statement};
use super::*;
use crate::error::Explain as _;

const FILE: &str = "sha256:aa";

fn echo() -> Statement {
    statement("echo", "1.0.0", FILE, json!({ "kv": {} }))
}

/// What comes of one signature where these are known.
fn one(signature: &Signature, of: &Statement, known: &[Signer], roots: &Roots) -> Checked {
    let known: Vec<&Signer> = known.iter().collect();
    check_all(std::slice::from_ref(signature), of, &known, roots).unwrap().remove(0)
}

fn minisigned(signature: &Signature, of: &Statement, known: &[Signer]) -> Checked {
    one(signature, of, known, &Roots::default())
}

#[track_caller]
fn flaw(checked: Checked) -> Flaw {
    match checked {
        Checked::Flawed(flaw) => flaw,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn fits(checked: &Checked, signer: &Signer) {
    assert!(matches!(checked, Checked::Fits(found) if found == signer), "{checked:?}");
}

fn edited(signature: &Signature, from: &str, to: &str) -> Signature {
    let text = String::from_utf8(signature.bytes.clone()).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    Signature { format: signature.format, bytes: text.replacen(from, to, 1).into_bytes() }
}

#[test]
fn a_signature_fits_its_statement_and_no_other() {
    let key = Minisign::new();
    let signature = key.sign(&echo());
    // By a key that is known, and by the one that it carries along.
    fits(&minisigned(&signature, &echo(), &[key.signer()]), &key.signer());
    fits(&minisigned(&signature, &echo(), &[]), &key.signer());
    let other_file = statement("echo", "1.0.0", "sha256:bb", json!({ "kv": {} }));
    let other_name = statement("echoo", "1.0.0", FILE, json!({ "kv": {} }));
    let other_version = statement("echo", "1.0.1", FILE, json!({ "kv": {} }));
    let wider = statement("echo", "1.0.0", FILE, json!({ "kv": {}, "user": {} }));
    let other = |signed: &str, found: &str| Flaw::OtherName { signed: signed.into(), found: found.into() };
    for known in [vec![], vec![key.signer()]] {
        let flaw_of = |of: &Statement| flaw(minisigned(&signature, of, &known));
        assert_eq!(flaw_of(&other_file), Flaw::OtherFile(FILE.into()));
        assert_eq!(flaw_of(&other_name), other("echo 1.0.0", "echoo 1.0.0"));
        assert_eq!(flaw_of(&other_version), other("echo 1.0.0", "echo 1.0.1"));
        assert_eq!(flaw_of(&wider), Flaw::OtherStatement);
    }
}

#[test]
fn a_minisign_signature_that_was_touched_fits_nothing() {
    let (key, other) = (Minisign::new(), Minisign::new());
    let known = [key.signer()];
    let signature = key.sign(&echo());
    assert_eq!(flaw(minisigned(&edited(&signature, "timestamp:1", "timestamp:2"), &echo(), &known)), Flaw::Comment);
    // The comment names another key: which one is asked is the number's doing, and the comment is signed.
    let swapped = edited(&signature, &key.public(), &other.public());
    assert_eq!(flaw(minisigned(&swapped, &echo(), &known)), Flaw::Comment);
    assert!(matches!(minisigned(&swapped, &echo(), &[]), Checked::Unknown(_)));
    // The untrusted comment is nobody's word.
    fits(
        &minisigned(&edited(&signature, "untrusted comment: ", "untrusted comment: x"), &echo(), &known),
        &key.signer(),
    );
    for garbage in ["", "\n\n\n\n", "untrusted comment: x\nAAAA\ntrusted comment: x\nAAAA\n", "\u{0}\u{1}"] {
        let garbage = Signature { format: Format::Minisign, bytes: garbage.into() };
        assert!(matches!(flaw(minisigned(&garbage, &echo(), &known)), Flaw::Unreadable(_)));
    }
    let large = Signature { format: Format::Minisign, bytes: vec![b'x'; SIGNATURE_BYTES + 1] };
    assert_eq!(flaw(minisigned(&large, &echo(), &known)), Flaw::TooLarge);
    let many = vec![signature; SIGNATURES + 1];
    assert_eq!(check_all(&many, &echo(), &[], &Roots::default()).unwrap_err().kind(), "signature-invalid");
}

#[test]
fn a_key_is_all_of_it_and_not_its_number() {
    let key = Minisign::new();
    let twin = key.twin();
    assert_eq!(key.signer().number(), twin.signer().number());
    assert_ne!(key.signer(), twin.signer());
    // Who bears the number of a trusted key is not that key, and does not become somebody new either.
    assert_eq!(flaw(minisigned(&twin.sign(&echo()), &echo(), &[key.signer()])), Flaw::Comment);
    fits(&minisigned(&twin.sign(&echo()), &echo(), &[key.signer(), twin.signer()]), &twin.signer());
}

#[test]
fn an_algorithm_is_the_one_that_was_agreed_on() {
    let key = Minisign::new();
    let signature = key.sign(&echo());
    // `ED`, of a digest, said to be `Ed`, of the bytes: 64 bytes that somebody signed could pass for a digest.
    let text = String::from_utf8(signature.bytes.clone()).unwrap();
    let line = text.lines().nth(1).unwrap();
    for (algorithm, expected) in [(b"Ed", Flaw::OldForm), (b"RS", Flaw::Unreadable(String::new()))] {
        let mut bytes = STANDARD.decode(line).unwrap();
        bytes[..2].copy_from_slice(algorithm);
        let found = flaw(minisigned(&edited(&signature, line, &STANDARD.encode(bytes)), &echo(), &[key.signer()]));
        assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&expected), "{found:?}");
    }
    // One format's bytes in the other's place.
    let swapped = Signature { format: Format::Sigstore, bytes: signature.bytes };
    assert!(matches!(flaw(minisigned(&swapped, &echo(), &[key.signer()])), Flaw::Unreadable(_)));
    // A key of one kind is none of another: neither bundle nor signature takes it.
    let ec = Signer::parse(&Key::new().pem()).unwrap();
    fits(&minisigned(&key.sign(&echo()), &echo(), &[ec]), &key.signer());
    for text in ["", "RWQ", "AAAA", &key.public()[2..], "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
        assert_eq!(Signer::parse(text).unwrap_err().kind(), "key-invalid", "{text}");
    }
}

#[test]
fn a_signature_without_its_key_says_nothing_until_the_key_is_known() {
    let key = Minisign::new();
    let plain = key.sign_as(&echo(), "timestamp:1\tfile:echo.wasm");
    let number = key.signer().number().unwrap();
    assert!(matches!(minisigned(&plain, &echo(), &[]), Checked::Unknown(found) if found == number));
    fits(&minisigned(&plain, &echo(), &[key.signer()]), &key.signer());
    // An empty list of keys lets nothing through.
    let checked = vec![minisigned(&plain, &echo(), &[])];
    let error = judged(checked, &[], None, Demand::Require).unwrap().admit(&Terms::default()).unwrap_err();
    assert_eq!(error.kind(), "untrusted-publisher");
    assert!(error.to_string().contains(&number), "{error}");
}

#[test]
fn what_is_made_here_is_plain_minisign() {
    let dir = tempfile::tempdir().unwrap();
    let keys = key::Keys::new(dir.path());
    let password: secrecy::SecretString = "open sesame".to_owned().into();
    for (name, given) in [("open", None), ("shut", Some(&password))] {
        let made = keys.make(name, given).unwrap();
        assert_eq!(made.password, given.is_some());
        let signature = key::sign(&made, given, &echo(), "echo.wasm").unwrap();
        // By minisign's verifier, with the public key's own file.
        let public = std::fs::read_to_string(made.file.with_extension("pub")).unwrap();
        let public = minisign_verify::PublicKey::decode(&public).unwrap();
        let decoded = minisign_verify::Signature::decode(&signature).unwrap();
        public.verify(&echo().bytes(), &decoded, false).unwrap();
        assert!(public.verify(b"other", &decoded, false).is_err());
        assert!(decoded.trusted_comment().contains("\tfile:echo.wasm\tskill:echo 1.0.0\tdigest:sha256:aa\tkey:RW"));
        let signature = Signature { format: Format::Minisign, bytes: signature.into_bytes() };
        fits(&minisigned(&signature, &echo(), &[]), &made.key);
        // For its owner alone, and in no text that is shown.
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&made.file).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = std::fs::read_to_string(&made.file).unwrap();
        assert!(!format!("{made:?}").contains(secret.lines().nth(1).unwrap()));
        assert_eq!(keys.make(name, None).unwrap_err().kind(), "already-exists");
        assert_eq!(std::fs::read_to_string(&made.file).unwrap(), secret, "it is the same as before");
    }
    let shut = keys.find(Some("shut")).unwrap();
    for wrong in [None, Some(secrecy::SecretString::from("sesame"))] {
        assert_eq!(key::sign(&shut, wrong.as_ref(), &echo(), "x").unwrap_err().kind(), "key-invalid");
    }
    assert_eq!(keys.list().unwrap().len(), 2);
    assert_eq!(keys.find(None).unwrap_err().kind(), "not-found", "which of the two?");
    for name in ["../x", "", "A", "a/b"] {
        assert!(keys.make(name, None).is_err(), "{name}");
    }
    // A key that minisign made, wherever it lies.
    let elsewhere = dir.path().join("mine.key");
    std::fs::copy(keys.find(Some("open")).unwrap().file, &elsewhere).unwrap();
    assert_eq!(keys.find(elsewhere.to_str()).unwrap().key, keys.find(Some("open")).unwrap().key);
}

// Sigstore.

struct Stage {
    sigstore: Sigstore,
    roots: Roots,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let (sigstore, dir) = (Sigstore::new(), tempfile::tempdir().unwrap());
        let file = dir.path().join("trusted_root.json");
        std::fs::write(&file, sigstore.root()).unwrap();
        Self { sigstore, roots: Roots::new(Some(file)), _dir: dir }
    }

    fn check(&self, bundle: &serde_json::Value, of: &Statement, known: &[Signer]) -> Checked {
        one(&sigstore(bundle), of, known, &self.roots)
    }
}

fn ada() -> Signer {
    Signer::Identity { identity: IDENTITY.into(), issuer: ISSUER.into() }
}

#[test]
fn a_bundle_says_which_identity_signed() {
    let stage = Stage::new();
    let signed = stage.sigstore.keyless(&echo().bytes(), Holds::Now);
    let good = stage.sigstore.bundle(&signed);
    fits(&stage.check(&good, &echo(), &[]), &ada());

    let other = statement("echo", "1.0.0", FILE, json!({ "kv": {}, "user": {} }));
    assert_eq!(flaw(stage.check(&good, &other, &[])), Flaw::OtherStatement);
    let mut unsaid = good.clone();
    unsaid["messageSignature"].as_object_mut().unwrap().remove("messageDigest");
    fits(&stage.check(&unsaid, &echo(), &[]), &ada());
    assert_eq!(flaw(stage.check(&unsaid, &other, &[])), Flaw::OtherStatement);
    // Another signature of the same statement, with the certificate of this one.
    let mut swapped = good.clone();
    swapped["messageSignature"]["signature"] = json!(STANDARD.encode(Key::new().sign(&echo().bytes())));
    assert_eq!(flaw(stage.check(&swapped, &echo(), &[])), Flaw::OtherStatement);
}

#[test]
fn a_certificate_counts_only_where_the_root_vouches_for_it() {
    let (stage, other) = (Stage::new(), Stage::new());
    let message = echo().bytes();
    // Another authority, with the logs of this one.
    let foreign = other.sigstore.keyless(&message, Holds::Now);
    let found = flaw(stage.check(&stage.sigstore.bundle(&foreign), &echo(), &[]));
    assert!(matches!(found, Flaw::Certificate(_)), "{found:?}");
    // Signed after the certificate had expired.
    let expired = stage.sigstore.keyless(&message, Holds::LongAgo);
    let found = flaw(stage.check(&stage.sigstore.bundle(&expired), &echo(), &[]));
    assert!(
        matches!(&found, Flaw::Certificate(why) if why.contains("expired") || why.contains("Expired")),
        "{found:?}"
    );
    // The public root of sigstore.dev knows none of it.
    let signed = stage.sigstore.keyless(&message, Holds::Now);
    let good = stage.sigstore.bundle(&signed);
    assert!(matches!(one(&sigstore(&good), &echo(), &[], &Roots::default()), Checked::Flawed(_)));
    // A root that cannot be read is the operator's mistake, and lets nothing through.
    for root in [Roots::new(Some("/nowhere".into())), Roots::new(Some("/dev/null".into()))] {
        let error = check_all(&[sigstore(&good)], &echo(), &[], &root).unwrap_err();
        assert_eq!(error.kind(), "config-invalid");
    }
}

#[test]
fn the_log_s_entry_is_of_this_signature_and_no_other() {
    let (stage, other) = (Stage::new(), Stage::new());
    let signed = stage.sigstore.keyless(&echo().bytes(), Holds::Now);
    let of_another_file = stage.sigstore.keyless(b"something else", Holds::Now);
    let of_another_key = stage.sigstore.keyless(&echo().bytes(), Holds::Now);
    let entries = [
        ("of another artefact", vec![stage.sigstore.entry(&of_another_file)]),
        ("of the same artefact by another key", vec![stage.sigstore.entry(&of_another_key)]),
        ("of another log", vec![other.sigstore.entry(&signed)]),
        ("of none", vec![]),
        ("one of this and one of another", vec![stage.sigstore.entry(&signed), stage.sigstore.entry(&of_another_file)]),
    ];
    for (what, entries) in entries {
        let found = stage.check(&bundle(&signed, &entries), &echo(), &[]);
        assert!(matches!(found, Checked::Flawed(_)), "{what}: {found:?}");
    }
    for (pointer, value) in [
        ("/integratedTime", json!("1600000000")),
        ("/inclusionPromise/signedEntryTimestamp", json!("AAAA")),
        ("/inclusionProof/rootHash", json!(STANDARD.encode([0; 32]))),
        ("/inclusionProof/checkpoint/envelope", json!("log.test - 1\n1\nAAAA\n\n\u{2014} log.test AAAA\n")),
    ] {
        let mut entry = stage.sigstore.entry(&signed);
        *entry.pointer_mut(pointer).unwrap() = value;
        let found = stage.check(&bundle(&signed, &[entry]), &echo(), &[]);
        assert!(matches!(found, Checked::Flawed(_)), "{pointer}: {found:?}");
    }
}

#[test]
fn a_bundle_by_a_key_counts_only_where_that_key_is_trusted() {
    let stage = Stage::new();
    let (key, other) = (Key::new(), Key::new());
    let signed = Sigstore::keyed(&echo().bytes(), &key);
    let good = stage.sigstore.bundle(&signed);
    let (theirs, others) = (Signer::parse(&key.pem()).unwrap(), Signer::parse(&other.pem()).unwrap());
    fits(&stage.check(&good, &echo(), &[others.clone(), theirs.clone()]), &theirs);
    for known in [vec![], vec![others.clone()], vec![Minisign::new().signer(), ada()]] {
        assert!(matches!(stage.check(&good, &echo(), &known), Checked::Unknown(_)), "{known:?}");
    }
    let wider = statement("echo", "1.0.0", FILE, json!({}));
    assert_eq!(flaw(stage.check(&good, &wider, std::slice::from_ref(&theirs))), Flaw::OtherStatement);
    // It says that it is by a trusted key, and is not.
    let mut lying = stage.sigstore.bundle(&Sigstore::keyed(&echo().bytes(), &other));
    lying["verificationMaterial"]["publicKey"] = good["verificationMaterial"]["publicKey"].clone();
    assert!(matches!(stage.check(&lying, &echo(), std::slice::from_ref(&theirs)), Checked::Flawed(_)));
    // Without the log's entry, and with that of another signature.
    let entry = stage.sigstore.entry(&Sigstore::keyed(b"something else", &key));
    for entries in [vec![], vec![entry]] {
        let found = stage.check(&bundle(&signed, &entries), &echo(), std::slice::from_ref(&theirs));
        assert!(matches!(found, Checked::Flawed(_)), "{found:?}");
    }
}

#[test]
fn other_forms_of_bundles_are_not_read() {
    let stage = Stage::new();
    let signed = stage.sigstore.keyless(&echo().bytes(), Holds::Now);
    let good = stage.sigstore.bundle(&signed);
    // cosign before version 3: it brings its own key along.
    let old = json!({
        "base64Signature": STANDARD.encode(&signed.signature), "cert": STANDARD.encode(Key::new().pem()),
        "rekorBundle": { "SignedEntryTimestamp": "AAAA", "Payload": {} },
    });
    assert_eq!(flaw(stage.check(&old, &echo(), &[])), Flaw::OldBundle);
    let mut attestation = good.clone();
    attestation.as_object_mut().unwrap().remove("messageSignature");
    attestation["dsseEnvelope"] = json!({ "payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{ "sig": "AAAA", "keyid": "" }] });
    assert_eq!(flaw(stage.check(&attestation, &echo(), &[])), Flaw::Attestation);
    for media in ["application/vnd.dev.sigstore.bundle.v9+json", "", "text/plain"] {
        let mut odd = good.clone();
        odd["mediaType"] = json!(media);
        assert!(matches!(stage.check(&odd, &echo(), &[]), Checked::Flawed(_)), "{media}");
    }
    for garbage in ["", "{}", "[]", "null", &"[".repeat(100_000)] {
        let garbage = Signature { format: Format::Sigstore, bytes: garbage.into() };
        assert!(matches!(flaw(one(&garbage, &echo(), &[], &stage.roots)), Flaw::Unreadable(_)));
    }
}

/// What cosign and the public sigstore.dev really made, checked offline with the root that came along.
#[test]
fn a_real_bundle_of_cosign_holds() {
    let text = include_bytes!("vectors/cosign-v3-blob.txt");
    let bytes = include_bytes!("vectors/cosign-v3-blob.sigstore.json");
    let found = bundle::check(bytes, text, &[], &Roots::default()).unwrap();
    assert!(
        matches!(&found, Checked::Fits(Signer::Identity { issuer, .. }) if issuer == "https://github.com/login/oauth"),
        "{found:?}"
    );
    assert_eq!(flaw(bundle::check(bytes, b"another text", &[], &Roots::default()).unwrap()), Flaw::OtherStatement);
}

// What becomes of it.

fn publisher(name: &str, signer: Signer, revoked: bool) -> Publisher {
    let since = jiff::Timestamp::UNIX_EPOCH;
    Publisher { name: name.into(), signer, since, revoked: revoked.then_some(since) }
}

fn pin(signer: Signer, floor: &str) -> Pin {
    Pin { skill: "echo".into(), signer, source: "./echo.wasm".into(), floor: floor.parse().unwrap() }
}

fn judged(
    checked: Vec<Checked>,
    publishers: &[Publisher],
    pin: Option<Pin>,
    demand: Demand,
) -> Result<Verdict, SignatureError> {
    let (version, kind) = (Version::new(1, 0, 0), SourceKind::File);
    judge(Facts { skill: "echo", version: &version, kind, demand, checked, publishers, pin, before: None })
}

fn trusting() -> Terms {
    Terms { trust: Trusting::Anybody, ..Terms::default() }
}

fn replacing() -> Terms {
    Terms { replace_publisher: true, ..Terms::default() }
}

/// What is installed, by whom it is then, and with which kind of error it is refused.
#[test]
fn what_is_refused_and_what_would_help() {
    let [a, b] = [Minisign::new().signer(), Minisign::new().signer()];
    let fits = |signer: &Signer| vec![Checked::Fits(signer.clone())];
    let none = Vec::new;
    let unknown = || vec![Checked::Unknown("12".into())];
    let flawed = || vec![Checked::Flawed(Flaw::Comment)];
    let known = [publisher("A", a.clone(), false)];
    let gone = [publisher("A", a.clone(), true)];
    let pinned = || Some(pin(a.clone(), "1.0.0"));
    let those = |signer: &Signer| Terms { trust: Trusting::Those(vec![signer.word()]), ..Terms::default() };
    let (plain, require, warn, off) = (Terms::default(), Demand::Require, Demand::Warn, Demand::Off);
    let both = Terms { trust: Trusting::Anybody, ..replacing() };
    let nobody = Terms { trust: Trusting::Those(vec![]), ..Terms::default() };
    type Row<'a> =
        (&'a str, Vec<Checked>, &'a [Publisher], Option<Pin>, Demand, Terms, Result<Option<Signer>, &'a str>);
    let rows: Vec<Row<'_>> = vec![
        // Nobody signed.
        ("unsigned", none(), &[], None, require, plain.clone(), Err("unsigned")),
        ("unsigned, warned of", none(), &[], None, warn, plain.clone(), Ok(None)),
        ("unsigned, nobody asked", none(), &[], None, off, plain.clone(), Ok(None)),
        ("unsigned, and a publisher was named", none(), &[], None, warn, those(&a), Err("unsigned")),
        ("not looked at, and a publisher was named", none(), &[], None, off, trusting(), Err("unsigned")),
        ("unsigned in place of a signed one", none(), &known, pinned(), warn, plain.clone(), Err("unsigned")),
        ("the same with nothing asked", none(), &known, pinned(), off, plain.clone(), Err("unsigned")),
        ("the same, and the person knows", none(), &known, pinned(), warn, replacing(), Ok(None)),
        // Somebody did.
        ("trusted", fits(&a), &known, None, require, plain.clone(), Ok(Some(a.clone()))),
        ("new", fits(&b), &known, None, require, plain.clone(), Err("untrusted-publisher")),
        ("new, warned of", fits(&b), &known, None, warn, plain.clone(), Ok(None)),
        ("new, and whoever it is will do", fits(&b), &known, None, require, trusting(), Ok(Some(b.clone()))),
        ("new, and named", fits(&b), &known, None, require, those(&b), Ok(Some(b.clone()))),
        ("new, and another one named", fits(&b), &known, None, warn, those(&a), Err("untrusted-publisher")),
        ("new, and the person said no", fits(&b), &known, None, warn, nobody, Err("untrusted-publisher")),
        ("by a key that did not come along", unknown(), &known, None, require, trusting(), Err("untrusted-publisher")),
        ("the same, warned of", unknown(), &known, None, warn, plain.clone(), Ok(None)),
        ("does not fit", flawed(), &known, None, warn, trusting(), Err("signature-invalid")),
        ("does not fit, nobody asked", flawed(), &known, None, off, plain.clone(), Ok(None)),
        (
            "does not fit, nobody asked, but it was signed",
            flawed(),
            &known,
            pinned(),
            off,
            both.clone(),
            Err("signature-invalid"),
        ),
        ("revoked", fits(&a), &gone, None, warn, trusting(), Err("signature-invalid")),
        ("revoked, and still pinned", fits(&a), &gone, pinned(), warn, both.clone(), Err("signature-invalid")),
        // Pinned.
        ("the same publisher", fits(&a), &[], pinned(), require, plain.clone(), Ok(Some(a.clone()))),
        ("another, new", fits(&b), &[], pinned(), warn, trusting(), Err("signature-invalid")),
        (
            "another, trusted",
            fits(&a),
            &known,
            Some(pin(b.clone(), "1.0.0")),
            require,
            plain.clone(),
            Err("signature-invalid"),
        ),
        (
            "another, trusted, and the person knows",
            fits(&a),
            &known,
            Some(pin(b.clone(), "1.0.0")),
            require,
            replacing(),
            Ok(Some(a.clone())),
        ),
        (
            "another, new, and the person knows half of it",
            fits(&b),
            &[],
            pinned(),
            require,
            replacing(),
            Err("untrusted-publisher"),
        ),
        ("another, new, and the person knows", fits(&b), &[], pinned(), require, both, Ok(Some(b.clone()))),
        ("a key that is not known", unknown(), &known, pinned(), warn, plain.clone(), Err("signature-invalid")),
        // More than one.
        (
            "a good one beside a bad one",
            [flawed(), fits(&a)].concat_all(),
            &known,
            None,
            require,
            plain.clone(),
            Ok(Some(a.clone())),
        ),
        (
            "a bad one beside an unknown one",
            [unknown(), flawed()].concat_all(),
            &known,
            None,
            warn,
            plain.clone(),
            Err("signature-invalid"),
        ),
        (
            "the pinned one beside a trusted one",
            [fits(&a), fits(&b)].concat_all(),
            &known,
            Some(pin(b.clone(), "1.0.0")),
            require,
            plain,
            Ok(Some(b.clone())),
        ),
    ];
    for (what, checked, publishers, pin, demand, terms, expected) in rows {
        let verdict = judged(checked, publishers, pin, demand);
        let done = verdict.and_then(|verdict| verdict.admit(&terms).map(|()| verdict.owner(&terms).cloned()));
        match (done, expected) {
            (Ok(owner), Ok(expected)) => assert_eq!(owner, expected, "{what}"),
            (Err(error), Err(kind)) => {
                assert_eq!(error.kind(), kind, "{what}: {error}");
                assert!(!error.hint().is_empty() && !error.to_string().contains('\n'), "{what}");
            }
            (done, expected) => panic!("{what}: {done:?} instead of {expected:?}"),
        }
    }
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Checked>;
}

impl<const N: usize> ConcatAll for [Vec<Checked>; N] {
    fn concat_all(self) -> Vec<Checked> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn what_is_built_here_needs_no_signature_and_takes_no_signed_one_s_place() {
    let signer = Minisign::new().signer();
    let version = Version::new(1, 0, 0);
    let verdict = |pin: Option<Pin>| {
        let (kind, demand) = (SourceKind::Folder, SignatureSettings::default().demand(SourceKind::Folder));
        judge(Facts {
            skill: "echo",
            version: &version,
            kind,
            demand,
            checked: vec![],
            publishers: &[],
            pin,
            before: None,
        })
        .unwrap()
    };
    assert_eq!(verdict(None).standing, Standing::Built);
    verdict(None).admit(&Terms::default()).unwrap();
    let taken = verdict(Some(pin(signer, "0.1.0")));
    assert_eq!(taken.admit(&Terms::default()).unwrap_err().kind(), "unsigned");
    taken.admit(&replacing()).unwrap();
    assert_eq!(taken.pin_after(&replacing(), "here"), None, "it is anybody's then");
}

#[test]
fn an_older_version_takes_no_newer_one_s_place() {
    let signer = Minisign::new().signer();
    let verdict = |version: &str, before: Option<&str>, floor: Option<&str>| {
        let version: Version = version.parse().unwrap();
        let before = before.map(|before| before.parse().unwrap());
        let (pin, checked) = (floor.map(|floor| pin(signer.clone(), floor)), vec![Checked::Fits(signer.clone())]);
        let known = [publisher("A", signer.clone(), false)];
        let (kind, demand) = (SourceKind::Index, Demand::Require);
        judge(Facts { skill: "echo", version: &version, kind, demand, checked, publishers: &known, pin, before })
            .unwrap()
    };
    let allowed = Terms { allow_downgrade: true, ..Terms::default() };
    for (version, before, floor, fine) in [
        ("1.0.0", None, None, true),
        ("1.0.0", Some("1.0.0"), Some("1.0.0"), true),
        ("1.0.1", Some("1.0.0"), Some("1.0.0"), true),
        ("1.0.0+build.2", Some("1.0.0+build.9"), None, true),
        ("1.0.0", Some("1.0.1"), None, false),
        ("1.0.0-rc.1", Some("1.0.0"), None, false),
        // It was removed, or an older one was let in: what was there once is remembered.
        ("1.5.0", None, Some("2.0.0"), false),
        ("1.5.0", Some("1.0.0"), Some("2.0.0"), false),
    ] {
        let verdict = verdict(version, before, floor);
        let done = verdict.admit(&Terms::default());
        assert_eq!(done.is_ok(), fine, "{version} {before:?} {floor:?}: {done:?}");
        if let Err(error) = done {
            assert_eq!(error.kind(), "rollback-refused");
        }
        verdict.admit(&allowed).unwrap();
    }
    let floor = |verdict: Verdict| verdict.pin_after(&allowed, "x").unwrap().floor.to_string();
    assert_eq!(floor(verdict("1.5.0", None, Some("2.0.0"))), "2.0.0");
    assert_eq!(floor(verdict("2.5.0", None, Some("2.0.0"))), "2.5.0");
}

#[tokio::test]
async fn whom_a_person_trusts_and_revoked_is_kept() {
    let (_dir, state) = crate::state::testing::temporary();
    let (store, a, b) =
        (publishers::Publishers::new(state.clone()), Minisign::new().signer(), Minisign::new().signer());
    store.trust("Ada", &a, false).await.unwrap();
    store.trust("Ada", &ada(), false).await.unwrap();
    for name in ["", "-x", "a\nb", "a\u{202e}", &"x".repeat(65)] {
        assert_eq!(store.trust(name, &b, false).await.unwrap_err().kind(), "key-invalid", "{name:?}");
    }
    assert_eq!(store.all().await.unwrap().len(), 2);
    // All keys of a name.
    assert_eq!(store.revoke("Ada").await.unwrap().len(), 2);
    assert!(store.all().await.unwrap().iter().all(|one| one.revoked.is_some()));
    assert_eq!(store.trust("Other", &a, false).await.unwrap_err().kind(), "untrusted-publisher");
    store.trust("Other", &a, true).await.unwrap();
    assert_eq!(store.all().await.unwrap().iter().filter(|one| one.revoked.is_none()).count(), 1);
    // One that was never trusted, by its key, and one that only a pin knows.
    assert_eq!(store.revoke(&b.word()).await.unwrap()[0].signer, b);
    assert_eq!(store.revoke("nobody").await.unwrap_err().kind(), "not-found");
    let put = |tx: &rusqlite::Transaction<'_>| publishers::Publishers::put_pin(tx, &pin(ada(), "1.0.0"));
    state.write(put).await.unwrap();
    assert_eq!(store.pin("echo").await.unwrap(), Some(pin(ada(), "1.0.0")));
    store.remove_pin("echo").await.unwrap();
    assert_eq!(store.pins().await.unwrap(), []);
}
