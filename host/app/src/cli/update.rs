use ringfence_core::catalog::Installed;
use ringfence_core::catalog::source::{Digest, Fetched, Held, Index, Newer, Other, Reference, Release};
use ringfence_core::plain::word as quoted;
use ringfence_core::{Candidate, Error};
use serde::Serialize;

use super::consent::{self, Changes, Wanted};
use super::lock::{self, Project};
use super::source::Arrived;
use super::{Context, add, publisher, source};
use crate::trouble::Trouble;
use crate::ui::progress::Line;
use crate::ui::table;

/// Install newer versions of skills, from where they came from
///
/// Shows what a new version asks for beyond the old one, and what else of it is new or went away. Nothing of that is granted by itself: a
/// person is asked, and a script says --yes or --grant-nothing, or the skill stays as it is. What a person named by digest, and what was
/// taken back to an older version at its source, stays as well.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These skills; all where none is named
    skills: Vec<String>,
    /// Grant everything that the new versions ask for
    #[arg(long, conflicts_with = "grant_nothing")]
    yes: bool,
    /// Install them and grant nothing that is new
    #[arg(long)]
    grant_nothing: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    publisher: publisher::Flags,
    #[command(flatten)]
    fixed: lock::Args,
}

/// What there is for one skill.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) installed: String,
    pub(super) state: State,
    /// The newer one, as far as its source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) available: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    pub(super) source: String,
    /// Why it is as it is, where that is a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// How the one that was installed differs from the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<Changes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Current,
    Pinned,
    Newer,
    Updated,
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pinned => "named by digest",
            Self::Newer => "newer",
            Self::Updated => "updated",
            Self::Failed => "failed",
        }
    }
}

/// Where the newer one is.
pub(super) enum There {
    Fetched(Box<Fetched>),
    At(Reference),
    Listed(Release),
}

/// A skill to look at, with what was found.
type Look = (Row, Option<Result<There, Error>>);

/// Looks for newer versions of the skills of these names, or of all. One that cannot be looked at keeps none of the others back.
pub(super) async fn look(
    names: &[String],
    context: &Context,
    line: &Line,
) -> Result<(Vec<Look>, Option<Index>), Error> {
    let (chosen, index) = chosen(names, context, line).await?;
    let mut rows = Vec::new();
    for skill in &chosen {
        rows.push(look_at(skill, index.as_ref(), context, line).await);
        if context.cancel.is_cancelled() {
            return Err(Trouble::new("cancelled", "stopped by you", "run it again when you like"));
        }
    }
    Ok((rows, index))
}

/// The installed skills of these names, and the index where one of them came from it.
async fn chosen(names: &[String], context: &Context, line: &Line) -> Result<(Vec<Installed>, Option<Index>), Error> {
    let host = context.host().await?;
    for name in names {
        super::target::installed(&host, name).await?;
    }
    let all = host.list().await?;
    host.close().await?;
    let chosen: Vec<_> = all.into_iter().filter(|one| names.is_empty() || names.contains(&one.name)).collect();
    let by_name = |skill: &Installed| matches!(Reference::parse(&skill.source, |_| false), Ok(Reference::Named(_)));
    let index = match chosen.iter().any(by_name) {
        true => source::index(context, line, true).await?.map(|(index, _)| index),
        false => None,
    };
    Ok((chosen, index))
}

async fn look_at(skill: &Installed, index: Option<&Index>, context: &Context, line: &Line) -> Look {
    let mut row = Row {
        name: skill.name.clone(),
        installed: skill.manifest.version.to_string(),
        state: State::Current,
        available: None,
        digest: None,
        source: skill.source.clone(),
        reason: None,
        changes: None,
    };
    match newer(skill, index, context, line).await {
        Ok(Newer::Same) => (row, None),
        Ok(Newer::Pinned) => {
            row.state = State::Pinned;
            (row, None)
        }
        Ok(Newer::There(other)) => {
            let Other { reference, version, digest, fetched } = *other;
            row.state = State::Newer;
            row.available = version.map(|version| version.to_string());
            row.digest = Some(digest.clone());
            let listed = match (&reference, index) {
                (Reference::Named(named), Some(index)) => index.find(named).ok().map(|(_, release)| release.clone()),
                _ => None,
            };
            let there = match (fetched, listed) {
                (Some(fetched), _) => There::Fetched(Box::new(fetched)),
                (None, Some(release)) => There::Listed(release),
                (None, None) => There::At(reference),
            };
            (row, Some(Ok(there)))
        }
        Err(error) => {
            row.state = State::Failed;
            row.reason = Some(error.to_string());
            (row, Some(Err(error)))
        }
    }
}

async fn newer(skill: &Installed, index: Option<&Index>, context: &Context, line: &Line) -> Result<Newer, Error> {
    let source = Reference::parse(&skill.source, |_| false)?;
    source::online(&source, context)?;
    if let (Reference::Named(named), Some(index)) = (&source, index) {
        let (_, release) = index.find(named)?;
        let (version, digest) = (release.version.clone(), release.digest.clone());
        // Taken back, or another index: an older one is no update.
        if digest.as_str() == skill.digest || version < skill.manifest.version {
            return Ok(Newer::Same);
        }
        return Ok(Newer::There(Box::new(Other { reference: source, version: Some(version), digest, fetched: None })));
    }
    if matches!(&source, Reference::Path(path) if path.is_dir()) {
        // An Agent Skill, which carries its component.
        let Arrived { incoming, digest, exact, .. } = source::fetch(source.clone(), true, context, line).await?;
        return Ok(match digest.as_str() == skill.digest {
            true => Newer::Same,
            false => {
                let fetched = Some(Fetched { incoming, digest: digest.clone(), exact });
                Newer::There(Box::new(Other { reference: source, version: None, digest, fetched }))
            }
        });
    }
    let held = Held { version: &skill.manifest.version, digest: &skill.digest };
    context.unless_cancelled(context.config.sources().newer(&source, &held, Some(line.steps()))).await
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let mut project = Project::open(args.fixed, false, context)?;
    if args.fixed.frozen {
        return Err(Trouble::input("an update without fetching is none", "leave `--frozen` out"));
    }
    let line = Line::new(context.quiet);
    let (found, index) = look(&args.skills, context, &line).await?;
    let (mut rows, mut failed) = (Vec::new(), None);
    for (mut row, there) in found {
        let done = match there {
            None => Ok(()),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) if args.dry_run => Ok(()),
            Some(Ok(there)) => {
                let wanted = Wanted { yes: args.yes, allow: None, nothing: args.grant_nothing };
                let update = Update { name: &row.name, there, index: index.as_ref() };
                let done = apply(update, wanted, &args.publisher, project.as_mut(), context, &line).await;
                done.map(|(version, changes)| {
                    (row.state, row.available, row.changes) = (State::Updated, Some(version), Some(changes));
                })
            }
        };
        if let Err(error) = done {
            if error.kind() == "cancelled" {
                return Err(error);
            }
            (row.state, row.reason) = (State::Failed, Some(error.to_string()));
            // The first is the answer of the program; of the others the table tells.
            failed = failed.or(Some(error));
        }
        rows.push(row);
    }
    line.clear();
    match failed {
        // A script gets one value: the error.
        Some(error) if context.json() => Err(error),
        Some(error) => {
            for row in rows.iter().filter(|row| row.state == State::Updated) {
                crate::ui::note(&format!("updated {} from {} to {}", row.name, row.installed, available(row)));
            }
            Err(error)
        }
        None => print(&rows, context),
    }
}

struct Update<'a> {
    name: &'a str,
    there: There,
    index: Option<&'a Index>,
}

/// Installs a newer one, and gives its version and how it differs.
async fn apply(
    update: Update<'_>,
    wanted: Wanted,
    flags: &publisher::Flags,
    project: Option<&mut Project>,
    context: &Context,
    line: &Line,
) -> Result<(String, Changes), Error> {
    let sources = context.config.sources();
    let fetched = match (update.there, update.index) {
        (There::Fetched(fetched), _) => *fetched,
        (There::Listed(release), Some(index)) => {
            context.unless_cancelled(sources.fetch_listed(&release, index, Some(line.steps()))).await?
        }
        (There::At(reference), _) => context.unless_cancelled(sources.fetch(&reference, Some(line.steps()))).await?,
        (There::Listed(release), None) => {
            context.unless_cancelled(sources.fetch(&release.reference, Some(line.steps()))).await?
        }
    };
    let host = context.host().await?;
    let Fetched { mut incoming, exact, .. } = fetched;
    if let Some(before) = host.list().await?.into_iter().find(|one| one.name == update.name)
        && matches!(Reference::parse(&before.source, |_| false), Ok(Reference::Named(_)))
    {
        incoming.source = before.source;
    }
    let reference = Reference::parse(&incoming.source, |_| false)?;
    let candidate = publisher::considered(&host, incoming, flags, context, line).await?;
    let decided = match fits(update.name, &candidate, project.as_deref()) {
        Ok(()) => consent::widen(&host, &candidate, wanted, context).await,
        Err(error) => Err(error),
    };
    let decision = match decided {
        Ok(decision) => decision,
        Err(error) => {
            host.close().await?;
            return Err(error);
        }
    };
    let (version, changes) = (candidate.skill().manifest().version.to_string(), Changes::of(&candidate));
    let name = add::install(&host, candidate, decision).await?;
    if let Some(project) = project.filter(|project| project.lock.get(&name).is_some()) {
        let skill = host.load_installed(&name, Some(line.steps())).await?;
        project.put(host.locked(&skill, &reference, Some(exact)).await?)?;
    }
    host.close().await?;
    Ok((version, changes))
}

/// Whether a candidate is an update of what it is meant to follow.
fn fits(name: &str, candidate: &Candidate, project: Option<&Project>) -> Result<(), Error> {
    let manifest = candidate.skill().manifest();
    if manifest.name != name {
        return Err(Trouble::new(
            "denied",
            format!("what is at the source of `{name}` now calls itself `{}`", manifest.name),
            "install it under that name with `ringfence add`, where you trust it",
        ));
    }
    if let Some(before) = candidate.before().filter(|before| manifest.version < before.manifest.version) {
        let source = quoted(&before.source);
        return Err(Trouble::new(
            "rollback-refused",
            format!(
                "{name} {} at its source is older than {}, which is installed",
                manifest.version, before.manifest.version
            ),
            format!("where you want it all the same, install it with `ringfence add {source}`"),
        ));
    }
    project.map_or(Ok(()), |project| project.admits(candidate.skill()))
}

pub(super) fn print(rows: &[Row], context: &Context) -> Result<(), Error> {
    if context.json() {
        return crate::ui::print_json(&rows);
    }
    if rows.is_empty() {
        crate::ui::note("no skill is installed; `ringfence add SKILL` installs one");
        return Ok(());
    }
    let mut table = table::table(["NAME", "INSTALLED", "AVAILABLE", "STATE", "SOURCE"]);
    for row in rows {
        let state = match &row.reason {
            Some(reason) => format!("{}: {reason}", row.state.word()),
            None => row.state.word().to_owned(),
        };
        let cells = [row.name.clone(), row.installed.clone(), available(row), state, row.source.clone()];
        table.add_row(cells.map(|cell| crate::ui::printable(&cell)));
    }
    crate::ui::print(&table::text(&table))
}

/// The version, or the beginning of the digest where its source tells none.
fn available(row: &Row) -> String {
    let digest = || row.digest.as_ref().map(|digest| digest.as_str().chars().take(19).collect());
    row.available.clone().or_else(digest).unwrap_or_default()
}
