//! The configuration of a Wasm artefact: what the component exports and imports, for those who list artefacts. Written for others;
//! nothing here believes one that it reads.

use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use super::manifest::Descriptor;

/// Most names of each kind.
const MOST_NAMES: usize = 256;

/// Of a component whose layer is `layer`.
pub(super) fn write(component: &[u8], layer: &Descriptor, created: jiff::Timestamp) -> Value {
    let (imports, exports) = names(component);
    json!({
        "created": created.to_string(),
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "imports": imports, "exports": exports, "target": null },
    })
}

/// The outermost names. What cannot be read has none: whoever loads it says why.
fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(section)) if depth == 0 => {
                imports.extend(section.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Ok(Payload::ComponentExportSection(section)) if depth == 0 => {
                exports.extend(section.into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    imports.truncate(MOST_NAMES);
    exports.truncate(MOST_NAMES);
    (imports, exports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_outermost_names() {
        let text = r#"(component
            (import "outer:in/x@1.0.0" (instance))
            (component $c (import "inner" (func)) (export "hidden" (func 0)))
            (core module (func (export "core")))
            (instance $i) (export "outer:out/y@1.0.0" (instance $i)))"#;
        let component = wat::parse_str(text).unwrap();
        let layer = Descriptor::of(super::super::manifest::LAYER, &component);
        let config = write(&component, &layer, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(config["component"]["imports"], json!(["outer:in/x@1.0.0"]));
        assert_eq!(config["component"]["exports"], json!(["outer:out/y@1.0.0"]));
        assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
        assert_eq!(config["layerDigests"], json!([layer.digest]));
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        assert_eq!(names(b"nonsense"), (vec![], vec![]));
    }
}
