//! The way out against servers that are not who they say.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::testing::{Names, With, text};
use crate::error::Refusal;

/// An authority that only these tests trust.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "The tests' authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
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

/// Asks a server with this certificate for `https://good.test/`.
async fn ask(authority: &CertifiedIssuer<'static, KeyPair>, leaf: Leaf, alpn: &[&[u8]]) -> Result<String, Refusal> {
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
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut head = [0; 4096];
                let n = stream.read(&mut head).await.unwrap_or(0);
                assert!(n > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(AsRef::<rcgen::Certificate>::as_ref(authority).der().clone()).unwrap();
    let names = Names::of(&[("good.test", &["127.0.0.1"])]);
    let tls = Some(crate::tls::trusting(roots));
    let ground = With { names, tls, reachable: vec!["127.0.0.1"], ..With::grant(url.clone()) }.open().await;
    let answer = match ground.get(&url).await {
        Ok(answer) => text(answer).await,
        Err(refusal) => Err(refusal),
    };
    server.abort();
    answer
}

#[tokio::test]
async fn t68_only_a_server_with_the_right_certificate_is_spoken_to() {
    let ours = authority();
    let good = ask(&ours, leaf(Some(&ours), named("good.test")), &[b"http/1.1"]).await;
    assert_eq!(good.unwrap(), "hello");

    let mut expired = named("good.test");
    (expired.not_before, expired.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let mut future = named("good.test");
    future.not_before = rcgen::date_time_ymd(2999, 1, 1);
    let mut in_subject_only = CertificateParams::new(Vec::new()).unwrap();
    in_subject_only.distinguished_name.push(DnType::CommonName, "good.test");
    let strangers = authority();
    for (what, leaf) in [
        ("self-signed", leaf(None, named("good.test"))),
        ("expired", leaf(Some(&ours), expired)),
        ("not yet valid", leaf(Some(&ours), future)),
        ("of another name", leaf(Some(&ours), named("evil.test"))),
        ("with the name in its subject only", leaf(Some(&ours), in_subject_only)),
        ("by another authority", leaf(Some(&strangers), named("good.test"))),
    ] {
        let refusal = ask(&ours, leaf, &[b"http/1.1"]).await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Unavailable(why) if why.contains("certificate")), "{what}: {refusal}");
    }
}

#[tokio::test]
async fn t68_old_protocols_and_junk_are_no_tls() {
    // What a server of TLS 1.1 answers, a server that negotiates what nobody offered, and one that speaks no TLS.
    let old: &[u8] = &[0x16, 3, 2, 0, 0x2d, 2, 0, 0, 0x29, 3, 2];
    for said in
        [[old, &[7; 32], &[0, 0x2f, 0]].concat(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![0x15, 3, 1, 0, 2, 2, 70]]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://good.test:{}/", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // The other side may have gone after the first bytes.
            stream.write_all(&said).await.ok();
            stream.shutdown().await.ok();
        });
        let names = Names::of(&[("good.test", &["127.0.0.1"])]);
        let ground = With { names, reachable: vec!["127.0.0.1"], ..With::grant(url.clone()) }.open().await;
        let refusal = ground.get(&url).await.err().unwrap();
        assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal}");
        server.await.unwrap();
    }
    let ours = authority();
    let junk = ask(&ours, leaf(Some(&ours), named("good.test")), &[b"junk"]).await;
    assert!(matches!(junk, Err(Refusal::Unavailable(_))), "{junk:?}");
}

/// No build and no configuration has a switch that accepts any certificate.
#[test]
fn t68_nothing_accepts_invalid_certificates() {
    let sources = [include_str!("client.rs"), include_str!("egress.rs"), include_str!("../../tls.rs")];
    for word in ["danger", "accept_invalid", "ServerCertVerifier"] {
        assert!(sources.iter().all(|source| !source.contains(word)), "{word}");
    }
}
