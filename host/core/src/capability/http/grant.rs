//! What a manifest requests of the network, and what an operator grants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Network;
use super::rule::{Rule, is_method};
use super::url::{Target, shown};
use crate::policy::optional::{Apart, Optional};
use crate::policy::{Facts, GrantError, Grantable, Missing, Wish};

/// What an operator writes to let a skill reach servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Which requests to which servers. Empty allows none.
    pub allow: Vec<Rule>,
    /// Networks that are not public, whose addresses a granted name may have all the same: `192.168.1.0/24`.
    pub networks: Vec<Network>,
    /// What of `allow` names its host only because the manifest does: the operator granted a pattern, and an author must not be able to
    /// name a destination in their place. Found where a request meets grants, and never written down.
    #[serde(skip)]
    pub unnamed: Vec<Rule>,
}

/// `[permissions.http]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Which requests to which servers: `GET https://api.example.com`.
    pub allow: Vec<Rule>,
    /// `true` where the skill can do without all of it, or a list of the entries above that it can do without.
    #[serde(skip_serializing_if = "Optional::is_nothing")]
    pub optional: Optional<Rule>,
    /// Why, in one sentence for the person who decides.
    pub reason: String,
}

/// What reaches other machines; above a model, since the other side is whoever the author chose.
const RISK: u8 = 70;

impl Grantable for Grant {
    const CAPABILITY: &'static str = "http";
    type Request = Request;

    /// The networks need no request: they are about where the operator's own names lie, which an author cannot know.
    fn effective(request: &Request, granted: &[&Self]) -> Option<Self> {
        let of_one = |grant: &&Self| Self { networks: grant.networks.clone(), ..grant.limited_to(&request.allow) };
        let own = granted.iter().map(of_one).fold(Self::default(), Self::merged);
        (!own.allow.is_empty()).then_some(own)
    }

    /// What only one of the two names is not named: it has to be the operator's word for who calls and for who is called.
    fn within(&self, other: &Self) -> Self {
        let networks = self.networks.iter().flat_map(|one| other.networks.iter().filter_map(|two| one.and(two)));
        let (own, others) = (self.limited_to(&other.allow), other.limited_to(&self.allow));
        let unnamed = [own.unnamed, others.unnamed].concat();
        Self { allow: own.allow, networks: networks.collect(), unnamed }.tidy()
    }

    fn merged(mut self, more: Self) -> Self {
        let mut unnamed = [self.unnamed.as_slice(), &more.unnamed].concat();
        // One of the two may name what the other does not.
        unnamed.retain(|rule| !self.writes(rule) && !more.writes(rule));
        self.allow.extend(more.allow);
        self.networks.extend(more.networks);
        Self { unnamed, ..self }.tidy()
    }

    fn apart(request: &Request) -> Apart<Request> {
        let of = |allow| Request { allow, optional: Optional::default(), ..request.clone() };
        request.optional.apart(&request.allow, of)
    }

    fn check_request(request: &Request) -> Result<(), String> {
        request.optional.check(&request.allow)
    }

    fn whole(request: &Request) -> Self {
        Self { allow: request.allow.clone(), ..Self::default() }.tidy()
    }

    fn missing(request: &Request, have: Option<&Self>, _: &Facts<'_>) -> Option<Missing> {
        let covered = |wanted: &&Rule| {
            have.is_some_and(|have| have.allow.iter().any(|rule| rule.and(wanted).as_ref() == Some(*wanted)))
        };
        let missing: Vec<Rule> = request.allow.iter().filter(|wanted| !covered(wanted)).cloned().collect();
        (!missing.is_empty()).then(|| Missing {
            capability: Self::CAPABILITY,
            grant: word(&missing, &[]),
            words: in_words(&missing),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        })
    }

    fn wish(request: &Request) -> Wish {
        Wish {
            capability: Self::CAPABILITY,
            words: in_words(&request.allow),
            reason: request.reason.clone(),
            risk: RISK,
            optional: false,
        }
    }

    /// A rule that could match nothing cannot be made.
    fn check(&self) -> Result<(), GrantError> {
        match self.allow.is_empty() && self.networks.is_empty() {
            true => Err(wrong("http", "it names no server")),
            false => Ok(()),
        }
    }

    /// Rules and networks, separated by commas. A comma also separates the methods of one rule.
    fn parse(value: Option<&str>) -> Result<Self, GrantError> {
        let Some(value) = value else { return Err(wrong("http", "it names no server")) };
        let (mut grant, mut methods) = (Self::default(), Vec::new());
        for item in value.split(',') {
            if is_method(item.trim()) {
                methods.push(item.trim());
            } else if item.contains("://") {
                let text = [methods.join(","), item.trim().to_owned()].join(if methods.is_empty() { "" } else { "," });
                methods.clear();
                grant.allow.push(Rule::parse(&text).map_err(|reason| wrong(&text, &reason))?);
            } else {
                let network = Network::parse(item);
                let no_rule = "it does not begin with https:// or http://, and is no network either";
                let reason = |found: String| if item.contains('/') { found } else { no_rule.to_owned() };
                grant.networks.push(network.map_err(|found| wrong(item, &reason(found)))?);
            }
        }
        if methods.is_empty() { Ok(grant.tidy()) } else { Err(wrong(value, "no server follows the methods")) }
    }

    fn words(&self) -> Vec<String> {
        vec![word(&self.allow, &self.networks)]
    }
}

impl Grant {
    fn tidy(mut self) -> Self {
        self.allow.sort_unstable();
        self.allow.dedup();
        self.networks.sort_unstable();
        self.networks.dedup();
        self.unnamed.sort_unstable();
        self.unnamed.dedup();
        self
    }

    /// Whether the operator wrote a rule that names its host and covers the request.
    pub(super) fn names(&self, method: &str, target: &Target) -> bool {
        self.allow.iter().any(|rule| self.writes(rule) && rule.miss(method, target).is_none())
    }

    /// Whether this rule names its host in the operator's own words.
    fn writes(&self, rule: &Rule) -> bool {
        rule.names_its_host() && self.allow.contains(rule) && !self.unnamed.contains(rule)
    }

    /// What these rules cover of it, without its networks.
    fn limited_to(&self, rules: &[Rule]) -> Self {
        let (mut allow, mut named) = (Vec::new(), Vec::new());
        for own in &self.allow {
            for both in rules.iter().filter_map(|rule| own.and(rule)) {
                if self.writes(own) {
                    named.push(both.clone());
                }
                allow.push(both);
            }
        }
        let unnamed = allow.iter().filter(|rule| rule.names_its_host() && !named.contains(rule)).cloned().collect();
        Self { allow, networks: Vec::new(), unnamed }
    }
}

fn word(rules: &[Rule], networks: &[Network]) -> String {
    let items = rules.iter().map(Rule::to_string).chain(networks.iter().map(Network::to_string));
    format!("http={}", items.collect::<Vec<_>>().join(","))
}

/// `send requests to https://a.test, GET requests to https://*.b.test`.
fn in_words(rules: &[Rule]) -> String {
    let one = |rule: &Rule| match rule.methods() {
        [] => format!("any request to {}", rule.place()),
        methods => format!("{} requests to {}", methods.join(" and "), rule.place()),
    };
    let rules: Vec<_> = rules.iter().map(one).collect();
    format!("reach servers, send them what it likes and read what they answer: {}", rules.join(", "))
}

fn wrong(text: &str, reason: &str) -> GrantError {
    GrantError::new(
        format!("`{}` cannot be granted: {reason}", shown(text).escape_debug()),
        "write for example `http=https://api.example.com`, `http=\"GET https://*.example.com/v1\"`, or \
         `http=http://nas.lan,192.168.1.0/24` for a name in a network of your own",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        Grant::parse(Some(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn request(rules: &[&str]) -> Request {
        Request {
            allow: rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect(),
            reason: "r".into(),
            ..Request::default()
        }
    }

    const NOBODY: Facts<'_> = Facts { is_free: &|_| false };

    #[test]
    fn t69_an_empty_list_allows_nothing() {
        assert_eq!(Grant::effective(&request(&[]), &[&grant("https://a.test")]), None);
        assert_eq!(Grant::effective(&request(&["https://a.test"]), &[]), None);
        assert_eq!(Grant::effective(&request(&["https://a.test"]), &[&Grant::default()]), None);
        for text in [None, Some(""), Some("*"), Some("self"), Some("a.test"), Some("GET"), Some("https://*.com")] {
            let error = Grant::parse(text).unwrap_err();
            assert!(error.to_string().contains("cannot be granted"), "{error}");
        }
        assert!(Grant::default().check().is_err());
    }

    #[test]
    fn what_counts_is_requested_and_granted() {
        let wanted = request(&["GET https://a.test/v1", "https://*.b.test"]);
        let both = Grant::effective(
            &wanted,
            &[&grant("https://a.test,https://c.test"), &grant("https://x.b.test,10.0.0.0/8")],
        );
        assert!(both.as_ref().unwrap().unnamed.is_empty());
        assert_eq!(both, Some(grant("GET https://a.test/v1,https://x.b.test,10.0.0.0/8")));
        let missing = Grant::missing(&wanted, both.as_ref(), &NOBODY).unwrap();
        assert_eq!(missing.grant, "http=https://*.b.test");
        assert!(missing.words.contains("any request to https://*.b.test"), "{}", missing.words);
        let all = Grant::effective(&wanted, &[&grant(missing.grant.trim_start_matches("http=")), &both.unwrap()]);
        assert_eq!(Grant::missing(&wanted, all.as_ref(), &NOBODY), None);
        assert_eq!(
            Grant::missing(&wanted, None, &NOBODY).unwrap().grant,
            "http=GET https://a.test/v1,https://*.b.test"
        );
    }

    #[test]
    fn t89_what_only_the_manifest_names_was_not_named_by_the_operator() {
        let (wanted, target) =
            (request(&["https://x.b.test", "https://*.b.test"]), Target::parse("https://x.b.test/").unwrap());
        for (granted, named) in [
            (&["https://*.b.test"][..], false),
            (&["https://x.b.test"], true),
            (&["https://*.b.test", "https://x.b.test"], true),
            (&["https://x.b.test", "https://*.b.test"], true),
            (&["https://*.b.test,https://x.b.test"], true),
            (&["GET https://x.b.test", "https://*.b.test"], true),
            (&["POST https://x.b.test", "https://*.b.test"], false),
        ] {
            let granted: Vec<Grant> = granted.iter().map(|text| grant(text)).collect();
            let both = Grant::effective(&wanted, &granted.iter().collect::<Vec<_>>()).unwrap();
            assert!(both.allow.iter().any(|rule| rule.miss("GET", &target).is_none()), "{granted:?}");
            assert_eq!(both.names("GET", &target), named, "{granted:?}: {both:?}");
            // As the callee of one that may go anywhere there, and of one to which this host was named.
            for (outer, counts) in [("https://*.b.test", false), ("https://x.b.test", true)] {
                let within = both.within(&grant(outer));
                assert_eq!(within.names("GET", &target), named && counts, "{granted:?} within {outer}");
                assert_eq!(within, grant(outer).within(&both));
            }
            assert!(!serde_json::to_string(&both).unwrap().contains("unnamed"));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let all = grant("GET,POST https://a.test/v1,https://*.b.test,http://127.0.0.1:80,192.168.0.0/16,::1");
        assert_eq!((all.allow.len(), all.networks.len()), (3, 2));
        let [word] = &all.words()[..] else { panic!() };
        assert_eq!(Grant::parse(word.strip_prefix("http=")).unwrap(), all);
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Grant>(&json).unwrap(), all);
        assert!(serde_json::from_str::<Grant>(r#"{"allow": ["https://*.com"]}"#).is_err());
        assert!(toml::from_str::<Request>("allow = [\"*\"]").is_err());
    }

    #[test]
    fn a_skill_that_is_called_reaches_what_both_reach() {
        let caller = grant("https://a.test,GET https://b.test,10.0.0.0/8");
        let callee = grant("POST https://a.test/v1,https://b.test,https://c.test,10.1.0.0/16,192.168.0.0/16");
        assert_eq!(caller.within(&callee), grant("POST https://a.test/v1,GET https://b.test,10.1.0.0/16"));
        assert_eq!(callee.within(&caller), caller.within(&callee));
        assert_eq!(caller.within(&Grant::default()), Grant::default());
    }
}
