//! What a manifest requests of secrets, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Name;
use crate::policy::optional::{Apart, Optional};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill use secrets. Where each may be sent is said when it is kept, not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Names of secrets, exactly as they are kept.
    pub names: Vec<String>,
}

/// `[permissions.secrets]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Names of the secrets that it wants to use.
    pub names: Vec<String>,
    /// `true` where the skill can do without all of it, or a list of the entries above that it can do without.
    #[serde(skip_serializing_if = "Optional::is_nothing")]
    pub optional: Optional,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

/// It acts in the user's name somewhere else.
const RISK: u8 = 90;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "secrets";
    type Request = Request;

    fn effective(request: &Request, granted: &[&Self]) -> Option<Self> {
        let has = |name: &String| granted.iter().any(|grant| grant.names.contains(name));
        let names: Vec<String> = request.names.iter().filter(|name| has(name)).cloned().collect();
        (!names.is_empty()).then_some(Self { names })
    }

    fn within(&self, other: &Self) -> Self {
        Self { names: self.names.iter().filter(|name| other.names.contains(name)).cloned().collect() }
    }

    fn merged(mut self, more: Self) -> Self {
        for name in more.names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self
    }

    fn apart(request: &Request) -> Apart<Request> {
        let of = |names| Request { names, optional: Optional::default(), ..request.clone() };
        request.optional.apart(&request.names, of)
    }

    fn check_request(request: &Request) -> Result<(), String> {
        request.optional.check(&request.names)
    }

    fn whole(request: &Request) -> Self {
        Self { names: request.names.clone() }
    }

    fn missing(request: &Request, have: Option<&Self>, _: &Facts<'_>) -> Option<Missing> {
        let held = have.map(|grant| grant.names.as_slice()).unwrap_or_default();
        let names: Vec<&str> = request.names.iter().filter(|name| !held.contains(name)).map(String::as_str).collect();
        (!names.is_empty()).then(|| Missing {
            capability: Self::CAPABILITY,
            grant: format!("secrets={}", names.join(",")),
            words: words(&names.join(", ")),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        Wish {
            capability: Self::CAPABILITY,
            words: words(&request.names.join(", ")),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        }
    }

    fn check(&self) -> Result<(), GrantError> {
        for name in &self.names {
            Name::parse(name).map_err(|error| {
                GrantError::new(error.to_string(), "`ringfence secret list` shows the names of those that are kept")
            })?;
        }
        Ok(())
    }

    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        let names = value.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        let grant = Self { names: names.map(str::to_owned).collect() };
        if grant.names.is_empty() {
            return Err(GrantError::new("`secrets` names no secret", "write for example `secrets=GITHUB_TOKEN`"));
        }
        grant.check()?;
        Ok(grant)
    }

    fn words(&self) -> Vec<String> {
        vec![format!("secrets={}", self.names.join(","))]
    }
}

fn words(names: &str) -> String {
    format!("act in your name by secrets that it never sees, at the servers they are bound to: {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(names: &[&str]) -> Grant {
        Grant { names: names.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn t76_names_are_exact() {
        let request = Request { names: vec!["A_KEY".into(), "B_KEY".into()], ..Request::default() };
        for (granted, expected) in [
            (grant(&["A_KEY"]), Some(grant(&["A_KEY"]))),
            (grant(&["a_key"]), None),
            (grant(&["A_KEY "]), None),
            (grant(&["C_KEY"]), None),
            (grant(&[]), None),
        ] {
            assert_eq!(Grant::effective(&request, &[&granted]), expected, "{granted:?}");
        }
        assert_eq!(Grant::effective(&Request::default(), &[&grant(&["A_KEY"])]), None);
        assert_eq!(grant(&["A", "B"]).within(&grant(&["B", "C"])), grant(&["B"]));
        assert_eq!(Grant::parse(Some("A, B")).unwrap(), grant(&["A", "B"]));
        for bad in ["", "A*", "*", "a b", "x\ny", "ä"] {
            assert!(Grant::parse(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
