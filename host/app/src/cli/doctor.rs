use std::process::ExitCode;

use owo_colors::OwoColorize;
use ringfence_core::{Error, Finding, Health};

use super::Context;

/// Check this installation, and say what to do about what is wrong
///
/// Exits with 1 where it finds a problem.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(_args: &Args, context: &Context) -> Result<ExitCode, Error> {
    let host = context.full_host().await?;
    let mut findings = host.doctor().await?;
    host.close().await?;
    findings.extend(crate::toolchain::findings().await);
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
