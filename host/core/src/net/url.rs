//! URLs from strangers. What is decided and what is connected to come out of the same parsed value, never out of the text.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Excess, Refusal};

/// Longest URL in bytes.
const MAX_URL: usize = 16 << 10;

/// Characters of a path that a record shows.
const SHOWN: usize = 300;

/// How often a path may be encoded over itself. Servers behind servers decode more than once.
const DEEPEST_CODING: usize = 4;

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// Lower case, without a trailing dot, in punycode; 1 to 63 letters, digits and hyphens a label.
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// The name that RFC 6761 gives to this machine. It is not looked up.
    pub const THIS_MACHINE: &'static str = "localhost";

    pub fn is_this_machine(&self) -> bool {
        match self {
            Self::Name(name) => name == Self::THIS_MACHINE,
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Reads the host of a parsed URL.
    pub(crate) fn of(url: &Url) -> Result<Self, Refusal> {
        match url.host() {
            Some(url::Host::Ipv4(address)) => Ok(Self::Address(address.into())),
            Some(url::Host::Ipv6(address)) => Ok(Self::Address(address.into())),
            Some(url::Host::Domain(name)) => {
                let plain = name.strip_suffix('.').unwrap_or(name);
                if is_host_name(plain) { Ok(Self::Name(plain.to_owned())) } else { Err(no_name(name)) }
            }
            None => Err(no_name("")),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn no_name(name: &str) -> Refusal {
    Refusal::Invalid(format!(
        "`{}` is no host name: 1 to 63 letters, digits and hyphens between dots",
        shown(name).escape_debug()
    ))
}

/// Letters, digits and hyphens, as RFC 1123 has it. The parser lets more through.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// What a connection and a secret belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub tls: bool,
    pub host: Host,
    pub port: u16,
}

impl Origin {
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host)?;
        if self.port != usual_port(self.tls) { write!(f, ":{}", self.port) } else { Ok(()) }
    }
}

pub(crate) fn usual_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// A URL that was read and found in order. Nothing here says that it may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    origin: Origin,
    /// How its authority was written, where that does not show the host: another script, an encoding.
    written: Option<String>,
}

impl Target {
    /// Reads what a skill asks for.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        check_text(text)?;
        if text.contains('#') {
            return Err(Refusal::Invalid(format!(
                "`{}` has a fragment, which is never sent: leave out what begins with #",
                told(text).escape_debug()
            )));
        }
        let url = Url::parse(text).map_err(|error| no_url(text, &error.to_string()))?;
        Self::of(url, text)
    }

    /// Reads where a server points to.
    pub(crate) fn join(&self, location: &str) -> Result<Self, Refusal> {
        check_text(location)?;
        let mut url = self.url.join(location).map_err(|error| no_url(location, &error.to_string()))?;
        url.set_fragment(None);
        Self::of(url, location)
    }

    fn of(mut url: Url, text: &str) -> Result<Self, Refusal> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(Refusal::Invalid(format!(
                    "`{}` is no scheme that can be reached: write http or https",
                    shown(other).escape_debug()
                )));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            // The text is not told: it may hold a password.
            return Err(Refusal::Invalid(
                "the URL has a user name or a password before its host: put credentials into a header".into(),
            ));
        }
        let host = Host::of(&url)?;
        if let Host::Name(name) = &host
            && url.host_str() != Some(name)
        {
            url.set_host(Some(name)).map_err(|error| no_url(text, &error.to_string()))?;
        }
        if url.as_str().len() > MAX_URL {
            return Err(too_long(url.as_str().len()));
        }
        let port = url.port_or_known_default().unwrap_or_else(|| usual_port(tls));
        let plain = text.to_ascii_lowercase().contains(&host.to_string());
        let written = (!plain && text.contains(':')).then(|| authority(text).to_owned());
        Ok(Self { url, origin: Origin { tls, host, port }, written })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn host(&self) -> &Host {
        &self.origin.host
    }

    /// Without the query, which may hold what is private; not longer than a record bears.
    pub fn place(&self) -> String {
        let written = self.written.as_ref().map(|text| format!(" (written {})", text.escape_debug()));
        format!("{}{}{}", self.origin, shown(self.url.path()), written.unwrap_or_default())
    }

    /// The path's segments, decoded. None where servers may disagree about where a segment ends or begins: a slash, a
    /// backslash or a dot segment under an encoding.
    pub(crate) fn segments(&self) -> Option<Vec<String>> {
        segments(self.url.path())
    }
}

pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').map(decode_segment).collect()
}

fn decode_segment(raw: &str) -> Option<String> {
    let mut segment = raw.to_owned();
    for _ in 0..DEEPEST_CODING {
        let decoded = percent_decode_str(&segment).decode_utf8().ok()?.into_owned();
        if decoded == segment {
            // Some servers cut parameters off before they look at the dots.
            let name = segment.split(';').next().unwrap_or_default();
            let is_dots = name == "." || name == "..";
            let is_plain = !segment.contains(['/', '\\']) && !segment.contains(char::is_control);
            return (is_plain && !is_dots).then_some(segment);
        }
        segment = decoded;
    }
    None
}

fn check_text(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_URL {
        return Err(too_long(text.len()));
    }
    // The parser takes tabs and line ends out of the middle of a name without a word.
    match text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        Some(c) => Err(Refusal::Invalid(format!(
            "the URL `{}` holds {}: encode it or leave it out",
            told(text).escape_debug(),
            c.escape_debug()
        ))),
        None => Ok(()),
    }
}

fn too_long(length: usize) -> Refusal {
    Refusal::TooLarge(Excess { what: "url", limit: MAX_URL as u64, actual: Some(length as u64) })
}

fn no_url(text: &str, error: &str) -> Refusal {
    Refusal::Invalid(format!("`{}` is no URL: {error}", told(text).escape_debug()))
}

/// An address that cannot be read, as it may be told: without a query, and without what may be a password before its host.
fn told(text: &str) -> String {
    let place = text.split(['?', '#']).next().unwrap_or_default();
    let public = match authority_of(place).rsplit_once('@') {
        Some((secret, _)) => place.replacen(&format!("{secret}@"), "", 1),
        None => place.to_owned(),
    };
    let rest = if place.len() < text.len() { "?..." } else { "" };
    format!("{}{rest}", shown(&public))
}

/// The server that an address of the configuration leads to: its path and its query may hold a key.
pub(crate) fn server(text: &str) -> String {
    Url::parse(text).map_or_else(|_| "no URL".to_owned(), |url| url.origin().ascii_serialization())
}

/// What stands between the scheme and the path, as it was written; its beginning.
fn authority(text: &str) -> &str {
    shown(authority_of(text))
}

fn authority_of(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?']).next().unwrap_or_default()
}

/// The beginning of a text.
pub(crate) fn shown(text: &str) -> &str {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        match Target::parse(text) {
            Ok(target) => target.host().to_string(),
            Err(Refusal::Invalid(_)) => "invalid".into(),
            Err(other) => panic!("{text}: {other}"),
        }
    }

    /// What the parser makes of hostile URLs, and what becomes of them here. Addresses stay addresses: a grant must name
    /// them. The second half of this table is in `rule.rs`.
    #[test]
    fn t59_hosts_are_what_the_parser_says_or_invalid() {
        for (text, expected) in [
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f000001/", "127.0.0.1"),
            ("http://017700000001/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://127.1/", "127.0.0.1"),
            ("http://127.0.0.1./", "127.0.0.1"),
            ("http://１２７.0.0.1/", "127.0.0.1"),
            ("http://127。0。0。1/", "127.0.0.1"),
            ("http://127.0.0.1:080/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://[::]/", "[::]"),
            ("http://1.2.3/", "1.2.0.3"),
            ("http://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]"),
            ("http://[::ffff:7f00:1]/", "[::ffff:127.0.0.1]"),
            ("http://[::127.0.0.1]/", "[::7f00:1]"),
            ("http://[64:ff9b::7f00:1]/", "[64:ff9b::7f00:1]"),
            ("http://[fec0::1]/", "[fec0::1]"),
            ("http://[fd00:ec2::254]/", "[fd00:ec2::254]"),
            ("http://[::1%25eth0]/", "invalid"),
            ("http://[v1.x]/", "invalid"),
            ("http://localhost./", "localhost"),
            ("http://api.example.com./", "api.example.com"),
            ("http://api.example.com../", "invalid"),
            ("http://api.example.com@evil.test/", "invalid"),
            ("http://api.example.com:80@evil.test:443/", "invalid"),
            ("http://:secret@evil.test/", "invalid"),
            ("http://evil.test\\@api.example.com/", "evil.test"),
            ("http://api.example.com\\.evil.test/", "api.example.com"),
            ("http:\\\\evil.test\\x", "evil.test"),
            ("http://ev\til.test/", "invalid"),
            ("http://ev\r\nil.test/", "invalid"),
            (" http://evil.test/", "invalid"),
            ("http://evil.test/a b", "invalid"),
            ("http://evil.test/\u{a0}", "invalid"),
            ("http:evil.test", "evil.test"),
            ("http:///evil.test/", "evil.test"),
            ("http://%61pi.example.com/", "api.example.com"),
            ("http://api.exa\u{ad}mple.com/", "api.example.com"),
            ("http://API.Example.COM/", "api.example.com"),
            ("http://ﬀ.com/", "ff.com"),
            ("http://аpple.com/", "xn--pple-43d.com"),
            ("http://a.b..c/", "invalid"),
            ("http://-a.com/", "invalid"),
            ("http://a-.com/", "invalid"),
            ("http://a_b.com/", "invalid"),
            ("http://*.example.com/", "invalid"),
            ("http://", "invalid"),
            ("http://a.test/#x", "invalid"),
            ("file:///etc/passwd", "invalid"),
            ("gopher://a.test/", "invalid"),
            ("data:text/plain,x", "invalid"),
            ("javascript:alert(1)", "invalid"),
            ("ftp://a.test/", "invalid"),
            ("ws://a.test/", "invalid"),
            ("/relative", "invalid"),
            ("", "invalid"),
        ] {
            assert_eq!(host(text), expected, "{text:?}");
        }
        let long_label = format!("http://{}.com/", "a".repeat(64));
        assert_eq!(host(&long_label), "invalid");
    }

    #[test]
    fn t59_a_refusal_never_repeats_a_password_or_a_control_character() {
        for text in ["http://me:hunter2@evil.test/", "http://ev\u{1b}[2Jil.test/", "http://a\0.test/"] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn t65_long_urls_are_refused_before_they_are_read() {
        let url = |length: usize| format!("http://a.test/{}", "x".repeat(length - 14));
        assert!(Target::parse(&url(MAX_URL)).is_ok());
        assert!(matches!(Target::parse(&url(MAX_URL + 1)), Err(Refusal::TooLarge(excess)) if excess.what == "url"));
        assert!(matches!(Target::parse(&url(70 << 10)), Err(Refusal::TooLarge(_))));
        // Encoding makes it longer.
        assert!(matches!(Target::parse(&format!("http://a.test/{}", "é".repeat(4000))), Err(Refusal::TooLarge(_))));
    }

    #[test]
    fn records_show_no_query_and_how_a_host_was_written() {
        let place = |text: &str| Target::parse(text).unwrap().place();
        assert_eq!(place("https://a.test:443/x?token=y"), "https://a.test/x");
        assert_eq!(place("http://A.test:81"), "http://a.test:81/");
        assert_eq!(place("http://%61.test/x"), "http://a.test/x (written %61.test)");
        assert!(place("http://2130706433/").starts_with("http://127.0.0.1/ (written 2130706433"));
        assert!(place(&format!("http://a.test/{}", "x".repeat(5000))).len() < 400);
    }

    #[test]
    fn t59_paths_that_servers_may_read_differently_have_no_segments() {
        let of = |path: &str| Target::parse(&format!("http://a.test{path}")).unwrap().segments();
        assert_eq!(of("/v1/a%20b"), Some(vec!["v1".into(), "a b".into()]));
        assert_eq!(of("/v1/../admin"), Some(vec!["admin".into()]), "plain dots are resolved when it is read");
        assert_eq!(of("/v1/%2e%2e/admin"), Some(vec!["admin".into()]));
        for path in [
            "/..%2f..%2fadmin",
            "/v1%2Fadmin",
            "/v1/%5c..%5cadmin",
            "/v1/..%5cadmin",
            "/v1/%252e%252e/admin",
            "/v1/%252fadmin",
            "/v1/..;/admin",
            "/v1/%2e%2e;x=1/admin",
            "/v1/%00/admin",
            "/v1/%ff",
            "/v1/%25252525252e",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn a_location_is_read_against_where_it_came_from() {
        let from = Target::parse("https://a.test/x/y?q").unwrap();
        let to = |location: &str| from.join(location).map(|target| target.url().to_string());
        assert_eq!(to("z#frag").unwrap(), "https://a.test/x/z");
        assert_eq!(to("//evil.test/").unwrap(), "https://evil.test/");
        assert!(to("file:///etc/passwd").is_err());
        assert!(to("https://me:pw@a.test/").is_err());
        assert!(to(&"x".repeat(64 << 10)).is_err());
        assert!(to("/a\r\nb").is_err());
    }

    #[test]
    fn t74_an_address_that_cannot_be_read_is_told_without_what_may_be_a_secret() {
        for (text, told) in [
            ("https://ada:hunter2@exa mple.com/a?key=hunter2", "`https://exa mple.com/a?...`"),
            ("https://example.com/a?key=hunter2 x", "`https://example.com/a?...`"),
            ("https://example.com:99999/a?key=hunter2", "`https://example.com:99999/a?...`"),
            ("https://example.com/a?key=hunter2#part", "`https://example.com/a?...`"),
            ("https:ada:hunter2@", "`https:`"),
        ] {
            let Err(Refusal::Invalid(sentence)) = Target::parse(text) else { panic!("{text}") };
            assert!(sentence.contains(told), "{sentence}");
            assert!(!sentence.contains("hunter2"), "{sentence}");
        }
    }
}
