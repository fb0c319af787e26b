//! What the caller and the operator are shown meanwhile.

use ringfence_skill::prelude::*;

/// Writes a line of every level to the log.
#[tool(read_only)]
pub fn logs() -> &'static str {
    log::trace!("line at trace"; n = 0);
    log::debug!("line at debug"; n = 1);
    log::info!("line at info"; n = 2);
    log::warn!("line at warn"; n = 3);
    log::error!("line at error"; n = 4);
    "ok"
}

/// Reports how far it is, and shows its answer piece by piece.
#[tool(name = "progress", read_only)]
pub fn reports() -> &'static str {
    progress::report(1, Some(3), Some("one"));
    progress::emit("a");
    progress::report(2, Some(3), None);
    progress::emit("b");
    progress::report(3, Some(3), None);
    progress::emit("c");
    "abc"
}
