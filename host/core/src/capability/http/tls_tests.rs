//! The way out against servers that are not who they say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::testing::{Names, With, text};
use crate::error::Refusal;

/// An authority that only these tests trust.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(of_authority("The tests' authority"), KeyPair::generate().unwrap()).unwrap()
}

fn of_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// One that `above` answers for.
fn below(above: &CertifiedIssuer<'static, KeyPair>, params: CertificateParams) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), above).unwrap()
}

struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn leaf(issuer: Option<&CertifiedIssuer<'static, KeyPair>>, params: CertificateParams) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Leaf { chain: vec![certificate.der().clone()], key }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// What a server's answer was, and how many requests it read.
type Asked = (Result<String, Refusal>, usize);

/// Asks a server with this certificate for `https://good.test/`; whom one trusts is `authority`, or else whoever the product trusts.
async fn ask(authority: Option<&CertifiedIssuer<'static, KeyPair>>, leaf: Leaf, alpn: &[&[u8]]) -> Asked {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain, leaf.key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://good.test:{}/", listener.local_addr().unwrap().port());
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                // One that does not like the certificate may learn of it only now, and goes without a word.
                if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                    count.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.ok();
                }
                stream.shutdown().await.ok();
            }
        }
    });
    let tls = authority.map(|authority| {
        let mut roots = RootCertStore::empty();
        roots.add(AsRef::<rcgen::Certificate>::as_ref(authority).der().clone()).unwrap();
        crate::tls::trusting(roots)
    });
    let answer = said_by(&url, tls).await;
    server.abort();
    (answer, read.load(Ordering::SeqCst))
}

/// Gets `https://good.test:PORT/` on this machine.
async fn said_by(url: &str, tls: Option<rustls::ClientConfig>) -> Result<String, Refusal> {
    let names = Names::of(&[("good.test", &["127.0.0.1"])]);
    let ground = With { names, tls, reachable: vec!["127.0.0.1"], ..With::grant(url) }.open().await;
    text(ground.get(url).await?).await
}

#[tokio::test]
async fn t68_only_a_server_with_the_right_certificate_is_spoken_to() {
    let ours = authority();
    let middle = below(&ours, of_authority("One that ours answers for"));
    let through = |issuer: &CertifiedIssuer<'static, KeyPair>, params: CertificateParams| {
        let mut leaf = leaf(Some(issuer), params);
        leaf.chain.push(AsRef::<rcgen::Certificate>::as_ref(issuer).der().clone());
        leaf
    };
    for (what, leaf) in [
        ("by ours", leaf(Some(&ours), named("good.test"))),
        ("by one that ours answers for", through(&middle, named("good.test"))),
    ] {
        let (answer, read) = ask(Some(&ours), leaf, &[b"http/1.1"]).await;
        assert_eq!((answer.unwrap().as_str(), read), ("hello", 1), "{what}");
    }

    let mut expired = named("good.test");
    (expired.not_before, expired.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let mut future = named("good.test");
    future.not_before = rcgen::date_time_ymd(2999, 1, 1);
    let mut in_subject_only = CertificateParams::new(Vec::new()).unwrap();
    in_subject_only.distinguished_name.push(DnType::CommonName, "good.test");
    let mut in_subject_too = named("evil.test");
    in_subject_too.distinguished_name.push(DnType::CommonName, "good.test");
    let mut for_clients = named("good.test");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut no_authority = of_authority("A leaf");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let mut over = of_authority("One whose time is over");
    (over.not_before, over.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let mut of_others = of_authority("One that answers for others");
    of_others.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("evil.test".into())],
        excluded_subtrees: Vec::new(),
    });
    let strangers = authority();
    for (what, leaf) in [
        ("self-signed", leaf(None, named("good.test"))),
        ("expired", leaf(Some(&ours), expired)),
        ("not yet valid", leaf(Some(&ours), future)),
        ("of another name", leaf(Some(&ours), named("evil.test"))),
        ("of all names below it", leaf(Some(&ours), named("*.good.test"))),
        ("of the address", leaf(Some(&ours), named("127.0.0.1"))),
        ("with the name in its subject only", leaf(Some(&ours), in_subject_only)),
        ("with the name in its subject and another beside it", leaf(Some(&ours), in_subject_too)),
        ("by another authority", leaf(Some(&strangers), named("good.test"))),
        ("for clients", leaf(Some(&ours), for_clients)),
        ("by one that is no authority", through(&below(&ours, no_authority), named("good.test"))),
        ("by one whose time is over", through(&below(&ours, over), named("good.test"))),
        ("by one that may not speak for the name", through(&below(&ours, of_others), named("good.test"))),
        ("by one that is not shown", leaf(Some(&middle), named("good.test"))),
    ] {
        let (answer, read) = ask(Some(&ours), leaf, &[b"http/1.1"]).await;
        let refusal = answer.unwrap_err();
        assert!(matches!(&refusal, Refusal::Unavailable(why) if why.contains("certificate")), "{what}: {refusal}");
        assert_eq!(read, 0, "{what}: nothing of the request was told");
    }
}

/// As the program has it, with the certificates of the system.
#[tokio::test]
async fn t68_the_system_trusts_none_of_these() {
    let ours = authority();
    for leaf in [leaf(None, named("good.test")), leaf(Some(&ours), named("good.test"))] {
        let (answer, read) = ask(None, leaf, &[b"http/1.1"]).await;
        let refusal = answer.unwrap_err();
        assert!(matches!(&refusal, Refusal::Unavailable(why) if why.contains("certificate")), "{refusal}");
        assert_eq!(read, 0);
    }
}

/// A `ServerHello` of this version in a record, with these extensions.
fn hello(version: u8, cipher: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut body = [&[3, version][..], &[7; 32], &[0], &cipher, &[0]].concat();
    if !extensions.is_empty() {
        body.extend([&length(extensions)[..], extensions].concat());
    }
    let message = [&[2, 0][..], &length(&body), &body].concat();
    [&[0x16, 3, version][..], &length(&message), &message].concat()
}

#[tokio::test]
async fn t68_old_protocols_and_junk_are_no_tls() {
    // A protocol that nobody offered: ALPN, one name of four bytes.
    let junk: &[u8] = &[0, 0x10, 0, 7, 0, 5, 4, b'j', b'u', b'n', b'k'];
    for (what, said, words) in [
        ("TLS 1.0", hello(1, [0, 0x2f], &[]), "ServerDoesNotSupportTls12Or13"),
        ("TLS 1.1", hello(2, [0, 0x2f], &[]), "ServerDoesNotSupportTls12Or13"),
        ("SSL 3", hello(0, [0, 0x2f], &[]), "ServerDoesNotSupportTls12Or13"),
        ("another protocol inside of it", hello(3, [0xc0, 0x2f], junk), "SelectedUnofferedApplicationProtocol"),
        ("no TLS", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "InvalidContentType"),
        ("a refusal of the version", vec![0x15, 3, 1, 0, 2, 2, 70], "ProtocolVersion"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://good.test:{}/", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // The other side may have gone after the first bytes.
            stream.write_all(&said).await.ok();
            stream.shutdown().await.ok();
        });
        let refusal = said_by(&url, Some(crate::tls::trusting(RootCertStore::empty()))).await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Unavailable(why) if why.contains(words)), "{what}: {refusal}");
        server.await.unwrap();
    }
    // Servers that insist on what nobody offered, and one that insists on nothing.
    let ours = authority();
    for (alpn, works) in [(&[b"junk"][..], false), (&[], true)] {
        let alpn: Vec<&[u8]> = alpn.iter().map(|name| &name[..]).collect();
        let (answer, _) = ask(Some(&ours), leaf(Some(&ours), named("good.test")), &alpn).await;
        assert_eq!(answer.is_ok(), works, "{alpn:?}: {answer:?}");
        assert!(works || matches!(answer, Err(Refusal::Unavailable(_))));
    }
}

/// All sources and manifests below `folder`, but not what was made from them.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                sources(&path, into);
            }
        } else if name.ends_with(".rs") || name == "Cargo.toml" {
            into.push(path);
        }
    }
}

/// Nothing that is built here has a switch that accepts any certificate. That no setting is one is held by
/// `t68_no_setting_accepts_invalid_certificates`.
#[test]
fn t68_nothing_accepts_invalid_certificates() {
    // In two parts, so that this file is looked through as well.
    let switches = [
        concat!("dang", "er_"),
        concat!("dang", "erous("),
        concat!("client::dang", "er"),
        concat!("accept_", "invalid"),
        concat!("ServerCert", "Verif"),
        concat!("with_custom_certificate_", "verifier"),
    ];
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = vec![top.join("Cargo.toml")];
    for folder in ["host", "sdk", "plugins", "tests"] {
        sources(&top.join(folder), &mut all);
    }
    let mut configured = Vec::new();
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in switches {
            assert!(!text.contains(word), "`{word}` in {}", path.display());
        }
        let name = path.strip_prefix(&top).unwrap().display().to_string();
        if name.starts_with("host/") {
            // Every client has the one configuration.
            let made = text.matches(concat!("Client::build", "er()")).count()
                + text.matches(concat!("Client::n", "ew()")).count();
            assert_eq!(made, text.matches(concat!(".tls_backend_", "preconfigured(")).count(), "{name}");
            if text.contains(concat!("ClientConfig::build", "er")) {
                configured.push(name);
            }
        }
    }
    assert_eq!(configured, ["host/core/src/tls.rs"], "where it is said whom one trusts");
}
