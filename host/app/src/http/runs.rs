//! `/v1/runs`, `/v1/audit`: what happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use ringfence_core::journal::Record;
use ringfence_core::journal::audit::{self, Event, Filter};
use serde::Deserialize;

use super::problem::of_query;
use super::{Access, Admin, App, Problem, Rights, Segment};

/// Most runs and records of one answer.
const MOST: u32 = 1_000;
/// Where nothing is said.
const USUAL: u32 = 50;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HowMany {
    /// How many, at most 1,000; 50 where nothing is said.
    limit: Option<u32>,
}

/// The newest runs, the newest first
///
/// A client sees what clients and models called; an admin sees all.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", operation_id = "run_list", params(HowMany),
    responses((status = 200, body = Vec<Object>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    access: Access,
    asked: Result<Query<HowMany>, QueryRejection>,
) -> Result<Json<Vec<Record>>, Problem> {
    let limit = asked.map_err(wrong)?.limit.unwrap_or(USUAL).min(MOST);
    // Of others' runs a client must not even learn how many there were.
    let look = if access.rights == Rights::Admin { limit } else { MOST };
    let runs = app.host.runs(look).await?.into_iter().filter(|run| is_for(run, access));
    Ok(Json(runs.take(limit as usize).map(|run| cleaned(run, access, &app)).collect()))
}

/// One run
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", operation_id = "run_show", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = super::problem::Written)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    access: Access,
    Segment(id): Segment,
) -> Result<Json<Record>, Problem> {
    let run = app.host.run(&id).await?.filter(|run| is_for(run, access));
    run.map(|run| Json(cleaned(run, access, &app))).ok_or_else(|| {
        Problem::new("not-found", "no run of this identifier is on record", "`GET /v1/runs` lists the newest")
    })
}

fn is_for(run: &Record, access: Access) -> bool {
    access.rights == Rights::Admin || matches!(run.caller.as_str(), "client" | "model")
}

/// Without the words that a problem would not have.
fn cleaned(run: Record, access: Access, app: &App) -> Record {
    if access.rights == Rights::Admin {
        return run;
    }
    let problem = Problem::new(run.kind.clone(), run.message.clone(), "").outside(&app.hidden);
    let message = if run.message.is_empty() { String::new() } else { problem.detail().to_owned() };
    // What is not installed is known by its path.
    let skill = if run.skill.starts_with('/') { "...".to_owned() } else { run.skill };
    Record { message, skill, ..run }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only records of this invocation.
    invocation: Option<String>,
    /// Only records of this skill.
    skill: Option<String>,
    /// Only records of this capability.
    capability: Option<String>,
    /// Only records of this kind: `intent`, `outcome`, `denied`, `run` or `admin`.
    event: Option<String>,
    /// Only records with a greater number.
    after: Option<u64>,
    /// How many, at most 1,000; 50 where nothing is said.
    limit: Option<u32>,
}

/// The newest records of the audit, for admins
#[utoipa::path(get, path = "/v1/audit", tag = "runs", operation_id = "audit_list", params(Which),
    responses((status = 200, body = Vec<Object>), (status = 403, body = super::problem::Written)))]
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    _: Admin,
    asked: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Vec<audit::Record>>, Problem> {
    let Query(asked) = asked.map_err(wrong)?;
    let event = asked.event.map(|name| {
        let known = Event::ALL.into_iter().find(|event| event.as_str() == name);
        known.ok_or_else(|| {
            let name = ringfence_core::plain::line(&name, 60).0;
            Problem::new(
                "usage",
                format!("there is no `event` `{name}`"),
                "it is intent, outcome, denied, run or admin",
            )
        })
    });
    let filter = Filter {
        invocation: asked.invocation,
        skill: asked.skill,
        capability: asked.capability,
        event: event.transpose()?,
        after: asked.after,
        since: None,
    };
    let limit = asked.limit.unwrap_or(USUAL).min(MOST);
    Ok(Json(app.host.audit().list(filter, limit).await.map_err(ringfence_core::Error::from)?))
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed over")]
fn wrong(error: QueryRejection) -> Problem {
    of_query(&error, "/openapi.json says what it takes")
}
