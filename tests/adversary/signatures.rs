//! Skills that are not what their signature says, or not whose.

use std::path::{Path, PathBuf};

use ringfence_core::catalog::Incoming;
use ringfence_core::catalog::signature::{Format, Signature, SourceKind, Terms, Trusting};
use ringfence_core::journal::audit::Filter;
use ringfence_core::{Candidate, Error};
use serde_json::json;

use crate::ground::Ground;
use crate::support::wat;

fn skill(name: &str, version: &str, permissions: serde_json::Value) -> Vec<u8> {
    let manifest = json!({ "name": name, "version": version, "description": "Acts.", "permissions": permissions });
    wat::packaged(wat::skill("(i32.const 128)", "", ""), &manifest)
}

/// Publishers and what they signed.
struct Stage {
    ground: Ground,
}

impl Stage {
    /// Ada is trusted, Eve is not.
    async fn new() -> Self {
        let ground = Ground::new().await;
        let host = &ground.host.host;
        let ada = host.make_key("ada", None).await.unwrap();
        host.make_key("eve", None).await.unwrap();
        host.trust("Ada", &ada.key, false).await.unwrap();
        Self { ground }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        self.ground.host.home.write(&format!("work/{name}"), bytes)
    }

    async fn sign(&self, file: &Path, key: &str) -> Signature {
        let host = &self.ground.host.host;
        let written = host.sign(file, &host.key(Some(key)).unwrap(), None).await.unwrap();
        Signature { format: Format::Minisign, bytes: std::fs::read(written).unwrap() }
    }

    /// As if it had been fetched: what is asked of it is the default.
    async fn fetched(&self, bytes: &[u8], stem: &str, signatures: Vec<Signature>) -> Result<Candidate, Error> {
        let (kind, source) = (SourceKind::Https, format!("https://skills.test/{stem}.wasm"));
        let incoming = Incoming { bytes: bytes.to_vec(), stem: stem.into(), source, kind, signatures };
        self.ground.host.host.consider_incoming(incoming, None).await
    }

    /// Tries to install it on these terms. The kind of the error, and its sentence.
    async fn install(
        &self,
        bytes: &[u8],
        stem: &str,
        signatures: Vec<Signature>,
        terms: Terms,
    ) -> Result<(), (&'static str, String)> {
        let told = |error: Error| (error.kind(), error.to_string());
        let mut candidate = self.fetched(bytes, stem, signatures).await.map_err(told)?;
        candidate.accept(terms).map_err(told)?;
        self.ground.host.host.install(candidate).await.map(drop).map_err(told)
    }

    async fn versions(&self) -> Vec<String> {
        let installed = self.ground.host.host.list().await.unwrap();
        installed.iter().map(|skill| format!("{} {}", skill.name, skill.manifest.version)).collect()
    }
}

fn edited(signature: &Signature, from: &str, to: &str) -> Signature {
    let text = String::from_utf8(signature.bytes.clone()).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    Signature { format: signature.format, bytes: text.replacen(from, to, 1).into_bytes() }
}

/// Whoever it is, and whatever it replaces: what a person can be talked into.
fn gullible() -> Terms {
    Terms { trust: Trusting::Anybody, replace_publisher: true, allow_downgrade: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn t104_a_signature_that_does_not_fit_lets_nothing_in_whatever_the_person_says() {
    let stage = Stage::new().await;
    let good = skill("echo", "1.0.0", json!({}));
    let wider = skill("echo", "1.0.0", json!({ "kv": {} }));
    let newer = skill("echo", "1.0.1", json!({}));
    let other = skill("echoo", "1.0.0", json!({}));
    let file = stage.write("echo.wasm", &good);
    let signature = stage.sign(&file, "ada").await;
    let text = String::from_utf8(signature.bytes.clone()).unwrap();
    let (head, comment) = (text.lines().nth(1).unwrap(), text.lines().nth(3).unwrap());
    let with = |bytes: &[u8], format| Signature { format, bytes: bytes.to_vec() };

    let mut flipped = good.clone();
    let last = flipped.len() - 4;
    flipped[last] ^= 1;
    let attacks: Vec<(&str, &[u8], Signature, &str)> = vec![
        ("another file with wider rights", &wider, signature.clone(), "of another file"),
        ("another version", &newer, signature.clone(), "of another file"),
        ("another name", &other, signature.clone(), "of another file"),
        (
            "the trusted comment edited",
            &good,
            edited(&signature, "skill:echo 1.0.0", "skill:echo 9.0.0"),
            "comment was edited",
        ),
        (
            "the comment's signature taken from elsewhere",
            &good,
            edited(&signature, comment, &comment.replace(&comment[..4], "AAAA")),
            "comment was edited",
        ),
        ("the old form of minisign", &good, edited(&signature, &head[..4], "RWRX"), "old form"),
        ("another algorithm", &good, edited(&signature, &head[..4], "AAAA"), "algorithm"),
        (
            "cosign's old bundle",
            &good,
            with(br#"{"base64Signature":"AAAA","cert":"AAAA"}"#, Format::Sigstore),
            "cosign's old form",
        ),
        ("a bundle that is none", &good, with(b"{}", Format::Sigstore), "not written as a signature"),
        ("minisign said to be a bundle", &good, with(&signature.bytes, Format::Sigstore), "not written as a signature"),
        ("too much of it", &good, with(&vec![b'x'; 300 << 10], Format::Minisign), "longer than"),
    ];
    for (what, bytes, signature, sentence) in attacks {
        let (kind, said) = stage.install(bytes, "echo", vec![signature], gullible()).await.expect_err(what);
        assert_eq!(kind, "signature-invalid", "{what}: {said}");
        assert!(said.contains(sentence) && !said.contains('\n'), "{what}: {said}");
    }
    assert_ne!(good, flipped);
    assert!(stage.install(&flipped, "echo", vec![signature.clone()], gullible()).await.is_err());
    let many = vec![signature.clone(); 17];
    assert_eq!(stage.install(&good, "echo", many, gullible()).await.unwrap_err().0, "signature-invalid");

    // A plain component has its name from its file, so the same bytes under another name are another skill.
    let plain = wat::plain(
        r#"(func (export "one") (result i32) (i32.const 1))"#,
        r#"(func (export "one") (result s32) LIFT one)"#,
    );
    let plain_signature = stage.sign(&stage.write("adder.wasm", &plain), "ada").await;
    let (kind, said) =
        stage.install(&plain, "subtractor", vec![plain_signature.clone()], gullible()).await.unwrap_err();
    assert_eq!(kind, "signature-invalid");
    assert!(said.contains("it is of `adder 0.0.0`, and this is `subtractor 0.0.0`"), "{said}");

    assert_eq!(stage.versions().await, [""; 0]);
    assert_eq!(stage.ground.host.home.files("data"), [""; 0], "nothing is left on disk");
    let refused = stage.ground.host.host.audit().list(Filter::default(), 1_000).await.unwrap();
    let refused = refused.iter().filter(|record| record.kind == "add-refused").count();
    assert_eq!(refused, 14, "each is on record");

    // As it is, it is let in without a word.
    stage.install(&good, "echo", vec![signature], Terms::default()).await.unwrap();
    stage.install(&plain, "adder", vec![plain_signature], Terms::default()).await.unwrap();
    assert_eq!(stage.versions().await, ["adder 0.0.0", "echo 1.0.0"]);
    stage.ground.host.still_works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t104_nobody_s_and_other_people_s_and_revoked_keys_let_nothing_in() {
    let stage = Stage::new().await;
    let host = &stage.ground.host.host;
    let good = skill("echo", "1.0.0", json!({}));
    let file = stage.write("echo.wasm", &good);
    let (eve, ada) = (stage.sign(&file, "eve").await, stage.sign(&file, "ada").await);
    let kind =
        async |signatures, terms| stage.install(&good, "echo", signatures, terms).await.map_err(|(kind, _)| kind);
    // None, also where the person takes anybody.
    assert_eq!(kind(vec![], Terms::default()).await, Err("unsigned"));
    assert_eq!(kind(vec![], gullible()).await, Err("unsigned"));
    // By somebody who is not trusted.
    assert_eq!(kind(vec![eve.clone()], Terms::default()).await, Err("untrusted-publisher"));
    let named = Terms { trust: Trusting::Those(vec![host.key(Some("ada")).unwrap().key.word()]), ..Terms::default() };
    assert_eq!(kind(vec![eve.clone()], named).await, Err("untrusted-publisher"));
    // Eve says that it was Ada.
    let swapped = edited(&eve, &host.key(Some("eve")).unwrap().key.word(), &host.key(Some("ada")).unwrap().key.word());
    assert!(kind(vec![swapped], gullible()).await.is_err());

    kind(vec![ada.clone()], Terms::default()).await.unwrap();
    // It is Ada's from now on; what a person may be talked into has to be said.
    let newer = skill("echo", "2.0.0", json!({}));
    let file = stage.write("echo.wasm", &newer);
    let eve = stage.sign(&file, "eve").await;
    let anybody = Terms { trust: Trusting::Anybody, ..Terms::default() };
    let (kind, said) = stage.install(&newer, "echo", vec![eve], anybody).await.unwrap_err();
    assert_eq!(kind, "signature-invalid");
    assert!(said.contains("`echo` is pinned to the minisign key"), "{said}");
    // Without its signature it is nobody's, and so not Ada's.
    assert_eq!(stage.install(&newer, "echo", vec![], Terms::default()).await.unwrap_err().0, "unsigned");

    // Revoked: also what was signed before, and whatever is said.
    let ada = stage.sign(&file, "ada").await;
    host.distrust("Ada").await.unwrap();
    let (kind, said) = stage.install(&newer, "echo", vec![ada], gullible()).await.unwrap_err();
    assert_eq!(kind, "signature-invalid");
    assert!(said.contains("which was revoked here"), "{said}");
    assert_eq!(stage.versions().await, ["echo 1.0.0"]);
    stage.ground.host.still_works().await;
}

/// What was there once is not replaced by an older one, though its signature is good.
#[tokio::test(flavor = "multi_thread")]
async fn t105_an_old_version_with_a_good_signature_is_refused() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for version in ["1.0.0", "1.1.0"] {
        let bytes = skill("echo", version, json!({}));
        let signature = stage.sign(&stage.write("echo.wasm", &bytes), "ada").await;
        made.push((bytes, signature));
    }
    let [(old, of_old), (new, of_new)] = [made[0].clone(), made[1].clone()];
    stage.install(&new, "echo", vec![of_new], Terms::default()).await.unwrap();
    let refused = async || stage.install(&old, "echo", vec![of_old.clone()], Terms::default()).await.unwrap_err().0;
    assert_eq!(refused().await, "rollback-refused");
    stage.ground.host.host.remove("echo", false).await.unwrap();
    assert_eq!(refused().await, "rollback-refused", "the version is remembered");
    let allowed = Terms { allow_downgrade: true, ..Terms::default() };
    stage.install(&old, "echo", vec![of_old.clone()], allowed).await.unwrap();
    assert_eq!(refused().await, "rollback-refused", "once allowed is not for ever");
}
