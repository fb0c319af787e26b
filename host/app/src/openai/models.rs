//! `GET /v1/models`: skills and agents.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::App;
use super::error::Wrong;
use super::target::Target;

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
