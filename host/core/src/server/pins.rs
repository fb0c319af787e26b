//! What a person approved of servers, kept. Only a face's admin verbs write here.

use std::collections::BTreeMap;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::tools::Pinned;
use crate::state::{State, StateError};

/// What was approved of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Approval {
    /// Of how it was started or reached then.
    pub(crate) definition: String,
    /// What it said it was.
    pub(crate) version: String,
    pub(crate) tools: Vec<Pinned>,
}

/// Approvals in the state.
#[derive(Clone, Debug)]
pub(super) struct Pins(State);

impl Pins {
    pub(super) fn new(state: State) -> Self {
        Self(state)
    }

    /// All approvals by the server's name. One that cannot be read approves nothing.
    pub(super) async fn all(&self) -> Result<BTreeMap<String, Approval>, StateError> {
        let rows: Vec<(String, String)> = self
            .0
            .read(|db| {
                let mut statement = db.prepare("SELECT name, approved FROM servers")?;
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .await?;
        let read = |(name, json): (String, String)| match serde_json::from_str(&json) {
            Ok(approval) => Some((name, approval)),
            Err(error) => {
                tracing::error!(name, %error, "an approval cannot be read and approves nothing");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Puts an approval in the place of an older one.
    pub(super) async fn put(&self, name: &str, approval: &Approval) -> Result<(), StateError> {
        // Serialising our own plain structure cannot fail.
        let (name, json) = (name.to_owned(), serde_json::to_string(approval).unwrap_or_default());
        let now = jiff::Timestamp::now().as_microsecond();
        let put = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute(
                "INSERT OR REPLACE INTO servers (name, approved, approved_us) VALUES (?1, ?2, ?3)",
                params![name, json, now],
            )
        };
        self.0.write(put).await.map(|_| ())
    }

    /// Forgets an approval. Says whether there was one.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, StateError> {
        let name = name.to_owned();
        self.0.write(move |tx| tx.execute("DELETE FROM servers WHERE name = ?1", [&name])).await.map(|gone| gone > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::temporary;

    #[tokio::test]
    async fn an_approval_that_cannot_be_read_approves_nothing() {
        let (_dir, state) = temporary();
        let pins = Pins::new(state.clone());
        let approval = Approval { definition: "sha256:a".into(), version: "1.0".into(), tools: Vec::new() };
        pins.put("a", &approval).await.unwrap();
        let text = "INSERT INTO servers VALUES ('b', '{\"definition\": 1}', 0)";
        state.write(move |tx| tx.execute(text, [])).await.unwrap();
        assert_eq!(pins.all().await.unwrap(), [("a".to_owned(), approval)].into());
        assert!(pins.remove("a").await.unwrap() && !pins.remove("a").await.unwrap());
        assert!(pins.all().await.unwrap().is_empty());
    }
}
