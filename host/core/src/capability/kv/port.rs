//! What a backend does. Every method takes the permit of its act.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Delete, Get, List, Set};
use crate::broker::Permit;
use crate::error::{Excess, Refusal};

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Bytes,
    pub version: u64,
}

/// On what condition to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Always,
    /// The key does not exist.
    Absent,
    /// The key has this version.
    Version(u64),
}

impl Condition {
    /// Whether it holds where the key has `version`, None being no key.
    pub fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => version.is_none(),
            Self::Version(wanted) => version == Some(wanted),
        }
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Done; the version now, which is 0 where there is no key any more.
    Done(u64),
    /// Nothing was changed; the version that is there.
    Conflict(Option<u64>),
}

/// Keys in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    /// Whether there are more after the last of them.
    pub more: bool,
}

/// A backend. A write that returned is as durable as the backend promises; namespaces never meet.
pub trait Store: Send + Sync + 'static {
    fn get(&self, permit: Permit<Get>) -> BoxFuture<'_, Result<Option<Entry>, Refusal>>;
    fn set(&self, permit: Permit<Set>) -> BoxFuture<'_, Result<Written, Refusal>>;
    fn delete(&self, permit: Permit<Delete>) -> BoxFuture<'_, Result<Written, Refusal>>;
    fn list(&self, permit: Permit<List>) -> BoxFuture<'_, Result<Page, Refusal>>;
}

/// What a namespace holds. `version` is the last one given out; it never falls, whatever is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) keys: u64,
    pub(super) version: u64,
    /// Of which version it is, as the skill counts.
    pub(super) state: u32,
}

impl Totals {
    /// The totals after a key of `key` bytes got `new` bytes in the place of `old`. Every backend counts with this. What
    /// makes the state smaller is allowed even above a quota, which the operator may have lowered.
    pub(super) fn set(self, old: Option<u64>, ask: &Set) -> Result<Self, Refusal> {
        self.admit(&ask.skill, ask.state)?;
        let (key, new, quota) = (ask.key.as_str().len(), ask.value.len(), ask.quota);
        let (key, new) = (key as u64, new as u64);
        let after = Self {
            bytes: self.bytes.saturating_sub(old.map_or(0, |old| key + old)).saturating_add(key + new),
            keys: self.keys + u64::from(old.is_none()),
            version: self.version + 1,
            state: ask.state,
        };
        let over = |what, limit, before: u64, now: u64| {
            (now > limit && now > before).then_some(Refusal::TooLarge(Excess { what, limit, actual: Some(now) }))
        };
        let refusal = over("the kv state of this skill", quota.bytes, self.bytes, after.bytes)
            .or_else(|| over("the number of kv keys of this skill", quota.keys, self.keys, after.keys));
        refusal.map_or(Ok(after), Err)
    }

    /// The totals after a key with its value has gone.
    pub(super) fn delete(self, old: u64, ask: &Delete) -> Result<Self, Refusal> {
        self.admit(&ask.skill, ask.state)?;
        let key = ask.key.as_str().len();
        Ok(Self {
            bytes: self.bytes.saturating_sub(key as u64 + old),
            keys: self.keys.saturating_sub(1),
            version: self.version,
            state: self.state,
        })
    }

    /// Lets a version of a skill write only what is of the version that it knows.
    fn admit(self, skill: &str, knows: u32) -> Result<(), Refusal> {
        if self.keys == 0 || self.state == knows {
            return Ok(());
        }
        let words = format!(
            "what `{skill}` keeps is of version {}, and this call runs one that knows version {knows}",
            self.state
        );
        Err(Refusal::Unavailable(format!("{words}; call it again")))
    }
}
