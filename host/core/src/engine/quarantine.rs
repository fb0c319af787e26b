//! What came to a limit of the compiler, so that it is not compiled again each time that somebody looks at it.
//!
//! A folder that is watched, a sync and a call between skills load what they find as often as they like, and each attempt at a bomb
//! takes all of `engine.compile-seconds` from a processor. It is answered from here instead, by the digest of the bytes.
//!
//! Deliberately absent: what stays when the host ends. Whoever starts one wants to know, and pays for one attempt.

use std::collections::VecDeque;
use std::time::Duration;

use super::compile::Spent;
use super::settings::EngineSettings;
use crate::sync::{Instant, Mutex, PoisonError};

/// Components that are remembered. For each one more a stranger has to have one compiled up to a limit, and then the oldest goes.
const MOST: usize = 256;
/// How long what took too long is not compiled again.
pub(super) const PAUSE: Duration = Duration::from_secs(600);

/// What came to a limit, the newest last. A mutex that blocks: held for a look at a few hundred entries.
#[derive(Default)]
pub(super) struct Quarantine(Mutex<VecDeque<Held>>);

struct Held {
    digest: String,
    spent: Spent,
    since: Instant,
}

impl Held {
    /// How much memory it takes is a matter of its bytes: where there is no more of it, the answer stands. How long it takes is also one of
    /// what else the machine had to do, and a person who has seen to that, and tries again with the host that is running, must not be
    /// refused for ever. So that answer ends after a while, and a bomb costs one attempt in each.
    fn stands(&self, settings: &EngineSettings, now: Instant) -> bool {
        match self.spent {
            Spent::Seconds(limit) => {
                settings.compile_seconds <= limit && now.saturating_duration_since(self.since) < PAUSE
            }
            Spent::Mib(limit) => settings.compile_mib <= limit,
        }
    }
}

impl Quarantine {
    /// The limit that this component came to, where another attempt with these settings would only show it again.
    pub(super) fn find(&self, digest: &str, settings: &EngineSettings, now: Instant) -> Option<Spent> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|held| held.digest == digest && held.stands(settings, now)).map(|held| held.spent)
    }

    /// Remembers which limit a component came to.
    pub(super) fn hold(&self, digest: &str, spent: Spent, now: Instant) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|held| held.digest != digest);
        held.push_back(Held { digest: digest.to_owned(), spent, since: now });
        if held.len() > MOST {
            held.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(seconds: u32, mib: u32) -> EngineSettings {
        EngineSettings { compile_seconds: seconds, compile_mib: mib, ..EngineSettings::default() }
    }

    #[test]
    fn a_higher_limit_tries_again_and_one_of_the_other_kind_does_not() {
        let (held, now) = (Quarantine::default(), Instant::now());
        held.hold("slow", Spent::Seconds(10), now);
        held.hold("large", Spent::Mib(100), now);
        for (digest, settings, stands) in [
            ("slow", limits(10, 100), true),
            ("slow", limits(9, 100), true),
            ("slow", limits(10, 1_000), true),
            ("slow", limits(11, 100), false),
            ("large", limits(10, 100), true),
            ("large", limits(1_000, 100), true),
            ("large", limits(10, 101), false),
            ("another", limits(10, 100), false),
        ] {
            assert_eq!(held.find(digest, &settings, now).is_some(), stands, "{digest}: {settings:?}");
        }
    }

    #[test]
    fn what_was_slow_is_tried_again_after_a_while_and_what_is_too_large_is_not() {
        let (held, now) = (Quarantine::default(), Instant::now());
        let settings = limits(10, 100);
        held.hold("slow", Spent::Seconds(10), now);
        held.hold("large", Spent::Mib(100), now);
        let before = now + PAUSE.saturating_sub(Duration::from_millis(1));
        assert_eq!(held.find("slow", &settings, before), Some(Spent::Seconds(10)));
        assert_eq!(held.find("slow", &settings, now + PAUSE), None);
        assert_eq!(held.find("large", &settings, now + 1_000 * PAUSE), Some(Spent::Mib(100)));
        // Slow again: from then on it waits as long again.
        held.hold("slow", Spent::Seconds(10), now + PAUSE);
        assert_eq!(held.find("slow", &settings, before + PAUSE), Some(Spent::Seconds(10)));
    }

    #[test]
    fn no_more_are_held_than_there_may_be_and_the_oldest_goes_first() {
        let (held, now) = (Quarantine::default(), Instant::now());
        let settings = limits(10, 100);
        held.hold("first", Spent::Mib(100), now);
        for n in 1..MOST {
            held.hold(&n.to_string(), Spent::Mib(100), now);
            held.hold("second", Spent::Mib(100), now);
        }
        // Of the same bytes there is one.
        assert_eq!(held.0.lock().unwrap().len(), MOST);
        assert!(held.find("first", &settings, now).is_none() && held.find("1", &settings, now).is_some());
        held.hold("one more", Spent::Mib(100), now);
        assert_eq!(held.0.lock().unwrap().len(), MOST);
        assert!(held.find("1", &settings, now).is_none() && held.find("2", &settings, now).is_some());
    }
}
