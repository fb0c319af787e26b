//! `ringfence agent`: the agents of the configuration, and one task for one of them.

use std::process::ExitCode;

use ringfence_core::Error;
use ringfence_core::agent::{AgentSettings, Transcript};
use serde_json::json;

use super::Context;
use super::chat::{self, Screen};
use crate::ui::table;

/// Run an agent on one task, or list the agents
///
/// An agent is a model that works with tools of installed skills: `[agents.NAME]` in the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Give one task to an agent, and print its answer
    Run {
        /// The agent, as in `[agents.NAME]`
        name: String,
        /// The task; from stdin where it is left out
        task: Option<String>,
        /// Grant something for this run: GRANT to all skills as far as they ask for it, or SKILL:GRANT to one
        #[arg(long, value_name = "[SKILL:]GRANT")]
        allow: Vec<String>,
    },
    /// List the agents
    List,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    match &args.what {
        What::Run { name, task, allow } => task_for(name, task.as_deref(), allow, context).await,
        What::List => list(context).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn task_for(name: &str, task: Option<&str>, allow: &[String], context: &Context) -> Result<ExitCode, Error> {
    let host = context.host().await?;
    let agent = host.agent(name)?;
    chat::allow(&host, allow).await?;
    let task = match task {
        Some(task) => task.to_owned(),
        None => context.unless_cancelled(chat::piped()).await?,
    };
    let screen = Screen::new(context);
    let mut transcript = Transcript::new(agent.name());
    let shown = screen.only_turn(&agent, &mut transcript, &task).await;
    let closed = host.close().await;
    shown.and(closed).map(|()| ExitCode::SUCCESS)
}

async fn list(context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let agents = host.agents();
    host.close().await?;
    if context.json() {
        let all: Vec<_> = agents.iter().map(|(name, settings)| json!({ "name": name, "settings": settings })).collect();
        return crate::ui::print_json(&all);
    }
    let mut table = table::table(["NAME", "MODEL", "TOOLS", "DESCRIPTION"]);
    for (name, settings) in &agents {
        table.add_row([name, settings.model(), &tools(settings), &settings.description]);
    }
    crate::ui::print(&table::text(&table))
}

fn tools(settings: &AgentSettings) -> String {
    let all: Vec<&str> = settings.skills.iter().chain(&settings.tools).map(String::as_str).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}
