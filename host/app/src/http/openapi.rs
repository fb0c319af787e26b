//! What there is, for programs that want to know: an OpenAPI document, made of the handlers and their types.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{health, invocations, permissions, runs, skills, tools};
use crate::{mcp, openai};

#[derive(OpenApi)]
#[openapi(
    info(title = "Ringfence", description = "Skills that strangers wrote, run in a sandbox, for programs."),
    paths(
        skills::list, skills::show, skills::tools, permissions::show, permissions::grant, permissions::revoke,
        permissions::deny, tools::list, tools::call, invocations::start, invocations::show,
        invocations::events, invocations::cancel, runs::list, runs::show, runs::audit, health::lives, health::is_ready,
        health::metrics, document
    ),
    security(("token" = [])),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "The token of clients or of admins: `ringfence serve` says at its start in which files they are.",
        ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// The document as it is served, and checked in beside this file.
fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut whole = Document::openapi();
        whole.merge(openai::document());
        whole.merge(mcp::document());
        // Serialising a document of our own cannot fail.
        let text = whole.to_pretty_json().unwrap_or_default();
        format!("{text}\n")
    });
    &TEXT
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "server", operation_id = "openapi", security(()),
    responses((status = 200, body = Object)))]
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Method, Request, StatusCode};
    use ringfence_core::engine::WorkerCommand;
    use ringfence_core::{Host, HostConfig};
    use tower::ServiceExt as _;

    use super::super::{App, Names, Setup, Tokens, routes};
    use super::text;

    #[test]
    fn the_document_that_is_checked_in_is_that_of_the_handlers() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/openapi.json");
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        if kept != text() {
            let made = std::env::temp_dir().join("ringfence-openapi.json");
            std::fs::write(&made, text()).unwrap();
            panic!("{file} is out of date: copy {} there and look at the difference", made.display());
        }
    }

    /// What a document says, and what is served: each path with its methods.
    type Routes = BTreeMap<String, BTreeSet<Method>>;

    const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

    fn documented() -> Routes {
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        let methods = |item: &serde_json::Value| {
            let words = item.as_object().unwrap().keys().map(|word| word.to_uppercase());
            words.map(|word| word.parse().unwrap()).filter(|method| METHODS.contains(method)).collect()
        };
        document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect()
    }

    /// A router tells its paths only to who debugs it, and which methods each has to who tries.
    async fn served(router: Router) -> Routes {
        let shown = format!("{router:?}");
        let own = shown.split("fallback_router").next().unwrap();
        let mut routes = Routes::new();
        for path in own.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')) {
            let mut methods = BTreeSet::new();
            for method in METHODS {
                let uri = path.replace(['{', '}', '*'], "");
                let request = Request::builder().method(method.clone()).uri(uri).header("host", "localhost");
                // What answers for the library looks at these first.
                let request = request.header("accept", "application/json, text/event-stream").body(Body::empty());
                if router.clone().oneshot(request.unwrap()).await.unwrap().status() != StatusCode::METHOD_NOT_ALLOWED {
                    methods.insert(method);
                }
            }
            routes.insert(path.replace("{*", "{"), methods);
        }
        routes
    }

    #[tokio::test]
    async fn what_is_served_is_documented_and_the_other_way_round() {
        let dir = tempfile::tempdir().unwrap();
        let worker = WorkerCommand { program: "/no/worker/is/needed".into(), args: Vec::new() };
        let host = Host::open(HostConfig::in_folder(dir.path(), worker));
        let host = host.await.unwrap();
        let app = App::new(Setup {
            host: host.clone(),
            tokens: Tokens::open(&dir.path().join("state")).unwrap(),
            names: Names::new("127.0.0.1:0".parse().unwrap(), &[]).unwrap(),
            connections: 1,
            invocations: 1,
            open_metrics: false,
            meta_tools: false,
            hidden: Vec::new(),
        });
        let (served, documented) = (served(routes(&app)).await, documented());
        assert!(served.len() > 20 && served["/mcp"].len() == 3, "{served:?}");
        assert_eq!(served, documented);
        app.ending.cancel();
        host.close().await.unwrap();
    }

    #[test]
    fn the_document_is_of_openapi_3_1_and_names_every_schema_that_it_refers_to() {
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let wanted: Vec<_> = text().split("\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(wanted.len() > 10, "{wanted:?}");
        for reference in wanted {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
