//! The way to a server that is reached by HTTP, and to those that sign this host in: looked up once for a connection, every address
//! checked, pinned, no redirects, no proxy, and headers with secrets that are bound to it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::AuthClient;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ServerError;
use super::guard::{Counted, Ending, LINE_BYTES, Stoppable};
use super::tokens::{self, Keeper};
use crate::capability::secrets::{Binding, Vault};
use crate::net::address::{self, LOOPBACK, Network};
use crate::net::resolve::{MOST_ADDRESSES, System};
use crate::net::{Host, Origin, Resolve, Target, client};

const CONNECT: Duration = Duration::from_secs(10);
const OPENS: &str = "{{secret:";
const CLOSES: &str = "}}";

/// How servers are found and believed.
#[derive(Clone)]
pub(crate) struct Reach {
    resolver: Arc<dyn Resolve>,
    /// Reachable for all: empty but for tests.
    reachable: Vec<Network>,
    tls: Option<rustls::ClientConfig>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { resolver: Arc::new(System::new()), reachable: Vec::new(), tls: None }
    }
}

#[cfg(any(test, debug_assertions))]
impl From<crate::net::TestNetwork> for Reach {
    fn from(network: crate::net::TestNetwork) -> Self {
        let crate::net::TestNetwork { resolver, reachable, tls } = network;
        Self { resolver, reachable, tls }
    }
}

/// What is reached, and with what.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    /// With variables filled in, and placeholders of secrets not.
    pub(super) headers: BTreeMap<String, SecretString>,
    pub(super) networks: &'a [Network],
}

/// A stream of messages to a server, and the secrets that were sent to it.
pub(super) struct Opened {
    pub(super) transport: Transport,
    /// Why it was given up, and what ends it then.
    pub(super) ending: Ending,
    pub(super) stop: CancellationToken,
    pub(super) secrets: Vec<SecretString>,
}

pub(super) enum Transport {
    Plain(Stoppable<Counted<reqwest::Client>>),
    /// With a token, which is refreshed when its time has come.
    Signed(Stoppable<AuthClient<Counted<reqwest::Client>>>, Arc<Keeper>),
}

/// Who named a place: what a person wrote down is reached, and what a server names is public or in a network that a person named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    ByPerson,
    ByServer,
}

impl Reach {
    pub(super) async fn open(&self, place: Place<'_>, vault: &Arc<Vault>) -> Result<Opened, ServerError> {
        let Place { name, url, headers, networks } = place;
        let target = Target::parse(url).map_err(|refusal| ServerError::settings(name, &refusal.to_string()))?;
        let client = self.client(name, &target, networks, Named::ByPerson).await?;
        let (headers, mut secrets) = filled(name, target.origin(), headers, vault).await?;
        // A token that a person wrote into the headers is the one that they mean.
        let signed = match headers.contains_key(&reqwest::header::AUTHORIZATION) {
            true => None,
            false => tokens::kept(self, name, &target, networks, vault).await?,
        };
        let config = StreamableHttpClientTransportConfig::with_uri(target.url().as_str())
            .custom_headers(headers)
            .max_sse_event_size(LINE_BYTES)
            .max_json_response_size(LINE_BYTES);
        let (ending, stop) = (Ending::default(), CancellationToken::new());
        let client = Counted::new(client, ending.clone(), stop.clone());
        let transport = match signed {
            None => {
                let transport = StreamableHttpClientTransport::with_client(client, config);
                Transport::Plain(Stoppable::new(transport, stop.clone()))
            }
            Some((manager, keeper, tokens)) => {
                secrets.extend(tokens);
                let client = AuthClient::new(client, manager);
                let transport = StreamableHttpClientTransport::with_client(client, config);
                Transport::Signed(Stoppable::new(transport, stop.clone()), keeper)
            }
        };
        Ok(Opened { transport, ending, stop, secrets })
    }

    /// A client for one place and no other.
    pub(super) async fn client(
        &self,
        name: &str,
        target: &Target,
        networks: &[Network],
        named: Named,
    ) -> Result<reqwest::Client, ServerError> {
        let denied = |reason: String| ServerError::Address { name: name.to_owned(), reason };
        let origin = target.origin();
        let addresses = self.addresses(name, target.host()).await?;
        self.check(origin, &addresses, networks, named).map_err(denied)?;
        if !origin.tls && !origin.host.is_this_machine() {
            return Err(denied(format!("`{origin}` is spoken to in the clear, which is only for this machine")));
        }
        let unavailable = |reason: String| ServerError::Unavailable { name: name.to_owned(), reason };
        let tls = self.tls.clone().map_or_else(crate::tls::config, Ok).map_err(unavailable)?;
        let pinned = match &origin.host {
            Host::Name(host) => Some((host.as_str(), &addresses[..], origin.port)),
            Host::Address(_) => None,
        };
        client::builder(tls, CONNECT, pinned).build().map_err(|error| unavailable(error.to_string()))
    }

    async fn addresses(&self, name: &str, host: &Host) -> Result<Vec<IpAddr>, ServerError> {
        let asked = match host {
            Host::Address(address) => return Ok(vec![*address]),
            // RFC 6761: it is this machine, whatever a name server says.
            Host::Name(host) if host == Host::THIS_MACHINE => return Ok(LOOPBACK.to_vec()),
            Host::Name(host) => host,
        };
        let unavailable = |why: &str| ServerError::Unavailable {
            name: name.to_owned(),
            reason: format!("`{asked}` cannot be found: {why}"),
        };
        match timeout(CONNECT, self.resolver.resolve(asked)).await {
            Err(_) => Err(unavailable("no name server has answered in time")),
            Ok(Err(error)) => Err(unavailable(&error.to_string())),
            Ok(Ok(none)) if none.is_empty() => Err(unavailable("it has no address")),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    /// An address that a person wrote down is reached; one that a name or a server leads to is public, or in a network that they named.
    fn check(&self, origin: &Origin, addresses: &[IpAddr], networks: &[Network], named: Named) -> Result<(), String> {
        let is_plain = matches!(origin.host, Host::Address(_)) || origin.host.is_this_machine();
        if named == Named::ByPerson && is_plain {
            return Ok(());
        }
        if addresses.len() > MOST_ADDRESSES {
            return Err(format!(
                "`{}` has more than {MOST_ADDRESSES} addresses, and all have to be checked",
                origin.host
            ));
        }
        let granted = [networks, &self.reachable].concat();
        match addresses.iter().find_map(|address| address::check(*address, &granted).err()) {
            None => Ok(()),
            Some(what) => Err(format!("`{}` is no public server: it lies in {what}", origin.host)),
        }
    }
}

type Headers = HashMap<HeaderName, HeaderValue>;

/// The headers with their secrets, and those secrets.
async fn filled(
    name: &str,
    origin: &Origin,
    headers: BTreeMap<String, SecretString>,
    vault: &Vault,
) -> Result<(Headers, Vec<SecretString>), ServerError> {
    let wrong = |reason: String| ServerError::settings(name, &reason);
    let to = Binding::of(origin.scheme(), &origin.host.to_string(), origin.port);
    let (mut all, mut secrets) = (Headers::new(), Vec::new());
    for (header, text) in headers {
        let key =
            HeaderName::try_from(&header).map_err(|_| wrong(format!("`{}` is no header", header.escape_debug())))?;
        let mut value = String::new();
        let mut rest = text.expose_secret();
        while let Some((before, after)) = rest.split_once(OPENS) {
            let Some((secret, behind)) = after.split_once(CLOSES) else {
                return Err(wrong(format!("the header `{key}` has `{{{{secret:` without the `}}}}` that ends it")));
            };
            if !vault.is_bound(secret, &to) {
                let reason = format!(
                    "the header `{key}` needs the secret `{}`, which is not kept, or not for {origin}",
                    secret.escape_debug()
                );
                return Err(wrong(reason));
            }
            let found = vault.reveal(secret).await.map_err(|error| {
                tracing::error!(%error, help = error.hint(), "a secret cannot be used");
                wrong(format!("the secret `{secret}` cannot be read; see the host's log"))
            })?;
            value.push_str(before);
            value.push_str(found.expose_secret());
            secrets.push(found);
            rest = behind;
        }
        value.push_str(rest);
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| wrong(format!("the header `{key}` cannot hold what it is given")))?;
        value.set_sensitive(true);
        all.insert(key, value);
    }
    Ok((all, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t60_what_a_person_wrote_is_reached_and_what_a_name_leads_to_is_public() {
        let reach = Reach::default();
        let ours = [Network::parse("10.1.0.0/16").unwrap()];
        let home = [Network::parse("127.0.0.1").unwrap()];
        for (url, addresses, networks, may) in [
            ("https://a.test/token", vec!["1.1.1.1"], &[][..], true),
            ("https://10.9.0.1/token", vec!["10.9.0.1"], &[], false),
            ("https://10.1.0.1/token", vec!["10.1.0.1"], &ours, true),
            ("http://127.0.0.1:1/token", vec!["127.0.0.1"], &[], false),
            ("http://localhost:1/token", vec!["127.0.0.1"], &[], false),
            ("http://127.0.0.1:1/token", vec!["127.0.0.1"], &home, true),
            ("https://a.test/token", vec!["169.254.169.254"], &ours, false),
        ] {
            let addresses: Vec<IpAddr> = addresses.iter().map(|one| one.parse().unwrap()).collect();
            let found = reach.check(Target::parse(url).unwrap().origin(), &addresses, networks, Named::ByServer);
            assert_eq!(found.is_ok(), may, "named by a server: {url} {addresses:?}: {found:?}");
        }
        for (url, addresses, networks, may) in [
            ("https://a.test/mcp", vec!["1.1.1.1"], &[][..], true),
            ("https://a.test/mcp", vec!["10.1.0.1"], &[], false),
            ("https://a.test/mcp", vec!["10.1.0.1"], &ours, true),
            ("https://a.test/mcp", vec!["1.1.1.1", "169.254.169.254"], &ours, false),
            ("https://a.test/mcp", vec!["127.0.0.1"], &[], false),
            ("https://10.9.0.1/mcp", vec!["10.9.0.1"], &[], true),
            ("http://localhost:1/mcp", vec!["127.0.0.1"], &[], true),
        ] {
            let addresses: Vec<IpAddr> = addresses.iter().map(|one| one.parse().unwrap()).collect();
            let found = reach.check(Target::parse(url).unwrap().origin(), &addresses, networks, Named::ByPerson);
            assert_eq!(found.is_ok(), may, "{url} {addresses:?}: {found:?}");
        }
    }
}
