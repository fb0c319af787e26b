//! Who may do what: what the manifest requests, intersected with what the operator granted.
//!
//! Each capability says for itself what its requests and grants mean ([`Grantable`]); the list of those that need a grant
//! stands here. Deliberately absent: any way for a skill or a model to grant. Grants come from a person's face only.

pub mod denials;
#[cfg(debug_assertions)]
pub(crate) mod fuzz;
pub mod manifest;
pub mod optional;
pub(crate) mod rights;
pub mod rules;
pub mod store;
pub mod taint;

use optional::Apart;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capability::{files, http, kv, model, secrets, tools, user};
use crate::error::Explain;
use crate::plain;

/// What a capability says of its own requests and grants. Implemented by its grant; pure.
pub trait Grantable: Clone + Default + PartialEq + Serialize + DeserializeOwned {
    /// Its name in WIT, manifest, grants and messages.
    const CAPABILITY: &'static str;

    /// What a manifest asks for, `[permissions.NAME]`.
    type Request: Serialize;

    /// Of what is requested, what was granted. `granted` is what is stored, then what is allowed for this call only. None is
    /// nothing at all.
    fn effective(request: &Self::Request, granted: &[&Self]) -> Option<Self>;

    /// What both allow: what a skill may do for another one that calls it.
    #[must_use]
    fn within(&self, other: &Self) -> Self;

    /// What one of them allows; where only one number can hold, that of `more`.
    #[must_use]
    fn merged(self, more: Self) -> Self;

    /// The request apart: what the skill needs, and what it can do without.
    fn apart(request: &Self::Request) -> Apart<Self::Request>;

    /// Refuses a request that contradicts itself; the reason is for its author.
    fn check_request(_: &Self::Request) -> Result<(), String> {
        Ok(())
    }

    /// The grant of all that is requested, to compare requests by. Which folders of this machine they are it leaves open.
    fn whole(request: &Self::Request) -> Self;

    /// What is requested and not in `have`, whether it is needed or not.
    fn missing(request: &Self::Request, have: Option<&Self>, facts: &Facts<'_>) -> Option<Missing>;

    /// All that is requested, granted or not, needed or not.
    fn wish(request: &Self::Request) -> Wish;

    /// Refuses what could never match, so that a typing error does not look like a grant.
    fn check(&self) -> Result<(), GrantError>;

    /// Reads what stands behind `NAME=` in `ringfence grant`; None where nothing does.
    fn parse(value: Option<&str>) -> Result<Self, GrantError>;

    /// The grant as `ringfence grant` takes it: `model=default,fast`.
    fn words(&self) -> Vec<String>;
}

/// What must be known to say whether a grant is missing.
pub struct Facts<'a> {
    /// Whether a model's name leads to nothing but what is built in and free.
    pub is_free: &'a dyn Fn(&str) -> bool,
}

/// One thing that a manifest requests and nobody has granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Missing {
    pub capability: &'static str,
    /// What to write after `ringfence grant SKILL`.
    pub grant: String,
    /// In plain words.
    pub words: String,
    /// The author's reason: a stranger's words.
    pub reason: String,
    /// The greater, the more can go wrong: what reaches other machines or files is above 50. Shown first.
    pub risk: u8,
    /// The skill can do without it, so that it keeps no run from starting. A capability leaves that to `missing`.
    pub optional: bool,
}

/// What a manifest requests of one capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wish {
    pub capability: &'static str,
    pub words: String,
    pub reason: String,
    pub risk: u8,
    /// The skill can do without it. A capability leaves that to [`Requests::wishes`].
    pub optional: bool,
}

/// A grant that cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GrantError {
    message: String,
    hint: String,
}

impl GrantError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Explain for GrantError {
    fn kind(&self) -> &'static str {
        "grant-invalid"
    }

    fn hint(&self) -> String {
        self.hint.clone()
    }
}

/// The list of capabilities that need a grant, and everything that is the same for all of them.
macro_rules! capabilities {
    ($($name:ident),+ $(,)?) => {
        /// What a skill may do, one field per capability that needs a grant. `log`, `progress` and `config` need none: they
        /// reach nothing but the caller's screen, the operator's log and the skill's own settings. The default allows
        /// nothing.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Grants {
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$name::Grant>,
            )+
        }

        /// `[permissions]`: one table per capability that needs a grant.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Requests {
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$name::Request>,
            )+
        }

        /// Names of the capabilities that need a grant, in the words that an operator writes.
        pub const GRANTABLE: &[&str] = &[$(<$name::Grant as Grantable>::CAPABILITY),+];

        impl Grants {
            /// Refuses what could never match.
            pub fn check(&self) -> Result<(), GrantError> {
                $(if let Some(grant) = &self.$name { grant.check()?; })+
                Ok(())
            }

            /// What one of them allows.
            #[must_use]
            pub fn merged(self, more: Self) -> Self {
                Self { $($name: match (self.$name, more.$name) {
                    (Some(old), Some(new)) => Some(old.merged(new)),
                    (old, new) => old.or(new),
                },)+ }
            }

            /// What both allow.
            #[must_use]
            pub fn within(&self, other: &Self) -> Self {
                Self { $($name: self.$name.as_ref().zip(other.$name.as_ref()).map(|(one, two)| one.within(two)),)+ }
            }

            /// As `ringfence grant` takes them.
            #[must_use]
            pub fn words(&self) -> Vec<String> {
                let mut words = Vec::new();
                $(if let Some(grant) = &self.$name { words.extend(grant.words()); })+
                words
            }

            /// The words of each capability that is granted at all.
            #[must_use]
            pub fn by_capability(&self) -> Vec<(&'static str, Vec<String>)> {
                let mut all = Vec::new();
                $(all.extend(self.$name.as_ref().map(|grant| {
                    (<$name::Grant as Grantable>::CAPABILITY, grant.words())
                }));)+
                all
            }

            /// Without one capability.
            pub fn remove(&mut self, capability: &str) {
                $(if capability == <$name::Grant as Grantable>::CAPABILITY { self.$name = None; })+
            }

            fn add(&mut self, capability: &str, value: Option<&str>) -> Result<bool, GrantError> {
                $(
                    if capability == <$name::Grant as Grantable>::CAPABILITY {
                        let more = <$name::Grant as Grantable>::parse(value)?;
                        self.$name = Some(match self.$name.take() {
                            Some(grant) => grant.merged(more),
                            None => more,
                        });
                        return Ok(true);
                    }
                )+
                Ok(false)
            }

            /// Each as JSON, by its capability's name.
            pub(crate) fn parts(&self) -> serde_json::Result<Vec<(&'static str, String)>> {
                let mut parts = Vec::new();
                $(
                    if let Some(grant) = &self.$name {
                        parts.push((<$name::Grant as Grantable>::CAPABILITY, serde_json::to_string(grant)?));
                    }
                )+
                Ok(parts)
            }

            /// Reads one of [`parts`](Self::parts). What this host does not know grants nothing.
            pub(crate) fn put(&mut self, capability: &str, json: &str) -> serde_json::Result<()> {
                $(
                    if capability == <$name::Grant as Grantable>::CAPABILITY {
                        self.$name = Some(serde_json::from_str(json)?);
                    }
                )+
                Ok(())
            }
        }

        /// What an invocation may do: nothing that the manifest does not request, and of that only what was granted.
        ///
        /// A model that is built in and free needs no grant where models are requested at all: it reaches nothing and costs
        /// nothing. That is decided at each ask and not here, because an alias may come to lead elsewhere meanwhile.
        pub(crate) fn effective(requests: &Requests, granted: &[&Grants]) -> Grants {
            Grants { $($name: requests.$name.as_ref().and_then(|request| {
                let granted: Vec<&$name::Grant> = granted.iter().filter_map(|grants| grants.$name.as_ref()).collect();
                <$name::Grant as Grantable>::effective(request, &granted)
            }),)+ }
        }

        /// What the manifest requests and `granted` does not hold, the riskiest first; of what is needed and what is not, the
        /// same capability stands there twice.
        pub(crate) fn missing(requests: &Requests, granted: &[&Grants], facts: &Facts<'_>) -> Vec<Missing> {
            let have = effective(requests, granted);
            let mut missing = Vec::new();
            $(
                for (part, optional) in requests.$name.iter().flat_map(parts::<$name::Grant>) {
                    let lacking = <$name::Grant as Grantable>::missing(&part, have.$name.as_ref(), facts);
                    missing.extend(lacking.map(|one| Missing { optional, ..one }));
                }
            )+
            missing.sort_by_key(|one| std::cmp::Reverse(one.risk));
            missing
        }

        impl Requests {
            /// All that is requested, the riskiest first.
            #[must_use]
            pub fn wishes(&self) -> Vec<Wish> {
                let mut wishes = Vec::new();
                $(wishes.extend(self.$name.iter().flat_map(parts::<$name::Grant>).map(|(part, optional)| {
                    Wish { optional, ..<$name::Grant as Grantable>::wish(&part) }
                }));)+
                wishes.sort_by_key(|one| std::cmp::Reverse(one.risk));
                wishes
            }

            /// Refuses what contradicts itself; the reason is for the author.
            pub(crate) fn check(&self) -> Result<(), String> {
                $(
                    if let Some(request) = &self.$name {
                        <$name::Grant as Grantable>::check_request(request)
                            .map_err(|reason| format!("`permissions.{}`: {reason}", stringify!($name)))?;
                    }
                )+
                Ok(())
            }

            /// What is requested, in words: all of it, whether it is needed or not.
            fn in_words(&self) -> Vec<(&'static str, String)> {
                let mut words = Vec::new();
                $(words.extend(self.$name.as_ref().map(|request| {
                    (<$name::Grant as Grantable>::CAPABILITY, <$name::Grant as Grantable>::wish(request).words)
                }));)+
                words
            }

            /// As if everything were granted.
            fn whole(&self) -> Grants {
                Grants { $($name: self.$name.as_ref().map(<$name::Grant as Grantable>::whole),)+ }
            }
        }
    };
}

capabilities!(files, http, kv, model, secrets, tools, user);

impl Grants {
    /// Reads words as `ringfence grant` takes them: `model=default,fast` and `kv`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, GrantError> {
        let mut grants = Self::default();
        for word in words {
            let (capability, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            if !grants.add(capability, value)? {
                return Err(unknown(capability));
            }
        }
        Ok(grants)
    }
}

impl Requests {
    /// What these ask for beyond `before`. To need what one could do without before is to ask for no more.
    pub(crate) fn beyond(&self, before: &Self) -> Vec<Missing> {
        self.lacking_beyond(before, &Grants::default(), &NOTHING_IS_FREE)
    }

    /// The same without what `allow` holds, and what is free.
    pub(crate) fn lacking_beyond(&self, before: &Self, allow: &Grants, facts: &Facts<'_>) -> Vec<Missing> {
        missing(self, &[&before.whole(), allow], facts)
    }

    /// Whether both ask for the same. Reasons are an author's words and change nothing, and neither does what is optional.
    pub(crate) fn ask_the_same(&self, other: &Self) -> bool {
        self.in_words() == other.in_words()
    }
}

/// What is needed of a request, and what is not: each with whether it is optional.
fn parts<G: Grantable>(request: &G::Request) -> impl Iterator<Item = (G::Request, bool)> + use<G> {
    let (needed, without) = G::apart(request);
    needed.map(|part| (part, false)).into_iter().chain(without.map(|part| (part, true)))
}

/// For what requests say by themselves, wherever a model's name leads today.
const NOTHING_IS_FREE: Facts<'static> = Facts { is_free: &|_| false };

/// Somebody else than a person at a face tried to grant.
#[derive(Debug, thiserror::Error)]
#[error("a call by `{caller}` brings grants of its own ({words}), and only a person can grant")]
pub(crate) struct Presumed {
    pub(crate) caller: &'static str,
    pub(crate) skill: String,
    pub(crate) words: String,
}

impl Explain for Presumed {
    fn kind(&self) -> &'static str {
        "denied"
    }

    fn hint(&self) -> String {
        format!(
            "leave them out; a person can grant them with `ringfence grant {} {}`",
            plain::word(&self.skill),
            self.words
        )
    }
}

/// The error for a capability that nobody knows.
pub(crate) fn unknown(capability: &str) -> GrantError {
    GrantError::new(
        format!("there is no capability `{}` that can be granted", capability.escape_debug()),
        format!("capabilities are: {}; write for example `model=default kv`", GRANTABLE.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(models: &[&str], kv: bool) -> Requests {
        Requests {
            files: None,
            model: (!models.is_empty()).then(|| model::Request {
                models: models.iter().map(ToString::to_string).collect(),
                provider_options: true,
                reason: "r".into(),
                ..model::Request::default()
            }),
            kv: kv.then(kv::Request::default),
            ..Requests::default()
        }
    }

    #[test]
    fn what_is_missing_is_told_with_the_riskiest_first() {
        let facts = Facts { is_free: &|name| name == "default" };
        let missing = missing(&requests(&["default", "smart"], true), &[], &facts);
        assert_eq!(missing.iter().map(|m| m.grant.as_str()).collect::<Vec<_>>(), ["model=smart", "kv"]);
        let wishes = requests(&["default"], true).wishes();
        assert_eq!(wishes.iter().map(|wish| wish.capability).collect::<Vec<_>>(), ["model", "kv"]);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let grants = Grants::parse(["model=default,fast", "kv"]).unwrap();
        assert_eq!(Grants::parse(grants.words().iter().map(String::as_str)).unwrap(), grants);
        let mut read = Grants::default();
        for (capability, json) in grants.parts().unwrap() {
            read.put(capability, &json).unwrap();
        }
        assert_eq!(read, grants);
        assert!(read.put("kv", "{\"max-byte\": 1}").is_err());
        assert_eq!(Grants::parse([]).unwrap(), Grants::default());
        assert!(Grants::parse(["modle"]).unwrap_err().to_string().contains("modle"));
    }

    #[test]
    fn t84_names_are_exact() {
        for like in ["KV", "kv ", " kv", "k\u{200b}v", "k\u{432}", "kv\0", "kvs", "k", "", &"kv".repeat(5_000)] {
            let error = Grants::parse([like]).unwrap_err();
            assert_eq!(error.kind(), "grant-invalid", "{like:?}");
        }
        let smart = requests(&["smart"], false);
        for like in ["Smart", "smart\u{200b}", "sm\u{430}rt", "smart2", "smar"] {
            let granted = Grants::parse([format!("model={like}").as_str()]).unwrap();
            let facts = Facts { is_free: &|_| false };
            assert_eq!(missing(&smart, &[&granted], &facts).len(), 1, "{like:?} is not `smart`");
        }
    }

    #[test]
    fn an_update_that_wants_more_shows_what() {
        let before = requests(&["default"], false);
        let after = requests(&["default", "smart"], true);
        let more: Vec<_> = after.beyond(&before).into_iter().map(|one| one.grant).collect();
        assert_eq!(more, ["model=smart", "kv"]);
        assert_eq!(before.beyond(&after), [], "less is not more");
        assert!(!before.ask_the_same(&after));
        let mut reworded = before.clone();
        if let Some(model) = &mut reworded.model {
            model.reason = "For other reasons.".into();
        }
        assert!(before.ask_the_same(&reworded) && before != reworded);
    }

    fn read(json: serde_json::Value) -> Requests {
        let requests: Requests = serde_json::from_value(json).unwrap();
        requests.check().unwrap();
        requests
    }

    /// Of each capability, with what is granted meanwhile: what is missing, and whether the skill can do without it.
    #[test]
    fn what_is_optional_is_missing_and_not_needed() {
        let rules = ["https://a.test", "https://b.test"];
        for (asked, granted, expected) in [
            (serde_json::json!({ "kv": { "optional": true } }), "", &[("kv", true)][..]),
            (serde_json::json!({ "kv": { "optional": true } }), "kv", &[]),
            (serde_json::json!({ "kv": {} }), "", &[("kv", false)]),
            (serde_json::json!({ "user": { "optional": true }, "kv": {} }), "", &[("user", true), ("kv", false)]),
            (
                serde_json::json!({ "model": { "models": ["default", "vision"], "optional": ["vision"] } }),
                "",
                &[("model=default", false), ("model=vision", true)],
            ),
            (
                serde_json::json!({ "model": { "models": ["default", "vision"], "optional": ["vision"] } }),
                "model=default",
                &[("model=vision", true)],
            ),
            (
                serde_json::json!({ "model": { "models": ["default", "vision"], "optional": true } }),
                "",
                &[("model=default,vision", true)],
            ),
            (
                serde_json::json!({ "http": { "allow": rules, "optional": ["https://b.test/"] } }),
                "",
                &[("http=https://a.test", false), ("http=https://b.test", true)],
            ),
            (
                serde_json::json!({ "secrets": { "names": ["A", "B"], "optional": ["A"] } }),
                "",
                &[("secrets=B", false), ("secrets=A", true)],
            ),
            (
                serde_json::json!({ "tools": { "tools": ["a/x", "b/*"], "optional": ["b/*"] } }),
                "tools=a/*",
                &[("tools=b/*", true)],
            ),
            (
                serde_json::json!({ "files": { "folders": { "a": {}, "b": { "mode": "write", "optional": true } } } }),
                "",
                &[("files=b:FOLDER:write", true), ("files=a:FOLDER", false)],
            ),
            (
                serde_json::json!({ "files": { "folders": { "a": {}, "b": { "mode": "write", "optional": true } } } }),
                "files=b:/b",
                &[("files=b:FOLDER:write", true), ("files=a:FOLDER", false)],
            ),
            (
                serde_json::json!({ "files": { "folders": { "a": {}, "b": { "optional": true } } } }),
                "files=b:/b",
                &[("files=a:FOLDER", false)],
            ),
        ] {
            let requests = read(asked.clone());
            let granted = Grants::parse(granted.split(' ').filter(|word| !word.is_empty())).unwrap();
            let missing = missing(&requests, &[&granted], &NOTHING_IS_FREE);
            let told: Vec<_> = missing.iter().map(|one| (one.grant.as_str(), one.optional)).collect();
            assert_eq!(told, expected, "{asked}");
            // What is shown is the same, and a grant is one as ever.
            let wishes = requests.wishes();
            assert_eq!(wishes.iter().filter(|wish| wish.optional).count() > 0, asked.to_string().contains("optional"));
            assert_eq!(effective(&requests, &[&requests.whole()]), requests.whole(), "{asked}");
        }
        let stray = Requests {
            model: Some(model::Request {
                models: vec!["vision".into()],
                optional: optional::Optional::Entries(vec!["vison".into()]),
                ..model::Request::default()
            }),
            ..Requests::default()
        };
        assert!(stray.check().unwrap_err().contains("`permissions.model`: `optional` names `vison`"));
    }

    #[test]
    fn to_need_what_was_optional_and_the_other_way_round_is_to_ask_for_no_more() {
        let needed = serde_json::json!({
            "model": { "models": ["default", "vision"] }, "kv": {},
            "files": { "folders": { "a": {}, "b": { "mode": "write" } } },
        });
        let optional = serde_json::json!({
            "model": { "models": ["default", "vision"], "optional": ["vision"] }, "kv": { "optional": true },
            "files": { "folders": { "a": {}, "b": { "mode": "write", "optional": true } } },
        });
        let (needed, optional) = (read(needed), read(optional));
        for (before, after) in [(&needed, &optional), (&optional, &needed)] {
            assert_eq!(after.beyond(before), []);
            assert!(after.ask_the_same(before) && after != before);
        }
        // More is more, though it is optional, and it is told alone.
        let more = |json: serde_json::Value, before: &Requests| {
            let after = read(json);
            assert!(!after.ask_the_same(before));
            after.beyond(before).into_iter().map(|one| (one.grant, one.optional)).collect::<Vec<_>>()
        };
        let folders = serde_json::json!({ "a": { "mode": "write" }, "b": {}, "c": { "optional": true } });
        assert_eq!(
            more(serde_json::json!({ "files": { "folders": folders } }), &optional),
            [("files=a:FOLDER:write".to_owned(), false), ("files=c:FOLDER".to_owned(), true)]
        );
        assert_eq!(more(serde_json::json!({ "user": { "optional": true } }), &needed), [("user".to_owned(), true)],);
    }

    #[test]
    fn a_skill_that_is_called_may_do_what_both_may() {
        let both = |words: &[&str]| Grants::parse(words.iter().copied()).unwrap();
        let (caller, callee) = (both(&["model=default,fast"]), both(&["model=fast,smart", "kv"]));
        assert_eq!(caller.within(&callee), both(&["model=fast"]));
        assert_eq!(caller.within(&Grants::default()), Grants::default());
    }
}
