//! What the operator granted, kept. Only a face's admin verbs call this: no skill and no model does.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Transaction, params, types::Type};

use super::{Grants, Requests, effective};
use crate::state::{State, StateError};

/// The operator's grants by identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GrantsStore {
    state: State,
    /// What the state holds, so that a call reads no disk. Written only after the state was.
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    held: HashMap<String, Held>,
    /// What all others hold.
    nothing: Arc<Grants>,
    /// How often anything of it was changed.
    changes: u64,
}

/// What one identity may do.
#[derive(Clone, Debug, Default)]
struct Held {
    /// For good.
    always: Arc<Grants>,
    /// As long as this host lives. Nowhere on disk.
    session: Grants,
    /// Both together: what calls are measured by.
    sum: Arc<Grants>,
}

impl Held {
    fn new(always: Grants, session: Grants) -> Self {
        let sum = Arc::new(always.clone().merged(session.clone()));
        Self { always: Arc::new(always), session, sum }
    }
}

impl GrantsStore {
    pub fn new(state: State) -> Self {
        Self { state, known: Arc::default() }
    }

    /// Reads what was granted before. A grant that cannot be read grants nothing.
    pub async fn open(state: State) -> Result<Self, StateError> {
        let store = Self::new(state);
        store.refresh().await?;
        Ok(store)
    }

    /// Reads again what was granted for good: another host on the same state may have changed it.
    pub async fn refresh(&self) -> Result<(), StateError> {
        loop {
            let before = self.known.read().unwrap_or_else(PoisonError::into_inner).changes;
            let mut all = self.state.read(load_all).await?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // What this host has changed meanwhile is newer than what was read.
            if known.changes != before {
                continue;
            }
            known.changes += 1;
            for (identity, held) in &mut known.held {
                *held = Held::new(all.remove(identity).unwrap_or_default(), held.session.clone());
            }
            known
                .held
                .extend(all.into_iter().map(|(identity, always)| (identity, Held::new(always, Grants::default()))));
            return Ok(());
        }
    }

    /// What `identity` may do now: what was granted for good, and for as long as this host lives. The same value for as long as
    /// that does not change. Touches no disk.
    #[must_use]
    pub fn of(&self, identity: &str) -> Arc<Grants> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.held.get(identity).map_or(&known.nothing, |held| &held.sum))
    }

    /// What `identity` was granted for good. Touches no disk.
    #[must_use]
    pub fn always(&self, identity: &str) -> Arc<Grants> {
        self.held(identity).always
    }

    /// What `identity` was granted for as long as this host lives.
    #[must_use]
    pub fn session(&self, identity: &str) -> Grants {
        self.held(identity).session
    }

    fn held(&self, identity: &str) -> Held {
        self.known.read().unwrap_or_else(PoisonError::into_inner).held.get(identity).cloned().unwrap_or_default()
    }

    /// Puts what an identity holds in place of what `change` is given.
    fn know(&self, identity: &str, change: impl FnOnce(&Held) -> Held) -> Held {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let held = change(&known.held.get(identity).cloned().unwrap_or_default());
        known.held.insert(identity.to_owned(), held.clone());
        known.changes += 1;
        held
    }

    fn know_always(&self, identity: &str, always: Grants) {
        self.know(identity, |held| Held::new(always, held.session.clone()));
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
                let sum = load(tx, &of)?.merged(more.clone());
                put(tx, &of, &sum)?;
                Ok(sum)
            })
            .await?;
        self.know_always(identity, sum.clone());
        Ok(sum)
    }

    /// Grants `more` until this host ends, and gives the sum of what was granted so.
    pub fn merge_for_session(&self, identity: &str, more: Grants) -> Grants {
        self.know(identity, |held| Held::new((*held.always).clone(), held.session.clone().merged(more))).session
    }

    /// Leaves only what a skill with these requests could make use of: a pattern that was granted, or a grant that was not
    /// used, must not cover what a later version requests.
    pub async fn narrow(&self, identity: &str, requests: &Requests) -> Result<(), StateError> {
        let (of, before) = (identity.to_owned(), requests.clone());
        let write = self.state.write(move |tx| {
            let left = effective(&before, &[&load(tx, &of)?]);
            tx.execute("DELETE FROM grants WHERE identity = ?1", [&of])?;
            put(tx, &of, &left)?;
            Ok(left)
        });
        let left = write.await?;
        self.know(identity, |held| Held::new(left, effective(requests, &[&held.session])));
        Ok(())
    }

    /// Takes back one capability, or all where none is named. Says whether there was anything to take.
    pub async fn revoke(&self, identity: &str, capability: Option<&str>) -> Result<bool, StateError> {
        let (of, capability) = (identity.to_owned(), capability.map(str::to_owned));
        let of_session = capability.clone();
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
        self.know(identity, |held| {
            let mut session = held.session.clone();
            match &of_session {
                Some(name) => session.remove(name),
                None => session = Grants::default(),
            }
            Held::new(left, session)
        });
        Ok(gone > 0)
    }
}

/// The grants of every identity. One that cannot be read grants nothing.
fn load_all(db: &Connection) -> rusqlite::Result<HashMap<String, Grants>> {
    let mut statement = db.prepare("SELECT DISTINCT identity FROM grants")?;
    let identities: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let of = |identity: String| match load(db, &identity) {
        Ok(grants) => Some((identity, grants)),
        Err(error) => {
            tracing::error!(identity, %error, "a grant cannot be read and grants nothing");
            None
        }
    };
    Ok(identities.into_iter().filter_map(of).collect())
}

fn load(db: &Connection, identity: &str) -> rusqlite::Result<Grants> {
    let mut grants = Grants::default();
    let mut statement = db.prepare_cached("SELECT capability, json FROM grants WHERE identity = ?1")?;
    let mut rows = statement.query([identity])?;
    while let Some(row) = rows.next()? {
        let (capability, json): (String, String) = (row.get(0)?, row.get(1)?);
        grants
            .put(&capability, &json)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into()))?;
    }
    Ok(grants)
}

fn put(tx: &Transaction<'_>, identity: &str, grants: &Grants) -> rusqlite::Result<()> {
    let parts = grants.parts().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    for (capability, json) in parts {
        tx.execute(
            "INSERT OR REPLACE INTO grants VALUES (?1, ?2, ?3, ?4)",
            params![identity, capability, json, jiff::Timestamp::now().as_microsecond()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{kv, model};
    use crate::state::testing::temporary;

    fn model_grant(models: &[&str], max_tokens: Option<u32>) -> Grants {
        let models = models.iter().map(ToString::to_string).collect();
        Grants { model: Some(model::Grant { models, max_tokens, ..Default::default() }), ..Grants::default() }
    }

    #[tokio::test]
    async fn grants_add_up_and_are_taken_back_one_by_one() {
        let (_dir, state) = temporary();
        let store = GrantsStore::new(state);
        assert_eq!(store.load("a").await.unwrap(), Grants::default());
        store.merge("a", model_grant(&["fast"], Some(900))).await.unwrap();
        store.merge("a", model_grant(&["smart", "fast"], Some(500))).await.unwrap();
        store.merge("a", Grants { kv: Some(kv::Grant::default()), ..Grants::default() }).await.unwrap();
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
    async fn what_is_granted_for_a_session_ends_with_the_host() {
        let (dir, state) = temporary();
        let store = GrantsStore::open(state.clone()).await.unwrap();
        let kv = || Grants { kv: Some(kv::Grant::default()), ..Grants::default() };
        store.merge("a", model_grant(&["fast"], None)).await.unwrap();
        store.merge_for_session("a", kv());
        store.merge_for_session("a", model_grant(&["smart"], None));
        assert_eq!(store.of("a").words(), ["kv", "model=fast,smart"]);
        assert_eq!(store.always("a").words(), ["model=fast"]);
        assert_eq!(store.session("a").words(), ["kv", "model=smart"]);
        store.revoke("a", Some("model")).await.unwrap();
        assert_eq!(store.of("a").words(), ["kv"], "revoked is revoked, however it was granted");
        store.merge("a", model_grant(&["fast"], None)).await.unwrap();
        drop((store, state));
        let store = GrantsStore::open(crate::state::testing::open(dir.path())).await.unwrap();
        assert_eq!(store.of("a").words(), ["model=fast"]);
        store.merge_for_session("a", kv());
        store.revoke("a", None).await.unwrap();
        assert_eq!(*store.of("a"), Grants::default());
    }

    #[tokio::test]
    async fn what_an_update_gets_is_what_the_version_before_it_could_use() {
        let (_dir, state) = temporary();
        let store = GrantsStore::open(state).await.unwrap();
        store.merge("a", model_grant(&["openai/*", "smart"], Some(5))).await.unwrap();
        store.merge("a", Grants { kv: Some(kv::Grant::default()), ..Grants::default() }).await.unwrap();
        let model = model::Request { models: vec!["openai/gpt-5".into()], ..Default::default() };
        store.narrow("a", &Requests { model: Some(model), ..Requests::default() }).await.unwrap();
        let left = model_grant(&["openai/gpt-5"], Some(5));
        assert_eq!(*store.of("a"), left, "neither the pattern nor what it never asked for");
        assert_eq!(store.load("a").await.unwrap(), left);
    }

    #[tokio::test]
    async fn a_grant_that_cannot_be_read_grants_nothing() {
        let (_dir, state) = temporary();
        let text = "INSERT INTO grants VALUES ('a', 'kv', '{\"max-byte\": 1}', 0)";
        state.write(move |tx| tx.execute(text, [])).await.unwrap();
        assert!(GrantsStore::new(state).load("a").await.is_err());
    }
}
