use std::io::Write;
use std::path::PathBuf;

use ringfence_core::{Error, Explain as _};
use serde_json::json;

use super::Context;
use crate::config::{Entry, schema_document};
use crate::trouble::Trouble;

/// Show or begin the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print every value that holds here
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of configuration files, for editors
    Schema,
    /// Write a first configuration file, with its schema beside it
    Init,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    match args.what {
        What::Show { origin } => show(origin, context),
        What::Schema => crate::ui::print_json(schema_document()),
        What::Init => init(context),
    }
}

fn show(origin: bool, context: &Context) -> Result<(), Error> {
    let entries = context.config.entries();
    for wrong in context.config.models().unusable {
        crate::ui::note(&format!("{wrong}; the provider `{}` is left out: {}", wrong.provider, wrong.hint()));
    }
    if context.json() {
        let all: Vec<_> = entries.iter().map(entry_json).collect();
        return crate::ui::print_json(&all);
    }
    // What has no limit has no value in TOML either: such a line is a remark, so that the rest stays a file that can be read.
    let written = |entry: &Entry| match &entry.value {
        Some(value) => format!("{} = {value}", key(&entry.path)),
        None => format!("# {}: no limit", key(&entry.path)),
    };
    let lines: Vec<_> = entries.iter().map(|entry| (written(entry), entry)).collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
    let line = |(line, entry): &(String, &Entry)| match origin {
        true => format!("{line:width$}  # {}\n", entry.origin),
        false => format!("{line}\n"),
    };
    let head = if origin { files(context) } else { String::new() };
    crate::ui::print(&(head + &lines.iter().map(line).collect::<String>()))
}

/// The files that were read, the weakest first.
fn files(context: &Context) -> String {
    let config = &context.config;
    match config.read_from.as_slice() {
        [] => format!("# there is no file of settings; yours would be {}\n", config.user_file.display()),
        files => files.iter().map(|file| format!("# read from {}\n", file.display())).collect(),
    }
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    let (line, column) = entry.origin.place.unzip();
    json!({
        "key": key(&entry.path),
        "value": entry.value,
        "origin": entry.origin.source.to_string(),
        "line": line,
        "column": column,
    })
}

/// A dotted key, quoted where TOML needs it.
fn key(path: &[String]) -> String {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let parts = path.iter().map(|part| match plain(part) {
        true => part.clone(),
        false => toml::Value::from(part.as_str()).to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

fn init(context: &Context) -> Result<(), Error> {
    let path = &context.config.user_file;
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    std::fs::create_dir_all(&folder).map_err(|error| Trouble::unwritable(&folder, &error))?;
    let schema = folder.join("schema.json");
    let text = serde_json::to_string_pretty(schema_document()).unwrap_or_default();
    let mut file = std::fs::File::create_new(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Trouble::new(
            "already-exists",
            format!("{} exists already", path.display()),
            "edit it, or move it away first",
        ),
        _ => Trouble::unwritable(path, &error),
    })?;
    file.write_all(FIRST.as_bytes()).map_err(|error| Trouble::unwritable(path, &error))?;
    std::fs::write(&schema, text + "\n").map_err(|error| Trouble::unwritable(&schema, &error))?;
    crate::ui::print_line(&format!("wrote {} and {}", path.display(), schema.display()))
}

/// What `config init` writes: nothing is set, everything common is shown.
const FIRST: &str = r#"#:schema ./schema.json
# Ringfence: your own configuration. `ringfence config show --origin` prints what holds and why.
# Keys of providers are taken from the environment: OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY.

# durability = "normal"        # "full" also survives a power cut

# [models.aliases]
# default = ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"]   # the second where the first fails

# [budget.invocation]
# output-tokens = 20000
# [budget.host-day]
# micro-dollars = 5000000      # 5 dollars

# [limits]
# wall-seconds = 120

# What is asked of the signature of a skill: "require", "warn" or "off".
# [signatures]
# file = "warn"                # files here; also https, oci and index, which are "require"

# What callers may do with what a skill was granted: "allow", "ask" (a person, each time) or "deny".
# [rules.client]                # programs; also user, model (in a tool loop) and skill (another skill)
# model = "ask"
# [rules.taint]                 # private data and strangers' content were read, and something is about to be sent
# user = "ask"

# [agents.planner]              # for `ringfence chat --agent planner`
# model = "smart"
# skills = ["sheet", "tutor"]
# max-dollars = 0.50            # for one message, with what its tools spend on models
"#;
