//! `ringfence audit`: what skills asked for and what became of it. Reads beside a host that is running.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use jiff::Timestamp;
use ringfence_core::journal::audit::{Audit, Event, Fault, Filter, Record};
use ringfence_core::{Error, Host};

use super::Context;
use super::target::Target;
use crate::grants;
use crate::trouble::Trouble;
use crate::ui::{table, time};

/// Show and verify the record of everything that skills asked for
///
/// Every act of a skill is recorded before it begins and when it ends, every refusal, and everything that you granted. The
/// records are a chain: one that was edited or removed shows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the newest records
    List(List),
    /// Tell one invocation from its first act to its end
    Show {
        /// Its identifier, as `audit list` and `run --format json` print it
        invocation: String,
    },
    /// Check that no record was edited, removed or put in another order
    Verify,
    /// Print all records as JSON lines that others can verify: see SECURITY.md
    Export,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only records of this skill: an installed one, or a path
    #[arg(long)]
    skill: Option<String>,
    /// Only records of this capability, or `server` for calls of MCP servers' tools
    #[arg(long)]
    capability: Option<String>,
    /// Only records of this kind
    #[arg(long, value_parser = Event::ALL.map(Event::as_str))]
    event: Option<String>,
    /// Only records since then: `30m`, `2h`, `7d` ago, or a time such as 2026-11-25T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::since, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    if let What::List(List { capability: Some(name), .. }) = &args.what
        && name != SERVER
    {
        grants::known(name)?;
    }
    let audit = context.unless_cancelled(Host::read_audit(&context.config.dirs.state)).await?;
    match &args.what {
        What::List(args) => list(&audit, args, context).await,
        What::Show { invocation } => show(&audit, invocation, context).await,
        What::Verify => verify(&audit, context).await,
        What::Export => context.unless_cancelled(export(&audit)).await,
    }
}

async fn list(audit: &Audit, args: &List, context: &Context) -> Result<(), Error> {
    // A path that has gone may still have records.
    let identity = |text: &String| Target::find(text).map_or_else(|_| text.clone(), |target| target.identity());
    let event = |name: &String| Event::ALL.into_iter().find(|event| event.as_str() == name);
    let filter = Filter {
        skill: args.skill.as_ref().map(identity),
        capability: args.capability.clone(),
        event: args.event.as_ref().and_then(event),
        since: args.since,
        ..Filter::default()
    };
    let mut records = audit.list(filter, args.limit).await?;
    // What somebody waited for is in the chain before what was noted a moment earlier.
    records.sort_by_key(|record| std::cmp::Reverse((record.at_us, record.seq)));
    if context.json() {
        return crate::ui::print_json(&records);
    }
    if records.is_empty() {
        crate::ui::note("no record fits");
        return Ok(());
    }
    let mut table = table::table(["NUMBER", "TIME", "EVENT", "SKILL", "BY", "WHAT", "RESULT", "INVOCATION"]);
    for record in records {
        let result = result(&record);
        table.add_row([
            record.seq.to_string(),
            time::at(record.at_us),
            record.event.as_str().to_owned(),
            record.skill,
            record.caller,
            record.subject,
            result,
            record.invocation,
        ]);
    }
    crate::ui::print(&table::text(&table))
}

/// Kind and detail.
fn result(record: &Record) -> String {
    match (record.kind.is_empty(), record.detail.is_empty()) {
        (true, _) => record.detail.clone(),
        (false, true) => record.kind.clone(),
        (false, false) => format!("{}: {}", record.kind, record.detail),
    }
}

async fn show(audit: &Audit, invocation: &str, context: &Context) -> Result<(), Error> {
    let filter = Filter { invocation: Some(invocation.to_owned()), ..Filter::default() };
    // An invocation has a thousand records that skills can cause at will, and those of acts that others can notice.
    let mut records = audit.page(filter, MOST_SHOWN).await?;
    records.sort_by_key(|record| (record.at_us, record.seq));
    let Some(first) = records.first().filter(|_| !invocation.is_empty()) else {
        return Err(Trouble::new(
            "not-found",
            format!("no record is of an invocation `{}`", crate::ui::printable(invocation)),
            "`ringfence audit list` shows the newest ones; old records are removed, 1,000,000 are kept",
        ));
    };
    if context.json() {
        return crate::ui::print_json(&records);
    }
    let mut text = format!("{} called by {}\n", first.skill, first.caller);
    let of = |event: Event| records.iter().filter(move |record| record.event == event);
    let outcomes: HashMap<u64, &Record> = of(Event::Outcome).map(|record| (record.act, record)).collect();
    let intents: HashSet<u64> = of(Event::Intent).map(|record| record.act).collect();
    // An outcome is told with its intent.
    let alone = |record: &&Record| record.event != Event::Outcome || !intents.contains(&record.act);
    text += &records.iter().filter(alone).map(|record| told(record, &outcomes)).collect::<String>();
    crate::ui::print(&crate::ui::printable(&text))
}

const MOST_SHOWN: u32 = 100_000;

/// What calls of MCP servers' tools are recorded under. Nothing is granted by that name: they are granted as tools.
const SERVER: &str = "server";

/// One act, refusal or end as a line.
fn told(record: &Record, outcomes: &HashMap<u64, &Record>) -> String {
    let what = match record.event {
        Event::Intent => match outcomes.get(&record.act) {
            Some(outcome) => {
                let took = (outcome.at_us - record.at_us).max(0) / 1_000;
                let asked = if record.detail.is_empty() { String::new() } else { format!(" ({})", record.detail) };
                format!("{}{asked}: {}, after {took} ms", record.subject, result(outcome))
            }
            None => format!("{}: no end is on record; it goes on, or the host was killed", record.subject),
        },
        Event::Outcome => format!("{}: {}", record.subject, result(record)),
        Event::Denied => format!("{}: refused, {}", record.subject, record.detail),
        Event::Run => format!("the tool `{}` ended: {}", record.subject, result(record)),
        Event::Admin => format!("{} {}", record.subject, result(record)),
    };
    let number = if record.act == 0 { String::new() } else { record.act.to_string() };
    format!("  {}  {number:>4}  {}\n", time::exact(record.at_us), what.replace('\n', " "))
}

async fn verify(audit: &Audit, context: &Context) -> Result<(), Error> {
    let found = audit.verify().await?;
    if let Some(fault) = &found.fault {
        let at = fault.first_bad().map(|seq| format!(" (the first that is wrong: {seq})")).unwrap_or_default();
        let state = context.config.dirs.state.display().to_string();
        return Err(Trouble::new(
            "audit-broken",
            format!("the audit does not hold: {fault}{at}"),
            remedy(fault, &state),
        ));
    }
    if context.json() {
        return crate::ui::print_json(&found);
    }
    let mut text = match found.records {
        0 => "the audit holds: it is empty".to_owned(),
        _ => format!(
            "the audit holds: records {} to {}, none edited, none missing; signed up to {} by {}",
            found.first,
            found.last,
            found.signed,
            audit.public_key()
        ),
    };
    if let Some(seq) = found.repaired {
        text += &format!(
            "\nrecord {seq} is of a repair of the state: it says what could not be read then (`ringfence audit list --event admin`)"
        );
    }
    crate::ui::print_line(&text)
}

/// What it means and what to do about it.
fn remedy(fault: &Fault, state: &str) -> String {
    match fault {
        Fault::Changed { .. } | Fault::Missing { .. } => format!(
            "what is before that record holds, what comes after it cannot be believed: somebody who can write to {state} \
             changed it; compare it with an export that was kept elsewhere"
        ),
        Fault::CutOff { .. } => format!(
            "what is there holds, and records after it were removed by somebody who can write to {state}; compare it with an \
             export that was kept elsewhere"
        ),
        Fault::RolledBack { .. } | Fault::GoneOn { .. } => format!(
            "grants and budgets are as old as the records; where you have put a backup back yourself, remove \
             {state}/audit.head once, otherwise find out who did"
        ),
        Fault::Forged { .. } => format!(
            "the key {state}/audit.key was replaced, or a signature was edited: nothing here can be believed; compare it with \
             an export that was kept elsewhere"
        ),
        Fault::HeadRemoved => format!(
            "somebody who can write to {state} removed what was signed; compare it with an export that was kept elsewhere"
        ),
    }
}

/// Records per page: small enough that a reader sees them come, large enough that a million takes seconds.
const PAGE: u32 = 1_000;

async fn export(audit: &Audit) -> Result<(), Error> {
    let opening = audit.opening().await?;
    let mut last = opening.base.as_ref().map_or(0, |base| base.seq);
    let (mut records, mut looked_again) = (0, false);
    if !put(&line(&opening)?)? {
        return Ok(());
    }
    loop {
        let page = audit.page(Filter { after: Some(last), ..Filter::default() }, PAGE).await?;
        let Some(newest) = page.last() else {
            let closing = audit.closing(records).await?;
            // A host that writes meanwhile has signed records that were not there yet. Where they never come, the end was
            // cut off, and who verifies the export will see that.
            if !looked_again && closing.head.as_ref().is_some_and(|head| head.seq > last) {
                looked_again = true;
                continue;
            }
            return put(&line(&closing)?).map(|_| ());
        };
        if page.first().is_some_and(|first| first.seq != last + 1) && audit.opening().await? != opening {
            return Err(Trouble::new("busy", "old records were removed while they were read", "export again"));
        }
        (last, looked_again) = (newest.seq, false);
        records += page.len() as u64;
        let lines = page.iter().map(line).collect::<Result<String, Error>>()?;
        if !put(&lines)? {
            return Ok(());
        }
    }
}

fn line(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string(value)
        .map_err(|error| Trouble::new("host-fault", format!("cannot write JSON: {error}"), ""))?;
    Ok(text + "\n")
}

/// Writes to stdout and flushes. False where the reader went away: there is nobody to go on for.
fn put(text: &str) -> Result<bool, Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Trouble::unwritable(std::path::Path::new("stdout"), &error)),
    }
}
