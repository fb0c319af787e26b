//! `/v1/skills`: what is installed, and its tools in the forms in which models' interfaces take them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use ringfence_core::catalog::Installed;
use ringfence_core::{Offer, Toolbox};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::problem::of_query;
use super::tools::ToolView;
use super::{App, Problem, Segment};

/// An installed skill.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Skill)]
pub(crate) struct SkillView {
    name: String,
    version: String,
    description: String,
    /// SHA-256 of its file.
    digest: String,
    /// When it was installed, as RFC 3339.
    added_at: String,
    /// The names by which its tools are called.
    tools: Vec<String>,
}

/// A skill with all that it says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = SkillDetail)]
pub(crate) struct SkillDetail {
    #[serde(flatten)]
    skill: SkillView,
    /// What it asks to be allowed. It grants nothing.
    #[schema(value_type = Object)]
    permissions: Value,
    tool_list: Vec<ToolView>,
}

impl SkillView {
    fn new(skill: &Installed, toolbox: &Toolbox) -> Self {
        Self {
            name: skill.name.clone(),
            version: skill.manifest.version.to_string(),
            description: skill.manifest.description.clone(),
            digest: skill.digest.clone(),
            added_at: skill.added_at.to_string(),
            tools: offers(toolbox, &skill.name).map(|offer| offer.name.clone()).collect(),
        }
    }
}

fn offers<'a>(toolbox: &'a Toolbox, skill: &'a str) -> impl Iterator<Item = &'a Arc<Offer>> {
    toolbox.iter().filter(move |offer| offer.skill == skill)
}

/// All installed skills, by name
#[utoipa::path(get, path = "/v1/skills", tag = "skills", operation_id = "skill_list",
    responses((status = 200, body = Vec<SkillView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<SkillView>>, Problem> {
    let toolbox = app.host.toolbox().await?;
    let skills = app.host.list().await?;
    Ok(Json(skills.iter().map(|skill| SkillView::new(skill, &toolbox)).collect()))
}

/// One installed skill, with its tools and what it asks for
#[utoipa::path(get, path = "/v1/skills/{name}", tag = "skills", operation_id = "skill_show",
    params(("name" = String, Path)),
    responses((status = 200, body = SkillDetail), (status = 404, body = super::problem::Written)))]
pub(super) async fn show(State(app): State<Arc<App>>, Segment(name): Segment) -> Result<Json<SkillDetail>, Problem> {
    let toolbox = app.host.toolbox().await?;
    let skills = app.host.list().await?;
    let skill = skills.iter().find(|skill| skill.name == name).ok_or_else(|| none(&name))?;
    let permissions = serde_json::to_value(&skill.manifest.permissions).unwrap_or_default();
    Ok(Json(SkillDetail {
        skill: SkillView::new(skill, &toolbox),
        permissions,
        tool_list: offers(&toolbox, &name).map(|offer| ToolView::new(offer)).collect(),
    }))
}

/// The form of a list of tools: each stands as it is under `tools` of a request to that interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// Chat completions of OpenAI and of what speaks as they do.
    #[default]
    Openai,
    /// Messages of Anthropic.
    Anthropic,
    /// `generateContent` of Gemini.
    Gemini,
    /// `tools/list` of MCP.
    Mcp,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InForm {
    /// For which interface; `openai` where nothing is said.
    #[serde(default)]
    #[param(inline)]
    format: Form,
}

/// The tools of a skill, as an interface of models takes them
#[utoipa::path(get, path = "/v1/skills/{name}/tools.json", tag = "skills", operation_id = "skill_tools",
    params(("name" = String, Path), InForm),
    responses((status = 200, body = Vec<Object>), (status = 404, body = super::problem::Written)))]
pub(super) async fn tools(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    asked: Result<Query<InForm>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(InForm { format }) =
        asked.map_err(|error| of_query(&error, "`format` is openai, anthropic, gemini or mcp"))?;
    let toolbox = app.host.toolbox().await?;
    let all: Vec<&Offer> = offers(&toolbox, &name).map(|offer| &**offer).collect();
    if all.is_empty() && !app.host.list().await?.iter().any(|skill| skill.name == name) {
        return Err(none(&name));
    }
    Ok(Json(format.list(&all)))
}

impl Form {
    fn list(self, offers: &[&Offer]) -> Value {
        let each = offers.iter().map(|offer| self.one(offer)).collect();
        match self {
            Self::Gemini => json!([{ "functionDeclarations": Value::Array(each) }]),
            _ => Value::Array(each),
        }
    }

    /// Of what these interfaces know: the other fields have no place in them.
    fn one(self, offer: &Offer) -> Value {
        let (name, tool) = (&offer.name, &offer.tool);
        let (description, schema) = (&tool.description, &tool.input_schema);
        match self {
            Self::Openai => json!({
                "type": "function",
                "function": { "name": name, "description": description, "parameters": schema },
            }),
            Self::Anthropic => json!({ "name": name, "description": description, "input_schema": schema }),
            Self::Gemini => json!({ "name": name, "description": description, "parametersJsonSchema": schema }),
            Self::Mcp => {
                let mut one = json!({
                    "name": name,
                    "description": description,
                    "inputSchema": schema,
                    "annotations": {
                        "readOnlyHint": tool.hints.read_only,
                        "destructiveHint": tool.hints.destructive,
                        "idempotentHint": tool.hints.idempotent,
                        "openWorldHint": tool.hints.open_world,
                    },
                });
                if let Some(title) = &tool.title {
                    one["title"] = title.clone().into();
                }
                if let Some(schema) = &tool.output_schema {
                    one["outputSchema"] = schema.clone();
                }
                one
            }
        }
    }
}

pub(super) fn none(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::new("not-found", format!("no skill `{name}` is installed"), "`GET /v1/skills` lists those that are")
}
