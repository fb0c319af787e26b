//! A skill on its way in: named somehow, built, read or fetched, and not yet looked into.

use std::path::PathBuf;

use ringfence_core::Error;
use ringfence_core::catalog::Incoming;
use ringfence_core::catalog::signature::SourceKind;
use ringfence_core::catalog::source::{
    Age, Digest, Fetched, Index, Listed, Named, Reference, Release, SourceError, alike,
};

use super::target::Target;
use super::{Context, build, consent};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// What has arrived.
pub(super) struct Arrived {
    pub(super) incoming: Incoming,
    pub(super) digest: Digest,
    /// As it was asked for.
    pub(super) reference: Reference,
    /// What names exactly this.
    pub(super) exact: String,
}

impl Arrived {
    fn of(fetched: Fetched, reference: Reference) -> Self {
        let Fetched { incoming, digest, exact } = fetched;
        Self { incoming, digest, reference, exact }
    }
}

/// Reads what somebody named.
pub(super) fn parse(text: &str) -> Result<Reference, Error> {
    Ok(Reference::parse(text, |path| path.is_dir())?)
}

/// Brings it here. `confirmed` says that a name which is near to a better known one is meant all the same.
pub(super) async fn fetch(
    reference: Reference,
    confirmed: bool,
    context: &Context,
    line: &Line,
) -> Result<Arrived, Error> {
    let sources = context.config.sources();
    match &reference {
        Reference::Path(path) => match Target::find(&as_path(path))? {
            Target::Folder(folder) => {
                let host = context.host().await?;
                let file = build::fresh(&host, &folder, context, line).await?;
                host.close().await?;
                let mut fetched = sources.fetch(&Reference::Path(file), None).await?;
                fetched.incoming.kind = SourceKind::Folder;
                Ok(Arrived::of(fetched, Reference::Path(folder)))
            }
            Target::AgentSkill(folder) => {
                let host = context.host().await?;
                let incoming = context.unless_cancelled(host.incoming_agent_skill(&folder, Some(line.steps()))).await?;
                host.close().await?;
                let (digest, exact) = (Digest::of(&incoming.bytes), incoming.source.clone());
                Ok(Arrived { incoming, digest, reference: Reference::Path(folder), exact })
            }
            Target::File(file) => {
                let fetched = sources.fetch(&Reference::Path(file.clone()), None).await?;
                Ok(Arrived::of(fetched, Reference::Path(file)))
            }
            Target::Installed(name) => Err(SourceError::NoIndex { name }.into()),
        },
        Reference::Named(named) => {
            let (index, listed, release) = find(named, confirmed, context, line).await?;
            crate::ui::note(&introduced(&index, &listed, &release));
            let steps = Some(line.steps());
            online(&release.reference, context)?;
            let mut fetched = context.unless_cancelled(sources.fetch_listed(&release, &index, steps)).await?;
            // So that an update looks into the index again.
            fetched.incoming.source = named.to_string();
            Ok(Arrived::of(fetched, reference))
        }
        Reference::Https(_) | Reference::Oci(_) => {
            online(&reference, context)?;
            let fetched = context.unless_cancelled(sources.fetch(&reference, Some(line.steps()))).await?;
            Ok(Arrived::of(fetched, reference))
        }
    }
}

/// A path with a `/` in it, so that it is taken for nothing else.
fn as_path(path: &std::path::Path) -> String {
    let text = path.to_string_lossy().into_owned();
    if text.contains('/') { text } else { format!("./{text}") }
}

/// Whether something may be fetched at all.
pub(super) fn online(reference: &Reference, context: &Context) -> Result<(), Error> {
    match (reference, context.offline) {
        (Reference::Path(_), _) | (_, false) => Ok(()),
        _ => Err(Trouble::new(
            "unavailable",
            format!("{reference} would have to be fetched, and `--offline` forbids it"),
            "leave `--offline` out, or name a file",
        )),
    }
}

/// The index that is configured, looked at: no older one than was seen, and told how old it is.
pub(super) async fn index(
    context: &Context,
    line: &Line,
    installing: bool,
) -> Result<Option<(Index, Vec<String>)>, Error> {
    let sources = context.config.sources();
    let place = context.config.settings.catalog.index.as_deref();
    if let Some(place) = place
        && let Ok(reference) = Reference::parse(place, |_| true)
    {
        online(&reference, context)?;
    }
    let Some(index) = context.unless_cancelled(sources.index(Some(line.steps()))).await? else { return Ok(None) };
    line.clear();
    let host = context.host().await?;
    let age = host.heed(&index).await;
    let installed = host.list().await?.into_iter().map(|skill| skill.name).collect();
    host.close().await?;
    match age? {
        Ok(Age::Fresh) => {}
        Ok(Age::Stale(days)) => crate::ui::note(&format!(
            "the index {} has expired {days} days ago; nothing is installed from it any more after 30",
            crate::ui::printable(index.place())
        )),
        Err(error) if installing => return Err(error.into()),
        Err(error) => crate::ui::note(&crate::ui::printable(&error.to_string())),
    }
    Ok(Some((index, installed)))
}

async fn find(
    named: &Named,
    confirmed: bool,
    context: &Context,
    line: &Line,
) -> Result<(Index, Listed, Release), Error> {
    let found = index(context, line, true).await?;
    let (index, installed) = found.ok_or_else(|| SourceError::NoIndex { name: named.name.clone() })?;
    let (listed, release) = index.find(named)?;
    let (listed, release) = (listed.clone(), release.clone());
    let mut near = alike(&named.name, installed.iter().map(String::as_str));
    near.extend(index.better_known(&named.name).into_iter().filter(|name| !near.contains(name)).collect::<Vec<_>>());
    // Whoever has it installed has been asked.
    if !installed.contains(&named.name) && !near.is_empty() && !confirmed {
        confirm(&index, &listed, &release, &near, context).await?;
    }
    Ok((index, listed, release))
}

/// Asks whether a name is the one that is meant.
async fn confirm(
    index: &Index,
    listed: &Listed,
    release: &Release,
    near: &[String],
    context: &Context,
) -> Result<(), Error> {
    const YES: &str = "yes, this one";
    const NO: &str = "no";
    let near = format!("`{}`", near.join("`, `"));
    let text = format!("`{}` is easily taken for {near}", listed.name);
    if !crate::ui::can_ask() || context.json() {
        return Err(Trouble::new(
            "name-confusable",
            format!("{text}, and nobody can be asked which one is meant"),
            "say `--confirm-name` where it is this one",
        ));
    }
    crate::ui::note(&format!("{}\n{text}.", introduced(index, listed, release)));
    match consent::ask("Is it the one you mean?", vec![NO, YES], context).await? {
        YES => Ok(()),
        _ => Err(Trouble::new("cancelled", "nothing was installed", format!("did you mean {near}?"))),
    }
}

/// Who says what it is: name, index, publisher and place.
fn introduced(index: &Index, listed: &Listed, release: &Release) -> String {
    let publisher = listed.publisher.as_deref().unwrap_or("nobody it names");
    crate::ui::printable(&format!(
        "{} {} of the index {}\n  published by {publisher}\n  from {}",
        listed.name,
        release.version,
        index.place(),
        release.reference
    ))
}

/// The file of a skill that is to be published: a folder is built.
pub(super) async fn file(text: &str, context: &Context, line: &Line) -> Result<PathBuf, Error> {
    match Target::find(text)? {
        Target::Folder(folder) => {
            let host = context.host().await?;
            let file = build::fresh(&host, &folder, context, line).await?;
            host.close().await?;
            Ok(file)
        }
        Target::AgentSkill(folder) => Err(Trouble::new(
            "not-found",
            format!("{} is an Agent Skill, and a registry takes components", folder.display()),
            "name the .wasm file that it carries",
        )),
        Target::File(file) => Ok(file),
        Target::Installed(name) => Err(Trouble::new(
            "not-found",
            format!("`{name}` is no folder and no .wasm file"),
            format!("write `./{name}` for a file of that name here"),
        )),
    }
}
