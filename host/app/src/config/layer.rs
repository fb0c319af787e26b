//! One layer of configuration: a table, and where each of its values stands.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence_core::engine::LimitSettings;
use ringfence_core::{Error, Settings};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::{FaceSettings, PROJECT_FILE, schema};
use crate::trouble::Trouble;

/// No configuration of a person is longer.
const MOST_BYTES: u64 = 1 << 20;

/// The keys of [`FaceSettings`]; all others are the core's.
const FACE_KEYS: [&str; 2] = ["output", "directories"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Defaults,
    User(PathBuf),
    Project(PathBuf),
    Environment,
    Flags,
    /// One flag or variable.
    Named(String),
}

impl Source {
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::User(path) | Self::Project(path) => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("default"),
            Self::User(path) | Self::Project(path) => path.display().fmt(f),
            Self::Environment => f.write_str("environment"),
            Self::Flags => f.write_str("flags"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// A source, and in files the place: line and column, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    pub(crate) place: Option<(usize, usize)>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        match self.place {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// One layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) source: Source,
    pub(super) table: toml::Table,
    /// By path of keys. Values of tables inherit the place of the nearest key above.
    origins: BTreeMap<Vec<String>, Origin>,
}

/// The text of a file that holds settings; none where there is no file. `refuse` is told what is wrong with one that is too long.
pub(super) fn text(path: &Path, refuse: impl FnOnce(&str) -> Error) -> Result<Option<String>, Error> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(path, &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refuse(&format!("is longer than {MOST_BYTES} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        Trouble::config(
            format!("{} is not UTF-8, from byte {} on", path.display(), error.utf8_error().valid_up_to()),
            "save it as UTF-8 text; is this the right file?",
        )
    })
}

/// A file of settings that is there and cannot be read. It is not missing: whoever looks for it must not be told so.
fn wrong(path: &Path, error: &std::io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::IsADirectory => Trouble::config(
            format!("{path} is a folder"),
            "a configuration is a file: name that, or move the folder away",
        ),
        ErrorKind::PermissionDenied => Trouble::config(
            format!("{path} cannot be read: {error}"),
            "let this user read it, or name another one with --config",
        ),
        _ => Trouble::config(format!("{path} cannot be read: {error}"), "check the path and its disk"),
    }
}

impl Layer {
    pub(super) fn new(source: Source) -> Self {
        Self { source, table: toml::Table::new(), origins: BTreeMap::new() }
    }

    /// What holds when nobody says anything.
    pub(super) fn defaults() -> Result<Self, Error> {
        let fault = |error: toml::ser::Error| Trouble::new("host-fault", format!("defaults: {error}"), "");
        let mut layer = Self::new(Source::Defaults);
        let settings = Settings { limits: default_limits(), ..Settings::default() };
        layer.table = toml::Table::try_from(settings).map_err(fault)?;
        layer.table.extend(toml::Table::try_from(FaceSettings::default()).map_err(fault)?);
        Ok(layer)
    }

    /// Reads and checks the file of `source`; none where it does not exist.
    pub(super) fn read(source: Source) -> Result<Option<Self>, Error> {
        let Some(path) = source.file() else { return Ok(None) };
        let text = text(path, |too_long| {
            Trouble::config(
                format!("{} {too_long}", path.display()),
                "a configuration file holds settings, nothing else; is this the right file?",
            )
        });
        text?.map(|text| Self::parse(source, &text)).transpose()
    }

    /// The project's file nearest to `from`, upward.
    pub(super) fn project(from: &Path, user_file: &Path) -> Result<Option<Self>, Error> {
        let candidates = from.ancestors().map(|folder| folder.join(PROJECT_FILE));
        let found = candidates.into_iter().find(|path| path.is_file());
        match found.filter(|path| path != user_file) {
            Some(path) => Self::read(Source::Project(path)),
            None => Ok(None),
        }
    }

    pub(super) fn parse(source: Source, text: &str) -> Result<Self, Error> {
        let syntax = |error: toml::de::Error| complain(&source, text, &error);
        let parsed = DeTable::parse(text).map_err(syntax)?;
        let mut layer = Self::new(source.clone());
        layer.locate(text, &mut Vec::new(), parsed.get_ref());
        layer.table = text.parse().map_err(syntax)?;
        // Unknown keys and numbers that make no sense first: their message is better than the one of the deserializer.
        layer.check_keys()?;
        layer.check_numbers()?;
        let (mut face, mut rest) = (DeTable::new(), DeTable::new());
        for (key, value) in parsed.into_inner() {
            let part = if FACE_KEYS.contains(&key.get_ref().as_ref()) { &mut face } else { &mut rest };
            part.insert(key, value);
        }
        let whole = |table| toml::de::Deserializer::from(toml::Spanned::new(0..text.len(), table));
        Settings::deserialize(whole(rest)).map_err(syntax)?;
        FaceSettings::deserialize(whole(face)).map_err(syntax)?;
        Ok(layer)
    }

    /// Puts one value, said by `source`.
    pub(super) fn put(&mut self, path: &[String], value: toml::Value, source: Source) {
        self.origins.insert(path.to_vec(), Origin { source, place: None });
        super::merge::put(&mut self.table, path, value);
    }

    /// Whether every key is known and every value is of its type.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_keys()?;
        self.check_numbers()?;
        super::merge::read(&self.table).map(drop).map_err(|error| {
            let said: Vec<_> = self.origins.values().map(|origin| origin.to_string()).collect();
            Trouble::config(
                format!("{}: {}", said.join(", "), one_line(error.message())),
                "correct the value; `ringfence config schema` says what each key takes",
            )
        })
    }

    pub(super) fn origin(&self, path: &[String]) -> Origin {
        let above = (1..=path.len()).rev().find_map(|n| self.origins.get(&path[..n]));
        above.cloned().unwrap_or_else(|| Origin { source: self.source.clone(), place: None })
    }

    fn check_keys(&self) -> Result<(), Error> {
        let Some(unknown) = schema::first_unknown(&self.table) else { return Ok(()) };
        let name = unknown.path.join(".");
        let help = match &unknown.nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`ringfence config schema` prints all keys".into(),
        };
        Err(Trouble::config(format!("{}: unknown key `{name}`", self.origin(&unknown.path)), help))
    }

    /// Whether each number is as large as its key needs: a limit of nothing would be found out later, in words about something else.
    fn check_numbers(&self) -> Result<(), Error> {
        let Some(low) = schema::first_too_low(&self.table) else { return Ok(()) };
        let (name, origin, least) = (low.path.join("."), self.origin(&low.path), low.least);
        Err(Trouble::config(
            format!("{origin}: `{name}` is {}, and must be at least {least}", low.value),
            format!("write {least} or more, or leave `{name}` out"),
        ))
    }

    fn locate(&mut self, text: &str, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            let origin = Origin { source: self.source.clone(), place: Some(place(text, key.span().start)) };
            self.origins.insert(path.clone(), origin);
            if let DeValue::Table(inner) = value.get_ref() {
                self.locate(text, path, inner);
            }
            path.pop();
        }
    }
}

/// The core's limits as they would be written: so that they are shown, and so that a project's file can be held to them.
fn default_limits() -> LimitSettings {
    let limits = LimitSettings::default().resolve();
    let of = |bytes: usize, unit: usize| u32::try_from(bytes / unit).ok();
    let seconds = |time: Duration| u32::try_from(time.as_secs()).ok();
    LimitSettings {
        memory_mib: of(limits.memory_bytes, 1 << 20),
        wall_seconds: seconds(limits.wall),
        cpu_seconds: seconds(limits.cpu),
        hostcall_kib: of(limits.hostcall_bytes, 1 << 10),
        input_kib: of(limits.input_bytes, 1 << 10),
        output_kib: of(limits.output_bytes, 1 << 10),
        handles: of(limits.handles, 1),
    }
}

fn complain(source: &Source, text: &str, error: &toml::de::Error) -> Error {
    let origin = Origin { source: source.clone(), place: error.span().map(|span| place(text, span.start)) };
    Trouble::config(
        format!("{origin}: {}", one_line(error.message())),
        "correct the file; `ringfence config schema` says what each key takes",
    )
}

fn one_line(message: &str) -> String {
    crate::ui::printable(message.trim()).replace('\n', "; ")
}

/// Line and column of a byte, both from 1; columns count characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
