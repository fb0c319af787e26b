//! What a provider's refusal means: from HTTP statuses and the words of many dialects to one error.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::capability::model::provider::ProviderError;

/// Characters of a provider's text that are shown.
const MAX_TEXT: usize = 300;

/// No wait is longer than this, whatever the provider asks for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The error for an answer whose status is not 2xx.
pub fn failure(status: u16, headers: &HeaderMap, body: &[u8], key: Option<&SecretString>) -> ProviderError {
    let (words, text) = read(body);
    let text = if text.is_empty() { format!("HTTP {status} without a reason") } else { scrub(&text, key) };
    let error = classify(status, &words, text);
    with_retry_after(error, retry_after(headers, SystemTime::now()))
}

/// What came, in words, where what answered is not the provider: a redirect, a web page, or a path with nothing behind it. It says
/// nothing against the request, and does not know the model. None for a refusal of the provider's own.
pub(super) fn foreign(status: u16, headers: &HeaderMap, body: &[u8], key: Option<&SecretString>) -> Option<String> {
    let (words, text) = read(body);
    let says = |word: &str| words.contains(word) || text.to_ascii_lowercase().contains(word);
    match status {
        300..=399 => {
            let target = headers.get(LOCATION).and_then(|target| target.to_str().ok());
            // A path or a query may hold what was meant for the target alone.
            let target = target.and_then(|target| url::Url::parse(target).ok()).map(|target| target.origin());
            let target = target.filter(url::Origin::is_tuple).map(|origin| origin.ascii_serialization());
            let to = target.map(|target| format!(" to {}", scrub(&target, key))).unwrap_or_default();
            Some(format!("a redirect{to} (HTTP {status}), which is not followed"))
        }
        // Gateways in front of a provider refuse for these reasons, and many of them with a page.
        401..=403 | 408 | 413 | 425 | 429 => None,
        400..=499 if is_page(body) => Some(format!("a web page (HTTP {status})")),
        404 | 405 if !says("model") && !says("deployment") => Some(match scrub(&text, key) {
            text if text.is_empty() => format!("HTTP {status}"),
            text => format!("HTTP {status}: {text}"),
        }),
        _ => None,
    }
}

/// Whether a body is a web page, or other markup: no wire's answer begins like that.
pub(super) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// The error that an error object inside of a stream means, whose own HTTP status was 200.
pub fn in_stream(error: &Value, key: Option<&SecretString>) -> ProviderError {
    inside(error, |text| scrub(&text, key))
}

/// The same with the provider's text as it is: for the pure parts of wires, which do not know the key. The wire must pass it
/// through [`super::Endpoint::redact`] before anybody sees it.
pub(super) fn unredacted(error: &Value) -> ProviderError {
    inside(error, |text| text)
}

fn inside(error: &Value, shown: impl FnOnce(String) -> String) -> ProviderError {
    let (words, text) = read_value(error);
    let text = if text.is_empty() { "the provider gave no reason".to_owned() } else { text };
    let object = error.get("error").filter(|inner| inner.is_object()).unwrap_or(error);
    let status = ["code", "status"].iter().find_map(|name| object.get(name)?.as_u64());
    let status = status.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    let text = shown(text);
    if let Some(status) = status {
        return classify(status, &words, text);
    }
    // What words stand for is no status that anybody has sent.
    match classify(status_of(&words), &words, text) {
        ProviderError::Server { status, message, .. } => ProviderError::Failed { message, billed: status == TIMEOUT },
        ProviderError::Key { message, .. } => ProviderError::Key { status: None, message },
        other => other,
    }
}

/// The status of a gateway that gave up waiting for the model.
const TIMEOUT: u16 = 504;

/// Which error a status and the wire's own words (codes and types, joined by spaces) mean. `message` is shown as it is.
pub fn classify(status: u16, words: &str, message: String) -> ProviderError {
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle) || lower.contains(needle));
    match status {
        402 => ProviderError::Quota(message),
        400 | 403 | 429 if says(QUOTA) => ProviderError::Quota(message),
        429 => ProviderError::RateLimited { message, retry_after: None },
        400 | 413 | 422 | 500 if says(TOO_LONG) => ProviderError::TooLong(message),
        400 if says(&["api_key_invalid", "invalid_api_key", "api key not valid"]) => {
            ProviderError::Key { status: Some(status), message }
        }
        401 | 403 => ProviderError::Key { status: Some(status), message },
        400 | 422 if says(UNKNOWN_MODEL) => ProviderError::UnknownModel(message),
        404 => ProviderError::UnknownModel(message),
        408 | 409 | 425 | 500.. => ProviderError::Server { status, message, retry_after: None },
        _ => ProviderError::Invalid(message),
    }
}

const QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient balance",
    "credit balance is too low",
];

const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size_error",
    "string_above_max_length",
    "request_too_large",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "exceeds the maximum number of tokens",
];

const UNKNOWN_MODEL: &[&str] = &["model_not_found", "unknown_model", "invalid_model", "is not a valid model"];

/// The status that an error's words stand for.
fn status_of(words: &str) -> u16 {
    const TABLE: &[(&str, u16)] = &[
        ("insufficient_quota", 429),
        ("rate_limit", 429),
        ("resource_exhausted", 429),
        ("too_many_requests", 429),
        ("overloaded", 529),
        ("authentication", 401),
        ("invalid_api_key", 401),
        ("permission", 403),
        ("not_found", 404),
        ("request_too_large", 413),
        ("context_length_exceeded", 400),
        ("invalid", 400),
        ("billing", 402),
        ("timeout", TIMEOUT),
    ];
    TABLE.iter().find(|(word, _)| words.contains(word)).map_or(500, |(_, status)| *status)
}

/// The codes and the text of an error body. HTML is named, not copied.
fn read(body: &[u8]) -> (String, String) {
    let body = body.trim_ascii();
    if is_page(body) {
        return (String::new(), "an HTML page instead of an answer".into());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => read_value(&value),
        Err(_) => (String::new(), String::from_utf8_lossy(body).into_owned()),
    }
}

/// Knows `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, a bare error object, and all of them in a list.
fn read_value(value: &Value) -> (String, String) {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
    let words = ["code", "type", "status"].iter().filter_map(|name| error.get(name)?.as_str());
    let words = words.collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let text =
        error.as_str().or_else(|| ["message", "detail", "msg"].iter().find_map(|name| error.get(name)?.as_str()));
    let text = text.map(str::to_owned).or_else(|| complaint(error.pointer("/detail/0")?));
    (words, text.unwrap_or_default())
}

/// What a server that checks its input finds wrong, with the place: `body.response_format.type: Input should be 'text'`.
fn complaint(detail: &Value) -> Option<String> {
    let message = detail.get("msg")?.as_str()?;
    let place = detail.get("loc").and_then(Value::as_array).into_iter().flatten();
    let place: Vec<String> = place.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
    Some(if place.is_empty() { message.to_owned() } else { format!("{}: {message}", place.join(".")) })
}

/// The time to wait that the provider names: `retry-after-ms`, or `retry-after` as seconds or as a date (RFC 9110, 10.2.3).
/// Nonsense is as good as nothing; a date in the past is no wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok().or((number > 0.0).then_some(MAX_WAIT));
    let millis = text("retry-after-ms").and_then(|text| seconds(text.parse::<f64>().ok()? / 1000.0));
    let wait = millis.or_else(|| {
        let text = text(RETRY_AFTER.as_str())?;
        match text.parse::<f64>() {
            Ok(number) => seconds(number),
            Err(_) => httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default()),
        }
    });
    wait.map(|wait| wait.min(MAX_WAIT))
}

fn with_retry_after(error: ProviderError, wait: Option<Duration>) -> ProviderError {
    match error {
        ProviderError::RateLimited { message, .. } => ProviderError::RateLimited { message, retry_after: wait },
        ProviderError::Server { status, message, .. } => ProviderError::Server { status, message, retry_after: wait },
        other => other,
    }
}

/// Makes foreign text fit to be shown: one line, no control characters, no key, at most 300 characters.
pub fn scrub(text: &str, key: Option<&SecretString>) -> String {
    let mut plain: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !hidden(*c)).collect();
    // A very short key would tear holes into every word.
    if let Some(key) = key.map(ExposeSecret::expose_secret).filter(|key| key.len() >= 4) {
        plain = plain.replace(key, "[key]");
    }
    let words = plain.split(' ').filter(|word| !word.is_empty());
    let words = words.map(|word| if looks_like_key(word) { "[key]" } else { word }).collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// Control characters, and those that change how the text around them is shown (bidirectional marks, zero-width ones, tags).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// OpenAI repeats a wrong key half hidden; keys of other accounts may be echoed as well.
fn looks_like_key(word: &str) -> bool {
    word.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with("sk-") && word.len() > 6
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
