//! What a signature of a skill says: this name, in this version, with these permissions, is this file.

use serde::Serialize;
use serde_json::Value;

use crate::catalog::package::{Package, PackageError};
use crate::policy::manifest::Manifest;

/// The form of statements. Part of what is signed, so that a signature of anything else says nothing about a skill.
const TYPE: &str = "ringfence-skill/v1";

/// A statement about a component, made from its file and from nothing that came beside it.
///
/// The permissions stand in it apart from the digest that covers them already, so that what a person signs shows them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// Of the whole file: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The manifest's, or made of the file's name where it carries no manifest.
    pub name: String,
    /// As the manifest says it, or empty.
    pub permissions: Value,
    #[serde(rename = "type")]
    kind: &'static str,
    pub version: String,
    /// The interface that it is made for, like `ringfence:skill@0.1.0`; none for a plain component.
    pub wit: Option<String>,
}

impl Statement {
    /// Takes the file apart. `stem` names it where its package does not.
    pub(crate) fn of(bytes: &[u8], stem: &str) -> Result<(Self, Manifest), PackageError> {
        let package = Package::read(bytes)?;
        let manifest = package.manifest.unwrap_or_else(|| Manifest::bare(stem));
        // As it stands in the file, not as this version of the host writes it: a field that is new here must not make a
        // signature invalid that was made before.
        let permissions = package.manifest_json.and_then(|mut json| Some(json.get_mut("permissions")?.take()));
        let statement = Self {
            digest: crate::engine::digest(bytes),
            name: manifest.name.clone(),
            permissions: permissions.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            kind: TYPE,
            version: manifest.version.to_string(),
            wit: package.wit,
        };
        Ok((statement, manifest))
    }

    /// The bytes that are signed: canonical JSON (RFC 8785), so that everybody makes the same of the same file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // It cannot fail: texts and JSON that was read from JSON.
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }
}

#[cfg(debug_assertions)]
impl Statement {
    /// About a file that is not there.
    pub(super) fn made(name: &str, version: &str, digest: &str, permissions: Value) -> Self {
        let wit = Some("ringfence:skill@0.1.0".into());
        Self { digest: digest.into(), name: name.into(), permissions, kind: TYPE, version: version.into(), wit }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packaged(version: &str, permissions: Value) -> Vec<u8> {
        let code =
            wat::parse_str(r#"(component (import "ringfence:skill/log@0.1.0" (instance)) (core module (func)))"#)
                .unwrap();
        let manifest =
            json!({ "name": "echo", "version": version, "description": "Echoes.", "permissions": permissions });
        let manifest = Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
        Package::write(&code, &manifest, &[])
    }

    #[test]
    fn a_statement_is_canonical_and_holds_what_is_bound() {
        let bytes = packaged("1.2.3", json!({ "model": { "models": ["default"], "reason": "é" }, "kv": {} }));
        let (statement, _) = Statement::of(&bytes, "other").unwrap();
        let digest = crate::engine::digest(&bytes);
        assert_eq!(
            String::from_utf8(statement.bytes()).unwrap(),
            format!(
                "{{\"digest\":\"{digest}\",\"name\":\"echo\",\"permissions\":{},\"type\":\"ringfence-skill/v1\",\
                 \"version\":\"1.2.3\",\"wit\":\"ringfence:skill@0.1.0\"}}",
                serde_json_canonicalizer::to_string(&statement.permissions).unwrap()
            )
        );
        assert_eq!(statement.permissions["model"]["models"], json!(["default"]));
        let again = Statement::of(&bytes, "elsewhere").unwrap().0;
        assert_eq!(again.bytes(), statement.bytes(), "the file's name says nothing where the package says one");
        for other in [packaged("1.2.4", json!({ "kv": {} })), packaged("1.2.3", json!({ "user": {} }))] {
            assert_ne!(Statement::of(&other, "other").unwrap().0.bytes(), statement.bytes());
        }
    }

    #[test]
    fn a_plain_component_is_named_by_its_file() {
        let bytes = wat::parse_str("(component (core module (func)))").unwrap();
        let of = |stem: &str| String::from_utf8(Statement::of(&bytes, stem).unwrap().0.bytes()).unwrap();
        assert!(of("adder").contains(r#""name":"adder","permissions":{},"#) && of("adder").contains(r#""wit":null"#));
        assert_ne!(of("adder"), of("other"));
    }
}
