//! Text of servers that models and people are going to read: what may be in it.
//!
//! A description is read by a model as if the operator had written it. What a person who approves it cannot see must not be in
//! it: characters without a form of their own (CVE-2021-42574, the tag characters of U+E0000), and control characters.

use serde_json::Value;

/// Most bytes of a description.
pub(super) const DESCRIPTION_BYTES: usize = 4 << 10;
/// Most bytes of all that a tool says of itself.
pub(super) const TOOL_BYTES: usize = 64 << 10;

/// The first character that a person would not see.
pub(super) fn unseen(text: &str) -> Option<char> {
    let mut before = '\0';
    for (c, next) in text.chars().zip(text.chars().skip(1).map(Some).chain([None])) {
        let fine = match c {
            '\n' | '\t' => true,
            // Only as part of a line's end.
            '\r' => next == Some('\n'),
            // Makes the sign before it an emoji. Many in a row would be an alphabet.
            '\u{fe0f}' => !before.is_ascii() && before != c,
            _ => !c.is_control() && !has_no_form(c),
        };
        if !fine {
            return Some(c);
        }
        before = c;
    }
    None
}

/// The same in all texts and names of a value.
pub(super) fn unseen_in(value: &Value) -> Option<char> {
    match value {
        Value::String(text) => unseen(text),
        Value::Array(all) => all.iter().find_map(unseen_in),
        Value::Object(all) => all.iter().find_map(|(name, value)| unseen(name).or_else(|| unseen_in(value))),
        _ => None,
    }
}

/// A text with everything in it to be seen: what has no form is written as its number.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') || !(c.is_control() || has_no_form(c)) {
            out.push(c)
        } else {
            out.extend(c.escape_unicode())
        }
    }
    out
}

/// Format characters, variation selectors, fillers, separators of lines, and what is for private use.
fn has_no_form(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn t87_what_a_person_would_not_see_is_found_wherever_it_stands() {
        for fine in ["Adds two numbers.\nAnd:\r\n\tno more.", "überall 日本 → ok", "careful \u{26a0}\u{fe0f}!", ""]
        {
            assert_eq!(unseen(fine), None, "{fine:?}");
        }
        for (bad, which) in [
            ("a\u{1b}[2J", '\u{1b}'),
            ("a\0", '\0'),
            ("over\rwritten", '\r'),
            ("a\u{200b}b", '\u{200b}'),
            ("\u{202e}txt", '\u{202e}'),
            ("x\u{e0041}\u{e0042}", '\u{e0041}'),
            ("x\u{fe0f}", '\u{fe0f}'),
            ("\u{26a0}\u{fe0f}\u{fe0f}", '\u{fe0f}'),
            ("\u{26a0}\u{fe01}", '\u{fe01}'),
            ("\u{e0100}", '\u{e0100}'),
            ("\u{feff}x", '\u{feff}'),
            ("\u{2028}", '\u{2028}'),
        ] {
            assert_eq!(unseen(bad), Some(which), "{bad:?}");
        }
        assert_eq!(visible("a\u{200b}\u{e0041}\u{1b}[2J\n"), "a\\u{200b}\\u{e0041}\\u{1b}[2J\n");
        let deep = json!({ "properties": { "a": { "enum": ["x", "y\u{200b}"] } } });
        assert_eq!(unseen_in(&deep), Some('\u{200b}'));
        assert_eq!(unseen_in(&json!({ "a\u{200b}": 1 })), Some('\u{200b}'));
        assert_eq!(unseen_in(&json!({ "a": [1, true, null, "x"] })), None);
    }
}
