//! The quick way to read what most pieces of a stream are: in place, without making a tree of each.
//!
//! A wire lists what it looks at of a usual piece. A piece that has any of it in another form is not read here but as a tree, so
//! that the rules for unusual servers stand in one place. Both ways must say the same of what both can read: `testing::both`
//! compares them. What nobody looks at is only skipped here, so a number in it that is too large does no harm.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// A usual piece; None for what has to be read as a tree.
pub(super) fn quick<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    #[cfg(debug_assertions)]
    if OFF.get() {
        return None;
    }
    serde_json::from_str::<Object<T>>(text).ok().map(|object| object.0)
}

#[cfg(debug_assertions)]
thread_local!(static OFF: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });

/// Reads everything as a tree meanwhile, on this thread.
#[cfg(debug_assertions)]
pub(super) fn off<R>(act: impl FnOnce() -> R) -> R {
    OFF.set(true);
    let result = act();
    OFF.set(false);
    result
}

/// A text, borrowed where it is written without escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The text, if it says something.
pub(super) fn said<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| &*text.0).filter(|text| !text.is_empty())
}

/// What no usual piece has, unless it is `null`.
#[derive(Debug)]
pub(super) enum Unusual {}

impl<'de> Deserialize<'de> for Unusual {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("unusual"))
    }
}

/// An object. A derived reader takes a list for it as well, whose elements it then takes for fields.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A list of one, or of none.
#[derive(Debug)]
pub(super) struct One<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = One<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element()?;
                match first.is_some().then(|| list.next_element::<IgnoredAny>()).transpose()?.flatten() {
                    None => Ok(One(first)),
                    Some(_) => Err(de::Error::custom("more than one")),
                }
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// Renames only where the name has changed: most pieces name the model once more.
pub(super) fn rename(model: &mut String, name: Option<&str>) {
    if let Some(name) = name.filter(|name| !name.is_empty() && *name != model) {
        name.clone_into(model);
    }
}
