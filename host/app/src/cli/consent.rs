//! Consent: what a skill asks for and has not been granted, shown in plain words with the riskiest first, asked once where a
//! person sits at the terminal, and refused with the exact command where nobody does.
//!
//! Nothing here knows a capability: words, grants and risks are the core's.

use inquire::Select;
use inquire::type_aliases::Scorer;
use ringfence_core::plain::word as quoted;
use ringfence_core::policy::denials::{self, Denied};
use ringfence_core::policy::{Grants, Missing, Requests};
use ringfence_core::{Candidate, Error, Host, SkillRef, Tool};
use serde::Serialize;

use super::{Context, folders};
use crate::grants;
use crate::trouble::Trouble;

const ONCE: &str = "yes, for this run";
const ALWAYS: &str = "yes, always for this skill";
const NO: &str = "no";
const NEVER: &str = "no, and do not ask again";

/// The grants for one run of `skill`, which was named `target`, beside those that it holds.
pub(super) async fn settle(
    host: &Host,
    skill: &SkillRef,
    allow: Grants,
    target: &str,
    context: &Context,
) -> Result<Grants, Error> {
    let missing = context.unless_cancelled(async { Ok(host.missing(skill, &allow).await) }).await?;
    // Nobody is asked again and again about what it can do without.
    let (without, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|one| one.optional);
    if missing.is_empty() {
        return Ok(allow);
    }
    let denied = host.denied(skill, &allow).await;
    if !denied.is_empty() {
        return Err(not_again(skill, target, &denied));
    }
    if !crate::ui::can_ask() || context.json() {
        return Err(refusal(skill, target, &missing));
    }
    crate::ui::note(&format!("{} wants to:\n{}", crate::ui::printable(&skill.manifest().name), list(&missing)));
    if !without.is_empty() {
        let command = crate::ui::printable(&command_for(target, &without));
        crate::ui::note(&format!("Not asked about here; `{command}` grants it:\n{}", list(&without)));
    }
    note_costs(host, &skill.manifest().permissions).await;
    match ask("Allow it?", vec![ONCE, ALWAYS, NO, NEVER], context).await? {
        ONCE => Ok(allow.merged(all(&missing).await?)),
        ALWAYS => {
            host.grant(skill.identity(), all(&missing).await?).await?;
            Ok(allow)
        }
        NEVER => {
            host.deny(skill.identity(), &missing).await?;
            let denied = host.denied(skill, &allow).await;
            Err(not_again(skill, target, &denied))
        }
        _ => Err(refusal(skill, target, &missing)),
    }
}

/// What a person wants installed.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Everything that is requested.
    pub(super) yes: bool,
    /// These and no others.
    pub(super) allow: Option<Grants>,
    /// Nothing.
    pub(super) nothing: bool,
}

/// What a person decided about a candidate.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) grant: Grants,
    pub(super) deny: Vec<Missing>,
}

const NEEDED: &str = "install it and grant what it needs";
const ALL: &str = "install it and grant all of this";
const SOME: &str = "install it and choose one by one";
const NONE: &str = "install it and grant nothing of this";
const CANCEL: &str = "cancel";

/// Shows what a candidate asks for, and asks once what of it to grant. An error means that nothing is to be installed.
pub(super) async fn offer(
    host: &Host,
    candidate: &Candidate,
    wanted: Wanted,
    context: &Context,
) -> Result<Decision, Error> {
    if let Some(grant) = wanted.allow {
        tell(candidate, context);
        return Ok(Decision { grant, ..Decision::default() });
    }
    if wanted.yes {
        tell(candidate, context);
        // Also what is free today: a script that says yes means tomorrow as well.
        return Ok(Decision { grant: all(&host.everything_missing_of(candidate)).await?, ..Decision::default() });
    }
    let before = host.denials(candidate.skill().identity());
    let mut missing = host.missing_of(candidate, &Grants::default()).await;
    missing.retain(|one| !one.optional || !denials::cover(&before, one));
    let (without, needed): (Vec<_>, Vec<_>) = missing.iter().cloned().partition(|one| one.optional);
    let unattended = !crate::ui::can_ask() || context.json();
    if missing.is_empty() || wanted.nothing || (unattended && needed.is_empty()) {
        tell(candidate, context);
        return Ok(Decision::default());
    }
    if unattended {
        tell(candidate, context);
        return Err(refused_unattended(candidate, &needed, &without));
    }
    crate::ui::note(&presented(candidate, &missing, &before));
    note_costs(host, &candidate.skill().manifest().permissions).await;
    // Enter alone grants what it needs and nothing that it can do without.
    let answers = match (needed.is_empty(), without.is_empty()) {
        (false, true) => vec![ALL, SOME, NONE, CANCEL],
        (false, false) => vec![NEEDED, ALL, SOME, NONE, CANCEL],
        (true, _) => vec![NONE, ALL, SOME, CANCEL],
    };
    match ask("Install it?", answers, context).await? {
        NEEDED => Ok(Decision { grant: all(&needed).await?, ..Decision::default() }),
        ALL => Ok(Decision { grant: all(&missing).await?, ..Decision::default() }),
        SOME => one_by_one(&missing, context).await,
        NONE => Ok(Decision::default()),
        _ => Err(Trouble::new("cancelled", "nothing was installed", "run it again when you like")),
    }
}

/// Sees to it that a candidate does not come into the place of something else unseen: it would have the other one's grants, secrets and
/// data, and the name alone is anybody's to choose. `source` is where it was fetched from.
pub(super) async fn succeed(
    candidate: &Candidate,
    source: &str,
    wanted: &Wanted,
    context: &Context,
) -> Result<(), Error> {
    const REPLACE: &str = "put it in its place";
    let Some(before) = candidate.supplants(source) else { return Ok(()) };
    let name = quoted(candidate.skill().identity());
    let kept = candidate.kept().words().join(" ");
    let (from, at) = (crate::ui::printable(&before.source), crate::ui::printable(source));
    let mut text = format!("{name} is installed already, from {from}; this one is another file, from {at}.");
    text += " It would have all that the other one has kept";
    if !kept.is_empty() {
        text += &format!(", and may do what that one was granted: {}", crate::ui::printable(&kept));
    }
    if wanted.yes || wanted.nothing || wanted.allow.is_some() {
        if !context.quiet {
            crate::ui::note(&text.replace(" It would have ", " It has now "));
        }
        return Ok(());
    }
    if !crate::ui::can_ask() || context.json() {
        return Err(Trouble::new(
            "conflict",
            text,
            format!(
                "say `--yes`, `--allow GRANT` or `--grant-nothing` where that is meant, or `ringfence remove {name} --purge` first"
            ),
        ));
    }
    crate::ui::note(&text);
    match ask("Replace it?", vec![CANCEL, REPLACE], context).await? {
        REPLACE => Ok(()),
        _ => Err(Trouble::new("cancelled", "nothing was installed", "run it again when you like")),
    }
}

/// As [`offer`], for a newer version that nobody has asked for by its place. What it asks for beyond the old one is never taken
/// for granted, also where granting it would cost nothing.
pub(super) async fn widen(
    host: &Host,
    candidate: &Candidate,
    wanted: Wanted,
    context: &Context,
) -> Result<Decision, Error> {
    const UPDATE: &str = "update it";
    if (candidate.more().is_empty() && candidate.imports().new.is_empty()) || wanted.yes || wanted.nothing {
        return offer(host, candidate, wanted, context).await;
    }
    let name = candidate.skill().identity().to_owned();
    if !crate::ui::can_ask() || context.json() {
        tell(candidate, context);
        let mut words: Vec<_> = candidate.more().iter().map(|one| one.words.clone()).collect();
        words.extend(imported(&candidate.imports().new).map(|names| format!("import {names}")));
        let name = quoted(&name);
        return Err(Trouble::new(
            "permission-widened",
            format!(
                "{name} {} was not installed: it asks for more than the version before it: {}",
                candidate.skill().manifest().version,
                crate::ui::printable(&words.join("; "))
            ),
            format!("say `ringfence update {name} --yes` to grant that, or `ringfence update {name} --grant-nothing`"),
        ));
    }
    let missing = host.missing_of(candidate, &Grants::default()).await;
    if !missing.is_empty() {
        return offer(host, candidate, wanted, context).await;
    }
    crate::ui::note(&presented(candidate, &missing, &host.denials(&name)));
    match ask("Update it?", vec![CANCEL, UPDATE], context).await? {
        UPDATE => Ok(Decision::default()),
        _ => Err(Trouble::new("cancelled", "nothing was installed", "run it again when you like")),
    }
}

async fn one_by_one(missing: &[Missing], context: &Context) -> Result<Decision, Error> {
    const YES: &str = "yes";
    let mut decision = Decision::default();
    for one in missing {
        let without = if one.optional { WITHOUT } else { "" };
        let question = format!("Grant `{}`{without}?", crate::ui::printable(&one.grant));
        match ask(&question, vec![YES, NO, NEVER], context).await? {
            YES => decision.grant = decision.grant.merged(all(std::slice::from_ref(one)).await?),
            NEVER => decision.deny.push(one.clone()),
            _ => {}
        }
    }
    Ok(decision)
}

/// What is typed chooses among the answers that begin with it. Letters found anywhere, as the library has it, would take an `n` for a yes
/// that has one in it; what begins none of them chooses nothing.
const BEGINS: Scorer<'static, &'static str> = &|typed, _, answer, at| {
    let typed = typed.trim().to_lowercase();
    answer.to_lowercase().starts_with(&typed).then(|| -i64::try_from(at).unwrap_or(i64::MAX))
};

/// One question with the first answer chosen. Nothing happens where it is waved away, by Ctrl-C and Escape at the prompt or by
/// a signal that ends the program.
pub(super) async fn ask(question: &str, answers: Vec<&'static str>, context: &Context) -> Result<&'static str, Error> {
    let question = question.to_owned();
    let answer = tokio::task::spawn_blocking(move || Select::new(&question, answers).with_scorer(BEGINS).prompt());
    let answer = tokio::select! {
        answer = answer => answer.ok().and_then(Result::ok),
        () = context.cancel.cancelled() => {
            // The prompt goes on waiting on its thread and would leave the terminal without echo.
            drop(crossterm::terminal::disable_raw_mode());
            drop(crossterm::execute!(std::io::stderr(), crossterm::cursor::Show));
            None
        }
    };
    answer
        .ok_or_else(|| Trouble::new("cancelled", "nobody answered, so nothing was done", "run it again when you like"))
}

/// Everything that is missing, as grants. What only a person can say is asked for.
pub(super) async fn all(missing: &[Missing]) -> Result<Grants, Error> {
    grants::parse(&folders::chosen(missing, crate::ui::can_ask()).await?, None)
}

/// The same where the terminal belongs to something else, so that nothing can be asked for.
pub(super) async fn all_unasked(missing: &[Missing]) -> Result<Grants, Error> {
    grants::parse(&folders::chosen(missing, false).await?, None)
}

/// The skill as a person sees it before it is installed.
fn presented(candidate: &Candidate, missing: &[Missing], denied: &[Denied]) -> String {
    let manifest = candidate.skill().manifest();
    let mut text = format!("{} {}", manifest.name, manifest.version);
    if let Some(before) = candidate.before() {
        text += &format!(", in place of {}", before.manifest.version);
    }
    text += &format!("\nIt says of itself: \"{}\"\n", manifest.description);
    text += &differences(candidate);
    let kept = candidate.kept().words();
    if !kept.is_empty() {
        text += &format!("It keeps what it was granted before: {}\n", kept.join(" "));
    }
    if !denied.is_empty() {
        text += &format!("You have refused it before: {}\n", wanted(denied));
    }
    let wants = if missing.is_empty() { String::new() } else { format!("It wants to:\n{}", list(missing)) };
    crate::ui::printable(&(text + &wants).replace("\n\n", "\n"))
}

/// What is new of something and what is there no longer.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Changed {
    new: Vec<String>,
    gone: Vec<String>,
}

/// How a version differs from the one in whose place it comes.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Changes {
    /// What it asks for, in words.
    permissions: Changed,
    tools: Changed,
    imports: Changed,
}

impl Changes {
    pub(super) fn of(candidate: &Candidate) -> Self {
        let words = |asked: &[Missing]| asked.iter().map(|one| one.words.clone()).collect();
        let Some(before) = candidate.before() else { return Self::default() };
        let (had, has) = (&before.tools, candidate.skill().tools());
        let lacks = |all: &[Tool], name: &str| all.iter().all(|tool| tool.name != name);
        let only = |of: &[Tool], not_in: &[Tool]| {
            let names = of.iter().map(|tool| tool.name.clone());
            names.filter(|name| lacks(not_in, name)).collect()
        };
        Self {
            permissions: Changed { new: words(candidate.more()), gone: words(candidate.less()) },
            tools: Changed { new: only(&has, had), gone: only(had, &has) },
            imports: Changed { new: candidate.imports().new.clone(), gone: candidate.imports().gone.clone() },
        }
    }
}

/// Says what a version changes where no person is asked about it. Nothing where there is no version before it, or no difference.
fn tell(candidate: &Candidate, context: &Context) {
    let (text, manifest) = (differences(candidate), candidate.skill().manifest());
    if let Some(before) = candidate.before().filter(|_| !text.is_empty() && !context.quiet) {
        let head = format!("{} {}, in place of {}\n", manifest.name, manifest.version, before.manifest.version);
        crate::ui::note(crate::ui::printable(&(head + &text)).trim_end());
    }
}

/// The same for a person, the riskiest first.
fn differences(candidate: &Candidate) -> String {
    let Changes { tools, .. } = Changes::of(candidate);
    let mut text = String::new();
    if !candidate.more().is_empty() {
        text += &format!("It asks for more than the version before it:\n{}", list(candidate.more()));
    }
    if !candidate.less().is_empty() {
        text += &format!("It no longer asks for:\n{}", list(candidate.less()));
    }
    if !tools.new.is_empty() {
        text += &format!("Tools that the version before it did not have: {}\n", tools.new.join(", "));
    }
    if !tools.gone.is_empty() {
        text += &format!("Tools that it no longer has: {}\n", tools.gone.join(", "));
    }
    if let Some(names) = imported(&candidate.imports().new) {
        text += &format!("It imports what the version before it did not: {names}\n");
    }
    if let Some(names) = imported(&candidate.imports().gone) {
        text += &format!("It no longer imports: {names}\n");
    }
    text
}

/// Names of interfaces, which are a stranger's words, in one line. None where there are none.
fn imported(names: &[String]) -> Option<String> {
    const MOST: usize = 12;
    let shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    let rest = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| crate::ui::printable(&shown.join(", ")).replace('\n', " ") + &rest)
}

async fn note_costs(host: &Host, requests: &Requests) {
    let costs = host.costs(requests).await;
    if !costs.is_empty() {
        let lines: String = costs.iter().map(|cost| format!("  - {}\n", crate::ui::printable(cost))).collect();
        crate::ui::note(&format!("What it can cost:\n{lines}"));
    }
}

fn refused_unattended(candidate: &Candidate, needed: &[Missing], without: &[Missing]) -> Error {
    let words: Vec<_> = needed.iter().map(|one| one.words.as_str()).collect();
    let what = match candidate.more().iter().any(|one| !one.optional) {
        false => "it asks for what nobody has granted",
        true => "it asks for more than the version before it",
    };
    let without = match without.is_empty() {
        true => String::new(),
        false => format!("; it can do without `{}`", allows(without)),
    };
    Trouble::new(
        "denied",
        format!("{} was not installed: {what}: {}", candidate.skill().identity(), words.join("; ")),
        format!(
            "say `--yes` to grant all of that, `{}` for exactly what you want, or `--grant-nothing`{without}",
            allows(needed)
        ),
    )
}

/// As flags: `--allow kv --allow model=default`.
fn allows(missing: &[Missing]) -> String {
    let flags: Vec<_> = missing.iter().map(|one| format!("--allow {}", quoted(&one.grant))).collect();
    flags.join(" ")
}

fn refusal(skill: &SkillRef, target: &str, missing: &[Missing]) -> Error {
    let wanted: Vec<_> = missing.iter().map(|request| request.words.as_str()).collect();
    Trouble::new(
        "denied",
        format!("{} has not been granted what it needs: {}", skill.manifest().name, wanted.join("; ")),
        format!("allow it with `{}`, or once with `{}`", command_for(target, missing), allows(missing)),
    )
}

/// A person said not to ask again.
fn not_again(skill: &SkillRef, target: &str, denied: &[Denied]) -> Error {
    let words: Vec<_> = denied.iter().map(|one| quoted(&one.wanted)).collect();
    let target = quoted(target);
    Trouble::new(
        "denied",
        format!(
            "{} was refused what it needs for good, so nobody is asked again: {}",
            skill.manifest().name,
            wanted(denied)
        ),
        format!(
            "allow it after all with `ringfence grant {target} {}`, or be asked again after `ringfence revoke {target} {}`",
            words.join(" "),
            denied.first().map(|one| one.capability.as_str()).unwrap_or_default(),
        ),
    )
}

fn wanted(denied: &[Denied]) -> String {
    denied.iter().map(|one| one.wanted.as_str()).collect::<Vec<_>>().join(" ")
}

/// What is not granted, with the command that grants it for good: what the skill needs, and what it can do without.
pub(super) fn commands(skill: &SkillRef, missing: &[Missing]) -> String {
    let (without, needed): (Vec<_>, Vec<_>) = missing.iter().cloned().partition(|one| one.optional);
    let told = |what: &str, missing: &[Missing]| match missing.is_empty() {
        true => String::new(),
        false => format!("{what}\n  {}\n", command_for(skill.identity(), missing)),
    };
    told("Not granted yet; to grant it all:", &needed)
        + &told("Not granted, and it can do without; to grant it:", &without)
}

fn command_for(target: &str, missing: &[Missing]) -> String {
    let words: Vec<_> = missing.iter().map(|request| quoted(&request.grant)).collect();
    format!("ringfence grant {} {}", quoted(target), words.join(" "))
}

/// What is missing as lines for a person, in the host's order: the riskiest first. Reasons are a stranger's words, and
/// are shown as such.
pub(super) fn list(missing: &[Missing]) -> String {
    missing.iter().map(|one| line(&one.words, &one.reason, one.optional)).collect()
}

/// All that a manifest requests, granted or not.
pub(super) fn wishes(requests: &Requests) -> String {
    let text: String = requests.wishes().iter().map(|wish| line(&wish.words, &wish.reason, wish.optional)).collect();
    if text.is_empty() { "  nothing\n".into() } else { text }
}

/// What stands behind what is optional.
const WITHOUT: &str = ", which it can do without";

fn line(words: &str, reason: &str, optional: bool) -> String {
    let without = if optional { WITHOUT } else { "" };
    let reason = if reason.is_empty() { String::new() } else { format!(" (it says: \"{reason}\")") };
    crate::ui::printable(&format!("  - {words}{without}{reason}")).replace('\n', " ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_quoted_and_cannot_drive_the_terminal() {
        let one = |words: &str, reason: &str| Missing {
            capability: "model",
            grant: "model=default".into(),
            words: words.into(),
            reason: reason.into(),
            risk: 0,
            optional: words == "keep state",
        };
        let text = list(&[one("send your text to models", "to summarise\n\x1b[2J"), one("keep state", "")]);
        let shown = "  - send your text to models (it says: \"to summarise \u{fffd}[2J\")\n  - keep state, which it can do without\n";
        assert_eq!(text, shown);
        assert_eq!(wishes(&Requests::default()), "  nothing\n");
    }
}
