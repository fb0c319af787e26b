//! `GET /v1/models`: skills and agents.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::App;
use super::error::{Written, Wrong};
use super::target::Target;

/// One name.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the schema of what `model` makes")]
#[schema(as = OpenAiModel)]
struct Model {
    id: String,
    /// `model`.
    object: String,
    created: i64,
    owned_by: String,
}

/// All names.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the schema of what `list` gives")]
#[schema(as = OpenAiModels)]
struct List {
    /// `list`.
    object: String,
    data: Vec<Model>,
}

/// What can be named as a `model`
///
/// `skill:NAME` or `skill:NAME/TOOL` for tools of skills, `agent:NAME` for agents.
#[utoipa::path(get, path = "/v1/models", tag = "openai", operation_id = "openai_models",
    responses((status = 200, body = List), (status = "default", body = Written)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Wrong> {
    let toolbox = app.host.toolbox().await?;
    let mut names = BTreeSet::new();
    for offer in toolbox.iter() {
        let tools = toolbox.iter().filter(|other| other.skill == offer.skill).count();
        names.insert(match tools {
            1 => format!("skill:{}", offer.skill),
            _ => format!("skill:{}/{}", offer.skill, offer.tool.name),
        });
    }
    names.extend(app.host.agents().into_iter().map(|(name, _)| format!("agent:{name}")));
    let data: Vec<Value> = names.iter().map(|name| model(name)).collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

/// Whether there is this model
#[utoipa::path(get, path = "/v1/models/{id}", tag = "openai", operation_id = "openai_model",
    params(("id" = String, Path, description = "as the list has it; it may have `/` in it")),
    responses((status = 200, body = Model), (status = 404, body = Written)))]
pub(super) async fn one(State(app): State<App>, id: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Wrong> {
    let Path(id) =
        id.map_err(|_| Wrong::no_model("the name of the model is no text", "GET /v1/models lists what there is"))?;
    Target::find(&app.host, &id).await?;
    Ok(Json(model(&id)))
}

fn model(id: &str) -> Value {
    // Nobody knows when a skill was made.
    json!({ "id": id, "object": "model", "created": 0, "owned_by": "ringfence" })
}
