use ringfence_core::Error;

use super::Context;
use super::update::{self, State};
use crate::ui::progress::Line;

/// Show which installed skills have something newer at their source
///
/// Looks where each of them came from. Fetches and changes as little as that needs; `ringfence update` installs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These skills only
    skills: Vec<String>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let line = Line::new(context.quiet);
    let (rows, _) = update::look(&args.skills, context, &line).await?;
    line.clear();
    let rows: Vec<_> = rows.into_iter().map(|(row, _)| row).collect();
    update::print(&rows, context)?;
    if !context.json() && rows.iter().any(|row| row.state == State::Newer) {
        crate::ui::note("`ringfence update` installs what is newer");
    }
    Ok(())
}
