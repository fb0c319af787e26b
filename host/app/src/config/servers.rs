//! `mcp-servers.json` beside the user's file: MCP servers in the form that other clients have, `{ "mcpServers": { NAME: { ... } } }`.
//! `ringfence server add` writes it. A project has no such file: what it names would be started here.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ringfence_core::Error;
use ringfence_core::server::ServerSettings;
use serde_json::{Map, Value};

use super::layer::{self, Layer, Source};
use super::merge::Merged;
use crate::trouble::Trouble;

const FILE: &str = "mcp-servers.json";
/// The table of servers in our own configuration, and in the files of others.
const TABLE: &str = "mcp-servers";
const THEIRS: &str = "mcpServers";

/// What of an entry is ours or everybody's. Other clients keep more there, which means nothing here.
const KEYS: [&str; 12] = [
    "command",
    "args",
    "env",
    "cwd",
    "url",
    "headers",
    "client-id",
    "client-secret",
    "networks",
    "start-seconds",
    "call-seconds",
    "idle-seconds",
];

/// Where the servers are that belong to a user's configuration.
pub(crate) fn file(user_file: &Path) -> PathBuf {
    user_file.with_file_name(FILE)
}

/// The servers of the file, over what the user's own configuration says; none where there is no file.
pub(super) fn layer(path: &Path, below: &Merged) -> Result<Option<Layer>, Error> {
    let Some(text) = read(path)? else { return Ok(None) };
    let source = Source::User(path.to_owned());
    let mut layer = Layer::new(source.clone());
    for (name, settings) in parse(&text, path)? {
        let keys = [TABLE.to_owned(), name.clone()];
        if below.get(&keys).is_some() {
            return Err(Trouble::config(
                format!("the server `{name}` stands in {} and in the configuration beside it", path.display()),
                "take it out of one of them",
            ));
        }
        let value = toml::Value::try_from(&settings).map_err(|error| wrong(path, &error.to_string()))?;
        layer.put(&keys, value, source.clone());
    }
    layer.check()?;
    Ok(Some(layer))
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    layer::text(path, |too_long| wrong(path, &format!("it {too_long}")))
}

/// The servers in a file of this form, by the names that they have there.
pub(crate) fn load(path: &Path) -> Result<BTreeMap<String, ServerSettings>, Error> {
    let text = read(path)?.ok_or_else(|| Trouble::unreadable(path, &std::io::ErrorKind::NotFound.into()))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, ServerSettings>, Error> {
    let whole: Value = serde_json::from_str(text).map_err(|error| wrong(path, &error.to_string()))?;
    let Some(entries) = whole.get(THEIRS).and_then(Value::as_object) else {
        return Err(wrong(path, &format!("it has no object `{THEIRS}`")));
    };
    let is_off = |entry: &Value| entry.get("disabled").and_then(Value::as_bool).unwrap_or(false);
    let on = entries.iter().filter(|(_, entry)| !is_off(entry));
    on.map(|(name, entry)| {
        let of = |reason: String| wrong(path, &format!("`{THEIRS}.{}`: {reason}", name.escape_debug()));
        let entry = entry.as_object().ok_or_else(|| of("it is no object".into()))?;
        let known = entry.iter().filter(|(key, value)| KEYS.contains(&key.as_str()) && !value.is_null());
        let known: Map<String, Value> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let settings = serde_json::from_value(Value::Object(known)).map_err(|error| of(error.to_string()))?;
        Ok((name.clone(), settings))
    })
    .collect()
}

fn wrong(path: &Path, reason: &str) -> Error {
    Trouble::config(
        format!("{}: {}", path.display(), crate::ui::printable(reason)),
        "it must be JSON like `{ \"mcpServers\": { \"NAME\": { \"command\": \"...\", \"args\": [] } } }`",
    )
}

/// Whether the file has a server of this name.
pub(crate) fn has(path: &Path, name: &str) -> Result<bool, Error> {
    Ok(whole(path)?.get(THEIRS).and_then(|all| all.get(name)).is_some())
}

/// Puts servers into the file, in the place of those of the same names. What else stands there stays.
pub(crate) fn put(path: &Path, servers: &BTreeMap<String, ServerSettings>) -> Result<(), Error> {
    let mut whole = whole(path)?;
    let all = whole.entry(THEIRS).or_insert_with(|| Value::Object(Map::new()));
    let Some(all) = all.as_object_mut() else { return Err(wrong(path, &format!("`{THEIRS}` is no object"))) };
    for (name, settings) in servers {
        let value = serde_json::to_value(settings).map_err(|error| wrong(path, &error.to_string()))?;
        all.insert(name.clone(), value);
    }
    write(path, &Value::Object(whole))
}

/// Takes a server out of the file. Says whether it was there.
pub(crate) fn remove(path: &Path, name: &str) -> Result<bool, Error> {
    let mut whole = whole(path)?;
    let gone = whole.get_mut(THEIRS).and_then(Value::as_object_mut).and_then(|all| all.remove(name));
    if gone.is_some() {
        write(path, &Value::Object(whole))?;
    }
    Ok(gone.is_some())
}

fn whole(path: &Path) -> Result<Map<String, Value>, Error> {
    let Some(text) = read(path)? else { return Ok(Map::new()) };
    serde_json::from_str(&text).map_err(|error| wrong(path, &error.to_string()))
}

/// Whole or not at all, and readable by this user only: there may be keys in it.
fn write(path: &Path, whole: &Value) -> Result<(), Error> {
    let unwritable = |error: std::io::Error| Trouble::unwritable(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let text = serde_json::to_string_pretty(whole).map_err(|error| wrong(path, &error.to_string()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    writeln!(file, "{text}").and_then(|()| file.as_file().sync_all()).map_err(unwritable)?;
    file.persist(path).map_err(|error| unwritable(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_clients_are_read_and_what_they_keep_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x").join(FILE);
        let text = r#"{ "inputs": [1], "mcpServers": {
            "git": { "type": "stdio", "command": "uvx", "args": ["git"], "env": { "A": "${A}" }, "autoApprove": ["x"], "cwd": null },
            "far": { "url": "https://a.test/mcp", "headers": { "Authorization": "Bearer {{secret:far}}" } },
            "off": { "command": "x", "disabled": true }
        } }"#;
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let all = load(&path).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["far", "git"]);
        assert_eq!(all["git"].args, ["git"]);

        put(&path, &[("new".to_owned(), all["git"].clone())].into()).unwrap();
        assert!(has(&path, "new").unwrap() && has(&path, "off").unwrap());
        assert!(remove(&path, "new").unwrap() && !remove(&path, "new").unwrap());
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(kept, serde_json::from_str::<Value>(text).unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        }
    }

    #[test]
    fn what_is_no_list_of_servers_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for (text, word) in [
            ("{", "EOF"),
            ("{}", "mcpServers"),
            (r#"{ "mcpServers": { "a": 1 } }"#, "`mcpServers.a`"),
            (r#"{ "mcpServers": { "a": { "command": 1 } } }"#, "`mcpServers.a`"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = load(&path).unwrap_err();
            assert!(error.kind() == "config-invalid" && error.to_string().contains(word), "{word}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(layer(&path, &Merged::default()).unwrap().is_none());
    }
}
