use ringfence_core::catalog::signature::SourceKind;
use ringfence_core::catalog::source::Reference;
use ringfence_core::{Candidate, Error, Host};

use super::consent::{self, Changes, Wanted};
use super::lock::{self, Project};
use super::{Context, publisher, source};
use crate::grants;
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Install a skill from a folder, a file, a server, a registry or an index
///
/// A folder is built first, unless it is an Agent Skill that carries its component. `https://HOST/PATH.wasm` and
/// `oci://REGISTRY/NAME:TAG` are fetched, `NAME` or `NAME@VERSION` is looked up in the index that is configured. Shows what the
/// skill asks for and asks once what of it to grant; a script says so with --yes,
/// --allow or --grant-nothing. A skill of the same name is replaced and keeps what it was granted, but nothing that the new
/// version asks for beyond the old one is granted by that; one from another place is asked about, or needs one of these flags. In a project with a ringfence.lock it is written down there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its folder, its .wasm file, `https://HOST/PATH.wasm[#sha256=HEX]`, `oci://REGISTRY/NAME[:TAG|@DIGEST]` or `NAME[@VERSION]`
    #[arg(value_name = "SKILL", value_hint = clap::ValueHint::AnyPath)]
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
    /// It is this name that is meant, though it is easily taken for a better known one
    #[arg(long)]
    confirm_name: bool,
    /// Write it into ringfence.lock, also where there is none yet
    #[arg(long, conflicts_with_all = ["locked", "frozen"])]
    lock: bool,
    #[command(flatten)]
    fixed: lock::Args,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let allow = grants::parse(&args.allow, args.max_tokens)?;
    let reference = source::parse(&args.path)?;
    let mut project = Project::open(args.fixed, args.lock, context)?;
    if args.fixed.frozen && !matches!(reference, Reference::Path(_)) {
        return Err(Trouble::new(
            "frozen",
            format!("{reference} would have to be fetched, and `--frozen` forbids it"),
            "leave `--frozen` out, or name a file",
        ));
    }
    let line = Line::new(context.quiet);
    if !args.allow.is_empty() {
        let host = context.host().await?;
        grants::check_models(&allow, &host.aliases(), &host.providers())?;
        host.close().await?;
    }
    // Fetching and compiling may take long and leave nothing behind when they are stopped. What follows takes no time and is done
    // in whole. The state is held only from here on: others may use it while something is fetched.
    let arrived = source::fetch(reference, args.confirm_name, context, &line).await?;
    let (reference, exact, kind) = (arrived.reference, arrived.exact, arrived.incoming.kind);
    let host = context.host().await?;
    let candidate = publisher::considered(&host, arrived.incoming, &args.publisher, context, &line).await?;
    let wanted =
        Wanted { yes: args.yes, allow: (!args.allow.is_empty()).then_some(allow), nothing: args.grant_nothing };
    let decided = match &project {
        Some(project) => project.admits(candidate.skill()),
        None => Ok(()),
    };
    let decision = match decided {
        Ok(()) => match consent::succeed(&candidate, candidate.source(), &wanted, context).await {
            Ok(()) => consent::offer(&host, &candidate, wanted, context).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let decision = match decision {
        Ok(decision) => decision,
        Err(error) => {
            host.close().await?;
            return Err(error);
        }
    };
    let changes = candidate.before().map(|_| Changes::of(&candidate));
    let name = install(&host, candidate, decision).await?;
    let skill = host.load_installed(&name, Some(line.steps())).await?;
    line.clear();
    if let Some(project) = &mut project {
        match kind {
            SourceKind::Folder => {
                crate::ui::note("a folder is its own source, so it is not written into ringfence.lock")
            }
            _ => project.put(host.locked(&skill, &reference, Some(exact)).await?)?,
        }
    }
    super::show::print(&host, &skill, changes, context).await?;
    host.close().await
}

/// Does what a person has decided about a candidate, and gives its name.
pub(super) async fn install(host: &Host, candidate: Candidate, decision: consent::Decision) -> Result<String, Error> {
    let installed = host.install(candidate).await?;
    if !decision.grant.words().is_empty() {
        host.grant(&installed.name, decision.grant).await?;
    }
    if !decision.deny.is_empty() {
        host.deny(&installed.name, &decision.deny).await?;
    }
    Ok(installed.name)
}
