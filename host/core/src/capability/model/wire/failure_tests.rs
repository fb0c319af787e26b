use serde_json::json;

use super::*;

const KEY: &str = "sk-CANARY-0123456789";

fn fail(status: u16, body: &str) -> ProviderError {
    failure(status, &HeaderMap::new(), body.as_bytes(), Some(&KEY.into()))
}

#[test]
fn statuses_and_words_become_errors() {
    let openai = |code: &str, text: &str| json!({"error": {"message": text, "type": "x", "code": code}}).to_string();
    let anthropic =
        |kind: &str, text: &str| json!({"type": "error", "error": {"type": kind, "message": text}}).to_string();
    let table: Vec<(u16, String, &str)> = vec![
        (401, openai("invalid_api_key", "bad"), "Key"),
        (403, openai("x", "not allowed"), "Key"),
        (
            400,
            json!({"error": {"status": "INVALID_ARGUMENT", "message": "API key not valid. Pass a valid one."}})
                .to_string(),
            "Key",
        ),
        (404, openai("model_not_found", "no m"), "UnknownModel"),
        (404, json!({"error": "model 'x' not found"}).to_string(), "UnknownModel"),
        (400, openai("model_not_found", "no m"), "UnknownModel"),
        (429, openai("rate_limit_exceeded", "slow"), "RateLimited"),
        (429, openai("insufficient_quota", "pay"), "Quota"),
        (402, openai("x", "Insufficient Balance"), "Quota"),
        (400, anthropic("invalid_request_error", "Your credit balance is too low to access"), "Quota"),
        (400, openai("context_length_exceeded", "x"), "TooLong"),
        (400, anthropic("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"), "TooLong"),
        (413, anthropic("request_too_large", "x"), "TooLong"),
        (
            400,
            json!({"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}}).to_string(),
            "TooLong",
        ),
        (400, openai("x", "wrong"), "Invalid"),
        (413, String::new(), "Invalid"),
        (422, json!({"detail": [{"loc": ["body"], "msg": "field required"}]}).to_string(), "Invalid"),
        (418, String::new(), "Invalid"),
        (408, String::new(), "Server"),
        (500, openai("x", "oops"), "Server"),
        (503, "<html>".into(), "Server"),
        (529, anthropic("overloaded_error", "Overloaded"), "Server"),
    ];
    for (status, body, expected) in table {
        let error = fail(status, &body);
        assert_eq!(format!("{error:?}").split(['(', ' ']).next(), Some(expected), "{status} {body}: {error:?}");
    }
}

#[test]
fn the_provider_says_why_in_any_of_its_dialects() {
    for body in [
        r#"{"error":{"message":"the reason"}}"#,
        r#"{"error":"the reason"}"#,
        r#"{"message":"the reason","error":null}"#,
        r#"{"detail":"the reason"}"#,
        r#"{"detail":[{"msg":"the reason"}]}"#,
        r#"[{"error":{"message":"the reason"}}]"#,
        "  the reason\r\n",
    ] {
        assert_eq!(fail(400, body), ProviderError::Invalid("the reason".into()), "{body}");
    }
    let placed = r#"{"detail":[{"loc":["body","response_format",0],"msg":"the reason"}]}"#;
    assert_eq!(fail(422, placed), ProviderError::Invalid("body.response_format.0: the reason".into()));
    assert_eq!(fail(400, ""), ProviderError::Invalid("HTTP 400 without a reason".into()));
    assert_eq!(
        fail(400, "\n<!DOCTYPE html><p>secret"),
        ProviderError::Invalid("an HTML page instead of an answer".into())
    );
}

#[test]
fn errors_inside_of_streams_are_known_by_their_words() {
    let error = |value| format!("{:?}", in_stream(&value, None));
    assert!(error(json!({"error": {"code": 502, "message": "x"}})).starts_with("Server { status: 502"));
    let overloaded = error(json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}));
    assert_eq!(overloaded, "Failed { message: \"x\", billed: false }");
    assert!(error(json!({"type": "error", "code": "rate_limit_exceeded", "message": "x"})).starts_with("RateLimited"));
    assert!(error(json!({"error": {"code": "insufficient_quota", "message": "x"}})).starts_with("Quota"));
    assert!(error(json!({"error": {"code": "context_length_exceeded", "message": "x"}})).starts_with("TooLong"));
    let failed = error(json!({"error": {"code": "server_error", "message": "x"}}));
    assert_eq!(failed, "Failed { message: \"x\", billed: false }");
    assert_eq!(error(json!({"type": "timeout", "message": "x"})), "Failed { message: \"x\", billed: true }");
    assert!(error(json!("odd")).starts_with("Failed"));
    assert_eq!(error(json!({"code": "invalid_api_key", "message": "x"})), "Key { status: None, message: \"x\" }");
}

#[test]
fn no_status_is_told_that_nobody_has_sent() {
    let told = |value| in_stream(&value, None).to_string();
    assert_eq!(
        told(json!({"error": {"type": "server_error", "message": "oops"}})),
        "the provider failed inside of its answer: oops"
    );
    assert_eq!(told(json!({"type": "authentication_error", "message": "no"})), "the provider refused the key: no");
    assert_eq!(told(json!({"error": {"code": 502, "message": "x"}})), "the provider failed (HTTP 502): x");
}

#[test]
fn what_is_no_provider_is_told_from_a_refusal() {
    let came = |status: u16, body: &str| {
        let to = format!("https://login.example.com/{KEY}/in?token=CANARY#x");
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        foreign(status, &headers, body.as_bytes(), Some(&KEY.into()))
    };
    let page = "\n<!DOCTYPE html><p>secret";
    let redirect = "a redirect to https://login.example.com (HTTP 302), which is not followed";
    assert_eq!(came(302, page).as_deref(), Some(redirect));
    assert_eq!(came(404, page).as_deref(), Some("a web page (HTTP 404)"));
    assert_eq!(came(400, page).as_deref(), Some("a web page (HTTP 400)"));
    assert_eq!(came(404, "404 page not found\n").as_deref(), Some("HTTP 404: 404 page not found"));
    assert_eq!(came(404, "").as_deref(), Some("HTTP 404"));
    assert_eq!(came(405, r#"{"detail":"Method Not Allowed"}"#).as_deref(), Some("HTTP 405: Method Not Allowed"));
    assert_eq!(came(404, r#"{"error":{"message":"Invalid URL"}}"#).as_deref(), Some("HTTP 404: Invalid URL"));
    for (status, body) in [
        (404, r#"{"error":{"message":"no m","code":"model_not_found"}}"#),
        (404, r#"{"error":"Model 'x' not found"}"#),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"x"}}"#),
        (401, page),
        (403, page),
        (429, page),
        (500, page),
        (503, page),
        (400, r#"{"error":{"message":"wrong"}}"#),
        (422, ""),
    ] {
        assert_eq!(came(status, body), None, "{status} {body}");
    }
}

#[test]
fn waits_are_read_in_all_their_forms() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let wait = |name: &'static str, value: &str| {
        retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]), now)
    };
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(wait("retry-after", "7"), seconds(7));
    assert_eq!(wait("retry-after", " 1.5 "), Some(Duration::from_millis(1500)));
    assert_eq!(wait("retry-after", "99999999"), Some(MAX_WAIT));
    assert_eq!(wait("retry-after", "1e300"), Some(MAX_WAIT));
    assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
    assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), seconds(10));
    assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), seconds(0));
    for nonsense in ["-1", "NaN", "soon", ""] {
        assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
    }
}

#[test]
fn texts_are_short_plain_and_without_keys() {
    assert_eq!(scrub(&format!("bad {KEY}\u{1b}[31m\n\u{202e}x"), Some(&KEY.into())), "bad [key][31m x");
    assert_eq!(scrub("Incorrect: sk-abcd****wxyz. See", None), "Incorrect: [key] See");
    assert_eq!(scrub("Bearer \"sk-0123456\"", None), "Bearer [key]");
    // Broken up by characters that are taken out, and at the place where the text is cut.
    assert_eq!(scrub("sk-CANARY-\u{200b}0123456789", Some(&KEY.into())), "[key]");
    let cut = scrub(&format!("{}{KEY}", "é ".repeat(145)), Some(&KEY.into()));
    assert!(!cut.contains("CANARY") && cut.chars().count() <= MAX_TEXT + 1, "{cut}");
    assert_eq!(scrub("my keyboard", Some(&"key".into())), "my keyboard");
}
