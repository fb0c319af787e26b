//! The asks of `kv`: the only policy code of the capability.

use bytes::Bytes;

use super::key::check;
use super::{Condition, Grant, Key, Quota};
use crate::broker::{Ask, Verdict};
use crate::budget::Amount;
use crate::error::{Excess, Refusal};
use crate::policy::Grants;
use crate::policy::taint::Touch;

/// Most bytes of a value.
const MAX_VALUE: usize = 1 << 20;

/// "Read this key."
#[derive(Clone, Debug)]
pub struct Get {
    /// The identity whose namespace it is.
    pub skill: String,
    pub key: Key,
}

/// "Write this value." Holds at most 1 MiB.
#[derive(Clone, Debug)]
pub struct Set {
    pub skill: String,
    pub key: Key,
    pub value: Bytes,
    pub condition: Condition,
    pub quota: Quota,
    /// Of which version the state is that the caller knows, as its author counts.
    pub state: u32,
}

/// "Delete this key."
#[derive(Clone, Debug)]
pub struct Delete {
    pub skill: String,
    pub key: Key,
    pub condition: Condition,
    /// As in [`Set`].
    pub state: u32,
}

/// "Which keys begin with this?"
#[derive(Clone, Debug)]
pub struct List {
    pub skill: String,
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// 1 to 1,000.
    pub limit: usize,
}

impl Set {
    /// Checks the size of the value. For state of version 0.
    pub fn new(skill: String, key: Key, value: Bytes, condition: Condition, quota: Quota) -> Result<Self, Refusal> {
        if value.len() > MAX_VALUE {
            let (limit, actual) = (MAX_VALUE as u64, Some(value.len() as u64));
            return Err(Refusal::TooLarge(Excess { what: "kv value", limit, actual }));
        }
        Ok(Self { skill, key, value, condition, quota, state: 0 })
    }
}

impl List {
    /// Checks the prefix, the cursor and the limit, of which 0 means 100.
    pub fn new(skill: String, prefix: String, cursor: Option<String>, limit: u32) -> Result<Self, Refusal> {
        check("kv prefix", &prefix)?;
        if limit > 1000 {
            let (limit, actual) = (1000, Some(limit.into()));
            return Err(Refusal::TooLarge(Excess { what: "number of keys in a page", limit, actual }));
        }
        let limit = if limit == 0 { 100 } else { limit as usize };
        let after = cursor.map(|cursor| super::host::read_cursor(&cursor, &prefix)).transpose()?;
        Ok(Self { skill, prefix, after, limit })
    }
}

fn allowed(grant: Option<&Grant>) -> Verdict {
    match grant {
        Some(_) => Verdict::Yes,
        None => Verdict::No {
            reason: "the operator has not granted it any state".into(),
            hint: "run `ringfence grant {skill} kv` to allow it, where the manifest requests it".into(),
        },
    }
}

macro_rules! asks {
    ($($ask:ident: $verb:literal $noun:ident $touch:expr),*) => {$(
        impl Ask for $ask {
            const CAPABILITY: &'static str = "kv";
            type Grant = Option<Grant>;

            fn grant(grants: &Grants) -> &Self::Grant {
                &grants.kv
            }

            fn subject(&self) -> String {
                format!("kv {} {}", $verb, self.$noun)
            }

            fn allowed(&self, grant: &Self::Grant) -> Verdict {
                allowed(grant.as_ref())
            }

            /// State costs no tokens and no money.
            fn estimate(&self) -> Amount {
                Amount::default()
            }

            /// It is the skill's own.
            fn leaves(&self) -> bool {
                false
            }

            fn touches(&self) -> Touch {
                $touch
            }
        }
    )*};
}

asks!(
    Get: "get" key Touch::PRIVATE,
    Set: "set" key Touch::NOTHING,
    Delete: "delete" key Touch::NOTHING,
    List: "list" prefix Touch::PRIVATE
);
