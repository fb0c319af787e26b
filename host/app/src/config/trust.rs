//! What a project's file may say. It comes with a cloned repository, so it is as trustworthy as whoever wrote that: it may
//! choose among what the user has set up, may spend less and may make rules stricter. It may never reach further: no provider, base URL, key,
//! directory or durability. What is not listed here is refused, so a new setting is refused until somebody thinks about it.

use std::path::Path;

use ringfence_core::Error;
use ringfence_core::capability::model::discover::PROVIDERS;
use ringfence_core::catalog::signature::Demand;
use ringfence_core::policy::rules::Rule as Caution;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::layer::Layer;
use super::merge::{Merged, leaves};
use crate::trouble::Trouble;

/// What is to be done with one key.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    /// A preference.
    Free,
    /// A number that may only become smaller.
    Lower,
    /// A rule of what callers may do, that may only become stricter.
    Stricter,
    /// What is asked of signatures, of which a project may only ask more.
    MoreSigned,
    /// A list of `provider/model` names, of providers that the user has.
    KnownProviders,
    Refused,
}

fn rule(path: &[String]) -> Rule {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["output", ..] | ["skills", _, "config", ..] => Rule::Free,
        ["limits" | "budget", ..] | ["skills", _, "limits" | "budget", ..] => Rule::Lower,
        ["rules", _, _] => Rule::Stricter,
        ["signatures", "file" | "https" | "oci" | "index"] => Rule::MoreSigned,
        ["models", "aliases", _] => Rule::KnownProviders,
        _ => Rule::Refused,
    }
}

/// Whether `project` keeps to its place above `below`.
pub(super) fn check(project: &Layer, below: &Merged, user_file: &Path) -> Result<(), Error> {
    let mut first = Ok(());
    leaves(&project.table, &mut |path, value| {
        if first.is_ok() {
            first = check_one(path, value, below)
                .map_err(|reason| refuse(&project.origin(path).to_string(), path, &reason, user_file));
        }
    });
    first
}

fn check_one(path: &[String], value: &toml::Value, below: &Merged) -> Result<(), String> {
    match rule(path) {
        Rule::Free => Ok(()),
        Rule::Lower => lower(path, value, below),
        Rule::Stricter => stricter::<Caution>(path, value, below),
        Rule::MoreSigned => stricter::<Demand>(path, value, below),
        Rule::KnownProviders => known_providers(value, below),
        Rule::Refused => Err("a project may not set this, because projects come from other people".into()),
    }
}

/// A limit that the user has not set is no limit, so a project may set any: it only makes less of it.
///
/// A limit of a skill is compared with the user's for that skill, and with the one for all skills where there is none.
fn lower(path: &[String], value: &toml::Value, below: &Merged) -> Result<(), String> {
    let general = path.strip_prefix(&["skills".to_owned()][..]).and_then(|rest| rest.get(1..));
    let held = below.get(path).or_else(|| below.get(general?));
    let number = |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    match (number(value), held.and_then(number)) {
        (None, _) => Err("a project may only lower numbers here".into()),
        (Some(wanted), Some(held)) if wanted > held => {
            Err(format!("a project may only lower this; it is {held} and would become {wanted}"))
        }
        _ => Ok(()),
    }
}

/// What the user has not said is `allow`: taint, where the default is another, stands in the layer of defaults.
fn stricter<T: Default + Ord + Serialize + DeserializeOwned>(
    path: &[String],
    value: &toml::Value,
    below: &Merged,
) -> Result<(), String> {
    let rule = |value: &toml::Value| value.clone().try_into::<T>().ok();
    let held = below.get(path).and_then(rule).unwrap_or_default();
    match rule(value) {
        Some(wanted) if wanted >= held => Ok(()),
        Some(_) => Err(format!("a project may only make this stricter; it is {}", word(held))),
        None => Err("a project may only make this stricter".into()),
    }
}

fn word(rule: impl Serialize) -> String {
    toml::Value::try_from(rule).map(|value| value.to_string()).unwrap_or_default()
}

fn known_providers(value: &toml::Value, below: &Merged) -> Result<(), String> {
    let own = below.get(&["models".into(), "providers".into()]).and_then(toml::Value::as_table);
    let known = |name: &str| PROVIDERS.contains(&name) || own.is_some_and(|own| own.contains_key(name));
    let names = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for name in names.iter().filter_map(toml::Value::as_str) {
        let provider = name.split('/').next().unwrap_or(name);
        if !known(provider) {
            return Err(format!("the provider `{provider}` is not one that you have configured"));
        }
    }
    Ok(())
}

fn refuse(origin: &str, path: &[String], reason: &str, user_file: &Path) -> Error {
    Trouble::config(
        format!("{origin}: `{}` is not for a project's file: {reason}", path.join(".")),
        format!("if you want it, put it into your own file, {}", user_file.display()),
    )
}
