//! The figures: what the host adds to the engine and to the network, each measured beside its floor in the same run.
//!
//! `cargo bench --workspace --bench figures -- [NAME...]`, with names `invoke`, `languages`, `permit`, `http`, `model`, `start`, `reload`, `mcp`,
//! `served`, `traces`, `spin`, `waiting`, `queueing`, `suspended`, and the bars of reliability in their short forms: `neighbours`, `deadlines`, `leaks`, `spenders`,
//! `kills`, `disk`, `chaos`, `overload`; all of them without a name. Numbers can be given beside the names: `seed=N` of what is
//! random in `kills` and `chaos` (it is printed), `kills=50`, `reloads=1000`, `calls=500` of `chaos` and `leaks`, `seconds=20` of `overload`, and
//! `rounds=20` of `invoke`, `http` and `model`. Absolute times mean little on a machine that does other things too: look at the
//! ratios, and at the time of the processor beside the time on the wall. Nothing here is a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that cannot measure must stop, and it prints"
)]

mod chaos;
mod child;
mod clock;
mod deadlines;
mod disk;
mod ending;
mod floor;
mod guest;
mod http;
mod invoke;
mod kills;
mod languages;
mod leaks;
mod mcp;
mod memory;
mod model;
mod neighbours;
mod options;
mod overload;
mod price;
mod reload;
mod served;
mod server;
mod spenders;
mod spin;
mod start;
mod table;
mod waiting;
#[allow(dead_code, reason = "shared with the suites, which need more of it")]
#[path = "../suite/support/wat.rs"]
mod wat;

use std::process::{Command, Stdio};

use table::Table;

/// Figures in the order in which they are measured, cheap ones first.
type Figure = (&'static str, fn(&mut Table));
const FIGURES: [Figure; 22] = [
    ("invoke", invoke::measure),
    ("languages", languages::measure),
    ("permit", http::permit),
    ("http", http::measure),
    ("model", model::measure),
    ("start", start::measure),
    ("reload", reload::measure),
    ("mcp", mcp::measure),
    ("served", served::measure),
    ("traces", served::traces),
    ("spin", spin::measure),
    ("neighbours", neighbours::measure),
    ("deadlines", deadlines::measure),
    ("leaks", leaks::measure),
    ("spenders", spenders::measure),
    ("kills", kills::measure),
    ("disk", disk::measure),
    ("chaos", chaos::measure),
    ("overload", overload::measure),
    ("waiting", waiting::on_connections),
    ("queueing", waiting::in_line),
    ("suspended", served::suspended),
];

/// The argument that makes this program measure one figure and print its rows for the one that asked.
const ROWS_OF: &str = "rows-of";

fn main() {
    let names: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--") && !options::is_one(arg)).collect();
    match names.first().map(String::as_str) {
        Some(server::VERB) => return server::serve(),
        Some(chaos::VERB) => return chaos::serve(),
        Some(disk::VERB) => return disk::live(&names[1..]),
        _ => {}
    }
    if let [verb, name] = &names[..]
        && verb == ROWS_OF
        && let Some((_, measure)) = FIGURES.iter().find(|(known, _)| known == name)
    {
        let mut table = Table::new();
        measure(&mut table);
        return table.write();
    }
    if let Some(unknown) = names.iter().find(|name| FIGURES.iter().all(|(known, _)| known != name)) {
        eprintln!("there is no figure `{unknown}`; there are {}", FIGURES.map(|(name, _)| name).join(", "));
        std::process::exit(2);
    }
    let mut table = Table::new();
    for (name, _) in FIGURES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            table.append(alone(name));
        }
    }
    println!("{table}");
}

/// The rows of one figure, measured in a process of its own: what one has left in memory is nothing to the next.
fn alone(name: &str) -> Table {
    let own = std::env::current_exe().unwrap();
    let options = std::env::args().filter(|arg| options::is_one(arg));
    let done = Command::new(own).args([ROWS_OF, name]).args(options).stderr(Stdio::inherit()).output().unwrap();
    if !done.status.success() {
        eprintln!("`{name}` could not be measured: {}", done.status);
        std::process::exit(1);
    }
    Table::read(&done.stdout)
}
