//! Layers over one another: a later value replaces an earlier one, tables are merged key by key, lists are replaced.

use std::collections::BTreeMap;

use ringfence_core::{Error, Settings};
use serde::Deserialize;

use super::FaceSettings;
use super::layer::{Layer, Origin};
use crate::trouble::Trouble;

/// All layers together, and where each value came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    pub(crate) table: toml::Table,
    origins: BTreeMap<Vec<String>, Origin>,
}

/// One value with its key and origin, as it is shown: keys and the like are masked.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<String>,
    /// None: there is no limit.
    pub(crate) value: Option<toml::Value>,
    pub(crate) origin: Origin,
}

impl Merged {
    /// `layers` with the weakest first.
    pub(super) fn of(layers: &[Layer]) -> Self {
        let mut merged = Self::default();
        for layer in layers {
            leaves(&layer.table, &mut |path, value| {
                merged.origins.insert(path.to_vec(), layer.origin(path));
                put(&mut merged.table, path, value.clone());
            });
        }
        merged
    }

    pub(super) fn get(&self, path: &[String]) -> Option<&toml::Value> {
        let (last, above) = path.split_last()?;
        let mut table = &self.table;
        for key in above {
            table = table.get(key)?.as_table()?;
        }
        table.get(last)
    }

    pub(super) fn read(&self) -> Result<(Settings, FaceSettings), Error> {
        read(&self.table).map_err(|error| {
            Trouble::config(
                format!("the configuration makes no sense as a whole: {}", error.message()),
                "`ringfence config show --origin` says where each value comes from",
            )
        })
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        leaves(&self.table, &mut |path, value| {
            if let Some(origin) = self.origins.get(path) {
                let value = if is_secret(path) { "********".into() } else { value.clone() };
                entries.push(Entry { path: path.to_vec(), value: Some(value), origin: origin.clone() });
            }
        });
        entries
    }
}

/// Whether what stands under this key is never shown.
fn is_secret(path: &[String]) -> bool {
    let Some(last) = path.last() else { return false };
    let named = ["key", "api-key", "token", "secret", "password"].iter().any(|word| last.ends_with(word));
    let of_server = path.first().is_some_and(|first| first == "mcp-servers");
    named || path.iter().any(|part| part == "headers" || (of_server && part == "env"))
}

/// Puts a value under a path of keys, making the tables above it. What stood in the way is replaced.
pub(super) fn put(table: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        // An empty table says that there is one, and nothing of what is in it.
        [last] if value.as_table().is_some_and(toml::Table::is_empty) => {
            let there = table.entry(last.clone()).or_insert_with(|| value.clone());
            if !there.is_table() {
                *there = value;
            }
        }
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let below = table.entry(first.clone()).or_insert_with(|| toml::Table::new().into());
            if !below.is_table() {
                *below = toml::Table::new().into();
            }
            if let Some(below) = below.as_table_mut() {
                put(below, rest, value);
            }
        }
    }
}

/// Whether a table with nothing in it says something: that there is one of this name, as the defaults have it.
fn is_named(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path.as_slice(), ["agents" | "mcp-servers", _] | ["models", "providers", _])
}

/// Calls `each` with every value that is no table, and with an empty one that [says something](is_named).
pub(super) fn leaves(table: &toml::Table, each: &mut impl FnMut(&[String], &toml::Value)) {
    fn walk(table: &toml::Table, path: &mut Vec<String>, each: &mut impl FnMut(&[String], &toml::Value)) {
        for (key, value) in table {
            path.push(key.clone());
            match value {
                toml::Value::Table(inner) if !inner.is_empty() || !is_named(path) => walk(inner, path, each),
                value => each(path, value),
            }
            path.pop();
        }
    }
    walk(table, &mut Vec::new(), each);
}

pub(super) fn read(table: &toml::Table) -> Result<(Settings, FaceSettings), toml::de::Error> {
    let (face, rest): (toml::Table, toml::Table) =
        table.clone().into_iter().partition(|(key, _)| key == "output" || key == "directories");
    Ok((Settings::deserialize(rest)?, FaceSettings::deserialize(face)?))
}
