//! Signing in to MCP servers over HTTP: to whom a token is given, where it is sent, and what is refused on the way.

use std::collections::HashMap;
use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ringfence_core::server::SignedOut;
use ringfence_core::{Error, Host};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::hosts::{said, stored};
use crate::support::peer::Peer;
use crate::support::{Home, hosts};

const CODE: &str = "code-that-is-secret";
const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// A server of MCP and one that signs people in, on two ports: two origins.
#[derive(Clone)]
struct Far {
    /// Of the server.
    at: String,
    issuer: String,
    play: Arc<Mutex<Play>>,
}

/// What they do otherwise than they should, and what they saw.
#[derive(Default)]
struct Play {
    resource: Option<String>,
    authorization_servers: Option<Value>,
    /// Laid over the issuer's metadata; null takes away.
    metadata: Value,
    expires_in: u64,
    refuses: bool,
    challenge: String,
    given: usize,
    forms: Vec<HashMap<String, String>>,
    /// What was given back, with its `Authorization`, and how that is answered.
    revoked: Vec<(HashMap<String, String>, Option<String>)>,
    revocation: StatusCode,
    registered: Vec<Value>,
    /// What came as `Authorization` at the server.
    authorizations: Vec<Option<String>>,
}

impl Far {
    async fn new() -> Self {
        let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
        let (server, issuer) = (bind().await.unwrap(), bind().await.unwrap());
        let url = |one: &tokio::net::TcpListener| format!("http://{}", one.local_addr().unwrap());
        let play = Play { expires_in: 3600, ..Play::default() };
        let far = Self { at: url(&server), issuer: url(&issuer), play: Arc::new(Mutex::new(play)) };
        for (listener, is_issuer) in [(server, false), (issuer, true)] {
            let far = far.clone();
            let app = axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                std::future::ready(if is_issuer {
                    far.issuer(&uri, &headers, &body)
                } else {
                    far.server(&method, &uri, &headers, &body)
                })
            });
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        far
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.at)
    }

    fn table(&self, more: &str) -> String {
        format!("[mcp-servers.far]\nurl = \"{}\"\nnetworks = [\"127.0.0.1\"]\n{more}", self.url())
    }

    fn play<T>(&self, act: impl FnOnce(&mut Play) -> T) -> T {
        act(&mut self.play.lock().unwrap())
    }

    fn server(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let play = &mut *self.play.lock().unwrap();
        if uri.path() == "/.well-known/oauth-protected-resource/mcp" {
            let resource = play.resource.clone().unwrap_or_else(|| self.at.clone());
            let issuers = play.authorization_servers.clone().unwrap_or_else(|| json!([self.issuer]));
            return Json(json!({ "resource": resource, "authorization_servers": issuers })).into_response();
        }
        let sent = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        play.authorizations.push(sent.clone());
        let is_ours = (1..=play.given).any(|n| sent == Some(format!("Bearer access-secret-{n:04}")));
        if !is_ours {
            let at = format!("{}/.well-known/oauth-protected-resource/mcp", self.at);
            let challenge = format!("Bearer resource_metadata=\"{at}\"");
            return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
        }
        if method != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let tool = json!({ "name": "greet", "description": "Greets.", "inputSchema": { "type": "object" } });
        let result = match body["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                "serverInfo": { "name": "far", "version": "1" },
            }),
            "tools/list" => json!({ "tools": [tool] }),
            "tools/call" => json!({ "content": [{ "type": "text", "text": format!("you sent {}", sent.unwrap()) }] }),
            _ if body.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
            _ => {
                let error = json!({ "code": -32601, "message": "there is no such method" });
                return Json(json!({ "jsonrpc": "2.0", "id": body["id"], "error": error })).into_response();
            }
        };
        Json(json!({ "jsonrpc": "2.0", "id": body["id"], "result": result })).into_response()
    }

    fn issuer(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let play = &mut *self.play.lock().unwrap();
        match uri.path() {
            "/.well-known/oauth-authorization-server" => {
                let at = &self.issuer;
                let mut metadata = json!({
                    "issuer": at, "authorization_endpoint": format!("{at}/authorize"),
                    "token_endpoint": format!("{at}/token"), "registration_endpoint": format!("{at}/register"),
                    "code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"],
                    "authorization_response_iss_parameter_supported": true,
                });
                for (name, value) in play.metadata.as_object().into_iter().flatten() {
                    metadata[name] = value.clone();
                }
                Json(metadata).into_response()
            }
            "/register" => {
                play.registered.push(serde_json::from_slice(body).unwrap());
                let client = json!({ "client_id": "client-1", "redirect_uris": [REDIRECT] });
                (StatusCode::CREATED, Json(client)).into_response()
            }
            "/token" => {
                let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
                let known = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
                let proof =
                    form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier)));
                let right = match form["grant_type"].as_str() {
                    "authorization_code" => known("code", CODE) && proof.as_ref() == Some(&play.challenge),
                    _ => known("refresh_token", &format!("refresh-secret-{:04}", play.given)),
                };
                let refuses = play.refuses || !right;
                // It is as careless as it can be.
                let echo = format!("no: {}", String::from_utf8_lossy(body));
                play.forms.push(form);
                if refuses {
                    let error = json!({ "error": "invalid_grant", "error_description": echo });
                    return (StatusCode::BAD_REQUEST, Json(error)).into_response();
                }
                play.given += 1;
                let n = play.given;
                Json(json!({
                    "access_token": format!("access-secret-{n:04}"), "refresh_token": format!("refresh-secret-{n:04}"),
                    "token_type": "Bearer", "expires_in": play.expires_in, "id_token": "who-the-person-is",
                }))
                .into_response()
            }
            "/revoke" => {
                let sent = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
                play.revoked.push((url::form_urlencoded::parse(body).into_owned().collect(), sent));
                play.revocation.into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// What a person's browser does with the address: gives the query of where it comes back to.
    fn browser(&self, address: &str) -> String {
        let address = url::Url::parse(address).unwrap();
        let query: HashMap<String, String> = address.query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["resource"], self.at, "as the server names itself");
        self.play(|play| play.challenge.clone_from(&query["code_challenge"]));
        let pairs = [("code", CODE), ("state", &query["state"]), ("iss", &self.issuer)];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    async fn sign_in(&self, host: &Host) -> Result<(), Error> {
        let login = host.begin_login("far", REDIRECT).await?;
        let query = self.browser(login.address());
        host.finish_login(&login, &query).await
    }
}

async fn look(host: &Host) -> Result<(), Error> {
    host.consider_server("far").await.map(|_| ())
}

#[tokio::test]
async fn a_person_signs_in_and_the_token_goes_to_that_server_alone() {
    let (far, other) = (Far::new().await, Far::new().await);
    let home = Home::new();
    let host = hosts::open(&home, &far.table("")).await.unwrap();
    let error = look(&host).await.unwrap_err();
    assert_eq!(error.kind(), "unauthorized", "{error}");
    assert!(error.hint().contains("`ringfence server login far`"), "{}", error.hint());

    far.sign_in(&host).await.unwrap();
    assert!(host.server("far").unwrap().signed_in);
    assert_eq!(far.play(|play| play.registered[0]["redirect_uris"].clone()), json!([REDIRECT]));
    let form = far.play(|play| play.forms[0].clone());
    assert_eq!((form["resource"].as_str(), form["redirect_uri"].as_str()), (far.at.as_str(), REDIRECT));
    assert_eq!(form["client_id"], "client-1");
    let candidate = host.consider_server("far").await.unwrap();
    host.approve_server(candidate, None).await.unwrap();
    let call = async |host: &Host| {
        let skill = host.load_installed("far", None).await.unwrap();
        host.invoke(stored(&skill, "greet", json!({}))).await
    };
    assert_eq!(said(&call(&host).await.unwrap()), "you sent Bearer [redacted]");
    assert!(host.secrets().is_empty(), "no skill can ask for it");
    host.close().await.unwrap();
    for file in home.files("state") {
        let bytes = std::fs::read(&file).unwrap();
        for secret in ["access-secret", "refresh-secret", "YWNjZXNzLXNlY3JldC", CODE, "who-the-person-is"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in {file}");
        }
    }

    // It is kept for the next host, and for no other place under this name: another port, another path.
    let host = hosts::open(&home, &far.table("")).await.unwrap();
    assert_eq!(said(&call(&host).await.unwrap()), "you sent Bearer [redacted]");
    host.close().await.unwrap();
    let elsewhere = far.table("").replace("/mcp\"", "/mcp/more\"");
    for (settings, asked) in [(other.table(""), &other), (elsewhere, &far)] {
        asked.play(|play| play.authorizations.clear());
        let host = hosts::open(&home, &settings).await.unwrap();
        assert_eq!(look(&host).await.unwrap_err().kind(), "unauthorized");
        let sent = asked.play(|play| play.authorizations.clone());
        assert!(!sent.is_empty() && sent.iter().all(Option::is_none), "{sent:?}");
        host.close().await.unwrap();
    }

    let host = hosts::open(&home, &far.table("")).await.unwrap();
    assert_eq!(host.logout("far").await.unwrap(), SignedOut::Forgotten, "its issuer takes nothing back");
    assert_eq!(host.logout("far").await.unwrap(), SignedOut::NobodyWas);
    far.play(|play| play.authorizations.clear());
    assert_eq!(look(&host).await.unwrap_err().kind(), "unauthorized");
    assert!(far.play(|play| play.authorizations.iter().all(Option::is_none)));
    host.close().await.unwrap();
}

#[tokio::test]
async fn tokens_are_refreshed_where_the_person_signed_in_and_a_refusal_is_a_sign_in_again() {
    let far = Far::new().await;
    far.play(|play| play.expires_in = 0);
    let home = Home::new();
    let host = hosts::open(&home, &far.table("client-id = \"of-mine\"\n")).await.unwrap();
    far.sign_in(&host).await.unwrap();
    assert!(far.play(|play| play.registered.is_empty()), "it has a client");
    let candidate = host.consider_server("far").await.unwrap();
    host.approve_server(candidate, None).await.unwrap();
    let skill = host.load_installed("far", None).await.unwrap();
    // Where it would be refreshed by now is of no interest.
    let thief = Peer::polite();
    far.play(|play| {
        play.metadata = json!({ "token_endpoint": thief.url("/token") });
        play.authorization_servers = Some(json!([thief.url("")]));
    });
    let before = far.play(|play| play.given);
    let call = || host.invoke(stored(&skill, "greet", json!({})));
    assert_eq!(said(&call().await.unwrap()), "you sent Bearer [redacted]", "a new token is a secret as well");
    assert!(far.play(|play| play.given) > before);
    far.play(|play| {
        let last = play.forms.last().unwrap();
        assert_eq!((last["grant_type"].as_str(), last["client_id"].as_str()), ("refresh_token", "of-mine"));
        assert_eq!(last["resource"], far.at, "letter by letter");
        play.refuses = true;
    });
    let error = call().await.unwrap_err();
    let text = format!("{error} {}", error.hint());
    assert!(text.contains("wants a sign-in") && text.contains("ringfence server login far"), "{text}");
    assert!(!text.contains("secret-"), "{text}");
    assert_eq!(look(&host).await.unwrap_err().kind(), "unauthorized");
    far.play(|play| {
        play.refuses = false;
        (play.metadata, play.authorization_servers) = (Value::Null, None);
    });
    far.sign_in(&host).await.unwrap();
    assert_eq!(said(&call().await.unwrap()), "you sent Bearer [redacted]", "at once");
    assert_eq!(thief.connections(), 0);
    host.close().await.unwrap();
}

#[tokio::test]
async fn a_clients_secret_goes_to_where_tokens_are_given_and_nowhere_else() {
    const SECRET: &str = "of-the-client-0001";
    let far = Far::new().await;
    far.play(|play| {
        play.expires_in = 0;
        play.metadata = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    });
    let home = Home::new();
    let table = far.table("client-id = \"of-mine\"\nclient-secret = \"mine\"\n");
    let host = hosts::open(&home, &table).await.unwrap();
    let keep = async |to: &str| drop(host.set_secret("mine", &SECRET.into(), &[to.to_owned()]).await.unwrap());
    let refused = async || {
        let error = host.begin_login("far", REDIRECT).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), "config-invalid", "{error}");
        assert!(error.to_string().contains("the secret `mine`") && error.to_string().contains(&far.issuer), "{error}");
        assert!(far.play(|play| play.forms.is_empty()));
    };
    refused().await;
    // The server's own address is not that of its issuer.
    keep(&far.at).await;
    refused().await;

    keep(&far.issuer).await;
    far.sign_in(&host).await.unwrap();
    let candidate = host.consider_server("far").await.unwrap();
    host.approve_server(candidate, None).await.unwrap();
    let skill = host.load_installed("far", None).await.unwrap();
    assert_eq!(said(&host.invoke(stored(&skill, "greet", json!({}))).await.unwrap()), "you sent Bearer [redacted]");
    let forms = far.play(|play| play.forms.clone());
    let kinds: Vec<&str> = forms.iter().map(|form| form["grant_type"].as_str()).collect();
    assert_eq!((kinds[0], kinds.last()), ("authorization_code", Some(&"refresh_token")));
    for form in forms {
        assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("of-mine", SECRET), "{form:?}");
    }
    host.close().await.unwrap();
    for file in home.files("state") {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{file}");
    }
    let nobodys = far.table("client-secret = \"mine\"\n");
    let host = hosts::open(&home, &nobodys).await.unwrap();
    let error = host.begin_login("far", REDIRECT).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("of no client"), "{error}");
    host.close().await.unwrap();
}

#[tokio::test]
async fn who_signs_out_gives_the_tokens_back_where_they_are_taken_back() {
    let far = Far::new().await;
    let at = |path: &str| format!("{}{path}", far.issuer);
    let home = Home::new();
    let plain = far.table("");
    let secret = far.table("client-id = \"of mine\"\nclient-secret = \"mine\"\n");
    let basic = json!(["client_secret_basic"]);
    let thief = Peer::polite();
    for (settings, metadata, status, came) in [
        (&plain, json!({ "revocation_endpoint": at("/revoke") }), 200, SignedOut::Revoked),
        (&secret, json!({ "revocation_endpoint": at("/revoke") }), 200, SignedOut::Revoked),
        (
            &secret,
            json!({ "revocation_endpoint": at("/revoke"), "revocation_endpoint_auth_methods_supported": basic }),
            200,
            SignedOut::Revoked,
        ),
        (&plain, json!({ "revocation_endpoint": at("/revoke") }), 503, SignedOut::Forgotten),
        (&plain, json!({ "revocation_endpoint": "http://far.test/revoke" }), 200, SignedOut::Forgotten),
        (&plain, json!({ "revocation_endpoint": 1 }), 200, SignedOut::Forgotten),
    ] {
        far.play(|play| {
            (play.metadata, play.revocation) = (metadata.clone(), StatusCode::from_u16(status).unwrap());
            play.revoked.clear();
        });
        let host = hosts::open(&home, settings).await.unwrap();
        host.set_secret("mine", &"of-the-client-0001".into(), std::slice::from_ref(&far.issuer)).await.unwrap();
        far.sign_in(&host).await.unwrap();
        // Only the place that was there at the sign-in is told.
        far.play(|play| play.metadata = json!({ "revocation_endpoint": thief.url("/revoke") }));
        assert_eq!(host.logout("far").await.unwrap(), came, "{metadata}");
        assert!(!host.server("far").unwrap().signed_in, "here they are gone in any case");
        host.close().await.unwrap();
        let sent = far.play(|play| play.revoked.clone());
        let goes_there = metadata["revocation_endpoint"] == at("/revoke");
        assert_eq!(sent.len(), usize::from(goes_there), "{metadata}");
        let Some((form, authorization)) = sent.first() else { continue };
        let given = far.play(|play| play.given);
        assert_eq!(
            (form["token"].as_str(), form["token_type_hint"].as_str()),
            (&*format!("refresh-secret-{given:04}"), "refresh_token")
        );
        if settings == &plain {
            assert_eq!(
                (form["client_id"].as_str(), form.get("client_secret"), authorization),
                ("client-1", None, &None)
            );
        } else if metadata.get("revocation_endpoint_auth_methods_supported").is_none() {
            assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("of mine", "of-the-client-0001"));
        } else {
            let pair = base64::engine::general_purpose::STANDARD.encode("of+mine:of-the-client-0001");
            assert_eq!((form.get("client_secret"), authorization), (None, &Some(format!("Basic {pair}"))));
        }
    }
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn t91_what_comes_back_from_somebody_else_signs_nobody_in() {
    let far = Far::new().await;
    let home = Home::new();
    let host = hosts::open(&home, &far.table("")).await.unwrap();
    let login = host.begin_login("far", REDIRECT).await.unwrap();
    let right = far.browser(login.address());
    let state = right.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
    let other = host.begin_login("far", REDIRECT).await.unwrap();
    for (query, word) in [
        (right.replace(&state, "guessed"), "another attempt"),
        (format!("{right}&state={state}"), "another attempt"),
        (format!("code={CODE}"), "another attempt"),
        (format!("state={state}&error=access_denied&error_description=No%1b[2J"), "access_denied"),
        (format!("state={state}"), "no code"),
        (format!("{right}&code=another"), "no code"),
        (format!("{right}&iss=http%3A%2F%2Fevil.test"), "two issuers"),
        (format!("state={state}&code={CODE}&iss=http%3A%2F%2Fevil.test"), "calls itself `http://evil.test`"),
        // It says that it always names itself.
        (format!("state={state}&code={CODE}"), "does not name the issuer"),
    ] {
        let error = host.finish_login(&login, &query).await.unwrap_err();
        assert!(error.kind() == "unauthorized" && error.to_string().contains(word), "{query}: {error}");
        assert!(!error.to_string().contains(CODE) && !error.to_string().contains('\u{1b}'), "{error}");
        assert!(!error.to_string().contains("No"), "their own words: {error}");
    }
    assert_eq!(host.finish_login(&other, &right).await.unwrap_err().kind(), "unauthorized", "of another attempt");
    assert!(far.play(|play| play.forms.is_empty()), "no code was sent anywhere");
    assert!(!host.server("far").unwrap().signed_in);
    host.finish_login(&login, &right).await.unwrap();
    assert_eq!(host.finish_login(&login, &right).await.unwrap_err().kind(), "unauthorized", "once");
    host.close().await.unwrap();
}

#[tokio::test]
async fn t91_metadata_that_lies_leads_nobody_astray() {
    type Lie = Box<dyn Fn(&mut Play)>;
    let inner = Peer::polite();
    let url = inner.url("");
    let over = |value: Value| -> Lie { Box::new(move |play| play.metadata = value.clone()) };
    let resource = |text: String| -> Lie { Box::new(move |play| play.resource = Some(text.clone())) };
    let lies: [(&str, Lie, &str, &str); 9] = [
        ("another resource", resource("https://other.test/mcp".into()), "unauthorized", "other.test"),
        ("another port", resource("http://127.0.0.1:1/mcp".into()), "unauthorized", "127.0.0.1:1"),
        ("another issuer", over(json!({ "issuer": "https://other.test" })), "unauthorized", "calls itself"),
        ("no issuer", over(json!({ "issuer": null })), "unauthorized", "issuer"),
        ("no PKCE", over(json!({ "code_challenge_methods_supported": null })), "unauthorized", "PKCE"),
        ("weak PKCE", over(json!({ "code_challenge_methods_supported": ["plain"] })), "unauthorized", "S256"),
        ("a page in the clear", over(json!({ "authorization_endpoint": "http://a.test/" })), "unauthorized", "https"),
        (
            "a page that is none",
            over(json!({ "authorization_endpoint": "file:///etc/passwd" })),
            "unauthorized",
            "https",
        ),
        ("a refusal to register", over(json!({ "registration_endpoint": null })), "unauthorized", "registration"),
    ];
    for (what, lie, kind, word) in lies {
        let far = Far::new().await;
        far.play(|play| lie(play));
        let home = Home::new();
        let host = hosts::open(&home, &far.table("")).await.unwrap();
        let error = host.begin_login("far", REDIRECT).await.map(|_| ()).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(word), "{what}: {error}");
        assert!(far.play(|play| play.forms.is_empty()) && !host.server("far").unwrap().signed_in, "{what}");
        host.close().await.unwrap();
    }

    // What a server names is not reached in the network, be it ever so near, unless a person named that.
    let far = Far::new().await;
    far.play(|play| play.authorization_servers = Some(json!([url])));
    let home = Home::new();
    let closed = far.table("").replace("networks = [\"127.0.0.1\"]", "");
    let host = hosts::open(&home, &closed).await.unwrap();
    let error = host.begin_login("far", REDIRECT).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), "address-denied", "{error}");
    assert_eq!(inner.connections(), 0);
    far.play(|play| play.authorization_servers = None);
    let error = host.begin_login("far", REDIRECT).await.map(|_| ()).unwrap_err();
    assert!(error.kind() == "address-denied" && error.hint().contains("networks"), "{error}");
    host.close().await.unwrap();
    let host = hosts::open(&home, &far.table("")).await.unwrap();
    // A code is sent where the metadata says, and no further.
    let login = host.begin_login("far", REDIRECT).await.unwrap();
    far.play(|play| play.refuses = true);
    let error = host.finish_login(&login, &far.browser(login.address())).await.unwrap_err();
    assert!(error.kind() == "unauthorized" && !error.to_string().contains(CODE), "an echo: {error}");
    host.close().await.unwrap();
}

#[tokio::test]
async fn a_person_signs_in_at_the_command_line_with_their_browser() {
    let far = Far::new().await;
    let home = Home::new();
    let url = far.url();
    home.run(&["server", "add", "far", "--url", &url, "--network", "127.0.0.1"]).worked();
    tokio::task::spawn_blocking(move || {
        home.run(&["server", "approve", "far", "--yes"]).fails("unauthorized", 3, "`far`", "server login far");
        let mut command = home.command(&["server", "login", "far"]);
        command.env("RUST_LOG", "trace").stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = String::new();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "{log}");
            if line.starts_with("http://") {
                break line.trim().to_owned();
            }
            log += &line;
        };
        let query = far.browser(&address);
        let address = url::Url::parse(&address).unwrap();
        let back = address.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        let back = url::Url::parse(&back).unwrap();
        let get = |query: &str| {
            let mut stream = std::net::TcpStream::connect((back.host_str().unwrap(), back.port().unwrap())).unwrap();
            write!(stream, "GET {}?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", back.path()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert!(get("code=x&state=guessed").starts_with("HTTP/1.1 400"), "it goes on waiting");
        assert!(get(&query).starts_with("HTTP/1.1 200"));
        lines.read_to_string(&mut log).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{log}");
        assert_eq!(String::from_utf8(done.stdout).unwrap(), "signed in to far\n");
        for secret in [CODE, "access-secret", "refresh-secret"] {
            assert!(!log.contains(secret), "{secret} in the log");
        }
        home.run(&["server", "approve", "far", "--yes"]).worked();
        assert!(home.run(&["server", "show", "far"]).worked().out.contains("; signed in"));
        assert_eq!(home.run(&["run", "far", "--tool", "greet"]).worked().out, "you sent Bearer [redacted]\n");
        home.run(&["server", "logout", "far"]).gives("signed out of far\n");
        home.run(&["run", "far", "--tool", "greet"]).fails("unavailable", 4, "wants a sign-in", "");
        home.run(&["server", "logout", "none"]).fails("not-found", 2, "`none`", "");
    })
    .await
    .unwrap();
}
