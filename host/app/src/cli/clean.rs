use ringfence_core::Error;
use ringfence_core::catalog::lock::Lock;

use super::Context;
use super::lock::{self, Project};

/// Remove what no installed skill needs any more
///
/// Components that a stopped installation has left, files that were fetched in part, and those that were half written when a process was killed. What is installed and what the lock of this project
/// names stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(_args: &Args, context: &Context) -> Result<(), Error> {
    let project = Project::open(lock::Args::default(), false, context)?;
    let keep: Vec<String> =
        project.iter().flat_map(|project| project.lock.skills()).map(|entry| entry.digest.to_string()).collect();
    let host = context.host().await?;
    let left = project.as_ref().map_or(0, |project| Lock::clean(&project.folder));
    let freed = host.clean(&keep).await? + context.config.sources().clean() + left;
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "freed-bytes": freed }));
    }
    crate::ui::print_line(&format!("{} KiB freed", freed.div_ceil(1024)))
}
