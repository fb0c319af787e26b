//! `ringfence runs`: what was called, and how one call went. Reads beside a host that is running.

mod waterfall;

use ringfence_core::journal::{self, Record, Wanted};
use ringfence_core::{Error, Host};

use super::Context;
use super::target::Target;
use crate::trouble::Trouble;
use crate::ui::{table, time};

/// List the newest runs, or show where the time and the money of one went
///
/// The newest 10,000 are kept. What a skill was given and what it gave are not on record.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the newest runs, the newest first
    List(List),
    /// Draw one run: what it did, when, for how long, and what it used
    Show {
        /// Its identifier, as `runs list` and `run --format json` print it
        invocation: String,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only runs of this skill: an installed one, or a path
    #[arg(long)]
    skill: Option<String>,
    /// Only runs that ended so: `ok`, the kind of an error such as `timed-out`, `running`, or `interrupted` where
    /// the process was killed
    #[arg(long)]
    kind: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let (journal, audit) = Host::read_records(&context.config.dirs.state).await?;
    match &args.what {
        What::List(List { skill, kind, limit }) => {
            // A path that has gone may still have runs.
            let identity = |text: &String| Target::find(text).map_or_else(|_| text.clone(), |target| target.identity());
            let wanted = Wanted { skill: skill.as_ref().map(identity), kind: kind.clone(), parent: None };
            list(&journal.select(wanted, *limit).await?, context)
        }
        What::Show { invocation } => {
            let story = journal::story(&journal, &audit, invocation).await?.ok_or_else(|| {
                Trouble::new(
                    "not-found",
                    format!("no run `{}` is on record", crate::ui::printable(invocation)),
                    "`ringfence runs list` shows the newest ones; old ones are removed, 10,000 are kept",
                )
            })?;
            match context.json() {
                true => crate::ui::print_json(&story),
                false => crate::ui::print(&crate::ui::printable(&waterfall::draw(&story))),
            }
        }
    }
}

fn list(runs: &[Record], context: &Context) -> Result<(), Error> {
    if context.json() {
        return crate::ui::print_json(&runs);
    }
    if runs.is_empty() {
        crate::ui::note("no run fits");
        return Ok(());
    }
    let mut table = table::table(["STARTED", "SKILL", "TOOL", "BY", "RESULT", "TOOK", "TOKENS", "COST", "RUN"]);
    for run in runs {
        let usage = &run.usage;
        table.add_row([
            time::at(run.started.as_microsecond()),
            run.skill.clone(),
            run.tool.clone(),
            run.caller.clone(),
            run.kind.clone(),
            run.ended.map(|_| waterfall::length(waterfall::took(run))).unwrap_or_default(),
            waterfall::tokens(usage).unwrap_or_default(),
            waterfall::money(usage).unwrap_or_default(),
            run.invocation.clone(),
        ]);
    }
    crate::ui::print(&table::text(&table))
}
