//! What every client has that speaks to a server of a stranger's choice: no proxy of the environment, no redirect that it follows
//! on its own, no second try, and no name that it looks up itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Name, Resolving};

/// A client that reaches the host of `pinned` at its addresses and port, and otherwise only addresses that are written in a URL.
pub(crate) fn builder(
    tls: rustls::ClientConfig,
    connect: Duration,
    pinned: Option<(&str, &[IpAddr], u16)>,
) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .referer(false)
        .no_proxy()
        .user_agent(concat!("ringfence/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .dns_resolver(Nobody);
    match pinned {
        Some((name, addresses, port)) => {
            let pinned: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
            builder.resolve_to_addrs(name, &pinned)
        }
        // An address needs no look-up: the connector takes it from the URL.
        None => builder,
    }
}

/// A client for one server that the operator named, where the host itself has something to say: no redirect, no proxy of the
/// environment. `whole` is how long a request with its answer may take. The error is a sentence without anything secret.
pub fn to_operators_server(whole: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(crate::tls::config()?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(concat!("ringfence/", env!("CARGO_PKG_VERSION")))
        .timeout(whole)
        // Whoever sends seldom does not hold a connection meanwhile.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| error.to_string())
}

/// Stands behind the pinned addresses: what is not pinned is not found.
struct Nobody;

impl reqwest::dns::Resolve for Nobody {
    fn resolve(&self, name: Name) -> Resolving {
        let error = format!("`{}` was not looked up for this request", name.as_str());
        Box::pin(std::future::ready(Err(error.into())))
    }
}

/// An error with its causes, which say more than it does. The URL stays out of it: its query may be private.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
