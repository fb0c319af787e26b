use std::process::ExitCode;

use owo_colors::OwoColorize;
use ringfence_core::{Error, Finding, Health};

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
    let host = context.full_host().await?;
    let mut findings = host.doctor().await?;
    host.close().await?;
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
