use ringfence_core::Error;
use ringfence_core::catalog::{Behind, Installed};
use serde::Serialize;

use super::Context;
use crate::ui::{printable, table};

/// List the installed skills
///
/// A skill that another process serves or works on stands here as well where it serves an older version than the newest one: because that
/// one waits for consent, or failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// An installed skill, or one that is worked on and behind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Listed {
    Installed {
        #[serde(flatten)]
        skill: Box<Installed>,
        installed: bool,
        behind: Vec<Behind>,
    },
    /// Its `source` is what is worked on.
    InPlace { name: String, source: String, installed: bool, behind: Vec<Behind> },
}

fn listed(skills: Vec<Installed>, mut behind: Vec<Behind>) -> Vec<Listed> {
    let mut listed: Vec<Listed> = skills
        .into_iter()
        .map(|skill| {
            let behind = behind.extract_if(.., |one| one.skill == skill.name).collect();
            Listed::Installed { skill: Box::new(skill), installed: true, behind }
        })
        .collect();
    for one in behind {
        match listed.last_mut() {
            Some(Listed::InPlace { source, behind, .. }) if *source == one.skill => behind.push(one),
            _ => {
                let (name, source) = (one.name.clone(), one.skill.clone());
                listed.push(Listed::InPlace { name, source, installed: false, behind: vec![one] });
            }
        }
    }
    listed
}

pub(super) async fn run(_args: &Args, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let (skills, behind) = (host.list().await?, host.behind().await?);
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&listed(skills, behind));
    }
    if skills.is_empty() && behind.is_empty() {
        crate::ui::note("no skill is installed; `ringfence add PATH` installs one");
        return Ok(());
    }
    if !skills.is_empty() {
        let mut table = table::table(["NAME", "VERSION", "TOOLS", "DESCRIPTION"]);
        for skill in skills {
            let tools: Vec<&str> = skill.tools.iter().map(|tool| tool.name.as_str()).collect();
            let version = skill.manifest.version.to_string();
            table.add_row([skill.name, version, tools.join(", "), skill.manifest.description]);
        }
        crate::ui::print(&table::text(&table))?;
    }
    behind.iter().try_for_each(|one| crate::ui::print(&printable(&words(one))))
}

fn words(one: &Behind) -> String {
    let Behind { skill, serves, process, state, kind, message, hint, .. } = one;
    let state = if state == "failed" { format!("failed ({kind})") } else { state.clone() };
    format!("{skill}: {state}: process {process} serves {serves} still: {message}\n  {hint}\n")
}
