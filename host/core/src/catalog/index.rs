//! The list of installed skills, kept: what is needed to show and to call them without opening their components.

use std::path::Path;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::state::{State, StateError};

/// An installed skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Unique among the installed skills.
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the component's bytes.
    pub(crate) digest: String,
    /// The manifest as JSON.
    pub(crate) manifest: String,
    /// The tools as JSON.
    pub(crate) tools: String,
    /// Where it came from: a path, a URL, a registry's name.
    pub(crate) source: String,
    pub(crate) added_at: jiff::Timestamp,
    /// Who signed it, as JSON; none where nobody did whom the person trusts.
    pub(crate) signer: Option<String>,
}

/// The index of a host. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    state: State,
}

impl Index {
    pub(crate) fn new(state: State) -> Self {
        Self { state }
    }

    /// Adds a skill, in the place of one of the same name. `first` is done in the same transaction; where it says no, nothing is added,
    /// and so does the answer.
    pub(crate) async fn put(
        &self,
        entry: Entry,
        mut first: impl FnMut(&Transaction<'_>) -> rusqlite::Result<bool> + Send + 'static,
    ) -> Result<bool, StateError> {
        self.state
            .write_large(move |tx| {
                if !first(tx)? {
                    return Ok(false);
                }
                tx.execute(
                    "INSERT OR REPLACE INTO skills (name, version, digest, manifest, tools, source, added_us, signer)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        entry.name,
                        entry.version,
                        entry.digest,
                        entry.manifest,
                        entry.tools,
                        entry.source,
                        entry.added_at.as_microsecond(),
                        entry.signer,
                    ],
                )?;
                Ok(true)
            })
            .await
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Entry>, StateError> {
        let name = name.to_owned();
        self.state
            .read(move |db| {
                db.prepare_cached("SELECT * FROM skills WHERE name = ?1")?.query_row([name], entry).optional()
            })
            .await
    }

    /// All skills, by name.
    pub(crate) async fn all(&self) -> Result<Vec<Entry>, StateError> {
        self.state
            .read(|db| db.prepare_cached("SELECT * FROM skills ORDER BY name")?.query_map([], entry)?.collect())
            .await
    }

    /// The names in the index of the state directory `dir`, which a host may hold meanwhile.
    pub(crate) fn names(dir: &Path) -> Result<Vec<String>, StateError> {
        State::peek(dir, |db| {
            db.prepare("SELECT name FROM skills ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Says whether there was one.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, StateError> {
        let name = name.to_owned();
        self.state.write(move |tx| tx.execute("DELETE FROM skills WHERE name = ?1", [&name])).await.map(|gone| gone > 0)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        name: row.get("name")?,
        version: row.get("version")?,
        digest: row.get("digest")?,
        manifest: row.get("manifest")?,
        tools: row.get("tools")?,
        source: row.get("source")?,
        added_at: jiff::Timestamp::from_microsecond(row.get("added_us")?).unwrap_or_default(),
        signer: row.get("signer")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::temporary;

    fn skill(name: &str, version: &str) -> Entry {
        Entry {
            name: name.into(),
            version: version.into(),
            digest: "sha256:00".into(),
            manifest: "{}".into(),
            tools: "[]".into(),
            source: "./skill.wasm".into(),
            added_at: jiff::Timestamp::from_microsecond(1_700_000_000_000_001).unwrap(),
            signer: (name == "b").then(|| "{}".into()),
        }
    }

    #[tokio::test]
    async fn skills_are_put_replaced_listed_and_removed() {
        let (dir, state) = temporary();
        let index = Index::new(state);
        for (name, version) in [("b", "1.0.0"), ("a", "1.0.0"), ("b", "1.1.0")] {
            assert!(index.put(skill(name, version), |_| Ok(true)).await.unwrap());
        }
        assert!(!index.put(skill("b", "2.0.0"), |_| Ok(false)).await.unwrap());
        assert_eq!(index.all().await.unwrap(), [skill("a", "1.0.0"), skill("b", "1.1.0")]);
        assert_eq!(index.get("b").await.unwrap(), Some(skill("b", "1.1.0")));
        // While the state is held by this host, and after it.
        assert_eq!(Index::names(dir.path()).unwrap(), ["a", "b"]);
        assert!(index.remove("b").await.unwrap());
        assert!(!index.remove("b").await.unwrap());
        assert_eq!(index.get("b").await.unwrap(), None);
        drop(index);
        assert_eq!(Index::names(dir.path()).unwrap(), ["a"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(Index::names(empty.path()).is_err());
        assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "a look makes nothing");
    }
}
