//! Why a server gave no answer, in words of ours: the library's name its types, and repeat what a server sent.

use std::error::Error;
use std::io;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::{SseError, StreamableHttpError};

/// Why a greeting came to nothing. What of it is a server's own message goes through `words`.
pub(super) fn of_greeting(error: &ClientInitializeError, words: impl Fn(&str) -> String) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => of_transport(error),
        // It knows no way to begin but the older one, and that is what it failed at.
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_greeting(fallback, words),
        ClientInitializeError::ConnectionClosed(_) => "it has closed the connection".into(),
        ClientInitializeError::Cancelled => "it was ended here".into(),
        ClientInitializeError::JsonRpcError(error) => format!("it refuses to begin: {}", words(&error.message)),
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
            "it speaks no version of the protocol that this host speaks".into()
        }
        _ => "it is no MCP server: its answer to the greeting is none".into(),
    }
}

/// Why a request came to nothing, after a greeting that went well.
pub(super) fn of_request(error: &ServiceError, words: impl Fn(&str) -> String) -> String {
    match error {
        ServiceError::TransportSend(error) => of_transport(error),
        ServiceError::TransportClosed => "it has closed the connection".into(),
        ServiceError::McpError(error) => words(&error.message),
        ServiceError::UnexpectedResponse => "its answer is none to what it was asked".into(),
        _ => "its answer cannot be used".into(),
    }
}

/// Whether a server refused a greeting for want of a token, and did not say where to get one.
pub(super) fn is_unauthorized(error: &ClientInitializeError) -> bool {
    match error {
        ClientInitializeError::TransportError { error, .. } => is_401(error),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => is_unauthorized(fallback),
        _ => false,
    }
}

/// The same of a request after a greeting that went well.
pub(super) fn is_unauthorized_request(error: &ServiceError) -> bool {
    matches!(error, ServiceError::TransportSend(error) if is_401(error))
}

fn is_401(error: &DynamicTransportError) -> bool {
    let inner: &(dyn Error + 'static) = error.error.as_ref();
    let told = match inner.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::Client(error)) => error.status().map(|status| status.as_u16()),
        Some(StreamableHttpError::HttpStatus(error)) => Some(error.status),
        Some(StreamableHttpError::UnexpectedServerResponse(text)) => status(text),
        _ => None,
    };
    told == Some(401)
}

fn of_transport(error: &DynamicTransportError) -> String {
    let inner: &(dyn Error + 'static) = error.error.as_ref();
    match inner.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(error) => of_http(error),
        None => of_stream(inner),
    }
}

fn of_http(error: &StreamableHttpError<reqwest::Error>) -> String {
    match error {
        StreamableHttpError::Client(error) => match error.status() {
            Some(status) => answered(status.as_u16()),
            None => of_stream(error),
        },
        StreamableHttpError::HttpStatus(error) => answered(error.status),
        StreamableHttpError::UnexpectedServerResponse(text) => match status(text) {
            Some(status) => answered(status),
            None => "it is no MCP server: it answered with JSON that is no message".into(),
        },
        StreamableHttpError::UnexpectedContentType(kind) => {
            let what = match kind.as_deref().map(|kind| kind.trim_start().to_ascii_lowercase()) {
                Some(kind) if kind.starts_with("text/html") => "HTML",
                Some(kind) if kind.starts_with("text/") => "text",
                Some(_) => "something that is neither JSON nor a stream of events",
                None => "something that does not say what it is",
            };
            format!("it is no MCP server: it answered with {what}")
        }
        StreamableHttpError::ResponseBodyTooLarge { max_size } => {
            format!("it sent an answer of more than {} MiB", max_size >> 20)
        }
        StreamableHttpError::Deserialize(_) => "it is no MCP server: it answered with JSON that is no message".into(),
        StreamableHttpError::Io(error) => of_stream(error),
        StreamableHttpError::Sse(SseError::Body(error)) => of_stream(error.as_ref()),
        StreamableHttpError::Sse(_) => "it sent events that cannot be read".into(),
        StreamableHttpError::UnexpectedEndOfStream => "it broke off in the middle of an answer".into(),
        StreamableHttpError::SessionExpired
        | StreamableHttpError::SessionRecoveryTimeout
        | StreamableHttpError::ReinitializationFailed(_) => {
            "it has forgotten the session, and does not begin another".into()
        }
        StreamableHttpError::Auth(_) => "the token for it could not be refreshed".into(),
        StreamableHttpError::ReservedHeaderConflict(_) => {
            "`headers` has one that belongs to the protocol, and which cannot be set".into()
        }
        _ => "it has closed the connection".into(),
    }
}

fn answered(status: u16) -> String {
    match status {
        300..=399 => format!("it answered HTTP {status}; redirects are not followed"),
        status => format!("it answered HTTP {status}"),
    }
}

/// The status of an answer that the library tells with the beginning of its body.
fn status(text: &str) -> Option<u16> {
    text.strip_prefix("HTTP ")?.get(..3)?.parse().ok()
}

/// Why bytes did not come or go.
pub(super) fn of_stream(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<rustls::Error>() {
            return format!("no TLS with it: {refused}");
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            let known = match error.kind() {
                io::ErrorKind::ConnectionRefused => "it refused the connection",
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads to it",
                io::ErrorKind::TimedOut => "it has not taken the connection in time",
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => "it broke off the connection",
                _ => "",
            };
            if !known.is_empty() {
                return known.into();
            }
            // What TLS refuses is inside of one, which does not call it its cause.
            if let Some(refused) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return format!("no TLS with it: {refused}");
            }
        }
        cause = inner.source();
    }
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "it has not answered in time".into(),
        Some(error) if error.is_connect() => "no connection to it can be made".into(),
        Some(error) if error.is_body() || error.is_decode() => "it broke off in the middle of an answer".into(),
        _ => "what it answers is not HTTP, or it broke off".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sent_is_not_in_what_is_said_of_it() {
        type Http = StreamableHttpError<reqwest::Error>;
        let io = |kind| Http::Io(io::Error::new(kind, "secret"));
        for (error, said) in [
            (Http::UnexpectedServerResponse("HTTP 403 Forbidden: secret".into()), "it answered HTTP 403"),
            (
                Http::UnexpectedServerResponse("HTTP 301 Moved Permanently: secret".into()),
                "it answered HTTP 301; redirects are not followed",
            ),
            (
                Http::UnexpectedServerResponse("could not parse JSON response: secret".into()),
                "it is no MCP server: it answered with JSON that is no message",
            ),
            (
                Http::UnexpectedContentType(Some("Text/HTML; secret".into())),
                "it is no MCP server: it answered with HTML",
            ),
            (
                Http::UnexpectedContentType(None),
                "it is no MCP server: it answered with something that does not say what it is",
            ),
            (io(io::ErrorKind::ConnectionRefused), "it refused the connection"),
            (io(io::ErrorKind::BrokenPipe), "it broke off the connection"),
            (io(io::ErrorKind::Other), "what it answers is not HTTP, or it broke off"),
        ] {
            assert_eq!(of_http(&error), said);
        }
        for odd in ["HTTP", "HTTP ", "HTTP 4\u{e4}", "HTTP abc: x", ""] {
            assert_eq!(status(odd), None, "{odd}");
        }
    }
}
