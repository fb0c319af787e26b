//! What a process holds.

use std::fmt::Display;

/// In KiB.
pub(crate) struct Memory {
    /// What `ps` shows. Instances share the pages of their image until they write to them, and each of them counts here.
    pub(crate) resident: u64,
    /// Each page once: what the machine gives.
    pub(crate) proportional: u64,
    pub(crate) mappings: u64,
}

impl Memory {
    /// Of this process.
    pub(crate) fn now() -> Self {
        Self::of("self")
    }

    pub(crate) fn of(process: impl Display) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).expect("a Linux with /proc");
        let sum = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let mappings = std::fs::read_to_string(format!("/proc/{process}/maps")).map_or(0, |maps| maps.lines().count());
        Self { resident: sum("Rss:"), proportional: sum("Pss:"), mappings: mappings as u64 }
    }
}
