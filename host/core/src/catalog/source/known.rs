//! What a server called the bytes that it gave the last time, so that it can say that they are the same without giving them again
//! (RFC 9110, section 13.1.2). Kept in the cache: whoever has none fetches once more.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::files;
use crate::net::Target;

/// A longer name is not kept.
pub(super) const MOST_TAG: usize = 256;

/// The file of one, which holds a few words.
const MOST_BYTES: u64 = 4 << 10;

/// Days after which one that nobody has renewed is cleaned away.
const KEPT_DAYS: u64 = 90;

/// What came from an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// A strong entity tag, with its quotation marks: the same tag is the same bytes. A weak one promises less, and is never kept.
    pub(super) tag: String,
    /// Of the bytes.
    pub(super) digest: Digest,
}

/// Those of one cache.
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(cache_dir: &Path) -> Self {
        Self(cache_dir.join("known"))
    }

    /// The file of an address; its name tells nobody what the address is.
    fn file(&self, target: &Target, end: &str) -> PathBuf {
        self.0.join(format!("{}.{end}", Digest::of(target.url().as_str().as_bytes()).hex()))
    }

    /// What is known of an address. None where nothing is, or nothing that makes sense.
    pub(super) fn get(&self, target: &Target) -> Option<Known> {
        let text = crate::catalog::read_component(&self.file(target, "json"), MOST_BYTES).ok()?;
        serde_json::from_slice::<Known>(&text).ok().filter(|known| is_strong(&known.tag))
    }

    /// The bytes that are known of an address, if they are what they were.
    pub(super) fn bytes(&self, target: &Target, known: &Known, most: u64) -> Option<Vec<u8>> {
        let bytes = crate::catalog::read_component(&self.file(target, "body"), most).ok()?;
        (Digest::of(&bytes) == known.digest).then_some(bytes)
    }

    /// Keeps what came from an address, `body` as well where that is given. Where the server gave it no name, what was known is
    /// forgotten. To keep nothing harms nobody.
    pub(super) fn put(&self, target: &Target, tag: Option<&str>, digest: &Digest, body: Option<&[u8]>) {
        let file = self.file(target, "json");
        let Some(tag) = tag.filter(|tag| is_strong(tag)) else {
            // There is none for most of them.
            drop(std::fs::remove_file(&file));
            return;
        };
        let known = Known { tag: tag.to_owned(), digest: digest.clone() };
        let text = serde_json::to_vec(&known).unwrap_or_default();
        let kept = files::make_private_dir(&self.0)
            .and_then(|()| body.map_or(Ok(()), |body| files::write_unsynced(&self.file(target, "body"), body)))
            .and_then(|()| files::write_unsynced(&file, &text));
        if let Err(error) = kept {
            tracing::debug!(%error, "what a server calls its bytes is not kept");
        }
    }

    /// Removes those that nobody has renewed for long. Says how many bytes they had.
    pub(super) fn clean(&self) -> u64 {
        files::clean_older(&self.0, std::time::Duration::from_secs(KEPT_DAYS * 86_400)) + files::clean_private(&self.0)
    }
}

/// Whether it is a strong entity tag (RFC 9110, section 8.8.3) of a sensible length.
pub(super) fn is_strong(tag: &str) -> bool {
    let inside = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    tag.len() <= MOST_TAG && inside.is_some_and(|inside| inside.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'~')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_what_was_touched_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        let target = |text: &str| Target::parse(text).unwrap();
        let (one, two) = (target("https://a.test/x?v=1"), target("https://a.test/x?v=2"));
        let digest = Digest::of(b"hello");
        shelf.put(&one, Some("\"1\""), &digest, Some(b"hello"));
        let known = shelf.get(&one).unwrap();
        assert_eq!((known.tag.as_str(), &known.digest), ("\"1\"", &digest));
        assert_eq!(shelf.bytes(&one, &known, 5).as_deref(), Some(&b"hello"[..]));
        assert_eq!(shelf.get(&two), None);
        for (end, text) in [("body", "hellO"), ("json", "{}")] {
            std::fs::write(shelf.file(&one, end), text).unwrap();
        }
        assert_eq!((shelf.bytes(&one, &known, 5), shelf.get(&one)), (None, None));
        shelf.put(&one, Some("\"1\""), &digest, None);
        assert!(shelf.get(&one).is_some());
        // Another time without a name.
        shelf.put(&one, None, &digest, None);
        assert_eq!(shelf.get(&one), None);
        assert_eq!(shelf.clean(), 0, "they are new");
    }

    #[test]
    fn only_names_that_promise_the_same_bytes_are_kept() {
        for good in ["\"\"", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\"", "\"a-b\""] {
            assert!(is_strong(good), "{good}");
        }
        let long = format!("\"{}\"", "a".repeat(MOST_TAG));
        for bad in ["", "\"", "abc", "W/\"abc\"", "\"a\"b\"", "\"a b\"", "\"a\nb\"", "\"\u{e9}\"", &long] {
            assert!(!is_strong(bad), "{bad}");
        }
    }
}
