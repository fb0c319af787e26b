//! The flags that every verb has.

use std::path::PathBuf;

use ringfence_core::Error;

use super::layer::{Layer, Source};
use crate::trouble::Trouble;
use crate::ui::{Color, Format};

/// Options for every verb
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for every verb")]
pub(crate) struct Flags {
    /// Read this file instead of the user's configuration
    #[arg(long, global = true, env = "RINGFENCE_CONFIG", value_name = "FILE", hide_env = true)]
    pub(crate) config: Option<PathBuf>,

    /// Set one configuration value, for example `--set limits.wall-seconds=60`
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Use this model for an alias, `default` where none is named: `--model fast=openai/gpt-6-luna`
    #[arg(long, global = true, value_name = "[ALIAS=]PROVIDER/MODEL")]
    pub(crate) model: Vec<String>,

    /// Print results as text, or as one JSON value
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// When to colour: auto, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub(crate) color: Option<Color>,

    /// Keep state (grants, budgets, skills' data) in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Keep installed skills in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Keep compiled skills and builds in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Say more on stderr; twice for even more. RUST_LOG chooses finer
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Write the log on stderr as text, or as one JSON object each line
    #[arg(long, global = true, env = "RINGFENCE_LOG_FORMAT", value_enum, value_name = "FORMAT", hide_env = true)]
    pub(crate) log_format: Option<Format>,

    /// Fetch no toolchains and no dependencies: fail where one is missing
    #[arg(long, global = true)]
    pub(crate) offline: bool,

    /// Show no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Flags {
    /// What the flags say, as a layer above all others.
    pub(super) fn layer(&self) -> Result<Layer, Error> {
        let mut layer = Layer::new(Source::Flags);
        for pair in &self.set {
            set(&mut layer, pair)?;
        }
        for text in &self.model {
            model(&mut layer, text)?;
        }
        for (key, dir) in [("state", &self.state_dir), ("data", &self.data_dir), ("cache", &self.cache_dir)] {
            if let Some(dir) = dir {
                let at = Source::Named(format!("--{key}-dir"));
                let dir = super::dirs::absolute(dir);
                layer.put(&["directories".into(), key.into()], dir.to_string_lossy().into_owned().into(), at);
            }
        }
        if let Some(format) = self.format {
            put_word(&mut layer, "format", &format);
        }
        if let Some(color) = self.color {
            put_word(&mut layer, "color", &color);
        }
        layer.check()?;
        Ok(layer)
    }
}

/// `alias=provider/model`, or a model alone for `default`.
fn model(layer: &mut Layer, text: &str) -> Result<(), Error> {
    let (alias, name) = text.split_once('=').unwrap_or(("default", text));
    let whole = name.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
    if alias.is_empty() || alias.contains('/') || !whole {
        return Err(Trouble::config(
            format!("`--model {text}` names no model"),
            "write `--model PROVIDER/MODEL` or `--model ALIAS=PROVIDER/MODEL`; `ringfence models` lists both",
        ));
    }
    let path = ["models".to_owned(), "aliases".into(), alias.to_owned()];
    layer.put(&path, toml::Value::Array(vec![name.into()]), Source::Named("--model".into()));
    Ok(())
}

fn put_word(layer: &mut Layer, key: &str, value: &impl clap::ValueEnum) {
    if let Some(word) = value.to_possible_value() {
        let at = Source::Named(format!("--{key}"));
        layer.put(&["output".into(), key.into()], word.get_name().into(), at);
    }
}

/// `a.b = value`, where the value is TOML, or a plain word where it is no TOML.
fn set(layer: &mut Layer, pair: &str) -> Result<(), Error> {
    let bad = || {
        Trouble::config(
            format!("`--set {pair}` is not KEY=VALUE"),
            "write for example `--set limits.wall-seconds=60`; `ringfence config show` lists the keys",
        )
    };
    let (key, value) = pair.split_once('=').ok_or_else(bad)?;
    let plain = || format!("{key} = {}", toml::Value::from(value));
    let table: toml::Table =
        format!("{key} = {value}").parse().or_else(|_| plain().parse()).map_err(|_: toml::de::Error| bad())?;
    let at = Source::Named(format!("--set {}", key.trim()));
    super::merge::leaves(&table, &mut |path, value| layer.put(path, value.clone(), at.clone()));
    Ok(())
}
