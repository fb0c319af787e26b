//! The configuration of a Wasm artefact: what the component exports and imports, for those who list artefacts. Written for others;
//! nothing here believes one that it reads.

use serde_json::{Value, json};

use super::manifest::Descriptor;
use crate::catalog::world;

/// Most names of each kind.
const MOST_NAMES: usize = 256;

/// Of a component whose layer is `layer`.
pub(super) fn write(component: &[u8], layer: &Descriptor, created: jiff::Timestamp) -> Value {
    let (mut imports, mut exports) = world::names(component);
    imports.truncate(MOST_NAMES);
    exports.truncate(MOST_NAMES);
    json!({
        "created": created.to_string(),
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "imports": imports, "exports": exports, "target": null },
    })
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
    }
}
