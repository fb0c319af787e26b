//! The clients: where each keeps its servers, and in which form.

use std::path::PathBuf;

use clap::ValueEnum;
use ringfence_core::{Error, plain};
use serde_json::{Value, json};

use super::{Refused, insert};
use crate::trouble::Trouble;

/// A program that speaks to MCP servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Claude Code
    ClaudeCode,
    /// Claude Desktop
    ClaudeDesktop,
    /// Visual Studio Code
    Vscode,
    /// Cursor
    Cursor,
    /// Zed
    Zed,
    /// Codex
    Codex,
}

/// Where clients look for their files.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The project.
    pub(super) here: PathBuf,
    pub(super) home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, where it is a whole path: others are ignored, as its specification says.
    pub(super) xdg_config: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub(super) codex: Option<PathBuf>,
}

/// What a client is to start.
pub(super) struct Entry {
    pub(super) name: String,
    /// The whole path of this program.
    pub(super) program: String,
    /// What it is started with.
    pub(super) args: Vec<String>,
}

impl Entry {
    /// As a shell reads it.
    fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| plain::word(word)).collect::<Vec<_>>().join(" ")
    }
}

impl Client {
    /// As it is named on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Vscode => "vscode",
            Self::Cursor => "cursor",
            Self::Zed => "zed",
            Self::Codex => "codex",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Vscode => "Visual Studio Code",
            Self::Cursor => "Cursor",
            Self::Zed => "Zed",
            Self::Codex => "Codex",
        }
    }

    /// Its configuration: of the project where a client has such files, of the user otherwise.
    pub(super) fn file(self, places: &Places) -> Result<PathBuf, Error> {
        let home = || places.home.as_deref().ok_or_else(|| Trouble::config("there is no home directory", "set HOME"));
        let xdg = || match &places.xdg_config {
            Some(folder) => Ok(folder.clone()),
            None => home().map(|home| home.join(".config")),
        };
        Ok(match self {
            Self::ClaudeCode => places.here.join(".mcp.json"),
            Self::Vscode => places.here.join(".vscode/mcp.json"),
            Self::ClaudeDesktop if cfg!(target_os = "macos") => {
                home()?.join("Library/Application Support/Claude/claude_desktop_config.json")
            }
            Self::ClaudeDesktop => xdg()?.join("Claude/claude_desktop_config.json"),
            Self::Cursor => home()?.join(".cursor/mcp.json"),
            Self::Zed if cfg!(target_os = "macos") => home()?.join(".config/zed/settings.json"),
            Self::Zed => xdg()?.join("zed/settings.json"),
            Self::Codex => match &places.codex {
                Some(folder) => folder.join("config.toml"),
                None => home()?.join(".codex/config.toml"),
            },
        })
    }

    pub(super) fn form(self) -> Form {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor => Form::McpServers,
            Self::Vscode => Form::Servers,
            Self::Zed => Form::ContextServers,
            Self::Codex => Form::Toml,
        }
    }

    /// The client's own command for it, where it has one.
    pub(super) fn command(self, entry: &Entry) -> Option<String> {
        let (name, line) = (&entry.name, entry.line());
        match self {
            Self::ClaudeCode => Some(format!("claude mcp add --scope user {name} -- {line}")),
            Self::Codex => Some(format!("codex mcp add {name} -- {line}")),
            Self::Vscode => {
                let value = json!({ "name": name, "command": entry.program, "args": entry.args });
                Some(format!("code --add-mcp {}", plain::word(&value.to_string())))
            }
            Self::ClaudeDesktop | Self::Cursor | Self::Zed => None,
        }
    }
}

/// The form in which a client keeps its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    McpServers,
    Servers,
    ContextServers,
    Toml,
}

impl Form {
    fn table(self) -> &'static str {
        match self {
            Self::McpServers => "mcpServers",
            Self::Servers => "servers",
            Self::ContextServers => "context_servers",
            Self::Toml => "mcp_servers",
        }
    }

    fn value(self, entry: &Entry) -> Value {
        let mut value = json!({ "command": entry.program, "args": entry.args });
        if self == Self::Servers {
            value["type"] = "stdio".into();
        }
        value
    }

    /// What is to stand in the file, for somebody who puts it there.
    pub(super) fn snippet(self, entry: &Entry) -> String {
        if self == Self::Toml {
            return self.toml(entry);
        }
        let whole = json!({ self.table(): { &*entry.name: self.value(entry) } });
        format!("{whole:#}\n")
    }

    fn toml(self, entry: &Entry) -> String {
        let (program, args) = (toml::Value::from(entry.program.as_str()), toml::Value::from(entry.args.clone()));
        format!("[{}.{}]\ncommand = {program}\nargs = {args}\n", self.table(), entry.name)
    }

    /// The text of a file with the entry in it. None where it is there already.
    pub(super) fn with(self, text: &str, entry: &Entry) -> Result<Option<String>, Refused> {
        match self {
            Self::Toml => insert::toml(text, self.table(), &entry.name, &self.toml(entry)),
            _ => insert::json(text, self.table(), &entry.name, &self.value(entry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ALL: &[Client] = Client::ALL_OF_THEM;

    impl Client {
        const ALL_OF_THEM: &'static [Self] =
            &[Self::ClaudeCode, Self::ClaudeDesktop, Self::Vscode, Self::Cursor, Self::Zed, Self::Codex];
    }

    fn places() -> Places {
        Places { here: "/project".into(), home: Some("/home".into()), ..Places::default() }
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn who_keeps_their_files_elsewhere_is_served_there() {
        let elsewhere = Places {
            xdg_config: Some("/xdg".into()),
            codex: Some("/codex".into()),
            home: None,
            here: "/project".into(),
        };
        for (client, file) in [
            (Client::Zed, "/xdg/zed/settings.json"),
            (Client::ClaudeDesktop, "/xdg/Claude/claude_desktop_config.json"),
            (Client::Codex, "/codex/config.toml"),
        ] {
            assert_eq!(client.file(&elsewhere).unwrap(), Path::new(file));
        }
        assert_eq!(Client::Cursor.file(&elsewhere).unwrap_err().kind(), "config-invalid", "it has no such variable");
    }

    #[test]
    fn every_client_has_a_file_and_lines_that_mean_the_same_as_what_is_written() {
        let args = vec!["--config".into(), "/etc/a \"b\".toml".into(), "mcp".into()];
        let entry = Entry { name: "ringfence".into(), program: "/opt/it's here/ringfence".into(), args };
        assert_eq!(ALL.len(), Client::value_variants().len());
        for client in ALL {
            let file = client.file(&places()).unwrap();
            assert!(file.is_absolute() && file.extension().is_some(), "{client:?}");
            assert_eq!(client.to_possible_value().unwrap().get_name(), client.word());
            let written = client.form().with("", &entry).unwrap().unwrap();
            let read = |text: &str| match client.form() {
                Form::Toml => serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap(),
                _ => serde_json::from_str::<Value>(text).unwrap(),
            };
            assert_eq!(read(&written), read(&client.form().snippet(&entry)), "{client:?}");
            let server = &read(&written)[client.form().table()]["ringfence"];
            assert_eq!(
                (&server["command"], &server["args"]),
                (&json!(entry.program), &json!(entry.args)),
                "{client:?}"
            );
        }
    }

    #[test]
    fn what_each_client_reads_is_written_letter_by_letter() {
        let entry = Entry { name: "ringfence".into(), program: "/opt/ringfence".into(), args: vec!["mcp".into()] };
        let json = |table: &str, more: &str| {
            format!(
                "{{\n  \"{table}\": {{\n    \"ringfence\": {{\n      \"args\": [\n        \"mcp\"\n      ],\n      \
                 \"command\": \"/opt/ringfence\"{more}\n    }}\n  }}\n}}\n"
            )
        };
        let servers = json("mcpServers", "");
        let codex = "[mcp_servers.ringfence]\ncommand = \"/opt/ringfence\"\nargs = [\"mcp\"]\n";
        for (client, file, text) in [
            (Client::ClaudeCode, "/project/.mcp.json", servers.as_str()),
            (Client::ClaudeDesktop, "/home/.config/Claude/claude_desktop_config.json", &servers),
            (Client::Vscode, "/project/.vscode/mcp.json", &json("servers", ",\n      \"type\": \"stdio\"")),
            (Client::Cursor, "/home/.cursor/mcp.json", &servers),
            (Client::Zed, "/home/.config/zed/settings.json", &json("context_servers", "")),
            (Client::Codex, "/home/.codex/config.toml", codex),
        ] {
            if client != Client::ClaudeDesktop || cfg!(target_os = "linux") {
                assert_eq!(client.file(&places()).unwrap(), Path::new(file));
            }
            assert_eq!(client.form().snippet(&entry), text, "{client:?}");
            assert_eq!(client.form().with("", &entry).unwrap().unwrap(), text, "{client:?}");
        }
    }

    #[test]
    fn commands_are_for_a_shell() {
        let args = vec!["--state-dir".into(), "/my state".into(), "mcp".into()];
        let entry = Entry { name: "r".into(), program: "/a b/ringfence".into(), args };
        let of = |client: Client| client.command(&entry).unwrap();
        let line = "'/a b/ringfence' --state-dir '/my state' mcp";
        assert_eq!(of(Client::ClaudeCode), format!("claude mcp add --scope user r -- {line}"));
        assert_eq!(of(Client::Codex), format!("codex mcp add r -- {line}"));
        assert!(of(Client::Vscode).starts_with("code --add-mcp '{\""), "{}", of(Client::Vscode));
    }
}
