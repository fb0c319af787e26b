//! Outages: the power goes, or the disk refuses one step, while the real code writes.
//!
//! A child process works on state with `shim.c` between it and the C library: every change below one directory is written down
//! in order. From the record a [`disk::Disk`] makes what may be left after a cut at any moment, and the real code opens it.

mod check;
mod child;
mod cuts;
mod dice;
mod disk;
mod lock;
mod record;
mod steps;
mod story;
mod work;
