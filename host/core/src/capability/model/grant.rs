//! What a manifest requests of models, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::optional::{Apart, Optional};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill call models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Aliases (`default`, `fast`), `provider/model` names, or `provider/*`. A name that is not here is refused.
    pub models: Vec<String>,
    /// Most tokens of one answer. None means the operator's default for all skills.
    pub max_tokens: Option<u32>,
    /// Whether the skill may pass options through to the provider.
    pub provider_options: bool,
}

/// `[permissions.model]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Aliases or `provider/model` names that it wants to use.
    pub models: Vec<String>,
    /// Whether it wants to pass options through to the provider.
    pub provider_options: bool,
    /// `true` where the skill can do without all of it, or a list of the entries above that it can do without.
    #[serde(skip_serializing_if = "Optional::is_nothing")]
    pub optional: Optional,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

/// Sends what it is given to another machine, and spends money.
const RISK: u8 = 60;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "model";
    type Request = Request;

    fn effective(request: &Request, granted: &[&Self]) -> Option<Self> {
        let mut models: Vec<String> = Vec::new();
        let mut add = |name: &String| {
            if !models.contains(name) {
                models.push(name.clone());
            }
        };
        for name in &request.models {
            if granted.iter().any(|grant| grant.models.iter().any(|have| covers(have, name))) {
                add(name);
            }
        }
        for grant in granted {
            for name in grant.models.iter().filter(|name| request.models.iter().any(|want| covers(want, name))) {
                add(name);
            }
        }
        Some(Self {
            models,
            max_tokens: granted.iter().filter_map(|grant| grant.max_tokens).max(),
            provider_options: request.provider_options && granted.iter().any(|grant| grant.provider_options),
        })
    }

    fn within(&self, other: &Self) -> Self {
        let covered = |of: &Self, name: &String| of.models.iter().any(|have| covers(have, name));
        let mut models: Vec<String> = self.models.iter().filter(|name| covered(other, name)).cloned().collect();
        models.extend(other.models.iter().filter(|name| covered(self, name) && !self.models.contains(name)).cloned());
        let max_tokens = match (self.max_tokens, other.max_tokens) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { models, max_tokens, provider_options: self.provider_options && other.provider_options }
    }

    fn merged(mut self, more: Self) -> Self {
        for name in more.models {
            if !self.models.contains(&name) {
                self.models.push(name);
            }
        }
        // None is the operator's default for all skills, so a number that was said for this one stands against it.
        self.max_tokens = self.max_tokens.max(more.max_tokens);
        self.provider_options |= more.provider_options;
        self
    }

    fn apart(request: &Request) -> Apart<Request> {
        let of = |models| Request { models, optional: Optional::default(), ..request.clone() };
        request.optional.apart(&request.models, of)
    }

    fn check_request(request: &Request) -> Result<(), String> {
        request.optional.check(&request.models)
    }

    fn whole(request: &Request) -> Self {
        Self { models: request.models.clone(), max_tokens: None, provider_options: request.provider_options }
    }

    fn missing(request: &Request, have: Option<&Self>, facts: &Facts<'_>) -> Option<Missing> {
        let allowed = have.map(|grant| grant.models.as_slice()).unwrap_or_default();
        let models: Vec<&str> = request
            .models
            .iter()
            .filter(|name| !allowed.contains(name) && !(facts.is_free)(name))
            .map(String::as_str)
            .collect();
        let models = (!models.is_empty()).then(|| models.join(","))?;
        Some(Missing {
            capability: Self::CAPABILITY,
            grant: format!("model={models}"),
            words: format!(
                "send what you give it to a model and spend your tokens or money: {}",
                models.replace(',', ", ")
            ),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        let options = if request.provider_options { ", with options of its own" } else { "" };
        Wish {
            capability: Self::CAPABILITY,
            words: format!("send what you give it to models: {}{options}", request.models.join(", ")),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        }
    }

    fn check(&self) -> Result<(), GrantError> {
        for name in &self.models {
            let plain = name.strip_suffix("/*").unwrap_or(name);
            let right = !plain.is_empty()
                && plain.len() <= 256
                && !plain.contains('*')
                && !plain.chars().any(|c| c.is_control() || c.is_whitespace());
            if !right {
                return Err(GrantError::new(
                    format!("{name:?} is not a model: it must be an alias, `provider/model` or `provider/*`"),
                    "see `ringfence models` for the names",
                ));
            }
        }
        Ok(())
    }

    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        let names = value.unwrap_or("default").split(',').map(str::trim).filter(|name| !name.is_empty());
        let models: Vec<_> = names.map(str::to_owned).collect();
        if models.is_empty() {
            return Err(GrantError::new("`model=` names no model", "write for example `model=default,fast`"));
        }
        Ok(Self { models, ..Self::default() })
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec![format!("model={}", self.models.join(","))];
        words.extend(self.max_tokens.map(|most| format!("--max-tokens {most}")));
        words
    }
}

/// Whether the name or pattern `have` covers `want`. A pattern is `provider/*`.
fn covers(have: &str, want: &str) -> bool {
    have == want
        || have
            .strip_suffix('*')
            .is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('/') && want.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn grant(models: &[&str]) -> Grant {
        Grant { models: names(models), ..Grant::default() }
    }

    fn request(models: &[&str]) -> Request {
        Request { models: names(models), provider_options: true, ..Request::default() }
    }

    #[test]
    fn a_request_grants_nothing_and_a_grant_reaches_no_further_than_the_request() {
        for (wanted, granted, expected) in [
            (vec!["default"], vec![], vec![]),
            (vec!["default"], vec!["default"], vec!["default"]),
            (vec!["default"], vec!["fast"], vec![]),
            (vec!["default", "fast"], vec!["fast", "smart"], vec!["fast"]),
            (vec!["openai/*"], vec!["openai/gpt-5"], vec!["openai/gpt-5"]),
            (vec!["openai/gpt-5"], vec!["openai/*"], vec!["openai/gpt-5"]),
            (vec!["openai/gpt-5"], vec!["*"], vec![]),
            (vec!["openai/gpt-5"], vec!["open*"], vec![]),
        ] {
            let got = Grant::effective(&request(&wanted), &[&grant(&granted)]).unwrap();
            assert_eq!(got.models, expected, "{wanted:?} with {granted:?}");
        }
        let none = Grant::effective(&request(&["default", "smart"]), &[]).unwrap();
        assert!(none.models.is_empty(), "an alias that is free now may lead elsewhere when it is used");
    }

    #[test]
    fn grants_add_up_and_meet() {
        let few = Grant { max_tokens: Some(500), ..grant(&["fast", "openai/*"]) };
        let many = Grant { max_tokens: Some(900), provider_options: true, ..grant(&["openai/gpt-5", "fast", "smart"]) };
        let sum = few.clone().merged(many.clone());
        assert_eq!(sum.models, ["fast", "openai/*", "openai/gpt-5", "smart"]);
        assert_eq!((sum.max_tokens, sum.provider_options), (Some(900), true));
        let both = few.within(&many);
        assert_eq!(both.models, ["fast", "openai/gpt-5"]);
        assert_eq!((both.max_tokens, both.provider_options), (Some(500), false));
        assert_eq!(few.within(&Grant::default()).models, Vec::<String>::new());
    }

    #[test]
    fn grants_that_can_never_match_are_refused() {
        for bad in ["", "*", "/*", "a b", "x\n", "open*"] {
            assert!(grant(&[bad]).check().is_err(), "{bad:?}");
        }
        for good in ["default", "openai/*", "openai/gpt-5", "ollama/qwen3:8b"] {
            grant(&[good]).check().unwrap();
        }
        assert!(Grant::parse(Some("")).is_err());
        assert_eq!(Grant::parse(None).unwrap(), grant(&["default"]));
    }
}
