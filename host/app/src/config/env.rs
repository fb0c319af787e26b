//! The layer of the environment: `RINGFENCE_` and the key in capitals, with `_` for `.` and `-`. `RINGFENCE_STATE_DIR` and
//! its like are the same as the flags of that name.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use ringfence_core::Error;

use super::layer::{Layer, Source};
use super::schema;
use crate::trouble::Trouble;

const PREFIX: &str = "RINGFENCE_";

/// Short names for some keys.
const SHORT: &[(&str, &[&str])] = &[
    ("STATE_DIR", &["directories", "state"]),
    ("DATA_DIR", &["directories", "data"]),
    ("CACHE_DIR", &["directories", "cache"]),
    ("FORMAT", &["output", "format"]),
    ("COLOR", &["output", "color"]),
];

/// Names that are read elsewhere and are no configuration keys.
const OTHERS: &[&str] = &["CONFIG", "COMPLETE", "LOG_FORMAT"];

/// The process's environment as it was at the start. Variables that are no UTF-8 are left out. Its values may be keys, so
/// it has no Debug.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Environment {
    fn from(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

pub(super) fn layer(env: &Environment) -> Result<Layer, Error> {
    let mut layer = Layer::new(Source::Environment);
    // Making them takes a millisecond of each start, and most starts need none.
    let keys: LazyCell<Vec<schema::Key>> = LazyCell::new(schema::keys);
    for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(word) = name.strip_prefix(PREFIX) else { continue };
        if OTHERS.contains(&word) {
            continue;
        }
        let Some((path, kind)) = find(word, &keys) else {
            unknown(name, &keys);
            continue;
        };
        let value = read(name, value, kind)?;
        layer.put(&path, value, Source::Named(name.to_owned()));
    }
    layer.check()?;
    Ok(layer)
}

fn find(word: &str, keys: &LazyCell<Vec<schema::Key>>) -> Option<(Vec<String>, schema::Kind)> {
    if let Some((_, path)) = SHORT.iter().find(|(short, _)| *short == word) {
        return Some((path.iter().map(|part| (*part).to_owned()).collect(), schema::Kind::Text));
    }
    keys.iter().find_map(|key| Some((key.match_variable(word)?, key.kind)))
}

/// A variable of ours that means nothing is a mistake of somebody, but may be one of a newer version: it gets a warning.
fn unknown(name: &str, keys: &[schema::Key]) {
    let names = keys.iter().map(|key| format!("{PREFIX}{}", key.variable()));
    let near = schema::nearest(name, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    tracing::warn!("the environment variable {name} is no setting{near}");
}

fn read(name: &str, value: &str, kind: schema::Kind) -> Result<toml::Value, Error> {
    let bad = |what: &str| {
        Trouble::config(
            format!("the environment variable {name} is `{}`, which is no {what}", crate::ui::printable(value)),
            format!("set {name} to a {what}, or unset it"),
        )
    };
    Ok(match kind {
        schema::Kind::Text => value.into(),
        schema::Kind::Whole => value.parse::<i64>().map_err(|_| bad("whole number"))?.into(),
        schema::Kind::Number => value.parse::<f64>().map_err(|_| bad("number"))?.into(),
        schema::Kind::Flag => value.parse::<bool>().map_err(|_| bad("true or false"))?.into(),
        schema::Kind::List => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(toml::Value::from).collect())
        }
    })
}
