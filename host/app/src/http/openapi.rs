//! What there is, for programs that want to know: an OpenAPI document, made of the handlers and their types.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{health, invocations, permissions, runs, skills, tools};

#[derive(OpenApi)]
#[openapi(
    info(title = "Ringfence", description = "Skills that strangers wrote, run in a sandbox, for programs."),
    paths(
        skills::list, skills::show, skills::tools, permissions::show, permissions::grant, permissions::revoke,
        permissions::deny, tools::list, tools::call, invocations::start, invocations::show,
        invocations::events, invocations::cancel, runs::list, runs::show, runs::audit, health::lives, health::is_ready,
        health::metrics
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
        // Serialising a document of our own cannot fail.
        let text = Document::openapi().to_pretty_json().unwrap_or_default();
        format!("{text}\n")
    });
    &TEXT
}

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}

#[cfg(test)]
mod tests {
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
