//! What a host began, what it was told is kept, and so what must be there after an outage.

use std::collections::{BTreeMap, BTreeSet};

/// One thing to keep. Each has a number; numbers rise in the order in which things were begun, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    /// A value of so many bytes under one of few keys.
    Value { key: u64, bytes: u64 },
    /// A record of the audit, written before its act.
    Intent,
    /// Another, which is on record before it is in the chain. A power cut may take it and leave what came after it, or the other way round.
    Noted,
    /// The same, with tokens set aside on the same line, and how many of them are used.
    SetAside { tokens: u64, used: u64 },
    /// Tokens set aside where others have to be looked at, and how many of them are used.
    Reservation { tokens: u64, used: u64 },
    /// A component's file, and its row in the index of what is installed.
    Skill { bytes: u64 },
    /// A secret.
    Secret,
}

/// Everything that was told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    begun: BTreeMap<u64, Thing>,
    done: BTreeSet<u64>,
    /// What was done when the disk was synced last.
    synced: BTreeSet<u64>,
    /// What ended with an error: it may be there or not.
    failed: BTreeSet<u64>,
    lines: Vec<String>,
}

impl Story {
    pub(super) fn read(text: &str) -> Self {
        let mut story = Self::default();
        text.lines().for_each(|line| story.tell(line));
        story
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// One line of a child. Those that are not of a story are left out.
    pub(super) fn tell(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| -> u64 { words[at].parse().unwrap() };
        match words[..] {
            ["begin", _, what, ..] => {
                let thing = match what {
                    "value" => Thing::Value { key: number(3), bytes: number(4) },
                    "intent" => Thing::Intent,
                    "noted" => Thing::Noted,
                    "set-aside" => Thing::SetAside { tokens: number(3), used: number(4) },
                    "reservation" => Thing::Reservation { tokens: number(3), used: number(4) },
                    "skill" => Thing::Skill { bytes: number(3) },
                    "secret" => Thing::Secret,
                    other => panic!("`{other}` is nothing to keep"),
                };
                self.begun.insert(number(1), thing);
            }
            ["done", _] => drop(self.done.insert(number(1))),
            ["failed", _] => drop(self.failed.insert(number(1))),
            ["synced"] => self.synced = self.done.clone(),
            // After an outage: this much is there, and nothing after it ever will be.
            ["kept", _] => {
                let last = number(1);
                self.begun.retain(|number, _| *number <= last);
                self.done = self.begun.keys().copied().collect();
                self.synced = self.done.clone();
            }
            // Except for this one.
            ["lost", _] => {
                self.begun.remove(&number(1));
                self.done.remove(&number(1));
                self.synced.remove(&number(1));
            }
            _ => return,
        }
        self.lines.push(line.to_owned());
    }

    pub(super) fn begun(&self) -> &BTreeMap<u64, Thing> {
        &self.begun
    }

    /// What must be there, now that the power went: with `full`, everything that was acknowledged.
    pub(super) fn must(&self, full: bool) -> &BTreeSet<u64> {
        if full { &self.done } else { &self.synced }
    }

    pub(super) fn may_be_missing(&self, number: u64) -> bool {
        self.failed.contains(&number)
    }

    /// Whether it is on record as a line, before it is committed.
    pub(super) fn is_line(&self, number: u64) -> bool {
        matches!(self.begun[&number], Thing::Noted | Thing::SetAside { .. })
    }

    /// Whether there is one of each kind that was acknowledged.
    pub(super) fn has_all(&self) -> bool {
        let is_done = |is: fn(&Thing) -> bool| self.done.iter().any(|number| is(&self.begun[number]));
        is_done(|thing| matches!(thing, Thing::Value { .. }))
            && is_done(|thing| matches!(thing, Thing::Intent))
            && is_done(|thing| matches!(thing, Thing::Noted))
            && is_done(|thing| matches!(thing, Thing::SetAside { .. }))
            && is_done(|thing| matches!(thing, Thing::Reservation { .. }))
            && is_done(|thing| matches!(thing, Thing::Skill { .. }))
            && is_done(|thing| matches!(thing, Thing::Secret))
    }

    pub(super) fn last(&self) -> u64 {
        self.begun.keys().last().copied().unwrap_or_default()
    }
}
