//! What a manifest requests of lasting state, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::optional::{Apart, is_false, one};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill keep state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Most bytes of keys and values together. Default 10 MiB.
    pub max_bytes: Option<u64>,
    /// Most keys. Default 10,000.
    pub max_keys: Option<u64>,
}

/// `[permissions.kv]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// The skill can do without it.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

const WORDS: &str = "keep data of its own on this machine between calls";
const RISK: u8 = 10;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "kv";
    type Request = Request;

    /// The last word is the most particular one: what was allowed for this call only.
    fn effective(_: &Request, granted: &[&Self]) -> Option<Self> {
        granted.last().copied().cloned()
    }

    fn within(&self, other: &Self) -> Self {
        let (one, two) = (self.quota(), other.quota());
        Self { max_bytes: Some(one.bytes.min(two.bytes)), max_keys: Some(one.keys.min(two.keys)) }
    }

    /// A quota is a single number: the newest one said holds.
    fn merged(self, more: Self) -> Self {
        Self { max_bytes: more.max_bytes.or(self.max_bytes), max_keys: more.max_keys.or(self.max_keys) }
    }

    fn apart(request: &Request) -> Apart<Request> {
        one(request.clone(), request.optional)
    }

    fn whole(_: &Request) -> Self {
        Self::default()
    }

    fn missing(request: &Request, have: Option<&Self>, _: &Facts<'_>) -> Option<Missing> {
        have.is_none().then(|| Missing {
            capability: Self::CAPABILITY,
            grant: "kv".into(),
            words: WORDS.into(),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        Wish {
            capability: Self::CAPABILITY,
            words: WORDS.into(),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        }
    }

    fn check(&self) -> Result<(), GrantError> {
        Ok(())
    }

    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        match value {
            None => Ok(Self::default()),
            Some(value) => Err(GrantError::new(format!("`kv={value}`: kv takes no value"), "write `kv`")),
        }
    }

    fn words(&self) -> Vec<String> {
        vec!["kv".into()]
    }
}

impl Grant {
    /// The grant with its defaults filled in.
    pub fn quota(&self) -> Quota {
        Quota { bytes: self.max_bytes.unwrap_or(10 << 20), keys: self.max_keys.unwrap_or(10_000) }
    }
}

/// How much a skill may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of keys and values together.
    pub bytes: u64,
    pub keys: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_needs_a_grant_and_the_last_one_said_holds() {
        let small = Grant { max_bytes: Some(1), max_keys: None };
        assert_eq!(Grant::effective(&Request::default(), &[]), None);
        assert_eq!(Grant::effective(&Request::default(), &[&Grant::default(), &small]), Some(small.clone()));
        assert_eq!(Grant::default().merged(small.clone()), small);
        assert_eq!(Grant::default().within(&small).quota(), Quota { bytes: 1, keys: 10_000 });
    }
}
