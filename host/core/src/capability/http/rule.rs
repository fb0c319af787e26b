//! One line of a grant: which requests to whom. `GET,HEAD https://*.example.com:8443/v1`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use url::Url;

use super::url::{Host, Target, segments, shown, usual_port};

/// `[METHOD,METHOD ]https://host[:port][/prefix]`. The host is a name, an address, or `*.` and a name, which stands for exactly
/// one label. Without methods every method, without a path every path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    tls: bool,
    host: Pattern,
    port: u16,
    /// Decoded segments that a path must begin with.
    prefix: Vec<String>,
    /// Sorted; empty means all.
    methods: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Pattern {
    Is(Host),
    /// One label before this name.
    Below(String),
}

/// Why a rule does not cover a request, the nearest miss last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Miss {
    Host,
    Scheme,
    Port,
    Path,
    /// The path can be read in two ways, and the rule has a path.
    Ambiguous,
    Method,
}

impl Rule {
    /// Reads a rule; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (methods, place) = match trimmed.split_once(char::is_whitespace) {
            Some((methods, place)) => (read_methods(methods)?, place.trim_start()),
            None => (Vec::new(), trimmed),
        };
        if place.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("it holds a space where none belongs".into());
        }
        let (scheme, rest) = place.split_once("://").ok_or("it does not begin with https:// or http://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("its scheme is neither https nor http".into()),
        };
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains('*') {
            return Err("`*` stands for one label at the beginning of a host: https://*.example.com".into());
        }
        if rest.contains(['?', '#', '@', '\\']) {
            return Err("only a host, a port and a path may stand in it".into());
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| error.to_string())?;
        let host = Host::of(&url).map_err(|refusal| refusal.to_string())?;
        let host = match (below, host) {
            (false, host) => Pattern::Is(host),
            (true, Host::Address(_)) => return Err("an address has no names below it".into()),
            // One owner must stand behind all that a pattern covers. Anybody can have a name below `com` or `github.io`.
            (true, Host::Name(name)) if psl::domain_str(&name).is_none() => {
                return Err(format!("everybody can have a name below `{name}`"));
            }
            (true, Host::Name(name)) => Pattern::Below(name),
        };
        let path = url.path().trim_end_matches('/');
        let prefix = if path.is_empty() { Some(Vec::new()) } else { segments(path) };
        let prefix = prefix.ok_or("servers may read its path in more than one way")?;
        let port = url.port_or_known_default().unwrap_or_else(|| usual_port(tls));
        Ok(Self { tls, host, port, prefix, methods })
    }

    /// Whether it covers a request; None where it does.
    pub(super) fn miss(&self, method: &str, target: &Target) -> Option<Miss> {
        let origin = target.origin();
        if !self.host.covers(&origin.host) {
            return Some(Miss::Host);
        }
        if self.tls != origin.tls {
            return Some(Miss::Scheme);
        }
        if self.port != origin.port {
            return Some(Miss::Port);
        }
        if !self.prefix.is_empty() {
            match target.segments() {
                None => return Some(Miss::Ambiguous),
                Some(path) if path.starts_with(&self.prefix) => {}
                Some(_) => return Some(Miss::Path),
            }
        }
        let method_is_granted = self.methods.is_empty() || self.methods.iter().any(|granted| granted == method);
        (!method_is_granted).then_some(Miss::Method)
    }

    /// Whether it names one host, and not all below a name.
    pub(super) fn names_its_host(&self) -> bool {
        matches!(self.host, Pattern::Is(_))
    }

    /// What both cover.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        if self.tls != other.tls || self.port != other.port {
            return None;
        }
        let longer = |one: &[String], two: &[String]| one.starts_with(two).then(|| one.to_vec());
        let prefix = longer(&self.prefix, &other.prefix).or_else(|| longer(&other.prefix, &self.prefix))?;
        let methods = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, _) => other.methods.clone(),
            (_, true) => self.methods.clone(),
            _ => {
                let both: Vec<_> = self.methods.iter().filter(|m| other.methods.contains(m)).cloned().collect();
                if both.is_empty() {
                    return None;
                }
                both
            }
        };
        Some(Self { tls: self.tls, host: self.host.and(&other.host)?, port: self.port, prefix, methods })
    }

    /// The methods that it covers; empty means all.
    pub(super) fn methods(&self) -> &[String] {
        &self.methods
    }

    /// In plain words, without the methods: `https://api.example.com`.
    pub(super) fn place(&self) -> String {
        Self { methods: Vec::new(), ..self.clone() }.to_string()
    }
}

impl Pattern {
    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Is(own), host) => own == host,
            (Self::Below(name), Host::Name(host)) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == name)
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Is(host), pattern) | (pattern, Self::Is(host)) => {
                pattern.covers(host).then(|| Self::Is(host.clone()))
            }
            (Self::Below(one), Self::Below(two)) => (one == two).then(|| self.clone()),
        }
    }
}

fn read_methods(text: &str) -> Result<Vec<String>, String> {
    let mut methods: Vec<String> = text.split(',').map(str::to_owned).collect();
    match methods.iter().find(|method| !is_method(method)) {
        Some(wrong) => Err(format!("`{}` is no method that can be granted", shown(wrong).escape_debug())),
        None => {
            methods.sort_unstable();
            methods.dedup();
            Ok(methods)
        }
    }
}

/// Whether a word of a grant is a method: capitals, and no method that makes a tunnel or an echo.
pub(super) fn is_method(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        && word != "CONNECT"
        && word != "TRACE"
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        f.write_str(if self.tls { "https://" } else { "http://" })?;
        match &self.host {
            Pattern::Is(host) => host.fmt(f)?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
        }
        if self.port != usual_port(self.tls) {
            write!(f, ":{}", self.port)?;
        }
        for segment in &self.prefix {
            let encoded = percent_encoding::utf8_percent_encode(segment, PLAIN);
            write!(f, "/{encoded}")?;
        }
        Ok(())
    }
}

/// What a rule's path needs no encoding for: also without a comma, which separates rules.
const PLAIN: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|reason| format!("`{}` is no rule: {reason}", shown(&text).escape_debug()))
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

impl JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "HttpRule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`[METHOD,METHOD ]https://host[:port][/prefix]`; `*.` before a host stands for one label."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn covers(text: &str, method: &str, url: &str) -> bool {
        Target::parse(url).is_ok_and(|target| rule(text).miss(method, &target).is_none())
    }

    #[test]
    fn t69_grants_match_whole_hosts() {
        let cases = [
            ("https://example.com", "https://example.com/", true),
            ("https://example.com", "https://EXAMPLE.com/", true),
            ("https://Example.COM.", "https://example.com/", true),
            ("https://example.com", "https://example.com./", true),
            ("https://example.com", "https://example.com:443/x", true),
            ("https://example.com", "http://example.com/", false),
            ("https://example.com", "https://example.com:8443/", false),
            ("https://example.com:8443", "https://example.com:8443/", true),
            ("https://example.com:8443", "https://example.com/", false),
            ("https://example.com", "https://www.example.com/", false),
            ("https://example.com", "https://notexample.com/", false),
            ("https://example.com", "https://example.com.evil.test/", false),
            ("https://example.com", "https://evil.test/example.com", false),
            ("https://example.com", "https://evil.test/?https://example.com", false),
            ("https://*.example.com", "https://a.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://a.b.example.com/", false),
            ("https://*.example.com", "https://notexample.com/", false),
            ("https://*.example.com", "https://a.example.com.evil.test/", false),
            ("https://*.example.com", "https://.example.com/", false),
            ("https://bücher.de", "https://xn--bcher-kva.de/", true),
            ("https://xn--bcher-kva.de", "https://BÜCHER.de/", true),
            ("https://apple.com", "https://аpple.com/", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", true),
            ("http://127.0.0.1:8080", "http://2130706433:8080/", true),
            ("http://127.0.0.1:8080", "http://127.0.0.1/", false),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/", false),
            ("http://127.0.0.1", "http://localhost/", false),
            ("http://localhost", "http://127.0.0.1/", false),
            ("http://[::1]:81", "http://[0:0::1]:81/", true),
        ];
        for (text, url, expected) in cases {
            assert_eq!(covers(text, "GET", url), expected, "{text} and {url}");
        }
    }

    #[test]
    fn t69_what_would_cover_strangers_is_no_rule() {
        for text in [
            "*",
            "*.com",
            "https://*",
            "https://*.com",
            "https://*.co.uk",
            "https://*.github.io",
            "https://*.internal",
            "https://a.*.com",
            "https://*a.com",
            "https://*.*.example.com",
            "https://*.127.0.0.1",
            "self",
            "",
            "example.com",
            "https://",
            "https://a.test?x",
            "https://a.test#x",
            "https://me@a.test",
            "ftp://a.test",
            "file:///",
            "https://a.test/..%2fx",
            "https://a b.test",
            "https://a.test:99999",
            "get https://a.test",
            "CONNECT https://a.test",
            "GET, https://a.test",
            "GET,POST",
            "https://-a.test",
            "https://a_b.test",
            "https://a.test https://b.test",
            "https://a.test\\b",
        ] {
            let error = Rule::parse(text);
            assert!(error.is_err(), "{text} became {}", error.unwrap());
        }
    }

    #[test]
    fn t69_methods_and_paths_hold_as_whole_words() {
        let cases = [
            ("GET https://a.test", "GET", "/", true),
            ("GET https://a.test", "POST", "/", false),
            ("GET https://a.test", "get", "/", false),
            ("GET,POST https://a.test", "POST", "/", true),
            ("https://a.test/v1", "GET", "/v1", true),
            ("https://a.test/v1", "GET", "/v1/", true),
            ("https://a.test/v1/", "GET", "/v1/x?y=/../z", true),
            ("https://a.test/v1", "GET", "/v12", false),
            ("https://a.test/v1", "GET", "/", false),
            ("https://a.test/v1", "GET", "/V1", false),
            ("https://a.test/v1", "GET", "//v1", false),
            ("https://a.test/v1", "GET", "/v1/../admin", false),
            ("https://a.test/v1", "GET", "/v1/%2e%2e/admin", false),
            ("https://a.test/v1", "GET", "/v1/..%2fadmin", false),
            ("https://a.test/v1", "GET", "/v1%2fx", false),
            ("https://a.test/v1", "GET", "/%76%31/x", true),
            ("https://a.test", "GET", "/..%2f..%2fadmin", true),
        ];
        for (text, method, path, expected) in cases {
            assert_eq!(covers(text, method, &format!("https://a.test{path}")), expected, "{text} and {method} {path}");
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in [
            "https://example.com",
            "GET,HEAD https://*.example.com:8443/v1/a%2Cb",
            "http://127.0.0.1:8080",
            "http://[::1]:81",
            "POST https://xn--bcher-kva.de",
        ] {
            assert_eq!(rule(text).to_string(), text);
            assert_eq!(rule(&rule(text).to_string()), rule(text));
        }
        assert_eq!(rule("  POST,GET,GET   HTTPS://A.test:443/ ").to_string(), "GET,POST https://a.test");
    }

    #[test]
    fn what_two_rules_cover_together() {
        let both = |one: &str, two: &str| {
            let (one, two) = (rule(one), rule(two));
            assert_eq!(one.and(&two), two.and(&one));
            one.and(&two).map(|rule| rule.to_string())
        };
        assert_eq!(both("https://a.test", "https://a.test/v1").as_deref(), Some("https://a.test/v1"));
        assert_eq!(both("https://*.x.test", "https://a.x.test").as_deref(), Some("https://a.x.test"));
        assert_eq!(both("https://*.x.test", "https://*.x.test").as_deref(), Some("https://*.x.test"));
        assert_eq!(both("GET https://a.test", "https://a.test/v1").as_deref(), Some("GET https://a.test/v1"));
        assert_eq!(both("GET,POST https://a.test", "POST,PUT https://a.test").as_deref(), Some("POST https://a.test"));
        for (one, two) in [
            ("https://a.test", "http://a.test"),
            ("https://a.test", "https://a.test:8443"),
            ("https://a.test", "https://b.test"),
            ("https://a.test/v1", "https://a.test/v2"),
            ("https://a.test/v1", "https://a.test/v12"),
            ("GET https://a.test", "POST https://a.test"),
            ("https://*.x.test", "https://*.y.test"),
            ("https://*.x.test", "https://x.test"),
        ] {
            assert_eq!(both(one, two), None, "{one} and {two}");
        }
    }
}
