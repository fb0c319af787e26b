//! One sum over all memories and tables of an invocation.
//!
//! An invocation that was called by another one takes from that one's sum as well.
//!
//! wasmtime's own `StoreLimits` counts each memory by itself, so a component of ten instances gets ten times the figure.

use wasmtime::ResourceLimiter;

use super::shares::Share;

/// Bytes that one element of a table takes in the host.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Instances, memories and tables that one component may make. The largest that real toolchains make: CPython links about
/// a dozen shared libraries, with a few adapters each.
const INSTANCES: usize = 200;
const MEMORIES: usize = 32;
const TABLES: usize = 64;

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    share: Share,
    used: usize,
    /// What was refused last and under which limit, for the error when the guest then traps.
    refused: Option<(Kind, usize)>,
}

/// What a guest asked too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Table,
}

impl Limiter {
    pub(crate) fn new(share: Share) -> Self {
        Self { share, used: 0, refused: None }
    }

    /// Most bytes that the guest had. Memories and tables never shrink, so that is what it has.
    pub(crate) fn peak(&self) -> usize {
        self.used
    }

    pub(crate) fn refused(&self) -> Option<(Kind, usize)> {
        self.refused
    }

    fn grow(&mut self, kind: Kind, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        match self.share.take(more as u64) {
            Ok(()) => {
                // It fits under the limit, and so does not overflow.
                self.used += more;
                true
            }
            Err(limit) => {
                self.refused = Some((kind, usize::try_from(limit).unwrap_or(usize::MAX)));
                false
            }
        }
    }
}

impl Drop for Limiter {
    /// The memories go with the store, right after this.
    fn drop(&mut self) {
        self.share.give(self.used as u64);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        Ok(self.grow(Kind::Memory, current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        Ok(self.grow(Kind::Table, current.saturating_mul(TABLE_ELEMENT), desired.saturating_mul(TABLE_ELEMENT)))
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }

    fn tables(&self) -> usize {
        TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_memories_counts() {
        let mut limiter = Limiter::new(Share::new(100 << 20));
        assert!(limiter.memory_growing(0, 60 << 20, None).unwrap());
        assert!(!limiter.memory_growing(0, 60 << 20, None).unwrap(), "a second memory above the sum");
        assert!(limiter.memory_growing(60 << 20, 90 << 20, None).unwrap());
        assert_eq!(limiter.refused(), Some((Kind::Memory, 100 << 20)));
        assert_eq!(limiter.peak(), 90 << 20);
    }

    #[test]
    fn tables_count_in_bytes_and_never_overflow() {
        let mut limiter = Limiter::new(Share::new(1 << 20));
        assert!(!limiter.table_growing(0, usize::MAX, None).unwrap());
        assert_eq!(limiter.refused(), Some((Kind::Table, 1 << 20)));
        assert!(limiter.table_growing(0, 1000, None).unwrap());
        assert!(!limiter.memory_growing(0, 1 << 20, None).unwrap(), "tables take from the same sum");
    }
}
