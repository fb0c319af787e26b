//! Where a redirect leads, and what goes along. Whether it may go there is asked anew.

use bytes::Bytes;
use reqwest::Method;

use super::follow::Order;
use super::headers;
use super::url::{Target, shown};
use crate::error::{Denial, Refusal};

/// Most redirects of one request.
const MOST: u32 = 5;

/// The request that a response asks for; None where it asks for none.
///
/// Methods change as the Fetch standard and RFC 9110 have it: after 303 everything but `HEAD` becomes `GET`, after 301 and 302
/// a `POST` does. Another scheme, host or port gets neither credentials nor any header that might be one.
pub(super) fn next(order: &Order, status: u16, location: Option<&str>) -> Result<Option<Order>, Refusal> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = location else { return Ok(None) };
    let denied = |reason: String| {
        Err(Refusal::Denied(Denial {
            capability: "http",
            subject: format!("http redirect by {}", order.target.origin()),
            reason,
            hint: "nothing allows it: the skill can ask without following redirects and look at `location`".into(),
        }))
    };
    if order.hops >= MOST {
        return denied(format!(
            "it would be redirect number {} of one request, and {MOST} is the most",
            order.hops + 1
        ));
    }
    let target: Target = match order.target.join(location) {
        Ok(target) => target,
        Err(refusal) => return denied(format!("it leads nowhere: {}", shown(&refusal.to_string()))),
    };
    if order.target.origin().tls && !target.origin().tls {
        return denied("it leads from https to http".into());
    }
    let mut next = Order { hops: order.hops + 1, ..order.clone() };
    let becomes_get = match status {
        303 => order.method != Method::HEAD,
        301 | 302 => order.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = Bytes::new();
        headers::without_body(&mut next.headers);
    }
    if target.origin() != order.target.origin() {
        headers::for_another_origin(&mut next.headers);
    }
    next.redirected_by = Some(order.target.origin().to_string());
    next.target = target;
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use tokio::time::Instant;

    use super::*;

    fn order(method: &str, url: &str) -> Order {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer {{secret:A}}"),
            ("x-api-key", "{{secret:B}}"),
            ("user-agent", "me/1 {{secret:C}}"),
            ("accept", "text/plain"),
            ("content-type", "text/plain"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Order {
            method: method.parse().unwrap(),
            target: Target::parse(url).unwrap(),
            headers,
            body: Bytes::from_static(b"body"),
            follow: true,
            until: Instant::now(),
            hops: 0,
            redirected_by: None,
        }
    }

    fn go(method: &str, from: &str, status: u16, location: &str) -> Result<Option<Order>, Refusal> {
        next(&order(method, from), status, Some(location))
    }

    #[test]
    fn t63_methods_and_bodies_change_as_the_standards_say() {
        for (method, status, becomes, body) in [
            ("GET", 301, "GET", true),
            ("POST", 301, "GET", false),
            ("POST", 302, "GET", false),
            ("PUT", 302, "PUT", true),
            ("DELETE", 301, "DELETE", true),
            ("POST", 303, "GET", false),
            ("PUT", 303, "GET", false),
            ("HEAD", 303, "HEAD", true),
            ("HEAD", 302, "HEAD", true),
            ("POST", 307, "POST", true),
            ("POST", 308, "POST", true),
        ] {
            let next = go(method, "https://a.test/", status, "/x").unwrap().unwrap();
            assert_eq!(next.method.as_str(), becomes, "{method} {status}");
            assert_eq!(!next.body.is_empty(), body, "{method} {status}");
            assert_eq!(next.headers.contains_key("content-type"), body, "{method} {status}");
            assert!(next.headers.contains_key("authorization"), "the same origin");
            assert!(!next.headers.contains_key("referer"));
        }
        for status in [200, 300, 304, 305, 306, 309, 400, 401] {
            assert!(go("GET", "https://a.test/", status, "/x").unwrap().is_none(), "{status}");
        }
        assert!(next(&order("GET", "https://a.test/"), 302, None).unwrap().is_none());
    }

    #[test]
    fn t63_t73_credentials_stay_with_their_origin() {
        for (from, to, same) in [
            ("https://a.test/", "https://a.test:443/x", true),
            ("https://a.test/", "https://A.test./x", true),
            ("https://a.test/", "https://b.test/", false),
            ("https://a.test/", "//evil.test/", false),
            ("https://a.test/", "https://www.a.test/", false),
            ("https://a.test/", "https://a.test:8443/", false),
            ("http://a.test/", "https://a.test/", false),
            ("http://127.0.0.1/", "http://localhost/", false),
        ] {
            let next = go("POST", from, 307, to).unwrap().unwrap();
            let kept = |name| next.headers.contains_key(name);
            assert_eq!((kept("authorization"), kept("x-api-key")), (same, same), "{from} to {to}");
            assert_eq!(kept("user-agent"), same, "a secret is one in whatever header it stands");
            assert!(kept("accept") && kept("content-type"));
        }
    }

    #[test]
    fn t63_where_a_redirect_may_not_lead() {
        for (from, to, word) in [
            ("https://a.test/", "http://a.test/", "https to http"),
            ("https://a.test/", "file:///etc/passwd", "nowhere"),
            ("https://a.test/", "javascript:alert(1)", "nowhere"),
            ("https://a.test/", "https://me:pw@a.test/", "nowhere"),
            ("https://a.test/", "https://a_b.test/", "nowhere"),
            ("https://a.test/", &"x".repeat(64 << 10), "nowhere"),
        ] {
            let refusal = go("GET", from, 302, to).unwrap_err();
            assert!(refusal.to_string().contains(word), "{refusal}");
            assert!(!refusal.to_string().contains("pw"), "{refusal}");
        }
        let last = Order { hops: MOST, ..order("GET", "https://a.test/") };
        assert!(next(&last, 302, Some("/")).unwrap_err().to_string().contains("number 6"));
        assert!(next(&Order { hops: MOST - 1, ..last }, 302, Some("/")).unwrap().is_some());
    }
}
