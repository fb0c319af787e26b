use tokio::io::AsyncWriteExt;

use super::*;
use crate::capability::model::wire::testing::{HEAD, KEY, PATIENT, endpoint, raw, raw_bytes, raw_then_silence, serve};

const SHORT: Duration = Duration::from_millis(60);

async fn post(endpoint: &Endpoint) -> Result<Value, ProviderError> {
    let response = endpoint.post_json("x", &serde_json::json!({"a": 1})).await?;
    endpoint.whole_json(response).await
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn posts_json_with_the_key_and_reads_the_answer() {
    let (address, seen) = serve(vec![(200, "application/json", b"{\"ok\":true}".to_vec())]).await;
    let endpoint = endpoint(address, PATIENT).with_header("OpenAI-Organization", "org-1").unwrap();
    assert_eq!(post(&endpoint).await.unwrap(), serde_json::json!({"ok": true}));
    assert_eq!(endpoint.get_json("/models?limit=2").await.unwrap()["ok"], true);
    let seen = seen.lock().unwrap();
    assert_eq!((seen[0].path.as_str(), seen[1].path.as_str()), ("/v1/x", "/v1/models?limit=2"));
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen[0].headers["openai-organization"], "org-1");
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[0].body, serde_json::json!({"a": 1}));
}

#[tokio::test]
async fn the_key_can_go_in_a_header_of_its_own() {
    let (address, seen) = serve(vec![(200, "application/json", b"{}".to_vec())]).await;
    let endpoint = endpoint(address, PATIENT).with_auth(Auth::Header(HeaderName::from_static("x-api-key")));
    post(&endpoint).await.unwrap();
    let headers = &seen.lock().unwrap()[0].headers;
    assert_eq!(headers["x-api-key"], KEY);
    assert!(!headers.contains_key("authorization"));
}

#[test]
fn paths_go_under_the_base_url() {
    let url = |base: &str, path: &str| Endpoint::new(Url::parse(base).unwrap(), None, PATIENT).url(path).to_string();
    assert_eq!(url("https://a.test/v1", "chat/completions"), "https://a.test/v1/chat/completions");
    assert_eq!(url("https://a.test/v1/", "/models"), "https://a.test/v1/models");
    assert_eq!(url("http://a.test:1", "api/chat"), "http://a.test:1/api/chat");
    assert_eq!(url("https://a.test/x?api-version=1", "chat"), "https://a.test/x/chat?api-version=1");
    assert_eq!(url("https://a.test/x?a=1", "y?alt=sse"), "https://a.test/x/y?a=1&alt=sse");
}

#[test]
fn nothing_shows_the_key() {
    let base = Url::parse("https://user:hunter22@a.test/v1?token=hunter22").unwrap();
    let endpoint = Endpoint::new(base, Some(KEY.into()), PATIENT).with_header("x-org", "hunter22").unwrap();
    let text = format!("{endpoint:?}");
    assert!(!text.contains("CANARY") && !text.contains("hunter22"), "{text}");
}

#[tokio::test]
async fn a_key_that_no_header_can_hold_is_refused_without_being_shown() {
    let endpoint = Endpoint::new(Url::parse("http://127.0.0.1:1").unwrap(), Some("a\nCANARY".into()), PATIENT);
    let error = post(&endpoint).await.unwrap_err();
    assert_eq!(error.to_string(), "the key cannot be sent: it has characters that no HTTP header can hold");
    assert!(matches!(error, ProviderError::Unsendable(_)), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_a_connect_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = post(&endpoint(address, PATIENT)).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Connect(text) if text.contains("127.0.0.1")), "{error:?}");
}

#[tokio::test]
async fn speaking_tls_to_a_plain_server_is_a_connect_error() {
    let (address, _) = serve(vec![(200, "application/json", b"{}".to_vec())]).await;
    let url = Url::parse(&format!("https://{address}")).unwrap();
    let error = post(&Endpoint::new(url, None, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_connect_timeout() {
    let url = Url::parse(&format!("https://{}", raw_then_silence("").await)).unwrap();
    let error = post(&Endpoint::new(url, None, Timeouts { connect: SHORT, ..PATIENT })).await.unwrap_err();
    assert_eq!(error, ProviderError::TimedOut { phase: "connect", after: SHORT });
}

#[tokio::test]
async fn silence_has_limits_before_the_head_before_the_body_and_inside_of_it() {
    let quick = Timeouts { connect: SHORT, first_byte: SHORT, idle: PATIENT.idle };
    let first = ProviderError::TimedOut { phase: "first byte", after: SHORT };
    assert_eq!(post(&endpoint(raw_then_silence("").await, quick)).await.unwrap_err(), first);
    assert_eq!(post(&endpoint(raw_then_silence(HEAD).await, quick)).await.unwrap_err(), first);
    let restless = Timeouts { idle: SHORT, ..PATIENT };
    let address = raw_then_silence(format!("{HEAD}{{\"a\":")).await;
    let idle = ProviderError::TimedOut { phase: "idle", after: SHORT };
    assert_eq!(post(&endpoint(address, restless)).await.unwrap_err(), idle);
}

#[tokio::test]
async fn breaking_off_is_told_apart_before_and_after_the_answer_began() {
    let broken = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{body}");
    let error = post(&endpoint(raw_bytes("").await, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Connect(_)), "{error:?}");
    let error = post(&endpoint(raw_bytes(broken("")).await, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Connect(_)), "{error:?}");
    let error = post(&endpoint(raw_bytes(broken("{\"a\":")).await, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Garbled(_)), "{error:?}");
    let error = post(&endpoint(raw_bytes("\x00\x01garbage\r\n\r\n").await, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (canary, seen) = serve(vec![(200, "application/json", b"{}".to_vec())]).await;
    let address = raw_bytes(answer("307 Temporary Redirect", &format!("location: http://{canary}/\r\n"), "")).await;
    let error = post(&endpoint(address, PATIENT).speaking("Anthropic")).await.unwrap_err();
    let said = format!(
        "what answers at http://{address} is no Anthropic API: it answered with a redirect to http://{canary} (HTTP 307), which \
         is not followed"
    );
    assert_eq!(error, ProviderError::Foreign { status: 307, text: said });
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_provider_is_named_with_its_address() {
    let page = "\n<!DOCTYPE html><html><body>10.1.2.3 CANARY</body></html>";
    for (status, body, came) in [
        ("200 OK", page, "a web page (HTTP 200)"),
        ("404 Not Found", page, "a web page (HTTP 404)"),
        ("404 Not Found", "404 page not found\n", "HTTP 404: 404 page not found"),
        ("405 Method Not Allowed", "", "HTTP 405"),
    ] {
        let address = raw_bytes(answer(status, "content-type: text/html\r\n", body)).await;
        let base = Url::parse(&format!("http://{address}/v1/?token=hunter22")).unwrap();
        let error = post(&Endpoint::new(base, None, PATIENT).speaking("Gemini")).await.unwrap_err();
        let said = format!("what answers at http://{address} is no Gemini API: it answered with {came}");
        assert_eq!(error.to_string(), said);
        assert!(matches!(error, ProviderError::Foreign { .. }), "{error:?}");
    }
    // A stream is looked at in the same way.
    let endpoint = endpoint(raw_bytes(format!("{HEAD}{page}")).await, PATIENT);
    let mut frames = endpoint.events(endpoint.post_json("x", &Value::Null).await.unwrap());
    let error = frames.more().await.unwrap_err();
    assert!(matches!(error, ProviderError::Foreign { status: 200, .. }), "{error:?}");
    // A model that the provider does not have is still that.
    let body = "{\"error\":{\"message\":\"The model `m` does not exist\"}}";
    let address = raw_bytes(answer("404 Not Found", "", body)).await;
    let error = post(&self::endpoint(address, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::UnknownModel(_)), "{error:?}");
}

#[tokio::test]
async fn pings_keep_a_stream_for_as_long_as_a_first_byte_may_take() {
    let restless = Timeouts { first_byte: SHORT * 3, idle: SHORT, ..PATIENT };
    for ping in [": ping\n\n", "event: ping\ndata: {\"type\": \"ping\"}\n\n"] {
        // Four times as often as it has to be, for ever.
        let address = raw(move |mut socket| async move {
            let mut sent = socket.write_all(HEAD.as_bytes()).await;
            while sent.is_ok() {
                sent = socket.write_all(ping.as_bytes()).await;
                tokio::time::sleep(SHORT / 4).await;
            }
        })
        .await;
        let endpoint = endpoint(address, restless);
        let response = endpoint.post_json("x", &Value::Null).await.unwrap();
        let mut frames = endpoint.events(response);
        let begin = Instant::now();
        let error = loop {
            while frames.here().unwrap().is_some() {}
            match frames.more().await {
                Ok(more) => assert!(more && begin.elapsed() < Duration::from_secs(10), "for ever"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ProviderError::TimedOut { phase: "idle", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn refusals_keep_their_status_wait_and_no_key() {
    let echo = format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {KEY}\"}}}}");
    let error = post(&endpoint(raw_bytes(answer("401 Unauthorized", "", &echo)).await, PATIENT)).await.unwrap_err();
    assert_eq!(error, ProviderError::Key { status: Some(401), message: "Incorrect API key provided: [key]".into() });

    let page = "<html><body>upstream 10.1.2.3 died</body></html>";
    let error = post(&endpoint(raw_bytes(answer("500 Oops", "", page)).await, PATIENT)).await.unwrap_err();
    assert!(
        matches!(error, ProviderError::Server { status: 500, .. }) && !error.to_string().contains("10.1"),
        "{error:?}"
    );

    let slow = answer("429 Too Many Requests", "retry-after: 3\r\n", "{\"error\":{\"message\":\"slow down\"}}");
    let error = post(&endpoint(raw_bytes(slow).await, PATIENT)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn an_error_whose_body_hangs_or_never_ends_is_still_that_error() {
    let restless = Timeouts { idle: SHORT, first_byte: SHORT, ..PATIENT };
    let address = raw_then_silence("HTTP/1.1 503 Busy\r\ncontent-length: 10\r\nretry-after: 2\r\n\r\n").await;
    let error = post(&endpoint(address, restless)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Server { status: 503, retry_after: Some(_), .. }), "{error:?}");

    let address = flood("HTTP/1.1 400 Bad Request\r\n\r\n", b"no no no ").await;
    let error = post(&endpoint(address, PATIENT)).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Invalid(text) if text.chars().count() == 301), "{error:?}");
}

#[tokio::test]
async fn answers_are_cut_off_at_their_limits() {
    let error = post(&endpoint(flood(HEAD, &[b' '; 8192]).await, PATIENT)).await.unwrap_err();
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");

    let endpoint = endpoint(flood(HEAD, &[b'x'; 8192]).await, PATIENT);
    let response = endpoint.post_json("x", &Value::Null).await.unwrap();
    let mut frames = sse(endpoint.bytes(response));
    let error = loop {
        if let Err(error) = frames.here() {
            break error;
        }
        assert!(frames.more().await.unwrap());
    };
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

#[tokio::test]
async fn deep_json_is_refused_and_not_recursed_into() {
    let body = "[".repeat(100_000);
    let error = post(&endpoint(raw_bytes(answer("200 OK", "", &body)).await, PATIENT)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Garbled(_)), "{error:?}");
}

/// A server that sends `chunk` for as long as somebody takes it.
async fn flood(head: &'static str, chunk: &'static [u8]) -> std::net::SocketAddr {
    raw(move |mut socket| async move {
        let mut sent = socket.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = socket.write_all(chunk).await;
        }
    })
    .await
}
