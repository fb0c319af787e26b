//! Connections. One client per skill, origin and set of addresses: nothing is shared between skills, nothing goes to an address
//! that was not checked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::headers;
use super::url::{Host, Origin};
use crate::net;

/// Clients that are kept. The one that was not used for the longest time goes first, with its connections.
const KEPT: usize = 512;

/// How long a connection waits for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// Connections of one client that wait.
const IDLE_CONNECTIONS: usize = 16;

/// What a server may send before it is read: HTTP/2's window. A response that nobody reads costs no more than this.
const WINDOW: u32 = 256 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    skill: Arc<str>,
    origin: Origin,
    /// Sorted.
    addresses: Vec<IpAddr>,
}

/// The clients of a host.
pub(super) struct Clients {
    tls: rustls::ClientConfig,
    connect: Duration,
    kept: Mutex<HashMap<Key, (Instant, reqwest::Client)>>,
}

impl Clients {
    pub(super) fn new(tls: rustls::ClientConfig, connect: Duration) -> Self {
        Self { tls, connect, kept: Mutex::default() }
    }

    /// The client that reaches `origin` at these addresses and nowhere else.
    pub(super) fn get(
        &self,
        skill: &str,
        origin: &Origin,
        mut addresses: Vec<IpAddr>,
    ) -> Result<reqwest::Client, String> {
        addresses.sort_unstable();
        let key = Key { skill: skill.into(), origin: origin.clone(), addresses };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((used, client)) = kept.get_mut(&key) {
            *used = Instant::now();
            return Ok(client.clone());
        }
        let client = self.build(origin, &key.addresses)?;
        if kept.len() >= KEPT
            && let Some(oldest) = kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(key, (Instant::now(), client.clone()));
        Ok(client)
    }

    fn build(&self, origin: &Origin, addresses: &[IpAddr]) -> Result<reqwest::Client, String> {
        let mut tls = self.tls.clone();
        // Tickets of one skill tell a server nothing about another.
        tls.resumption = rustls::client::Resumption::in_memory_sessions(16);
        let pinned = match &origin.host {
            Host::Name(name) => Some((name.as_str(), addresses, origin.port)),
            Host::Address(_) => None,
        };
        let builder = net::client::builder(tls, self.connect, pinned)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_headers(headers::MAX_LINES)
            .http2_max_header_list_size(headers::MAX_BYTES as u32)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(4 * WINDOW);
        builder.build().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::http::Target;

    #[test]
    fn t70_connections_are_kept_by_skill_origin_and_addresses() {
        let clients = Clients::new(crate::tls::config().unwrap(), Duration::from_secs(1));
        let origin = |url: &str| Target::parse(url).unwrap().origin().clone();
        let (one, two): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let count = || clients.kept.lock().unwrap().len();
        clients.get("a", &origin("https://a.test/"), vec![one, two]).unwrap();
        clients.get("a", &origin("https://a.test:443/x"), vec![two, one]).unwrap();
        assert_eq!(count(), 1, "the same again");
        for (at, (skill, url, addresses)) in [
            ("b", "https://a.test/", vec![one, two]),
            ("a", "http://a.test/", vec![one, two]),
            ("a", "https://a.test:8443/", vec![one, two]),
            ("a", "https://b.test/", vec![one, two]),
            ("a", "https://a.test/", vec![one]),
        ]
        .into_iter()
        .enumerate()
        {
            clients.get(skill, &origin(url), addresses).unwrap();
            assert_eq!(count(), 2 + at, "{skill} {url}");
        }
        for n in 0..2 * KEPT {
            clients.get(&n.to_string(), &origin("http://a.test/"), vec![one]).unwrap();
        }
        assert_eq!(count(), KEPT);
    }
}
