use ringfence_core::catalog::lock::Locked;
use ringfence_core::catalog::signature::{Signer, Standing};
use ringfence_core::catalog::source::{Digest, SourceError};
use ringfence_core::{Candidate, Error, Manifest};
use semver::Version;
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
    let held =
        |entry: &Locked| installed.iter().find(|one| one.name == entry.name && one.digest == entry.digest.as_str());
    let (there, wanted): (Vec<&Locked>, Vec<&Locked>) = project.lock.skills().partition(|entry| held(entry).is_some());
    // Before anything is installed.
    let told = async {
        for entry in &there {
            if let Some(one) = held(entry) {
                let skill = host.load_installed(&one.name, Some(line.steps())).await?;
                agrees(entry, &one.manifest, skill.wit().as_ref())?;
                is_by(entry, one.signer.as_ref())?;
            }
        }
        Ok(())
    };
    let told = context.unless_cancelled(told).await;
    host.close().await?;
    told?;
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
    // What it takes the place of is judged by where it came from: what a lock says of that is its writer's word.
    let from = arrived.incoming.source.clone();
    // An update looks there, and not at what can never change.
    arrived.incoming.source = project.reference(&entry.reference)?.to_string();
    let host = context.host().await?;
    let candidate = publisher::considered(&host, arrived.incoming, flags, context, line).await?;
    let decided = match admits(entry, &candidate, project) {
        Ok(()) => match consent::succeed(&candidate, &from, &wanted, context).await {
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

/// Whether what has arrived is what the lock says of it.
fn admits(entry: &Locked, candidate: &Candidate, project: &Project) -> Result<(), Error> {
    let skill = candidate.skill();
    agrees(entry, &skill.manifest(), skill.wit().as_ref())?;
    match (&candidate.verdict().standing, candidate.verdict().signer()) {
        // Who signed it cannot be said here, so it is for the configuration whether that is enough.
        (Standing::Unknown { .. } | Standing::NotChecked, _) => {}
        (_, Some(signer)) => is_by(entry, Some(signer))?,
        (_, None) => {
            if let Some(said) = &entry.signer {
                return Err(changed(entry, said, "nobody signed it"));
            }
        }
    }
    project.admits(skill)
}

/// The bytes are the right ones, so it is the lock that says something else about them.
fn agrees(entry: &Locked, manifest: &Manifest, wit: Option<&Version>) -> Result<(), Error> {
    let interface = |wit: Option<&Version>| match wit {
        Some(version) => format!("for the interface {version}"),
        None => "for no interface".to_owned(),
    };
    // One that is written for an older interface of the same kind goes on with a newer host.
    let same_kind = match (&entry.wit, wit) {
        (Some(said), Some(found)) => (said.major, said.minor) == (found.major, found.minor),
        (None, None) => true,
        _ => false,
    };
    let (said, found) = match (entry.name == manifest.name && entry.version == manifest.version, same_kind) {
        (true, true) => return Ok(()),
        (false, _) => (format!("{} {}", entry.name, entry.version), format!("{} {}", manifest.name, manifest.version)),
        (true, false) => (interface(entry.wit.as_ref()), interface(wit)),
    };
    Err(Trouble::new(
        "lock-invalid",
        format!("the lock says that {} is {said}, and it is {found}", entry.digest),
        "restore ringfence.lock from the project's history, or add the skill anew",
    ))
}

/// A skill that was locked without a publisher may have one here, who is trusted here alone; and of one that is installed without a look
/// at its signature nothing can be said.
fn is_by(entry: &Locked, signer: Option<&Signer>) -> Result<(), Error> {
    match (&entry.signer, signer) {
        (Some(said), Some(found)) if *said != found.word() => {
            Err(changed(entry, said, &format!("it is signed by {found}")))
        }
        _ => Ok(()),
    }
}

fn changed(entry: &Locked, said: &str, found: &str) -> Error {
    let said = crate::ui::printable(said);
    Trouble::new(
        "publisher-changed",
        format!("the lock says that {} {} is signed by {said}, and {found}", entry.name, entry.version),
        "restore ringfence.lock from the project's history; where you know why its publisher is another, add the skill anew",
    )
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
