//! What different callers may do with a skill's grants.
//!
//! A grant says what a skill may do; a rule says for whom. Where a program or a model calls and nobody watches, an act that
//! needs a person is refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of an act that is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It happens.
    #[default]
    Allow,
    /// The person behind the call is asked each time, with the exact arguments. Refused where there is nobody.
    Ask,
    /// It is refused.
    Deny,
}

/// `[rules]`: by caller, then by capability. What is not named is allowed as far as it is granted.
///
/// A skill that is called by another skill is bound by the rules of `skill` and by those of whoever began the chain: the
/// strictest one holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rules {
    /// A person at the command line.
    #[schemars(extend("propertyNames" = capabilities()))]
    pub user: BTreeMap<String, Rule>,
    /// A program, through HTTP or MCP.
    #[schemars(extend("propertyNames" = capabilities()))]
    pub client: BTreeMap<String, Rule>,
    /// A model, in a tool loop.
    #[schemars(extend("propertyNames" = capabilities()))]
    pub model: BTreeMap<String, Rule>,
    /// Another skill.
    #[schemars(extend("propertyNames" = capabilities()))]
    pub skill: BTreeMap<String, Rule>,
    /// What happens when an invocation that has read private data and untrusted content is about to send something to a
    /// destination that the operator did not name. Default: `ask`.
    pub taint: Taint,
}

/// The names that a table of rules may have, for the JSON Schema of the configuration.
fn capabilities() -> serde_json::Value {
    serde_json::json!({ "enum": names().collect::<Vec<_>>() })
}

/// What is asked for and needs no grant of its own: a call of a server's tool, which a person approved.
const UNGRANTED: [&str; 1] = ["server"];

fn names() -> impl Iterator<Item = &'static str> {
    super::GRANTABLE.iter().copied().chain(UNGRANTED)
}

/// `[rules.taint]`: by caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Taint {
    pub user: Rule,
    pub client: Rule,
    pub model: Rule,
    pub skill: Rule,
}

impl Default for Taint {
    fn default() -> Self {
        Self { user: Rule::Ask, client: Rule::Ask, model: Rule::Ask, skill: Rule::Ask }
    }
}

impl Rules {
    /// The rule for a capability in a chain of callers, the outermost first, each named as in `Caller::as_str`.
    #[must_use]
    pub fn of<'a>(&self, callers: impl IntoIterator<Item = &'a str>, capability: &str) -> Rule {
        let one = |caller: &str| {
            let rules = match caller {
                "user" => &self.user,
                "client" => &self.client,
                "model" => &self.model,
                _ => &self.skill,
            };
            rules.get(capability).copied().unwrap_or_default()
        };
        callers.into_iter().map(one).max().unwrap_or_default()
    }

    /// The rule for an act that would let something out.
    #[must_use]
    pub fn tainted<'a>(&self, callers: impl IntoIterator<Item = &'a str>) -> Rule {
        let one = |caller: &str| match caller {
            "user" => self.taint.user,
            "client" => self.taint.client,
            "model" => self.taint.model,
            _ => self.taint.skill,
        };
        callers.into_iter().map(one).max().unwrap_or(Rule::Ask)
    }

    /// The first name in the tables that is no capability.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        let tables = [&self.user, &self.client, &self.model, &self.skill];
        let mut names = tables.into_iter().flat_map(BTreeMap::keys);
        names.find(|name| !self::names().any(|known| known == name.as_str())).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_of_the_chain_holds() {
        let rules = Rules {
            model: [("kv".to_owned(), Rule::Ask)].into(),
            skill: [("model".to_owned(), Rule::Deny)].into(),
            ..Rules::default()
        };
        assert_eq!(rules.of(["user"], "kv"), Rule::Allow);
        assert_eq!(rules.of(["model"], "kv"), Rule::Ask);
        assert_eq!(rules.of(["model", "skill"], "kv"), Rule::Ask);
        assert_eq!(rules.of(["model", "skill"], "model"), Rule::Deny);
        assert_eq!(rules.tainted(["user"]), Rule::Ask);
        assert_eq!(rules.unknown(), None);
        let wrong = Rules { user: [("kvv".to_owned(), Rule::Deny)].into(), ..Rules::default() };
        assert_eq!(wrong.unknown(), Some("kvv"));
    }
}
