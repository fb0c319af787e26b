//! The one way out. Everything that is sent to a server for a skill is sent here, in this order: look up once, check every
//! address, pin them, fill in secrets, send, check the head, wrap the body.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::{self, LOOPBACK, Network};
use super::body::{Body, Parts};
use super::client::Clients;
use super::gate::{Gate, Rates};
use super::port::{Answer, Out, Wire};
use super::resolve::{MOST_ADDRESSES, Resolve, System};
use super::secrets::{self, Redact, Secrets};
use super::settings::HttpSettings;
use super::url::{Host, Origin};
use super::{Exchange, decode, headers};
use crate::broker::{Ask as _, Permit, Session};
use crate::budget::Amount;
use crate::error::{Denial, Refusal};
#[cfg(any(test, debug_assertions))]
use crate::net::TestNetwork;
use crate::net::client::chain;

/// The way out of a host, shared by all invocations.
pub struct Egress {
    settings: HttpSettings,
    resolver: Arc<dyn Resolve>,
    secrets: Arc<dyn Secrets>,
    rates: Rates,
    /// Made on first use: a host of which no skill reaches a server does not pay for reading the system's certificates.
    clients: OnceLock<Clients>,
    /// Reachable whatever was granted: empty but for tests.
    reachable: Vec<Network>,
    tls: Option<rustls::ClientConfig>,
}

impl Egress {
    #[must_use]
    pub fn new(settings: HttpSettings, secrets: Arc<dyn Secrets>) -> Self {
        Self::over(settings, secrets, Arc::new(System::new()))
    }

    /// Over a test's own network.
    #[cfg(any(test, debug_assertions))]
    #[must_use]
    pub fn on(settings: HttpSettings, secrets: Arc<dyn Secrets>, network: TestNetwork) -> Self {
        let TestNetwork { resolver, reachable, tls } = network;
        Self { reachable, tls, ..Self::over(settings, secrets, resolver) }
    }

    fn over(settings: HttpSettings, secrets: Arc<dyn Secrets>, resolver: Arc<dyn Resolve>) -> Self {
        let rates = Rates::new(settings.per_minute);
        Self { settings, resolver, secrets, rates, clients: OnceLock::new(), reachable: Vec::new(), tls: None }
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// What one invocation may do.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate::new(&self.settings)
    }

    /// Counts one more request for `skill`: the one that began, and not one that it called. Otherwise a skill could use up
    /// another one's minute, and make more requests than its own by having others make them.
    pub(super) fn count(&self, gate: &Gate, skill: &str) -> Result<(), Refusal> {
        gate.count(&self.rates, skill)
    }

    async fn exchange(&self, permit: Permit<Exchange>, session: &Session, body: Out) -> Result<Answer, Refusal> {
        let ask = permit.ask().clone();
        let receipt = permit.receipt();
        let until = Instant::now() + ask.patience;
        let origin = ask.target.origin();
        let addresses = within(until, ask.patience, self.addresses(&ask)).await?;
        self.check(&ask, &addresses).map_err(|(denial, detail)| {
            // The skill is not told where a name leads in the operator's own networks.
            receipt.close("denied", detail);
            denial
        })?;
        let mut head = ask.headers.clone();
        if secrets::is_wanted(&head) {
            if !origin.tls && !origin.host.is_this_machine() {
                return Err(secrets::in_the_clear(origin));
            }
            self.secrets.fill(session, origin, &mut head).await?;
        }
        head.insert(ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPTED));
        let client = self.clients()?.get(&ask.skill, origin, addresses).map_err(no_client)?;
        let mut request = client.request(ask.method.clone(), ask.target.url().clone()).headers(head);
        request = match body {
            Out::Whole(bytes) if bytes.is_empty() => request,
            Out::Whole(bytes) => request.body(bytes),
            Out::Pieces(pieces) => request.body(reqwest::Body::wrap_stream(pieces.stream())),
        };
        permit.settle(Amount::default());
        let sent = async { request.send().await.map_err(|error| unsent(origin, error)) };
        let response = within(until, ask.patience, sent).await?;
        let redactor = self.secrets.redactor(session, ask.target.origin()).await;
        self.answer(ask, response, redactor)
    }

    /// Who is asked, which is decided here once for this hop.
    async fn addresses(&self, ask: &Exchange) -> Result<Vec<IpAddr>, Refusal> {
        let name = match ask.target.host() {
            Host::Address(address) => return Ok(vec![*address]),
            // RFC 6761: it is this machine, whatever a name server says.
            Host::Name(name) if name == Host::THIS_MACHINE => return Ok(LOOPBACK.to_vec()),
            Host::Name(name) => name,
        };
        let unavailable = |why: &str| Refusal::Unavailable(format!("`{name}` cannot be found: {why}"));
        match timeout(self.settings.connect(), self.resolver.resolve(name)).await {
            Err(_) => Err(unavailable("no name server has answered in time")),
            Ok(Err(error)) => Err(unavailable(&error.to_string())),
            Ok(Ok(none)) if none.is_empty() => Err(unavailable("it has no address")),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    /// Whether every address may be connected to. The error is what the skill is told, and what the record says.
    fn check(&self, ask: &Exchange, addresses: &[IpAddr]) -> Result<(), (Refusal, String)> {
        let denied = |reason: String, hint: String| {
            let hint = hint.replace("{skill}", &crate::plain::word(&ask.skill));
            Refusal::Denied(Denial { capability: "http", subject: ask.subject(), reason, hint })
        };
        let origin = ask.target.origin();
        // A rule names this one itself, or policy had not allowed it: patterns and networks cover names only.
        if matches!(origin.host, Host::Address(_)) || origin.host.is_this_machine() {
            return Ok(());
        }
        if addresses.len() > MOST_ADDRESSES {
            let reason = format!("`{}` has more than {MOST_ADDRESSES} addresses", origin.host);
            let hint = "nothing allows it: all addresses of a name have to be checked";
            return Err((denied(reason.clone(), hint.into()), reason));
        }
        let granted = [&ask.networks[..], &self.reachable[..]].concat();
        for address in addresses {
            if let Err(what) = address::check(*address, &granted) {
                let reason = format!("`{}` is no public server: it lies in {what}", origin.host);
                let hint = format!(
                    "where it is yours, look its address up in `ringfence audit list` and grant its network beside it: \
                     `ringfence grant {{skill}} http={origin},192.168.1.0/24`"
                );
                return Err((denied(reason, hint), format!("`{}` is {address}: {what}", origin.host)));
            }
        }
        Ok(())
    }

    fn clients(&self) -> Result<&Clients, Refusal> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => crate::tls::config().map_err(no_client)?,
        };
        Ok(self.clients.get_or_init(|| Clients::new(tls, self.settings.connect())))
    }

    fn answer(
        &self,
        ask: Exchange,
        response: reqwest::Response,
        redact: Option<Box<dyn Redact>>,
    ) -> Result<Answer, Refusal> {
        let status = response.status().as_u16();
        let mut shown = headers::written(response.headers())?;
        let is_empty = ask.method == Method::HEAD
            || matches!(status, 204 | 304)
            || response.headers().get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() == b"0");
        let encoding = {
            let mut all = response.headers().get_all(CONTENT_ENCODING).iter();
            let first = all.next().filter(|_| all.next().is_none() && !is_empty);
            let named = first.and_then(|value| value.to_str().ok()).map(|name| name.trim().to_ascii_lowercase());
            named.filter(|name| decode::is_known(name))
        };
        if encoding.is_some() {
            shown.retain(|(name, _)| name != CONTENT_ENCODING.as_str() && name != CONTENT_LENGTH.as_str());
        }
        if let Some(redact) = &redact {
            for (_, value) in &mut shown {
                *value = redact.text(value);
            }
        }
        let stream = response.bytes_stream().map_err(|error| std::io::Error::other(chain(&error.without_url())));
        let body = Body::new(Parts {
            stream: stream.boxed(),
            encoding,
            redact,
            limit: self.settings.response_bytes(),
            idle: self.settings.idle(),
            status,
        });
        Ok(Answer { status, target: ask.target, headers: shown, body })
    }
}

impl Wire for Egress {
    fn send<'a>(
        &'a self,
        permit: Permit<Exchange>,
        session: &'a Session,
        body: Out,
    ) -> BoxFuture<'a, Result<Answer, Refusal>> {
        Box::pin(self.exchange(permit, session, body))
    }
}

async fn within<T>(
    until: Instant,
    patience: Duration,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    timeout_at(until, work).await.unwrap_or_else(|_| {
        let text = format!("the server's answer did not begin within {} ms", patience.as_millis());
        Err(Refusal::TimedOut(text))
    })
}

fn no_client(why: String) -> Refusal {
    Refusal::Unavailable(format!("no connection can be made: {why}"))
}

/// Why no answer came. The URL stays out of it: its query may be private.
fn unsent(origin: &Origin, error: reqwest::Error) -> Refusal {
    let timed_out = error.is_timeout();
    let text = format!("{origin}: {}", chain(&error.without_url()));
    if timed_out { Refusal::TimedOut(text) } else { Refusal::Unavailable(text) }
}
