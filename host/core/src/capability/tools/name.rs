//! Names of tools of other skills: `skill/tool`.

use std::fmt;

use crate::error::Refusal;
use crate::policy::manifest::is_name;

/// A tool of an installed skill.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub skill: String,
    pub tool: String,
}

impl Name {
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text.split_once('/') {
            Some((skill, tool)) if is_name(skill) && is_tool(tool) => {
                Ok(Self { skill: skill.to_owned(), tool: tool.to_owned() })
            }
            _ => Err(Refusal::Invalid(format!(
                "{} is not the name of a tool of another skill: it must be `skill/tool`",
                crate::schema::shorten(&format!("{text:?}"), 140)
            ))),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.skill, self.tool)
    }
}

/// Whether this can be the name of a tool.
pub(super) fn is_tool(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_parts() {
        assert_eq!(Name::parse("a-b/c_d").unwrap().to_string(), "a-b/c_d");
        for bad in ["", "a", "a/", "/b", "a/b/c", "A/b", "a/*", "../b", "a/b\n", "a\u{202e}/b", &"x/y".repeat(60)] {
            assert!(matches!(Name::parse(bad), Err(Refusal::Invalid(text)) if text.len() < 300), "{bad:?}");
        }
    }
}
