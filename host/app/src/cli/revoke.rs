use ringfence_core::policy::Grants;
use ringfence_core::{Error, Host};

use super::Context;
use super::target::Target;

/// Take grants of a skill back, and forget what you refused it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed skill, or the path of a folder or .wasm file
    skill: String,
    /// Only this capability, for example `model`; everything where it is left out
    capability: Option<String>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let identity = identity(&args.skill, &host).await?;
    let held = host.revoke(&identity, args.capability.as_deref()).await?;
    host.close().await?;
    super::grant::print(&args.skill, &held, context)
}

/// Whose grants are meant. What holds grants can lose them, also where the skill itself has gone: was removed, or its
/// folder was deleted.
async fn identity(skill: &str, host: &Host) -> Result<String, Error> {
    let holds = |identity: &str| host.grants(identity) != Grants::default() || !host.denials(identity).is_empty();
    match Target::find(skill) {
        Ok(Target::Installed(name)) if holds(&name) => Ok(name),
        Ok(Target::Installed(name)) => super::target::installed(host, &name).await.map(|()| name),
        Ok(target) => Ok(target.identity()),
        Err(error) => {
            let path = std::path::absolute(skill).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
            if holds(&path) { Ok(path) } else { Err(error) }
        }
    }
}
