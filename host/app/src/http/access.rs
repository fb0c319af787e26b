//! Who may ask at all: looked at before anything of a request is read but its head, in this order.
//!
//! The host that it names, so that no page of the web can reach this machine under a name of its own (DNS rebinding, RUSTSEC-2026-0189);
//! where a browser says that the request comes from (Fetch Metadata, RFC 6454), so that no page can have one sent; and a token, which a
//! page has not. Nothing here answers with a CORS header: no page of another origin gets to read an answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use ringfence_core::Error;

use super::token::Given;
use super::{App, Problem, lasting};
use crate::trouble::Trouble;

/// Wrong tokens that a peer may bring in a minute.
const TRIES: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Peers that are remembered for it.
const PEERS: usize = 10_000;

/// What the holder of a token may do. The server says so: nothing in a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rights {
    /// To call tools, and to see what came of its calls.
    Client,
    /// That, and to see and change what skills may do.
    Admin,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Network(IpAddr),
    /// The user whose host this is, by the control socket. The system vouches for that.
    Owner,
}

/// Who asks, and what they may do. Every handler can take it as an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) rights: Rights,
}

/// That whoever asks has the rights of an admin. A handler that takes this as an argument is for nobody else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin;

impl<S: Sync> FromRequestParts<S> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Access::from_request_parts(parts, state).await?.rights {
            Rights::Admin => Ok(Self),
            Rights::Client => Err(Problem::new(
                "denied",
                "this is not for clients",
                "use the admin token, or the program `ringfence` on the machine itself",
            )),
        }
    }
}

/// The names under which this server may be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// The names of this machine for itself, the address that is listened on where it is one, and `more`. One that no request could have is
    /// refused: whoever gave it would look for the fault elsewhere.
    pub(crate) fn new(address: SocketAddr, more: &[String]) -> Result<Self, Error> {
        let mut names: Vec<String> = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).into();
        if !address.ip().is_unspecified() {
            names.push(match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        for name in more {
            if !is_name(name) {
                return Err(Trouble::new(
                    "usage",
                    format!("`--allow-host {name}` is not the name of a host"),
                    advice(name),
                ));
            }
            names.push(name.to_ascii_lowercase());
        }
        Ok(Self(names))
    }

    /// Whether `authority`, a name with or without a port, is one of them. Which port does not matter: it may have been forwarded.
    fn has(&self, authority: &str) -> bool {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether a request can name its host so, which is without a port here.
fn is_name(name: &str) -> bool {
    let ipv6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    match ipv6 {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.len() <= 253 && name.split('.').all(is_label),
    }
}

/// What to write in place of what is no name: the name in it, where there is one.
fn advice(given: &str) -> String {
    let rest = given.split_once("://").map_or(given, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let bare = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    match given.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("write `--allow-host [{ip}]`"),
        Err(_) if is_name(bare) => {
            format!("write `--allow-host {bare}`, without a scheme, a port or a path: any port will do")
        }
        Err(_) => "write a name as it stands in a URL, such as `--allow-host skills.example.com`".to_owned(),
    }
}

/// Looks at a request before it goes anywhere.
pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match examine(&app, &request) {
        Ok(Entry::Open) => next.run(request).await,
        Ok(Entry::Owner) => {
            request.extensions_mut().insert(Access { rights: Rights::Admin });
            next.run(request).await
        }
        Ok(Entry::Token(given, rights)) => {
            request.extensions_mut().insert(Access { rights });
            lasting::while_it_holds(&app, given, rights, next.run(request).await)
        }
        Err(problem) => problem.into_response(),
    }
}

/// By what somebody is let in.
enum Entry {
    /// The path is for everybody.
    Open,
    /// The system vouches for them.
    Owner,
    Token(Given, Rights),
}

fn examine(app: &App, request: &Request) -> Result<Entry, Problem> {
    let host = host(&app.names, request.uri(), request.headers())?;
    origin(request.headers(), host)?;
    let peer = request.extensions().get::<Peer>().copied().ok_or_else(unauthorized)?;
    let known = || {
        if let Some(connection) = request.extensions().get::<super::connection::Open>() {
            connection.is_known();
        }
    };
    let Peer::Network(address) = peer else {
        known();
        return Ok(Entry::Owner);
    };
    let is_open = match request.uri().path() {
        "/healthz" | "/readyz" | "/openapi.json" => true,
        "/metrics" => app.open_metrics,
        _ => false,
    };
    if is_open {
        return Ok(Entry::Open);
    }
    let given = Given::new(bearer(request.headers())?);
    let rights = app.tokens.rights_of(&given);
    // All programs of this machine have one address, and one of them that guesses must not lock the others out.
    if (rights.is_none() || !address.is_loopback()) && app.tries.is_over(address, Instant::now()) {
        return Err(Problem::new(
            "too-many-tries",
            "too many wrong tokens came from your address",
            "wait for a minute",
        ));
    }
    let Some(rights) = rights else {
        app.tries.count(address, Instant::now());
        return Err(Problem::new(
            "unauthorized",
            "the token that came is none of this server's",
            "`ringfence serve` says at its start in which file the token is; a new one holds within a second",
        ));
    };
    known();
    Ok(Entry::Token(given, rights))
}

/// The one host that a request names, which has to be one of ours.
fn host<'a>(names: &Names, uri: &Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    let mut all = headers.get_all(header::HOST).iter();
    let only = match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    // Where the target is a whole URL, it says the host, and the header should say the same (RFC 9112, 3.2.2).
    let target = uri.authority().is_none_or(|target| names.has(target.as_str()));
    only.filter(|host| target && names.has(host)).ok_or_else(|| {
        let named = only.map(|host| ringfence_core::plain::line(host, 100).0).unwrap_or_default();
        Problem::new(
            "forbidden-host",
            match named.as_str() {
                "" => "the request does not name one host".to_owned(),
                named => format!("the request names the host `{named}`, which is not this server's"),
            },
            "use 127.0.0.1, localhost or [::1], or start the server with `--allow-host NAME`",
        )
    })
}

/// Refuses what a browser sends for a page of another origin.
fn origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let refused = || {
        Problem::new(
            "forbidden-origin",
            "requests of web pages are not taken",
            "call the server from a program that is no browser",
        )
    };
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    for site in headers.get_all(SITE) {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return Err(refused());
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if !own.is_some_and(|(scheme, name)| matches!(scheme, "http" | "https") && name.eq_ignore_ascii_case(host)) {
            return Err(refused());
        }
    }
    Ok(())
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1). One in the query or in a body is none: those are logged on the way.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Err(unauthorized()) };
    let (scheme, token) = only.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unauthorized)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(unauthorized()) }
}

fn unauthorized() -> Problem {
    Problem::new(
        "unauthorized",
        "this needs a token",
        "send `Authorization: Bearer TOKEN`; `ringfence serve` says at its start in which file the token is",
    )
}

/// Wrong tokens by peer, of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Tries {
    fn is_over(&self, peer: IpAddr, now: Instant) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.get(&of(peer)).is_some_and(|(begun, count)| now.duration_since(*begun) < MINUTE && *count >= TRIES)
    }

    fn count(&self, peer: IpAddr, now: Instant) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= PEERS {
            tries.retain(|_, (begun, _)| now.duration_since(*begun) < MINUTE);
            // Whoever has so many addresses has ten tries for each of them anyway.
            if tries.len() >= PEERS {
                tries.clear();
            }
        }
        let (begun, count) = tries.entry(of(peer)).or_insert((now, 0));
        if now.duration_since(*begun) >= MINUTE {
            (*begun, *count) = (now, 0);
        }
        *count += 1;
    }
}

/// Of IPv6 the network, since one peer has all addresses of it.
fn of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(more: &[&str]) -> Names {
        let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
        Names::new("127.0.0.1:7420".parse().unwrap(), &more).unwrap()
    }

    #[test]
    fn a_name_that_no_request_can_have_is_refused_with_the_one_that_was_meant() {
        let told =
            |name: &str| Names::new("127.0.0.1:0".parse().unwrap(), &[name.to_owned()]).map_err(|error| error.hint());
        for good in ["x", "skills.example.com", "UPPER.example", "10.0.0.7", "[2001:db8::1]", "a_b.internal"] {
            assert!(told(good).is_ok(), "{good}");
        }
        for (bad, hint) in [
            ("http://x", "`--allow-host x`"),
            ("https://skills.example.com:8443/mcp?a#b", "`--allow-host skills.example.com`"),
            ("skills.example.com:443", "`--allow-host skills.example.com`"),
            ("skills.example.com/", "`--allow-host skills.example.com`"),
            ("http://me@x/", "`--allow-host x`"),
            ("2001:db8::1", "`--allow-host [2001:db8::1]`"),
            ("http://[::1]:80", "`--allow-host [::1]`"),
            ("", "such as"),
            ("*.example.com", "such as"),
            ("two names", "such as"),
            ("a..b", "such as"),
            ("[nothing]", "such as"),
        ] {
            assert!(told(bad).unwrap_err().contains(hint), "{bad}: {:?}", told(bad));
        }
    }

    fn kind(names: &Names, target: &str, hosts: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        super::host(names, &target.parse().unwrap(), &headers).err().map(|problem| problem.kind().to_owned())
    }

    #[test]
    fn t112_only_names_of_this_server_are_answered() {
        let ours = names(&["skills.example.com"]);
        for good in ["127.0.0.1", "127.0.0.1:1", "LOCALHOST:7420", "[::1]", "[::1]:7420", "skills.example.com:443"] {
            assert_eq!(kind(&ours, "/", &[good]), None, "{good}");
            assert_eq!(kind(&ours, &format!("http://{good}/"), &[good]), None, "{good}");
        }
        let bad: &[&[&str]] = &[
            &[],
            &[""],
            &["evil.test"],
            &["evil.test:7420"],
            &["127.0.0.1.nip.io"],
            &["localhost.evil.test"],
            &["0.0.0.0"],
            &["127.0.0.2"],
            &["localhost", "localhost"],
            &["localhost", "evil.test"],
            &["localhost:7420:1"],
            &["user@localhost"],
            &["localhost."],
            &["::1"],
        ];
        for hosts in bad {
            assert_eq!(kind(&ours, "/", hosts).as_deref(), Some("forbidden-host"), "{hosts:?}");
        }
        assert!(kind(&ours, "http://evil.test/", &["localhost"]).is_some());
    }

    #[test]
    fn t111_pages_of_other_origins_are_refused_whatever_they_claim() {
        let refused = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            origin(&headers, "localhost:7420").is_err()
        };
        for bad in [
            "https://evil.test",
            "null",
            "",
            "http://localhost:1",
            "http://localhost:7420.evil.test",
            "file://localhost:7420",
        ] {
            assert!(refused(&[("origin", bad)]), "{bad}");
        }
        for bad in ["cross-site", "same-site", "whatever"] {
            assert!(refused(&[("sec-fetch-site", bad)]), "{bad}");
        }
        assert!(refused(&[("origin", "http://localhost:7420"), ("origin", "https://evil.test")]));
        assert!(refused(&[("origin", "http://localhost:7420"), ("sec-fetch-site", "cross-site")]));
        assert!(!refused(&[]));
        assert!(!refused(&[("origin", "http://localhost:7420"), ("sec-fetch-site", "same-origin")]));
        assert!(!refused(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn t110_ten_wrong_tokens_in_a_minute_and_no_more() {
        let tries = Tries::default();
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        for _ in 0..TRIES {
            assert!(!tries.is_over(one, now));
            tries.count(one, now);
        }
        assert!(tries.is_over(one, now) && !tries.is_over(other, now));
        assert!(!tries.is_over(one, now + MINUTE));
        tries.count(one, now + MINUTE);
        assert!(!tries.is_over(one, now + MINUTE), "the count begins anew");
        let neighbours: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
        (0..TRIES).for_each(|_| tries.count(neighbours[0], now));
        assert!(tries.is_over(neighbours[1], now), "a network is one peer");
    }

    #[test]
    fn peers_that_are_remembered_have_a_bound() {
        let tries = Tries::default();
        let now = Instant::now();
        for n in 0..u32::try_from(PEERS).unwrap() + 5 {
            tries.count(std::net::Ipv4Addr::from_bits(n).into(), now);
        }
        assert!(tries.0.lock().unwrap().len() <= PEERS);
    }
}
