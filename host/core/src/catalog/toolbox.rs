//! Everything that can be called now: the tools of all skills, each under one name of its own.
//!
//! Clients and models know tools by a flat name. It is made of the skill's and the tool's alone, so that it stays the same whatever else
//! is installed, and is one that every model's interface takes: at most 64 of `a-z`, `0-9`, `_` and `-`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use semver::Version;
use tokio::sync::watch;

use super::tool::Tool;
use super::{Installed, SkillRef};
use crate::engine::digest;
use crate::sync::{Mutex, PoisonError};

/// Most bytes of a name, which is what the interfaces of models take.
pub const NAME_BYTES: usize = 64;
/// Of the digest that ends a name that had to be cut.
const MARK: usize = 10;

/// One tool that can be called.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The name for clients and models: `SKILL_TOOL`, or `SKILL` for a tool that is named as its skill.
    pub name: String,
    /// The skill's name.
    pub skill: String,
    pub version: Version,
    /// Of the skill's file.
    pub digest: String,
    pub tool: Tool,
    pub(crate) from: From,
}

impl Offer {
    /// Whether it is a tool of a server, which wrote what it says of itself.
    pub(crate) fn is_a_servers(&self) -> bool {
        matches!(&self.from, From::Held(skill) if skill.runs_elsewhere())
    }
}

/// Where the skill of a tool is found.
#[derive(Clone, Debug)]
pub(crate) enum From {
    Installed(Arc<Installed>),
    /// Served in place by somebody who works on it.
    Held(SkillRef),
}

/// The tools of all skills as they were at one moment, in order of their names. Nothing was compiled or run for it.
#[derive(Debug, Default)]
pub struct Toolbox {
    offers: Vec<Arc<Offer>>,
    by_name: HashMap<String, usize>,
}

impl Toolbox {
    /// Of two skills with the same name, that which is held serves.
    pub(crate) fn of(installed: Vec<Installed>, held: &BTreeMap<String, SkillRef>) -> Self {
        let mut offers = Vec::new();
        let mut offer = |skill: &str, version: &Version, digest: &str, tools: Vec<Tool>, from: &From| {
            offers.extend(tools.into_iter().map(|tool| {
                Arc::new(Offer {
                    name: name_of(skill, &tool.name),
                    skill: skill.to_owned(),
                    version: version.clone(),
                    digest: digest.to_owned(),
                    tool,
                    from: from.clone(),
                })
            }));
        };
        for skill in installed.into_iter().filter(|skill| !held.contains_key(&skill.name)) {
            let (tools, from) = (skill.tools.clone(), From::Installed(Arc::new(skill.clone())));
            offer(&skill.name, &skill.manifest.version, &skill.digest, tools, &from);
        }
        for (name, skill) in held {
            offer(name, &skill.manifest().version, &skill.digest(), skill.tools(), &From::Held(skill.clone()));
        }
        offers.sort_by(|one, other| one.name.cmp(&other.name));
        let by_name = offers.iter().enumerate().map(|(at, offer)| (offer.name.clone(), at)).collect();
        Self { offers, by_name }
    }

    /// The tool of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Offer>> {
        self.by_name.get(name).and_then(|at| self.offers.get(*at))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Offer>> {
        self.offers.iter()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.offers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }
}

/// The name under which a tool is offered. No skill's name has a `_` in it, so that two tools share one only where a digest would.
#[must_use]
pub fn name_of(skill: &str, tool: &str) -> String {
    if skill == tool && skill.len() <= NAME_BYTES {
        return skill.to_owned();
    }
    let whole = format!("{skill}_{tool}");
    if whole.len() <= NAME_BYTES {
        return whole;
    }
    let mark = digest(whole.as_bytes());
    let mark = &mark[mark.len() - MARK..];
    format!("{}_{mark}", &whole[..whole.floor_char_boundary(NAME_BYTES - MARK - 1)])
}

/// What is offered beside what is installed, and whether anything about it changed.
pub(crate) struct Offers {
    held: Mutex<BTreeMap<String, SkillRef>>,
    last: Mutex<Option<(u64, Arc<Toolbox>)>>,
    changes: watch::Sender<u64>,
}

impl Default for Offers {
    fn default() -> Self {
        Self { held: Mutex::default(), last: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Offers {
    /// Puts a skill in the place of one with the same name.
    pub(crate) fn hold(&self, skill: SkillRef) {
        let name = skill.manifest().name;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(name, skill);
        self.changed();
    }

    pub(crate) fn held(&self) -> BTreeMap<String, SkillRef> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something was installed, removed or replaced.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The toolbox that was made last, where nothing has changed since.
    pub(crate) fn last(&self) -> Option<Arc<Toolbox>> {
        let now = *self.changes.borrow();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(when, _)| *when == now).map(|(_, toolbox)| Arc::clone(toolbox))
    }

    /// Keeps what was read at the `when`th change: a change that came meanwhile makes it old at once.
    pub(crate) fn keep(&self, when: u64, toolbox: Toolbox) -> Arc<Toolbox> {
        let toolbox = Arc::new(toolbox);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((when, Arc::clone(&toolbox)));
        toolbox
    }

    pub(crate) fn count(&self) -> u64 {
        *self.changes.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_enough_for_every_model_and_never_shared() {
        assert_eq!(name_of("summarize", "summarize"), "summarize");
        assert_eq!(name_of("sheet", "plan_it"), "sheet_plan_it");
        let long = "a".repeat(64);
        let cut = name_of(&long, "b");
        assert_eq!(cut.len(), NAME_BYTES);
        assert!(cut.starts_with("aaaa") && cut.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{cut}");
        assert_ne!(cut, name_of(&long, "c"));
        assert_eq!(name_of(&long, &long), long);
        assert_ne!(name_of("a", "b_c"), name_of("a-b", "c"));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_for_after_it() {
        let offers = Offers::default();
        let when = offers.count();
        offers.changed();
        offers.keep(when, Toolbox::default());
        assert!(offers.last().is_none());
        offers.keep(offers.count(), Toolbox::default());
        assert!(offers.last().is_some());
    }
}
