//! Numbers on the command line, and numbers that are random in the same way each time.

/// What can be said beside the names of figures, as `name=number`.
const NAMES: [&str; 6] = ["seed", "kills", "calls", "seconds", "rounds", "reloads"];

pub(crate) fn is_one(arg: &str) -> bool {
    arg.split_once('=').is_some_and(|(name, number)| NAMES.contains(&name) && number.parse::<u64>().is_ok())
}

/// The number of that name, where one is given.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::args().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Repetitions, where as many as usual are not wanted: a profiler needs more.
pub(crate) fn rounds(usual: usize) -> usize {
    number("rounds").map_or(usual, |rounds| usize::try_from(rounds).unwrap_or(usize::MAX))
}

/// The seed that is given, or one of the clock's.
pub(crate) fn seed() -> u64 {
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs());
    number("seed").unwrap_or_else(clock)
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): small, and any seed will do.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
