//! How much memory JSON takes once it is read into a tree, told from its text alone.
//!
//! `{"":0}` has seven bytes with the comma behind it, and takes a node with room for eleven members: a hundred times as much. A cap on
//! bytes is none on memory, so whoever makes a tree of what a stranger sent weighs it first.

/// A node of an object. All but the largest have one.
const OBJECT: usize = 640;
/// The least room that a list makes for what is in it.
const LIST: usize = 128;
/// A value in a list or an object, and the room that a list makes for as many again.
const VALUE: usize = 64;

/// JSON that is weighed piece by piece. What is no JSON weighs something as well, and is refused by whoever reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weight {
    bytes: usize,
    in_string: bool,
    escaped: bool,
}

impl Weight {
    /// Bytes that a tree of this text takes, and the text itself. More rather than less.
    #[must_use]
    pub fn of(json: &[u8]) -> usize {
        let mut weight = Self::default();
        weight.feed(json);
        weight.bytes
    }

    /// Takes the next piece. In one pass, and without memory.
    pub fn feed(&mut self, json: &[u8]) {
        self.bytes = self.bytes.saturating_add(json.len());
        let mut rest = json;
        loop {
            if std::mem::take(&mut self.escaped) {
                let [_, behind @ ..] = rest else {
                    self.escaped = true;
                    return;
                };
                rest = behind;
            }
            if self.in_string {
                let Some(end) = memchr::memchr2(b'"', b'\\', rest) else { return };
                self.escaped = rest[end] == b'\\';
                self.in_string = self.escaped;
                rest = &rest[end + 1..];
                continue;
            }
            let end = memchr::memchr(b'"', rest);
            let outside = &rest[..end.unwrap_or(rest.len())];
            let weight = |byte: &u8| match byte {
                b'{' => OBJECT,
                b'[' => LIST,
                b',' => VALUE,
                _ => 0,
            };
            self.bytes = self.bytes.saturating_add(outside.iter().map(weight).sum());
            let Some(end) = end else { return };
            self.in_string = true;
            rest = &rest[end + 1..];
        }
    }

    /// Bytes of all that came so far.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_small_in_text_and_large_in_memory_weighs_what_it_takes() {
        for (one, least) in [(r#"{"":0},"#, 640), ("[0],", 128), ("0,", 32), (r#""","#, 32)] {
            let many = format!("[{}0]", one.repeat(10_000));
            assert!(Weight::of(many.as_bytes()) >= 10_000 * least, "{one}");
        }
        let text = format!(r#"{{"text":"{}"}}"#, r#"{[,\"\\"#.repeat(10_000));
        assert_eq!(Weight::of(text.as_bytes()), text.len() + OBJECT, "what stands in a string is text");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in r#"[{\["\\,:a]{0,40}"#, cuts in proptest::collection::vec(0..40_usize, 0..6)) {
            let mut weight = Weight::default();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                weight.feed(piece);
                rest = behind;
            }
            weight.feed(rest);
            prop_assert_eq!(weight.bytes(), Weight::of(text.as_bytes()));
        }
    }
}
