//! What the core uses of tokio, over the checker's scheduler: every operation that others can notice is a point at which any
//! other task may run. Nothing here is checked; it is what the checked code stands on.
//!
//! Time is made up: see [`clock`].

pub mod clock;
pub mod runtime;
pub mod sync;
pub mod task;
pub mod time;

#[doc(hidden)]
pub use real;
pub use task::spawn;

/// As tokio's, with the branches always looked at from the first to the last: tokio throws dice of its own, which could not be
/// thrown again. Which of two branches is ready first is the scheduler's choice anyway.
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::real::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::real::select! { biased; $($branches)* } };
}
