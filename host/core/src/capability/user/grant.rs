//! What a manifest requests of the person, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::optional::{Apart, is_false, one};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill ask questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {}

/// `[permissions.user]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// The skill can do without it.
    #[serde(skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

const WORDS: &str = "ask you questions while it works";
/// It learns what a person tells it, and no more.
const RISK: u8 = 20;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "user";
    type Request = Request;

    fn effective(_: &Request, granted: &[&Self]) -> Option<Self> {
        granted.last().copied().cloned()
    }

    fn within(&self, _: &Self) -> Self {
        Self {}
    }

    fn merged(self, _: Self) -> Self {
        self
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
            grant: "user".into(),
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
            None => Ok(Self {}),
            Some(value) => Err(GrantError::new(format!("`user={value}`: user takes no value"), "write `user`")),
        }
    }

    fn words(&self) -> Vec<String> {
        vec!["user".into()]
    }
}
