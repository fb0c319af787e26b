//! What an invocation has touched.
//!
//! Three things together let a stranger's text carry a user's data away: private data was read, untrusted content was read
//! (it may hold instructions), and something is sent out. Each alone is useful and common. The invocation remembers the first
//! two; when an act would complete all three with a destination that the operator did not name, a rule decides.
//!
//! What this does not stop: a destination that the operator named is trusted whatever is sent there; data that leaves through
//! the outcome of the call, which the caller asked for; and a skill that remembers what it read in one invocation and sends
//! it in another without reading it again from `kv` or a file. See SECURITY.md.

use crate::sync::atomic::{AtomicU8, Ordering};

/// What an act touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch(u8);

impl Touch {
    pub const NOTHING: Self = Self(0);
    /// It reads what belongs to the user: files, kv, what a secret unlocks.
    pub const PRIVATE: Self = Self(1);
    /// It brings in content that a stranger may have written: a web page, another tool's output.
    pub const UNTRUSTED: Self = Self(2);
    /// It sends something to others.
    pub const OUT: Self = Self(4);

    const ALL: Self = Self(7);

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// In words, for the record: `private, untrusted`.
    #[must_use]
    pub fn words(self) -> String {
        let names = [(Self::PRIVATE, "private"), (Self::UNTRUSTED, "untrusted"), (Self::OUT, "out")];
        let names: Vec<&str> = names.iter().filter(|(touch, _)| self.has(*touch)).map(|(_, name)| *name).collect();
        names.join(", ")
    }
}

/// What one invocation, with the ones that it called, has touched so far.
#[derive(Debug, Default)]
pub struct Taint(AtomicU8);

impl Taint {
    #[must_use]
    pub fn so_far(&self) -> Touch {
        Touch(self.0.load(Ordering::Acquire))
    }

    /// Remembers, before the act: what it brings may arrive in pieces.
    pub fn touch(&self, touch: Touch) {
        self.0.fetch_or(touch.0, Ordering::AcqRel);
    }

    /// Whether an act that touches `touch` sends something out after private data and untrusted content were read. What it
    /// reads itself comes after it has sent, and does not count.
    #[must_use]
    pub fn completed_by(&self, touch: Touch) -> bool {
        touch.has(Touch::OUT) && self.so_far().and(Touch::OUT) == Touch::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_three_in_order_count() {
        let taint = Taint::default();
        let web = Touch::OUT.and(Touch::UNTRUSTED);
        assert!(!taint.completed_by(web));
        taint.touch(web);
        assert!(!taint.completed_by(web), "no private data was read");
        taint.touch(Touch::PRIVATE);
        assert!(taint.completed_by(web));
        assert!(!taint.completed_by(Touch::PRIVATE), "nothing leaves");
        let file_first = Taint::default();
        file_first.touch(Touch::PRIVATE);
        assert!(!file_first.completed_by(web), "nothing untrusted was read yet");
        assert_eq!(taint.so_far().words(), "private, untrusted, out");
    }
}
