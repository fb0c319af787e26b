use ringfence_core::Error;

use super::consent::{self, Wanted};
use super::target::Target;
use super::{Context, build, grants, publisher};
use crate::ui::progress::Line;

/// Install a skill from a folder or a .wasm file
///
/// A folder is built first, unless it is an Agent Skill that carries its component. Shows what the skill asks for and asks once what of it to grant; a script says so with --yes,
/// --allow or --grant-nothing. A skill of the same name is replaced and keeps what it was granted, but nothing that the new
/// version asks for beyond the old one is granted by that.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's folder, or its .wasm file
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: String,
    /// Grant everything that it asks for
    #[arg(long, conflicts_with_all = ["allow", "grant_nothing"])]
    yes: bool,
    /// Grant this and nothing else, for example `--allow model=default --allow kv`
    #[arg(long, value_name = "GRANT", conflicts_with = "grant_nothing")]
    allow: Vec<String>,
    /// Install it and grant nothing
    #[arg(long)]
    grant_nothing: bool,
    /// Most tokens of one answer, for the granted model
    #[arg(long, value_name = "N", requires = "allow", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    #[command(flatten)]
    publisher: publisher::Flags,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let allow = grants::parse(&args.allow, args.max_tokens)?;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    grants::check_models(&allow, &host.aliases(), &host.providers())?;
    // Compiling may take long and leaves nothing behind when it is stopped. What follows takes no time and is done in whole.
    let considered = match Target::find(&args.path)? {
        Target::Folder(folder) => {
            let component = build::fresh(&host, &folder, context, &line).await?;
            context.unless_cancelled(host.consider_built(&component, Some(line.steps()))).await
        }
        Target::AgentSkill(folder) => {
            context.unless_cancelled(host.consider_agent_skill(&folder, Some(line.steps()))).await
        }
        Target::File(file) => context.unless_cancelled(host.consider(&file, Some(line.steps()))).await,
        Target::Installed(name) => return Err(super::sign::no_path(&name)),
    };
    line.clear();
    let mut candidate = match considered {
        Ok(candidate) => candidate,
        // What was refused stands in the audit.
        Err(error) => {
            host.close().await?;
            return Err(error);
        }
    };
    if let Err(error) = publisher::settle(&mut candidate, &args.publisher, context).await {
        host.close().await?;
        return Err(error);
    }
    let wanted =
        Wanted { yes: args.yes, allow: (!args.allow.is_empty()).then_some(allow), nothing: args.grant_nothing };
    let decision = match consent::offer(&host, &candidate, wanted, context).await {
        Ok(decision) => decision,
        Err(error) => {
            host.close().await?;
            return Err(error);
        }
    };
    let installed = host.install(candidate).await?;
    if !decision.grant.words().is_empty() {
        host.grant(&installed.name, decision.grant).await?;
    }
    if !decision.deny.is_empty() {
        host.deny(&installed.name, &decision.deny).await?;
    }
    let skill = host.load_installed(&installed.name, Some(line.steps())).await?;
    line.clear();
    super::show::print(&host, &skill, context).await?;
    host.close().await
}
