//! `/v1/skills/NAME/permissions`, `/v1/skills/NAME/grants`, `/v1/skills/NAME/denials`: what a skill may do, for admins.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State, rejection::QueryRejection};
use ringfence_core::policy::Grants;
use ringfence_core::{Permissions, SkillRef};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::problem::{Written, of_query};
use super::{Admin, App, Problem, Segment, skills};
use crate::grants;

/// What a skill is to be allowed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Grant)]
pub(super) struct Wanted {
    /// As `ringfence grant` takes them: `model=default`, `kv`, `files=docs:/home/ann/notes`. Folders are named by their whole path.
    grants: Vec<String>,
    /// Most tokens of one answer of a model.
    max_tokens: Option<u32>,
    /// The file that was looked at, as `GET /v1/skills/NAME` says. Where another one is installed by now, nothing is granted.
    digest: Option<String>,
    /// Only until the server ends.
    #[serde(default)]
    session: bool,
}

/// What a skill is not to be asked about again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Denial)]
pub(super) struct Refused {
    /// What is missing, in the words in which `missing` of its permissions has it under `grant`.
    grants: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfWhat {
    /// Only this one, for example `model`; everything where it is left out.
    capability: Option<String>,
}

/// What a skill asks for, was granted and refused, used and never used, for admins
#[utoipa::path(get, path = "/v1/skills/{name}/permissions", tag = "permissions", operation_id = "permission_show",
    params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 403, body = Written), (status = 404, body = Written)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(name): Segment,
) -> Result<Json<Permissions>, Problem> {
    let skill = installed(&app, &name).await?;
    Ok(Json(app.host.permissions(&skill).await?))
}

/// Let a skill do something, for admins
///
/// What it was granted before stays. What it was refused and is granted now is forgotten.
#[utoipa::path(post, path = "/v1/skills/{name}/grants", tag = "permissions", operation_id = "grant_add",
    params(("name" = String, Path)), request_body = Wanted,
    responses((status = 200, body = Object), (status = 403, body = Written), (status = 404, body = Written),
        (status = "default", body = Written)))]
pub(super) async fn grant(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(name): Segment,
    body: Bytes,
) -> Result<Json<Permissions>, Problem> {
    let asked: Wanted = read(&body, "send {\"grants\": [\"model=default\"]}")?;
    let wanted = whole(&asked)?;
    let skill = installed(&app, &name).await?;
    grants::check_models(&wanted, &app.host.aliases(), &app.host.providers())?;
    app.host.grant_installed(&name, asked.digest.as_deref(), asked.session, wanted).await?;
    Ok(Json(app.host.permissions(&skill).await?))
}

/// Take grants back, and forget what was refused, for admins
#[utoipa::path(delete, path = "/v1/skills/{name}/grants", tag = "permissions", operation_id = "grant_revoke",
    params(("name" = String, Path), OfWhat),
    responses((status = 200, body = Object), (status = 403, body = Written), (status = 404, body = Written),
        (status = "default", body = Written)))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(name): Segment,
    asked: Result<Query<OfWhat>, QueryRejection>,
) -> Result<Json<Permissions>, Problem> {
    let Query(OfWhat { capability }) =
        asked.map_err(|error| of_query(&error, "`capability` is one, for example `model`"))?;
    if let Some(capability) = &capability {
        grants::known(capability)?;
    }
    let skill = installed(&app, &name).await?;
    app.host.revoke(&name, capability.as_deref()).await?;
    Ok(Json(app.host.permissions(&skill).await?))
}

/// Refuse what a skill asks for, so that nobody is asked about it again, for admins
#[utoipa::path(post, path = "/v1/skills/{name}/denials", tag = "permissions", operation_id = "denial_add",
    params(("name" = String, Path)), request_body = Refused,
    responses((status = 200, body = Object), (status = 403, body = Written), (status = 404, body = Written),
        (status = "default", body = Written)))]
pub(super) async fn deny(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(name): Segment,
    body: Bytes,
) -> Result<Json<Permissions>, Problem> {
    let asked: Refused = read(&body, "send {\"grants\": [\"model=default\"]}")?;
    let skill = installed(&app, &name).await?;
    let mut missing = app.host.missing(&skill, &Grants::default()).await;
    for word in &asked.grants {
        if !missing.iter().any(|one| one.grant == *word) {
            let word: String = word.chars().take(64).collect();
            return Err(Problem::new(
                "grant-invalid",
                format!("`{word}` is nothing that {name} asks for and has not been granted"),
                format!("`missing` of `GET /v1/skills/{name}/permissions` has the words"),
            ));
        }
    }
    missing.retain(|one| asked.grants.contains(&one.grant));
    app.host.deny(&name, &missing).await?;
    Ok(Json(app.host.permissions(&skill).await?))
}

async fn installed(app: &App, name: &str) -> Result<SkillRef, Problem> {
    if !app.host.list().await?.iter().any(|skill| skill.name == name) {
        return Err(skills::none(name));
    }
    Ok(app.host.load_installed(name, None).await?)
}

fn read<T: DeserializeOwned>(body: &[u8], hint: &str) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::new("invalid-input", format!("the body is not what is needed: {error}"), hint))
}

/// The grants of a request. A folder below the directory in which somebody started the server is not what its client means.
fn whole(asked: &Wanted) -> Result<Grants, Problem> {
    if asked.grants.is_empty() {
        return Err(Problem::new("grant-invalid", "`grants` is empty", "send {\"grants\": [\"model=default\"]}"));
    }
    let read = Grants::parse(asked.grants.iter().map(String::as_str)).map_err(ringfence_core::Error::from);
    // What cannot be read at all, the words of a person's mistakes say better, below.
    for folder in read.iter().flat_map(|grants| &grants.files).flat_map(|files| files.folders.values()) {
        if !Path::new(&folder.path).is_absolute() {
            let path: String = folder.path.chars().take(256).collect();
            return Err(Problem::new(
                "grant-invalid",
                format!("the folder `{path}` is not named by its whole path"),
                "write for example `files=docs:/home/ann/notes`",
            ));
        }
    }
    Ok(grants::parse(&asked.grants, asked.max_tokens)?)
}
