//! What a `model` of a request stands for here.

use std::sync::Arc;

use ringfence_core::agent::Agent;
use ringfence_core::{Host, Offer};

use super::error::Wrong;

/// What answers.
#[derive(Debug)]
pub(super) enum Target {
    Tool(Arc<Offer>),
    Agent(Agent),
}

impl Target {
    pub(super) async fn find(host: &Host, model: &str) -> Result<Self, Wrong> {
        match model.split_once(':') {
            Some(("agent", name)) => match host.agent(name) {
                Ok(agent) => Ok(Self::Agent(agent)),
                Err(error) if error.kind() == "not-found" => Err(Wrong::no_model(error.to_string(), error.hint())),
                Err(error) => Err(error.into()),
            },
            Some(("skill", name)) => tool(host, name).await,
            _ => Err(Wrong::no_model(
                format!("there is no model `{}`", shown(model)),
                "name `skill:NAME`, `skill:NAME/TOOL` or `agent:NAME`; GET /v1/models lists them",
            )),
        }
    }
}

async fn tool(host: &Host, name: &str) -> Result<Target, Wrong> {
    let (skill, tool) = name.split_once('/').map_or((name, None), |(skill, tool)| (skill, Some(tool)));
    let toolbox = host.toolbox().await?;
    let of_skill: Vec<_> = toolbox.iter().filter(|offer| offer.skill == skill).collect();
    let names =
        || of_skill.iter().map(|offer| format!("skill:{skill}/{}", offer.tool.name)).collect::<Vec<_>>().join(", ");
    match (of_skill.as_slice(), tool) {
        ([], _) => Err(Wrong::no_model(
            format!("no skill named `{}` is installed", shown(skill)),
            "GET /v1/models lists what there is",
        )),
        ([only], None) => Ok(Target::Tool(Arc::clone(only))),
        (many, None) => {
            Err(Wrong::no_model(format!("`{skill}` has {} tools", many.len()), format!("name one: {}", names())))
        }
        (many, Some(tool)) => match many.iter().find(|offer| offer.tool.name == tool) {
            Some(offer) => Ok(Target::Tool(Arc::clone(offer))),
            None => Err(Wrong::no_model(
                format!("`{skill}` has no tool `{}`", shown(tool)),
                format!("there are: {}", names()),
            )),
        },
    }
}

/// A client's word, cut and safe to show.
pub(super) fn shown(text: &str) -> String {
    ringfence_core::plain::line(text, 100).0
}
