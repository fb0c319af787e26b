use ringfence_core::Error;

use super::target::Target;
use super::{Context, build, grants};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Install a skill from a folder or a .wasm file
///
/// A folder is built first. Shows what the skill asks for; grants nothing unless you say so with --allow. A skill of the
/// same name is replaced.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's folder, or its .wasm file
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: String,
    /// Grant this at once, for example `--allow model=default --allow kv`
    #[arg(long, value_name = "GRANT")]
    allow: Vec<String>,
    /// Most tokens of one answer, for the granted model
    #[arg(long, value_name = "N", requires = "allow", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let allow = grants::parse(&args.allow, args.max_tokens)?;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    grants::check_models(&allow, &host.aliases(), &host.providers())?;
    let component = match Target::find(&args.path)? {
        Target::Folder(folder) => build::fresh(&host, &folder, context, &line).await?,
        Target::File(file) => file,
        Target::Installed(name) => {
            return Err(Trouble::new(
                "not-found",
                format!("`{name}` is no folder and no .wasm file"),
                format!("write `./{name}` for a file of that name here"),
            ));
        }
    };
    // Compiling may take long and leaves nothing behind when it is stopped. What follows takes no time and is done in whole.
    context.unless_cancelled(host.load_file(&component, None, Some(line.steps()))).await?;
    let installed = host.add(&component, Some(line.steps())).await?;
    if !args.allow.is_empty() {
        host.grant(&installed.name, allow).await?;
    }
    let skill = host.load_installed(&installed.name, Some(line.steps())).await?;
    line.clear();
    super::show::print(&host, &skill, context).await?;
    host.close().await
}
