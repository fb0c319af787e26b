use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use ringfence_core::Error;

use super::Context;
use crate::toolchain::{Errand, Job, Way};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Run a skill's own tests, by the test runner of its language
///
/// Nothing has to be installed beforehand that `ringfence build` does not need as well. The tests run on this machine, not in the
/// sandbox: they are code of the author's.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The skill's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What the test runner is given beside
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    let folder = std::fs::canonicalize(&args.dir).map_err(|error| Trouble::unreadable(&args.dir, &error))?;
    if !folder.join("skill.toml").is_file() {
        return Err(super::target::no_manifest(&folder));
    }
    let manifest = super::build::manifest(&folder)?;
    let way = Way::of(&manifest, &folder)?;
    let line = Line::new(context.quiet);
    let Some(lang) = way.lang else {
        return Err(Trouble::input(
            format!("something else builds {}, and only that knows how it is tested", folder.display()),
            "run the tests by the tool that builds the component",
        ));
    };
    let sdk = crate::sdk::ready(&folder, lang, &line)?;
    let work = way.toolchain().workplace(&context.config.dirs.cache.join("build").join(way.name()), &folder);
    std::fs::create_dir_all(&work).map_err(|error| Trouble::unwritable(&work, &error))?;
    let shelf = context.shelf();
    let errand = Errand { shelf: &shelf, line: &line, cancel: &context.cancel };
    let job = Job { folder: &folder, build: &way.build, sdk: &sdk, work: &work, errand };
    let command = way.toolchain().test(job, &args.args).await?;
    line.clear();
    let good = crate::toolchain::watch(command, errand).await?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
