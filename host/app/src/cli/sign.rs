use std::io::Write as _;
use std::path::Path;

use ringfence_core::{Error, Host};

use super::target::Target;
use super::{Context, build, key};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Sign a skill, so that others can tell that it is yours
///
/// What is signed is a statement about the file: its digest, name, version, permissions and interface. The signature is written beside
/// the file, as FILE.minisig. A folder is built first. An index of skills, INDEX.toml or INDEX.json, is signed as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The .wasm file, the skill's folder, or an index
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: String,
    /// The name of the key, or the path of a secret key of minisign
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print the statement and sign nothing: for `cosign sign-blob --bundle FILE.sigstore.json` and other signers
    #[arg(long, conflicts_with = "key")]
    statement: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let path = Path::new(&args.path);
    let is_index = path.is_file() && path.extension().is_some_and(|end| end == "toml" || end == "json");
    if is_index && !args.statement {
        return sign_index(path, args, context).await;
    }
    let target = Target::find(&args.path)?;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let file = match &target {
        Target::Folder(folder) => build::fresh(&host, folder, context, &line).await?,
        Target::File(file) => file.clone(),
        Target::AgentSkill(folder) => return Err(packed_anew(folder)),
        Target::Installed(name) => return Err(no_path(name)),
    };
    line.clear();
    if args.statement {
        let statement = host.statement(&file)?.bytes();
        host.close().await?;
        // Exactly the bytes: a line end would be signed as well.
        return std::io::stdout().lock().write_all(&statement).map_err(|error| {
            Trouble::new("unwritable", format!("cannot write the statement: {error}"), "check where the output goes")
        });
    }
    sign(&host, &file, args, context).await?;
    host.close().await
}

async fn sign_index(file: &Path, args: &Args, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let key = host.key(args.key.as_deref())?;
    let password = if key.password { Some(key::password(&key.name, false, context)?) } else { None };
    let written = host.sign_index(file, &key, password).await?;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "file": file, "signature": written, "signer": key.key }));
    }
    crate::ui::print_line(&crate::ui::printable(&format!("{} is signed by {}", written.display(), key.key)))
}

async fn sign(host: &Host, file: &std::path::Path, args: &Args, context: &Context) -> Result<(), Error> {
    let key = host.key(args.key.as_deref())?;
    let password = if key.password { Some(key::password(&key.name, false, context)?) } else { None };
    let written = host.sign(file, &key, password).await?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({
            "file": file, "signature": written, "signer": key.key, "statement": host.statement(file)?,
        }));
    }
    crate::ui::print_line(&crate::ui::printable(&format!("{} is signed by {}", written.display(), key.key)))
}

/// For an Agent Skill, which is packed by whoever installs it.
fn packed_anew(folder: &std::path::Path) -> Error {
    Trouble::new(
        "not-found",
        format!("{} is packed anew by whoever installs it, so there is no file to sign", folder.display()),
        "add a skill.toml to the folder, or sign a .wasm file that `ringfence build` made",
    )
}

/// For a word that is no path.
pub(super) fn no_path(name: &str) -> Error {
    let name = crate::ui::printable(name);
    Trouble::new(
        "not-found",
        format!("`{name}` is no folder and no .wasm file"),
        format!("write `./{name}` for a file of that name here"),
    )
}
