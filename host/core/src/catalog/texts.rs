//! What an author wrote beside a skill for people, in custom sections of its component: it travels with the code, and nothing reads it
//! before somebody asks.

use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};

use crate::plain;

const README: &str = "ringfence:readme";
const LICENSE: &str = "ringfence:license";
const INSTRUCTIONS: &str = "ringfence:instructions";

/// Largest of them in bytes.
pub const TEXT_BYTES: usize = 256 << 10;

/// README, licence and instructions of a skill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Markdown.
    pub readme: Option<String>,
    pub license: Option<String>,
    /// The Markdown of `SKILL.md`: how a model is to use the skill.
    pub instructions: Option<String>,
}

impl Texts {
    /// Puts them into a component. One above [`TEXT_BYTES`] is left out.
    pub fn append(&self, component: &mut Vec<u8>) {
        for (name, text) in [(README, &self.readme), (LICENSE, &self.license), (INSTRUCTIONS, &self.instructions)] {
            if let Some(text) = text.as_ref().filter(|text| text.len() <= TEXT_BYTES) {
                CustomSection { name: name.into(), data: text.as_bytes().into() }.append_to_component(component);
            }
        }
    }

    /// Those of a component, made safe to show: a stranger wrote them. Nothing where the file is no component.
    #[must_use]
    pub fn read(component: &[u8]) -> Self {
        // Of two of one name the later counts, and no other is made a text: a component has room for many.
        let (mut readme, mut license, mut instructions) = (None, None, None);
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.data().len() <= TEXT_BYTES => {
                    match section.name() {
                        README => readme = Some(section.data()),
                        LICENSE => license = Some(section.data()),
                        INSTRUCTIONS => instructions = Some(section.data()),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let text = |data: &[u8]| plain::block(&String::from_utf8_lossy(data));
        Self { readme: readme.map(text), license: license.map(text), instructions: instructions.map(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_travel_and_are_safe_to_show() {
        let mut component = wat::parse_str("(component (core module (func)))").unwrap();
        let texts = Texts {
            readme: Some("# Grüße\n\u{1b}[2J\n".into()),
            license: Some("x".repeat(TEXT_BYTES + 1)),
            instructions: Some("Call `count`.".into()),
        };
        texts.append(&mut component);
        let read = Texts::read(&component);
        assert_eq!(read.license, None, "one that is too long is left out");
        assert_eq!(read.instructions.as_deref(), Some("Call `count`."));
        let readme = read.readme.unwrap();
        assert!(readme.starts_with("# Grüße\n") && !readme.contains('\u{1b}'), "{readme:?}");
        assert_eq!(Texts::read(b"nothing"), Texts::default());
        Texts { readme: Some("later".into()), ..Texts::default() }.append(&mut component);
        assert_eq!(Texts::read(&component).readme.as_deref(), Some("later"), "the later of two counts");
    }
}
