//! The id of a message that is not read as a whole, because it is too long or too deeply nested: whoever sent it waits for an answer
//! under that id.
//!
//! Goes through the bytes once, in whatever pieces they come, and holds nothing of them but one short word. Nothing is answered but an
//! error, so what it makes of bytes that are no JSON does not matter.

use rmcp::model::RequestId;

/// Most bytes of an id as it is written. A longer one is not given back.
const MOST: usize = 256;

/// Looks for the one `id` of the object that a message is.
#[derive(Debug, Default)]
pub(super) struct Search {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The name or the value that was read last, where it stands in the outermost object and is neither an object nor an array.
    word: Vec<u8>,
    /// Whether the value of `id` is read.
    of_id: bool,
    found: Option<RequestId>,
    /// There are two, and nobody knows which is meant.
    is_twofold: bool,
}

impl Search {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.next(*byte));
    }

    /// The id of all bytes so far.
    pub(super) fn id(self) -> Option<RequestId> {
        self.found.filter(|_| !self.is_twofold)
    }

    fn next(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.member_ends();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.member_ends(),
            b':' if self.depth == 1 => {
                self.of_id = self.word == b"\"id\"";
                self.word.clear();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        // One more than there may be, so that one that was cut is known.
        if self.depth == 1 && self.word.len() <= MOST {
            self.word.push(byte);
        }
    }

    fn member_ends(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.of_id
            && self.word.len() <= MOST
            && let Ok(id) = serde_json::from_slice(&self.word)
        {
            self.is_twofold = self.found.replace(id).is_some();
        }
        self.of_id = false;
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<RequestId> {
        let mut search = Search::default();
        search.feed(text.as_bytes());
        search.id()
    }

    #[test]
    fn the_id_is_found_wherever_it_stands_and_whatever_stands_beside_it() {
        let deep = format!("{}{}", "[{\"id\":1},".repeat(100_000), "0]".repeat(100_000));
        let (seven, word) = (Some(RequestId::Number(7)), Some(RequestId::String("a\"}".into())));
        for (text, expected) in [
            (format!(r#"{{"jsonrpc":"2.0","id":7,"method":"x","params":{{"a":{deep}}}}}"#), &seven),
            (format!(r#"{{"method":"x","params":{{"id":1,"a":{deep}}},"id" : 7 }}"#), &seven),
            (r#"{"a":"\"id\":1,{[","b\\":"x","id":7,"c":"id"}"#.into(), &seven),
            (r#"{"id":"a\"}","method":"x""#.into(), &word),
            // Cut behind it.
            (r#"{"id":7,"params":{"text":"xxxx"#.into(), &seven),
        ] {
            assert_eq!(id(&text), *expected, "{text:.60}");
        }
    }

    #[test]
    fn what_is_no_id_or_none_for_certain_is_not_given() {
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MOST));
        let digits = format!(r#"{{"id":{}}}"#, "1".repeat(MOST + 10));
        for text in [
            "",
            "{",
            "[7]",
            r#"{"id":null}"#,
            r#"{"id":{"id":7}}"#,
            r#"{"id":[7]}"#,
            r#"{"id":7"#,
            r#"{"id":7,"id":8}"#,
            r#"[{"id":7}]"#,
            r#"{"a":{"id":7}}"#,
            r#"{"i\u0064":7}"#,
            &long,
            &digits,
        ] {
            assert_eq!(id(text), None, "{text:.60}");
        }
    }
}
