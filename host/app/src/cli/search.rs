use ringfence_core::Error;
use ringfence_core::catalog::source::SourceError;

use super::{Context, source};
use crate::ui::progress::Line;
use crate::ui::table;

/// Look for skills in the index
///
/// The index is a document at an https URL or in a file, and is configured as `catalog.index`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Words that its name or its description has all of; every skill where none is given
    words: Vec<String>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let line = Line::new(context.quiet);
    let found = source::index(context, &line, false).await?;
    line.clear();
    let (index, installed) = found.ok_or_else(|| SourceError::NoIndex { name: args.words.join(" ") })?;
    let found = index.search(&args.words);
    if context.json() {
        return crate::ui::print_json(&found);
    }
    if found.is_empty() {
        crate::ui::note("nothing is found");
        return Ok(());
    }
    let mut table = table::table(["NAME", "VERSION", "INSTALLED", "DESCRIPTION"]);
    for skill in found {
        let newest = skill.newest(&semver::VersionReq::STAR).map(|release| release.version.to_string());
        let here = if installed.contains(&skill.name) { "yes" } else { "" };
        let description = crate::ui::printable(&skill.description);
        table.add_row([skill.name.clone(), newest.unwrap_or_default(), here.into(), description]);
    }
    crate::ui::print(&table::text(&table))
}
