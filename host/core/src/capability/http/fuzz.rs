//! `policy_url`: URLs of guests and servers, rules of manifests and operators, and what they mean together.

#![allow(clippy::panic, reason = "the fuzzer takes a panic for a finding")]

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::follow::Order;
use super::grant::Grant;
use super::rule::Rule;
use super::url::{Host, Target};
use super::{headers, redirect};
use crate::policy::Grantable as _;

/// A URL, a location that its server points to, two rules and two grants, a line each.
pub(crate) fn policy_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, location) = (line(), line());
    let target = Target::parse(url).ok();
    if let Some(target) = &target {
        target_holds(target);
        if let Ok(next) = target.join(location) {
            target_holds(&next);
        }
        redirects(target, location);
    }
    let rules = [line(), line()].map(|text| Rule::parse(text).ok());
    rules.iter().flatten().for_each(rule_holds);
    if let (Some(target), [Some(one), Some(two)]) = (&target, &rules) {
        let both = one.and(two);
        assert_eq!(both, two.and(one), "{one} and {two} in the other order");
        for method in ["GET", "POST"] {
            let covers = |rule: &Rule| rule.miss(method, target).is_none();
            let together = both.as_ref().is_some_and(covers);
            assert_eq!(together, covers(one) && covers(two), "{one} and {two} of {method} {}", target.url());
        }
    }
    let grants = [line(), line()].map(|text| Grant::parse(Some(text)).ok());
    grants.iter().flatten().for_each(grant_holds);
    if let [Some(one), Some(two)] = &grants {
        assert_eq!(one.within(two), two.within(one), "{one:?} within {two:?}");
        if let Some(target) = &target {
            let covers = |grant: &Grant| grant.allow.iter().any(|rule| rule.miss("GET", target).is_none());
            assert_eq!(covers(&one.within(two)), covers(one) && covers(two), "{one:?} within {two:?}");
        }
    }
}

/// What is decided about is what is connected to, and is read again as itself.
fn target_holds(target: &Target) {
    let (url, origin) = (target.url(), target.origin());
    assert_eq!(Host::of(url).as_ref(), Ok(target.host()), "{url}");
    assert_eq!(url.port_or_known_default(), Some(origin.port), "{url}");
    assert_eq!(url.scheme(), origin.scheme());
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    match Target::parse(url.as_str()) {
        Ok(again) => assert_eq!((again.url(), again.origin()), (url, origin)),
        Err(refusal) => panic!("{url} is refused when it is read again: {refusal}"),
    }
    let place = target.place();
    assert!(!place.contains(char::is_control), "{place:?}");
    // A rule made of what a question shows covers it, and no other server.
    match Rule::parse(&origin.to_string()) {
        Ok(rule) => assert_eq!(rule.miss("GET", target), None, "{rule} and {url}"),
        Err(reason) => panic!("{origin} is no rule: {reason}"),
    }
}

/// What is written is what is read, or an operator would grant something else than was shown.
fn rule_holds(rule: &Rule) {
    assert_eq!(Rule::parse(&rule.to_string()).as_ref(), Ok(rule), "{rule}");
    assert_eq!(rule.and(rule).as_ref(), Some(rule), "{rule}");
}

fn grant_holds(grant: &Grant) {
    if grant.check().is_err() {
        return;
    }
    for word in grant.words() {
        let again = Grant::parse(word.strip_prefix("http="));
        assert_eq!(again.as_ref(), Ok(grant), "{word}");
    }
    let json = serde_json::to_string(grant).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Grant>(&json).ok().as_ref(), Some(grant), "{json}");
    assert_eq!(&grant.within(grant), grant);
}

/// No redirect takes a credential to another origin, or leads from https to http.
fn redirects(target: &Target, location: &str) {
    let pairs = [("authorization", "Bearer x"), ("x-api-key", "x"), ("accept", "text/plain")];
    let pairs = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let order = Order {
        method: reqwest::Method::POST,
        target: target.clone(),
        headers: HeaderMap::from_iter(pairs),
        body: Bytes::from_static(b"body"),
        follow: true,
        until: Instant::now(),
        hops: 0,
        redirected_by: None,
    };
    for status in [302, 307] {
        let Ok(Some(next)) = redirect::next(&order, status, Some(location)) else { continue };
        let (from, to) = (target.origin(), next.target.origin());
        assert!(!from.tls || to.tls, "{from} to {to}");
        for name in ["authorization", "x-api-key"] {
            assert!(from == to || !next.headers.contains_key(name), "{name} went from {from} to {to}");
        }
        assert!(next.hops == 1 && (status == 307 || next.body.is_empty()));
    }
    let given = location.split(',').map(|pair| pair.split_once(':').unwrap_or((pair, "")));
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Ok(read) = headers::read(given) {
        for (name, value) in &read {
            assert!(!name.as_str().eq_ignore_ascii_case("host") && !value.as_bytes().contains(&b'\n'), "{name}");
        }
    }
}
