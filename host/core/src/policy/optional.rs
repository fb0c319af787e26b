//! What of a request a skill can do without: it runs whether that was granted or not, and an act that would need it is refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request apart: what the skill needs, and what it can do without. None is nothing at all.
pub type Apart<R> = (Option<R>, Option<R>);

/// `optional` of a request that is a list: `true` for all of it, or those of its entries that the skill can do without, written
/// as they stand in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false, or a list of what stands in the request as well")]
pub enum Optional<T = String> {
    Whole(bool),
    Entries(Vec<T>),
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self::Whole(false)
    }
}

impl<T: Clone + PartialEq + ToString> Optional<T> {
    /// Whether the skill needs everything, which is what it says where it says nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Whole(whole) => !whole,
            Self::Entries(entries) => entries.is_empty(),
        }
    }

    fn covers(&self, entry: &T) -> bool {
        match self {
            Self::Whole(whole) => *whole,
            Self::Entries(entries) => entries.contains(entry),
        }
    }

    /// The request for `all`, apart. `of` makes a request for some of its entries.
    pub(crate) fn apart<R>(&self, all: &[T], of: impl Fn(Vec<T>) -> R) -> Apart<R> {
        let (without, needed): (Vec<T>, Vec<T>) = all.iter().cloned().partition(|entry| self.covers(entry));
        match (needed.is_empty(), without.is_empty()) {
            // A list with nothing in it asks for nothing, and is shown all the same.
            (true, true) => one(of(needed), *self == Self::Whole(true)),
            (no_need, all_needed) => ((!no_need).then(|| of(needed)), (!all_needed).then(|| of(without))),
        }
    }

    /// Refuses an entry that is not requested: by a typing error the skill would need what it can do without.
    pub(crate) fn check(&self, all: &[T]) -> Result<(), String> {
        let Self::Entries(entries) = self else { return Ok(()) };
        match entries.iter().find(|entry| !all.contains(entry)) {
            None => Ok(()),
            Some(stray) => Err(format!(
                "`optional` names `{}`, which is not among what it asks for",
                stray.to_string().escape_debug()
            )),
        }
    }
}

/// A request that is optional as a whole or not at all.
pub(crate) fn one<R>(request: R, optional: bool) -> Apart<R> {
    if optional { (None, Some(request)) } else { (Some(request), None) }
}

/// For what a manifest leaves out where it says nothing.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_apart_into_what_is_needed_and_what_is_not() {
        let all = ["a", "b"].map(String::from);
        let entries = |of: &[&str]| Optional::Entries(of.iter().map(ToString::to_string).collect());
        let list = |of: &[&str]| (!of.is_empty()).then(|| of.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (optional, needed, without) in [
            (Optional::default(), &["a", "b"][..], &[][..]),
            (Optional::Whole(true), &[], &["a", "b"]),
            (entries(&[]), &["a", "b"], &[]),
            (entries(&["b"]), &["a"], &["b"]),
            (entries(&["b", "a"]), &[], &["a", "b"]),
        ] {
            assert_eq!(optional.apart(&all, |entries| entries), (list(needed), list(without)), "{optional:?}");
            assert_eq!(optional.check(&all), Ok(()));
            assert_eq!(optional.is_nothing(), without.is_empty());
        }
        // Where nothing is asked for, that stands on one side as well.
        assert_eq!(Optional::<String>::Whole(true).apart(&[], |entries| entries), (None, Some(vec![])));
        assert_eq!(Optional::<String>::default().apart(&[], |entries| entries), (Some(vec![]), None));
        assert!(entries(&["a", "c"]).check(&all).unwrap_err().contains("`c`"));
    }
}
