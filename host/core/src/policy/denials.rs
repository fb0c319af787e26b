//! What a person refused a skill for good, kept: it is not asked for again. Only a face's admin verbs call this.
//!
//! A denial allows and forbids nothing by itself, for what is not granted is refused anyway. It keeps the same question from
//! being asked until somebody says yes out of habit.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::params;
use serde::Serialize;

use super::{Facts, Grants, Missing, Requests, missing};
use crate::state::{State, StateError};

/// One thing that a person refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Denied {
    pub capability: String,
    /// As `ringfence grant` would take it: `model=smart`.
    pub wanted: String,
    /// Microseconds since 1970-01-01 UTC.
    pub since_us: i64,
}

/// Denials by identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Denials {
    state: State,
    /// What the state holds. Written only after the state was.
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    denied: HashMap<String, Vec<Denied>>,
    /// How often this host changed any.
    changes: u64,
}

impl Denials {
    /// Reads what was denied before.
    pub async fn open(state: State) -> Result<Self, StateError> {
        let denials = Self { state, known: Arc::default() };
        denials.refresh().await?;
        Ok(denials)
    }

    /// Reads them again: another host on the same state may have changed them.
    pub async fn refresh(&self) -> Result<(), StateError> {
        loop {
            let before = self.known.read().unwrap_or_else(PoisonError::into_inner).changes;
            let all = self.all().await?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // What this host has changed meanwhile is newer than what was read.
            if known.changes == before {
                known.denied = all;
                return Ok(());
            }
        }
    }

    async fn all(&self) -> Result<HashMap<String, Vec<Denied>>, StateError> {
        let all = self.state.read(|db| {
            let mut all: HashMap<String, Vec<Denied>> = HashMap::new();
            let mut statement =
                db.prepare("SELECT identity, capability, wanted, denied_us FROM denials ORDER BY capability, wanted")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let denied = Denied { capability: row.get(1)?, wanted: row.get(2)?, since_us: row.get(3)? };
                all.entry(row.get(0)?).or_default().push(denied);
            }
            Ok(all)
        });
        all.await
    }

    /// What `identity` was denied.
    #[must_use]
    pub fn of(&self, identity: &str) -> Vec<Denied> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).denied.get(identity).cloned().unwrap_or_default()
    }

    /// Remembers that these words, as `ringfence grant` takes them, were refused.
    pub async fn add(&self, identity: &str, words: &[String]) -> Result<(), StateError> {
        let now = jiff::Timestamp::now().as_microsecond();
        let fresh: Vec<Denied> = words
            .iter()
            .flat_map(|word| apart(word))
            .map(|wanted| Denied { capability: capability(&wanted).to_owned(), wanted, since_us: now })
            .collect();
        // What another host has added would be written over.
        self.refresh().await?;
        let mut all = self.of(identity);
        all.retain(|old| !fresh.iter().any(|new| new.wanted == old.wanted));
        all.extend(fresh);
        self.keep(identity, all).await
    }

    /// Forgets what is granted by now.
    pub async fn lift(&self, identity: &str, granted: &Grants) -> Result<(), StateError> {
        // What another host has added would be written over.
        self.refresh().await?;
        let mut all = self.of(identity);
        let before = all.len();
        all.retain(|denied| match Grants::parse([denied.wanted.as_str()]) {
            Ok(wanted) => !holds(granted, wanted),
            // A person had to say more before it could be granted, and now has said it for this capability.
            Err(_) => !granted.by_capability().iter().any(|(name, _)| *name == denied.capability),
        });
        if all.len() == before { Ok(()) } else { self.keep(identity, all).await }
    }

    /// Forgets all denials of one capability, or all where none is named. Says whether there were any.
    pub async fn clear(&self, identity: &str, capability: Option<&str>) -> Result<bool, StateError> {
        // What another host has added would be written over.
        self.refresh().await?;
        let mut all = self.of(identity);
        let before = all.len();
        all.retain(|denied| capability.is_some_and(|name| name != denied.capability));
        if all.len() == before {
            return Ok(false);
        }
        self.keep(identity, all).await.map(|()| true)
    }

    /// Writes all denials of an identity anew. There are a handful at most.
    async fn keep(&self, identity: &str, all: Vec<Denied>) -> Result<(), StateError> {
        let (of, rows) = (identity.to_owned(), all.clone());
        let write = self.state.write(move |tx| {
            tx.execute("DELETE FROM denials WHERE identity = ?1", [&of])?;
            for row in &rows {
                tx.execute(
                    "INSERT OR REPLACE INTO denials VALUES (?1, ?2, ?3, ?4)",
                    params![of, row.capability, row.wanted, row.since_us],
                )?;
            }
            Ok(())
        });
        write.await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.denied.insert(identity.to_owned(), all);
        known.changes += 1;
        Ok(())
    }
}

/// Which denials stand in the way of a run: those that would make less missing of what the skill needs, were they granted.
pub(crate) fn standing(requests: &Requests, granted: &[&Grants], facts: &Facts<'_>, denied: &[Denied]) -> Vec<Denied> {
    let needed = |granted: &[&Grants]| {
        let mut open = missing(requests, granted, facts);
        open.retain(|one| !one.optional);
        open
    };
    let open = needed(granted);
    let counts = |one: &&Denied| {
        let Ok(wanted) = Grants::parse([one.wanted.as_str()]) else {
            // Words that are no grant before a person says more, such as a folder's name without the folder.
            let parts = pieces(&one.wanted);
            return open.iter().any(|open| pieces(&open.grant).iter().any(|part| parts.contains(part)));
        };
        let with = [granted, &[&wanted]].concat();
        needed(&with) != open
    };
    if open.is_empty() { Vec::new() } else { denied.iter().filter(counts).cloned().collect() }
}

/// Whether all that is missing here was denied, so that nobody is to be asked about it again.
#[must_use]
pub fn cover(denied: &[Denied], missing: &Missing) -> bool {
    let refused: Vec<_> = denied.iter().flat_map(|one| pieces(&one.wanted)).collect();
    pieces(&missing.grant).iter().all(|piece| refused.contains(piece))
}

/// `model=default,fast` as `model=default` and `model=fast`, so that one can be lifted without the other. What does not mean
/// the same in parts stays whole.
fn apart(word: &str) -> Vec<String> {
    let whole = || vec![word.to_owned()];
    let Some((name, list)) = word.split_once('=') else { return whole() };
    let parts: Vec<String> = list.split(',').map(|part| format!("{name}={part}")).collect();
    match (Grants::parse(parts.iter().map(String::as_str)), Grants::parse([word])) {
        (Ok(sum), Ok(one)) if sum == one => parts,
        _ => whole(),
    }
}

/// The capability with each part of its list.
fn pieces(word: &str) -> Vec<(&str, &str)> {
    let (name, list) = word.split_once('=').unwrap_or((word, ""));
    list.split(',').map(|part| (name, part)).collect()
}

/// Whether `granted` holds all of `wanted`: adding it would change nothing.
fn holds(granted: &Grants, wanted: Grants) -> bool {
    granted.clone().merged(wanted) == *granted
}

fn capability(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::temporary;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn wanted(denials: &Denials, identity: &str) -> Vec<String> {
        denials.of(identity).into_iter().map(|denied| denied.wanted).collect()
    }

    #[tokio::test]
    async fn denials_last_until_they_are_lifted_or_cleared() {
        let (dir, state) = temporary();
        let denials = Denials::open(state.clone()).await.unwrap();
        denials.add("a", &words(&["model=default,fast", "kv"])).await.unwrap();
        denials.add("a", &words(&["kv"])).await.unwrap();
        assert_eq!(wanted(&denials, "a"), ["model=default", "model=fast", "kv"]);
        assert_eq!(denials.of("b"), []);
        drop(denials);
        drop(state);

        let denials = Denials::open(crate::state::testing::open(dir.path())).await.unwrap();
        assert_eq!(wanted(&denials, "a"), ["kv", "model=default", "model=fast"], "from one host to the next");
        denials.lift("a", &Grants::parse(["model=fast,smart"]).unwrap()).await.unwrap();
        assert_eq!(wanted(&denials, "a"), ["kv", "model=default"]);
        assert!(!denials.clear("a", Some("nothing")).await.unwrap());
        assert!(denials.clear("a", Some("kv")).await.unwrap());
        assert_eq!(wanted(&denials, "a"), ["model=default"]);
        assert!(denials.clear("a", None).await.unwrap());
        assert_eq!(denials.of("a"), []);
    }

    #[test]
    fn a_denial_stands_in_the_way_of_what_it_is_about() {
        let requests = serde_json::json!({ "model": { "models": ["default", "smart"] }, "kv": {} });
        let requests: Requests = serde_json::from_value(requests).unwrap();
        let facts = Facts { is_free: &|name| name == "default" };
        let denied = |word: &str| Denied { capability: capability(word).into(), wanted: word.into(), since_us: 0 };
        let all = [denied("model=smart"), denied("kv"), denied("model=fast"), denied("model=default"), denied("??")];
        let standing = |granted: &[&str]| {
            let granted = Grants::parse(granted.iter().copied()).unwrap();
            let found = super::standing(&requests, &[&granted], &facts, &all);
            found.into_iter().map(|denied| denied.wanted).collect::<Vec<_>>()
        };
        assert_eq!(standing(&[]), ["model=smart", "kv"], "not what is free, and not what nobody requests");
        assert_eq!(standing(&["kv"]), ["model=smart"], "what is granted is not asked for");
        assert_eq!(standing(&["kv", "model=smart"]), [""; 0]);
        // What it can do without stands in nobody's way.
        let optional = serde_json::json!({
            "model": { "models": ["default", "smart"], "optional": ["smart"] }, "kv": {},
        });
        let optional: Requests = serde_json::from_value(optional).unwrap();
        let found = super::standing(&optional, &[], &facts, &all);
        assert_eq!(found.into_iter().map(|denied| denied.wanted).collect::<Vec<_>>(), ["kv"]);
    }

    #[test]
    fn what_was_denied_in_whole_is_asked_for_no_more() {
        let denied = |words: &[&str]| -> Vec<Denied> {
            let one = |word: &&str| Denied { capability: capability(word).into(), wanted: (*word).into(), since_us: 0 };
            words.iter().map(one).collect()
        };
        let requests = serde_json::json!({
            "model": { "models": ["fast", "smart"] }, "files": { "folders": { "a": {}, "b": { "mode": "write" } } },
        });
        let requests: Requests = serde_json::from_value(requests).unwrap();
        let missing = missing(&requests, &[], &Facts { is_free: &|_| false });
        let [files, model] = &missing[..] else { panic!("{missing:?}") };
        for (words, of_files, of_model) in [
            (&[][..], false, false),
            (&["model=fast", "kv"], false, false),
            (&["model=fast", "model=smart"], false, true),
            (&["files=a:FOLDER,b:FOLDER:write"], true, false),
            (&["files=a:FOLDER"], false, false),
        ] {
            let denied = denied(words);
            assert_eq!((cover(&denied, files), cover(&denied, model)), (of_files, of_model), "{words:?}");
        }
    }
}
