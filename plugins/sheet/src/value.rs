//! What stands in a cell, and what kind of it a column holds.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use ringfence_skill::prelude::*;
use serde_json::json;

use crate::date::{Date, Moment};
use crate::number::{self, Decimal};

/// What people and programs write where there is no value.
const NO_VALUE: [&str; 13] =
    ["n/a", "#n/a", "na", "n.a.", "nan", "null", "nil", "none", "-", "--", "\u{2013}", "\u{2014}", "?"];

/// Whether a text says that there is no value. Among texts it is one itself: `none` may be an answer.
pub fn is_no_value(text: &str) -> bool {
    let text = text.trim();
    NO_VALUE.iter().any(|mark| mark.eq_ignore_ascii_case(text))
}

/// What kind of values a column holds, or a formula gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Number,
    Text,
    Boolean,
    Date,
    DateTime,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::DateTime => "datetime",
        }
    }

    pub fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value {
    #[default]
    Empty,
    Number(Decimal),
    Text(Rc<str>),
    Boolean(bool),
    Date(Date),
    DateTime(Moment),
    /// What went wrong, and in which row. Everything that is computed from it is the same error.
    Error(Rc<str>),
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// None for what fits every kind.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Empty | Self::Error(_) => None,
            Self::Number(_) => Some(Kind::Number),
            Self::Text(_) => Some(Kind::Text),
            Self::Boolean(_) => Some(Kind::Boolean),
            Self::Date(_) => Some(Kind::Date),
            Self::DateTime(_) => Some(Kind::DateTime),
        }
    }

    /// As JSON: numbers exactly, dates as ISO 8601.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Empty => serde_json::Value::Null,
            Self::Number(number) => number::json(*number),
            Self::Boolean(yes) => json!(yes),
            Self::Error(why) => json!({ "error": **why }),
            other => json!(other.to_string()),
        }
    }

    /// The order of values of one kind, dates and moments together. Text is ordered by its letters whatever their case, the
    /// same everywhere.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => folded(a).cmp(folded(b)).then_with(|| a.cmp(b)),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::DateTime(a), Self::DateTime(b)) => a.cmp(b),
            (Self::Date(a), Self::DateTime(b)) => a.midnight().cmp(b),
            (Self::DateTime(a), Self::Date(b)) => a.cmp(&b.midnight()),
            (Self::Error(a), Self::Error(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Where a value stands in a sorted column: errors behind what is known, empty cells at the end.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Empty => 2,
            Self::Error(_) => 1,
            _ => 0,
        }
    }
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Number(number) => write!(f, "{}", number::shown(*number)),
            Self::Text(text) => f.write_str(text),
            Self::Boolean(yes) => write!(f, "{yes}"),
            Self::Date(date) => write!(f, "{date}"),
            Self::DateTime(moment) => write!(f, "{moment}"),
            Self::Error(why) => write!(f, "#{why}"),
        }
    }
}
