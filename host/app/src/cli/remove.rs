use clap_complete::engine::ArgValueCompleter;
use ringfence_core::Error;

use super::Context;
use super::completions::Installed;
use super::lock::{self, Project};

/// Remove an installed skill
///
/// Its state and its grants stay for the case that it comes back, unless you say --purge. The lock of this project names it no longer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's name
    #[arg(add = ArgValueCompleter::new(Installed))]
    skill: String,
    /// Delete its state and its grants too
    #[arg(long)]
    purge: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    // Before anything is done: a lock that cannot be read is not written.
    let project = Project::open(lock::Args::default(), false, context)?;
    let host = context.host().await?;
    super::target::installed(&host, &args.skill).await?;
    let removed = host.remove(&args.skill, args.purge).await?;
    host.close().await?;
    if let Some(mut project) = project {
        project.remove(&args.skill)?;
    }
    if context.json() {
        return crate::ui::print_json(&removed);
    }
    let state = if args.purge { "its state and grants are deleted" } else { "its state and grants are kept" };
    crate::ui::print_line(&format!("removed {} {}; {state}", removed.name, removed.manifest.version))
}
