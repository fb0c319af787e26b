//! All targets in one program, with libFuzzer's own `main`. `RINGFENCE_FUZZ` names the one that is tried.

#![no_main]

use std::sync::LazyLock;

use ringfence_core::fuzz::{Target, target};

static CHOSEN: LazyLock<Option<Target>> = LazyLock::new(|| target(&std::env::var("RINGFENCE_FUZZ").ok()?));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(CHOSEN.is_some(), "RINGFENCE_FUZZ does not name a target");
    if let Some(target) = CHOSEN.as_ref() {
        (target.run)(bytes);
    }
});
