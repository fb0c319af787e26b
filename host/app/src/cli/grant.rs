use clap_complete::engine::ArgValueCompleter;
use ringfence_core::policy::Requests;
use ringfence_core::{Error, Host};

use super::Context;
use super::completions::Skills;
use super::target::Target;
use crate::grants;

/// Let a skill do something
///
/// Grants belong to the skill, installed or named by its path, and stay until you revoke them. New grants are added to
/// those that it has, and take back what you refused it before.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed skill, or the path of a folder or .wasm file
    #[arg(add = ArgValueCompleter::new(Skills))]
    skill: String,
    /// What to grant: `model=default,fast` for models by alias or `provider/model`, `kv` for state of its own,
    /// `files=docs:./notes` to let it read a folder as `docs`, `files=docs:./notes:write` to let it change files there,
    /// `tools=SKILL/TOOL` for tools of other skills, `user` for questions to you
    #[arg(required = true, value_name = "GRANT")]
    grants: Vec<String>,
    /// Most tokens of one answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// Grant a folder that holds keys or the system's own files all the same
    #[arg(long)]
    i_know: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let mut wanted = grants::parse(&args.grants, args.max_tokens)?;
    for folder in wanted.files.iter_mut().flat_map(|files| files.folders.values_mut()) {
        folder.i_know |= args.i_know;
    }
    let target = Target::find(&args.skill)?;
    let host = context.host().await?;
    if let Target::Installed(name) = &target {
        super::target::installed(&host, name).await?;
    }
    let requests = requests(&target, &host).await;
    grants::check_models(&wanted, &host.aliases(), &host.providers())?;
    let identity = target.identity();
    let held = host.grant(&identity, wanted).await?;
    host.close().await?;
    let Some(requests) = requests else { return print(&args.skill, &held, context) };
    let (line, notes) = grants::told(&args.skill, &held, &requests);
    for note in notes {
        crate::ui::note(&crate::ui::printable(&note));
    }
    match context.json() {
        true => crate::ui::print_json(&held),
        false => crate::ui::print_line(&line),
    }
}

/// What the skill's manifest requests, where that is known without building or compiling it. A grant needs none: the manifest may ask for
/// it later.
async fn requests(target: &Target, host: &Host) -> Option<Requests> {
    match target {
        Target::Installed(name) => {
            let all = host.list().await.ok()?;
            Some(all.into_iter().find(|skill| skill.name == *name)?.manifest.permissions)
        }
        Target::Folder(folder) => Some(super::build::manifest(folder).ok()?.permissions),
        // A file without a manifest requests nothing.
        Target::File(file) => serde_json::from_value(host.statement(file).ok()?.permissions).ok(),
        // Its component may have to be packaged first.
        Target::AgentSkill(_) => None,
    }
}

/// What holds now.
pub(super) fn print(skill: &str, held: &ringfence_core::policy::Grants, context: &Context) -> Result<(), Error> {
    if context.json() {
        return crate::ui::print_json(held);
    }
    crate::ui::print_line(&grants::sentence(skill, held))
}
