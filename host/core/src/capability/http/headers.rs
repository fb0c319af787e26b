//! Headers from strangers, in both directions.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::secrets;
use super::url::shown;
use crate::error::{Denial, Excess, Refusal};

/// Bytes of all names and values of one head, and lines of it.
pub(super) const MAX_BYTES: usize = 64 << 10;
pub(super) const MAX_LINES: usize = 256;

/// What belongs to the connection, to the host, or to whoever stands between: a skill that sets one of these means to confuse
/// somebody.
const FORBIDDEN: &[&str] = &[
    "accept-encoding",
    "alt-used",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];

const FORBIDDEN_BEGINNINGS: &[&str] = &["proxy-", "x-forwarded-", "sec-"];

/// What goes on to another origin where a redirect leads there. Everything else may be a credential in disguise.
const HARMLESS: &[&str] = &["accept", "accept-language", "content-language", "content-type", "user-agent"];

/// Reads a skill's headers: names and values as HTTP has them, within the limits, and none that belongs to the host.
pub(super) fn read(given: Vec<(String, String)>) -> Result<HeaderMap, Refusal> {
    let too_large = |what, limit: usize, actual: usize| {
        Err(Refusal::TooLarge(Excess { what, limit: limit as u64, actual: Some(actual as u64) }))
    };
    if given.len() > MAX_LINES {
        return too_large("the number of http headers", MAX_LINES, given.len());
    }
    let bytes = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        return too_large("http headers", MAX_BYTES, bytes);
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Refusal::Invalid(format!("`{}` is no name of a header", shown(&name).escape_debug())));
        };
        if is_forbidden(key.as_str()) {
            return Err(Refusal::Denied(Denial {
                capability: "http",
                subject: format!("http header {key}"),
                reason: "this header belongs to the host".into(),
                hint: "nothing allows it: the skill has to leave it out".into(),
            }));
        }
        // The value is not told: it may be a token.
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(Refusal::Invalid(format!("the header `{key}` has a control character in its value")));
        };
        headers.append(key, value);
    }
    Ok(headers)
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name) || FORBIDDEN_BEGINNINGS.iter().any(|start| name.starts_with(start))
}

/// Reads a method. `CONNECT` would make a tunnel, `TRACE` shows what was filled in.
pub(super) fn method(text: &str) -> Result<Method, Refusal> {
    let wrong = |why: &str| Refusal::Invalid(format!("the method `{}` {why}", shown(text).escape_debug()));
    if text.len() > 32 {
        return Err(wrong("is longer than 32 bytes"));
    }
    if text.eq_ignore_ascii_case("CONNECT") || text.eq_ignore_ascii_case("TRACE") {
        return Err(wrong("cannot be used: nothing here needs it"));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| wrong("is no word such as GET"))
}

/// What is left for a server of another origin. No secret, in whatever header it stands, also where it may be sent there as well.
pub(super) fn for_another_origin(headers: &mut HeaderMap) {
    let wants = |name: &str| headers.get_all(name).iter().any(secrets::is_placed);
    let harmless: Vec<&str> = HARMLESS.iter().copied().filter(|name| !wants(name)).collect();
    keep(headers, |name| harmless.contains(&name));
}

/// Takes off what describes a body that is no longer sent.
pub(super) fn without_body(headers: &mut HeaderMap) {
    keep(headers, |name| !name.starts_with("content-"));
}

fn keep(headers: &mut HeaderMap, is_kept: impl Fn(&str) -> bool) {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| !is_kept(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// A server's headers, as a skill sees them, within the limits.
pub(super) fn written(headers: &HeaderMap) -> Result<Vec<(String, String)>, Refusal> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MAX_BYTES || headers.len() > MAX_LINES {
        let (limit, actual) = (MAX_BYTES as u64, Some(bytes as u64));
        return Err(Refusal::TooLarge(Excess { what: "headers of the http response", limit, actual }));
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<HeaderMap, Refusal> {
        read(vec![(name.into(), value.into())])
    }

    #[test]
    fn t65_headers_of_the_host_are_refused() {
        for name in [
            "Host",
            "hOsT",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Cookie",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "Forwarded",
            "Via",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Keep-Alive",
            "Accept-Encoding",
            "Sec-Fetch-Site",
        ] {
            let refusal = one(name, "1").unwrap_err();
            assert!(
                matches!(&refusal, Refusal::Denied(denial) if denial.subject.contains(&name.to_lowercase())),
                "{name}"
            );
        }
        for name in ["Accept", "Authorization", "X-Api-Key", "Content-Type", "User-Agent", "Range", "If-None-Match"] {
            assert!(one(name, "1").is_ok(), "{name}");
        }
    }

    #[test]
    fn t65_what_could_split_a_head_is_refused() {
        for (name, value) in [
            ("x", "a\r\nHost: evil"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x\r\ny", "a"),
            ("x y", "a"),
            ("x:", "a"),
            ("", "a"),
            (" host", "a"),
            ("hoſt", "a"),
        ] {
            assert!(matches!(one(name, value), Err(Refusal::Invalid(_))), "{name:?}: {value:?}");
        }
        let refusal = one("authorization", "Bearer hunter2\n").unwrap_err();
        assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
    }

    #[test]
    fn t65_heads_have_a_largest_size() {
        let many = |count: usize, length: usize| (0..count).map(|n| (format!("x-{n}"), "v".repeat(length))).collect();
        assert_eq!(read(many(MAX_LINES, 1)).unwrap().len(), MAX_LINES);
        assert!(matches!(read(many(MAX_LINES + 1, 1)), Err(Refusal::TooLarge(_))));
        assert!(matches!(read(many(10_000, 1)), Err(Refusal::TooLarge(_))));
        assert!(read(many(1, 60 << 10)).is_ok());
        assert!(matches!(read(many(1, 1 << 20)), Err(Refusal::TooLarge(_))));
        assert!(matches!(read(many(2, 33 << 10)), Err(Refusal::TooLarge(_))));
        let large: HeaderMap = (0..3)
            .map(|n| {
                (HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::try_from("v".repeat(30 << 10)).unwrap())
            })
            .collect();
        assert!(matches!(written(&large), Err(Refusal::TooLarge(_))));
    }

    #[test]
    fn methods_are_words_without_a_tunnel() {
        for good in ["GET", "POST", "PATCH", "PROPFIND", "get"] {
            assert_eq!(method(good).unwrap().as_str(), good);
        }
        for bad in ["", "CONNECT", "connect", "TRACE", "Trace", "GE T", "GET\r\n", "GÉT", &"X".repeat(33)] {
            assert!(method(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn t73_only_what_is_harmless_goes_to_another_origin() {
        let given = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-anything", "accept", "content-type"];
        let mut headers = read(given.iter().map(|name| ((*name).into(), "1".into())).collect()).unwrap();
        for_another_origin(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!((left.len(), left.contains(&"accept"), left.contains(&"content-type")), (2, true, true));
        without_body(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
