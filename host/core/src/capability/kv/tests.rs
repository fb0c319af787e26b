use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::memory::Memory;
use super::sqlite::Sqlite;
use super::*;
use crate::broker::{Ask, Permit, Session, Verdict};
use crate::budget::{Budgets, Treasury};
use crate::error::Refusal;
use crate::policy::Grants;
use crate::state::State;
use crate::state::testing::{killed, open, temporary};

const ROOMY: Quota = Quota { bytes: 10 << 20, keys: 10_000 };

fn key(text: &str) -> Key {
    Key::parse(text.into()).unwrap()
}

struct Space<'a>(&'a dyn Store, &'static str, Quota);

impl Space<'_> {
    async fn get(&self, name: &str) -> Option<Entry> {
        self.0.get(Permit::unchecked(Get { skill: self.1.into(), key: key(name) })).await.unwrap()
    }
    async fn set(&self, name: &str, value: &[u8], condition: Condition) -> Result<Written, Refusal> {
        let value = Bytes::copy_from_slice(value);
        let ask = Set::new(self.1.into(), key(name), value, condition, self.2)?;
        self.0.set(Permit::unchecked(ask)).await
    }
    async fn delete(&self, name: &str, condition: Condition) -> Written {
        let ask = Delete { skill: self.1.into(), key: key(name), condition, state: 0 };
        self.0.delete(Permit::unchecked(ask)).await.unwrap()
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Page {
        let ask = List { skill: self.1.into(), prefix: prefix.into(), after: after.map(key), limit };
        self.0.list(Permit::unchecked(ask)).await.unwrap()
    }
}

/// Every backend, with what must live as long.
fn backends() -> (tempfile::TempDir, State, [Arc<dyn Store>; 2]) {
    let (dir, state) = temporary();
    let sqlite = Arc::new(Sqlite::new(state.clone()));
    (dir, state, [Arc::new(Memory::default()), sqlite])
}

#[test]
fn nothing_is_allowed_without_a_grant() {
    let asks = Get { skill: "a".into(), key: key("k") };
    assert!(matches!(asks.allowed(&None), Verdict::No { .. }));
    assert_eq!(asks.allowed(&Some(Grant::default())), Verdict::Yes);
    assert_eq!(asks.subject(), "kv get k");
}

#[tokio::test]
async fn versions_rise_and_are_never_used_again() {
    let (_dir, _state, stores) = backends();
    for store in &stores {
        let space = Space(&**store, "a", ROOMY);
        assert_eq!(space.set("k", b"1", Condition::Absent).await, Ok(Written::Done(1)));
        assert_eq!(space.set("k", b"2", Condition::Absent).await, Ok(Written::Conflict(Some(1))));
        assert_eq!(space.set("k", b"2", Condition::Version(1)).await, Ok(Written::Done(2)));
        assert_eq!(space.delete("k", Condition::Version(1)).await, Written::Conflict(Some(2)));
        assert_eq!(space.delete("k", Condition::Always).await, Written::Done(0));
        assert_eq!(space.delete("k", Condition::Always).await, Written::Done(0));
        assert_eq!(space.set("k", b"3", Condition::Version(2)).await, Ok(Written::Conflict(None)));
        assert_eq!(space.set("k", b"3", Condition::Always).await, Ok(Written::Done(3)));
        assert_eq!(Space(&**store, "b", ROOMY).get("k").await, None);
    }
}

#[tokio::test]
async fn quotas_hold_and_shrinking_is_always_allowed() {
    let (_dir, _state, stores) = backends();
    for store in &stores {
        let space = Space(&**store, "a", Quota { bytes: 10, keys: 2 });
        space.set("a", b"1234", Condition::Always).await.unwrap();
        space.set("b", b"1234", Condition::Always).await.unwrap();
        let Err(Refusal::TooLarge(over)) = space.set("b", b"12345", Condition::Always).await else { panic!("it fits") };
        assert_eq!((over.limit, over.actual), (10, Some(11)));
        space.set("a", b"", Condition::Always).await.unwrap();
        let Err(Refusal::TooLarge(over)) = space.set("c", b"", Condition::Always).await else { panic!("a third key") };
        assert_eq!((over.limit, over.actual), (2, Some(3)));
        let lowered = Space(&**store, "a", Quota { bytes: 1, keys: 1 });
        assert!(lowered.set("b", b"123", Condition::Always).await.is_ok());
        assert!(lowered.set("b", b"1234", Condition::Always).await.is_err());
        assert_eq!(space.get("b").await.unwrap().value, "123");
    }
}

#[tokio::test]
async fn a_prefix_is_no_pattern() {
    let (_dir, _state, stores) = backends();
    for store in &stores {
        let space = Space(&**store, "a", ROOMY);
        for name in ["a%", "a%1", "ab", "a_", "A%", "é", "z"] {
            space.set(name, b"", Condition::Always).await.unwrap();
        }
        assert_eq!(space.list("a%", None, 10).await.keys, ["a%", "a%1"]);
        assert_eq!(space.list("a_", None, 10).await.keys, ["a_"]);
        let page = space.list("", None, 4).await;
        assert_eq!((page.keys, page.more), (["A%", "a%", "a%1", "a_"].map(String::from).to_vec(), true));
        let page = space.list("", Some("a_"), 4).await;
        assert_eq!((page.keys, page.more), (["ab", "z", "é"].map(String::from).to_vec(), false));
        assert!(!space.list("a%", None, 2).await.more);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_and_set_loses_no_update() {
    let (_dir, _state, stores) = backends();
    for store in stores {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        loop {
                            let space = Space(&*store, "a", ROOMY);
                            let old = space.get("n").await;
                            let number = old.as_ref().map_or(0, |old| old.value[0]);
                            let condition = old.map_or(Condition::Absent, |old| Condition::Version(old.version));
                            if let Written::Done(_) = space.set("n", &[number + 1], condition).await.unwrap() {
                                break;
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(Space(&*store, "a", ROOMY).get("n").await.unwrap().value[0], 80);
    }
}

#[tokio::test]
async fn the_guest_sees_values_pages_and_refusals() {
    let (_dir, state, stores) = backends();
    let treasury = Treasury::open(state.clone()).await.unwrap();
    let shared = crate::broker::Shared::on(state, Default::default());
    let session = |grants| {
        let ledger = treasury.ledger("a", "1", &Budgets::default());
        Session::new(crate::broker::Setup::of(Arc::clone(&shared), grants, ledger))
    };
    let granted = session(Grants { kv: Some(Grant { max_keys: Some(3), ..Grant::default() }), ..Grants::default() });
    let refused = session(Grants::default());
    for store in &stores {
        host::probe(View { session: &granted, store, state: 0 }, View { session: &refused, store, state: 0 }).await;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, Vec<u8>, u8),
    Delete(String, u8),
    Get(String),
    List(String, Option<String>, usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || "[ab%_é]{1,3}";
    prop_oneof![
        5 => (name(), prop::collection::vec(any::<u8>(), 0..6), 0..4u8).prop_map(|(k, v, c)| Step::Set(k, v, c)),
        3 => (name(), 0..4u8).prop_map(|(k, c)| Step::Delete(k, c)),
        2 => name().prop_map(Step::Get),
        2 => ("[ab%_é]{0,2}", prop::option::of(name()), 1..5usize).prop_map(|(p, a, l)| Step::List(p, a, l)),
        1 => Just(Step::Reopen),
    ]
}

/// The specification, written as simply as it can be.
#[derive(Default)]
struct Model {
    entries: BTreeMap<String, (Vec<u8>, u64)>,
    version: u64,
}

impl Model {
    fn condition(&self, key: &str, choice: u8) -> Condition {
        match choice {
            0 => Condition::Always,
            1 => Condition::Absent,
            2 => Condition::Version(self.version),
            _ => self.entries.get(key).map_or(Condition::Absent, |(_, version)| Condition::Version(*version)),
        }
    }

    fn conflict(&self, key: &str, condition: Condition) -> Option<Written> {
        let version = self.entries.get(key).map(|(_, version)| *version);
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => version.is_none(),
            Condition::Version(wanted) => version == Some(wanted),
        };
        (!holds).then_some(Written::Conflict(version))
    }

    fn fits(&self, key: &str, value: &[u8], quota: Quota) -> bool {
        let bytes = |entries: &BTreeMap<String, (Vec<u8>, u64)>| -> u64 {
            entries.iter().map(|(key, (value, _))| (key.len() + value.len()) as u64).sum()
        };
        let mut after = self.entries.clone();
        after.insert(key.into(), (value.into(), 0));
        (bytes(&after) <= quota.bytes || bytes(&after) <= bytes(&self.entries))
            && (after.len() as u64 <= quota.keys || after.len() <= self.entries.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_backend_does_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(walk(&steps, true));
        runtime.block_on(walk(&steps, false));
    }
}

async fn walk(steps: &[Step], durable: bool) {
    let quota = Quota { bytes: 40, keys: 6 };
    let (mut dir, mut state) = temporary();
    let mut store: Box<dyn Store> =
        if durable { Box::new(Sqlite::new(state.clone())) } else { Box::new(Memory::default()) };
    let mut model = Model::default();
    for step in steps {
        let space = Space(&*store, "a", quota);
        match step {
            Step::Set(key, value, choice) => {
                let condition = model.condition(key, *choice);
                let done = space.set(key, value, condition).await;
                if let Some(conflict) = model.conflict(key, condition) {
                    assert_eq!(done, Ok(conflict));
                } else if model.fits(key, value, quota) {
                    model.version += 1;
                    model.entries.insert(key.clone(), (value.clone(), model.version));
                    assert_eq!(done, Ok(Written::Done(model.version)));
                } else {
                    assert!(matches!(done, Err(Refusal::TooLarge(_))));
                }
            }
            Step::Delete(key, choice) => {
                let condition = model.condition(key, *choice);
                let done = space.delete(key, condition).await;
                let conflict = model.conflict(key, condition);
                if conflict.is_none() {
                    model.entries.remove(key);
                }
                assert_eq!(done, conflict.unwrap_or(Written::Done(0)));
            }
            Step::Get(key) => {
                let found = space.get(key).await.map(|entry| (entry.value.to_vec(), entry.version));
                assert_eq!(found.as_ref(), model.entries.get(key));
            }
            Step::List(prefix, after, limit) => {
                let after = after.as_ref().map(|after| format!("{prefix}{after}"));
                let page = space.list(prefix, after.as_deref(), *limit).await;
                let all = model.entries.keys().filter(|key| key.starts_with(prefix.as_str()));
                let all: Vec<_> = all.filter(|key| after.as_ref().is_none_or(|after| *key > after)).collect();
                assert_eq!(page.more, all.len() > *limit);
                assert_eq!(page.keys.iter().collect::<Vec<_>>(), all[..all.len().min(*limit)]);
            }
            Step::Reopen if durable => {
                let copy = killed(&state);
                state = open(copy.path());
                store = Box::new(Sqlite::new(state.clone()));
                dir = copy;
            }
            Step::Reopen => {}
        }
    }
    drop((store, dir));
}

#[tokio::test]
async fn a_copy_takes_the_place_of_what_it_was_made_of_or_nothing_happens() {
    use super::upgrade::{Change, Original, copy, discard, version};

    async fn made(state: &State, change: Change) -> bool {
        state.write_large(move |tx| change.make(tx)).await.unwrap()
    }
    async fn settle(state: &State, original: Original) -> bool {
        made(state, Change::Settle { skill: "a".into(), copy: "upgrade of a".into(), original }).await
    }

    let (_dir, state) = temporary();
    let sqlite = Sqlite::new(state.clone());
    let (a, scratch) = (Space(&sqlite, "a", ROOMY), Space(&sqlite, "upgrade of a", ROOMY));
    let of_1 = |name: &str, value: &'static [u8]| Set {
        state: 1,
        ..Set::new("upgrade of a".into(), key(name), Bytes::from_static(value), Condition::Always, ROOMY).unwrap()
    };
    assert_eq!(version(&state, "a").await.unwrap(), None);
    a.set("k", b"old", Condition::Always).await.unwrap();
    a.set("gone", b"old", Condition::Always).await.unwrap();
    assert_eq!(version(&state, "a").await.unwrap(), Some(0));

    // Somebody wrote, or only deleted, since the copy was made.
    for step in ["set", "delete"] {
        let original = copy(&state, "a", "upgrade of a", 1).await.unwrap();
        assert_eq!(scratch.get("k").await, a.get("k").await);
        sqlite.set(Permit::unchecked(of_1("k", b"new"))).await.unwrap();
        match step {
            "set" => _ = a.set("k", b"meanwhile", Condition::Always).await.unwrap(),
            _ => _ = a.delete("gone", Condition::Always).await,
        }
        assert!(!settle(&state, original).await, "{step}");
        assert_eq!(a.get("k").await.unwrap().value, "meanwhile");
        assert_eq!((scratch.get("k").await, version(&state, "a").await.unwrap()), (None, Some(0)));
    }
    // Thrown away.
    copy(&state, "a", "upgrade of a", 1).await.unwrap();
    discard(&state, "upgrade of a").await.unwrap();
    assert_eq!(scratch.list("", None, 10).await, Page::default());
    // Taken: the versions of keys go on where they were.
    let before = a.get("k").await.unwrap().version;
    let original = copy(&state, "a", "upgrade of a", 1).await.unwrap();
    sqlite.set(Permit::unchecked(of_1("k", b"new"))).await.unwrap();
    assert!(settle(&state, original).await);
    let now = a.get("k").await.unwrap();
    assert!(now.value == "new" && now.version > before, "{now:?}");
    assert_eq!(version(&state, "a").await.unwrap(), Some(1));
    // Who knows another version writes no more, and deletes no more.
    let refused = a.set("k", b"old", Condition::Always).await.unwrap_err();
    assert!(matches!(&refused, Refusal::Unavailable(words) if words.contains("of version 1")), "{refused}");
    let ask = Delete { skill: "a".into(), key: key("k"), condition: Condition::Always, state: 0 };
    assert!(matches!(sqlite.delete(Permit::unchecked(ask)).await, Err(Refusal::Unavailable(_))));
    let mark = |from| Change::Mark { skill: "a".into(), from, to: 0 };
    assert!(!made(&state, mark(7)).await, "somebody was faster");
    assert!(made(&state, mark(1)).await);
    a.set("k", b"old", Condition::Always).await.unwrap();
}
