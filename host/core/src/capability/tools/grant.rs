//! What a manifest requests of other skills' tools, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Name;
use super::name::is_tool;
use crate::policy::manifest::is_name;
use crate::policy::optional::{Apart, Optional};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill call tools of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// `skill/tool`, or `skill/*` for all tools of a skill.
    pub tools: Vec<String>,
    /// What of `tools` is named only because the manifest does: the operator granted all tools of the skill. Found where a request meets
    /// grants, and never written down.
    #[serde(skip)]
    pub unnamed: Vec<String>,
}

/// `[permissions.tools]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// `skill/tool` or `skill/*`: what it wants to call.
    pub tools: Vec<String>,
    /// `true` where the skill can do without all of it, or a list of the entries above that it can do without.
    #[serde(skip_serializing_if = "Optional::is_nothing")]
    pub optional: Optional,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

/// Hands what it is given to other skills. Together they reach no more than each of them does.
const RISK: u8 = 40;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "tools";
    type Request = Request;

    fn effective(request: &Request, granted: &[&Self]) -> Option<Self> {
        let all = granted.iter().copied().cloned().fold(Self::default(), Self::merged);
        let own = Self { tools: both(&request.tools, &all.tools), ..Self::default() };
        Some(own.named_by(&all))
    }

    fn within(&self, other: &Self) -> Self {
        // The operator's word for who calls, and for who is called.
        Self { tools: both(&self.tools, &other.tools), ..Self::default() }.named_by(self).named_by(other)
    }

    fn merged(mut self, more: Self) -> Self {
        let named = |grant: &Self, name: &String| grant.tools.contains(name) && !grant.unnamed.contains(name);
        let mut unnamed = [self.unnamed.as_slice(), &more.unnamed].concat();
        // One of the two may name what the other does not.
        unnamed.retain(|name| !named(&self, name) && !named(&more, name));
        for name in more.tools {
            if !self.tools.contains(&name) {
                self.tools.push(name);
            }
        }
        Self { unnamed, ..self }
    }

    fn apart(request: &Request) -> Apart<Request> {
        let of = |tools| Request { tools, optional: Optional::default(), ..request.clone() };
        request.optional.apart(&request.tools, of)
    }

    fn check_request(request: &Request) -> Result<(), String> {
        request.optional.check(&request.tools)
    }

    fn whole(request: &Request) -> Self {
        Self { tools: request.tools.clone(), ..Self::default() }
    }

    fn missing(request: &Request, have: Option<&Self>, _: &Facts<'_>) -> Option<Missing> {
        let have = have.map(|grant| grant.tools.as_slice()).unwrap_or_default();
        let covered = |name: &&String| !have.iter().any(|have| covers(have, name));
        let tools: Vec<&str> = request.tools.iter().filter(covered).map(String::as_str).collect();
        (!tools.is_empty()).then(|| Missing {
            capability: Self::CAPABILITY,
            grant: format!("tools={}", tools.join(",")),
            words: words(&tools),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        let tools: Vec<&str> = request.tools.iter().map(String::as_str).collect();
        Wish {
            capability: Self::CAPABILITY,
            words: words(&tools),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        }
    }

    fn check(&self) -> Result<(), GrantError> {
        for name in &self.tools {
            let right =
                name.split_once('/').is_some_and(|(skill, tool)| is_name(skill) && (tool == "*" || is_tool(tool)));
            if !right {
                return Err(GrantError::new(
                    format!("{name:?} is not a tool of an installed skill: it must be `skill/tool` or `skill/*`"),
                    "see `ringfence list` for the names",
                ));
            }
        }
        Ok(())
    }

    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        let names = value.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        let tools: Vec<String> = names.map(str::to_owned).collect();
        if tools.is_empty() {
            return Err(GrantError::new("`tools` names no tool", "write for example `tools=summarize/summarize`"));
        }
        Ok(Self { tools, ..Self::default() })
    }

    fn words(&self) -> Vec<String> {
        if self.tools.is_empty() { Vec::new() } else { vec![format!("tools={}", self.tools.join(","))] }
    }
}

impl Grant {
    /// Whether it covers a tool.
    pub fn covers(&self, name: &Name) -> bool {
        let name = name.to_string();
        self.tools.iter().any(|have| covers(have, &name))
    }

    /// Whether the operator named the tool itself, and not only its skill.
    pub fn names(&self, name: &Name) -> bool {
        let name = name.to_string();
        self.tools.contains(&name) && !self.unnamed.contains(&name)
    }

    /// The same with what `granted` does not name marked as such.
    fn named_by(self, granted: &Self) -> Self {
        let is_named = |name: &String| {
            let by = |grant: &Self| !grant.unnamed.contains(name);
            granted.tools.contains(name) && by(granted) && by(&self)
        };
        let unnamed = self.tools.iter().filter(|name| !is_named(name)).cloned().collect();
        Self { unnamed, ..self }
    }
}

fn words(tools: &[&str]) -> String {
    format!("hand what you give it to tools of other skills: {}", tools.join(", "))
}

/// What each of two lists covers of the other.
fn both(one: &[String], two: &[String]) -> Vec<String> {
    let covered = |by: &[String], name: &String| by.iter().any(|have| covers(have, name));
    let mut tools: Vec<String> = Vec::new();
    let first = one.iter().filter(|name| covered(two, name));
    for name in first.chain(two.iter().filter(|name| covered(one, name))) {
        if !tools.contains(name) {
            tools.push(name.clone());
        }
    }
    tools
}

/// Whether the name or pattern `have` covers `want`. A pattern is `skill/*`.
fn covers(have: &str, want: &str) -> bool {
    have == want
        || have
            .strip_suffix('*')
            .is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('/') && want.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(tools: &[&str]) -> Grant {
        Grant { tools: tools.iter().map(ToString::to_string).collect(), ..Grant::default() }
    }

    #[test]
    fn a_grant_reaches_no_further_than_the_request() {
        for (wanted, granted, expected) in [
            (vec!["a/x"], vec![], vec![]),
            (vec!["a/x"], vec!["a/x"], vec!["a/x"]),
            (vec!["a/x"], vec!["a/*"], vec!["a/x"]),
            (vec!["a/*"], vec!["a/x", "b/x"], vec!["a/x"]),
            (vec!["a/*"], vec!["a/*"], vec!["a/*"]),
            (vec!["a/x"], vec!["ab/*", "b/x", "*", "*/x", "a*"], vec![]),
            (vec!["*", "/*"], vec!["a/x"], vec![]),
        ] {
            let request = Request { tools: grant(&wanted).tools, ..Request::default() };
            let got = Grant::effective(&request, &[&grant(&granted)]).unwrap();
            assert_eq!(got.tools, expected, "{wanted:?} with {granted:?}");
        }
        assert_eq!(grant(&["a/*", "b/y"]).within(&grant(&["a/x", "b/*"])).tools, ["b/y", "a/x"]);
        assert_eq!(grant(&["a/*"]).within(&grant(&["b/*"])), grant(&[]));
        assert_eq!(grant(&["a/x"]).merged(grant(&["a/x", "b/x"])), grant(&["a/x", "b/x"]));
    }

    #[test]
    fn what_is_named_and_what_is_only_covered() {
        let name = Name::parse("a/x").unwrap();
        assert!(grant(&["a/*"]).covers(&name) && !grant(&["a/*"]).names(&name));
        assert!(grant(&["a/*", "a/x"]).names(&name));
        assert!(!grant(&["a/y"]).covers(&name));
        // The manifest names it in each case; what counts is the operator's word.
        let request = Request { tools: grant(&["a/x", "a/*"]).tools, ..Request::default() };
        for (granted, named) in [
            (&[&["a/*"][..]][..], false),
            (&[&["a/x"]], true),
            (&[&["a/*"], &["a/x"]], true),
            (&[&["a/x"], &["a/*"]], true),
        ] {
            let granted: Vec<Grant> = granted.iter().map(|tools| grant(tools)).collect();
            let both = Grant::effective(&request, &granted.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!((both.covers(&name), both.names(&name)), (true, named), "{granted:?}");
            for (outer, counts) in [("a/*", false), ("a/x", true)] {
                assert_eq!(both.within(&grant(&[outer])).names(&name), named && counts, "{granted:?} within {outer}");
                assert_eq!(grant(&[outer]).within(&both).names(&name), named && counts, "{outer} within {granted:?}");
            }
            assert!(!serde_json::to_string(&both).unwrap().contains("unnamed"));
        }
    }

    #[test]
    fn what_is_missing_is_what_is_not_covered() {
        let request = Request { tools: grant(&["a/x", "b/*"]).tools, reason: "r".into(), ..Request::default() };
        let facts = Facts { is_free: &|_| false };
        let missing = |have: &[&str]| Grant::missing(&request, Some(&grant(have)), &facts).map(|one| one.grant);
        assert_eq!(missing(&[]).as_deref(), Some("tools=a/x,b/*"));
        assert_eq!(missing(&["a/*", "b/x"]).as_deref(), Some("tools=b/*"));
        assert_eq!(missing(&["a/x", "b/*"]), None);
        assert!(Grant::wish(&request).words.contains("a/x, b/*"));
    }

    #[test]
    fn grants_that_can_never_match_are_refused() {
        for bad in ["", "*", "/*", "*/*", "a", "a/", "a/b/c", "A/b", "a/x*", "../x", "a/x\n"] {
            assert!(grant(&[bad]).check().is_err(), "{bad:?}");
        }
        grant(&["a/x", "a-1/*", "a/x_y-z"]).check().unwrap();
        assert!(Grant::parse(None).is_err() && Grant::parse(Some(" ,")).is_err());
        assert_eq!(Grant::parse(Some("a/x, b/*")).unwrap(), grant(&["a/x", "b/*"]));
        assert_eq!(grant(&["a/x", "b/*"]).words(), ["tools=a/x,b/*"]);
    }
}
