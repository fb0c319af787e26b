//! `ringfence run`: the walk from a command line to an outcome.

mod fields;
mod flags;
mod input;
pub(super) mod output;

use std::ffi::OsString;

use clap_complete::engine::ArgValueCompleter;
use ringfence_core::budget::Limits;
use ringfence_core::catalog::tool::Tool;
use ringfence_core::engine::LimitSettings;
use ringfence_core::trace::TARGET;
use ringfence_core::{Call, Caller, Error, SkillRef};

pub(super) use flags::split;
pub(crate) use input::of_text;

use super::completions::Skills;
use super::target::Target;
use super::{Context, consent};
use crate::grants;
use tracing::Instrument as _;

use crate::trouble::Trouble;
use crate::ui::progress::Line;

/// Run a tool of a skill
///
/// `ringfence run SKILL [TOOL] [INPUTS]`: the tool is named where the skill has several.
///
/// SKILL is a folder with skill.toml (built when its source has changed), an Agent Skill with a component in it, a .wasm file, or the
/// name of an installed skill.
/// The tool's input comes from flags that each tool defines itself (`ringfence run SKILL --help` lists them), from --input,
/// or from stdin. Text on stdin fills the tool's main text, unless another input, such as a path, says where it is; a JSON
/// object on stdin whose keys are all inputs of the tool is taken as the whole input.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// A folder, a .wasm file, or an installed skill
    #[arg(value_name = "SKILL", required_unless_present = "help", add = ArgValueCompleter::new(Skills))]
    target: Option<String>,

    /// Which tool, where the skill has several
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,

    /// The input as JSON, as @FILE, or as - for stdin; flags of the tool go on top
    #[arg(long, value_name = "JSON")]
    input: Option<String>,

    /// Grant something for this run only, for example `--allow model=default`
    #[arg(long, value_name = "GRANT")]
    allow: Vec<String>,

    /// Spend at most this on models, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    max_cost: Option<u64>,

    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,

    /// Print help; with SKILL, the help of its tools
    #[arg(short, long)]
    help: bool,

    /// Inputs of the tool
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "INPUTS")]
    pub(super) rest: Vec<OsString>,
}

pub(super) async fn run(mut args: Args, context: &Context) -> Result<(), Error> {
    let Some(named) = args.target.clone() else { return help_of_run() };
    let named = &named;
    // A word where a flag could stand is the tool, as `--tool` would name it.
    if args.tool.is_none()
        && let Some(word) = args.rest.first().and_then(|word| word.to_str()).filter(|word| !word.starts_with('-'))
    {
        args.tool = Some(word.to_owned());
        args.rest.remove(0);
    }
    let allow = grants::parse(&args.allow, None)?;
    let target = Target::find(named)?;
    let line = Line::new(context.quiet);
    let host = context.host().await?;
    let skill = target.load(&host, context, &line).await?;
    line.clear();
    if args.help {
        flags::help(&skill, named, args.tool.as_deref())?;
        return host.close().await;
    }
    let tool = pick(&skill, args.tool.as_deref())?;
    let input = context.unless_cancelled(input::gather(&skill.manifest().name, &tool, &args, context)).await?;
    grants::check_models(&allow, &host.aliases(), &host.providers())?;
    let allow = consent::settle(&host, &skill, allow, named, context).await?;
    let (sender, events) = tokio::sync::mpsc::channel(256);
    let screen = output::Screen::new(context, &skill.manifest().name);
    let call = Call {
        tool: Some(tool.name.clone()),
        caller: Caller::User,
        allow,
        events: Some(sender),
        cancel: context.cancel.clone(),
        person: screen.person(context),
        locale: locale(),
        limits: LimitSettings { wall_seconds: args.timeout, ..Default::default() },
        budget: Limits { micro_dollars: args.max_cost, ..Default::default() },
        ..Call::new(skill.clone(), input)
    };
    let span = span();
    let (finished, streamed) =
        tokio::join!(host.invoke(call).instrument(span.clone()), screen.follow(events).instrument(span));
    let done = match finished {
        Ok(finished) => output::print(&finished, &streamed, context),
        Err(error) => {
            streamed.end_line()?;
            Err(error)
        }
    };
    let closed = host.close().await;
    done.and(closed)
}

/// The beginning of the trace.
fn span() -> tracing::Span {
    tracing::info_span!(target: TARGET, "run", otel.name = "ringfence run")
}

fn help_of_run() -> Result<(), Error> {
    let mut command = super::command();
    command.build();
    let run = command.find_subcommand_mut("run").map(|run| run.render_long_help().ansi().to_string());
    crate::ui::print(&run.unwrap_or_default())
}

/// The tool that is meant: the named one, or the only one.
fn pick(skill: &SkillRef, name: Option<&str>) -> Result<Tool, Error> {
    let tools = skill.tools();
    let name_of = || skill.manifest().name;
    let names = || tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, tools.as_slice()) {
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Trouble::input(
            format!("{} has {} tools", name_of(), tools.len()),
            format!("name one behind the skill: {}", names()),
        )),
        (Some(name), _) => tools.iter().find(|tool| tool.name == name).cloned().ok_or_else(|| {
            Trouble::new(
                "unknown-tool",
                format!("{} has no tool `{}`", name_of(), crate::ui::printable(name)),
                format!("it has: {}; inputs are given by flags", names()),
            )
        }),
    }
}

/// Dollars as people write them, in millionths.
fn dollars(text: &str) -> Result<u64, String> {
    let number: f64 = text.trim_start_matches('$').parse().map_err(|_| "write dollars, for example 0.05".to_owned())?;
    let micro = number * 1e6;
    // Above 2^53 a float is no exact count any more, and nobody means it.
    match (0.0..9e15).contains(&micro) {
        true => Ok(micro.round() as u64),
        false => Err("give a positive amount of dollars".into()),
    }
}

/// The person's language as BCP 47, from the usual variables.
pub(super) fn locale() -> Option<String> {
    let value =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))?;
    let tag = value.split(['.', '@']).next()?.replace('_', "-");
    (tag != "C" && tag != "POSIX").then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn dollars_become_millionths() {
        assert_eq!(dollars("0.05"), Ok(50_000));
        assert_eq!(dollars("$1"), Ok(1_000_000));
        for wrong in ["-1", "x", "NaN", "1e300"] {
            assert!(dollars(wrong).is_err(), "{wrong}");
        }
    }
}
