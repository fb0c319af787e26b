//! `ringfence connect`: registers this program with an MCP client.

mod client;
mod insert;

use std::path::{Path, PathBuf};

use clap::Parser as _;
use ringfence_core::{Error, plain};

use super::{Cli, Context, Flags};
use crate::trouble::Trouble;
use crate::ui;
use client::{Client, Entry, Form, Places};

/// Register this program with an MCP client
///
/// Prints the command or the lines that make the client start `ringfence mcp`, with the same configuration and folders as this was called
/// with. With --write they are put into the client's own configuration, beside all that stands there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which client
    #[arg(value_enum)]
    client: Client,
    /// Put it into the client's configuration
    #[arg(long)]
    write: bool,
    /// What the server is called there
    #[arg(long, value_name = "NAME", default_value = "ringfence", value_parser = name)]
    name: String,
    /// Offer only two tools, one that finds tools and one that calls them, for clients that read the list once
    #[arg(long)]
    meta_tools: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let Args { client, write, name, meta_tools } = args;
    // They were read from there before.
    let flags = Cli::try_parse_from(std::env::args_os()).map(|cli| cli.flags).unwrap_or_default();
    let mut args = called_with(&flags, |name| context.configuration.variable(name))?;
    args.push("mcp".to_owned());
    args.extend(meta_tools.then(|| "--meta-tools".to_owned()));
    let entry = Entry { name: name.clone(), program: program()?, args };
    let file = client.file(&places(context)?)?;
    if *write {
        let changed = put(&file, client.form(), &entry)?;
        if context.json() {
            return ui::print_json(&serde_json::json!({ "client": client.word(), "file": file, "changed": changed }));
        }
        let file = file.display();
        return match changed {
            true => ui::print_line(&format!("{name} stands in {file}; start {} again", client.title())),
            false => ui::print_line(&format!("{name} stood in {file} already")),
        };
    }
    let lines = client.form().snippet(&entry);
    if context.json() {
        return ui::print_json(&serde_json::json!({
            "client": client.word(),
            "file": file,
            "snippet": lines,
            "command": client.command(&entry),
        }));
    }
    // What is to be copied stands on stdout, what is said about it beside.
    match client.command(&entry) {
        Some(command) => {
            ui::note(&format!(
                "Run this, or `ringfence connect {} --write` to write {}:",
                client.word(),
                file.display()
            ));
            ui::print_line(&command)
        }
        None => {
            ui::note(&format!(
                "Put this into {}, or let `ringfence connect {} --write` do it:",
                file.display(),
                client.word()
            ));
            ui::print(&lines)
        }
    }
}

/// A name that every client takes, and that needs no quotes anywhere.
fn name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match plain && (1..=64).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err("use 1 to 64 letters, digits, `-` and `_`".into()),
    }
}

fn program() -> Result<String, Error> {
    let path = std::env::current_exe()
        .map_err(|error| Trouble::new("host-fault", format!("cannot find this program's own file: {error}"), ""))?;
    text_of(path)
}

fn text_of(path: PathBuf) -> Result<String, Error> {
    path.into_os_string().into_string().map_err(|path| {
        let words = format!("the path {} is not UTF-8", path.display());
        Trouble::new("usage", words, "files of clients hold text: choose another path")
    })
}

/// The flags that make a server see what this call sees: a client starts it in a folder and with variables of its own.
fn called_with<'a>(flags: &Flags, variable: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<String>, Error> {
    let mut args = Vec::new();
    for (flag, given, name) in [
        ("--config", &flags.config, "RINGFENCE_CONFIG"),
        ("--state-dir", &flags.state_dir, "RINGFENCE_STATE_DIR"),
        ("--data-dir", &flags.data_dir, "RINGFENCE_DATA_DIR"),
        ("--cache-dir", &flags.cache_dir, "RINGFENCE_CACHE_DIR"),
    ] {
        let Some(path) = given.clone().or_else(|| variable(name).map(PathBuf::from)) else { continue };
        let path = std::path::absolute(&path).map_err(|error| Trouble::unreadable(&path, &error))?;
        args.extend([flag.to_owned(), text_of(path)?]);
    }
    for (flag, values) in [("--set", &flags.set), ("--model", &flags.model)] {
        args.extend(values.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    args.extend(flags.offline.then(|| "--offline".to_owned()));
    Ok(args)
}

fn places(context: &Context) -> Result<Places, Error> {
    let here = std::env::current_dir().map_err(|error| Trouble::unreadable(Path::new("."), &error))?;
    let is_whole = |path: &&str| Path::new(path).is_absolute();
    let codex = context.configuration.variable("CODEX_HOME").map(|path| here.join(path));
    Ok(Places {
        here,
        home: context.config.home().map(Path::to_owned),
        xdg_config: context.configuration.variable("XDG_CONFIG_HOME").filter(is_whole).map(PathBuf::from),
        codex,
    })
}

/// Puts the entry into a file, which is written whole or not at all. False where it stood there already.
fn put(file: &Path, form: Form, entry: &Entry) -> Result<bool, Error> {
    // Where the file is a link, as those who keep such files elsewhere have it, what it leads to is what changes.
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let before = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Trouble::unreadable(&file, &error)),
    };
    let Some(text) = form.with(before.as_deref().unwrap_or_default(), entry).map_err(|refused| refused.about(&file))?
    else {
        return Ok(false);
    };
    let unwritable = |error: std::io::Error| Trouble::unwritable(&file, &error);
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let draft = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    std::fs::write(draft.path(), text).map_err(unwritable)?;
    if let Ok(there) = std::fs::metadata(&file) {
        std::fs::set_permissions(draft.path(), there.permissions()).map_err(unwritable)?;
    }
    draft.as_file().sync_all().map_err(unwritable)?;
    draft.persist(&file).map_err(|error| unwritable(error.error))?;
    Ok(true)
}

/// Why an entry is not put into a file. The file stays as it is.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// It cannot be read, and why.
    Unreadable(String),
    /// Another entry has the name.
    Taken(String),
}

impl Refused {
    fn about(self, file: &Path) -> Error {
        let file = file.display();
        match self {
            Self::Unreadable(why) => Trouble::new(
                "unreadable",
                format!("{file} cannot be read, and was left as it is: {why}"),
                "mend it, or put in by hand what `ringfence connect` prints without --write",
            ),
            Self::Taken(name) => Trouble::new(
                "already-exists",
                format!("{file} has another server named `{}`", plain::line(&name, 80).0),
                "remove it there, or choose another name with --name",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { name: "ringfence".into(), program: "/opt/ringfence".into(), args: vec!["mcp".into()] }
    }

    #[test]
    fn a_file_is_written_once_and_its_link_and_its_rights_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        std::fs::write(&file, "{\"a\": 1}").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(put(&link, Form::McpServers, &entry()).unwrap());
        assert!(!put(&link, Form::McpServers, &entry()).unwrap());
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!((&value["a"], &value["mcpServers"]["ringfence"]["command"]), (&1.into(), &"/opt/ringfence".into()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn a_file_that_cannot_be_read_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        std::fs::write(&file, "{ broken").unwrap();
        assert_eq!(put(&file, Form::McpServers, &entry()).unwrap_err().kind(), "unreadable");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ broken");
    }

    #[test]
    fn a_server_is_started_as_this_was_called_wherever_that_is() {
        let of = |line: &str, variables: &[(&str, &'static str)]| {
            let flags = Cli::try_parse_from(line.split(' ')).unwrap().flags;
            called_with(&flags, |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(of("ringfence connect cursor -v --quiet", &[]).unwrap(), Vec::<String>::new());
        let line = "ringfence --state-dir /x --data-dir ./y --config /z.toml connect cursor --set a.b=1 --offline";
        let below = std::path::absolute("y").unwrap().display().to_string();
        let expected = [
            "--config",
            "/z.toml",
            "--state-dir",
            "/x",
            "--data-dir",
            &below,
            "--cache-dir",
            "/c",
            "--set",
            "a.b=1",
            "--offline",
        ];
        // What a flag says holds, as it does in the call.
        let variables = [("RINGFENCE_STATE_DIR", "/elsewhere"), ("RINGFENCE_CACHE_DIR", "/c")];
        assert_eq!(of(line, &variables).unwrap(), expected);
    }

    #[test]
    fn names_need_no_quotes() {
        assert!(name("my-skills_2").is_ok());
        for wrong in ["", "a b", "a\"", "a.b", &"a".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
