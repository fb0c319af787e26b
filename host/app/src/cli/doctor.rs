use std::process::ExitCode;

use owo_colors::OwoColorize;
use ringfence_core::capability::model::discover::Unusable;
use ringfence_core::{Error, Explain as _, Finding, Health};

use super::{Context, consent};
use crate::toolchain::{self, Errand};
use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Check this installation, and say what to do about what is wrong
///
/// Exits with 1 where it finds a problem.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fetch the toolchains that builds would fetch by themselves
    #[arg(long)]
    fix: bool,
    /// Instead of checking, put what can be read of a damaged state file into a new one; the damaged one stays beside it
    #[arg(long, conflicts_with = "fix")]
    repair: bool,
    /// Repair without a question
    #[arg(long, requires = "repair")]
    yes: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    if args.repair {
        return repair(args, context).await;
    }
    let mut findings = match of_host(context).await {
        Ok(findings) => findings,
        Err(error) if error.kind() == "cancelled" => return Err(error),
        // Whoever asks what is wrong wants to know what else is, and what is not.
        Err(error) => context.config.unchecked_host()?.doctor(&error).await,
    };
    findings.extend(context.config.models().unusable.iter().map(left_out));
    let shelf = context.shelf();
    if args.fix {
        let line = Line::new(context.quiet);
        toolchain::fix(Errand { shelf: &shelf, line: &line, cancel: &context.cancel }).await?;
        line.clear();
    }
    findings.extend(toolchain::findings(&shelf).await);
    let bad = findings.iter().any(|finding| finding.state == Health::Problem);
    if context.json() {
        crate::ui::print_json(&findings)?;
    } else {
        crate::ui::print(&text(&findings))?;
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Repairs a damaged state file, after a question.
async fn repair(args: &Args, context: &Context) -> Result<ExitCode, Error> {
    const YES: &str = "yes";
    const NO: &str = "no";
    let config = context.config.unchecked_host()?;
    let state = context.config.dirs.state.display().to_string();
    if !args.yes {
        if !crate::ui::can_ask() || context.json() {
            return Err(Trouble::new(
                "denied",
                format!("the state in {state} was not repaired: nobody can be asked whether that is meant"),
                "say `--yes` where it is; a backup that you restore loses less",
            ));
        }
        crate::ui::note(&format!(
            "What cannot be read in {state} is lost; the damaged file stays beside the new one.\n\
             A backup that you restore loses less."
        ));
        if consent::ask("Repair it?", vec![NO, YES], context).await? != YES {
            return Err(Trouble::new("cancelled", "nothing was repaired", "run it again when you like"));
        }
    }
    let repaired = config.repair().await?;
    if context.json() {
        crate::ui::print_json(&repaired)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(repaired) = repaired else {
        crate::ui::print_line(&format!("nothing is wrong with the state in {state}"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut text = format!("the state was damaged: {}\n", repaired.damage);
    for path in &repaired.set_aside {
        text += &format!("set aside: {}\n", path.display());
    }
    for table in &repaired.tables {
        text += &format!("{:14}  {} kept", table.name, table.kept);
        if table.dropped > 0 {
            text += &format!(", {} lost", table.dropped);
        }
        if let Some(reason) = &table.unreadable {
            text += &format!(", the rest cannot be read: {reason}");
        }
        text += "\n";
    }
    if repaired.spent {
        text += "what was spent is not known in whole: all that may be spent today counts as spent\n";
    }
    text += "the audit has a record of it: `ringfence audit verify` names it\n";
    crate::ui::print(&crate::ui::printable(&text))?;
    Ok(ExitCode::SUCCESS)
}

async fn of_host(context: &Context) -> Result<Vec<Finding>, Error> {
    let host = context.full_host().await?;
    let findings = host.doctor().await?;
    host.close().await?;
    Ok(findings)
}

/// A variable of a provider that means nothing.
fn left_out(wrong: &Unusable) -> Finding {
    Finding {
        subject: "environment",
        state: Health::Note,
        detail: format!("{wrong}; the provider `{}` is left out", wrong.provider),
        hint: Some(wrong.hint()),
    }
}

fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (subject, detail) = (&finding.subject, crate::ui::printable(&finding.detail));
        let state = match finding.state {
            Health::Ok => format!("{}     ", "ok".green()),
            Health::Note => format!("{}   ", "note".yellow()),
            Health::Problem => format!("{}", "problem".red()),
        };
        text += &format!("{state}  {subject:width$}  {detail}\n");
        if let Some(hint) = &finding.hint {
            text += &format!("{:9}{:width$}  {hint}\n", "", "");
        }
    }
    text
}
