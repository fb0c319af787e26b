//! What the author wrote about the functions of a plain component.
//!
//! WIT's own tools keep doc comments in a custom section, `package-docs`: a byte for its version and JSON. It is read here rather than
//! by `wit-parser`, which would first take the whole component apart; only comments of functions are of use. What was packaged has
//! them in its list of tools instead, since custom sections are dropped.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::names::Place;
use crate::catalog::tool::{Hints, Tool};

/// Largest section that is read, in bytes.
const SECTION_BYTES: usize = 1 << 20;

/// What was written about functions. May be empty.
#[derive(Debug, Default)]
pub(crate) struct Docs {
    package: Package,
    stored: HashMap<String, Told>,
}

/// What was written about one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) title: Option<String>,
    pub(super) description: String,
    pub(super) hints: Hints,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    worlds: HashMap<String, World>,
    interfaces: HashMap<String, Interface>,
}

/// What a world exports stands in the fields with `exports`, unless nothing that it imports has that name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct World {
    funcs: HashMap<String, Value>,
    func_exports: HashMap<String, Value>,
    interfaces: HashMap<String, Interface>,
    interface_exports: HashMap<String, Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    funcs: HashMap<String, Value>,
}

impl Docs {
    /// Reads a section `package-docs`. One that means nothing is as good as none: nothing depends on it.
    pub(crate) fn read(section: &[u8]) -> Self {
        let package = match section {
            [0 | 1, json @ ..] if json.len() <= SECTION_BYTES => serde_json::from_slice(json).unwrap_or_default(),
            _ => Package::default(),
        };
        Self { package, stored: HashMap::new() }
    }

    /// What a package says of its tools, in their own names. Schemas in it are not looked at: they are made of the functions.
    pub(crate) fn stored(tools: Vec<Tool>) -> Self {
        let told = |tool: Tool| {
            let Tool { name, title, description, hints, .. } = tool;
            (name, Told { title, description, hints })
        };
        Self { package: Package::default(), stored: tools.into_iter().map(told).collect() }
    }

    pub(super) fn of(&self, tool: &str, place: &Place) -> Option<Told> {
        let known = self.stored.get(tool).cloned();
        known.filter(|told| !told.description.trim().is_empty()).or_else(|| {
            let description = self.package.of(place)?.trim();
            (!description.is_empty()).then(|| Told { description: description.to_owned(), ..Told::default() })
        })
    }
}

impl Package {
    fn of(&self, place: &Place) -> Option<&str> {
        let name = &place.function;
        let worlds = || self.worlds.values();
        let found = match place.interface_name() {
            None => worlds().find_map(|world| world.func_exports.get(name).or_else(|| world.funcs.get(name))),
            Some(interface) => {
                let inline = || worlds().flat_map(|world| [&world.interface_exports, &world.interfaces]);
                let all = std::iter::once(&self.interfaces).chain(inline());
                all.filter_map(|interfaces| interfaces.get(interface)).find_map(|interface| interface.funcs.get(name))
            }
        };
        // Version 0 has the text itself.
        match found? {
            Value::String(text) => Some(text),
            other => other.get("docs")?.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn section(version: u8, json: &Value) -> Vec<u8> {
        let mut section = vec![version];
        section.extend(json.to_string().into_bytes());
        section
    }

    fn place(interface: Option<&str>, function: &str) -> Place {
        Place { interface: interface.map(str::to_owned), function: function.into() }
    }

    #[test]
    fn comments_are_found_by_interface_and_function() {
        let json = json!({
            "docs": "The package.",
            "worlds": {"w": {
                "func_exports": {"top": {"docs": "At the top.\n"}},
                "funcs": {"top": {"docs": "Imported."}, "only": {"docs": "Only."}},
                "interface_exports": {"inline": {"funcs": {"f": {"docs": "Inline."}}}},
            }},
            "interfaces": {"math": {"docs": "Sums.", "funcs": {
                "add": {"docs": "Adds.", "stability": "Unknown"}, "old": "As a text.", "bare": {},
            }, "types": {"t": {"docs": "x"}}}},
        });
        let docs = Docs::read(&section(1, &json));
        let said = |interface, function| docs.of("any", &place(interface, function)).map(|told| told.description);
        assert_eq!(said(None, "top").as_deref(), Some("At the top."));
        assert_eq!(said(None, "only").as_deref(), Some("Only."));
        assert_eq!(said(Some("x:y/math@1.0.0"), "add").as_deref(), Some("Adds."));
        assert_eq!(said(Some("x:y/math"), "old").as_deref(), Some("As a text."));
        assert_eq!(said(Some("inline"), "f").as_deref(), Some("Inline."));
        for (interface, function) in [(Some("x:y/math"), "bare"), (Some("x:y/other"), "add"), (None, "add")] {
            assert_eq!(said(interface, function), None, "{function}");
        }
    }

    #[test]
    fn what_means_nothing_says_nothing() {
        for bytes in [&b""[..], b"\x01", b"\x02{}", b"\x01[]", b"\x01{\"worlds\": 3}", &[1; 100]] {
            assert_eq!(Docs::read(bytes).of("f", &place(None, "f")), None);
        }
        let deep = format!("\u{1}{}", "{\"worlds\":".repeat(10_000));
        assert_eq!(Docs::read(deep.as_bytes()).of("f", &place(None, "f")), None);
    }
}
