//! The JSON Schema of configuration files: for editors, and for everything here that must know which keys there are.

use std::sync::LazyLock;

use ringfence_core::Settings;
use serde_json::{Value, json};

use super::FaceSettings;

/// Where the schema of this version is found once it is published; `config schema` prints it before that.
const TITLE: &str = "Ringfence configuration";

/// The schema of a whole file.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut whole = json!(schemars::schema_for!(Settings));
        let face = json!(schemars::schema_for!(FaceSettings));
        for part in ["properties", "$defs"] {
            if let (Some(into), Some(from)) =
                (whole.get_mut(part).and_then(Value::as_object_mut), face[part].as_object())
            {
                into.extend(from.clone());
            }
        }
        whole["title"] = TITLE.into();
        whole
    });
    &DOCUMENT
}

/// What a key takes, as far as an environment variable must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Number,
    Flag,
    List,
}

/// One key that has a plain value. `*` stands for a name of the operator's choice.
#[derive(Clone, Debug)]
pub(super) struct Key {
    path: Vec<String>,
    pub(super) kind: Kind,
}

impl Key {
    /// Its parts, the outermost first.
    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    /// The name of its environment variable, without the prefix.
    pub(super) fn variable(&self) -> String {
        let words: Vec<_> = self.path.iter().map(|part| shout(part)).collect();
        words.join("_")
    }

    /// The path of `word`, where it is this key's variable. Only a last `*` can be matched: a name in the middle could not
    /// be told from what follows it.
    pub(super) fn match_variable(&self, word: &str) -> Option<Vec<String>> {
        if self.path.last().is_some_and(|last| last == "*") {
            let above = Self { path: self.path[..self.path.len() - 1].to_vec(), kind: self.kind };
            let name = word.strip_prefix(&above.variable())?.strip_prefix('_').filter(|name| !name.is_empty())?;
            let mut path = above.path;
            path.push(name.to_lowercase().replace('_', "-"));
            return (!path[..path.len() - 1].contains(&"*".to_owned())).then_some(path);
        }
        (!self.path.iter().any(|part| part == "*") && self.variable() == word).then(|| self.path.clone())
    }
}

fn shout(part: &str) -> String {
    part.to_uppercase().replace('-', "_")
}

/// All keys with plain values.
pub(super) fn keys() -> Vec<Key> {
    fn walk(node: &Value, path: &mut Vec<String>, keys: &mut Vec<Key>) {
        let node = resolve(node);
        let parts = node["properties"].as_object().into_iter().flatten().map(|(key, below)| (key.as_str(), below));
        let any = node.get("additionalProperties").filter(|any| any.is_object()).map(|any| ("*", any));
        for (key, below) in parts.chain(any) {
            path.push(key.to_owned());
            match kind(below) {
                Some(kind) => keys.push(Key { path: path.clone(), kind }),
                None => walk(below, path, keys),
            }
            path.pop();
        }
    }
    let mut keys = Vec::new();
    walk(document(), &mut Vec::new(), &mut keys);
    keys
}

fn kind(node: &Value) -> Option<Kind> {
    let node = resolve(node);
    if node.get("enum").is_some() || node.get("oneOf").is_some() || node.get("const").is_some() {
        return Some(Kind::Text);
    }
    let names =
        |word: &str| node["type"] == word || node["type"].as_array().is_some_and(|all| all.contains(&json!(word)));
    [
        ("integer", Kind::Whole),
        ("number", Kind::Number),
        ("boolean", Kind::Flag),
        ("string", Kind::Text),
        ("array", Kind::List),
    ]
    .into_iter()
    .find_map(|(word, kind)| names(word).then_some(kind))
}

/// Follows references, and looks through `X or null`.
fn resolve(node: &Value) -> &Value {
    let mut node = node;
    for _ in 0..16 {
        let target = node["$ref"].as_str().and_then(document_part);
        let some = node["anyOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
        match target.or(some) {
            Some(next) => node = next,
            None => break,
        }
    }
    node
}

fn document_part(reference: &str) -> Option<&'static Value> {
    document().pointer(reference.strip_prefix('#')?)
}

/// A key that does not exist, and the nearest that does.
#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) path: Vec<String>,
    pub(super) nearest: Option<String>,
}

pub(super) fn first_unknown(table: &toml::Table) -> Option<Unknown> {
    fn walk(node: &Value, table: &toml::Table, path: &mut Vec<String>) -> Option<Unknown> {
        let node = resolve(node);
        let known = node["properties"].as_object();
        for (key, value) in table {
            path.push(key.clone());
            let below = known.and_then(|known| known.get(key)).or_else(|| any(node));
            let named = names(node);
            match (below, value) {
                (None, _) if known.is_some() => return Some(unknown(node, path)),
                (Some(_), _) if named.is_some_and(|names| !names.contains(&json!(key))) => {
                    return Some(unknown(node, path));
                }
                (Some(below), toml::Value::Table(inner)) => {
                    if let Some(found) = walk(below, inner, path) {
                        return Some(found);
                    }
                }
                _ => {}
            }
            path.pop();
        }
        None
    }
    walk(document(), table, &mut Vec::new())
}

/// A number that is less than its key takes.
#[derive(Debug)]
pub(super) struct TooLow {
    pub(super) path: Vec<String>,
    pub(super) value: i64,
    pub(super) least: i64,
}

pub(super) fn first_too_low(table: &toml::Table) -> Option<TooLow> {
    fn walk(node: &Value, table: &toml::Table, path: &mut Vec<String>) -> Option<TooLow> {
        let node = resolve(node);
        for (key, value) in table {
            let Some(below) = node["properties"].get(key).or_else(|| any(node)) else { continue };
            path.push(key.clone());
            let found = match value {
                toml::Value::Table(inner) => walk(below, inner, path),
                toml::Value::Integer(value) => {
                    let least = resolve(below)["minimum"].as_i64().filter(|least| value < least);
                    least.map(|least| TooLow { path: path.clone(), value: *value, least })
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
            path.pop();
        }
        None
    }
    walk(document(), table, &mut Vec::new())
}

fn any(node: &Value) -> Option<&Value> {
    node.get("additionalProperties").filter(|any| **any != Value::Bool(false))
}

/// The names that a table of names may have, where not every name will do.
fn names(node: &Value) -> Option<&Vec<Value>> {
    node["propertyNames"]["enum"].as_array()
}

fn unknown(node: &Value, path: &[String]) -> Unknown {
    let (last, above) = path.split_last().map_or(("", &[][..]), |(last, above)| (last.as_str(), above));
    let parts = node["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    let siblings = parts.chain(names(node).into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)));
    // A right key in the wrong table is as common as a typing error.
    let elsewhere = || {
        let all = keys().into_iter().filter(|key| key.path.last().is_some_and(|name| name == last));
        all.map(|key| key.path.join(".")).next()
    };
    let near = nearest(last, siblings).map(|key| [above, &[key]].concat().join("."));
    Unknown { path: path.to_vec(), nearest: near.or_else(elsewhere) }
}

/// The most similar of `names`, where one is similar enough to be meant.
pub(crate) fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let alike = |other: &String| strsim::jaro_winkler(name, other);
    let scored = names.map(|other| (alike(&other), other)).filter(|(score, _)| *score > 0.8);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}
