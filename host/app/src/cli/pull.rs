use std::path::{Path, PathBuf};

use ringfence_core::Error;

use super::{Context, source};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Fetch a skill into a file, without installing it
///
/// Signatures that travel with it are written beside the file. Prints the digest of the component.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `oci://REGISTRY/NAME[:TAG|@DIGEST]`, `https://HOST/PATH.wasm[#sha256=HEX]` or `NAME[@VERSION]`
    #[arg(value_name = "SKILL")]
    reference: String,
    /// The file; the skill's name and `.wasm` where none is named
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// It is this name that is meant, though it is easily taken for a better known one
    #[arg(long)]
    confirm_name: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let reference = source::parse(&args.reference)?;
    let line = Line::new(context.quiet);
    let arrived = source::fetch(reference, args.confirm_name, context, &line).await?;
    line.clear();
    let file = match &args.output {
        Some(file) => file.clone(),
        None => named(&arrived.incoming.stem)?,
    };
    let beside = arrived.incoming.signatures.iter();
    let files: Vec<(PathBuf, &[u8])> = std::iter::once((file.clone(), &arrived.incoming.bytes[..]))
        .chain(beside.map(|signature| (signature.format.beside(&file), &signature.bytes[..])))
        .collect();
    for (path, _) in files.iter().filter(|_| !args.force) {
        if path.symlink_metadata().is_ok() {
            return Err(Trouble::new(
                "already-exists",
                format!("{} is there already", path.display()),
                "name another file with `--output`, or write over it with `--force`",
            ));
        }
    }
    // The component last: where it is, all of it is.
    files.iter().rev().try_for_each(|(path, bytes)| write(path, bytes))?;
    if context.json() {
        let files: Vec<_> = files.iter().map(|(path, _)| path).collect();
        return crate::ui::print_json(&serde_json::json!({
            "digest": arrived.digest, "exact": arrived.exact, "files": files,
        }));
    }
    crate::ui::note(&format!("{} is {}", file.display(), crate::ui::printable(&arrived.exact)));
    crate::ui::print_line(arrived.digest.as_str())
}

/// A file of this folder that is named by the last part of a reference.
fn named(stem: &str) -> Result<PathBuf, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !stem.is_empty() && stem.chars().all(plain) && !stem.starts_with(['.', '-']) {
        true => Ok(PathBuf::from(format!("{stem}.wasm"))),
        false => Err(Trouble::input(
            format!("`{}` is no name for a file", crate::ui::printable(stem)),
            "name one with `--output FILE`",
        )),
    }
}

/// Whole or not there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| Trouble::unwritable(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_server_is_a_file_of_this_folder_or_none() {
        assert_eq!(named("hello").unwrap(), Path::new("hello.wasm"));
        for odd in ["", "..", ".hidden", "-x", "a/b", "a b", "%2e%2e"] {
            assert!(named(odd).is_err(), "{odd}");
        }
    }
}
