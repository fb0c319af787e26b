//! The one way out for what is fetched and published, hop by hop: look up once, check every address, pin them, send. Redirects are
//! followed here and by nobody else, and each of them is checked as the first hop was.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, IF_NONE_MATCH, IF_RANGE, LOCATION,
    RANGE,
};
use reqwest::{Method, StatusCode};
use tokio::time::timeout;

use super::error::SourceError;
use super::fetch::Told;
use super::reference::is_literal;
use super::settings::CatalogSettings;
use crate::net::address::{self, LOOPBACK, Network};
use crate::net::client::chain;
use crate::net::resolve::{MOST_ADDRESSES, System};
use crate::net::{Host, Origin, Resolve, Target, client};

/// Most redirects of one request. Registries need two: to a mirror, and to a store of blobs.
const MOST_REDIRECTS: u32 = 5;

/// Clients that are kept: those of one registry, its service of tokens and its store of blobs.
const KEPT: usize = 8;

const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of a body between two reports of how many have gone.
const PIECE: usize = 64 << 10;

/// What is to be sent.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Who is told how much of the body has gone.
    pub(super) told: Told,
}

impl Order {
    pub(super) fn get(target: Target) -> Self {
        Self { method: Method::GET, target, headers: HeaderMap::new(), body: Bytes::new(), told: Told::default() }
    }

    /// Asks for what comes behind this many bytes (RFC 9110, section 14.2).
    pub(super) fn from(&mut self, had: u64) {
        if had > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={had}-"))
        {
            self.headers.insert(RANGE, range);
        }
    }

    /// The body in pieces, each of which is told of when the connection takes it.
    fn pieces(&self) -> reqwest::Body {
        let (mut rest, told, total) = (self.body.clone(), self.told.clone(), self.body.len() as u64);
        let pieces = std::iter::from_fn(move || {
            let piece = rest.split_to(rest.len().min(PIECE));
            told.sent(total - rest.len() as u64, total);
            (!piece.is_empty()).then_some(Ok::<_, Infallible>(piece))
        });
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    }
}

/// The head of an answer, with the body still to come.
pub(super) struct Answer {
    pub(super) response: reqwest::Response,
    /// Who gave it, after redirects.
    pub(super) from: Target,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Whether it is what comes behind this many bytes: `Content-Range: bytes 100-199/200`.
    pub(super) fn begins_at(&self, had: u64) -> bool {
        let range = self.header(CONTENT_RANGE).and_then(|text| text.strip_prefix("bytes "));
        range.and_then(|text| text.split('-').next()?.trim().parse().ok()) == Some(had)
    }
}

type Pinned = (Origin, Vec<IpAddr>);

pub(super) struct Wire {
    resolver: Arc<dyn Resolve>,
    /// Reachable for servers that a person named.
    networks: Vec<Network>,
    /// Reachable for all: empty but for tests.
    reachable: Vec<Network>,
    tls: Option<rustls::ClientConfig>,
    stall: Duration,
    clients: Mutex<Vec<(Pinned, reqwest::Client)>>,
}

impl Wire {
    pub(super) fn new(settings: &CatalogSettings) -> Self {
        Self {
            resolver: Arc::new(System::new()),
            networks: settings.networks.clone(),
            reachable: Vec::new(),
            tls: None,
            stall: settings.stall(),
            clients: Mutex::default(),
        }
    }

    /// Over a test's own network.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn on(settings: &CatalogSettings, network: crate::net::TestNetwork) -> Self {
        let crate::net::TestNetwork { resolver, reachable, tls } = network;
        Self { resolver, reachable, tls, ..Self::new(settings) }
    }

    /// Sends, and follows redirects of what only asks. `named` is the server that a person named, where that led here: it may be in
    /// a network of theirs, and whom it points to may not.
    pub(super) async fn send(&self, mut order: Order, named: Option<&Origin>) -> Result<Answer, SourceError> {
        order.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for _ in 0..=MOST_REDIRECTS {
            let response = self.hop(&order, named).await?;
            let follows = matches!(order.method, Method::GET | Method::HEAD)
                && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(LOCATION).filter(|_| follows);
            let Some(location) = location else { return Ok(Answer { response, from: order.target }) };
            let next = pointed(&order.target, location)?;
            if next.origin() != order.target.origin() {
                // Credentials stay with whom they are for.
                let keep = |name| order.headers.get(&name).cloned().map(|value| (name, value));
                order.headers =
                    [ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH, IF_RANGE, RANGE].into_iter().filter_map(keep).collect();
            }
            order.target = next;
        }
        Err(SourceError::Unavailable {
            what: order.target.place(),
            reason: format!("it redirects more than {MOST_REDIRECTS} times"),
        })
    }

    async fn hop(&self, order: &Order, named: Option<&Origin>) -> Result<reqwest::Response, SourceError> {
        let origin = order.target.origin();
        let is_named = named == Some(origin);
        let in_the_clear = is_named && origin.host.is_this_machine();
        if !origin.tls && !in_the_clear {
            return Err(denied(&order.target, "it is spoken to in the clear, which is only for this machine".into()));
        }
        let addresses = self.addresses(&order.target).await?;
        let networks = if is_named { &self.networks[..] } else { &[] };
        allowed(&origin.host, &addresses, is_named, &[networks, &self.reachable].concat())
            .map_err(|reason| denied(&order.target, reason))?;
        let client = self.client(origin, addresses)?;
        let mut request =
            client.request(order.method.clone(), order.target.url().clone()).headers(order.headers.clone());
        if !order.body.is_empty() || matches!(order.method, Method::POST | Method::PUT) {
            // Of pieces the length is not known by itself, and not every store of blobs takes a body without one.
            request = request.header(CONTENT_LENGTH, order.body.len()).body(order.pieces());
        }
        // A body that is on its way may take longer than a server may be silent.
        let patience = self.stall + Duration::from_secs(order.body.len() as u64 >> 16);
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_timeout() => Err(late(&order.target, chain(&error.without_url()))),
            Ok(Err(error)) => {
                Err(SourceError::Unavailable { what: origin.to_string(), reason: chain(&error.without_url()) })
            }
            Err(_) => Err(late(&order.target, format!("no answer has begun within {} s", patience.as_secs()))),
        }
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, SourceError> {
        let name = match target.host() {
            Host::Address(address) => return Ok(vec![*address]),
            // RFC 6761: it is this machine, whatever a name server says.
            Host::Name(name) if name == Host::THIS_MACHINE => return Ok(LOOPBACK.to_vec()),
            Host::Name(name) => name,
        };
        let unavailable = |reason: String| SourceError::Unavailable { what: format!("`{name}`"), reason };
        match timeout(CONNECT, self.resolver.resolve(name)).await {
            Err(_) => Err(unavailable("no name server has answered in time".into())),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Ok(Ok(none)) if none.is_empty() => Err(unavailable("it has no address".into())),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    fn client(&self, origin: &Origin, mut addresses: Vec<IpAddr>) -> Result<reqwest::Client, SourceError> {
        addresses.sort_unstable();
        let key = (origin.clone(), addresses);
        let mut kept = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.iter().find(|(held, _)| *held == key) {
            return Ok(client.clone());
        }
        let no_client = |reason: String| SourceError::Unavailable { what: origin.to_string(), reason };
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => crate::tls::config().map_err(no_client)?,
        };
        let pinned = match &origin.host {
            Host::Name(name) => Some((name.as_str(), &key.1[..], origin.port)),
            Host::Address(_) => None,
        };
        let client = client::builder(tls, CONNECT, pinned).build().map_err(|error| no_client(error.to_string()))?;
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((key, client.clone()));
        Ok(client)
    }
}

/// Where an answer points to, read against where it came from.
pub(super) fn pointed(from: &Target, location: &HeaderValue) -> Result<Target, SourceError> {
    let nowhere = |reason: String| SourceError::Unavailable { what: from.place(), reason };
    let text = location.to_str().map_err(|_| nowhere("it redirects to what is no URL".into()))?;
    from.join(text).map_err(|refusal| nowhere(format!("it redirects nowhere: {refusal}")))
}

/// Whether a server may be connected to. `named` is one that a person named: its address may be any where they wrote it down, and in
/// `networks` otherwise. One that another server points to is public.
fn allowed(host: &Host, addresses: &[IpAddr], named: bool, networks: &[Network]) -> Result<(), String> {
    if named && is_literal(host) {
        return Ok(());
    }
    if addresses.len() > MOST_ADDRESSES {
        return Err(format!("`{host}` has more than {MOST_ADDRESSES} addresses, and all of a name have to be checked"));
    }
    let private = addresses.iter().find_map(|address| address::check(*address, networks).err());
    match private {
        None => Ok(()),
        Some(what) if named => Err(format!("`{host}` is no public server: it lies in {what}")),
        Some(what) => Err(format!("a server points to it, and `{host}` is no public server: it lies in {what}")),
    }
}

fn denied(target: &Target, reason: String) -> SourceError {
    SourceError::Address { what: target.origin().to_string(), reason }
}

pub(super) fn late(target: &Target, reason: String) -> SourceError {
    SourceError::TimedOut { what: target.place(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t103_who_may_be_connected_to() {
        let host = |text: &str| Target::parse(&format!("https://{text}/")).unwrap().host().clone();
        let at = |addresses: &[&str]| -> Vec<IpAddr> { addresses.iter().map(|one| one.parse().unwrap()).collect() };
        let ours = [Network::parse("10.1.0.0/16").unwrap()];
        for (name, addresses, named, networks, may) in [
            ("a.test", vec!["1.1.1.1"], true, &[][..], true),
            ("a.test", vec!["1.1.1.1"], false, &[], true),
            ("a.test", vec!["10.1.0.1"], true, &[], false),
            ("a.test", vec!["10.1.0.1"], true, &ours, true),
            ("a.test", vec!["1.1.1.1", "10.2.0.1"], true, &ours, false),
            ("10.1.0.1", vec!["10.1.0.1"], true, &[], true),
            ("10.1.0.1", vec!["10.1.0.1"], false, &[], false),
            ("localhost", vec!["127.0.0.1"], true, &[], true),
            ("localhost", vec!["127.0.0.1"], false, &[], false),
            ("169.254.169.254", vec!["169.254.169.254"], false, &[], false),
            ("[::1]", vec!["::1"], false, &[], false),
        ] {
            let found = allowed(&host(name), &at(&addresses), named, networks);
            assert_eq!(found.is_ok(), may, "{name} {addresses:?} {named} {networks:?}: {found:?}");
        }
        let many: Vec<IpAddr> = (1..=17u8).map(|n| IpAddr::from([1, 1, 1, n])).collect();
        assert!(allowed(&host("a.test"), &many, true, &[]).unwrap_err().contains("16 addresses"));
    }
}
