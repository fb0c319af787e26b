//! What the operator granted, kept. Only a face's admin verbs call this: no skill and no model does.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params, types::Type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Grants;
use crate::capability::{kv, model};
use crate::state::{State, StateError};

/// The operator's grants by identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GrantsStore {
    state: State,
    /// What the state holds, so that a call reads no disk. Written only after the state was.
    known: Arc<RwLock<HashMap<String, Arc<Grants>>>>,
}

impl GrantsStore {
    pub fn new(state: State) -> Self {
        Self { state, known: Arc::default() }
    }

    /// Reads what was granted before. A grant that cannot be read grants nothing.
    pub async fn open(state: State) -> Result<Self, StateError> {
        let store = Self::new(state);
        let identities: Vec<String> = store
            .state
            .read(|db| db.prepare("SELECT DISTINCT identity FROM grants")?.query_map([], |row| row.get(0))?.collect())
            .await?;
        for identity in identities {
            match store.load(&identity).await {
                Ok(grants) => store.know(&identity, grants),
                Err(error) => tracing::error!(identity, %error, "a grant cannot be read and grants nothing"),
            }
        }
        Ok(store)
    }

    /// What `identity` was granted. Touches no disk.
    #[must_use]
    pub fn of(&self, identity: &str) -> Arc<Grants> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(identity).cloned().unwrap_or_default()
    }

    fn know(&self, identity: &str, grants: Grants) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(identity.to_owned(), Arc::new(grants));
    }

    /// What `identity` was granted: nothing where it never was.
    pub async fn load(&self, identity: &str) -> Result<Grants, StateError> {
        let identity = identity.to_owned();
        self.state.read(move |db| load(db, &identity)).await
    }

    /// Grants `more` on top of what is there, and gives the sum.
    pub async fn merge(&self, identity: &str, more: Grants) -> Result<Grants, StateError> {
        let of = identity.to_owned();
        let sum = self
            .state
            .write(move |tx| {
                let sum = merged(load(tx, &of)?, more.clone());
                put(tx, &of, "model", sum.model.as_ref())?;
                put(tx, &of, "kv", sum.kv.as_ref())?;
                Ok(sum)
            })
            .await?;
        self.know(identity, sum.clone());
        Ok(sum)
    }

    /// Takes back one capability, or all where none is named. Says whether there was anything to take.
    pub async fn revoke(&self, identity: &str, capability: Option<&str>) -> Result<bool, StateError> {
        let (of, capability) = (identity.to_owned(), capability.map(str::to_owned));
        let (gone, left) = self
            .state
            .write(move |tx| {
                let gone = tx.execute(
                    "DELETE FROM grants WHERE identity = ?1 AND (?2 IS NULL OR capability = ?2)",
                    params![of, capability],
                )?;
                Ok((gone, load(tx, &of)?))
            })
            .await?;
        self.know(identity, left);
        Ok(gone > 0)
    }
}

fn load(db: &Connection, identity: &str) -> rusqlite::Result<Grants> {
    Ok(Grants { model: get(db, identity, "model")?, kv: get(db, identity, "kv")? })
}

fn get<G: DeserializeOwned>(db: &Connection, identity: &str, capability: &str) -> rusqlite::Result<Option<G>> {
    let json: Option<String> = db
        .prepare_cached("SELECT json FROM grants WHERE identity = ?1 AND capability = ?2")?
        .query_row([identity, capability], |row| row.get(0))
        .optional()?;
    json.map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

fn put<G: Serialize>(
    tx: &Transaction<'_>,
    identity: &str,
    capability: &str,
    grant: Option<&G>,
) -> rusqlite::Result<()> {
    let Some(grant) = grant else { return Ok(()) };
    let json = serde_json::to_string(grant).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.execute(
        "INSERT OR REPLACE INTO grants VALUES (?1, ?2, ?3, ?4)",
        params![identity, capability, json, jiff::Timestamp::now().as_microsecond()],
    )?;
    Ok(())
}

/// The sum of two grants: it allows what one of them allows.
fn merged(old: Grants, new: Grants) -> Grants {
    Grants { model: either(old.model, new.model, models), kv: either(old.kv, new.kv, kvs) }
}

fn either<G>(old: Option<G>, new: Option<G>, both: impl FnOnce(G, G) -> G) -> Option<G> {
    match (old, new) {
        (Some(old), Some(new)) => Some(both(old, new)),
        (old, new) => old.or(new),
    }
}

fn models(mut old: model::Grant, new: model::Grant) -> model::Grant {
    for name in new.models {
        if !old.models.contains(&name) {
            old.models.push(name);
        }
    }
    // None is the operator's default for all skills, so a number that was said for this one stands against it.
    old.max_tokens = old.max_tokens.max(new.max_tokens);
    old.provider_options |= new.provider_options;
    old
}

/// A quota is a single number: the newest one said holds.
fn kvs(old: kv::Grant, new: kv::Grant) -> kv::Grant {
    kv::Grant { max_bytes: new.max_bytes.or(old.max_bytes), max_keys: new.max_keys.or(old.max_keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::temporary;

    fn model_grant(models: &[&str], max_tokens: Option<u32>) -> Grants {
        let models = models.iter().map(ToString::to_string).collect();
        Grants { model: Some(model::Grant { models, max_tokens, ..Default::default() }), kv: None }
    }

    #[tokio::test]
    async fn grants_add_up_and_are_taken_back_one_by_one() {
        let (_dir, state) = temporary();
        let store = GrantsStore::new(state);
        assert_eq!(store.load("a").await.unwrap(), Grants::default());
        store.merge("a", model_grant(&["fast"], Some(900))).await.unwrap();
        store.merge("a", model_grant(&["smart", "fast"], Some(500))).await.unwrap();
        store.merge("a", Grants { kv: Some(kv::Grant::default()), model: None }).await.unwrap();
        let all = store.load("a").await.unwrap();
        let model = all.model.clone().unwrap();
        assert_eq!((model.models, model.max_tokens), (vec!["fast".to_owned(), "smart".to_owned()], Some(900)));
        assert!(all.kv.is_some());
        assert_eq!(store.load("b").await.unwrap(), Grants::default());

        assert!(store.revoke("a", Some("model")).await.unwrap());
        let left = store.load("a").await.unwrap();
        assert!(left.model.is_none() && left.kv.is_some());
        assert!(store.revoke("a", None).await.unwrap());
        assert!(!store.revoke("a", None).await.unwrap());
        assert_eq!(store.load("a").await.unwrap(), Grants::default());
    }

    #[tokio::test]
    async fn a_grant_that_cannot_be_read_grants_nothing() {
        let (_dir, state) = temporary();
        let text = "INSERT INTO grants VALUES ('a', 'kv', '{\"max-byte\": 1}', 0)";
        state.write(move |tx| tx.execute(text, [])).await.unwrap();
        assert!(GrantsStore::new(state).load("a").await.is_err());
    }
}
