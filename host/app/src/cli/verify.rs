use ringfence_core::Error;
use ringfence_core::catalog::signature::{Signer, Standing, Terms};

use super::Context;
use super::sign::no_path;
use super::target::Target;
use crate::trouble::Trouble;

/// Check the signatures that lie beside a skill's file
///
/// Succeeds where one of them is good and by a publisher whom you trust, or by the key that is given. Installs and runs nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The .wasm file
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: String,
    /// Only this key counts: the public key of a publisher, as they give it
    #[arg(long, value_name = "KEY", conflicts_with_all = ["identity", "issuer"])]
    key: Option<String>,
    /// Only this identity counts, such as an e-mail address or the address of a workflow
    #[arg(long, requires = "issuer")]
    identity: Option<String>,
    /// Who vouches for the identity, such as `https://accounts.google.com`
    #[arg(long, value_name = "URL", requires = "identity")]
    issuer: Option<String>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let file = match Target::find(&args.file)? {
        Target::File(file) => file,
        Target::Folder(folder) | Target::AgentSkill(folder) => {
            return Err(Trouble::new(
                "not-found",
                format!("{} is a folder", folder.display()),
                "name the .wasm file that the signature lies beside",
            ));
        }
        Target::Installed(name) => return Err(no_path(&name)),
    };
    let only = super::trust::signer(args.key.as_deref(), args.identity.as_deref(), args.issuer.as_deref())?;
    let host = context.host().await?;
    let statement = host.statement(&file)?;
    let verdict = host.verify(&file, only.as_ref()).await?;
    host.close().await?;
    verdict.admit(&Terms { allow_downgrade: true, ..Terms::default() })?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "statement": statement, "verdict": verdict }));
    }
    let by = verdict.signer().map(Signer::to_string).unwrap_or_default();
    let name = match &verdict.standing {
        Standing::Trusted { name, .. } if only.is_none() => format!("{name}: "),
        _ => String::new(),
    };
    crate::ui::print_line(&crate::ui::printable(&format!(
        "{} {} is signed by {name}{by}\n  {}",
        verdict.skill, verdict.version, statement.digest
    )))
}
