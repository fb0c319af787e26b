//! What a skill asks for and has not been granted: shown in plain words with the riskiest first, asked once where a person
//! sits at the terminal, and refused with the exact command where nobody does.

use inquire::Select;
use ringfence_core::policy::manifest::Requests;
use ringfence_core::policy::{Grants, Missing};
use ringfence_core::{Error, Host, SkillRef};

use super::Args;
use crate::cli::{Context, grants};
use crate::trouble::Trouble;

const ONCE: &str = "yes, for this run";
const ALWAYS: &str = "yes, always for this skill";
const NO: &str = "no";

/// The grants for this run, beside those that the skill holds.
pub(super) async fn settle(
    host: &Host,
    skill: &SkillRef,
    allow: Grants,
    args: &Args,
    context: &Context,
) -> Result<Grants, Error> {
    let missing = context.unless_cancelled(async { Ok(host.missing(skill, &allow).await) }).await?;
    if missing.is_empty() {
        return Ok(allow);
    }
    if !crate::ui::can_ask() || context.json() {
        return Err(refusal(skill, args.target.as_deref(), &missing));
    }
    crate::ui::note(&format!("{} wants to:\n{}", crate::ui::printable(&skill.manifest().name), list(&missing)));
    let words: Vec<String> = missing.iter().map(|request| request.grant.clone()).collect();
    match ask(context).await {
        Some(ONCE) => merged(allow, &words),
        Some(ALWAYS) => {
            host.grant(skill.identity(), grants::parse(&words, None)?).await?;
            Ok(allow)
        }
        Some(_) => Err(refusal(skill, args.target.as_deref(), &missing)),
        None => Err(Trouble::new("cancelled", "nobody answered, so nothing was run", "run it again when you like")),
    }
}

/// None where the person gave no answer: Ctrl-C and Escape at the prompt, or a signal that ends the program.
async fn ask(context: &Context) -> Option<&'static str> {
    let answer = tokio::task::spawn_blocking(|| Select::new("Allow it?", vec![ONCE, ALWAYS, NO]).prompt());
    tokio::select! {
        answer = answer => answer.ok()?.ok(),
        () = context.cancel.cancelled() => {
            // The prompt goes on waiting on its thread and would leave the terminal without echo.
            drop(crossterm::terminal::disable_raw_mode());
            drop(crossterm::execute!(std::io::stderr(), crossterm::cursor::Show));
            None
        }
    }
}

fn merged(allow: Grants, words: &[String]) -> Result<Grants, Error> {
    let mut all = grants::words(&allow);
    all.retain(|word| !word.starts_with("--"));
    all.extend(words.iter().cloned());
    grants::parse(&all, allow.model.and_then(|model| model.max_tokens))
}

fn refusal(skill: &SkillRef, target: Option<&str>, missing: &[Missing]) -> Error {
    let wanted: Vec<_> = missing.iter().map(|request| request.words.as_str()).collect();
    let once: Vec<_> = missing.iter().map(|request| format!("--allow {}", request.grant)).collect();
    Trouble::new(
        "denied",
        format!("{} has not been granted what it needs: {}", skill.manifest().name, wanted.join("; ")),
        format!("allow it with `{}`, or once with `{}`", command_for(target, skill, missing), once.join(" ")),
    )
}

/// The command that grants all of `missing` for good.
pub(in crate::cli) fn command(skill: &SkillRef, missing: &[Missing]) -> String {
    command_for(None, skill, missing)
}

fn command_for(target: Option<&str>, skill: &SkillRef, missing: &[Missing]) -> String {
    let words: Vec<_> = missing.iter().map(|request| request.grant.as_str()).collect();
    format!("ringfence grant {} {}", quoted(target.unwrap_or(skill.identity())), words.join(" "))
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "-_./@:+=,".contains(c));
    if plain && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// What is missing as lines for a person, in the host's order: the riskiest first. Reasons are a stranger's words, and
/// are shown as such.
fn list(missing: &[Missing]) -> String {
    missing.iter().map(|one| line(&one.words, &one.reason)).collect()
}

/// All that a manifest requests, granted or not.
pub(in crate::cli) fn wishes(requests: &Requests) -> String {
    let mut text = String::new();
    if let Some(model) = &requests.model {
        let options = if model.provider_options { ", with options of its own" } else { "" };
        text += &line(&format!("send what you give it to models: {}{options}", model.models.join(", ")), &model.reason);
    }
    if let Some(kv) = &requests.kv {
        text += &line("keep data of its own on this machine between calls", &kv.reason);
    }
    if text.is_empty() { "  nothing\n".into() } else { text }
}

fn line(words: &str, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(" (it says: \"{reason}\")") };
    crate::ui::printable(&format!("  - {words}{reason}")).replace('\n', " ") + "\n"
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
        };
        let text = list(&[one("send your text to models", "to summarise\n\x1b[2J"), one("keep state", "")]);
        assert_eq!(text, "  - send your text to models (it says: \"to summarise \u{fffd}[2J\")\n  - keep state\n");
        assert_eq!(wishes(&Requests::default()), "  nothing\n");
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(quoted("plugins/summarize"), "plugins/summarize");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
    }
}
