//! Answers that a person let the host keep.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde_json::Value;

use crate::state::{State, StateError};

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// The skill's name for it.
    pub name: String,
    /// JSON Schema of the question that it answered.
    pub schema: Value,
    pub answer: Value,
    /// Microseconds since 1970-01-01 UTC.
    pub answered_us: i64,
}

/// The answers of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers {
    state: State,
}

impl Answers {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state }
    }

    /// The answer to the question of this name with this schema.
    pub async fn get(&self, skill: &str, name: &str, schema: &Value) -> Result<Option<Value>, StateError> {
        let (skill, name, schema) = (skill.to_owned(), name.to_owned(), schema.to_string());
        let text: Option<String> = self
            .state
            .read(move |db| {
                db.prepare_cached("SELECT json FROM answers WHERE skill = ?1 AND name = ?2 AND schema = ?3")?
                    .query_row([skill, name, schema], |row| row.get(0))
                    .optional()
            })
            .await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Keeps an answer in the place of an older one. Only after the person agreed.
    pub async fn put(&self, skill: &str, name: &str, schema: &Value, answer: &Value) -> Result<(), StateError> {
        let (skill, name) = (skill.to_owned(), name.to_owned());
        let (schema, answer, at) = (schema.to_string(), answer.to_string(), jiff::Timestamp::now().as_microsecond());
        self.state
            .write(move |tx| {
                tx.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![skill, name, schema, answer, at],
                )
            })
            .await
            .map(drop)
    }

    /// All that is kept for a skill, by name.
    pub async fn of(&self, skill: &str) -> Result<Vec<Kept>, StateError> {
        let skill = skill.to_owned();
        let json = |text: String| serde_json::from_str(&text).unwrap_or_default();
        self.state
            .read(move |db| {
                db.prepare_cached("SELECT name, schema, json, answered_us FROM answers WHERE skill = ?1 ORDER BY name")?
                    .query_map([skill], |row| {
                        Ok(Kept {
                            name: row.get(0)?,
                            schema: json(row.get(1)?),
                            answer: json(row.get(2)?),
                            answered_us: row.get(3)?,
                        })
                    })?
                    .collect()
            })
            .await
    }

    /// Forgets one answer, or all where none is named. Says how many there were.
    pub async fn forget(&self, skill: &str, name: Option<&str>) -> Result<usize, StateError> {
        let (skill, name) = (skill.to_owned(), name.map(str::to_owned));
        self.state
            .write(move |tx| {
                tx.execute("DELETE FROM answers WHERE skill = ?1 AND (?2 IS NULL OR name = ?2)", params![skill, name])
            })
            .await
    }
}
