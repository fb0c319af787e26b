use ringfence_core::Error;
use ringfence_core::catalog::source::Reference;

use super::{Context, source};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Publish a skill in an OCI registry
///
/// A folder is built first. Signatures that lie beside the file (`FILE.minisig`, `FILE.sigstore.json`) are published with it. Prints
/// what names exactly this, for ever. Logins are those of `docker login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's folder, or its .wasm file
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: String,
    /// Where to: `oci://REGISTRY/NAME:TAG`
    #[arg(value_name = "TO")]
    to: String,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let reference = source::parse(&args.to)?;
    let Reference::Oci(artifact) = &reference else {
        return Err(Trouble::input(
            format!("`{}` is no place in a registry", crate::ui::printable(&args.to)),
            "write `oci://REGISTRY/NAME:TAG`",
        ));
    };
    source::online(&reference, context)?;
    let line = Line::new(context.quiet);
    let file = source::file(&args.path, context, &line).await?;
    let sources = context.config.sources();
    let pushed = context.unless_cancelled(sources.push(&file, artifact, Some(line.steps()))).await?;
    line.clear();
    if context.json() {
        return crate::ui::print_json(&pushed);
    }
    if pushed.signatures > 0 {
        crate::ui::note(&format!("{} signatures are published with it", pushed.signatures));
    }
    crate::ui::print_line(&pushed.reference)
}
