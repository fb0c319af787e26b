//! Text from strangers made safe to show: control characters move cursors and colour terminals, and bidirectional marks make
//! a line read as another (CVE-2021-42574).

/// One line of at most `max` bytes. Says whether all of it is there.
pub fn line(text: &str, max: usize) -> (String, bool) {
    // Nearly everything is.
    if text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return (text.to_owned(), true);
    }
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let before = out.len();
        push(&mut out, c);
        if out.len() > max {
            out.truncate(before);
            return (out, false);
        }
    }
    (out, true)
}

/// Many lines: line feeds and tabs stay.
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { out.push(c) } else { push(&mut out, c) }
    }
    out
}

/// As a shell takes it for one word: in commands that a person is to copy.
pub fn word(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || "-_./@:+=,".contains(c));
    if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn push(out: &mut String, c: char) {
    if c.is_control() || misleads(c) { out.extend(c.escape_default()) } else { out.push(c) }
}

/// Marks that change the direction or the end of what is read: bidirectional formatting, line and paragraph separators.
fn misleads(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_cursors_is_escaped() {
        assert_eq!(line("a\r\n\t\u{7}\u{9b}é\u{2066}", 100), ("a\\r\\n\\t\\u{7}\\u{9b}é\\u{2066}".into(), true));
        assert_eq!(block("a\r\n\tb\0"), "a\\r\n\tb\\u{0}");
    }

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        assert_eq!(word("plugins/summarize"), "plugins/summarize");
        assert_eq!(word("http=GET https://*.test"), "'http=GET https://*.test'");
        assert_eq!(word("it's here"), r"'it'\''s here'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_cut_never_splits_an_escape() {
        assert_eq!(line("ab\u{1b}", 7), ("ab".into(), false));
        assert_eq!(line("ab\u{1b}", 8), ("ab\\u{1b}".into(), true));
        assert_eq!(line("é", 1), (String::new(), false));
    }
}
