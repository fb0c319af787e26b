//! Agent Skills: a folder with a `SKILL.md`, which tells any agent when to use a skill and how. The format is that of
//! <https://agentskills.io/specification>.
//!
//! Here a `SKILL.md` is read, which is a stranger's, and written. The frontmatter is for finding a skill, and goes into its manifest; the
//! Markdown below it is for using it, and nothing reads it before somebody asks.

mod export;
mod folder;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::UserMessageFormatter;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use unicode_segmentation::UnicodeSegmentation;

use super::TEXT_BYTES;
use crate::error::Explain;
use crate::plain;
use crate::policy::manifest::Beside;
pub use export::{Export, Exported};
pub(crate) use folder::{Carried, carried};

/// The file that makes a folder an Agent Skill.
pub const FILE: &str = "SKILL.md";

/// Keys of ours below `metadata`: where the component lies, its digest, and the version of the skill.
pub const COMPONENT: &str = "ringfence.component";
pub const DIGEST: &str = "ringfence.digest";
pub const VERSION: &str = "ringfence.version";

/// Largest frontmatter in bytes, which is some times what all of its fields may hold together.
pub const FRONTMATTER_BYTES: usize = 16 << 10;
/// Longest description, in characters, by the specification.
pub const DESCRIPTION_CHARS: usize = 1024;
/// Longest `compatibility`, in characters, by the specification.
const COMPATIBILITY_CHARS: usize = 500;
/// Longest `license`: a name, or that of a file. The specification sets no limit.
const LICENSE_CHARS: usize = 500;
/// Most entries of `metadata` and their longest values. The specification sets no limit.
const METADATA: usize = 64;
const METADATA_CHARS: usize = 1024;

/// A `SKILL.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentSkill {
    /// 1 to 64 of `a-z 0-9 -`, no `-` at either end, and not two beside each other. By the specification its folder has the same name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// A licence's name, or that of a file in the folder.
    pub license: Option<String>,
    /// What it needs around it.
    pub compatibility: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// Markdown for whoever uses it. Empty where there is none.
    pub instructions: String,
}

/// As it is written. Unknown keys are errors: the specification has no others, and a misspelt one would be lost in silence.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Frontmatter {
    name: String,
    description: String,
    license: Option<String>,
    compatibility: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Read, and nothing is allowed by it: a skill cannot grant itself anything.
    #[serde(rename = "allowed-tools")]
    _allowed_tools: Option<AllowedTools>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AllowedTools {
    Words(#[allow(dead_code, reason = "only its shape is checked")] String),
    List(#[allow(dead_code, reason = "only its shape is checked")] Vec<String>),
}

impl AgentSkill {
    /// Reads a `SKILL.md`. Line ends of Windows and a byte order mark are taken as what they are: a habit of editors.
    pub fn read(text: &str) -> Result<Self, AgentSkillError> {
        if text.len() > FRONTMATTER_BYTES + TEXT_BYTES {
            return Err(AgentSkillError::TooLong { what: "it", most: FRONTMATTER_BYTES + TEXT_BYTES });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        let (yaml, body) = split(&text)?;
        if yaml.len() > FRONTMATTER_BYTES {
            return Err(AgentSkillError::TooLong { what: "its frontmatter", most: FRONTMATTER_BYTES });
        }
        let instructions = body.trim();
        if instructions.len() > TEXT_BYTES {
            return Err(AgentSkillError::TooLong { what: "its text", most: TEXT_BYTES });
        }
        let found: Frontmatter =
            serde_saphyr::from_str_with_options(yaml, options()).map_err(|error| broken(&error))?;
        let some = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let skill = Self {
            name: found.name.trim().to_owned(),
            description: found.description.trim().to_owned(),
            license: some(found.license),
            compatibility: some(found.compatibility),
            metadata: found.metadata,
            instructions: instructions.to_owned(),
        };
        skill.check()?;
        Ok(skill)
    }

    fn check(&self) -> Result<(), AgentSkillError> {
        let wrong = |field, reason: String| Err(AgentSkillError::Field { field, reason });
        if !is_name(&self.name) {
            let (shown, _) = plain::line(&self.name, 80);
            return wrong("name", format!("is \"{shown}\", which is no name for an Agent Skill"));
        }
        if self.description.is_empty() {
            return wrong("description", "is empty".into());
        }
        let fields = [
            ("description", Some(&self.description), DESCRIPTION_CHARS),
            ("license", self.license.as_ref(), LICENSE_CHARS),
            ("compatibility", self.compatibility.as_ref(), COMPATIBILITY_CHARS),
        ];
        let pairs = self.metadata.iter().flat_map(|(key, value)| [key, value]);
        for (field, text, most) in fields.into_iter().chain(pairs.map(|text| ("metadata", Some(text), METADATA_CHARS)))
        {
            if text.is_some_and(|text| text.chars().count() > most) {
                return wrong(field, format!("is longer than {most} characters"));
            }
        }
        match self.metadata.len() > METADATA {
            true => wrong("metadata", format!("has {} entries, of at most {METADATA}", self.metadata.len())),
            false => Ok(()),
        }
    }

    /// What it says of the same skill as a `skill.toml` beside it.
    #[must_use]
    pub fn beside(&self) -> Beside<'_> {
        Beside { name: &self.name, description: &self.description, license: self.license.as_deref() }
    }

    /// The frontmatter with its fences, as YAML that every reader takes for the same strings.
    #[must_use]
    pub fn frontmatter(&self) -> String {
        let mut text = format!("---\nname: {}\ndescription: {}\n", scalar(&self.name), scalar(&self.description));
        for (key, value) in [("license", &self.license), ("compatibility", &self.compatibility)] {
            text += &value.as_ref().map(|value| format!("{key}: {}\n", scalar(value))).unwrap_or_default();
        }
        if !self.metadata.is_empty() {
            text += "metadata:\n";
        }
        for (key, value) in &self.metadata {
            text += &format!("  {}: {}\n", scalar(key), scalar(value));
        }
        text + "---\n"
    }

    /// The whole file.
    #[must_use]
    pub fn write(&self) -> String {
        match self.instructions.is_empty() {
            true => self.frontmatter(),
            false => format!("{}\n{}\n", self.frontmatter(), self.instructions.trim()),
        }
    }
}

/// What `compatibility` says of the skills that this program writes.
#[must_use]
pub fn compatibility() -> String {
    format!("Requires ringfence >= {}", env!("CARGO_PKG_VERSION"))
}

/// Whether this can be the name of an Agent Skill. Each is one of a skill as well, but not the other way round.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !(name.starts_with('-') || name.ends_with('-') || name.contains("--"))
}

/// The name of a skill as Agent Skills spell it.
#[must_use]
pub fn name_of(skill: &str) -> String {
    skill.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// A text on one line as a description may be: within the specification's limit, cut behind a sentence, or else behind a word.
#[must_use]
pub fn description_of(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let (line, _) = plain::line(&words.join(" "), usize::MAX);
    if line.chars().count() <= DESCRIPTION_CHARS {
        return line;
    }
    let fitting = |parts: &mut dyn Iterator<Item = &str>, most: usize| {
        let mut left = most;
        let fits = |part: &&str| {
            let chars = part.trim_end().chars().count();
            let fits = chars <= left;
            left = left.saturating_sub(part.chars().count());
            fits
        };
        parts.take_while(fits).collect::<String>().trim_end().to_owned()
    };
    let sentences = fitting(&mut line.split_sentence_bounds(), DESCRIPTION_CHARS);
    if !sentences.is_empty() {
        return sentences;
    }
    let words = fitting(&mut line.split_inclusive(' '), DESCRIPTION_CHARS - 1);
    if !words.is_empty() {
        return words + "…";
    }
    line.chars().take(DESCRIPTION_CHARS - 1).chain(['…']).collect()
}

/// Frontmatter and what follows it. Fences are lines of their own.
fn split(text: &str) -> Result<(&str, &str), AgentSkillError> {
    let rest = text.strip_prefix("---").ok_or(AgentSkillError::NoFrontmatter)?;
    let (first, rest) = rest.split_once('\n').ok_or(AgentSkillError::NoFrontmatter)?;
    if !first.trim().is_empty() {
        return Err(AgentSkillError::NoFrontmatter);
    }
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Ok((rest.get(..at).unwrap_or_default(), rest.get(at + line.len()..).unwrap_or_default()));
        }
        at += line.len();
    }
    Err(AgentSkillError::Unclosed)
}

/// What of YAML a frontmatter may use: a mapping of strings, one mapping in it, and a list. No anchors, so nothing can multiply; no tags, no
/// merging, no second document.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_depth: 3,
            flow_nesting_limit: 2,
            max_documents: 1,
            max_inclusion_depth: 0,
            max_nodes: 1024,
            max_events: 4096,
            max_total_scalar_bytes: FRONTMATTER_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// The library's complaint in one line. Its lines count from the fence.
fn broken(error: &serde_saphyr::Error) -> AgentSkillError {
    let text = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    let words: Vec<_> = text.split_whitespace().collect();
    let (line, _) = plain::line(&words.join(" "), 300);
    AgentSkillError::Frontmatter(line)
}

/// A string in YAML: bare where no reader could take it for anything else, in quotes otherwise.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf", "infinity"];
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" ._/@+,()>=;'!?-".contains(&b))
        && !text.ends_with(' ')
        && !text.contains("---")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    let mut dashes = 0;
    for c in text.chars() {
        dashes = if c == '-' { dashes + 1 } else { 0 };
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            // Readers that look for the fence anywhere must not find it here.
            '-' if dashes > 2 => out += "\\x2d",
            _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                out += &format!("\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Why an Agent Skill cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum AgentSkillError {
    #[error("SKILL.md is not read: {what} is longer than {} KiB", most >> 10)]
    TooLong { what: &'static str, most: usize },
    #[error("SKILL.md cannot be read: {0}")]
    Unreadable(String),
    #[error("{0} is a link, or lies behind one, and links are not followed")]
    Link(String),
    #[error("SKILL.md is not text in UTF-8")]
    NotText,
    #[error("SKILL.md does not begin with a line `---`, and so has no frontmatter")]
    NoFrontmatter,
    #[error("the frontmatter of SKILL.md has no end: no second line `---`")]
    Unclosed,
    #[error("the frontmatter of SKILL.md is not right: {0}")]
    Frontmatter(String),
    #[error("`{field}` in SKILL.md {reason}")]
    Field { field: &'static str, reason: String },
    #[error("SKILL.md names the component `{0}`, which is not a file in its folder")]
    NotThere(String),
    #[error(
        "the Agent Skill `{name}` holds no component: its scripts ({scripts}) would run outside of the sandbox, with all of your rights"
    )]
    ScriptsOnly { name: String, scripts: String },
    #[error("the Agent Skill `{0}` is instructions alone: there is no component in it to run")]
    TextOnly(String),
    #[error("the Agent Skill `{name}` holds several components and names none: {found}")]
    Several { name: String, found: String },
    #[error("SKILL.md calls the skill `{md}`, and its component {component} calls it `{embedded}`")]
    OtherName { md: String, component: String, embedded: String },
    #[error("{component} is not the component that SKILL.md means: its digest is {found} instead of {expected}")]
    OtherDigest { component: String, expected: String, found: String },
}

impl Explain for AgentSkillError {
    fn kind(&self) -> &'static str {
        match self {
            Self::OtherDigest { .. } => "digest-mismatch",
            Self::ScriptsOnly { .. } | Self::TextOnly(_) | Self::NotThere(_) => "not-found",
            _ => "manifest-invalid",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => "shorten it, and move long passages to files of their own in `references/`".into(),
            Self::Unreadable(_) => "check that it is a file and that you may read it".into(),
            Self::Link(_) => "put the file itself in its place".into(),
            Self::NotText => "save it as text in UTF-8".into(),
            Self::NoFrontmatter | Self::Unclosed => {
                "begin SKILL.md with `---`, then `name:` and `description:`, then `---`; `ringfence new` makes one that is right"
                    .into()
            }
            Self::Frontmatter(_) => {
                "correct it by https://agentskills.io/specification; keys of your own belong below `metadata`".into()
            }
            Self::Field { field: "name", .. } => {
                "use 1 to 64 of a-z, 0-9 and single `-`, with a letter or digit at both ends".into()
            }
            Self::Field { field, .. } => format!("correct `{field}` in SKILL.md"),
            Self::NotThere(_) => format!("correct `{COMPONENT}` in SKILL.md: a path from its folder, without `..`"),
            Self::ScriptsOnly { .. } => {
                "ringfence runs WebAssembly components alone; ask its author for one, or begin one with `ringfence new NAME`".into()
            }
            Self::TextOnly(_) => "give it to an agent to read; `ringfence new NAME` begins a skill that can be run".into(),
            Self::Several { .. } => format!("name one in SKILL.md, by `{COMPONENT}` below `metadata`"),
            Self::OtherName { .. } => "give the skill one name in both".into(),
            Self::OtherDigest { .. } => "get the folder anew from its author, and do not run this one".into(),
        }
    }
}

#[cfg(test)]
mod tests;
