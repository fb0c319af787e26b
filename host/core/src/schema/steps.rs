//! Checking a value in bounded memory and time.
//!
//! The library visits a part of a value again for every way that leads to it, and collects every violation before it gives the
//! first: where two patterns fit a member and both refer to the whole schema, a value twenty levels deep is visited a million
//! times, and one of forty levels without end. So values are shown to it through nodes that count how often they are looked at,
//! and that leave by unwinding when it is too often: it has no other way out. Nothing is printed then, and what it held is
//! dropped.
//!
//! Not counted is what a check does between two looks; `cost` bounds that from the text of the schema.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson};
use serde_json::{Map, Number, Value};

use super::cost::Matching;

/// What a violation counts for: it takes memory until the check ends.
const VIOLATION: u64 = 200;
/// Bytes of a text that count for one step.
const TEXT: usize = 64;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static MATCHING: Cell<Matching> = const { Cell::new(Matching::NONE) };
}

/// What unwinds when the steps are used up.
struct UsedUp;

/// Runs `check`, which looks at values through [`Counted`]. None where that took more than `steps`, of which what `matching` says goes
/// for the texts that patterns may be held against.
pub(super) fn within<R>(steps: u64, matching: Matching, check: impl FnOnce() -> R) -> Option<R> {
    LEFT.set(steps);
    MATCHING.set(matching);
    match catch_unwind(AssertUnwindSafe(check)) {
        Ok(done) => Some(done),
        Err(thrown) if thrown.is::<UsedUp>() => None,
        Err(thrown) => resume_unwind(thrown),
    }
}

fn step(count: u64) {
    match LEFT.get().checked_sub(count) {
        Some(left) => LEFT.set(left),
        None => resume_unwind(Box::new(UsedUp)),
    }
}

/// Counts a value with all that lies in it.
fn count(value: &Value) {
    match value {
        Value::Array(items) => {
            step(1);
            items.iter().for_each(count);
        }
        Value::Object(map) => {
            step(1);
            map.values().for_each(count);
        }
        Value::String(text) => step(1 + (text.len() / TEXT) as u64),
        _ => step(1),
    }
}

/// JSON values that count how often they are looked at.
pub(super) struct Counted;

impl Json for Counted {
    type Node<'a> = One<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;
    const ACYCLIC: bool = SerdeJson::ACYCLIC;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut (), string: &str, f: impl FnOnce(One<'_>) -> T) -> T {
        SerdeJson::with_string_node(buffer, string, |node| f(One(node)))
    }
}

#[derive(Clone, Copy)]
pub(super) struct One<'a>(pub(super) &'a Value);

#[derive(Clone, Copy)]
pub(super) struct Members<'a>(&'a Map<String, Value>);

#[derive(Clone, Copy)]
pub(super) struct Elements<'a>(&'a [Value]);

impl<'a> Node<'a, Counted> for One<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        step(1);
        self.0.as_object().map(Members)
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        step(1);
        self.0.as_array().map(|list| Elements(list))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.0.as_str();
        step(1 + text.map_or(0, |text| MATCHING.get().text(text.len())));
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        step(1);
        self.0.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        step(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        step(1);
        self.0.is_null()
    }

    fn json_type(&self) -> JsonType {
        step(1);
        Node::<SerdeJson>::json_type(&self.0)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        let parts = match self.0 {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            Value::String(text) => text.len() / TEXT,
            _ => 0,
        };
        step(1 + parts as u64);
        Node::<SerdeJson>::equals_value(&self.0, expected)
    }

    /// Where a violation is made.
    fn to_value(&self) -> Cow<'a, Value> {
        step(VIOLATION);
        Cow::Borrowed(self.0)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        step(1);
        Node::<SerdeJson>::identity(&self.0)
    }
}

impl<'a> Object<'a, Counted> for Members<'a> {
    type Node = One<'a>;
    type MemberName = &'a str;
    type MembersIter = std::iter::Map<serde_json::map::Iter<'a>, fn((&'a String, &'a Value)) -> (&'a str, One<'a>)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<One<'a>> {
        step(1);
        self.0.get(key).map(One)
    }

    fn members(&self) -> Self::MembersIter {
        self.0.iter().map(|(name, value)| {
            step(MATCHING.get().name(name.len()));
            (name.as_str(), One(value))
        })
    }
}

impl<'a> Array<'a, Counted> for Elements<'a> {
    type Node = One<'a>;
    type ElementsIter = std::iter::Map<std::slice::Iter<'a, Value>, fn(&'a Value) -> One<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        self.0.iter().map(|value| {
            step(1);
            One(value)
        })
    }

    fn is_unique(&self) -> bool {
        // Whatever lies in the items is looked at, and in a short list each of them is compared with each.
        self.0.iter().for_each(count);
        Array::<SerdeJson>::is_unique(&self.0)
    }
}
