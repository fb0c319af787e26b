//! What an author writes about a skill: `skill.toml`, and the same as JSON inside of a packaged component.
//!
//! A manifest comes from a stranger. It is read with limits, unknown keys are errors, and what it requests grants nothing.

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Requests;
use crate::error::Explain;

/// Largest manifest in bytes.
pub const MANIFEST_BYTES: usize = 256 << 10;

/// `skill.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// 1 to 64 of `a-z 0-9 -`, beginning with a letter or digit.
    pub name: String,
    /// A semantic version.
    #[schemars(with = "String")]
    pub version: Version,
    /// One or two sentences for people and models.
    pub description: String,
    /// An SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What the skill asks for. The operator grants it, or not.
    #[serde(default)]
    pub permissions: Requests,
    /// JSON Schema of the operator's settings for this skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Calls that must succeed before a version serves in the place of another one. They have no grants and ten seconds each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub self_test: Vec<SelfTest>,
    /// How `ringfence build` makes the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// `[[self-test]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SelfTest {
    pub tool: String,
    /// An object of the tool's input schema.
    #[serde(default = "nothing")]
    pub input: Value,
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Most tests of its own.
const SELF_TESTS: usize = 16;

/// `[build]`: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// The language of the source: `c`, `go`, `javascript`, `python`, `rust` or `typescript`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// A component that something else has built: its path from the skill's folder. For languages that this host has no toolchain for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
}

/// What is wrong and where, in one line: `line 2, column 9: unexpected end of input`.
fn place(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return message };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let shown: String = text.lines().nth(line - 1).unwrap_or_default().trim().chars().take(80).collect();
    format!("line {line}, column {column}: {message}: `{}`", shown.escape_debug())
}

impl Manifest {
    /// Reads a `skill.toml`.
    pub fn from_toml(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES {
            return Err(ManifestError::new(format!("it is {} bytes long, of at most {MANIFEST_BYTES}", text.len())));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::new(place(text, &error)))?;
        manifest.checked()
    }

    /// Reads the manifest that a packaged component carries.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES {
            return Err(ManifestError::new(format!("it is {} bytes long, of at most {MANIFEST_BYTES}", bytes.len())));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| ManifestError::new(error.to_string()))?;
        manifest.checked()
    }

    /// The manifest of a component that carries none: it requests nothing.
    #[must_use]
    pub fn bare(file_stem: &str) -> Self {
        let mut name: String = file_stem
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(64)
            .collect();
        name = name.trim_matches('-').to_owned();
        if name.is_empty() {
            "skill".clone_into(&mut name);
        }
        Self {
            name,
            version: Version::new(0, 0, 0),
            description: String::new(),
            license: None,
            authors: Vec::new(),
            homepage: None,
            permissions: Requests::default(),
            config: None,
            self_test: Vec::new(),
            build: None,
        }
    }

    fn checked(self) -> Result<Self, ManifestError> {
        if !is_name(&self.name) {
            return Err(ManifestError::new(format!(
                "`name` is {:?}, and must be 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit",
                self.name
            )));
        }
        if let Some(build) = &self.build
            && build.lang.is_some() == build.component.is_some()
        {
            return Err(ManifestError::new("`[build]` needs either `lang` or `component`".into()));
        }
        if self.self_test.len() > SELF_TESTS {
            return Err(ManifestError::new(format!("it has more than {SELF_TESTS} of `[[self-test]]`")));
        }
        if self.description.len() > 4096 {
            return Err(ManifestError::new("`description` is longer than 4,096 bytes".into()));
        }
        Ok(self)
    }
}

/// Whether this can be the name of a skill.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    (1..=64).contains(&name.len())
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the manifest (skill.toml) is not valid: {0}")]
pub struct ManifestError(String);

impl ManifestError {
    pub(crate) fn new(reason: String) -> Self {
        Self(reason)
    }
}

impl Explain for ManifestError {
    fn kind(&self) -> &'static str {
        "manifest-invalid"
    }

    fn hint(&self) -> String {
        "correct skill.toml; `ringfence new` makes one that is right".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "summarize"
        version = "0.1.0"
        description = "Summarises."
        [permissions.model]
        models = ["default"]
        reason = "To write the summary."
        [build]
        lang = "rust"
    "#;

    #[test]
    fn a_mistake_is_told_in_one_line_with_its_place() {
        let error = Manifest::from_toml("name = \"a\"\nversion = \"1\"\ndescription = \"\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2, column 11: ") && !error.contains('\n'), "{error}");
        let error = Manifest::from_toml("name = \"a\"\nnmae = 1\n").unwrap_err().to_string();
        assert!(error.contains("line 2, column 1: ") && error.contains("nmae"), "{error}");
    }

    #[test]
    fn a_manifest_survives_packaging() {
        let manifest = Manifest::from_toml(GOOD).unwrap();
        let json = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
        assert_eq!(manifest.permissions.model.unwrap().models, ["default"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            (GOOD.replace("summarize\"", "../../x\""), "../../x"),
            (GOOD.replace("summarize\"", "CON\""), "CON"),
            (GOOD.replace("\"0.1.0\"", "\"one\""), "version"),
            (GOOD.replace("[build]", "[builds]"), "builds"),
            (GOOD.replace("models =", "model ="), "model"),
            (format!("{GOOD}\nlang = \"c\""), "lang"),
            ("name = ".into(), "name"),
            ("x".repeat(MANIFEST_BYTES + 1), "at most"),
        ] {
            let error = Manifest::from_toml(&text).unwrap_err();
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert!(Manifest::from_json(b"{\"name\":\"a\",\"name\":\"b\"}").is_err());
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "a-b", "9lives", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "a.b", "ä", "a\0", "a\u{202e}", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert_eq!(Manifest::bare("My Tool.v2").name, "my-tool-v2");
        assert_eq!(Manifest::bare("….").name, "skill");
    }
}
