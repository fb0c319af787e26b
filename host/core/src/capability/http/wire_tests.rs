//! The way out against peers that speak HTTP badly, and what is on the wire.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderValue};

use super::secrets::{Redact, Secrets};
use super::testing::{Peer, With, ok, redirect, text};
use super::{HttpSettings, Origin};
use crate::broker::Session;
use crate::error::Refusal;

#[tokio::test]
async fn t65_the_head_on_the_wire_is_the_hosts_own() {
    let peer = Peer::polite().await;
    let ground = With::grant(peer.url("")).open().await;
    for url in [peer.url("/a?b"), peer.url("//evil.test/x"), peer.url("/http://evil.test/")] {
        text(ground.get(&url).await.unwrap()).await.unwrap();
    }
    for head in peer.heads() {
        let lines: Vec<_> = head.trim_end().split("\r\n").collect();
        assert!(lines[0].starts_with("GET /") && lines[0].ends_with(" HTTP/1.1"), "origin form: {head}");
        let hosts: Vec<_> = lines.iter().filter(|line| line.to_lowercase().starts_with("host:")).collect();
        assert_eq!(hosts, [&format!("host: {}", peer.at).as_str()], "{head}");
        for absent in ["content-length", "transfer-encoding", "connection", "cookie", "proxy", "forwarded", "referer"] {
            assert!(!head.to_lowercase().contains(absent), "{absent}: {head}");
        }
    }
}

/// A response's head and body, as raw bytes.
async fn of(raw: Vec<u8>) -> Result<String, Refusal> {
    let peer = Peer::says(move |_| raw.clone()).await;
    let with = With::grant(peer.url(""));
    let settings = HttpSettings { response_kib: 1024, head_seconds: 2, ..with.settings.clone() };
    let ground = With { settings, ..with }.open().await;
    text(ground.get(&peer.url("/")).await?).await
}

#[tokio::test]
async fn t66_heads_have_a_largest_size() {
    let with = |headers: String| of(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n").into());
    assert_eq!(with("x: y\r\n".repeat(100)).await.unwrap(), "");
    for (what, headers) in [
        ("lines", "x: y\r\n".repeat(100_000)),
        ("a few too many", (0..300).map(|n| format!("x-{n}: y\r\n")).collect()),
        ("bytes", format!("x: {}\r\n", "y".repeat(10 << 20))),
        ("just above", (0..3).map(|n| format!("x-{n}: {}\r\n", "y".repeat(30 << 10))).collect()),
    ] {
        let refusal = with(headers).await.unwrap_err();
        assert!(matches!(refusal, Refusal::TooLarge(_) | Refusal::Unavailable(_)), "{what}: {refusal}");
    }
}

#[tokio::test]
async fn t66_bodies_that_lie_or_never_end_are_refused() {
    let head = "HTTP/1.1 200 OK\r\n";
    let long = "y".repeat((1 << 20) + 1);
    for (what, raw) in [
        ("too large", format!("{head}content-length: {}\r\n\r\n{long}", long.len())),
        ("too large to the end of the connection", format!("{head}connection: close\r\n\r\n{long}")),
        ("a chunk of 2^63 bytes", format!("{head}transfer-encoding: chunked\r\n\r\n8000000000000000\r\nabc!hang")),
        ("a chunk that is no number", format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\nabc!hang")),
        ("less than it says", format!("{head}content-length: 10\r\n\r\nabc!hang")),
        ("two lengths", format!("{head}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd!hang")),
        ("never ends", format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n!hang")),
        ("says nothing", "HTTP/1.1 200 OK\r\n!hang".into()),
        ("is no HTTP", "hello world\r\n\r\n!hang".into()),
        ("goes on before it begins", "HTTP/1.1 103 Early\r\n\r\n".repeat(10_000) + "!hang"),
        ("garbled gzip", format!("{head}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc")),
    ] {
        let refusal = of(raw.into()).await.unwrap_err();
        let known = matches!(refusal, Refusal::TooLarge(_) | Refusal::Unavailable(_) | Refusal::TimedOut(_));
        assert!(known, "{what}: {refusal}");
    }
    // What comes before the answer is passed over, and a response without a body has none whatever it says of it.
    assert_eq!(
        of(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na".into()).await.unwrap(),
        "a"
    );
    assert_eq!(of(b"HTTP/1.1 204 None\r\ncontent-encoding: gzip\r\n\r\n".into()).await.unwrap(), "");
}

#[tokio::test]
async fn t66_a_body_that_nobody_reads_does_not_pile_up() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
        while let Ok(n) = stream.write(&[0; 64 << 10]).await {
            counted.fetch_add(n, Ordering::SeqCst);
        }
    });
    let ground = With::grant(url.clone()).open().await;
    let mut answer = ground.get(&url).await.unwrap();
    answer.body.read(1).await.unwrap();
    // The kernel's buffers on both sides are in this number; what the host holds is a few hundred KiB of it.
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = sent.swap(0, Ordering::SeqCst) + last;
        if now == last {
            break;
        }
        last = now;
    }
    assert!(last < 12 << 20, "{last} bytes were taken of a body that nobody reads");
    drop(answer);
    server.await.unwrap();
}

/// One secret, for one origin.
struct One {
    origin: Mutex<String>,
    filled: Mutex<Vec<String>>,
}

impl Secrets for One {
    fn fill<'a>(
        &'a self,
        _: &'a Session,
        origin: &'a Origin,
        headers: &'a mut HeaderMap,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        let bound = *self.origin.lock().unwrap() == origin.to_string();
        self.filled.lock().unwrap().push(origin.to_string());
        for value in headers.values_mut() {
            let text = value.to_str().unwrap().replace("{{secret:KEY}}", "hunter2");
            *value = HeaderValue::from_str(&text).unwrap();
            value.set_sensitive(true);
        }
        Box::pin(std::future::ready(if bound { Ok(()) } else { Err(Refusal::Invalid("not bound".into())) }))
    }

    fn redactor<'a>(&'a self, _: &'a Session, _: &'a Origin) -> BoxFuture<'a, Option<Box<dyn Redact>>> {
        Box::pin(std::future::ready(Some(Box::new(Word(Vec::new())) as Box<dyn Redact>)))
    }
}

struct Word(Vec<u8>);

impl Redact for Word {
    fn text(&self, text: &str) -> String {
        text.replace("hunter2", "[redacted]")
    }

    fn bytes(&mut self, chunk: Bytes, last: bool) -> Bytes {
        self.0.extend_from_slice(&chunk);
        let kept = if last { 0 } else { self.0.len().min(6) };
        let ready = self.0.split_off(self.0.len() - kept);
        let out = std::mem::replace(&mut self.0, ready);
        self.text(&String::from_utf8(out).unwrap()).into()
    }
}

#[tokio::test]
async fn t71_t72_secrets_are_filled_in_last_and_taken_out_of_what_comes_back() {
    let peer = Peer::says(|head| match head {
        // The key comes back in a header and in the target of a redirect.
        head if head.contains(" /hop ") => redirect(302, "/?key=hunter2"),
        head => {
            let key = head.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
            let body = format!("you said {key}");
            format!("HTTP/1.1 200 OK\r\nx-echo: {key}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }
    })
    .await;
    let secrets = Arc::new(One { origin: Mutex::new(peer.url("")), filled: Mutex::default() });
    let ground = With { secrets: secrets.clone(), ..With::grant(peer.url("")) }.open().await;
    let given = [("x-key", "{{secret:KEY}}")];
    let answer = ground.send("GET", &peer.url("/{{secret:KEY}}?{{secret:KEY}}"), &given, b"").await.unwrap();
    assert_eq!(answer.header("x-echo"), Some("[redacted]"));
    assert_eq!(text(answer).await.unwrap(), "you said [redacted]");
    let head = &peer.heads()[0];
    assert_eq!(head.matches("hunter2").count(), 1, "in the header and nowhere else: {head}");

    let answer = ground.send("GET", &peer.url("/hop"), &given, b"").await.unwrap();
    assert_eq!(answer.target.url().query(), Some("key=[redacted]"));
    assert!(peer.heads()[2].contains("x-key: hunter2"), "the same origin gets it again");

    // Not bound to it, and denied before it is even asked for.
    secrets.filled.lock().unwrap().clear();
    *secrets.origin.lock().unwrap() = "http://other.test".into();
    let before = peer.heads().len();
    assert!(ground.send("GET", &peer.url("/"), &given, b"").await.is_err());
    assert!(ground.send("GET", "http://not-granted.test/", &given, b"").await.is_err());
    assert_eq!((peer.heads().len(), secrets.filled.lock().unwrap().len()), (before, 1));
}

#[tokio::test]
async fn t71_a_secret_goes_to_another_machine_by_tls_alone() {
    let peer = Peer::on("127.0.0.2:0", |_| ok("hello")).await;
    let url = format!("http://plain.test:{}/", peer.at.port());
    let secrets = Arc::new(One { origin: Mutex::new(url.trim_end_matches('/').into()), filled: Mutex::default() });
    let names = super::testing::Names::of(&[("plain.test", &["127.0.0.2"])]);
    let with = With { secrets: secrets.clone(), names, reachable: vec!["127.0.0.0/8"], ..With::grant(url.clone()) };
    let ground = with.open().await;
    let refusal = ground.send("GET", &url, &[("x-key", "{{secret:KEY}}")], b"").await.err().unwrap();
    assert!(refusal.to_string().contains("without TLS"), "{refusal}");
    assert_eq!((peer.connections(), secrets.filled.lock().unwrap().len()), (0, 0));
    assert_eq!(text(ground.get(&url).await.unwrap()).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_host_without_secrets_fills_nothing_in() {
    let peer = Peer::polite().await;
    let ground = With::grant(peer.url("")).open().await;
    let refusal = ground.send("GET", &peer.url("/"), &[("x-key", "{{secret:KEY}}")], b"").await.err().unwrap();
    assert!(matches!(&refusal, Refusal::Denied(denial) if denial.capability == "secrets"), "{refusal}");
    assert_eq!(peer.connections(), 0);
}
