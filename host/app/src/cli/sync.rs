use ringfence_core::Error;
use ringfence_core::catalog::lock::Locked;
use ringfence_core::catalog::source::{Digest, SourceError};
use serde::Serialize;

use super::consent::{self, Wanted};
use super::lock::{self, Project};
use super::{Context, add, publisher, source};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Install exactly the skills that ringfence.lock names
///
/// Down to their bytes, and in place of whatever is installed under their names. The lock is not changed. It grants nothing:
/// what a skill asks for is asked as by `ringfence add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Grant everything that they ask for
    #[arg(long, conflicts_with = "grant_nothing")]
    yes: bool,
    /// Install them and grant nothing
    #[arg(long)]
    grant_nothing: bool,
    #[command(flatten)]
    publisher: publisher::Flags,
    #[command(flatten)]
    fixed: lock::Args,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    name: String,
    version: String,
    digest: Digest,
    /// Whether it had to be installed.
    installed: bool,
    /// Whether it is granted something else than where the lock was written.
    other_grants: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    // A lock that is there is never changed by this, so it is always fixed.
    let fixed = lock::Args { locked: true, ..args.fixed };
    let project = Project::open(fixed, false, context)?.ok_or_else(|| lock::missing(std::path::Path::new(".")))?;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let installed = host.list().await?;
    host.close().await?;
    let is_there =
        |entry: &Locked| installed.iter().any(|one| one.name == entry.name && one.digest == entry.digest.as_str());
    let (there, wanted): (Vec<&Locked>, Vec<&Locked>) = project.lock.skills().partition(|entry| is_there(entry));
    if args.fixed.frozen && !wanted.is_empty() {
        let names: Vec<_> = wanted.iter().map(|entry| entry.name.as_str()).collect();
        return Err(Trouble::new(
            "frozen",
            format!("what the lock names is not installed, and `--frozen` forbids to fetch it: {}", names.join(", ")),
            "run `ringfence sync` without `--frozen` first",
        ));
    }
    let mut rows = Vec::new();
    for entry in &there {
        rows.push(row(entry, false, context).await?);
    }
    for entry in wanted {
        let yes = Wanted { yes: args.yes, allow: None, nothing: args.grant_nothing };
        // The lock may name an older version than is installed, on purpose.
        let flags = publisher::Flags { allow_downgrade: true, ..args.publisher.clone() };
        install(entry, &project, yes, &flags, context, &line).await?;
        rows.push(row(entry, true, context).await?);
    }
    line.clear();
    print(&rows, context)
}

async fn install(
    entry: &Locked,
    project: &Project,
    wanted: Wanted,
    flags: &publisher::Flags,
    context: &Context,
    line: &Line,
) -> Result<(), Error> {
    let reference = project.reference(entry.exact.as_ref().unwrap_or(&entry.reference))?;
    let mut arrived = source::fetch(reference, true, context, line).await?;
    if arrived.digest != entry.digest {
        let (what, expected) = (format!("{}, which the lock names,", arrived.reference), entry.digest.clone());
        return Err(SourceError::Digest { what, expected, found: arrived.digest }.into());
    }
    // An update looks there, and not at what can never change.
    arrived.incoming.source = project.reference(&entry.reference)?.to_string();
    let host = context.host().await?;
    let candidate = publisher::considered(&host, arrived.incoming, flags, context, line).await?;
    let decided = match admits(entry, &candidate.skill().manifest()) {
        Ok(()) => match project.admits(candidate.skill()) {
            Ok(()) => consent::offer(&host, &candidate, wanted, context).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match decided {
        Ok(decision) => drop(add::install(&host, candidate, decision).await?),
        Err(error) => {
            host.close().await?;
            return Err(error);
        }
    }
    host.close().await
}

/// The bytes are the right ones, so it is the lock that says something else about them.
fn admits(entry: &Locked, manifest: &ringfence_core::Manifest) -> Result<(), Error> {
    if entry.name == manifest.name && entry.version == manifest.version {
        return Ok(());
    }
    Err(Trouble::new(
        "lock-invalid",
        format!(
            "the lock says that {} is {} {}, and it is {} {}",
            entry.digest, entry.name, entry.version, manifest.name, manifest.version
        ),
        "restore ringfence.lock from the project's history, or add the skill anew",
    ))
}

async fn row(entry: &Locked, installed: bool, context: &Context) -> Result<Row, Error> {
    let host = context.host().await?;
    let grants = ringfence_core::catalog::lock::digest_of(&host.grants(&entry.name));
    host.close().await?;
    Ok(Row {
        name: entry.name.clone(),
        version: entry.version.to_string(),
        digest: entry.digest.clone(),
        installed,
        other_grants: grants != entry.grants,
    })
}

fn print(rows: &[Row], context: &Context) -> Result<(), Error> {
    for row in rows.iter().filter(|row| row.other_grants) {
        let name = &row.name;
        crate::ui::note(&format!(
            "{name} is granted something else here than where the lock was written; see `ringfence permissions {name}`"
        ));
    }
    if context.json() {
        return crate::ui::print_json(&rows);
    }
    let said = |installed: bool| if installed { "installed" } else { "was there" };
    let text: String =
        rows.iter().map(|row| format!("{} {} {}\n", row.name, row.version, said(row.installed))).collect();
    crate::ui::print(&text)
}
