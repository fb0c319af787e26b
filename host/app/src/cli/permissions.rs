use ringfence_core::plain::word as quoted;
use ringfence_core::policy::denials::Denied;
use ringfence_core::{Error, Permissions};

use super::target::Target;
use super::{Context, consent};
use crate::ui::progress::Line;
use crate::ui::time;

/// Show what a skill may do: what it asks for, what it was granted and refused, what it used and never used
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed skill, a folder or a .wasm file
    skill: String,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let skill = Target::find(&args.skill)?.load(&host, context, &line).await?;
    line.clear();
    let permissions = host.permissions(&skill).await?;
    let manifest = skill.manifest();
    host.close().await?;
    if context.json() {
        return crate::ui::print_json(&permissions);
    }
    let mut text =
        format!("{} {}\n\nAsks to\n{}", manifest.name, manifest.version, consent::wishes(&manifest.permissions));
    text += &told(&args.skill, &permissions);
    if !permissions.missing.is_empty() {
        text += &format!("\n{}", consent::commands(&skill, &permissions.missing));
    }
    crate::ui::print(&crate::ui::printable(&text))
}

/// Lines of what was used, the latest first: a skill may have used a thousand keys.
const MOST_USED: usize = 20;

/// Everything but the requests, a paragraph each.
fn told(skill: &str, permissions: &Permissions) -> String {
    let skill = quoted(skill);
    let granted = [(&permissions.granted.always, "always"), (&permissions.granted.session, "until this host ends")];
    let granted = granted.into_iter().flat_map(|(words, how)| words.iter().map(move |word| format!("{word}  ({how})")));
    let denied = |one: &Denied| {
        format!(
            "{}  since {}, not asked again; `ringfence revoke {skill} {}` forgets it",
            one.wanted,
            time::at(one.since_us),
            one.capability
        )
    };
    let mut used: Vec<_> = permissions.used.iter().collect();
    used.sort_by_key(|one| std::cmp::Reverse(one.last_us));
    let more = used.len().saturating_sub(MOST_USED);
    used.truncate(MOST_USED);
    let used = used.into_iter().map(|one| {
        let refused = if one.refused > 0 { format!(", refused {} times", one.refused) } else { String::new() };
        format!("{}  {} times{refused}, last {}", one.subject, one.times, time::at(one.last_us))
    });
    let used = used.chain((more > 0).then(|| format!("and {more} more; `--format json` has all of them")));
    let never =
        permissions.never_used.iter().map(|name| format!("{name}  `ringfence revoke {skill} {name}` takes it back"));
    let answers = permissions.answers.iter().map(|one| {
        format!(
            "{}  {}, since {}; `ringfence revoke {skill} user` forgets them",
            one.name,
            one.answer,
            time::at(one.answered_us)
        )
    });
    [
        paragraph("Was granted", granted, "nothing"),
        paragraph("Was refused", permissions.denied.iter().map(denied), ""),
        paragraph("Has used", used, "nothing"),
        paragraph("Has never used", never, ""),
        paragraph("Has answers of yours", answers, ""),
    ]
    .concat()
}

/// A heading with its lines; nothing where there is no line and no word for that.
fn paragraph(heading: &str, lines: impl Iterator<Item = String>, none: &str) -> String {
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() && !none.is_empty() {
        lines.push(none.to_owned());
    }
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("  {}\n", line.replace('\n', " "))).collect();
    format!("\n{heading}\n{lines}")
}
