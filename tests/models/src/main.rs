//! Checks of the core's concurrent parts: their own sources, compiled over locks, atomics, tasks and timers that obey a scheduler,
//! which chooses at each of their operations who goes on. So each run is one interleaving, and one that fails can be repeated.
//!
//! ```text
//! models [--long] [--schedules N] [--seed N] [CHECK...]
//! models replay CHECK SCHEDULE
//! ```
//!
//! Half of the schedules of each check are chosen evenly (which finds what needs many changes), half by priorities with few
//! changes (PCT, which finds what needs few, at odd places). Neither is a proof.

mod checks;
mod ground;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "a check needs parts of what the core's sources have")]
mod product;
mod run;
mod sync;

use std::process::ExitCode;

pub(crate) use product::{
    act, broker, budget, capability, catalog, engine, error, events, files, host, invocation, journal, person, plain,
    policy, server, state, trace, unless,
};

/// Schedules of each check: what every change is held to, and what is run from time to time.
const SHORT: usize = 10_000;
const LONG: usize = 100_000;

fn main() -> ExitCode {
    match asked(std::env::args().skip(1)) {
        Ok(asked) => run::all(&asked),
        Err(wrong) => {
            let names: Vec<_> = checks::ALL.iter().map(|check| check.name).collect();
            eprintln!("{wrong}\n\nmodels [--long] [--schedules N] [--seed N] [CHECK...]\nmodels replay CHECK SCHEDULE");
            eprintln!("\nchecks: {}", names.join(", "));
            ExitCode::from(2)
        }
    }
}

fn asked(arguments: impl Iterator<Item = String>) -> Result<run::Asked, String> {
    let mut asked = run::Asked { schedules: SHORT, seed: None, checks: Vec::new(), replay: None };
    let mut arguments = arguments.peekable();
    let is_replay = arguments.next_if(|argument| argument == "replay").is_some();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|text| text.parse().ok());
            number.ok_or_else(|| format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--long" => asked.schedules = LONG,
            "--schedules" => asked.schedules = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--seed" => asked.seed = Some(number()?),
            name => match checks::ALL.iter().find(|check| check.name == name) {
                Some(check) => asked.checks.push(check),
                None if is_replay && asked.checks.len() == 1 => asked.replay = Some(argument),
                None => return Err(format!("there is no check `{name}`")),
            },
        }
    }
    if is_replay && asked.replay.is_none() {
        return Err("what is to be replayed needs the name of its check and its schedule".into());
    }
    if asked.checks.is_empty() {
        asked.checks.extend(checks::ALL);
    }
    Ok(asked)
}
