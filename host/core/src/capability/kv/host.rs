//! `ringfence:skill/kv`: decode, ask, encode.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wasmtime::component::{HasData, Linker};

use super::{Condition, Delete, Get, Grant, Key, List, Set, Store, Written};
use crate::broker::{Ask, Permit, Session};
use crate::capability::words;
use crate::error::Refusal;
use bindings::ringfence::skill::kv as wit;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:kv-words;
            world words { import ringfence:skill/kv@0.1.0; }
        ",
        imports: { default: async | trappable },
        with: { "ringfence:skill/types@0.1.0": crate::capability::words::types },
    });
}

/// What `kv` may touch of an invocation.
pub struct View<'a> {
    pub session: &'a Session,
    pub store: &'a Arc<dyn Store>,
    /// Of which version the state is that the skill knows, as its author counts.
    pub state: u32,
}

struct Kv;

impl HasData for Kv {
    type Data<'a> = View<'a>;
}

/// Offers `kv` to guests.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, get: fn(&mut T) -> View<'_>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Kv>(linker, get)
}

impl View<'_> {
    async fn get(&self, key: String) -> Result<Option<wit::Entry>, Refusal> {
        let ask = Get { skill: self.skill(), key: Key::parse(key)? };
        let found = self.perform(ask, |store, permit| store.get(permit)).await?;
        Ok(found.map(|entry| wit::Entry { value: entry.value.into(), version: entry.version }))
    }

    async fn set(&self, key: String, value: Vec<u8>, condition: wit::Condition) -> Result<wit::Written, Refusal> {
        // Without a grant the ask is refused, whatever the quota.
        let quota = self.session.grants().kv.as_ref().map_or_else(|| Grant::default().quota(), Grant::quota);
        let ask = Set::new(self.skill(), Key::parse(key)?, value.into(), condition.into(), quota)?;
        let ask = Set { state: self.state, ..ask };
        self.perform(ask, |store, permit| store.set(permit)).await.map(Into::into)
    }

    async fn delete(&self, key: String, condition: wit::Condition) -> Result<wit::Written, Refusal> {
        let ask = Delete { skill: self.skill(), key: Key::parse(key)?, condition: condition.into(), state: self.state };
        self.perform(ask, |store, permit| store.delete(permit)).await.map(Into::into)
    }

    async fn list(&self, prefix: String, cursor: Option<String>, limit: u32) -> Result<wit::Page, Refusal> {
        let ask = List::new(self.skill(), prefix, cursor, limit)?;
        let page = self.perform(ask, |store, permit| store.list(permit)).await?;
        let cursor = page.keys.last().filter(|_| page.more).map(|last| write_cursor(last));
        Ok(wit::Page { keys: page.keys, cursor })
    }

    fn skill(&self) -> String {
        self.session.skill().to_owned()
    }

    async fn perform<A: Ask, R: Send + 'static>(
        &self,
        ask: A,
        act: impl for<'s> FnOnce(&'s dyn Store, Permit<A>) -> futures_util::future::BoxFuture<'s, Result<R, Refusal>>
        + Send
        + 'static,
    ) -> Result<R, Refusal> {
        let permit = self.session.permit(ask).await?;
        let receipt = permit.receipt();
        let store = Arc::clone(self.store);
        let done = self.session.perform(async move { act(&*store, permit).await }).await;
        receipt.ended(&done);
        done
    }
}

impl wit::Host for View<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<wit::Entry>, words::types::Refusal>> {
        Ok(View::get(self, key).await.map_err(Into::into))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        condition: wit::Condition,
    ) -> wasmtime::Result<Result<wit::Written, words::types::Refusal>> {
        Ok(View::set(self, key, value, condition).await.map_err(Into::into))
    }

    async fn delete(
        &mut self,
        key: String,
        condition: wit::Condition,
    ) -> wasmtime::Result<Result<wit::Written, words::types::Refusal>> {
        Ok(View::delete(self, key, condition).await.map_err(Into::into))
    }

    async fn list(
        &mut self,
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<wit::Page, words::types::Refusal>> {
        Ok(View::list(self, prefix, cursor, limit).await.map_err(Into::into))
    }
}

impl From<wit::Condition> for Condition {
    fn from(condition: wit::Condition) -> Self {
        match condition {
            wit::Condition::Always => Self::Always,
            wit::Condition::Absent => Self::Absent,
            wit::Condition::Version(version) => Self::Version(version),
        }
    }
}

impl From<Written> for wit::Written {
    fn from(written: Written) -> Self {
        match written {
            Written::Done(version) => Self::Done(version),
            Written::Conflict(version) => Self::Conflict(version),
        }
    }
}

/// A cursor is the last key of a page, in a form that nobody is tempted to build.
pub(super) fn write_cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key in a cursor, which must be one that this prefix could have given.
pub(super) fn read_cursor(cursor: &str, prefix: &str) -> Result<Key, Refusal> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|key| key.starts_with(prefix))
        .and_then(|key| Key::parse(key).ok())
        .ok_or_else(|| Refusal::Invalid("the kv cursor is not one that `list` gave for this prefix".into()))
}

/// Speaks to two views as a guest does: one that was granted three keys, one that was granted nothing.
#[cfg(test)]
pub(super) async fn probe(mut granted: View<'_>, mut refused: View<'_>) {
    use wit::Host;

    for name in ["p/1", "p/2", "q"] {
        let done = Host::set(&mut granted, name.into(), b"v".to_vec(), wit::Condition::Absent).await.unwrap();
        assert!(matches!(done, Ok(wit::Written::Done(_))));
    }
    let over = Host::set(&mut granted, "r".into(), vec![], wit::Condition::Always).await.unwrap();
    assert!(matches!(over, Err(words::types::Refusal::TooLarge(excess)) if excess.limit == 3));
    let large = Host::set(&mut granted, "q".into(), vec![0; (1 << 20) + 1], wit::Condition::Always).await.unwrap();
    assert!(matches!(large, Err(words::types::Refusal::TooLarge(excess)) if excess.what == "kv value"));
    let entry = Host::get(&mut granted, "p/2".into()).await.unwrap().unwrap().unwrap();
    assert_eq!((entry.value, entry.version), (b"v".to_vec(), 2));
    let invalid = Host::get(&mut granted, "a\0".into()).await.unwrap();
    assert!(matches!(invalid, Err(words::types::Refusal::Invalid(_))));

    let first = Host::list(&mut granted, "p/".into(), None, 1).await.unwrap().unwrap();
    assert_eq!(first.keys, ["p/1"]);
    let cursor = first.cursor.unwrap();
    let last = Host::list(&mut granted, "p/".into(), Some(cursor.clone()), 0).await.unwrap().unwrap();
    assert_eq!((last.keys, last.cursor), (vec!["p/2".to_owned()], None));
    for (prefix, cursor, limit) in [("q", cursor.as_str(), 0), ("", "?", 0), ("", "", 0)] {
        let bad = Host::list(&mut granted, prefix.into(), Some(cursor.into()), limit).await.unwrap();
        assert!(matches!(bad, Err(words::types::Refusal::Invalid(_))), "{prefix} {cursor}");
    }
    let many = Host::list(&mut granted, String::new(), None, 1001).await.unwrap();
    assert!(matches!(many, Err(words::types::Refusal::TooLarge(_))));

    let denied = Host::get(&mut refused, "q".into()).await.unwrap();
    let Err(words::types::Refusal::Denied(denial)) = denied else { panic!("it was allowed") };
    assert_eq!(
        (&*denial.subject, &*denial.hint),
        ("kv get q", "run `ringfence grant a kv` to allow it, where the manifest requests it")
    );
}
