//! Registries and servers that lie, on loopback. Whatever they say, nothing is installed, and nothing stays behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringfence_core::catalog::source::{
    Anonymous, CatalogSettings, Credentials, Digest, Fetched, Held, Login, Newer, Reference, Sources, SourcesConfig,
};
use ringfence_core::{Error, Progress, Step};
use serde_json::{Value, json};

use crate::installs::LATER;
use crate::support::peer::{Peer, Said};
use crate::support::{Home, wat};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What fetches, with a folder of its own.
pub(super) struct Desk {
    home: tempfile::TempDir,
    pub(super) sources: Sources,
}

impl Desk {
    fn new() -> Self {
        Self::with(CatalogSettings { stall_seconds: 1, ..CatalogSettings::default() })
    }

    pub(super) fn with(settings: CatalogSettings) -> Self {
        Self::of(settings, Arc::new(Anonymous))
    }

    fn of(settings: CatalogSettings, credentials: Arc<dyn Credentials>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let cache_dir = home.path().to_owned();
        let sources = Sources::new(SourcesConfig { cache_dir, component_bytes: 1 << 20, settings, credentials });
        Self { home, sources }
    }

    async fn fetch(&self, text: &str) -> Result<Fetched, Error> {
        let reference = Reference::parse(text, |_| false)?;
        self.sources.fetch(&reference, None).await
    }

    /// The kind and the sentence of the error that fetching this gives; and nothing of it is on the disk.
    async fn refused(&self, text: &str) -> (&'static str, String) {
        let Err(error) = self.fetch(text).await else { panic!("{text} was fetched") };
        assert_eq!(self.left(), [""; 0], "{error}");
        (error.kind(), error.to_string())
    }

    fn left(&self) -> Vec<String> {
        let dir = std::fs::read_dir(self.home.path().join("fetching"));
        dir.into_iter().flatten().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Said {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    Said::Once([head.as_bytes(), body].concat())
}

fn typed(media_type: &str, body: &[u8]) -> Said {
    answer("200 OK", &format!("content-type: {media_type}\r\n"), body)
}

fn away(to: &str) -> Said {
    answer("307 Temporary Redirect", &format!("location: {to}\r\n"), b"")
}

pub(super) fn missing() -> Said {
    answer("404 Not Found", "", b"{}")
}

/// A server whose answers depend on the path.
fn serves(says: impl Fn(&str) -> Said + Send + Sync + 'static) -> Peer {
    Peer::says(move |head| says(head.split(' ').nth(1).unwrap_or_default()))
}

fn manifest(component: &[u8]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{ "mediaType": "application/wasm", "digest": Digest::of(component), "size": component.len() }],
    })
}

/// A registry with this manifest under every tag and digest, and `blob` for whatever is asked of it.
fn registry(manifest: &Value, blob: impl Fn() -> Said + Send + Sync + 'static) -> Peer {
    let manifest = manifest.to_string();
    serves(move |path| match path {
        path if path.contains("/manifests/sha256-") || path.contains("/referrers/") => missing(),
        path if path.contains("/manifests/") => typed(MANIFEST, manifest.as_bytes()),
        path if path.contains("/blobs/") => blob(),
        _ => missing(),
    })
}

fn at(peer: &Peer, rest: &str) -> String {
    format!("oci://{}/{rest}", peer.at)
}

fn component() -> Vec<u8> {
    wat::named("hello", "1.0.0", json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_an_honest_registry_is_believed_for_what_its_digests_say() {
    let bytes = component();
    let blob = bytes.clone();
    let peer = registry(&manifest(&bytes), move || typed("application/octet-stream", &blob));
    let desk = Desk::new();
    let fetched = desk.fetch(&at(&peer, "a/hello:1")).await.unwrap();
    assert_eq!((&fetched.incoming.bytes, fetched.digest), (&bytes, Digest::of(&bytes)));
    let exact = Digest::of(manifest(&bytes).to_string().as_bytes());
    assert_eq!(fetched.exact, at(&peer, &format!("a/hello@{exact}")));
    assert_eq!(desk.left(), [""; 0]);
    assert!(desk.fetch(&fetched.exact).await.is_ok());
}

fn paged(media_type: &str, body: &Value, next: &str) -> Said {
    let link = format!("content-type: {media_type}\r\nlink: <{next}>; rel=\"next\"\r\n");
    answer("200 OK", &link, body.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tags_is_read_to_its_end_and_at_nobody_elses() {
    let (bytes, canary) = (component(), Peer::polite());
    let (document, elsewhere) = (manifest(&bytes).to_string(), canary.url("/v2/hello/tags/list?page=4"));
    let peer = serves(move |path| match path.split_once("/tags/list?") {
        Some((_, "page=2")) => paged("application/json", &json!({ "tags": ["1.2.0"] }), "list?page=3"),
        Some((_, "page=3")) => paged("application/json", &json!({ "tags": ["1.3.0"] }), &elsewhere),
        Some(_) => paged("application/json", &json!({ "tags": ["1.0.0", "1.1.0"] }), "/v2/hello/tags/list?page=2"),
        None if path.contains("/manifests/") => typed(MANIFEST, document.as_bytes()),
        None => missing(),
    });
    let (desk, version) = (Desk::new(), semver::Version::new(1, 0, 0));
    let held = Held { version: &version, digest: "sha256:00" };
    let newest = async |peer: &Peer| {
        let source = Reference::parse(&at(peer, "hello:1.0.0"), |_| false).unwrap();
        match desk.sources.newer(&source, &held, None).await.unwrap() {
            Newer::There(other) => other.reference.to_string(),
            _ => panic!("nothing is newer"),
        }
    };
    assert_eq!(newest(&peer).await, at(&peer, "hello:1.3.0"));
    assert_eq!(canary.connections(), 0);
    // One without an end is looked at for a while.
    let document = manifest(&bytes).to_string();
    let endless = serves(move |path| match path.contains("/tags/list?") {
        true => paged("application/json", &json!({ "tags": ["1.1.0"] }), "/v2/hello/tags/list?again"),
        false => typed(MANIFEST, document.as_bytes()),
    });
    assert_eq!(newest(&endless).await, at(&endless, "hello:1.1.0"));
    assert_eq!(endless.connections(), 101);
}

const MINISIGN: &str = "application/vnd.ringfence.signature.minisign.v1";

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_listed_by_the_api_of_referrers_and_kept_there() {
    let bytes = component();
    let (document, signed) = (manifest(&bytes).to_string(), b"signed");
    let referrer = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MINISIGN,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{ "mediaType": MINISIGN, "digest": Digest::of(signed), "size": signed.len() }],
        "subject": { "mediaType": MANIFEST, "digest": Digest::of(document.as_bytes()), "size": document.len() },
    })
    .to_string();
    let list = |kind: &str, of: &[u8]| {
        let one = json!({ "mediaType": MANIFEST, "digest": Digest::of(of), "size": of.len(), "artifactType": kind });
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [one] })
    };
    let (one, two) = (list("application/vnd.other", b"sbom"), list(MINISIGN, referrer.as_bytes()).to_string());
    let (its, blob) = (Digest::of(referrer.as_bytes()).to_string(), Digest::of(signed).to_string());
    let served = bytes.clone();
    let peer = serves(move |path| match path {
        path if path.ends_with("/referrers/more") => typed(INDEX, two.as_bytes()),
        path if path.contains("/referrers/sha256:") => paged(INDEX, &one, "/v2/a/hello/referrers/more"),
        path if path.contains("/manifests/sha256-") => missing(),
        path if path.ends_with(&its) => typed(MANIFEST, referrer.as_bytes()),
        path if path.contains("/manifests/") => typed(MANIFEST, document.as_bytes()),
        path if path.ends_with(&blob) => typed("application/octet-stream", signed),
        _ => typed("application/octet-stream", &served),
    });
    let fetched = Desk::new().fetch(&at(&peer, "a/hello:1")).await.unwrap();
    assert_eq!(fetched.incoming.signatures.iter().map(|one| &one.bytes[..]).collect::<Vec<_>>(), [signed]);
    assert!(peer.heads().iter().all(|head| !head.contains("/manifests/sha256-")), "the tag is for those without it");

    // A registry that keeps the list itself says so, and nobody writes one under the tag.
    for keeps in [true, false] {
        let peer = takes_everything(keeps);
        let desk = Desk::new();
        let file = desk.home.path().join("hello.wasm");
        std::fs::write(&file, &bytes).unwrap();
        std::fs::write(desk.home.path().join("hello.wasm.minisig"), signed).unwrap();
        let Reference::Oci(artifact) = Reference::parse(&at(&peer, "a/hello:1"), |_| false).unwrap() else { panic!() };
        let pushed = desk.sources.push(&file, &artifact, None).await.unwrap();
        assert_eq!((pushed.signatures, pushed.component), (1, Digest::of(&bytes)));
        let heads = peer.heads();
        let tagged = heads.iter().any(|head| head.starts_with("PUT") && head.contains("/manifests/sha256-"));
        assert_eq!(tagged, !keeps, "{heads:?}");
    }
}

/// A registry that takes whatever it is sent. `keeps` says whether it lists by itself what refers to something.
fn takes_everything(keeps: bool) -> Peer {
    Peer::says(move |head| {
        let mut words = head.split(' ');
        let created = |headers: &str| match answer("201 Created", headers, b"") {
            Said::Once(said) => Said::AfterBody(said),
            other => other,
        };
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("POST", _) => answer("202 Accepted", "location: /upload\r\n", b""),
            ("PUT", path) if path.contains("/manifests/") && keeps => created("oci-subject: sha256:00\r\n"),
            ("PUT", _) => created(""),
            _ => missing(),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_tells_how_much_has_gone() {
    const PIECE: u64 = 64 << 10;
    let peer = takes_everything(true);
    let desk = Desk::new();
    let file = desk.home.path().join("hello.wasm");
    let bytes = wat::with_section(component(), "padding", &[0; 3 * PIECE as usize]);
    std::fs::write(&file, &bytes).unwrap();
    let Reference::Oci(artifact) = Reference::parse(&at(&peer, "a/hello:1"), |_| false).unwrap() else { panic!() };
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let progress: Progress = Arc::new(move |step| telling.lock().unwrap().push(step));
    desk.sources.push(&file, &artifact, Some(progress)).await.unwrap();
    let (what, total) = (artifact.to_string(), bytes.len() as u64);
    let step = |done| Step::Sending { what: what.clone(), done, total };
    assert_eq!(*told.lock().unwrap(), [PIECE, 2 * PIECE, 3 * PIECE, total].map(step));
    // Stores of blobs want to know the length, and not every one takes chunks.
    let heads = peer.heads();
    assert!(heads.iter().any(|head| head.contains(&format!("content-length: {total}"))), "{heads:?}");
    assert!(!heads.iter().any(|head| head.contains("transfer-encoding")), "{heads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_bytes_that_are_others_than_their_digest_are_thrown_away() {
    let bytes = component();
    for (what, other) in [
        ("one byte flipped", {
            let mut other = bytes.clone();
            other[20] ^= 1;
            other
        }),
        ("another skill", wat::named("other", "1.0.0", json!({}))[..].iter().copied().take(bytes.len()).collect()),
        ("less", bytes[..bytes.len() - 1].to_vec()),
        ("nothing", Vec::new()),
    ] {
        let peer = registry(&manifest(&bytes), move || typed("application/octet-stream", &other));
        let (kind, message) = Desk::new().refused(&at(&peer, "hello:1")).await;
        assert_eq!(kind, "digest-mismatch", "{what}: {message}");
    }
    // The tag was moved, and the registry shows the new one under the old digest.
    let peer = registry(&manifest(&bytes), missing);
    let old = Digest::of(b"the manifest of before");
    let (kind, message) = Desk::new().refused(&at(&peer, &format!("hello@{old}"))).await;
    assert_eq!(kind, "digest-mismatch");
    assert!(message.contains("the manifest of"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_what_is_no_skill_is_refused_before_it_is_fetched() {
    let bytes = component();
    let layer = manifest(&bytes)["layers"][0].clone();
    for (pointer, value, kind) in [
        ("/layers", json!([layer, layer]), "artifact-invalid"),
        ("/layers", json!([]), "artifact-invalid"),
        ("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar+gzip"), "artifact-invalid"),
        ("/config/mediaType", json!("application/vnd.oci.image.config.v1+json"), "artifact-invalid"),
        ("/mediaType", json!(INDEX), "artifact-invalid"),
        ("/layers/0/digest", json!("sha256:../../../etc/passwd"), "artifact-invalid"),
        ("/layers/0/size", json!(10_u64 << 30), "too-large"),
    ] {
        let mut document = manifest(&bytes);
        *document.pointer_mut(pointer).unwrap() = value;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let peer = registry(&document, move || {
            count.fetch_add(1, Ordering::SeqCst);
            missing()
        });
        let (found, message) = Desk::new().refused(&at(&peer, "hello:1")).await;
        assert_eq!(found, kind, "{pointer}: {message}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{pointer}");
    }
    // The head says something else than the document.
    let document = manifest(&bytes).to_string();
    for lie in [INDEX, "text/html", "application/vnd.docker.distribution.manifest.v2+json"] {
        let document = document.clone();
        let peer = serves(move |_| typed(lie, document.as_bytes()));
        assert_eq!(Desk::new().refused(&at(&peer, "hello:1")).await.0, "artifact-invalid", "{lie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_documents_and_layers_without_end_are_cut() {
    let one = json!({ "mediaType": MANIFEST, "digest": Digest::of(b""), "size": 1 });
    let many = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": vec![one; 100_000] }).to_string();
    let peer = serves(move |_| typed(INDEX, many.as_bytes()));
    assert_eq!(Desk::new().refused(&at(&peer, "hello:1")).await.0, "too-large");

    let flood = || {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        Said::Flood(head, vec![b' '; 64 << 10])
    };
    let peer = serves(move |_| flood());
    assert_eq!(Desk::new().refused(&at(&peer, "hello:1")).await.0, "too-large");
    assert_eq!(Desk::new().refused(&peer.url("/hello.wasm")).await.0, "too-large");
    // It is no longer than its manifest says, whatever the largest component may be.
    let peer = registry(&manifest(&component()), flood);
    assert_eq!(Desk::new().refused(&at(&peer, "hello:1")).await.0, "too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_a_redirect_leads_into_no_private_network() {
    let bytes = component();
    let canary = Peer::polite();
    let inward = [
        canary.url("/x"),
        format!("https://127.0.0.1:{}/x", canary.at.port()),
        format!("https://localhost:{}/x", canary.at.port()),
        "https://10.0.0.1/x".into(),
        "http://169.254.169.254/latest/meta-data/".into(),
        "https://[::1]/x".into(),
        "https://[fd00:ec2::254]/x".into(),
    ];
    for to in inward {
        let blob = to.clone();
        let peer = registry(&manifest(&bytes), move || away(&blob));
        let (kind, message) = Desk::new().refused(&at(&peer, "hello:1")).await;
        assert_eq!(kind, "address-denied", "{to}: {message}");
        let web = to.clone();
        let peer = serves(move |_| away(&web));
        assert_eq!(Desk::new().refused(&peer.url("/hello.wasm")).await.0, "address-denied", "{to}");
        // So does a service of tokens.
        let realm = to.clone();
        let peer = serves(move |_| {
            answer("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"{realm}\"\r\n"), b"")
        });
        let (kind, message) = Desk::new().refused(&at(&peer, "hello:1")).await;
        assert_eq!(kind, "address-denied", "{to}: {message}");
    }
    assert_eq!(canary.connections(), 0);
    let peer = serves(move |path| away(&format!("{path}x")));
    assert_eq!(Desk::new().refused(&peer.url("/a.wasm")).await.0, "unavailable", "in circles");
    assert_eq!(Desk::new().refused("https://a.invalid/x.wasm").await.0, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_a_name_leads_into_a_private_network_only_where_that_is_configured() {
    use futures_util::future::BoxFuture;
    use ringfence_core::capability::http;

    /// One name, with an address on this machine.
    struct Inside;
    impl http::Resolve for Inside {
        fn resolve(&self, _: &str) -> BoxFuture<'_, Result<Vec<std::net::IpAddr>, http::Unresolved>> {
            Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
        }
    }
    let canary = Peer::polite();
    let fetch = async |networks: &[&str]| {
        let network = http::TestNetwork { resolver: Arc::new(Inside), reachable: vec![], tls: None };
        let networks = networks.iter().map(|net| http::Network::parse(net).unwrap()).collect();
        let home = tempfile::tempdir().unwrap();
        let config = SourcesConfig {
            cache_dir: home.path().to_owned(),
            component_bytes: 1 << 20,
            settings: CatalogSettings { networks, stall_seconds: 1, ..CatalogSettings::default() },
            credentials: Arc::new(Anonymous),
        };
        let text = format!("oci://registry.corp.test:{}/hello:1", canary.at.port());
        let reference = Reference::parse(&text, |_| false).unwrap();
        Sources::on(config, network).fetch(&reference, None).await.err().unwrap().kind()
    };
    assert_eq!(fetch(&[]).await, "address-denied");
    assert_eq!(fetch(&["10.0.0.0/8"]).await, "address-denied");
    assert_eq!(canary.connections(), 0);
    // It is connected to, and does not answer in TLS.
    assert_eq!(fetch(&["127.0.0.0/8"]).await, "timeout");
    assert!(canary.connections() > 0);
}

/// One login for everything.
struct Me;

impl Credentials for Me {
    fn login<'a>(&'a self, _: &'a str) -> futures_util::future::BoxFuture<'a, Result<Option<Login>, String>> {
        let login = Login::Password { user: "me".into(), secret: "hunter2".to_owned().into() };
        Box::pin(std::future::ready(Ok(Some(login))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_a_login_goes_to_whom_it_is_for_and_only_when_asked() {
    let bytes = component();
    let document = manifest(&bytes).to_string();
    let peer = Peer::says(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let knows = head.contains("authorization: Basic bWU6aHVudGVyMg==");
        match path {
            _ if !knows => answer("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", b""),
            path if path.contains("/manifests/sha256-") || path.contains("/referrers/") => missing(),
            path if path.contains("/manifests/") => typed(MANIFEST, document.as_bytes()),
            _ => away("https://store.invalid/blob"),
        }
    });
    let desk = Desk::of(CatalogSettings { stall_seconds: 2, ..CatalogSettings::default() }, Arc::new(Me));
    assert_eq!(desk.refused(&at(&peer, "hello:1")).await.0, "unavailable", "the store is nowhere");
    let heads = peer.heads();
    assert!(!heads[0].contains("authorization"), "nobody has asked yet: {}", heads[0]);
    assert!(heads[1].contains("authorization: Basic"));
    // Who asks for a login that there is none for is told so, and so is one who does not like it.
    let peer = serves(|_| answer("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", b""));
    assert_eq!(Desk::new().refused(&at(&peer, "hello:1")).await.0, "unauthorized");
    let error = desk.fetch(&at(&peer, "hello:1")).await.err().unwrap();
    assert_eq!(error.kind(), "unauthorized");
    assert!(!format!("{error} {error:?} {}", error.hint()).contains("hunter2"));
    // A server of files is told nothing at all.
    assert_eq!(desk.refused(&peer.url("/x.wasm")).await.0, "unavailable");
    assert!(
        peer.heads().iter().filter(|head| head.starts_with("GET /x.wasm")).all(|head| !head.contains("authorization"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_t105_who_says_nothing_or_too_little_is_not_waited_for() {
    let bytes = component();
    let begun = Instant::now();
    let silent = Peer::says(|_| Said::Hang(Vec::new()));
    assert_eq!(Desk::new().refused(&at(&silent, "hello:1")).await.0, "timeout");
    let half = |length: usize| format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    let body = [half(bytes.len()).as_bytes(), &bytes[..10]].concat();
    let peer = registry(&manifest(&bytes), move || Said::Hang(body.clone()));
    let desk = Desk::new();
    let error = desk.fetch(&at(&peer, "hello:1")).await.err().unwrap();
    assert_eq!(error.kind(), "timeout");
    assert!(error.to_string().contains("nothing has come"), "{error}");
    // What has come is kept for the next try, and cleaned where there is none.
    assert_eq!((desk.left().len(), desk.sources.clean(), desk.left().len()), (1, 10, 0));
    // One who says a little again and again is cut by the time for the whole.
    let slow = Desk::with(CatalogSettings { stall_seconds: 60, fetch_seconds: 1, ..CatalogSettings::default() });
    let (kind, message) = slow.refused_slowly(&peer).await;
    assert_eq!(kind, "timeout");
    assert!(message.contains("in whole"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

impl Desk {
    async fn refused_slowly(&self, peer: &Peer) -> (&'static str, String) {
        let error = self.fetch(&at(peer, "hello:1")).await.err().unwrap();
        (error.kind(), error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_what_broke_off_is_taken_up_and_checked_in_whole() {
    let bytes = component();
    let (document, blob) = (manifest(&bytes).to_string(), bytes.clone());
    let peer = Peer::says(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let from = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
        match (path, from) {
            (path, _) if path.contains("/manifests/sha256-") || path.contains("/referrers/") => missing(),
            (path, _) if path.contains("/manifests/") => typed(MANIFEST, document.as_bytes()),
            (_, Some(from)) => {
                let from: usize = from;
                let range = format!("content-range: bytes {from}-{}/{}\r\n", blob.len() - 1, blob.len());
                answer("206 Partial Content", &range, &blob[from..])
            }
            _ => {
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", blob.len());
                Said::Once([head.as_bytes(), &blob[..100]].concat())
            }
        }
    });
    let desk = Desk::new();
    assert_eq!(desk.fetch(&at(&peer, "hello:1")).await.unwrap().incoming.bytes, bytes);
    assert!(peer.heads().iter().any(|head| head.contains("range: bytes=100-")), "{:?}", peer.heads());
    assert_eq!(desk.left(), [""; 0]);

    // What lies there from an earlier try may be anything: it is thrown away, and fetched anew.
    let whole = bytes.clone();
    let peer = registry(&manifest(&bytes), move || typed("application/octet-stream", &whole));
    let part = desk.home.path().join("fetching").join(format!("{}.part", Digest::of(&bytes).hex()));
    for left in [vec![7; 50], vec![7; bytes.len()], vec![7; bytes.len() + 5]] {
        std::fs::write(&part, left).unwrap();
        assert_eq!(desk.fetch(&at(&peer, "hello:1")).await.unwrap().incoming.bytes, bytes);
        assert_eq!(desk.left(), [""; 0]);
    }
}

/// A server of one file, which says a hundred bytes of it at the first time and the rest when it is asked for.
fn breaks_off(file: Arc<Mutex<(Vec<u8>, String)>>) -> Peer {
    Peer::says(move |head| {
        let head = head.to_ascii_lowercase();
        let (bytes, tag) = file.lock().unwrap().clone();
        let named = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let from: Option<usize> = named("range: bytes=").map(|rest| rest.trim_end_matches('-').parse().unwrap());
        match from {
            _ if !head.starts_with("get /hello.wasm ") => missing(),
            Some(from) if named("if-range: ") == Some(&tag) => {
                let range =
                    format!("etag: {tag}\r\ncontent-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
                answer("206 Partial Content", &range, &bytes[from..])
            }
            // To that its answer is the whole of what it has now.
            Some(_) => answer("200 OK", &format!("etag: {tag}\r\n"), &bytes),
            None => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\netag: {tag}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    bytes.len()
                );
                Said::Once([head.as_bytes(), &bytes[..100]].concat())
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_a_file_that_broke_off_is_taken_up_where_its_server_gives_it_a_name() {
    let (old, new) = (component(), wat::named("hello", "1.1.0", json!({})));
    let file = Arc::new(Mutex::new((old.clone(), "\"one\"".to_owned())));
    let peer = breaks_off(Arc::clone(&file));
    let url = peer.url("/hello.wasm");
    let ranges = || peer.heads().iter().filter(|head| head.contains("range: bytes=")).count();
    let desk = Desk::new();
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, old);
    assert!(peer.heads().iter().any(|head| head.contains("range: bytes=100-") && head.contains("if-range: \"one\"")));
    assert_eq!((ranges(), desk.left()), (1, vec![]));

    // A name that does not promise the same bytes: nothing is kept that nobody could go on with.
    file.lock().unwrap().1 = "W/\"one\"".into();
    assert_eq!(desk.refused(&url).await.0, "unavailable");
    assert_eq!((ranges(), desk.left()), (1, vec![]));

    // Nor where whoever fetches goes away in the middle of it.
    let hangs = Peer::says(|_| Said::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsomething".to_vec()));
    let (tell, mut came) = tokio::sync::mpsc::unbounded_channel();
    let progress: Progress = Arc::new(move |step| drop(tell.send(step)));
    let hello = Reference::parse(&hangs.url("/hello.wasm"), |_| false).unwrap();
    tokio::select! {
        fetched = desk.sources.fetch(&hello, Some(progress)) => panic!("{:?}", fetched.err()),
        step = came.recv() => assert!(matches!(step, Some(Step::Fetching { done: 9, .. })), "{step:?}"),
    }
    assert_eq!(desk.left(), [""; 0]);

    // As an earlier process left it. Since then the file is another one, or the server says a part of another one.
    let name = desk.home.path().join("fetching").join(Digest::of(url.as_bytes()).hex());
    let leave = |bytes: &[u8], tag: Option<&str>| {
        std::fs::write(name.with_extension("part"), bytes).unwrap();
        if let Some(tag) = tag {
            std::fs::write(name.with_extension("tag"), tag).unwrap();
        }
    };
    leave(&old[..100], Some("\"one\""));
    *file.lock().unwrap() = (new.clone(), "\"two\"".to_owned());
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, new);
    assert_eq!((ranges(), desk.left()), (2, vec![]));
    // Killed before it could say what it is a part of.
    leave(&[7; 50], None);
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, new);
    leave(&[7; 50], Some("W/\"two\""));
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, new);
    // All of it is there.
    leave(&new, Some("\"two\""));
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, new);
    assert_eq!(desk.left(), [""; 0]);

    let (whole, parts) = (new.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&parts);
    let liar = Peer::says(move |head| match head.to_ascii_lowercase().contains("range: bytes=") {
        _ if head.contains(".minisig") || head.contains(".sigstore") => missing(),
        true => {
            counted.fetch_add(1, Ordering::SeqCst);
            let range = format!("etag: \"two\"\r\ncontent-range: bytes 100-{}/{}\r\n", whole.len() - 1, whole.len());
            answer("206 Partial Content", &range, &whole[100..])
        }
        false => answer("200 OK", "etag: \"two\"\r\n", &whole),
    });
    let url = liar.url("/hello.wasm");
    let name = desk.home.path().join("fetching").join(Digest::of(url.as_bytes()).hex());
    std::fs::write(name.with_extension("part"), &old[..100]).unwrap();
    std::fs::write(name.with_extension("tag"), "\"one\"").unwrap();
    assert_eq!(desk.fetch(&url).await.unwrap().incoming.bytes, new);
    assert_eq!((parts.load(Ordering::SeqCst), desk.left()), (1, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn t103_a_file_of_a_server_is_what_its_digest_says_and_brings_its_signatures() {
    let bytes = component();
    let served = bytes.clone();
    let peer = serves(move |path| match path {
        "/hello.wasm?v=1" => typed("application/wasm", &served),
        "/hello.wasm.minisig?v=1" => typed("text/plain", b"signed"),
        _ => missing(),
    });
    let desk = Desk::new();
    let fetched = desk.fetch(&peer.url("/hello.wasm?v=1")).await.unwrap();
    assert_eq!((&fetched.incoming.bytes, fetched.incoming.stem.as_str()), (&bytes, "hello"));
    assert_eq!(fetched.incoming.signatures.len(), 1);
    assert_eq!(fetched.incoming.signatures[0].bytes, b"signed");
    assert!(desk.fetch(&fetched.exact).await.is_ok());
    let other = format!("{}#sha256={}", peer.url("/hello.wasm?v=1"), Digest::of(b"x").hex());
    assert_eq!(desk.refused(&other).await.0, "digest-mismatch");
    assert_eq!(desk.refused(&peer.url("/other.wasm")).await.0, "not-found");
}

/// A file on a server that gives it a name, as long as it is the same.
fn named_by(tag: &str, head: &str, body: &[u8]) -> Said {
    let headers = format!("etag: {tag}\r\n");
    match head.to_ascii_lowercase().contains(&format!("if-none-match: {tag}\r\n").to_ascii_lowercase()) {
        true => answer("304 Not Modified", &headers, b""),
        false => answer("200 OK", &headers, body),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_not_changed_is_not_fetched_again() {
    let served = Arc::new(Mutex::new((component(), "\"one\"".to_owned())));
    let (now, given) = (Arc::clone(&served), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&given);
    let peer = Peer::says(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (bytes, tag) = now.lock().unwrap().clone();
        let said = match path {
            "/moved.wasm" => return away("/hello.wasm"),
            "/hello.wasm" => named_by(&tag, head, &bytes),
            "/index.toml" => {
                named_by(&tag, head, format!("format = 1\nserial = 1\nexpires = \"{LATER}\"\n").as_bytes())
            }
            _ => return missing(),
        };
        if matches!(&said, Said::Once(bytes) if bytes.starts_with(b"HTTP/1.1 200")) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        said
    });
    let downloads = || given.swap(0, Ordering::SeqCst);
    let settings = CatalogSettings { index: Some(peer.url("/index.toml")), ..CatalogSettings::default() };
    let desk = Desk::with(settings);
    let version = semver::Version::new(1, 0, 0);
    for path in ["/hello.wasm", "/moved.wasm"] {
        *served.lock().unwrap() = (component(), "\"one\"".to_owned());
        let reference = Reference::parse(&peer.url(path), |_| false).unwrap();
        let first = desk.fetch(&peer.url(path)).await.unwrap();
        assert_eq!(downloads(), 1);
        let look = async |digest: &str| {
            let held = Held { version: &version, digest };
            match desk.sources.newer(&reference, &held, None).await.unwrap() {
                Newer::Same => None,
                Newer::There(other) => Some(other.digest),
                Newer::Pinned => panic!("it is named by no digest"),
            }
        };
        assert_eq!((look(first.digest.as_str()).await, downloads()), (None, 0));
        // For who has other bytes than these it is no answer that these are the same.
        let other = Digest::of(b"other");
        assert_eq!((look(other.as_str()).await, downloads()), (Some(first.digest.clone()), 1));
        let newer = wat::named("hello", "1.1.0", json!({}));
        *served.lock().unwrap() = (newer.clone(), "\"two\"".to_owned());
        assert_eq!((look(first.digest.as_str()).await, downloads()), (Some(Digest::of(&newer)), 1));
        assert_eq!((look(Digest::of(&newer).as_str()).await, downloads()), (None, 0));
        // A name that does not promise the same bytes is none.
        *served.lock().unwrap() = (newer.clone(), "W/\"two\"".to_owned());
        assert_eq!((look(Digest::of(&newer).as_str()).await, downloads()), (None, 1));
        assert_eq!((look(Digest::of(&newer).as_str()).await, downloads()), (None, 1));
    }
    *served.lock().unwrap() = (component(), "\"one\"".to_owned());
    let index = async || desk.sources.index(None).await.unwrap().unwrap();
    let first = index().await;
    assert_eq!(downloads(), 1);
    assert_eq!((index().await.seen(), downloads()), (first.seen(), 0));
    // What was touched here is fetched again, and not believed.
    for file in std::fs::read_dir(desk.home.path().join("known")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "body") {
            std::fs::write(file, "format = 1").unwrap();
        }
    }
    assert_eq!((index().await.seen(), downloads()), (first.seen(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_the_same_of_what_nobody_has_is_not_believed() {
    let peer = serves(|_| answer("304 Not Modified", "etag: \"one\"\r\n", b""));
    let desk = Desk::new();
    assert_eq!(desk.refused(&peer.url("/hello.wasm")).await.0, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn t106_an_archive_is_told_what_it_is_and_not_unpacked() {
    let mut tar = vec![0; 1024];
    tar[..7].copy_from_slice(b"../evil");
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, word) in [(b"PK\x03\x04..".to_vec(), "ZIP"), (b"\x1f\x8b\x08".to_vec(), "gzip"), (tar, "tar")] {
        let served = bytes.clone();
        let peer = registry(&manifest(&bytes), move || typed("application/octet-stream", &served));
        let (kind, message) = Desk::new().refused(&at(&peer, "hello:1")).await;
        assert_eq!(kind, "invalid-component");
        assert!(message.contains(word) && message.contains("never unpacked"), "{message}");
        let home = Home::unsigned();
        let file = home.write("work/hello.wasm", &bytes).display().to_string();
        home.run(&["add", &file]).fails("invalid-component", 2, word, "unpack it yourself");
        assert_eq!(home.files("data"), [""; 0]);
    }
}
