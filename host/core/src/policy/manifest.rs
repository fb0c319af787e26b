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
    /// One or two sentences for people and models. Left out where `SKILL.md` says it.
    #[serde(default)]
    pub description: String,
    /// An SPDX expression. Left out where `SKILL.md` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What the skill asks for. The operator grants it, or not. What is `optional` it can do without: it runs all the same, an
    /// act that would need it is refused, and a person is offered it when the skill is installed.
    #[serde(default)]
    pub permissions: Requests,
    /// JSON Schema of the operator's settings for this skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Calls that must succeed before a version serves in the place of another one. They have no grants and ten seconds each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub self_test: Vec<SelfTest>,
    /// Of which version what the skill keeps is, and how older state is brought up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateVersion>,
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

/// `[state]`: what the skill keeps in `kv`, between one version of the skill and the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StateVersion {
    /// From 1 on. Raised whenever older versions of the skill could not read what this one writes. What was kept before this was said is
    /// of version 0. A version of the skill that knows only older state is refused once there is newer.
    pub version: u32,
    /// The tool that changes older state: it is called with `{"from": 1, "to": 2}`, sees a copy of what the skill keeps and has no other
    /// right, and what it made takes the place of the old when it succeeds. Nobody else can call it. Left out where the skill
    /// reads older state by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<String>,
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
        let manifest = Self::parse(text)?;
        // An empty one is somebody's choice, and costs a second look; one that is missing is forgotten.
        if manifest.description.is_empty()
            && !toml::from_str::<toml::Table>(text).is_ok_and(|all| all.contains_key("description"))
        {
            return Err(ManifestError::new("`description` is missing, and no SKILL.md stands beside it".into()));
        }
        manifest.checked()
    }

    /// Reads a `skill.toml` that lies beside a `SKILL.md`, and fills in from there what it leaves out. What both say must be the
    /// same: there is one truth, and nobody has to know which file wins.
    pub fn from_toml_beside(text: &str, beside: &Beside<'_>) -> Result<Self, ManifestError> {
        let mut manifest = Self::parse(text)?;
        let same = |field: &'static str, toml: &str, md: &str| match toml.trim() == md.trim() {
            true => Ok(()),
            false => Err(ManifestError::Differs { field, toml: shown(toml), md: shown(md) }),
        };
        same("name", &manifest.name, beside.name)?;
        if manifest.description.is_empty() {
            beside.description.trim().clone_into(&mut manifest.description);
        }
        same("description", &manifest.description, beside.description)?;
        if let Some(license) = beside.license {
            same("license", manifest.license.get_or_insert_with(|| license.trim().to_owned()), license)?;
        }
        manifest.checked()
    }

    fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES {
            return Err(ManifestError::new(format!("it is {} bytes long, of at most {MANIFEST_BYTES}", text.len())));
        }
        toml::from_str(text).map_err(|error| ManifestError::new(place(text, &error)))
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
            state: None,
            build: None,
        }
    }

    /// Of which version what it keeps is, as its author counts.
    #[must_use]
    pub fn state_version(&self) -> u32 {
        self.state.as_ref().map_or(0, |state| state.version)
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
        if let Some(state) = &self.state {
            if state.version == 0 {
                return Err(ManifestError::new("`state.version` is 0, and counts from 1".into()));
            }
            if self.permissions.kv.is_none() {
                return Err(ManifestError::new(
                    "`[state]` needs `[permissions.kv]`: without it nothing is kept".into(),
                ));
            }
        }
        self.permissions.check().map_err(ManifestError::new)?;
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

/// What a `SKILL.md` beside the manifest says of the same skill.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub license: Option<&'a str>,
}

/// The beginning of a text, for a sentence.
fn shown(text: &str) -> String {
    let (line, whole) = crate::plain::line(text.trim(), 60);
    if whole { line } else { line + "..." }
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest (skill.toml) is not valid: {0}")]
    Invalid(String),
    #[error("`{field}` is \"{toml}\" in skill.toml and \"{md}\" in SKILL.md")]
    Differs { field: &'static str, toml: String, md: String },
}

impl ManifestError {
    pub(crate) fn new(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl Explain for ManifestError {
    fn kind(&self) -> &'static str {
        "manifest-invalid"
    }

    fn hint(&self) -> String {
        match self {
            Self::Invalid(_) => "correct skill.toml; `ringfence new` makes one that is right".into(),
            Self::Differs { field: "name", .. } => "give the skill one name in both files".into(),
            Self::Differs { field, .. } => format!("keep `{field}` in SKILL.md and take it out of skill.toml"),
        }
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
        assert!(!String::from_utf8_lossy(&json).contains("optional"), "what is not said is not packed");
        for said in ["true", "[\"default\"]"] {
            let manifest = Manifest::from_toml(&GOOD.replace("reason", &format!("optional = {said}\nreason"))).unwrap();
            let json = serde_json::to_vec(&manifest).unwrap();
            assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
            assert!(manifest.permissions.wishes()[0].optional, "{said}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            (GOOD.replace("summarize\"", "../../x\""), "../../x"),
            (GOOD.replace("summarize\"", "CON\""), "CON"),
            (GOOD.replace("\"0.1.0\"", "\"one\""), "version"),
            (GOOD.replace("[build]", "[builds]"), "builds"),
            (GOOD.replace("models =", "model ="), "model"),
            (GOOD.replace("reason", "optional = [\"defualt\"]\nreason"), "`defualt`"),
            (GOOD.replace("reason", "optional = \"yes\"\nreason"), "expected true, false, or a list"),
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
    fn what_skill_md_says_is_said_once() {
        let lean = GOOD.replace("description = \"Summarises.\"", "");
        assert!(Manifest::from_toml(&lean).unwrap_err().to_string().contains("`description` is missing"));
        let beside = Beside { name: "summarize", description: "Summarises.", license: Some("MIT") };
        let filled = Manifest::from_toml_beside(&lean, &beside).unwrap();
        assert_eq!((filled.description.as_str(), filled.license.as_deref()), ("Summarises.", Some("MIT")));
        assert_eq!(Manifest::from_toml_beside(GOOD, &beside).unwrap(), filled, "the same twice is no contradiction");
        for (other, words) in [
            (Beside { name: "other", ..beside }, ["`name`", "\"summarize\"", "\"other\""]),
            (Beside { description: "Else.", ..beside }, ["`description`", "\"Summarises.\"", "\"Else.\""]),
        ] {
            let error = Manifest::from_toml_beside(GOOD, &other).unwrap_err();
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
        let licensed = format!("license = \"Apache-2.0\"\n{GOOD}");
        assert!(
            Manifest::from_toml_beside(&licensed, &beside).unwrap_err().hint().contains("take it out of skill.toml")
        );
        assert_eq!(
            Manifest::from_toml("name = \"a\"\nversion = \"0.1.0\"\ndescription = \"\"").unwrap().description,
            ""
        );
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
