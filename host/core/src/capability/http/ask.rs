//! The ask of `http`: one request to one server. The only policy code of the capability, beside what a rule covers.

use std::fmt::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use tracing::Span;

use super::address::Network;
use super::rule::Miss;
use super::url::Target;
use super::{Grant, secrets};
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::policy::Grants;
use crate::policy::taint::Touch;
use crate::trace;

/// "Send this request." Each hop of a redirect is one of its own.
#[derive(Clone)]
pub struct Exchange {
    pub skill: String,
    pub method: Method,
    pub target: Target,
    /// As the skill wrote them: placeholders of secrets are not filled in.
    pub headers: HeaderMap,
    /// Where the body comes piece by piece, none of it or the piece that is asked about.
    pub body: Bytes,
    /// Whether the body comes piece by piece.
    pub upload: bool,
    /// Networks that are not public and that the operator made reachable.
    pub networks: Vec<Network>,
    /// Until the response's head is there.
    pub patience: Duration,
    /// Which server sent it here.
    pub redirected_by: Option<String>,
}

/// A query, a header and a body may hold what is private, and so they are not shown.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the iterator itself, which shows the values as well.
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Exchange")
            .field("skill", &self.skill)
            .field("subject", &self.subject())
            .field("headers", &headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Exchange {
    fn place(&self) -> String {
        format!("http {} {}", self.method, self.target.place())
    }

    /// What the answer brings. What a secret unlocks is private.
    pub fn brings(&self) -> Touch {
        if secrets::is_wanted(&self.headers) { Touch::UNTRUSTED.and(Touch::PRIVATE) } else { Touch::UNTRUSTED }
    }

    /// The rule that the operator would write to allow it.
    fn wanted(&self) -> String {
        format!("ringfence grant {{skill}} http={}", self.target.origin())
    }
}

impl Ask for Exchange {
    const CAPABILITY: &'static str = "http";
    type Grant = Option<Grant>;

    fn grant(grants: &Grants) -> &Self::Grant {
        &grants.http
    }

    fn subject(&self) -> String {
        match &self.redirected_by {
            Some(from) => format!("{} (redirected by {from})", self.place()),
            None => self.place(),
        }
    }

    fn allowed(&self, grant: &Self::Grant) -> Verdict {
        let rules = grant.as_ref().map_or(&[][..], |grant| &grant.allow);
        let misses = rules.iter().map(|rule| rule.miss(self.method.as_str(), &self.target).map(|miss| (miss, rule)));
        let mut nearest = None;
        for miss in misses {
            match miss {
                None => return Verdict::Yes,
                Some(miss) => nearest = nearest.max(Some(miss)),
            }
        }
        let origin = self.target.origin();
        let reason = match nearest {
            None => "the operator has granted it no server that its manifest requests".to_owned(),
            Some((Miss::Host, _)) => format!("`{}` is no server that it was granted", origin.host),
            Some((Miss::Scheme, rule)) => format!("`{}` is granted, and {} is not", rule.place(), origin.scheme()),
            Some((Miss::Port, rule)) => format!("`{}` is granted, and port {} is not", rule.place(), origin.port),
            Some((Miss::Path, rule)) => format!("only what is below `{}` is granted", rule.place()),
            Some((Miss::Ambiguous, rule)) => {
                format!("only `{}` is granted, and servers may read this path in more than one way", rule.place())
            }
            Some((Miss::Method, rule)) => format!("only {} is granted there", rule.methods().join(" and ")),
        };
        let hint = match nearest {
            Some((Miss::Ambiguous, _)) => "the skill has to write the path without encoded slashes and dots".to_owned(),
            _ => format!("run `{}` to allow it, where the manifest requests it", self.wanted()),
        };
        Verdict::No { reason, hint }
    }

    /// It costs no tokens and no money.
    fn estimate(&self) -> Amount {
        Amount::default()
    }

    fn leaves(&self) -> bool {
        true
    }

    /// While a body goes out piece by piece, nothing has come in yet: what the answer brings is remembered where the skill
    /// asks for it.
    fn touches(&self) -> Touch {
        if self.upload { Touch::OUT } else { Touch::OUT.and(self.brings()) }
    }

    fn span(&self, invocation: &Span) -> Span {
        let origin = self.target.origin();
        trace::http(invocation, self.method.as_str(), &origin.host.to_string(), origin.port)
    }

    fn named(&self, grant: &Self::Grant) -> bool {
        grant.as_ref().is_some_and(|grant| grant.names(self.method.as_str(), &self.target))
    }

    fn arguments(&self) -> String {
        let mut text = format!("{} {}\n", self.method, self.target.url());
        for (name, value) in &self.headers {
            let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        if self.upload && self.body.is_empty() {
            text.push_str("\na body that is not known yet\n");
        } else if !self.body.is_empty() {
            // Whole: whoever allows it allows all of it. Whoever shows it shows it in pages.
            let (shown, how) = match std::str::from_utf8(&self.body) {
                Ok(shown) => (shown.to_owned(), ""),
                Err(_) => (STANDARD.encode(&self.body), ", shown as base64"),
            };
            let more = if self.upload { ", and more of the body that is not known yet" } else { "" };
            let _ = writeln!(text, "\n{shown}\n({} bytes{how}{more})", self.body.len());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Grantable as _;

    fn ask(method: &str, url: &str) -> Exchange {
        Exchange {
            skill: "a".into(),
            method: method.parse().unwrap(),
            target: Target::parse(url).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            upload: false,
            networks: Vec::new(),
            patience: Duration::from_secs(1),
            redirected_by: None,
        }
    }

    fn verdict(grant: &str, method: &str, url: &str) -> Result<(), (String, String)> {
        match ask(method, url).allowed(&Some(Grant::parse(Some(grant)).unwrap())) {
            Verdict::Yes => Ok(()),
            Verdict::No { reason, hint } => Err((reason, hint)),
        }
    }

    #[test]
    fn a_refusal_names_the_nearest_rule_and_the_command() {
        let grant = "GET https://a.test/v1,https://*.b.test";
        assert_eq!(verdict(grant, "GET", "https://a.test/v1/x"), Ok(()));
        for (method, url, word) in [
            ("GET", "https://evil.test/", "`evil.test`"),
            ("GET", "http://a.test/v1", "http is not"),
            ("GET", "https://a.test:8443/v1", "port 8443"),
            ("GET", "https://a.test/v2", "below `https://a.test/v1`"),
            ("GET", "https://a.test/v1/..%2fx", "more than one way"),
            ("POST", "https://a.test/v1", "only GET"),
            ("GET", "https://a.c.b.test/", "`a.c.b.test`"),
        ] {
            let (reason, hint) = verdict(grant, method, url).unwrap_err();
            assert!(reason.contains(word), "{url}: {reason}");
            assert!(hint.contains("ringfence grant {skill} http=http") || hint.contains("encoded"), "{hint}");
        }
        assert!(matches!(ask("GET", "https://a.test/").allowed(&None), Verdict::No { .. }));
        assert!(matches!(ask("GET", "https://a.test/").allowed(&Some(Grant::default())), Verdict::No { .. }));
    }

    #[test]
    fn a_record_has_no_query_and_a_question_has_everything() {
        let mut ask = ask("POST", "https://a.test/x?token=abc");
        assert_eq!(ask.subject(), "http POST https://a.test/x");
        ask.headers.insert("authorization", "Bearer {{secret:KEY}}".parse().unwrap());
        ask.body = "y".repeat(5_000).into();
        let arguments = ask.arguments();
        assert!(arguments.starts_with("POST https://a.test/x?token=abc\nauthorization: Bearer {{secret:KEY}}\n\nyyy"));
        assert!(arguments.contains(&"y".repeat(5_000)) && arguments.ends_with("\n(5000 bytes)\n"), "{arguments}");
        let text = std::mem::replace(&mut ask.body, Bytes::from_static(b"\xff\0"));
        assert!(ask.arguments().ends_with("\n/wA=\n(2 bytes, shown as base64)\n"), "{}", ask.arguments());
        ask.body = text;
        assert!(ask.touches().has(Touch::PRIVATE));
        ask.headers.clear();
        assert_eq!(ask.touches(), Touch::OUT.and(Touch::UNTRUSTED));
        ask.upload = true;
        assert_eq!(ask.touches(), Touch::OUT, "its answer is not there yet");
        assert!(ask.arguments().contains("5000 bytes, and more"));
        ask.body = Bytes::new();
        assert!(ask.arguments().contains("not known yet"));
    }

    #[test]
    fn only_a_rule_with_its_host_names_a_destination() {
        let named = |grant: &str| {
            let grant = Some(Grant::parse(Some(grant)).unwrap());
            let ask = ask("GET", "https://x.b.test/");
            assert_eq!(ask.allowed(&grant), Verdict::Yes);
            ask.named(&grant)
        };
        assert!(named("https://x.b.test"));
        assert!(!named("https://*.b.test"));
        assert!(!named("POST https://x.b.test,https://*.b.test"));
        assert!(named("https://*.b.test,https://x.b.test"));
    }
}
