//! What holds where nobody has written anything: what the environment decides, folders, and budgets that nobody has set.

use std::collections::BTreeMap;

use ringfence_core::capability::model::discover::{Discovered, LAST_RESORT, UNLISTED};
use ringfence_core::capability::model::settings::ProviderSettings;

use super::layer::{Origin, Source};
use super::merge::{Entry, leaves};
use super::{Config, schema};

pub(super) fn unsaid(config: &Config) -> Vec<Entry> {
    let found = config.models();
    let mut entries = Vec::new();
    let configured = &config.settings.models;
    for (name, provider) in
        found.settings.providers.iter().filter(|(name, _)| !configured.providers.contains_key(*name))
    {
        entries.extend(fields(name, provider, &found));
    }
    for (alias, models) in found.settings.aliases.iter().filter(|(alias, _)| !configured.aliases.contains_key(*alias)) {
        let source = models.first().map_or(Source::Defaults, |model| chooser(model, &found));
        let models = models.iter().map(|model| toml::Value::from(model.as_str())).collect();
        entries.push(entry(&["models", "aliases", alias], Some(toml::Value::Array(models)), source));
    }
    for (key, path, source) in config.bases.unsaid() {
        entries.push(entry(&["directories", key], Some(path.to_string_lossy().into_owned().into()), source));
    }
    let budgets = schema::keys().into_iter().filter(|key| key.path().first().is_some_and(|first| first == "budget"));
    entries.extend(budgets.map(|key| {
        let path: Vec<&str> = key.path().iter().map(String::as_str).collect();
        entry(&path, None, Source::Defaults)
    }));
    entries
}

fn entry(path: &[&str], value: Option<toml::Value>, source: Source) -> Entry {
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    Entry { path, value, origin: Origin { source, place: None } }
}

/// Of a provider that nobody has configured its type, and what is not as it always is. Its key is never among them, only the name of the
/// variable that holds it.
fn fields(name: &str, provider: &ProviderSettings, found: &Discovered) -> Vec<Entry> {
    let written = |provider: &ProviderSettings| {
        let mut fields = BTreeMap::new();
        // A provider is a table of plain values: it can always be written.
        let table = toml::Table::try_from(provider).unwrap_or_default();
        leaves(&table, &mut |path, value| drop(fields.insert(path.to_vec(), value.clone())));
        fields
    };
    let usual = written(&ProviderSettings::new(provider.kind));
    let told = written(provider).into_iter();
    let told = told
        .filter(|(path, value)| path.first().is_some_and(|first| first == "type") || usual.get(path) != Some(value));
    told.map(|(field, value)| {
        let variable = found.variable(name, field.first().map_or("", String::as_str));
        let path: Vec<&str> =
            ["models", "providers", name].into_iter().chain(field.iter().map(String::as_str)).collect();
        entry(&path, Some(value), named(variable))
    })
    .collect()
}

/// What has chosen this model for an alias that nobody has configured.
fn chooser(model: &str, found: &Discovered) -> Source {
    let provider = model.split('/').next().unwrap_or(model);
    if model == LAST_RESORT {
        return Source::Defaults;
    }
    let by = found.variable(provider, if model == UNLISTED { "base-url" } else { "key-env" });
    // Of a configured provider it is its key.
    named(by.or_else(|| found.settings.providers.get(provider)?.key_variable()))
}

fn named(variable: Option<&str>) -> Source {
    variable.map_or(Source::Defaults, |name| Source::Named(name.to_owned()))
}
