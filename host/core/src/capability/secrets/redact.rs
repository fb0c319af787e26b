//! Taking secrets out of what a server says.
//!
//! Found are a secret itself and its usual encodings: base64 (both alphabets, at every offset in a longer text), hexadecimal
//! and percent encoding in either case and as the usual libraries write it, the escapes of JSON and of HTML. Not found is what a server does to hide it: reversed, split in
//! parts with something between, encrypted. A server that a secret is sent to can always tell it; what is promised is that an
//! honest echo does not carry it into the skill.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};

/// What stands in its place.
pub(super) const REDACTED: &str = "[redacted]";
/// Forms that are shorter than this would be found in honest text.
const SHORTEST: usize = 8;

/// Finds a set of secrets.
pub struct Redactor {
    forms: AhoCorasick,
    pub(super) longest: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// None where there is nothing to find.
    pub(crate) fn new(secrets: &[SecretString]) -> Option<Self> {
        let mut forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms(secret.expose_secret())).collect();
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort_unstable();
        forms.dedup();
        let longest = forms.iter().map(Vec::len).max()?;
        let forms = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms).ok()?;
        Some(Self { forms, longest })
    }

    /// A text that stands for itself.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.whole(text.as_bytes())).into_owned()
    }

    pub(super) fn whole(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for found in self.forms.find_iter(bytes) {
            out.extend_from_slice(&bytes[from..found.start()]);
            out.extend_from_slice(REDACTED.as_bytes());
            from = found.end();
        }
        out.extend_from_slice(&bytes[from..]);
        out
    }

    /// For a text that comes in pieces.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> Stream {
        Stream { redactor: Arc::clone(self), held: Vec::new() }
    }
}

/// Takes secrets out of a text that comes in pieces, also where one lies across two of them.
pub struct Stream {
    redactor: Arc<Redactor>,
    /// The end of what has come, which may be the beginning of a secret.
    pub(super) held: Vec<u8>,
}

impl Stream {
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// What can be passed on once `chunk` has come. `last` says that nothing comes any more.
    pub fn push(&mut self, chunk: Bytes, last: bool) -> Bytes {
        if self.held.is_empty() && last && !self.redactor.forms.is_match(&chunk[..]) {
            return chunk;
        }
        self.held.extend_from_slice(&chunk);
        let keep = if last { 0 } else { self.redactor.longest - 1 };
        let safe = self.held.len().saturating_sub(keep);
        let mut out = Vec::with_capacity(safe);
        let mut from = 0;
        for found in self.redactor.forms.find_iter(&self.held) {
            // What begins in the part that is kept may turn out to be longer.
            if found.start() >= safe {
                break;
            }
            out.extend_from_slice(&self.held[from..found.start()]);
            out.extend_from_slice(REDACTED.as_bytes());
            from = found.end();
        }
        if from < safe {
            out.extend_from_slice(&self.held[from..safe]);
            from = safe;
        }
        self.held.drain(..from);
        out.into()
    }
}

/// What is left as it is beside letters and digits: RFC 3986, Python's `quote`, JavaScript's `encodeURIComponent` and `encodeURI`,
/// forms as browsers and as Python write them.
const KEPT: [&[u8]; 5] = [b"-._~", b"-._~/", b"-._~!*'()", b"-._~!*'();,/?:@&=+$#", b"-._*"];

/// What libraries write as `\uXXXX` in JSON though they need not: nothing; Go; PHP; Gson.
const ESCAPED: [&str; 4] = ["", "<>&", "<>&'", "<>&'="];

/// What is escaped in HTML by everybody, and in attributes.
const ENTITY: [(char, &str); 3] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")];

/// What else is escaped by some. A secret has no quotation mark.
const ENTITIES: [&[(char, &str)]; 6] = [
    &[],
    &[('\'', "&#39;")],
    &[('\'', "&#039;")],
    &[('\'', "&#x27;")],
    &[('\'', "&apos;")],
    &[('\'', "&#x27;"), ('/', "&#x2F;"), ('=', "&#x3D;"), ('`', "&#x60;")],
];

/// A secret as it may come back.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms = vec![bytes.to_vec()];
    let hex = |upper: bool| -> Vec<u8> {
        let digits = bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    let percent = |kept: &[u8], upper: bool| -> String {
        let one = |byte: &u8| match byte {
            b if kept.contains(b) || (!kept.is_empty() && b.is_ascii_alphanumeric()) => char::from(*b).to_string(),
            b if upper => format!("%{b:02X}"),
            b => format!("%{b:02x}"),
        };
        bytes.iter().map(one).collect()
    };
    for upper in [false, true] {
        forms.push(hex(upper));
        forms.push(percent(b"", upper).into_bytes());
        for kept in KEPT {
            let text = percent(kept, upper);
            // As a form has it, a space is a plus.
            forms.push(text.replace("%20", "+").into_bytes());
            forms.push(text.into_bytes());
        }
    }
    let json = serde_json::Value::from(secret).to_string();
    let json = &json[1..json.len() - 1];
    for escaped in ESCAPED {
        for upper in [false, true] {
            let one = |c: char| match c {
                c if escaped.contains(c) && upper => format!("\\u{:04X}", u32::from(c)),
                c if escaped.contains(c) => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            };
            let text: String = json.chars().map(one).collect();
            forms.push(text.replace('/', "\\/").into_bytes());
            forms.push(text.into_bytes());
        }
    }
    for upper in [false, true] {
        let one = |byte: &u8| if upper { format!("\\u{byte:04X}") } else { format!("\\u{byte:04x}") };
        forms.push(bytes.iter().map(one).collect::<String>().into_bytes());
    }
    for more in ENTITIES.iter().copied() {
        let one = |c: char| match ENTITY.iter().chain(more).find(|(known, _)| *known == c) {
            Some((_, entity)) => (*entity).to_owned(),
            None => c.to_string(),
        };
        forms.push(secret.chars().map(one).collect::<String>().into_bytes());
    }
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            let padded = [&[0; 2][..offset], bytes].concat();
            let text = engine.encode(&padded);
            // The first digits also hold what stands before, the last ones what comes after.
            let start = (offset * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            if start < end {
                forms.push(text[start..end].into());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "sk-CANARY/+ 0123=abc";

    fn redactor() -> Arc<Redactor> {
        Arc::new(Redactor::new(&[SECRET.into(), "another-one-here".into()]).unwrap())
    }

    #[test]
    fn t72_every_usual_encoding_is_found() {
        let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
        for echo in [
            SECRET.to_owned(),
            format!("{{\"key\":{}}}", serde_json::Value::from(SECRET)),
            "sk-CANARY\\/+ 0123=abc".into(),
            hex.to_uppercase(),
            hex,
            "sk-CANARY%2F%2B%200123%3Dabc".into(),
            "sk-CANARY%2f%2b%200123%3dabc".into(),
            "sk-CANARY%2F%2B+0123%3Dabc".into(),
            SECRET.bytes().map(|b| format!("%{b:02x}")).collect(),
            STANDARD.encode(SECRET),
            URL_SAFE.encode(SECRET),
            STANDARD.encode(format!("a{SECRET}b")),
            STANDARD.encode(format!("user:{SECRET}")),
            URL_SAFE.encode(format!("ab{SECRET}")),
        ] {
            let told = redactor().text(&format!("before {echo} after"));
            assert!(told.contains(REDACTED), "{echo}: {told}");
            assert!(!told.contains("CANARY") && told.starts_with("before "), "{echo}: {told}");
        }
    }

    #[test]
    fn t72_every_usual_library_s_encoding_is_found() {
        const SECRET: &str = "AbC/def+ghi=j'k(l)!m&n<o>p";
        let redactor = Redactor::new(&[SECRET.into()]).unwrap();
        for echo in [
            // Python's `quote` and `quote_plus`, JavaScript's `encodeURIComponent` and `encodeURI`, PHP's `urlencode`.
            "AbC/def%2Bghi%3Dj%27k%28l%29%21m%26n%3Co%3Ep",
            "AbC%2Fdef%2Bghi%3Dj%27k%28l%29%21m%26n%3Co%3Ep",
            "AbC%2Fdef%2Bghi%3Dj'k(l)!m%26n%3Co%3Ep",
            "AbC/def+ghi=j'k(l)!m&n%3Co%3Ep",
            // Go's, PHP's and Gson's JSON.
            r"AbC/def+ghi=j'k(l)!m\u0026n\u003co\u003ep",
            r"AbC\/def+ghi=j\u0027k(l)!m\u0026n\u003Co\u003Ep",
            r"AbC/def+ghi\u003dj\u0027k(l)!m\u0026n\u003co\u003ep",
            // HTML by Python, Go and handlebars.
            "AbC/def+ghi=j&#x27;k(l)!m&amp;n&lt;o&gt;p",
            "AbC/def+ghi=j&#39;k(l)!m&amp;n&lt;o&gt;p",
            "AbC&#x2F;def+ghi&#x3D;j&#x27;k(l)!m&amp;n&lt;o&gt;p",
        ] {
            assert_eq!(redactor.text(&format!("[{echo}]")), format!("[{REDACTED}]"));
        }
    }

    #[test]
    fn honest_text_stays() {
        let text = "A text about keys, another one here, and sk-CANARX/+ 0123=abc.";
        assert_eq!(redactor().text(text), text);
    }

    proptest! {
        #[test]
        fn t72_pieces_are_as_the_whole(
            parts in proptest::collection::vec(prop_oneof![
                "[a-z ]{0,30}",
                Just(SECRET.to_owned()),
                Just("another-one-here".to_owned()),
                Just(SECRET[..10].to_owned()),
                Just(STANDARD.encode(SECRET)),
            ], 0..8),
            cuts in proptest::collection::vec(0..400usize, 0..12),
        ) {
            let text = parts.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let mut stream = redactor().stream();
            let (mut from, mut out) = (0, Vec::new());
            for cut in cuts {
                out.extend(stream.push(Bytes::copy_from_slice(&text.as_bytes()[from..cut]), false));
                from = cut;
            }
            out.extend(stream.push(Bytes::new(), true));
            let told = String::from_utf8(out).unwrap();
            prop_assert_eq!(&told, &redactor().text(&text));
            prop_assert!(!told.contains(SECRET));
        }
    }
}
