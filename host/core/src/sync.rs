//! Locks, atomics, threads and moments of what is checked with every interleaving.
//!
//! They are the standard library's own. `tests/models/` compiles the same sources over others of the same names, which obey a
//! scheduler that chooses who runs next; so what is checked there is what runs here. Deliberately absent: anything else than
//! names.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError, atomic, mpsc};
pub(crate) use std::thread;
pub(crate) use std::time::Instant;
