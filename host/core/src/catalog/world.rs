//! What another version of a component imports that it did not.

use std::collections::BTreeSet;

use serde::Serialize;

pub(crate) use crate::engine::names;

/// How the imports of a version differ from those of the one before it. An interface in another version of itself is the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imports {
    /// As the new version names them.
    pub new: Vec<String>,
    /// As the old version named them.
    pub gone: Vec<String>,
}

impl Imports {
    pub(crate) fn between(before: &[u8], now: &[u8]) -> Self {
        let (before, now) = (names(before).0, names(now).0);
        Self { new: beyond(&now, &before), gone: beyond(&before, &now) }
    }
}

fn beyond(these: &[String], those: &[String]) -> Vec<String> {
    let those: BTreeSet<&str> = those.iter().map(|name| interface(name)).collect();
    these.iter().filter(|name| !those.contains(interface(name))).cloned().collect()
}

/// A name without its version: `wasi:clocks/wall-clock` of `wasi:clocks/wall-clock@0.2.3`.
fn interface(name: &str) -> &str {
    name.split_once('@').map_or(name, |(interface, _)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(imports: &[&str]) -> Vec<u8> {
        let imports: String = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
        wat::parse_str(format!("(component {imports} (component (import \"a:inner/x\" (instance))))")).unwrap()
    }

    #[test]
    fn only_the_outermost_names_are_told() {
        assert_eq!(names(&component(&["a:b/c@1.0.0"])), (vec!["a:b/c@1.0.0".to_owned()], vec![]));
        assert_eq!(names(b"nonsense"), (vec![], vec![]));
    }

    #[test]
    fn t109_what_is_imported_anew_is_told_and_another_version_of_an_interface_is_not() {
        let old = component(&["a:b/c@1.0.0", "a:b/d@1.0.0"]);
        assert_eq!(Imports::between(&old, &old), Imports::default());
        assert_eq!(Imports::between(&old, &component(&["a:b/d@1.0.1", "a:b/c@1.0.1"])), Imports::default());
        let other = Imports::between(&old, &component(&["a:b/c@1.0.0", "a:b/e@1.0.0"]));
        assert_eq!((other.new, other.gone), (vec!["a:b/e@1.0.0".to_owned()], vec!["a:b/d@1.0.0".to_owned()]));
        // Of what cannot be read nothing was imported.
        assert_eq!(Imports::between(b"", &old).new.len(), 2);
    }
}
