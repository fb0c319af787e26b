use std::process::ExitCode;

use owo_colors::OwoColorize;
use ringfence_core::capability::model::discover::Unusable;
use ringfence_core::{Error, Explain as _, Finding, Health};

use super::Context;
use crate::toolchain::{self, Errand};
use crate::ui::progress::Line;

/// Check this installation, and say what to do about what is wrong
///
/// Exits with 1 where it finds a problem.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fetch the toolchains that builds would fetch by themselves
    #[arg(long)]
    fix: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<ExitCode, Error> {
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
